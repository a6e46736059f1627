//! Events of one range of left nodes, packed into words and dealt out to buckets that fit the
//! cache, ready to be sorted by (left, right).
//!
//! A bucket holds the events of `2^row_bits` neighbouring left nodes, about [`BUCKET_EVENTS`] on
//! average. Within a bucket an event is one word:
//!
//! | bits, from the highest | what |
//! |---|---|
//! | `row_bits` | left node, from the bucket's first |
//! | `right_bits` | right node |
//! | `index_bits` | the event's place in the bucket, where its age and weight are; none if it has neither |
//!
//! Ages and weights are dealt out beside the words and are not moved again.

use std::ops::Range;

use super::EventRun;
use crate::kernels::radix::PackedWord;

/// Events of a bucket: twice as many 8-byte words, and as many ages, fit a cache of 1 MiB.
const BUCKET_EVENTS: usize = 1 << 15;

/// Most buckets: each is one stream of writes, and more of them would thrash the TLB.
const BUCKETS_MAX: usize = 2048;

/// How words are packed. Bits are counted from the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    pub index_bits: u32,
    pub right_bits: u32,
    pub row_bits: u32,
}

impl Packing {
    /// The bits to sort by.
    pub fn key(self) -> Range<u32> {
        self.index_bits..self.index_bits + self.right_bits + self.row_bits
    }

    /// Whether a word fits 32 bits.
    pub fn is_narrow(self) -> bool {
        self.key().end <= 32
    }

    #[inline(always)]
    fn pack(self, row: u32, right: u32, index: usize) -> u64 {
        (u64::from(row) << self.right_bits | u64::from(right)) << self.index_bits | index as u64
    }

    /// Left and right node together; equal for the events of one pair.
    #[inline(always)]
    pub fn pair(self, word: u64) -> u64 {
        word >> self.index_bits
    }

    /// The left node, from the bucket's first.
    #[inline(always)]
    pub fn row(self, word: u64) -> usize {
        (self.pair(word) >> self.right_bits) as usize
    }

    /// The right node.
    #[inline(always)]
    pub fn right(self, word: u64) -> u32 {
        (self.pair(word) & ((1 << self.right_bits) - 1)) as u32
    }

    /// The event's place in the bucket.
    #[inline(always)]
    pub fn index(self, word: u64) -> usize {
        (word & ((1 << self.index_bits) - 1)) as usize
    }
}

/// Events by bucket.
pub(super) struct Buckets<W> {
    /// Packed events.
    pub words: Vec<W>,
    /// Ages and actions, or empty.
    pub age_action: Vec<u64>,
    /// Weights, or empty.
    pub weight: Vec<i64>,
}

/// Where each bucket begins, and how its words are packed.
pub(super) struct Plan {
    pub packing: Packing,
    /// One more than there are buckets.
    pub starts: Vec<usize>,
}

/// The bits that hold the numbers below `count`.
fn bits_below(count: usize) -> u32 {
    count.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

impl Plan {
    /// The plan for the events of `runs`, whose left nodes are in `range`.
    pub fn new(runs: &[EventRun], range: &Range<u32>, right_nodes: usize) -> Plan {
        let events: usize = runs.iter().map(|run| run.pairs.len()).sum();
        let indexed = runs.iter().any(|run| !run.age_action.is_empty() || !run.weight.is_empty());
        let right_bits = bits_below(right_nodes);
        let mut row_bits = 0;
        let wanted = (events / BUCKET_EVENTS).clamp(1, BUCKETS_MAX);
        while range.len().div_ceil(1 << row_bits) > wanted {
            row_bits += 1;
        }
        loop {
            let mut starts = vec![0usize; range.len().div_ceil(1 << row_bits) + 1];
            for [left, _] in runs.iter().flat_map(|run| &run.pairs) {
                starts[((left - range.start) as usize >> row_bits) + 1] += 1;
            }
            let largest = starts.iter().copied().max().unwrap_or(0);
            let index_bits = if indexed { bits_below(largest) } else { 0 };
            // Smaller buckets need fewer bits; a single row always fits.
            if row_bits + right_bits + index_bits <= 64 || row_bits == 0 {
                for bucket in 1..starts.len() {
                    starts[bucket] += starts[bucket - 1];
                }
                return Plan { packing: Packing { index_bits, right_bits, row_bits }, starts };
            }
            row_bits = 64u32.saturating_sub(right_bits + index_bits).min(row_bits - 1);
        }
    }

    /// Deals out `runs`. Each is dropped as soon as it is done.
    pub fn deal<W: PackedWord>(&self, runs: Vec<EventRun>, range: &Range<u32>) -> Buckets<W> {
        let events = self.starts.last().copied().unwrap_or(0);
        let any = |column: fn(&EventRun) -> bool| if runs.iter().any(column) { events } else { 0 };
        let mut out = Buckets {
            age_action: vec![0; any(|run| !run.age_action.is_empty())],
            weight: vec![0; any(|run| !run.weight.is_empty())],
            words: vec![W::default(); events],
        };
        let mut next = self.starts.clone();
        let row_bits = self.packing.row_bits;
        let row_mask = ((1u64 << row_bits) - 1) as u32;
        let index_mask = (1usize << self.packing.index_bits) - 1;
        for run in runs {
            for (at, &[left, right]) in run.pairs.iter().enumerate() {
                let row = left - range.start;
                let bucket = row as usize >> row_bits;
                let slot = next[bucket];
                next[bucket] += 1;
                let index = (slot - self.starts[bucket]) & index_mask;
                out.words[slot] = W::from_bits(self.packing.pack(row & row_mask, right, index));
                if let Some(age_action) = out.age_action.get_mut(slot) {
                    *age_action = run.age_action[at];
                }
                if let Some(weight) = out.weight.get_mut(slot) {
                    *weight = run.weight[at];
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_event_unpacks() {
        let packing = Packing { index_bits: 20, right_bits: 32, row_bits: 12 };
        let word = packing.pack(4095, u32::MAX - 1, 77);
        assert_eq!(
            (packing.row(word), packing.right(word), packing.index(word)),
            (4095, u32::MAX - 1, 77)
        );
        let empty = Packing { index_bits: 0, right_bits: 0, row_bits: 0 };
        assert_eq!((empty.row(0), empty.right(0), empty.index(0)), (0, 0, 0));
        assert_eq!([0, 1, 2, 3, 4, 5].map(bits_below), [0, 0, 1, 2, 2, 3]);
    }

    #[test]
    fn words_fit_whatever_the_sizes() {
        let pairs: Vec<[u32; 2]> = (0..100_000).map(|n| [1_000_000 + n % 50_000, n]).collect();
        let run = EventRun { age_action: vec![1; pairs.len()], pairs, weight: Vec::new() };
        let range = 1_000_000..u32::MAX;
        let plan = Plan::new(&[run], &range, 1 << 32);
        assert!(plan.packing.key().end <= 64);
        assert_eq!(plan.starts.last(), Some(&100_000));
    }
}
