//! Exact weighted sums of a few columns of a row: a second walk, that tests a bit for each wedge and adds up
//! the few that are asked for.

use super::lists::{Lists, NEAR};

/// Columns of a list that are tested before those found are added up.
const FOUND: usize = 256;

/// Memory to sum in.
#[derive(Debug, Default)]
pub struct Sums {
    /// A bit for each column, all 0 between rows: few enough bytes for the first-level cache.
    marks: Vec<u64>,
    /// The place in `sums` of each marked column.
    places: Vec<u32>,
    /// The sums of the columns asked for, in their order.
    sums: Vec<u64>,
}

impl Sums {
    /// The sums over `lefts` of the `weights`, parallel to it, for each of `columns` that
    /// a left node leads to. `width` is the number of all columns.
    pub fn of(
        &mut self,
        lists: &Lists,
        lefts: &[u32],
        weights: &[u32],
        width: usize,
        columns: impl Iterator<Item = u32> + Clone,
    ) -> &[u64] {
        self.marks.resize(width.max(NEAR).div_ceil(64), 0);
        self.places.resize(width, 0);
        self.sums.clear();
        for (place, column) in (0..).zip(columns.clone()) {
            self.marks[column as usize / 64] |= 1 << (column % 64);
            self.places[column as usize] = place;
            self.sums.push(0);
        }
        self.walk(lists, lefts, weights);
        for column in columns {
            self.marks[column as usize / 64] = 0;
        }
        &self.sums
    }

    /// Adds each weight to the sums of the marked columns that its left node leads to.
    fn walk(&mut self, lists: &Lists, lefts: &[u32], weights: &[u32]) {
        let Some((near_marks, far_marks)) = self.marks.split_first_chunk::<{ NEAR / 64 }>() else {
            return;
        };
        let bit = |word: u64, column: u32| (word >> (column % 64) & 1) as usize;
        let mut found = [0; 2 * FOUND];
        for (index, (&left, &weight)) in lefts.iter().zip(weights).enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let mut add = |found: &[u32]| {
                for &column in found {
                    self.sums[self.places[column as usize] as usize] += u64::from(weight);
                }
            };
            // Each is noted, and kept if it is marked: a branch would be mispredicted. No chunk
            // finds more than its length, so that a masked index is in bounds.
            for near in near.chunks(FOUND) {
                let mut count = 0;
                for &column in near {
                    found[count & (2 * FOUND - 1)] = u32::from(column);
                    let word = near_marks[usize::from(column) / 64];
                    count += bit(word, u32::from(column));
                }
                add(&found[..count & (2 * FOUND - 1)]);
            }
            for far in far.chunks(FOUND) {
                let mut count = 0;
                for &column in far {
                    found[count & (2 * FOUND - 1)] = column + NEAR as u32;
                    count += bit(far_marks[column as usize / 64], column);
                }
                add(&found[..count & (2 * FOUND - 1)]);
            }
        }
    }
}
