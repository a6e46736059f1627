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
use std::sync::atomic::Ordering;
use std::time::Instant;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::source;

use super::block::{Block, Load, side_of};
use super::owners::{by_range, owned, owner, pieces};
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

/// Adds the ingestion stages. Worker 0 gets one `Ready` block when the graph stands.
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
    source::<_, CapacityContainerBuilder<Vec<Block>>, _, _>(
        scope,
        "read",
        move |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |output| {
                let (Some(cap), Some(events)) = (capability.as_ref(), share.as_mut()) else {
                    return;
                };
                let split = place.shared.next_split.fetch_add(1, Ordering::Relaxed);
                if split < place.shared.plan.splits.len() && !place.shared.stopped() {
                    place.shared.timed("read", || read_split(&place, events, split));
                    activator.activate();
                    return;
                }
                let blocks = place.shared.timed("ids", || {
                    let mut blocks = Vec::new();
                    for right in [false, true] {
                        let to = place.shared.keeper(side_of(right));
                        let keys = events.take_keys(side_of(right));
                        state.borrow_mut().keys.push(keys.clone());
                        blocks.push(place.block(to, 0, Load::Keys(right, keys)));
                    }
                    Ok(blocks)
                });
                output.session(cap).give_iterator(blocks.unwrap_or_default().into_iter());
                state.borrow_mut().share = share.take();
                capability = None;
            }
        },
    )
}

/// Stage *ids*: dictionaries, ranks, and the ranges of left nodes.
fn ids<'scope>(blocks: Blocks<'scope>, place: &Place, state: State) -> Blocks<'scope> {
    let here = place.clone();
    let blocks = gather(blocks, "dictionary", "ids", place, move |inbox| {
        check_rows(&here)?;
        let mut parts = [Vec::new(), Vec::new()];
        for block in inbox {
            if let Load::Keys(right, keys) = block.load {
                parts[usize::from(right)].push(keys);
            }
        }
        for (right, parts) in [false, true].into_iter().zip(parts) {
            if here.shared.keeper(side_of(right)) == here.worker {
                here.shared.provisional[usize::from(right)].put(merge_keys(parts));
            }
        }
        Ok(here.ready())
    });
    let (here, local) = (place.clone(), state);
    let blocks = gather(blocks, "rank", "ids", place, move |_| {
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
        here.shared.left_ranges.put(Ranges::by_load(&cells, &load, pieces(&here, events)));
        here.shared.finish("ids");
        Ok(here.ready())
    })
}

/// Fails the run if more rows are bad than the job allows, or an action is misspelt; called when all
/// workers have read.
fn check_rows(place: &Place) -> Result<()> {
    let shared = &place.shared;
    if place.worker != 0 {
        return Ok(());
    }
    shared.finish("read");
    let stats = super::shared::lock(&shared.scan).clone();
    shared.job.check_rejects(&stats, &super::shared::lock(&shared.rejects))?;
    for action in shared.job.check_actions(&stats)? {
        shared.warn(format!("no event has action {action:?}; see graph.actions in the job file"));
    }
    Ok(())
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
            return Ok(here.ready());
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
        place.block(0, tag, Load::Degrees(false, shard.left_degrees())),
        place.block(0, u64::MAX, Load::Degrees(true, right)),
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
            return Ok(here.ready());
        }
        let mut left: Vec<u32> = Vec::new();
        let mut right = vec![0u32; shared.provisional[1].get()?.len()];
        for block in inbox {
            match block.load {
                Load::Degrees(false, degrees) => left.extend(degrees),
                Load::Degrees(true, degrees) => {
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
        if pass == 0 {
            shared.kept[0].put(kept.clone());
        }
        if pass == 1 || all_kept(&kept) {
            shared.kept[1].put(kept);
            shared.right_ranges.put(right_ranges(&here, right));
            shared.finish("edges");
        }
        Ok(here.ready())
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
            if shared.keeper(side) == here.worker {
                let side = usize::from(side == Side::Right);
                let dictionary = shared.provisional[side].get()?;
                shared.dictionaries[side].put(Dictionary::clone(&dictionary).retain(set));
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
            let to = shared.keeper(Side::Left);
            blocks.push(here.block(to, u64::MAX, Load::Shard(false, shard)));
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
        let to = here.shared.keeper(Side::Right);
        blocks.push(here.block(to, u64::MAX, Load::Shard(true, shard.finish())));
        Ok(blocks)
    });
    assemble(blocks, place)
}

/// The keepers of the two sides make one CSR of each side's shards; worker 0 makes the graph.
fn assemble<'scope>(blocks: Blocks<'scope>, place: &Place) -> Blocks<'scope> {
    let here = place.clone();
    let blocks = gather(blocks, "assemble", "adjacency", place, move |inbox| {
        let (mut shards, mut totals) = ([Vec::new(), Vec::new()], None::<EventTotals>);
        for block in inbox {
            match block.load {
                Load::Shard(right, shard) => shards[usize::from(right)].push(shard),
                Load::Totals(part) => match totals.as_mut() {
                    Some(sum) => sum.add(part),
                    None => totals = Some(part),
                },
                _ => {}
            }
        }
        let mut blocks = Vec::new();
        for (right, mut shards) in [false, true].into_iter().zip(shards) {
            if here.shared.keeper(side_of(right)) == here.worker {
                shards.sort_by_key(|shard| shard.range.start);
                let csr = Csr::from_shards(shards);
                let nodes = csr.nodes() as u32;
                let whole = Shard { range: 0..nodes, csr };
                blocks.push(here.block(0, u64::from(right), Load::Shard(right, whole)));
            }
        }
        blocks.extend(totals.map(|totals| here.block(0, 2, Load::Totals(totals))));
        Ok(blocks)
    });
    let here = place.clone();
    gather(blocks, "graph", "adjacency", place, move |inbox| {
        if here.worker != 0 {
            return Ok(Vec::new());
        }
        let (mut adjacency, mut events) = ([Csr::default(), Csr::default()], None);
        for block in inbox {
            match block.load {
                Load::Shard(right, shard) => adjacency[usize::from(right)] = shard.csr,
                Load::Totals(totals) => events = Some(kept_totals(&here, totals)?),
                _ => {}
            }
        }
        let [forward, backward] = adjacency;
        let shared = &here.shared;
        let keys = |side: usize| Result::Ok((*shared.dictionaries[side].get()?).clone());
        shared.graph.put(Graph {
            names: shared.job.graph.names.clone(),
            left: keys(0)?,
            right: keys(1)?,
            forward,
            backward,
            events,
        });
        shared.finish("adjacency");
        Ok(vec![here.block(0, 0, Load::Ready)])
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
pub(super) fn begin_read(place: &Place) {
    let rows: Option<u64> = place.shared.plan.splits.iter().map(|split| split.rows).sum();
    place.shared.begin("read", Instant::now(), rows, "rows");
}
