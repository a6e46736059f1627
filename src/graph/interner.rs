//! Keys to small integers: each distinct key gets the next local id when it is first seen.
//!
//! Representation: open addressing over cache lines of four entries (key or hash of the key, local
//! id, occurrences), at most three quarters of them in use. A full line overflows into the next one;
//! few keys do, so a look-up costs one cache line. Text lies end to end in a column by local id,
//! and is compared where the 64-bit hashes agree.
//!
//! For each key of a column:
//! 1. prefetch the line of the key [`AHEAD`] rows later;
//! 2. compare the key with the four of its own line, which has arrived by now.
//!
//! Without the prefetch each look-up would wait for memory by itself. Cost: about 10 ns a key
//! where the table exceeds the second-level cache.

use xxhash_rust::xxh3::xxh3_64;

use crate::kernels::prefetch::prefetch;
use crate::kernels::radix::{self, Word};
use crate::model::{KeyType, Keys};

/// How many rows ahead an entry is prefetched: about as many lines as a core can have under way.
const AHEAD: usize = 48;

/// Entries of a line.
const LANES: usize = 4;

/// Lines of an empty table.
const LINES_MIN: usize = 256;

/// Marks an entry that is not in use; so there are at most 2^32 - 1 distinct keys.
const VACANT: u32 = u32::MAX;

/// Entries side by side, filled from the first.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    /// Integer keys, or hashes of text keys; 0 where no entry is.
    words: [u64; LANES],
    /// Local ids, or [`VACANT`].
    ids: [u32; LANES],
    /// Occurrences, saturating: they only balance load.
    counts: [u32; LANES],
}

const EMPTY: Line = Line { words: [0; LANES], ids: [VACANT; LANES], counts: [0; LANES] };

impl Line {
    /// A bit for each lane that has `word`, in use or not.
    #[inline(always)]
    fn matches(&self, word: u64) -> u32 {
        let bit = |lane: usize| u32::from(self.words[lane] == word) << lane;
        bit(0) | bit(1) | bit(2) | bit(3)
    }

    /// The entries in use.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let lanes = self.vacancy().unwrap_or(LANES);
        let of =
            |lane| Entry { word: self.words[lane], id: self.ids[lane], count: self.counts[lane] };
        (0..lanes).map(of)
    }

    /// The first lane that is not in use.
    #[inline(always)]
    fn vacancy(&self) -> Option<usize> {
        self.ids.iter().position(|&id| id == VACANT)
    }
}

/// A key that is being sorted.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The integer key, or the hash of the text key.
    word: u64,
    id: u32,
    /// Occurrences, saturating: they only balance load.
    count: u32,
}

impl Word for Entry {
    /// The integer key with its sign flipped, so that unsigned order is the order of keys.
    #[inline(always)]
    fn bits(self) -> u64 {
        self.word ^ 1 << 63
    }
}

/// The distinct keys of a column so far.
pub(super) struct Interner {
    /// A power of two of lines.
    lines: Vec<Line>,
    len: usize,
    /// Text keys by local id; stays empty for integers, which are their own entry.
    text: Keys,
    key_type: KeyType,
}

/// Distinct keys in ascending order, and what became of their local ids.
pub(super) struct Sorted {
    pub keys: Keys,
    /// Rank in `keys` by local id.
    pub rank: Vec<u32>,
    /// Occurrences by rank.
    pub count: Vec<u32>,
}

impl Interner {
    pub fn new(key_type: KeyType) -> Interner {
        let lines = vec![EMPTY; LINES_MIN];
        Interner { lines, len: 0, text: Keys::new(key_type), key_type }
    }

    /// The local ids of `keys`, whose type must be the interner's.
    pub fn intern(&mut self, keys: &Keys) -> Vec<u32> {
        match keys {
            Keys::Int64(values) => self.intern_words(bytemuck::cast_slice(values), |_, _, _| true),
            Keys::Utf8 { offsets, bytes } => {
                let text = |row: usize| &bytes[offsets[row] as usize..offsets[row + 1] as usize];
                let words: Vec<u64> = (0..keys.len()).map(|row| xxh3_64(text(row))).collect();
                self.intern_words(&words, |known, id, row| {
                    if id == known.len() {
                        known.push(keys.get(row));
                    }
                    known.get(id) == keys.get(row)
                })
            }
        }
    }

    /// The local ids of a column of words. `same` tells whether text `id` is that of row `row`,
    /// and notes it down if `id` is new.
    fn intern_words(
        &mut self,
        words: &[u64],
        same: impl Fn(&mut Keys, usize, usize) -> bool,
    ) -> Vec<u32> {
        let mut ids = Vec::with_capacity(words.len());
        for (row, &word) in words.iter().enumerate() {
            if 4 * self.len >= 3 * LANES * self.lines.len() {
                self.grow();
            }
            if let Some(&later) = words.get(row + AHEAD) {
                prefetch(&self.lines, self.home(later));
            }
            ids.push(self.probe(word, |text, id| same(text, id, row)));
        }
        ids
    }

    /// The id of the key with `word`, the next one if it is new.
    #[inline(always)]
    fn probe(&mut self, word: u64, same: impl Fn(&mut Keys, usize) -> bool) -> u32 {
        let mask = self.lines.len() - 1;
        let mut at = self.home(word);
        loop {
            let line = &mut self.lines[at & mask];
            let mut found = line.matches(word);
            while found != 0 {
                let lane = found.trailing_zeros() as usize % LANES;
                let id = line.ids[lane];
                // A vacant lane matches the word 0, after the one that holds it.
                if id != VACANT && same(&mut self.text, id as usize) {
                    line.counts[lane] = line.counts[lane].saturating_add(1);
                    return id;
                }
                found &= found - 1;
            }
            if let Some(lane) = line.vacancy() {
                let id = self.len as u32;
                (line.words[lane], line.ids[lane], line.counts[lane]) = (word, id, 1);
                self.len += 1;
                same(&mut self.text, id as usize);
                return id;
            }
            at += 1;
        }
    }

    /// Where the probe for `word` begins. Both halves of a 128-bit product are folded, so that
    /// keys that differ in any bits are spread.
    #[inline(always)]
    fn home(&self, word: u64) -> usize {
        let product = u128::from(word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
        ((product >> 64) as u64 ^ product as u64) as usize & (self.lines.len() - 1)
    }

    /// Doubles the table.
    #[cold]
    fn grow(&mut self) {
        let larger = vec![EMPTY; 2 * self.lines.len()];
        let old = std::mem::replace(&mut self.lines, larger);
        let mask = self.lines.len() - 1;
        for entry in old.iter().flat_map(Line::entries) {
            let mut at = self.home(entry.word);
            loop {
                let line = &mut self.lines[at & mask];
                if let Some(lane) = line.vacancy() {
                    let Entry { word, id, count } = entry;
                    (line.words[lane], line.ids[lane], line.counts[lane]) = (word, id, count);
                    break;
                }
                at += 1;
            }
        }
    }

    /// Sorts the distinct keys; the table is dropped.
    pub fn into_sorted(self) -> Sorted {
        let mut used: Vec<Entry> = Vec::with_capacity(self.len);
        used.extend(self.lines.iter().flat_map(Line::entries));
        drop(self.lines);
        match self.key_type {
            KeyType::Int64 => radix::sort(&mut used, &mut Vec::new(), 0..u64::BITS),
            KeyType::Utf8 => {
                let text = |id: u32| self.text.get(id as usize);
                used.sort_unstable_by(|a, b| text(a.id).cmp(&text(b.id)));
            }
        }
        let mut rank = vec![0; used.len()];
        for (index, entry) in used.iter().enumerate() {
            rank[entry.id as usize] = index as u32;
        }
        let count = used.iter().map(|entry| entry.count).collect();
        let keys = match self.key_type {
            KeyType::Int64 => Keys::Int64(used.iter().map(|entry| entry.word as i64).collect()),
            KeyType::Utf8 => {
                let order: Vec<u32> = used.iter().map(|entry| entry.id).collect();
                self.text.take(&order)
            }
        };
        Sorted { keys, rank, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyRef;

    #[test]
    fn ids_lead_back_to_the_keys() {
        let values: Vec<i64> = (0..5000).map(|n: i64| (n * n) % 997 - 400).collect();
        let mut texts = Keys::new(KeyType::Utf8);
        for value in &values {
            texts.push(KeyRef::Utf8(&format!("pin {value}")));
        }
        for column in [Keys::Int64(values), texts] {
            let mut interner = Interner::new(column.key_type());
            let ids = interner.intern(&column);
            let again = interner.intern(&column);
            assert_eq!(ids, again);
            let sorted = interner.into_sorted();
            assert!((1..sorted.keys.len()).all(|i| sorted.keys.get(i - 1) < sorted.keys.get(i)));
            for (row, &id) in ids.iter().enumerate() {
                let rank = sorted.rank[id as usize];
                assert_eq!(sorted.keys.get(rank as usize), column.get(row));
            }
            assert_eq!(sorted.count.iter().sum::<u32>(), 10_000);
        }
    }

    #[test]
    fn keys_that_differ_in_few_bits_are_told_apart() {
        for shift in [0, 1, 20, 32, 48] {
            let column = Keys::Int64((0..30_000i64).map(|n| n << shift).collect());
            let mut interner = Interner::new(KeyType::Int64);
            let ids = interner.intern(&column);
            assert_eq!(ids, (0..30_000u32).collect::<Vec<_>>().as_slice());
        }
    }
}
