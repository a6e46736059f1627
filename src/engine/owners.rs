//! Which worker owns which ranges of nodes, and what comes in for them.
//!
//! A worker's ranges are neighbours: so what it has for them is in ascending order of node, it makes
//! one shard of them, and the senders of runs are in ascending order of their nodes.

use std::ops::Range;

use super::block::{Block, Load};
use super::stage::Place;
use crate::graph::{PairRun, Ranges};

/// Ranges a worker at least, so that loads can be even.
const RANGES_A_WORKER: usize = 4;
/// Events a range at most, so that the sort of a range stays in the second-level cache.
const EVENTS_A_RANGE: u64 = 1 << 15;

/// The worker that owns range `range` of `pieces`.
pub(super) fn owner(place: &Place, range: usize, pieces: usize) -> usize {
    range * place.shared.topology.workers() / pieces
}

/// How many ranges to cut `events` into.
pub(super) fn pieces(place: &Place, events: u64) -> usize {
    let by_size = events.div_ceil(EVENTS_A_RANGE) as usize;
    by_size.max(place.shared.topology.workers() * RANGES_A_WORKER)
}

/// The ranges that the worker owns.
pub(super) fn owned(place: &Place, ranges: &Ranges) -> Range<usize> {
    let mine = |&range: &usize| owner(place, range, ranges.len()) == place.worker;
    let first = (0..ranges.len()).find(mine).unwrap_or(ranges.len());
    first..first + (first..ranges.len()).take_while(mine).count()
}

/// The runs of each of the ranges `owned`, in the order of their senders.
pub(super) fn by_range(inbox: Vec<Block>, owned: &Range<usize>) -> Vec<Vec<PairRun>> {
    let mut runs = vec![Vec::new(); owned.len()];
    for block in inbox {
        if let Load::Events(part) | Load::Pairs(part) = block.load
            && let Some(runs) =
                (block.tag as usize).checked_sub(owned.start).and_then(|i| runs.get_mut(i))
        {
            runs.extend(part);
        }
    }
    runs
}
