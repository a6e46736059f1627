//! Blocks: what operators send to one another.
//!
//! A block is a header (destination, source, tag) and arrays of plain values. It is routed whole;
//! within a process it moves by pointer.

use serde::{Deserialize, Serialize};

use crate::graph::{PairRun, Shard};
use crate::kernels::aggregate::EventTotals;
use crate::model::{Keys, Side};

/// A block of the ingestion stages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Block {
    /// The worker that it goes to.
    pub to: usize,
    /// The worker that it comes from.
    pub from: usize,
    /// What it is about: the index of a range, for example. Receivers read blocks in ascending
    /// order of tag, then sender, so that arrival order cannot matter.
    pub tag: u64,
    /// The values.
    pub load: Load,
}

/// What a block carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Load {
    /// Nothing: what there is to know stands in a shared slot.
    Ready,
    /// Distinct keys of a side, ascending.
    Keys(bool, Keys),
    /// Events per cell of left nodes.
    Counts(Vec<u64>),
    /// Events of a range of left nodes.
    Events(Vec<PairRun>),
    /// Degrees of a range of left nodes, or of all right nodes.
    Degrees(bool, Vec<u32>),
    /// Edges of a range of right nodes.
    Pairs(Vec<PairRun>),
    /// A finished range of an adjacency.
    Shard(bool, Shard),
    /// Totals over the events of a worker's ranges.
    Totals(EventTotals),
}

/// The side that a flag of [`Load`] stands for: the flag is set for the right side.
pub(super) fn side_of(right: bool) -> Side {
    if right { Side::Right } else { Side::Left }
}
