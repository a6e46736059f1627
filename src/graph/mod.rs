//! From events to a graph: dense ids by rank, de-duplicated edges, CSR in both directions.
//!
//! Everything here is pure: the engine decides which worker calls what, and moves the blocks.

mod buckets;
mod build;
mod csr;
mod dictionary;
mod edges;
mod interner;
mod node_set;
mod pairs;
mod ranges;
mod rules;
mod shard;
mod share;

pub use build::{BuildRules, build};
pub use csr::Csr;
pub use dictionary::{Dictionary, merge_keys, ranks};
pub use edges::LeftShard;
pub use node_set::NodeSet;
pub use pairs::{PairPacking, PairRun, Pairs};
pub use ranges::{CELLS_MAX, Cells, Ranges};
pub use rules::EdgeRules;
pub use shard::{RightShard, Shard};
pub use share::{EventLayout, Share};

use std::sync::Arc;

use crate::kernels::aggregate::EventTotals;
use crate::model::{Side, SideNames};

/// A bipartite graph. Dense ids are ranks of keys among the kept nodes.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What the sides are called.
    pub names: SideNames,
    /// Keys of the left nodes.
    pub left: Dictionary,
    /// Keys of the right nodes.
    pub right: Dictionary,
    /// Left nodes to right nodes.
    pub forward: Csr,
    /// Right nodes to left nodes.
    pub backward: Csr,
    /// Totals over events, for the signals that ask for them ([`Needs::events`]).
    pub events: Option<Arc<EventTotals>>,
}

/// What a feature needs beyond the two adjacencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Weights beside the edges.
    pub weights: bool,
    /// Totals over events.
    pub events: bool,
}

impl Graph {
    /// Adjacency of the nodes of `side`.
    pub fn adjacency(&self, side: Side) -> &Csr {
        match side {
            Side::Left => &self.forward,
            Side::Right => &self.backward,
        }
    }

    /// Keys of the nodes of `side`.
    pub fn dictionary(&self, side: Side) -> &Dictionary {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The number of nodes of `side`.
    pub fn nodes(&self, side: Side) -> usize {
        self.adjacency(side).nodes()
    }

    /// The number of edges.
    pub fn edges(&self) -> usize {
        self.forward.targets.len()
    }
}
