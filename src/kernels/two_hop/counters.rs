//! The accumulator of a row: one counter a column, and the integer types it comes in.

use super::lists::{Lists, NEAR};

/// Columns side by side in a group: a block is [`GROUPS`] strided groups of [`DEPTH`] columns.
pub const GROUPS: usize = 64;

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

    /// The smallest integer that is not below `real`, give or take 10^-5, or any above
    /// [`Counter::LARGEST`] if that does not fit. `real` is not negative.
    fn reaching(real: f32) -> Self;

    /// `number`, or any above [`Counter::LARGEST`] if that does not fit.
    fn at_most(number: u64) -> Self;

    /// The value as the widest type.
    fn wide(self) -> u64;

    /// A small number in this type.
    fn small(number: bool) -> Self;
}

/// What is added before rounding to the nearest integer, to round up instead; a little less than a
/// half, so that an integer that got a rounding error stays what it was.
const ROUND_UP: f32 = 0.499_99;

/// From 2^23 on the last bit of an f32 stands for 1: adding it rounds to an integer, which is then in
/// the low bits. Unlike a cast, which saturates, this is one vector instruction.
const TO_INTEGER: f32 = 8_388_608.0;

/// [`Counter::reaching`] for counters of up to 16 bits.
#[inline(always)]
fn reaching_small(real: f32, largest: u64) -> u32 {
    // One past the largest sum, so that a larger `real` is never reached.
    let clamped = (real + ROUND_UP).min((largest + 1) as f32);
    (clamped + TO_INTEGER).to_bits() & 0x1_ffff
}

macro_rules! counter {
    ($type:ty, $reaching:expr) => {
        impl Counter for $type {
            const LARGEST: u64 = <$type>::MAX as u64 - 1;

            #[inline(always)]
            fn plus(self, step: Self) -> Self {
                self.wrapping_add(step)
            }

            #[inline(always)]
            fn reaching(real: f32) -> Self {
                $reaching(real)
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

counter!(u8, |real| reaching_small(real, u8::LARGEST) as u8);
counter!(u16, |real| reaching_small(real, u16::LARGEST) as u16);
counter!(u32, |real: f32| real.ceil() as u32);

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

    /// Adds `step(index)` to the columns of each of `lefts`.
    #[inline(always)]
    pub fn add(&mut self, lists: &Lists, lefts: &[u32], columns: usize, step: impl Fn(usize) -> T) {
        self.blocks.clear();
        self.blocks.extend(0..columns.div_ceil(BLOCK) as u32);
        let Some((near_values, far_values)) = self.values.split_first_chunk_mut::<NEAR>() else {
            return;
        };
        for (index, &left) in lefts.iter().enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let step = step(index);
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
    pub fn add_marking(&mut self, lists: &Lists, lefts: &[u32], step: impl Fn(usize) -> T) {
        self.blocks.clear();
        for (index, &left) in lefts.iter().enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let step = step(index);
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

    /// As [`Counters::add`], but lists the columns that were touched: for rows that touch very few of
    /// many. `touched` must be empty.
    pub fn add_listing(
        &mut self,
        lists: &Lists,
        lefts: &[u32],
        wedges: u64,
        touched: &mut Vec<u32>,
    ) {
        let one = T::small(true);
        // Each step is written, and kept if it is the first of its column: a branch would be
        // mispredicted.
        touched.resize(wedges as usize + 1, 0);
        let mut count = 0;
        for (index, &left) in lefts.iter().enumerate() {
            lists.prefetch_ahead(lefts, index);
            let (near, far) = lists.columns(left);
            let near = near.iter().map(|&column| u32::from(column));
            for column in near.chain(far.iter().map(|&column| column + NEAR as u32)) {
                let value = &mut self.values[column as usize];
                touched[count] = column;
                count += usize::from(*value == T::default());
                *value = value.plus(one);
            }
        }
        touched.truncate(count);
    }

    /// The counter of `column`.
    #[inline(always)]
    pub fn value(&self, column: u32) -> T {
        self.values[column as usize]
    }

    /// Sets the counters of `touched` to zero, and empties it.
    pub fn clear_listed(&mut self, touched: &mut Vec<u32>) {
        for column in touched.drain(..) {
            self.values[column as usize] = T::default();
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
    pub fn reset_below<C: Counter>(&mut self, other: &Counters<C>, least: u32) {
        let least = C::at_most(u64::from(least));
        for &block in &self.blocks {
            let begin = block as usize * BLOCK;
            let values = &mut self.values[begin..begin + BLOCK];
            for (value, &count) in values.iter_mut().zip(other.block(block)) {
                *value = if count < least { T::default() } else { *value };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds<T: Counter>() {
        let reaching = |real: f32| T::reaching(real).wide();
        for number in [0, 1, 2, 13, 31] {
            let real = number as f32;
            assert_eq!(reaching(real), number);
            assert_eq!(reaching(real + 4e-6), number);
            assert_eq!(reaching(real + 0.01), number + 1);
            assert_eq!(reaching(real + 0.99), number + 1);
        }
        for beyond in [T::LARGEST as f32 * 1.01, 1e30, f32::INFINITY] {
            assert!(reaching(beyond) > T::LARGEST, "{beyond}");
        }
        assert_eq!(T::at_most(T::LARGEST + 7).wide(), T::LARGEST + 1);
    }

    #[test]
    fn thresholds_round_up_but_for_rounding_errors_and_never_wrap() {
        thresholds::<u8>();
        thresholds::<u16>();
        // 32 bits round any fraction up: one column more or less, within the margin.
        assert_eq!([2.0, 2.01, f32::INFINITY].map(u32::reaching), [2, 3, u32::MAX]);
    }
}
