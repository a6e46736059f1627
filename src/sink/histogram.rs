//! Quantiles of a column in one pass and bounded memory.
//!
//! **Representation.** A count for each bfloat16: the upper 16 bits of a value as float32 (sign,
//! exponent, 7 bits of the fraction) name its bucket. Buckets of one exponent are evenly spaced,
//! so the relative error is below 2^-7 (0.8%) wherever the values lie, and whole numbers up to
//! 256 are exact. This is the log-linear bucketing of HdrHistogram with the floating-point format
//! as its index.
//!
//! **Steps.** Count each value's bucket; add counts to merge; walk the buckets in the order of
//! their values for a quantile. Nothing depends on the order of the values.
//!
//! **Cost.** A few cycles a value; 512 KiB of zero pages, of which only those in use are touched.

use serde::{Deserialize, Serialize};

/// Buckets: all upper halves of a float32.
const BUCKETS: usize = 1 << 16;

/// Counts of values by bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub(super) struct Histogram {
    /// [`BUCKETS`] of them.
    counts: Vec<u64>,
}

/// From the buckets in use, as they go between processes.
impl From<Vec<(u16, u64)>> for Histogram {
    fn from(used: Vec<(u16, u64)>) -> Histogram {
        let mut histogram = Histogram::new();
        for (bucket, count) in used {
            histogram.counts[usize::from(bucket)] = count;
        }
        histogram
    }
}

impl From<Histogram> for Vec<(u16, u64)> {
    fn from(histogram: Histogram) -> Vec<(u16, u64)> {
        (0..=u16::MAX).zip(histogram.counts).filter(|&(_, count)| count > 0).collect()
    }
}

impl Histogram {
    /// Nothing counted yet.
    pub(super) fn new() -> Histogram {
        Histogram { counts: vec![0; BUCKETS] }
    }

    /// Counts `value`, which is a number.
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        self.counts[(value.to_bits() >> 16) as usize] += 1;
    }

    /// Adds the counts of `other`.
    pub(super) fn merge(&mut self, other: &Histogram) {
        for (count, &more) in self.counts.iter_mut().zip(&other.counts) {
            // Pages that nothing was counted in stay untouched.
            if more > 0 {
                *count += more;
            }
        }
    }

    /// The value below or at which a share `q` of all values lies, 0 to 1: that of rank
    /// `ceil(q n)`, at least the first, cut to 8 bits towards zero. `None` if nothing was counted.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        // Negative numbers descend in value as their bits ascend.
        for upper in (0x8000..=0xFFFFu16).rev().chain(0..=0x7FFF) {
            below += self.counts[usize::from(upper)];
            if below >= rank {
                return Some(f64::from(f32::from_bits(u32::from(upper) << 16)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::new();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn small_whole_numbers_are_exact() {
        let histogram = of((1..=200).map(|i| i as f32));
        assert_eq!(histogram.quantile(0.0), Some(1.0));
        assert_eq!(histogram.quantile(0.5), Some(100.0));
        assert_eq!(histogram.quantile(0.99), Some(198.0));
        assert_eq!(histogram.quantile(1.0), Some(200.0));
        assert_eq!(of([]).quantile(0.5), None);
    }

    #[test]
    fn quantiles_are_within_their_bound_across_magnitudes_and_signs() {
        for scale in [1e-20f32, 1e-3, 1.0, 1e9] {
            for sign in [-1.0f32, 1.0] {
                let values: Vec<f32> = (1..=10_000).map(|i| sign * scale * i as f32).collect();
                let mut sorted = values.clone();
                sorted.sort_by(f32::total_cmp);
                let histogram = of(values);
                for (q, index) in [(0.01, 99), (0.25, 2499), (0.5, 4999), (0.99, 9899)] {
                    let exact = f64::from(sorted[index]);
                    let error = (histogram.quantile(q).unwrap() - exact).abs() / exact.abs();
                    assert!(error < 1.0 / 128.0, "q{q} at scale {scale}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn a_merge_counts_both() {
        let mut first = of([1.0, 2.0, -4.0, 0.0]);
        first.merge(&of([2.0, 3.0, -4.0, -0.5]));
        assert_eq!(first.counts, of([1.0, 2.0, -4.0, 0.0, 2.0, 3.0, -4.0, -0.5]).counts);
        assert_eq!(first.quantile(0.25), Some(-4.0));
        let json = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap().counts, first.counts);
    }
}
