//! A sample of a job's events, and what it says about all of them.
//!
//! Sample: up to [`SPLITS`] splits spread evenly over the input (all, if that is known to be few
//! rows), about [`ROWS`] rows in all, each split read from its beginning. The sampled events, in order, are cut into [`BLOCKS`] blocks.
//!
//! 1. Rows: from metadata where the format has them (Parquet), else bytes over bytes a row.
//! 2. Events: rows times the share of the sampled rows that became events.
//! 3. Distinct keys and pairs: Chao's estimate of unseen species (Chao 1987, incidence form), whose
//!    sampling units are the blocks. With d keys seen, q1 of them in one block and q2 in two,
//!    D = d + (m-1)/m q1 (q1-1) / (2 (q2+1)). It is at least d, and at most what a straight line
//!    gives, d + q1 (N/n - 1), which holds where the input is sorted by that key.
//! 4. Wedges, the sum of squared degrees: pairs of sampled edges at one node, each divided by its
//!    chance of being sampled (Horvitz and Thompson 1952): n/N for two of one block or of
//!    neighbouring blocks of a split, its square for two far apart.
//!
//! Error: rows are exact where metadata has them. D is a lower bound in expectation where events
//! come in random order, low by up to a third for heavy-tailed keys at a few percent sampled; the
//! two bounds are given with it. Cost: one pass and a few sorts over the sample.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::lines::bytes_a_line;
use crate::model::{ErrorKind, EventBatch, KeyRef, Keys, Reject, Result, ScanRequest};
use crate::source::{EventSink, ScanPlan, Source};

/// Rows of a sample, about.
pub const ROWS: u64 = 200_000;

/// Splits of a sample at most.
pub const SPLITS: usize = 64;

/// Blocks that the sampled events are cut into.
pub const BLOCKS: usize = 64;

/// A number and what bounds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    /// The estimate.
    pub value: f64,
    /// At least this many.
    pub low: f64,
    /// At most this many, as far as the sample can tell.
    pub high: f64,
}

/// What a sample says about a job's input.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Rows that were read for it.
    pub rows_sampled: u64,
    /// Events among them.
    pub events_sampled: u64,
    /// Rows of the input.
    pub rows: f64,
    /// Whether the rows are known from metadata or from reading all of them.
    pub rows_exact: bool,
    /// Events.
    pub events: f64,
    /// Left nodes.
    pub lefts: Bounded,
    /// Right nodes.
    pub rights: Bounded,
    /// Edges.
    pub edges: Bounded,
    /// Sum over left nodes of their squared degree: what two_hop does for right nodes.
    pub left_wedges: f64,
    /// Sum over right nodes of their squared degree: what two_hop does for left nodes.
    pub right_wedges: f64,
    /// Mean bytes of a left key.
    pub left_key_bytes: f64,
    /// Mean bytes of a right key.
    pub right_key_bytes: f64,
}

/// Reads a sample of `source` and extrapolates.
///
/// # Errors
/// When the input cannot be read.
pub fn estimate(source: &dyn Source, request: &ScanRequest, plan: &ScanPlan) -> Result<Estimate> {
    let chosen = chosen_splits(plan);
    let mut sample = Sample::default();
    let (mut rows_exact, mut sampled_bytes, mut sampled_rows) = (true, 0.0, 0.0);
    for (index, &split) in chosen.iter().enumerate() {
        let left = chosen.len() - index;
        sample.quota = ROWS.saturating_sub(sample.rows).div_ceil(left as u64);
        (sample.split, sample.rows_of_split, sample.stopped) = (split, 0, false);
        let bytes_read = match source.read(request, plan, split, &mut sample) {
            Ok(stats) => stats.bytes_read,
            Err(error) if sample.stopped && error.kind == ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let piece = &plan.splits[split];
        let rows = match (piece.rows, sample.stopped) {
            (Some(rows), _) => rows as f64,
            (None, false) => sample.rows_of_split as f64,
            (None, true) => {
                rows_exact = false;
                unread_rows(plan, split, sample.rows_of_split, bytes_read)
            }
        };
        sampled_bytes += piece.bytes as f64;
        sampled_rows += rows;
    }
    let rows_a_byte = sampled_rows / f64::max(sampled_bytes, 1.0);
    let mut rows = sampled_rows;
    for (index, split) in plan.splits.iter().enumerate() {
        if chosen.binary_search(&index).is_err() {
            rows_exact &= split.rows.is_some();
            rows += split.rows.map_or(split.bytes as f64 * rows_a_byte, |rows| rows as f64);
        }
    }
    let rows = rows.max(sample.rows as f64);
    Ok(sample.extrapolate(rows, rows_exact))
}

/// At most [`SPLITS`] splits, evenly spread, ascending; all if they have no more rows than a sample.
fn chosen_splits(plan: &ScanPlan) -> Vec<usize> {
    let count = plan.splits.len();
    let rows = plan.splits.iter().map(|split| split.rows).sum::<Option<u64>>();
    let chosen = match rows {
        Some(rows) if rows <= ROWS => count,
        _ => count.min(SPLITS),
    };
    (0..chosen).map(|index| index * count / chosen).collect()
}

/// Rows of a split that was read in part and whose format does not say: from the bytes that those
/// rows took, if the source counted them, else from the first lines of the file.
fn unread_rows(plan: &ScanPlan, split: usize, rows_read: u64, bytes_read: u64) -> f64 {
    let piece = &plan.splits[split];
    let rows_read = rows_read.max(1) as f64;
    if (1..piece.bytes).contains(&bytes_read) {
        return piece.bytes as f64 * rows_read / bytes_read as f64;
    }
    let path = plan.files.get(piece.file).map_or(Path::new(""), |file| file.path.as_path());
    match bytes_a_line(path) {
        Some(bytes) => f64::max(piece.bytes as f64 / bytes, rows_read),
        None => rows_read,
    }
}

/// A sampled event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    left: u64,
    right: u64,
    split: u32,
}

/// What was sampled.
#[derive(Default)]
struct Sample {
    events: Vec<Event>,
    left_bytes: u64,
    right_bytes: u64,
    rows: u64,
    quota: u64,
    split: usize,
    rows_of_split: u64,
    stopped: bool,
}

impl EventSink for Sample {
    fn events(&mut self, batch: EventBatch) {
        for index in 0..batch.len() {
            let (left, left_bytes) = hashed(&batch.left, index);
            let (right, right_bytes) = hashed(&batch.right, index);
            self.left_bytes += left_bytes;
            self.right_bytes += right_bytes;
            self.events.push(Event { left, right, split: self.split as u32 });
        }
    }

    fn reject(&mut self, _reject: Reject) {}

    fn advance(&mut self, rows: u64) -> bool {
        self.rows += rows;
        self.rows_of_split += rows;
        self.stopped = self.rows_of_split >= self.quota;
        !self.stopped
    }
}

/// Hash of a key, and its bytes.
fn hashed(keys: &Keys, index: usize) -> (u64, u64) {
    match keys.get(index) {
        KeyRef::Int64(key) => (xxh3_64(&key.to_le_bytes()), 8),
        KeyRef::Utf8(key) => (xxh3_64(key.as_bytes()), key.len() as u64),
    }
}

/// An occurrence of a key: the key, the block, and the split.
type Seen = (u64, u32, u32);

impl Sample {
    fn extrapolate(&self, rows: f64, rows_exact: bool) -> Estimate {
        let count = self.events.len();
        let sampled = count as f64;
        let events = rows * sampled / (self.rows.max(1)) as f64;
        let scale = if count == 0 { 1.0 } else { f64::max(events / sampled, 1.0) };
        let block = |index: usize| (index * BLOCKS / count.max(1)) as u32;
        let seen = |key: &dyn Fn(&Event) -> u64| -> Vec<Seen> {
            let events = self.events.iter().enumerate();
            events.map(|(index, event)| (key(event), block(index), event.split)).collect()
        };
        let pair = |event: &Event| event.left.rotate_left(32) ^ event.right;
        let lefts = distinct(seen(&|event| event.left), scale);
        let rights = distinct(seen(&|event| event.right), scale);
        let edges = distinct(seen(&pair), scale);
        // Degrees are counted in edges, so an event of a pair already sampled counts no more.
        let mut order: Vec<(u64, usize)> =
            self.events.iter().map(pair).enumerate().map(|(index, pair)| (pair, index)).collect();
        order.sort_unstable();
        order.dedup_by_key(|(pair, _)| *pair);
        let wedges_of = |key: &dyn Fn(&Event) -> u64| {
            let ends = order.iter().map(|(_, index)| {
                let event = &self.events[*index];
                (key(event), block(*index), event.split)
            });
            wedges(ends.collect(), edges.value, scale)
        };
        let mean = |bytes: u64| if count == 0 { 8.0 } else { bytes as f64 / sampled };
        Estimate {
            rows_sampled: self.rows,
            events_sampled: count as u64,
            rows,
            rows_exact,
            events,
            lefts,
            rights,
            edges,
            left_wedges: wedges_of(&|event| event.left),
            right_wedges: wedges_of(&|event| event.right),
            left_key_bytes: mean(self.left_bytes),
            right_key_bytes: mean(self.right_bytes),
        }
    }
}

/// Distinct keys of all events, of which one in `scale` was sampled.
fn distinct(mut seen: Vec<Seen>, scale: f64) -> Bounded {
    seen.sort_unstable();
    seen.dedup_by_key(|(key, block, _)| (*key, *block));
    let (mut keys, mut once, mut twice) = (0.0, 0.0, 0.0);
    for same in seen.chunk_by(|a, b| a.0 == b.0) {
        keys += 1.0;
        match same.len() {
            1 => once += 1.0,
            2 => twice += 1.0,
            _ => (),
        }
    }
    let high = keys + once * (scale - 1.0);
    let share = (BLOCKS - 1) as f64 / BLOCKS as f64;
    let chao = keys + share * once * f64::max(once - 1.0, 0.0) / (2.0 * (twice + 1.0));
    Bounded { value: f64::min(chao, high), low: keys, high }
}

/// The sum of squared degrees, given an end of each sampled edge.
fn wedges(mut ends: Vec<Seen>, edges: f64, scale: f64) -> f64 {
    let edge_scale = f64::max(edges / (ends.len().max(1)) as f64, 1.0);
    ends.sort_unstable();
    let mut total = edges;
    for same in ends.chunk_by(|a, b| a.0 == b.0) {
        let blocks: Vec<(f64, u32, u32)> = same
            .chunk_by(|a, b| (a.1, a.2) == (b.1, b.2))
            .filter_map(|run| run.first().map(|end| (run.len() as f64, end.1, end.2)))
            .collect();
        let mut near: f64 = blocks.iter().map(|(count, _, _)| count * (count - 1.0)).sum();
        for pair in blocks.windows(2) {
            if let [(a, block, split), (b, next, next_split)] = pair
                && next - block <= 1
                && split == next_split
            {
                near += 2.0 * a * b;
            }
        }
        let all = same.len() as f64 * (same.len() as f64 - 1.0);
        total += near * scale + (all - near) * edge_scale * edge_scale;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Columns, KeyType, ScanStats};
    use crate::source::Split;

    /// Edges in a given order, cut into splits; batches of 1,000 rows.
    struct Edges {
        edges: Vec<(i64, i64)>,
        splits: usize,
    }

    impl Edges {
        fn range(&self, split: usize) -> std::ops::Range<usize> {
            let at = |split| split * self.edges.len() / self.splits;
            at(split)..at(split + 1)
        }
    }

    impl Source for Edges {
        fn plan(&self, _request: &ScanRequest) -> Result<ScanPlan> {
            let split = |index| {
                let rows = self.range(index).len() as u64;
                Split { file: 0, groups: 0..0, rows: Some(rows), bytes: 16 * rows }
            };
            Ok(ScanPlan {
                left_type: KeyType::Int64,
                right_type: KeyType::Int64,
                files: Vec::new(),
                splits: (0..self.splits).map(split).collect(),
                pruned: 0,
                time_unit: None,
            })
        }

        fn read(
            &self,
            _request: &ScanRequest,
            _plan: &ScanPlan,
            split: usize,
            sink: &mut dyn EventSink,
        ) -> Result<ScanStats> {
            for rows in self.edges[self.range(split)].chunks(1000) {
                sink.events(EventBatch {
                    left: Keys::Int64(rows.iter().map(|edge| edge.0).collect()),
                    right: Keys::Int64(rows.iter().map(|edge| edge.1).collect()),
                    age_action: Vec::new(),
                    weight: Vec::new(),
                });
                if !sink.advance(rows.len() as u64) {
                    break;
                }
            }
            Ok(ScanStats::default())
        }
    }

    fn request() -> ScanRequest {
        let columns = Columns {
            left: "l".into(),
            right: "r".into(),
            action: None,
            time: None,
            time_unit: None,
            weight: None,
            left_type: None,
            right_type: None,
        };
        let actions = Vec::new();
        ScanRequest { columns, as_of_us: 0, window_us: None, actions, keep_age_action: false }
    }

    /// 15,000 left nodes with degrees 10 to 1,010, few of them high; 20,000 right nodes,
    /// skewed. Sorted by left node.
    fn skewed() -> Vec<(i64, i64)> {
        let mut edges = Vec::new();
        for left in 0..15_000u64 {
            let degree = 10 + (xxh3_64(&left.to_le_bytes()) % 1000 + 1).pow(6) / 1000u64.pow(5);
            for index in 0..degree {
                let word = xxh3_64(&[left.to_le_bytes(), index.to_le_bytes()].concat());
                let uniform = word as f64 / u64::MAX as f64;
                edges.push((left as i64, (uniform * uniform * 20_000.0) as i64));
            }
        }
        edges
    }

    fn shuffled(mut edges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
        edges.sort_by_cached_key(|edge| {
            xxh3_64(&[edge.0.to_le_bytes(), edge.1.to_le_bytes()].concat())
        });
        edges
    }

    /// Estimates over the truth: lefts, rights, edges, wedges at lefts.
    fn ratios(edges: Vec<(i64, i64)>, splits: usize) -> [f64; 4] {
        let mut all = edges.clone();
        all.sort_unstable();
        all.dedup();
        let distinct = all.len() as f64;
        let squares: f64 =
            all.chunk_by(|a, b| a.0 == b.0).map(|same| (same.len() * same.len()) as f64).sum();
        let lefts = all.chunk_by(|a, b| a.0 == b.0).count() as f64;
        let mut rights: Vec<i64> = all.iter().map(|edge| edge.1).collect();
        rights.sort_unstable();
        rights.dedup();
        let source = Edges { edges, splits };
        let plan = source.plan(&request()).unwrap();
        let found = estimate(&source, &request(), &plan).unwrap();
        assert_eq!(found.rows, source.edges.len() as f64);
        for (size, truth) in
            [(found.lefts, lefts), (found.rights, rights.len() as f64), (found.edges, distinct)]
        {
            assert!(size.low <= truth && truth <= size.high * 1.05, "{size:?} {truth}");
        }
        [
            found.lefts.value / lefts,
            found.rights.value / rights.len() as f64,
            found.edges.value / distinct,
            found.left_wedges / squares,
        ]
    }

    fn assert_near(ratios: [f64; 4], case: &str) {
        for ratio in ratios {
            assert!((0.6..1.5).contains(&ratio), "{case}: {ratios:?}");
        }
    }

    #[test]
    fn estimates_are_near_the_truth_in_any_order() {
        let edges = skewed();
        assert!(edges.len() as u64 > 10 * ROWS);
        assert_near(ratios(edges.clone(), 1000), "sorted, many splits");
        assert_near(ratios(edges.clone(), 7), "sorted, few splits");
        let edges = shuffled(edges);
        assert_near(ratios(edges.clone(), 1000), "shuffled, many splits");
        assert_near(ratios(edges, 1), "shuffled, one split");
    }

    #[test]
    fn what_is_read_whole_is_exact() {
        let edges: Vec<(i64, i64)> = (0..1000).map(|n| (n % 50, n % 20)).collect();
        for splits in [1, 3, 200] {
            assert_eq!(ratios(edges.clone(), splits), [1.0; 4]);
        }
        assert_eq!(ratios(vec![(1, 1)], 1), [1.0; 4]);
    }

    #[test]
    fn no_event_is_no_error() {
        let source = Edges { edges: Vec::new(), splits: 1 };
        let plan = source.plan(&request()).unwrap();
        let found = estimate(&source, &request(), &plan).unwrap();
        assert_eq!((found.lefts.value, found.edges.value, found.left_wedges), (0.0, 0.0, 0.0));
    }
}
