//! Which columns of a block reach a threshold, without a branch for each.

use super::counters::{BLOCK, Counter, GROUPS};
use super::select::Column;
use crate::kernels::prefetch::prefetch;

/// Half the groups of a block: their bytes fill a vector.
pub const HALF: usize = GROUPS / 2;

/// Words of hits of a block.
const WORDS: usize = BLOCK / 64;

/// Length of [`Words`].
pub const WORDS_MAX: usize = 2 * WORDS;

/// Memory of [`collect`]: the first column of each word that has hits, and the word. Twice as long as needed,
/// so that a masked index is in bounds.
pub type Words = [(usize, u64); WORDS_MAX];

/// How many of a block's counters reach `threshold`.
#[inline(always)]
pub fn count<T: Counter>(values: &[T], threshold: T) -> usize {
    let tiles = values.as_chunks::<GROUPS>().0.chunks(8);
    let hits = tiles.flat_map(|rows| hits_of(rows, threshold));
    hits.map(|hits| hits.count_ones() as usize).sum()
}

/// Adds the columns of `block` whose counters reach `threshold`, in the order of [`super::lists::columns_by_norm`].
#[inline(always)]
pub fn collect<T: Counter>(
    values: &[T],
    block: u32,
    threshold: T,
    columns: &[Column],
    words: &mut Words,
    candidates: &mut Vec<(u32, T)>,
) {
    // The words that have hits, and how many hits; a branch on either would be mispredicted.
    let (mut used, mut count) = (0, 0);
    for (upper, rows) in values.as_chunks::<GROUPS>().0.chunks(8).enumerate() {
        for (word, &hits) in hits_of(rows, threshold).iter().enumerate() {
            words[used & (2 * WORDS - 1)] = (upper * 8 * GROUPS + word * 8, u64::from_le(hits));
            used += usize::from(hits != 0);
            count += hits.count_ones();
        }
    }
    let mut at = 0;
    candidates.extend((0..count).map(|_| {
        let (begin, hits) = &mut words[at & (2 * WORDS - 1)];
        let bit = hits.trailing_zeros() as usize;
        let within = *begin + bit % 8 * GROUPS + bit / 8;
        *hits &= *hits - 1;
        at += usize::from(*hits == 0);
        // The ranking reads it next.
        prefetch(columns, block as usize * BLOCK + within);
        (block * BLOCK as u32 + within as u32, values[within & (BLOCK - 1)])
    }));
}

/// Which of eight `rows` of counters reach `threshold`: a byte for each group, whose lowest bit stands for the
/// first row. Not inlined: seeing what becomes of the bytes, the compiler would take them apart.
#[inline(never)]
fn hits_of<T: Counter>(rows: &[[T; GROUPS]], threshold: T) -> [u64; GROUPS / 8] {
    let mut hits = [[0u8; HALF]; GROUPS / HALF];
    for (half, hits) in hits.iter_mut().enumerate() {
        let mut bits = [0u8; HALF];
        for values in rows.iter().rev() {
            let values = &values.as_chunks::<HALF>().0[half];
            bits = std::array::from_fn(|group| {
                bits[group] + bits[group] + u8::from(values[group] >= threshold)
            });
        }
        *hits = bits;
    }
    bytemuck::cast(hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_and_only_the_hits<T: Counter>() {
        // A third are 0, and the others differ within and between groups.
        let value = |place: usize| T::at_most((place * 7919 % 251 % 3 * (place % 83)) as u64);
        let values: Vec<T> = (0..BLOCK).map(value).collect();
        let mut words = [(0, 0); WORDS_MAX];
        for threshold in [1, 2, 40, 164, 165].map(T::at_most) {
            let mut candidates = Vec::new();
            collect(&values, 3, threshold, &[], &mut words, &mut candidates);
            assert_eq!(count(&values, threshold), candidates.len());
            let mut found: Vec<(u32, u64)> =
                candidates.iter().map(|&(c, v)| (c, v.wide())).collect();
            found.sort_unstable();
            let expected = (3 * BLOCK as u32..).zip(&values).filter(|&(_, &v)| v >= threshold);
            assert_eq!(found, expected.map(|(c, &v)| (c, v.wide())).collect::<Vec<_>>());
        }
    }

    #[test]
    fn collecting_gives_what_a_filter_gives() {
        all_and_only_the_hits::<u8>();
        all_and_only_the_hits::<u16>();
        all_and_only_the_hits::<u32>();
    }
}
