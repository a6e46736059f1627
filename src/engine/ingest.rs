//! The ingestion stages: from splits of the input to a graph that all workers share.
//!
//! 1. *read*: each worker takes splits until none is left, and interns the keys it meets.
//! 2. *ids*: the distinct keys of all workers become two dictionaries; local ids become ranks; the
//!    events per cell of left nodes decide on contiguous ranges of equal load.
//! 3. *edges*: events go to the owner of their left range, who sorts and merges them into edges;
//!    degrees decide which nodes are kept.
//! 4. *adjacency*: edges get their final ids, and go to the owner of their right range for the
//!    other direction; the finished ranges become one CSR each.
//!
//! Ranges and owners depend on the number of workers; their contents, put together, do not.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::source;

use super::block::{Block, ForSlot, Load};
use super::owners::{by_range, owned, owner, pieces};
use super::parcel::Builder;
use super::shared::Shared;
use super::stage::{Blocks, Place, gather};
use crate::graph::{
    Cells, Csr, Dictionary, EdgeRules, EventLayout, Graph, LeftShard, NodeSet, PairPacking, Ranges,
    RightShard, Shard, Share, merge_keys, ranks,
};
use crate::kernels::aggregate::EventTotals;
use crate::model::{EventBatch, Keys, Reject, Result, Side};
use crate::source::EventSink;

/// What a worker keeps from one operator to the next.
#[derive(Default)]
struct Local {
    share: Option<Share>,
    keys: Vec<Keys>,
    ranks: [Vec<u32>; 2],
    shard: Option<Shard>,
    totals: Option<EventTotals>,
}

type State = Rc<RefCell<Local>>;

/// Adds the ingestion stages. The first worker of each process gets a
/// `Ready` block when the graph stands there.
pub(super) fn ingest<'scope>(
    scope: Scope<'scope, u64>,
    place: &Place,
    rules: EdgeRules,
) -> Blocks<'scope> {
    let state = State::default();
    let blocks = read(scope, place, state.clone(), &rules);
    let blocks = ids(blocks, place, state.clone());
    let blocks = edges(blocks, place, state.clone(), rules);
    adjacency(blocks, place, state)
}

/// Passes what a source reads to the worker's share.
struct Collector<'a> {
    place: &'a Place,
    share: &'a mut Share,
    rejects: Vec<Reject>,
}

impl EventSink for Collector<'_> {
    fn events(&mut self, batch: EventBatch) {
        self.share.push(batch);
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push(reject);
    }

    fn advance(&mut self, rows: u64) -> bool {
        self.place.shared.advance("read", rows);
        !self.place.shared.stopped()
    }
}

/// Reads one split into `share`.
fn read_split(place: &Place, share: &mut Share, split: usize) -> Result<()> {
    let shared = &place.shared;
    let mut sink = Collector { place, share, rejects: Vec::new() };
    let stats = shared.job.source.read(&shared.job.scan, &shared.plan, split, &mut sink)?;
    super::shared::lock(&shared.rejects).append(&mut sink.rejects);
    super::shared::lock(&shared.scan).add(&stats);
    Ok(())
}

/// Stage *read*: one split at a time, so that other operators get their turn.
fn read<'scope>(
    scope: Scope<'scope, u64>,
    place: &Place,
    state: State,
    rules: &EdgeRules,
) -> Blocks<'scope> {
    let place = place.clone();
    let layout = EventLayout {
        left: place.shared.plan.left_type,
        right: place.shared.plan.right_type,
        age_action: place.shared.job.scan.keep_age_action,
        weight: place.shared.job.scan.columns.weight.is_some() && rules.reads_weight(),
    };
    let mut share = Some(Share::new(layout));
    source::<_, Builder<_>, _, _>(scope, "read", move |capability, info| {
        let activator = scope.activator_for(info.address);
        let (mut capability, mut outbox) = (Some(capability), place.outbox());
        move |output| {
            let (Some(cap), Some(events)) = (capability.as_ref(), share.as_mut()) else {
                return;
            };
            if let Some(split) = place.shared.next_split()
                && !place.shared.stopped()
            {
                place.timed("read", || read_split(&place, events, split));
                activator.activate();
                return;
            }
            let mut session = output.session(cap);
            for side in [Side::Left, Side::Right] {
                let Some(keys) = place.timed("ids", || Ok(events.take_keys(side))) else { break };
                state.borrow_mut().keys.push(keys.clone());
                let to = place.shared.keeper(side);
                let block = place.block(to, 0, Load::Keys(side, keys));
                session.give_iterator(outbox.pack("ids", block).into_iter());
            }
            drop(session);
            state.borrow_mut().share = share.take();
            capability = None;
        }
    })
}

/// Stage *ids*: dictionaries, ranks, and the ranges of left nodes.
fn ids<'scope>(blocks: Blocks<'scope>, place: &Place, state: State) -> Blocks<'scope> {
    let here = place.clone();
    let blocks = gather(blocks, "dictionary", "ids", place, move |inbox| {
        let mut parts = [Vec::new(), Vec::new()];
        for block in inbox {
            if let Load::Keys(side, keys) = block.load {
                parts[index(side)].push(keys);
            }
        }
        let mut blocks = Vec::new();
        for (side, parts) in [Side::Left, Side::Right].into_iter().zip(parts) {
            if here.shared.keeper(side) == here.worker {
                let keys = Arc::new(merge_keys(parts));
                blocks.extend(here.share_out(ForSlot::Dictionary(side, keys)));
            }
        }
        if here.is_first() {
            let (stats, rejects) = here.shared.take_scan();
            blocks.push(here.block(0, 0, Load::Scan(stats, rejects)));
        }
        Ok(blocks)
    });
    let (here, local) = (place.clone(), state);
    let blocks = gather(blocks, "rank", "ids", place, move |inbox| {
        if here.worker == 0 {
            check_rows(&here, inbox)?;
        }
        let mut local = local.borrow_mut();
        let dictionaries = [here.shared.provisional[0].get()?, here.shared.provisional[1].get()?];
        let cells = Cells::new(dictionaries[0].len());
        let Some(share) = local.share.as_ref() else { return Ok(Vec::new()) };
        let [Some(left), Some(right)] = [0, 1].map(|side| local.keys.get(side)) else {
            return Ok(Vec::new());
        };
        let found = [ranks(left, &dictionaries[0]), ranks(right, &dictionaries[1])];
        let load = share.left_load(&found[0], &cells);
        local.keys.clear();
        local.ranks = found;
        Ok(vec![here.block(0, 0, Load::Counts(load))])
    });
    let here = place.clone();
    gather(blocks, "ranges", "ids", place, move |inbox| {
        if here.worker != 0 {
            return Ok(Vec::new());
        }
        let cells = Cells::new(here.shared.provisional[0].get()?.len());
        let mut load: Vec<u64> = Vec::new();
        for block in inbox {
            if let Load::Counts(counts) = block.load {
                load.resize(counts.len().max(load.len()), 0);
                load.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        let events: u64 = load.iter().sum();
        let ranges = Arc::new(Ranges::by_load(&cells, &load, pieces(&here, events)));
        here.shared.finish("ids");
        Ok(here.share_out(ForSlot::Ranges(Side::Left, ranges)))
    })
}

/// Adds up what all processes have read. Fails the run if more rows are bad than the job allows, or an
/// action is misspelt.
fn check_rows(place: &Place, inbox: Vec<Block>) -> Result<()> {
    let shared = &place.shared;
    for block in inbox {
        if let Load::Scan(stats, mut rejects) = block.load {
            super::shared::lock(&shared.scan).add(&stats);
            super::shared::lock(&shared.rejects).append(&mut rejects);
        }
    }
    shared.finish("read");
    let stats = super::shared::lock(&shared.scan).clone();
    shared.job.check_rejects(&stats, &super::shared::lock(&shared.rejects))?;
    for action in shared.job.check_actions(&stats)? {
        shared.warn(format!("no event has action {action:?}; see graph.actions in the job file"));
    }
    Ok(())
}

/// The place of `side` in an array of both.
fn index(side: Side) -> usize {
    usize::from(side == Side::Right)
}

/// Stage *edges*: events to the owners of left ranges, edges, and which nodes are kept.
fn edges<'scope>(
    blocks: Blocks<'scope>,
    place: &Place,
    state: State,
    rules: EdgeRules,
) -> Blocks<'scope> {
    let (here, local) = (place.clone(), state.clone());
    let blocks = gather(blocks, "partition", "edges", place, move |_| {
        let mut local = local.borrow_mut();
        let ranges = here.shared.left_ranges.get()?;
        let ranks = std::mem::take(&mut local.ranks);
        let Some(share) = local.share.take() else { return Ok(Vec::new()) };
        let packing = left_packing(&here, &ranges)?;
        let runs = share.partition(&ranks[0], &ranks[1], &ranges, packing);
        let pieces = runs.len();
        Ok(runs
            .into_iter()
            .enumerate()
            .map(|(range, runs)| {
                here.block(owner(&here, range, pieces), range as u64, Load::Events(runs))
            })
            .collect())
    });
    let (here, local) = (place.clone(), state.clone());
    let blocks = gather(blocks, "build", "edges", place, move |inbox| {
        let mut local = local.borrow_mut();
        let ranges = here.shared.left_ranges.get()?;
        let rights = here.shared.provisional[1].get()?.len();
        let owned = owned(&here, &ranges);
        let mut runs = by_range(inbox, &owned);
        let events = runs.iter().flatten().map(|run| run.pairs.len()).sum();
        let packing = left_packing(&here, &ranges)?;
        let first = ranges.range(owned.start).start;
        let mut shard = LeftShard::new(first, events, packing, rights, &rules);
        for (index, runs) in owned.zip(runs.iter_mut().map(std::mem::take)) {
            shard.add(runs, ranges.range(index));
        }
        let (shard, totals) = shard.finish();
        local.totals = totals;
        let blocks = degrees(&here, &shard, rights);
        local.shard = Some(shard);
        Ok(blocks)
    });
    let blocks = keep(blocks, place, 0);
    let (here, local) = (place.clone(), state);
    let blocks = gather(blocks, "filter", "edges", place, move |_| {
        let mut local = local.borrow_mut();
        let kept = here.shared.kept[0].get()?;
        if all_kept(&kept) {
            return Ok(Vec::new());
        }
        let Some(shard) = local.shard.take() else { return Ok(Vec::new()) };
        let shard = shard.filter(&kept.0, &kept.1);
        let blocks = degrees(&here, &shard, here.shared.provisional[1].get()?.len());
        local.shard = Some(shard);
        Ok(blocks)
    });
    keep(blocks, place, 1)
}

fn all_kept(kept: &(NodeSet, NodeSet)) -> bool {
    kept.0.is_full() && kept.1.is_full()
}

/// How events are packed on their way to the owners of left ranges.
fn left_packing(place: &Place, ranges: &Ranges) -> Result<PairPacking> {
    Ok(PairPacking::new(ranges, place.shared.provisional[1].get()?.len()))
}

/// Degrees for worker 0: of the worker's range of left nodes, and of all right nodes within it.
fn degrees(place: &Place, shard: &Shard, rights: usize) -> Vec<Block> {
    let mut right = vec![0u32; rights];
    shard.add_degrees(&mut right);
    let tag = u64::from(shard.range.start);
    vec![
        place.block(0, tag, Load::Degrees(Side::Left, shard.left_degrees())),
        place.block(0, u64::MAX, Load::Degrees(Side::Right, right)),
    ]
}

/// Worker 0 decides from the degrees which nodes are kept: in pass 0 those with enough edges, in
/// pass 1 those with any edge left. If pass 0 keeps every node, its decision is the last.
fn keep<'scope>(blocks: Blocks<'scope>, place: &Place, pass: usize) -> Blocks<'scope> {
    let here = place.clone();
    let name = if pass == 0 { "degrees" } else { "kept" };
    gather(blocks, name, "edges", place, move |inbox| {
        let shared = &here.shared;
        if here.worker != 0 {
            return Ok(Vec::new());
        }
        if pass == 1 && all_kept(&*shared.kept[0].get()?) {
            return Ok(Vec::new());
        }
        let mut left: Vec<u32> = Vec::new();
        let mut right = vec![0u32; shared.provisional[1].get()?.len()];
        for block in inbox {
            match block.load {
                Load::Degrees(Side::Left, degrees) => left.extend(degrees),
                Load::Degrees(Side::Right, degrees) => {
                    right.iter_mut().zip(degrees).for_each(|(sum, degree)| *sum += degree);
                }
                _ => {}
            }
        }
        let rules = &shared.job.graph;
        let minimum = match pass {
            0 => (rules.left_degree_min.max(1), rules.right_degree_min.max(1)),
            _ => (1, 1),
        };
        let kept =
            (NodeSet::from_degrees(&left, minimum.0), NodeSet::from_degrees(&right, minimum.1));
        let (kept, mut blocks) = (Arc::new(kept), Vec::new());
        if pass == 0 {
            blocks.extend(here.share_out(ForSlot::Kept(0, kept.clone())));
        }
        if pass == 1 || all_kept(&kept) {
            let ranges = Arc::new(right_ranges(&here, right));
            blocks.extend(here.share_out(ForSlot::Kept(1, kept)));
            blocks.extend(here.share_out(ForSlot::Ranges(Side::Right, ranges)));
            shared.finish("edges");
        }
        Ok(blocks)
    })
}

/// The ranges of kept right nodes, given the degrees of all of them.
fn right_ranges(place: &Place, mut degrees: Vec<u32>) -> Ranges {
    degrees.retain(|&degree| degree > 0);
    let cells = Cells::new(degrees.len());
    let mut load = vec![0; cells.len()];
    for (node, &degree) in (0..).zip(&degrees) {
        load[cells.of(node)] += u64::from(degree);
    }
    let pieces = pieces(place, load.iter().sum());
    Ranges::by_load(&cells, &load, pieces)
}

/// Stage *adjacency*: final ids, the transposition, and one CSR for each direction.
fn adjacency<'scope>(blocks: Blocks<'scope>, place: &Place, state: State) -> Blocks<'scope> {
    let (here, local) = (place.clone(), state);
    let blocks = gather(blocks, "renumber", "adjacency", place, move |_| {
        let shared = &here.shared;
        let mut local = local.borrow_mut();
        let kept = shared.kept[1].get()?;
        let ranges = shared.right_ranges.get()?;
        for (side, set) in [(Side::Left, &kept.0), (Side::Right, &kept.1)] {
            // Cheaper to do in each process than to send.
            if shared.topology.keepers(index(side)).any(|keeper| keeper == here.worker) {
                let side = index(side);
                let dictionary = shared.provisional[side].get()?;
                let kept = Dictionary::clone(&dictionary).retain(set);
                shared.dictionaries[side].put(Arc::new(kept));
            }
        }
        let mut blocks = Vec::new();
        if let Some(shard) = local.shard.take() {
            let shard = shard.renumber(&kept.0, &kept.1);
            let runs = shard.scatter(&ranges, PairPacking::new(&ranges, kept.0.count()));
            for (range, runs) in runs.into_iter().enumerate() {
                let to = owner(&here, range, ranges.len());
                blocks.push(here.block(to, range as u64, Load::Pairs(runs)));
            }
            blocks.extend(to_keepers(&here, Side::Left, shard));
        }
        if let Some(totals) = local.totals.take() {
            blocks.push(here.block(0, u64::MAX, Load::Totals(totals)));
        }
        Ok(blocks)
    });
    let here = place.clone();
    let blocks = gather(blocks, "transpose", "adjacency", place, move |inbox| {
        let ranges = here.shared.right_ranges.get()?;
        let lefts = here.shared.kept[1].get()?.0.count();
        let (pairs, others): (Vec<_>, Vec<_>) =
            inbox.into_iter().partition(|block| matches!(block.load, Load::Pairs(_)));
        let pass_on = |block: Block| here.block(block.to, block.tag, block.load);
        let mut blocks: Vec<Block> = others.into_iter().map(pass_on).collect();
        // A worker's left nodes come before those of the next, so senders are in order of left node.
        let owned = owned(&here, &ranges);
        let mut runs = by_range(pairs, &owned);
        let edges = runs.iter().flatten().map(|run| run.pairs.len()).sum();
        let first = ranges.range(owned.start).start;
        let mut shard = RightShard::new(first, edges, PairPacking::new(&ranges, lefts));
        for (index, runs) in owned.zip(runs.iter_mut().map(std::mem::take)) {
            shard.add(runs, ranges.range(index));
        }
        blocks.extend(to_keepers(&here, Side::Right, shard.finish()));
        Ok(blocks)
    });
    assemble(blocks, place)
}

/// A finished range of the adjacency of `side`, for the worker of each process that keeps that side.
fn to_keepers(place: &Place, side: Side, shard: Shard) -> Vec<Block> {
    let shard = Arc::new(shard);
    let keepers = place.shared.topology.keepers(index(side));
    keepers.map(|to| place.block(to, u64::MAX, Load::Shard(side, shard.clone()))).collect()
}

/// In each process, the keepers of the two sides make one CSR of each side's shards, and the first
/// worker makes the graph.
fn assemble<'scope>(blocks: Blocks<'scope>, place: &Place) -> Blocks<'scope> {
    let here = place.clone();
    let blocks = gather(blocks, "assemble", "adjacency", place, move |inbox| {
        let (mut shards, mut totals) = ([Vec::new(), Vec::new()], None::<EventTotals>);
        for block in inbox {
            match block.load {
                Load::Shard(side, shard) => {
                    shards[index(side)].push(Arc::unwrap_or_clone(shard));
                }
                Load::Totals(part) => match totals.as_mut() {
                    Some(sum) => sum.add(part),
                    None => totals = Some(part),
                },
                _ => {}
            }
        }
        let mut blocks = Vec::new();
        for (side, mut shards) in [Side::Left, Side::Right].into_iter().zip(shards) {
            if here.shared.topology.keepers(index(side)).any(|keeper| keeper == here.worker) {
                shards.sort_by_key(|shard| shard.range.start);
                let csr = Csr::from_shards(shards);
                let whole = Arc::new(Shard { range: 0..csr.nodes() as u32, csr });
                let to = here.shared.topology.first();
                blocks.push(here.block(to, 0, Load::Shard(side, whole)));
            }
        }
        if let Some(totals) = totals {
            let totals = Arc::new(kept_totals(&here, totals)?);
            blocks.extend(here.share_out(ForSlot::Totals(totals)));
        }
        Ok(blocks)
    });
    let here = place.clone();
    gather(blocks, "graph", "adjacency", place, move |inbox| {
        if !here.is_first() {
            return Ok(Vec::new());
        }
        let mut adjacency = [Csr::default(), Csr::default()];
        for block in inbox {
            if let Load::Shard(side, shard) = block.load {
                adjacency[index(side)] = Arc::unwrap_or_clone(shard).csr;
            }
        }
        let [forward, backward] = adjacency;
        let shared = &here.shared;
        let keys = |side: usize| Result::Ok((*shared.dictionaries[side].get()?).clone());
        shared.graph.put(Arc::new(Graph {
            names: shared.job.graph.names.clone(),
            left: keys(0)?,
            right: keys(1)?,
            forward,
            backward,
            events: shared.totals.get().ok(),
        }));
        shared.finish("adjacency");
        Ok(vec![here.block(here.worker, 0, Load::Ready)])
    })
}

/// The totals of the nodes that are kept.
fn kept_totals(place: &Place, mut totals: EventTotals) -> Result<EventTotals> {
    let kept = place.shared.kept[1].get()?;
    totals.left.retain(|node| kept.0.contains(node));
    totals.right.retain(|node| kept.1.contains(node));
    Ok(totals)
}

/// When the read stage begins: its total is known from the plan if every split knows its rows.
pub(super) fn begin_read(shared: &Shared) {
    let rows: Option<u64> = shared.plan.splits.iter().map(|split| split.rows).sum();
    shared.begin("read", Instant::now(), rows, "rows");
}
