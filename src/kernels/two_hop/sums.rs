//! Exact weighted sums of a few columns of a row.

use super::lists::{Lists, NEAR};

/// Slots that take what other columns add up to. A walk adds to some slot at every step, so that it
/// has no branch to mispredict, and many such slots, so that a step seldom waits for the one before.
const SPARE: usize = 64;

/// Columns summed in one walk at most, so that slots have 16 bits.
const AT_ONCE: usize = (1 << 16) - SPARE;

/// Sums by slot.
#[derive(Debug, Default)]
pub struct Sums {
    /// The slot of each column: one of the first [`SPARE`] but for the columns that are summed.
    slots: Vec<u16>,
    /// What was added to each slot; empty or 65,536 long.
    values: Vec<u64>,
    /// The sums of the columns asked for, in their order.
    sums: Vec<u64>,
}

impl Sums {
    /// The sums over `lefts` of the `weights`, parallel to it, for each column of `candidates` that
    /// a left node leads to. `columns` is the number of all columns.
    pub fn of<T>(
        &mut self,
        lists: &Lists,
        lefts: &[u32],
        weights: &[u32],
        columns: usize,
        candidates: &[(u32, T)],
    ) -> &[u64] {
        if self.slots.len() < columns.max(NEAR) {
            self.slots = (0..columns.max(NEAR)).map(spare).collect();
            self.values.resize(1 << 16, 0);
        }
        self.sums.clear();
        for candidates in candidates.chunks(AT_ONCE) {
            for (index, &(column, _)) in candidates.iter().enumerate() {
                self.slots[column as usize] = (SPARE + index) as u16;
                self.values[SPARE + index] = 0;
            }
            self.walk(lists, lefts, weights);
            self.sums.extend_from_slice(&self.values[SPARE..SPARE + candidates.len()]);
            for &(column, _) in candidates {
                self.slots[column as usize] = spare(column as usize);
            }
        }
        &self.sums
    }

    /// Adds each weight to the slots of the columns that its left node leads to.
    fn walk(&mut self, lists: &Lists, lefts: &[u32], weights: &[u32]) {
        let Some((near_slots, far_slots)) = self.slots.split_first_chunk::<NEAR>() else {
            return;
        };
        let Some(values) = self.values.first_chunk_mut::<{ 1 << 16 }>() else {
            return;
        };
        for (index, (&left, &weight)) in lefts.iter().zip(weights).enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let weight = u64::from(weight);
            for &column in near {
                let value = &mut values[usize::from(near_slots[usize::from(column)])];
                // The spare slots may overflow; nobody reads them.
                *value = value.wrapping_add(weight);
            }
            for &column in far {
                let value = &mut values[usize::from(far_slots[column as usize])];
                *value = value.wrapping_add(weight);
            }
        }
    }
}

/// The slot of a column that is not summed.
fn spare(column: usize) -> u16 {
    (column % SPARE) as u16
}
