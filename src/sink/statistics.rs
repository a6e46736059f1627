//! Statistics of a column, gathered while it is written and merged over the parts of a table.
//!
//! Counts, minima, maxima and the sums of integers are exact and do not depend on how the rows
//! arrive. Sums of floats run in row order within a part and in part order over parts. Quantiles
//! are those of [`super::histogram`]. Distinct counts are exact for keys (a bit for each node) and
//! estimated for numbers ([`super::distinct`]).

use serde::{Deserialize, Serialize};

use super::distinct::DistinctEstimate;
use super::histogram::Histogram;
use super::manifest::{ColumnRecord, Distinct, Lengths, Quantiles, Scalar};
use crate::model::{KeyRef, Keys};

/// Statistics of one column of one part or, after [`ColumnStatistics::merge`], of several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnStatistics {
    name: String,
    type_name: String,
    nulls: u64,
    lengths: Option<LengthTotals>,
    values: Values,
}

/// What is kept of the values; of those in the lists, if the column holds lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Values {
    /// One time in all rows, microseconds since 1970; `None` before the first row.
    Time(Option<i64>),
    /// Keys.
    Nodes(Nodes),
    /// Integers.
    Ints(Numbers<i64, i128>),
    /// Floats.
    Floats(Numbers<f64, f64>),
}

/// Keys by dense id, whose order is the keys' own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Nodes {
    ends: Option<(Node, Node)>,
    seen: Vec<u64>,
}

/// A dense id and its key.
type Node = (u32, Scalar);

/// Numbers of type `T` with sums of type `S`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbers<T, S> {
    count: u64,
    /// Floats that are not a number; no part of the other figures.
    nans: u64,
    ends: Option<(T, T)>,
    sum: S,
    histogram: Histogram,
    distinct: DistinctEstimate,
}

/// Lengths of lists.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct LengthTotals {
    lists: u64,
    empty: u64,
    min: u64,
    max: u64,
    sum: u64,
}

/// What a column holds, for the choice of its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Time,
    Nodes,
    Ints,
    Floats,
}

impl ColumnStatistics {
    /// Of a column called `name` of the Arrow type `type_name` without rows.
    pub(super) fn new(name: &str, type_name: &str, kind: Kind, lists: bool) -> ColumnStatistics {
        let lengths = LengthTotals { lists: 0, empty: 0, min: u64::MAX, max: 0, sum: 0 };
        let values = match kind {
            Kind::Time => Values::Time(None),
            Kind::Nodes => Values::Nodes(Nodes::default()),
            Kind::Ints => Values::Ints(Numbers::new()),
            Kind::Floats => Values::Floats(Numbers::new()),
        };
        ColumnStatistics {
            name: name.to_string(),
            type_name: type_name.to_string(),
            nulls: 0,
            lengths: lists.then_some(lengths),
            values,
        }
    }

    /// Adds rows that all hold the time `time_us`.
    pub(super) fn add_time(&mut self, time_us: i64) {
        if let Values::Time(time) = &mut self.values {
            *time = Some(time_us);
        }
    }

    /// Adds the lists whose values end at `offsets[1..]`.
    pub(super) fn add_lengths(&mut self, offsets: &[u32]) {
        let Some(totals) = &mut self.lengths else { return };
        for pair in offsets.windows(2) {
            let length = u64::from(pair[1].saturating_sub(pair[0]));
            totals.lists += 1;
            totals.empty += u64::from(length == 0);
            totals.min = totals.min.min(length);
            totals.max = totals.max.max(length);
            totals.sum += length;
        }
    }

    /// Adds keys by dense id. All must be in `keys`.
    pub(super) fn add_nodes(&mut self, nodes: &[u32], keys: &Keys) {
        let Values::Nodes(all) = &mut self.values else { return };
        let Some((low, high)) = ends_of(nodes) else { return };
        all.seen.resize(all.seen.len().max(keys.len().div_ceil(64)), 0);
        for &node in nodes {
            all.seen[node as usize / 64] |= 1 << (node % 64);
        }
        all.widen((low, scalar_of(keys.get(low as usize))));
        all.widen((high, scalar_of(keys.get(high as usize))));
    }

    /// Adds integers; `None` is a null.
    pub(super) fn add_ints(&mut self, values: impl IntoIterator<Item = Option<i64>>) {
        let Values::Ints(all) = &mut self.values else { return };
        for value in values {
            match value {
                None => self.nulls += 1,
                Some(value) => {
                    all.sum += i128::from(value);
                    all.add(value, value as f32, value as u64);
                }
            }
        }
    }

    /// Adds floats.
    pub(super) fn add_floats(&mut self, values: impl IntoIterator<Item = f64>) {
        let Values::Floats(all) = &mut self.values else { return };
        for value in values {
            if value.is_nan() {
                all.nans += 1;
                continue;
            }
            all.sum += value;
            // Adding zero makes one zero of the two, which are equal but differ in a bit.
            all.add(value, value as f32, (value + 0.0).to_bits());
        }
    }

    /// Adds those of the same column of the next part.
    pub fn merge(&mut self, next: &ColumnStatistics) {
        self.nulls += next.nulls;
        if let (Some(totals), Some(more)) = (&mut self.lengths, &next.lengths) {
            totals.lists += more.lists;
            totals.empty += more.empty;
            totals.min = totals.min.min(more.min);
            totals.max = totals.max.max(more.max);
            totals.sum += more.sum;
        }
        match (&mut self.values, &next.values) {
            (Values::Time(time), Values::Time(more)) => *time = time.or(*more),
            (Values::Nodes(nodes), Values::Nodes(more)) => nodes.merge(more),
            (Values::Ints(ints), Values::Ints(more)) => {
                ints.sum += more.sum;
                ints.merge(more);
            }
            (Values::Floats(floats), Values::Floats(more)) => {
                floats.sum += more.sum;
                floats.merge(more);
            }
            _ => debug_assert!(false, "{} and {} are one column", self.name, next.name),
        }
    }

    /// As the manifest has them. `doc` says what the column is.
    pub fn record(&self, doc: &str) -> ColumnRecord {
        let mut record = ColumnRecord {
            name: self.name.clone(),
            type_name: self.type_name.clone(),
            doc: doc.to_string(),
            nulls: self.nulls,
            lengths: self.lengths.as_ref().and_then(LengthTotals::record),
            ..ColumnRecord::default()
        };
        match &self.values {
            Values::Time(time) => {
                let text = time.map(|us| Scalar::Text(crate::model::format_timestamp(us)));
                record.distinct = Some(Distinct { count: u64::from(time.is_some()), exact: true });
                (record.min, record.max) = (text.clone(), text);
            }
            Values::Nodes(nodes) => {
                let count = nodes.seen.iter().map(|word| u64::from(word.count_ones())).sum();
                record.distinct = Some(Distinct { count, exact: true });
                if let Some((low, high)) = &nodes.ends {
                    (record.min, record.max) = (Some(low.1.clone()), Some(high.1.clone()));
                }
            }
            Values::Ints(ints) => {
                ints.describe(&mut record, ints.sum as f64, Scalar::Int, |value| value as f64);
            }
            Values::Floats(floats) => {
                floats.describe(&mut record, floats.sum, Scalar::Float, |value| value);
            }
        }
        record
    }
}

impl Nodes {
    /// Takes `node` into the ends.
    fn widen(&mut self, node: Node) {
        match &mut self.ends {
            None => self.ends = Some((node.clone(), node)),
            Some((low, _)) if node.0 < low.0 => *low = node,
            Some((_, high)) if node.0 > high.0 => *high = node,
            Some(_) => {}
        }
    }

    fn merge(&mut self, more: &Nodes) {
        self.seen.resize(self.seen.len().max(more.seen.len()), 0);
        for (word, other) in self.seen.iter_mut().zip(&more.seen) {
            *word |= other;
        }
        if let Some((low, high)) = &more.ends {
            self.widen(low.clone());
            self.widen(high.clone());
        }
    }
}

impl<T: Copy + PartialOrd, S: Default> Numbers<T, S> {
    fn new() -> Numbers<T, S> {
        Numbers {
            count: 0,
            nans: 0,
            ends: None,
            sum: S::default(),
            histogram: Histogram::new(),
            distinct: DistinctEstimate::new(),
        }
    }

    #[inline]
    fn add(&mut self, value: T, short: f32, bits: u64) {
        self.count += 1;
        self.widen(value, value);
        self.histogram.add(short);
        self.distinct.add(bits);
    }

    #[inline]
    fn widen(&mut self, low: T, high: T) {
        let (min, max) = self.ends.unwrap_or((low, high));
        self.ends = Some((if low < min { low } else { min }, if high > max { high } else { max }));
    }

    fn merge(&mut self, more: &Numbers<T, S>) {
        self.count += more.count;
        self.nans += more.nans;
        if let Some((low, high)) = more.ends {
            self.widen(low, high);
        }
        self.histogram.merge(&more.histogram);
        self.distinct.merge(&more.distinct);
    }

    fn describe(
        &self,
        record: &mut ColumnRecord,
        sum: f64,
        scalar: impl Fn(T) -> Scalar,
        float: impl Fn(T) -> f64,
    ) {
        record.nans = self.nans;
        record.distinct = Some(Distinct { count: self.distinct.estimate(), exact: false });
        let Some((min, max)) = self.ends else { return };
        (record.min, record.max) = (Some(scalar(min)), Some(scalar(max)));
        record.mean = Some(sum / self.count as f64);
        // A bucket begins below its least value, and float32 has the smaller range.
        let at = |q| self.histogram.quantile(q).map(|v| v.clamp(float(min), float(max)));
        record.quantiles = quantiles(at);
    }
}

impl LengthTotals {
    /// As the manifest has them; `None` if there is no list.
    fn record(&self) -> Option<Lengths> {
        (self.lists > 0).then(|| Lengths {
            min: self.min,
            max: self.max,
            mean: self.sum as f64 / self.lists as f64,
            empty: self.empty,
        })
    }
}

/// The quantiles of the manifest by `at`.
fn quantiles(at: impl Fn(f64) -> Option<f64>) -> Option<Quantiles> {
    Some(Quantiles {
        p01: at(0.01)?,
        p05: at(0.05)?,
        p25: at(0.25)?,
        p50: at(0.5)?,
        p75: at(0.75)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
    })
}

/// The least and the greatest of `nodes`.
pub(super) fn ends_of(nodes: &[u32]) -> Option<(u32, u32)> {
    let first = *nodes.first()?;
    Some(nodes.iter().fold((first, first), |(low, high), &n| (low.min(n), high.max(n))))
}

/// A key as the manifest has it.
fn scalar_of(key: KeyRef<'_>) -> Scalar {
    match key {
        KeyRef::Int64(key) => Scalar::Int(key),
        KeyRef::Utf8(key) => Scalar::Text(key.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f64]) -> ColumnStatistics {
        let mut statistics = ColumnStatistics::new("x", "double", Kind::Floats, false);
        statistics.add_floats(values.iter().copied());
        statistics
    }

    #[test]
    fn floats_are_summed_up_without_those_that_are_no_number() {
        let record = floats(&[4.0, f64::NAN, -1.0, 0.0, -0.0, 2.0]).record("doc");
        assert_eq!((record.nulls, record.nans), (0, 1));
        assert_eq!((record.min, record.max), (Some(Scalar::Float(-1.0)), Some(Scalar::Float(4.0))));
        assert_eq!(record.mean, Some(1.0));
        assert_eq!(record.quantiles.map(|q| (q.p01, q.p50, q.p99)), Some((-1.0, 0.0, 4.0)));
        assert_eq!(record.distinct, Some(Distinct { count: 4, exact: false }));
    }

    #[test]
    fn integers_keep_all_their_bits() {
        let mut ints = ColumnStatistics::new("x", "int64", Kind::Ints, false);
        ints.add_ints([Some(i64::MAX), None, Some(i64::MAX - 2), None]);
        let record = ints.record("");
        assert_eq!(record.nulls, 2);
        assert_eq!(record.min, Some(Scalar::Int(i64::MAX - 2)));
        assert_eq!(record.max, Some(Scalar::Int(i64::MAX)));
        assert_eq!(record.mean, Some((i64::MAX - 1) as f64));
        assert_eq!(record.distinct.map(|distinct| distinct.count), Some(2));
    }

    #[test]
    fn keys_are_counted_exactly_and_named() {
        let mut keys = Keys::new(crate::model::KeyType::Utf8);
        (0..200).for_each(|i| keys.push(KeyRef::Utf8(&format!("k{i:03}"))));
        let mut first = ColumnStatistics::new("ids", "list<item: string>", Kind::Nodes, true);
        first.add_nodes(&[5, 130, 5, 64], &keys);
        first.add_lengths(&[0, 3, 3, 4]);
        let mut second = ColumnStatistics::new("ids", "list<item: string>", Kind::Nodes, true);
        second.add_nodes(&[3, 64, 199], &keys);
        second.add_lengths(&[0, 3]);
        first.merge(&second);
        let record = first.record("");
        assert_eq!(record.min, Some(Scalar::Text("k003".into())));
        assert_eq!(record.max, Some(Scalar::Text("k199".into())));
        assert_eq!(record.distinct, Some(Distinct { count: 5, exact: true }));
        assert_eq!(record.lengths, Some(Lengths { min: 0, max: 3, mean: 1.75, empty: 1 }));
        assert!(record.mean.is_none() && record.quantiles.is_none());
    }

    #[test]
    fn parts_merge_into_what_one_part_would_have() {
        let values: Vec<f64> = (0..1_000).map(|i| f64::from(i * 37 % 500)).collect();
        let mut merged = floats(&values[..300]);
        merged.merge(&floats(&[]));
        merged.merge(&floats(&values[300..]));
        assert_eq!(merged.record(""), floats(&values).record(""));
    }

    #[test]
    fn nothing_at_all_has_no_figures() {
        let record = floats(&[]).record("");
        let empty = Some(Distinct { count: 0, exact: false });
        assert_eq!((record.min, record.mean, record.distinct), (None, None, empty));
        assert_eq!(ColumnStatistics::new("l", "", Kind::Ints, true).record("").lengths, None);
    }

    #[test]
    fn extreme_floats_stay_within_their_ends() {
        let record = floats(&[f64::MAX, 1e-300, f64::MIN]).record("");
        let quantiles = record.quantiles.unwrap();
        assert_eq!((quantiles.p01, quantiles.p99), (f64::MIN, f64::MAX));
        assert_eq!(quantiles.p50, 0.0);
    }
}
