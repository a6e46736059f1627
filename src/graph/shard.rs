//! Shards: the rows of one range of nodes, and the steps between de-duplication and the two
//! adjacencies.
//!
//! Filters: degrees are counted once, after the cap. An edge stays if its left node has at least
//! `left_degree_min` and its right node at least `right_degree_min` edges by that count. Then
//! nodes without an edge are not kept, and a kept node's dense id is its rank among the kept.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Csr, NodeSet, Ranges};

/// Events of one share whose left nodes are in one range, column by column, with global ranks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRun {
    /// Left and right node of each event: side by side, since whoever deals events out then writes
    /// one stream a range.
    pub pairs: Vec<[u32; 2]>,
    /// Ages and actions; empty if the job needs neither.
    pub age_action: Vec<u64>,
    /// Weights in fixed point; empty if the input has none.
    pub weight: Vec<i64>,
}

/// Edges whose right nodes are in one range, on their way to the other adjacency: ascending by
/// left node among those of each right node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRun {
    /// Left and right node of each edge.
    pub pairs: Vec<[u32; 2]>,
    /// Weights in fixed point; empty unless kept.
    pub weight: Vec<i64>,
}

/// The rows of one range of nodes: row `i` of `csr` is node `range.start + i`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// The edges by range of right nodes, for the other adjacency. One run a range.
    pub fn scatter(&self, ranges: &Ranges) -> Vec<PairRun> {
        let Csr { offsets, targets, weights } = &self.csr;
        let mut sizes = vec![0; ranges.len()];
        for &right in targets {
            sizes[ranges.of(right)] += 1;
        }
        let run = |&size: &usize| PairRun {
            pairs: Vec::with_capacity(size),
            weight: Vec::with_capacity(if weights.is_empty() { 0 } else { size }),
        };
        let mut runs: Vec<PairRun> = sizes.iter().map(run).collect();
        for (left, row) in self.range.clone().zip(offsets.windows(2)) {
            for &right in &targets[row[0] as usize..row[1] as usize] {
                runs[ranges.of(right)].pairs.push([left, right]);
            }
        }
        for (&right, &weight) in targets.iter().zip(weights) {
            runs[ranges.of(right)].weight.push(weight);
        }
        runs
    }
}

/// The rows of the right nodes of `range`, from `runs` in ascending order of their ranges of left
/// nodes. Counting sort, which keeps that order. Cost: two passes over the edges.
pub fn build_right_shard(runs: Vec<PairRun>, range: Range<u32>) -> Shard {
    let mut offsets = vec![0u64; range.len() + 1];
    for [_, right] in runs.iter().flat_map(|run| &run.pairs) {
        offsets[(right - range.start) as usize + 1] += 1;
    }
    for index in 0..range.len() {
        offsets[index + 1] += offsets[index];
    }
    let edges = offsets.last().map_or(0, |&edges| edges as usize);
    let weighted = runs.iter().any(|run| !run.weight.is_empty());
    let mut targets = vec![0u32; edges];
    let mut weights = vec![0i64; if weighted { edges } else { 0 }];
    let mut next = offsets.clone();
    for run in runs {
        for (index, &[left, right]) in run.pairs.iter().enumerate() {
            let slot = &mut next[(right - range.start) as usize];
            targets[*slot as usize] = left;
            if weighted {
                weights[*slot as usize] = run.weight[index];
            }
            *slot += 1;
        }
    }
    Shard { range, csr: Csr { offsets, targets, weights } }
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
