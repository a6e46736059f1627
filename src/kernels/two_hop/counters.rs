//! The accumulator of a row: one counter a column, and the integer types it comes in.

use super::lists::{Lists, NEAR};

/// Columns side by side in a group: a block is [`GROUPS`] strided groups of [`DEPTH`] columns.
pub const GROUPS: usize = 32;

/// Columns of a group.
pub const DEPTH: usize = 16;

/// Columns of a block.
pub const BLOCK: usize = GROUPS * DEPTH;

/// An unsigned integer that counters are made of.
pub trait Counter: Copy + Ord + Default + Send + 'static {
    /// The largest sum that leaves room for a threshold above it.
    const LARGEST: u64;

    /// The sum; the caller has made sure that it fits.
    fn plus(self, step: Self) -> Self;

    /// The smallest integer above `real`, which is not negative, or any above [`Counter::LARGEST`]
    /// if that does not fit.
    fn above(real: f32) -> Self;

    /// `number`, or any above [`Counter::LARGEST`] if that does not fit.
    fn at_most(number: u64) -> Self;

    /// The value as the widest type.
    fn wide(self) -> u64;

    /// A small number in this type.
    fn small(number: bool) -> Self;
}

macro_rules! counter {
    ($type:ty, $through:ty) => {
        impl Counter for $type {
            const LARGEST: u64 = <$type>::MAX as u64 - 1;

            #[inline(always)]
            fn plus(self, step: Self) -> Self {
                self.wrapping_add(step)
            }

            #[inline(always)]
            fn above(real: f32) -> Self {
                (real as $through).min(Self::LARGEST as $through) as $type + 1
            }

            #[inline(always)]
            fn at_most(number: u64) -> Self {
                number.min(Self::LARGEST + 1) as $type
            }

            #[inline(always)]
            fn wide(self) -> u64 {
                u64::from(self)
            }

            #[inline(always)]
            fn small(number: bool) -> Self {
                <$type>::from(number)
            }
        }
    };
}

counter!(u8, i32);
counter!(u16, i32);
counter!(u32, u64);
counter!(u64, u64);

/// Counters of all columns, zero between rows, and what the current row has touched.
#[derive(Debug, Default)]
pub struct Counters<T> {
    /// One a column, padded to whole blocks and to at least [`NEAR`].
    values: Vec<T>,
    /// The blocks that the row may have touched.
    blocks: Vec<u32>,
    /// One a block: whether it is in `blocks`; all false between rows.
    marked: Vec<bool>,
}

impl<T: Counter> Counters<T> {
    /// Makes room for `columns` columns.
    pub fn reserve(&mut self, columns: usize) {
        let length = columns.max(NEAR).next_multiple_of(BLOCK);
        if self.values.len() < length {
            self.values.resize(length, T::default());
            self.marked.resize(length / BLOCK, false);
        }
    }

    /// Adds `step(left)` to the columns of each of `lefts`.
    #[inline(always)]
    pub fn add(&mut self, lists: &Lists, lefts: &[u32], columns: usize, step: impl Fn(u32) -> T) {
        self.blocks.clear();
        self.blocks.extend(0..columns.div_ceil(BLOCK) as u32);
        let Some((near_values, far_values)) = self.values.split_first_chunk_mut::<NEAR>() else {
            return;
        };
        for (index, &left) in lefts.iter().enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let step = step(left);
            for &column in near {
                let value = &mut near_values[usize::from(column)];
                *value = value.plus(step);
            }
            for &column in far {
                if let Some(value) = far_values.get_mut(column as usize) {
                    *value = value.plus(step);
                }
            }
        }
    }

    /// As [`Counters::add`], but notes which blocks were touched: for rows that touch few of many.
    #[inline(always)]
    pub fn add_marking(&mut self, lists: &Lists, lefts: &[u32], step: impl Fn(u32) -> T) {
        self.blocks.clear();
        for (index, &left) in lefts.iter().enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let step = step(left);
            let near = near.iter().map(|&column| usize::from(column));
            for column in near.chain(far.iter().map(|&column| column as usize + NEAR)) {
                let value = &mut self.values[column];
                *value = value.plus(step);
                let mark = &mut self.marked[column / BLOCK];
                if !*mark {
                    *mark = true;
                    self.blocks.push((column / BLOCK) as u32);
                }
            }
        }
        for &block in &self.blocks {
            self.marked[block as usize] = false;
        }
    }

    /// The blocks that the row may have touched, in no particular order.
    pub fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// The counters of `block`.
    #[inline(always)]
    pub fn block(&self, block: u32) -> &[T] {
        let begin = block as usize * BLOCK;
        &self.values[begin..begin + BLOCK]
    }

    /// Sets the counter of `column` to zero.
    pub fn reset(&mut self, column: u32) {
        self.values[column as usize] = T::default();
    }

    /// Sets to zero what `other` counts less than `least` times. Both have seen the same row.
    pub fn reset_below(&mut self, other: &Counters<u32>, least: u32) {
        for &block in &self.blocks {
            let begin = block as usize * BLOCK;
            let values = &mut self.values[begin..begin + BLOCK];
            for (value, &count) in values.iter_mut().zip(other.block(block)) {
                if count < least {
                    *value = T::default();
                }
            }
        }
    }

    /// Sets what the row has touched to zero.
    pub fn clear(&mut self) {
        for &block in &self.blocks {
            let begin = block as usize * BLOCK;
            self.values[begin..begin + BLOCK].fill(T::default());
        }
        self.blocks.clear();
    }
}
