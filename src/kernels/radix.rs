//! Least-significant-digit radix sort of packed words by a range of their bits.
//!
//! 1. One pass counts all digits at once; they are as many as [`DIGIT_BITS_MAX`] requires, and of
//!    equal width.
//! 2. For each digit, from the lowest: prefix sums, then a stable move between two buffers. A
//!    digit that all words share is skipped.
//!
//! Bits outside the range do not count, and words that agree in it keep their order. Cost: one
//! read and a write of every word for each digit; about 1.5 ns a word and digit while both buffers
//! fit the L2 cache, so callers cut larger inputs into buckets first.
//!
//! Reference: Knuth, The Art of Computer Programming 3, 5.2.5.

use std::ops::Range;

/// Widest digit: its 1,024 counters leave half of a first-level cache to the words.
pub const DIGIT_BITS_MAX: u32 = 10;

/// Most digits: as many as 64 bits need.
const DIGITS_MAX: usize = 64usize.div_ceil(DIGIT_BITS_MAX as usize);

/// What is sorted as a string of digits: an unsigned integer, or a value that has one for a key.
pub trait Word: Copy + Default {
    /// The word, extended by zeros, or the key.
    fn bits(self) -> u64;
}

/// A word that is its bits.
pub trait PackedWord: Word {
    /// The low bits of `bits`.
    fn from_bits(bits: u64) -> Self;
}

impl PackedWord for u32 {
    #[inline(always)]
    fn from_bits(bits: u64) -> u32 {
        bits as u32
    }
}

impl PackedWord for u64 {
    #[inline(always)]
    fn from_bits(bits: u64) -> u64 {
        bits
    }
}

impl Word for u32 {
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

impl Word for u64 {
    #[inline(always)]
    fn bits(self) -> u64 {
        self
    }
}

/// Sorts `words`, at most 2^32 - 1, by the bits of `by`; `spare` is memory to work in, and keeps no meaning.
pub fn sort<W: Word>(words: &mut [W], spare: &mut Vec<W>, by: Range<u32>) {
    let digits = by.len().div_ceil(DIGIT_BITS_MAX as usize).min(DIGITS_MAX);
    if digits == 0 || words.len() < 2 {
        return;
    }
    let width = (by.len().div_ceil(digits)) as u32;
    let shifts = |digit: usize| by.start + digit as u32 * width;
    let masks = |digit: usize| (1u64 << width.min(by.end - shifts(digit))) - 1;
    let mut counts = [[0u32; 1 << DIGIT_BITS_MAX]; DIGITS_MAX];
    for word in words.iter() {
        for (digit, counts) in counts[..digits].iter_mut().enumerate() {
            counts[(word.bits() >> shifts(digit) & masks(digit)) as usize] += 1;
        }
    }
    if spare.len() < words.len() {
        spare.resize(words.len(), W::default());
    }
    let (mut from, mut to) = (&mut *words, &mut spare[..]);
    let mut moves = 0;
    for (digit, counts) in counts[..digits].iter_mut().enumerate() {
        let (shift, mask) = (shifts(digit), masks(digit));
        let first = (from[0].bits() >> shift & mask) as usize;
        if counts[first] as usize == from.len() {
            continue;
        }
        let mut next = 0;
        for count in &mut counts[..=mask as usize] {
            next += std::mem::replace(count, next);
        }
        for &word in from.iter() {
            let slot =
                &mut counts[(word.bits() >> shift & mask) as usize & ((1 << DIGIT_BITS_MAX) - 1)];
            to[*slot as usize] = word;
            *slot += 1;
        }
        let len = from.len();
        (from, to) = (&mut to[..len], from);
        moves += 1;
    }
    if moves % 2 == 1 {
        to[..from.len()].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_stable_comparison_sort(
            words in prop::collection::vec(any::<u64>(), 0..600),
            spread in 0..60u32,
            start in 0..64u32,
            len in 0..64u32,
        ) {
            let by = start..(start + len).min(64);
            let key = |bits: u64, by: &Range<u32>| (bits as u128 & ((1u128 << by.end) - 1)) >> by.start;
            let mut wide: Vec<u64> = words.iter().map(|word| word >> spread).collect();
            let mut expected = wide.clone();
            expected.sort_by_key(|&word| key(word, &by));
            sort(&mut wide, &mut Vec::new(), by.clone());
            prop_assert_eq!(wide, expected);

            let by = by.start.min(32)..by.end.min(32);
            let mut narrow: Vec<u32> = words.iter().map(|&word| word as u32).collect();
            let mut expected = narrow.clone();
            expected.sort_by_key(|&word| key(u64::from(word), &by));
            sort(&mut narrow, &mut Vec::new(), by);
            prop_assert_eq!(narrow, expected);
        }
    }
}
