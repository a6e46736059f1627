//! Shards: the rows of a worker's range of nodes, and the steps between de-duplication and the two
//! adjacencies.
//!
//! Filters: degrees are counted once, after the cap. An edge stays if its left node has at least
//! `left_degree_min` and its right node at least `right_degree_min` edges by that count. Then
//! nodes without an edge are not kept, and a kept node's dense id is its rank among the kept.

use std::ops::Range;

use super::pairs::{Dealer, PairPacking, PairRun, PairWord};
use super::{Csr, NodeSet, Ranges};

/// The rows of one range of nodes: row `i` of `csr` is node `range.start + i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The nodes.
    pub range: Range<u32>,
    /// Their rows.
    pub csr: Csr,
}

impl Shard {
    /// Adds one to `right[n]` for each edge to right node `n`.
    pub fn add_degrees(&self, right: &mut [u32]) {
        for &target in &self.csr.targets {
            right[target as usize] += 1;
        }
    }

    /// The number of edges of each of the shard's nodes.
    pub fn left_degrees(&self) -> Vec<u32> {
        self.csr.offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect()
    }

    /// The shard without the edges of which an end is not kept. The rows stay.
    pub fn filter(mut self, keep_left: &NodeSet, keep_right: &NodeSet) -> Shard {
        if keep_left.is_full() && keep_right.is_full() {
            return self;
        }
        let Csr { offsets, targets, weights } = &mut self.csr;
        let (mut begin, mut to) = (0, 0);
        for (left, offset) in self.range.clone().zip(offsets.iter_mut().skip(1)) {
            let row = begin..*offset as usize;
            begin = row.end;
            if keep_left.contains(left) {
                for from in row {
                    if keep_right.contains(targets[from]) {
                        targets[to] = targets[from];
                        if !weights.is_empty() {
                            weights[to] = weights[from];
                        }
                        to += 1;
                    }
                }
            }
            *offset = to as u64;
        }
        targets.truncate(to);
        weights.truncate(to);
        self
    }

    /// The shard with dense ids for provisional ranks. Nodes that are not kept must have no edge;
    /// their rows go.
    pub fn renumber(mut self, left: &NodeSet, right: &NodeSet) -> Shard {
        if !left.is_full() {
            let mut rows = self.range.clone();
            let mut first = true;
            self.csr.offsets.retain(|_| {
                std::mem::take(&mut first) || rows.next().is_some_and(|row| left.contains(row))
            });
            self.range = left.rank(self.range.start)..left.rank(self.range.end);
        }
        if !right.is_full() {
            for target in &mut self.csr.targets {
                *target = right.rank(*target);
            }
        }
        self
    }

    /// The edges by range of right nodes, for the other adjacency: the runs of each range,
    /// ascending by left node.
    pub fn scatter(&self, ranges: &Ranges, packing: PairPacking) -> Vec<Vec<PairRun>> {
        if packing.is_narrow() {
            self.deal::<u32>(ranges, packing)
        } else {
            self.deal::<u64>(ranges, packing)
        }
    }

    fn deal<W: PairWord>(&self, ranges: &Ranges, packing: PairPacking) -> Vec<Vec<PairRun>> {
        let Csr { offsets, targets, weights } = &self.csr;
        let mut dealer = Dealer::<W>::new(ranges.len(), false, !weights.is_empty());
        let first: Vec<u32> = (0..ranges.len()).map(|index| ranges.range(index).start).collect();
        for (left, row) in self.range.clone().zip(offsets.windows(2)) {
            let row = row[0] as usize..row[1] as usize;
            for (at, &right) in row.clone().zip(&targets[row]) {
                let range = ranges.of(right);
                let pair = packing.pack(right - first[range], left);
                dealer.push(range, pair, None, weights.get(at));
            }
        }
        dealer.finish()
    }
}

/// Builds the rows of neighbouring ranges of right nodes, in ascending order, into one shard.
///
/// Each range is a counting sort, which keeps the order of left nodes. Cost: two passes over the
/// edges, the second one within the cache.
pub struct RightShard {
    shard: Shard,
    packing: PairPacking,
    /// Where the next left node of each right node of the range goes.
    next: Vec<u64>,
}

impl RightShard {
    /// A shard whose first node is `first`, with room for `edges` edges.
    pub fn new(first: u32, edges: usize, packing: PairPacking) -> RightShard {
        let csr = Csr { offsets: vec![0], targets: Vec::with_capacity(edges), ..Csr::default() };
        RightShard { shard: Shard { range: first..first, csr }, packing, next: Vec::new() }
    }

    /// Adds the rows of `range`, from `runs` in ascending order of left node.
    pub fn add(&mut self, runs: Vec<PairRun>, range: Range<u32>) {
        debug_assert_eq!(range.start, self.shard.range.end, "ranges must be contiguous");
        let RightShard { shard: Shard { csr, .. }, packing, next } = self;
        next.clear();
        next.resize(range.len(), 0);
        for run in &runs {
            run.pairs.for_each(|pair| next[packing.node(pair)] += 1);
        }
        let mut end = csr.targets.len() as u64;
        for count in next.iter_mut() {
            end += std::mem::replace(count, end);
            csr.offsets.push(end);
        }
        csr.targets.resize(end as usize, 0);
        if runs.iter().any(|run| !run.weight.is_empty()) {
            csr.weights.resize(end as usize, 0);
        }
        for run in runs {
            let mut at = 0;
            run.pairs.for_each(|pair| {
                let slot = &mut next[packing.node(pair)];
                csr.targets[*slot as usize] = packing.other(pair);
                if let Some(&weight) = run.weight.get(at) {
                    csr.weights[*slot as usize] = weight;
                }
                *slot += 1;
                at += 1;
            });
        }
        self.shard.range.end = range.end;
    }

    /// The shard of all ranges.
    pub fn finish(self) -> Shard {
        self.shard
    }
}

/// Makes room for exactly `len` values.
fn grow_to<T>(values: &mut Vec<T>, len: usize) {
    values.reserve_exact(len.saturating_sub(values.len()));
}

impl Csr {
    /// The adjacency of all nodes from `shards` of ascending contiguous ranges.
    pub fn from_shards(shards: Vec<Shard>) -> Csr {
        let edges = shards.iter().map(|shard| shard.csr.targets.len()).sum();
        let weighed = shards.iter().map(|shard| shard.csr.weights.len()).sum();
        let mut shards = shards.into_iter();
        let Some(Shard { mut csr, range }) = shards.next() else {
            return Csr { offsets: vec![0], ..Csr::default() };
        };
        grow_to(&mut csr.targets, edges);
        grow_to(&mut csr.weights, weighed);
        let mut end = range.end;
        for next in shards {
            debug_assert_eq!(next.range.start, end, "shards must be contiguous");
            end = next.range.end;
            let before = csr.targets.len() as u64;
            csr.offsets.extend(next.csr.offsets.iter().skip(1).map(|offset| offset + before));
            csr.targets.extend(next.csr.targets);
            csr.weights.extend(next.csr.weights);
        }
        csr
    }
}
