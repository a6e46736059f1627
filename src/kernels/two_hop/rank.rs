//! Step 4 of a row: exact scores of the candidates, and their order.
//!
//! Scores are computed slice by slice, so that square roots and divisions are vector instructions. Many
//! candidates are sorted by radix on the leading bits of their scores, then by insertion: those that agree in
//! these bits are mostly ties, and come in ascending order of their ids ([`super::lists::columns_by_norm`]).

use super::select::Row;
use crate::kernels::radix;

/// From so many candidates on they are sorted by radix.
const RADIX_MIN: usize = 256;

/// Leading bits of the range of scores that the radix sort takes: two digits.
const RADIX_BITS: u32 = 18;

/// Memory to rank in.
#[derive(Debug, Default)]
pub struct Ranking {
    overlaps: Vec<f64>,
    norms: Vec<f64>,
    scores: Vec<f32>,
    /// Negated score above, dense id below.
    keys: Vec<u64>,
    spare: Vec<u64>,
}

impl Ranking {
    /// Appends the best of `columns`, parallel to their exact `overlaps`, to `out`: score and dense id,
    /// best first.
    pub fn rank(
        &mut self,
        columns: impl Iterator<Item = u32> + Clone,
        overlaps: impl Iterator<Item = u64>,
        row: Row<'_>,
        out: &mut Vec<(f32, u32)>,
    ) {
        // Sums are far below 2^63, and signed integers convert in one instruction.
        let real = |number: u64| number as i64 as f64;
        self.overlaps.clear();
        self.overlaps.extend(overlaps.map(real));
        self.norms.clear();
        self.norms
            .extend(columns.clone().map(|column| real(row.norms.columns[column as usize].norm)));
        row.scoring.scores(&self.overlaps, real(row.norm), &self.norms, &mut self.scores);
        self.keys.clear();
        self.keys.extend(self.scores.iter().zip(columns).map(|(score, column)| {
            // Scores are positive, so their bits are in the order of their values.
            u64::from(!score.to_bits()) << 32 | u64::from(row.norms.columns[column as usize].node)
        }));
        if self.keys.len() > 2 * row.top_k {
            self.keys.select_nth_unstable(row.top_k);
            self.keys.truncate(row.top_k);
        }
        self.sort();
        self.keys.truncate(row.top_k);
        let pair = |&key: &u64| (f32::from_bits(!((key >> 32) as u32)), key as u32);
        out.extend(self.keys.iter().map(pair));
    }

    /// Sorts the keys.
    fn sort(&mut self) {
        let keys = &mut self.keys;
        if keys.len() < RADIX_MIN {
            keys.sort_unstable();
            return;
        }
        let least = keys.iter().min().map_or(0, |key| key >> 32 << 32);
        let most = keys.iter().max().map_or(0, |key| key - least);
        keys.iter_mut().for_each(|key| *key -= least);
        let end = u64::BITS - most.leading_zeros();
        let start = end.max(u32::BITS).saturating_sub(RADIX_BITS);
        radix::sort(keys, &mut self.spare, start..end);
        insert(keys);
        keys.iter_mut().for_each(|key| *key += least);
    }
}

/// Sorts keys that are nearly sorted: by insertion as long as little is moved.
fn insert(keys: &mut [u64]) {
    let mut moves = 8 * keys.len();
    for end in 1..keys.len() {
        let key = keys[end];
        let mut place = end;
        while place > 0 && keys[place - 1] > key {
            keys[place] = keys[place - 1];
            place -= 1;
        }
        keys[place] = key;
        moves = moves.saturating_sub(end - place);
        if moves == 0 {
            keys.sort_unstable();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_come_in_order_whatever_their_ties() {
        // Few scores with ids in descending order, all equal scores, all different, and far apart.
        for (scores, spread) in [(3, 1), (1, 1), (5000, 977), (2, 1 << 30)] {
            let key = |place: u64| (place * 7919 % scores * spread) << 32 | (5000 - place);
            let mut ranking = Ranking { keys: (0..2000).map(key).collect(), ..Ranking::default() };
            let mut expected = ranking.keys.clone();
            ranking.sort();
            expected.sort_unstable();
            assert_eq!(ranking.keys, expected);
        }
    }
}
