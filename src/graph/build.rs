//! The whole way from events to a graph, one step after the other: what the engine does on many
//! workers, for tests and for those who embed the crate.

use std::sync::Arc;

use super::{
    Cells, Csr, Dictionary, EdgeRules, EventLayout, Graph, LeftShard, NodeSet, PairPacking, Ranges,
    RightShard, Shard, Share, merge_keys, ranks,
};
use crate::kernels::aggregate::EventTotals;
use crate::model::{EventBatch, Side, SideNames};

/// What a graph is built by.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildRules {
    /// What the sides are called.
    pub names: SideNames,
    /// From events to edges.
    pub edges: EdgeRules,
    /// Left nodes with fewer edges are dropped.
    pub left_degree_min: u32,
    /// Right nodes with fewer edges are dropped.
    pub right_degree_min: u32,
}

/// The graph of the events of `batches`, dealt out to `shares` and cut into `ranges` pieces, which
/// change nothing about the result.
pub fn build(
    batches: impl IntoIterator<Item = EventBatch>,
    layout: EventLayout,
    rules: &BuildRules,
    shares: usize,
    ranges: usize,
) -> Graph {
    let mut parts: Vec<Share> = (0..shares.max(1)).map(|_| Share::new(layout)).collect();
    for (index, batch) in batches.into_iter().enumerate() {
        parts[index % shares.max(1)].push(batch);
    }
    let (left, left_ranks) = number(&mut parts, Side::Left);
    let (right, right_ranks) = number(&mut parts, Side::Right);
    let (shard, events) =
        edges(parts, (&left, &left_ranks), (&right, &right_ranks), ranges, &rules.edges);
    finish(shard, events, left, right, ranges, rules)
}

/// The dictionary of `side`, and the rank in it of each key of each share.
fn number(parts: &mut [Share], side: Side) -> (Dictionary, Vec<Vec<u32>>) {
    let keys: Vec<_> = parts.iter_mut().map(|share| share.take_keys(side)).collect();
    let dictionary = Dictionary::from_sorted(merge_keys(keys.clone()));
    let found = keys.iter().map(|keys| ranks(keys, &dictionary)).collect();
    (dictionary, found)
}

/// The de-duplicated edges, and the totals over all events.
fn edges(
    parts: Vec<Share>,
    (left, left_ranks): (&Dictionary, &[Vec<u32>]),
    (right, right_ranks): (&Dictionary, &[Vec<u32>]),
    ranges: usize,
    rules: &EdgeRules,
) -> (Shard, Option<EventTotals>) {
    let cells = Cells::new(left.len());
    let mut load = vec![0; cells.len()];
    for (share, ranks) in parts.iter().zip(left_ranks) {
        for (sum, more) in load.iter_mut().zip(share.left_load(ranks, &cells)) {
            *sum += more;
        }
    }
    let cut = Ranges::by_load(&cells, &load, ranges);
    let packing = PairPacking::new(&cut, right.len());
    let events = parts.iter().map(Share::len).sum();
    let mut runs = vec![Vec::new(); cut.len()];
    for (share, (left_ranks, right_ranks)) in
        parts.into_iter().zip(left_ranks.iter().zip(right_ranks))
    {
        let pieces = share.partition(left_ranks, right_ranks, &cut, packing);
        runs.iter_mut().zip(pieces).for_each(|(runs, piece)| runs.extend(piece));
    }
    let mut shard = LeftShard::new(0, events, packing, right.len(), rules);
    for (index, runs) in runs.into_iter().enumerate() {
        shard.add(runs, cut.range(index));
    }
    shard.finish()
}

/// Left and right degrees.
fn degrees(shard: &Shard, rights: usize) -> (Vec<u32>, Vec<u32>) {
    let mut right = vec![0; rights];
    shard.add_degrees(&mut right);
    (shard.left_degrees(), right)
}

/// Filters, renumbers and transposes.
fn finish(
    mut shard: Shard,
    events: Option<EventTotals>,
    left: Dictionary,
    right: Dictionary,
    ranges: usize,
    rules: &BuildRules,
) -> Graph {
    let (mut left_degrees, mut right_degrees) = degrees(&shard, right.len());
    if rules.left_degree_min > 1 || rules.right_degree_min > 1 {
        let keep_left = NodeSet::from_degrees(&left_degrees, rules.left_degree_min);
        let keep_right = NodeSet::from_degrees(&right_degrees, rules.right_degree_min);
        shard = shard.filter(&keep_left, &keep_right);
        (left_degrees, right_degrees) = degrees(&shard, right.len());
    }
    let kept_left = NodeSet::from_degrees(&left_degrees, 1);
    let kept_right = NodeSet::from_degrees(&right_degrees, 1);
    right_degrees.retain(|&degree| degree > 0);
    shard = shard.renumber(&kept_left, &kept_right);

    let cells = Cells::new(kept_right.count());
    let mut load = vec![0; cells.len()];
    for (node, &degree) in (0..).zip(&right_degrees) {
        load[cells.of(node)] += u64::from(degree);
    }
    let cut = Ranges::by_load(&cells, &load, ranges);
    let packing = PairPacking::new(&cut, kept_left.count());
    let mut backward = RightShard::new(0, shard.csr.targets.len(), packing);
    for (index, runs) in shard.scatter(&cut, packing).into_iter().enumerate() {
        backward.add(runs, cut.range(index));
    }
    Graph {
        names: rules.names.clone(),
        backward: Csr::from_shards(vec![backward.finish()]),
        forward: Csr::from_shards(vec![shard]),
        events: events.map(|events| Arc::new(events.retain(&kept_left, &kept_right))),
        left: left.retain(&kept_left),
        right: right.retain(&kept_right),
    }
}
