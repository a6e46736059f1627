//! Row-wise sparse product `A' A` of a bipartite adjacency, and the K best columns of each row.
//!
//! # Formula
//!
//! For right nodes `p` and `q`, `n(p, q)` is the sum of `weight(u)` over the left nodes `u` joined to
//! both: 1 each, or a discount for the busy ones. A row is the `top_k` columns `q != p` of the highest
//! score (see [`Scoring`]), in descending order of the published 32-bit score, then ascending dense
//! id. Columns with fewer than `min_count` left nodes in common are left out.
//!
//! # Steps
//!
//! Once: put columns in order of degree and relabel the left lists ([`lists`]). For each row `p`:
//!
//! 1. Walk the lists of the left nodes of `p`, and add to a counter for each column (Gustavson's
//!    algorithm with a dense accumulator). Counters have 8, 16 or 32 bits by the degree of `p`, which
//!    no count exceeds; weighted ones are 64-bit fixed point.
//! 2. Select the K best columns by summaries of the counters ([`select`]).
//! 3. Set the counters to zero. Rows that touch few of very many columns note the blocks they touch,
//!    and steps 2 and 3 look at nothing else.
//!
//! It stops when the counters have been summarised: there is no iteration and no approximation.
//!
//! # Cost
//!
//! One step a wedge (path right - left - right), `sum over u of degree(u)^2` in all, plus about
//! `columns / 10` steps a row. Memory: 2 to 4 bytes an edge, and 1 to 8 bytes a column for each
//! worker.
//!
//! # Reference
//!
//! F. G. Gustavson, Two Fast Algorithms for Sparse Matrices: Multiplication and Permuted Transposition,
//! ACM TOMS 4(3), 1978.

mod counters;
mod lists;
mod score;
mod select;

use counters::{BLOCK, Counter, Counters};
use select::{Norms, Row, Selection};

pub use lists::{Lists, column_of_node, columns_by_degree, relabel};
pub use score::{Measure, Scoring};

/// The weight 1 of a left node: weights are integers in units of 2^-31.
pub const WEIGHT_ONE: u32 = 1 << 31;

/// Everything that the rows are computed from; read by all workers.
#[derive(Clone, Debug)]
pub struct TwoHop {
    /// The relabelled left lists.
    lists: Lists,
    /// The dense id of each column.
    nodes: Vec<u32>,
    /// The column of each dense id.
    columns: Vec<u32>,
    /// Norms by column.
    norms: Norms,
    /// Weight of each left node, in units of 2^-31; empty if all are 1.
    weights: Vec<u32>,
    scoring: Scoring,
    min_count: u32,
    top_k: usize,
}

/// What a worker keeps between rows: counters of each width, made when first needed.
#[derive(Debug, Default)]
pub struct Workspace {
    narrow: (Counters<u8>, Selection<u8>),
    middle: (Counters<u16>, Selection<u16>),
    wide: (Counters<u32>, Selection<u32>),
    weighted: (Counters<u64>, Selection<u64>),
}

/// The parts of a [`TwoHop`].
#[derive(Clone, Debug)]
pub struct Parts {
    /// The relabelled left lists.
    pub lists: Lists,
    /// The dense id of each column, from [`columns_by_degree`].
    pub nodes: Vec<u32>,
    /// Its inverse, from [`column_of_node`].
    pub columns: Vec<u32>,
    /// `n(p, p)` of each right node by dense id: its degree, or the sum of its left nodes' weights.
    pub norms: Vec<u64>,
    /// Weight of each left node, at most [`WEIGHT_ONE`] and at least 1; empty if all are 1.
    pub weights: Vec<u32>,
}

impl TwoHop {
    /// Rows of the `top_k` best columns by `measure` and `shrink`, that have at least `min_count`
    /// left nodes in common with the row.
    pub fn new(
        parts: Parts,
        measure: Measure,
        shrink: f64,
        min_count: u32,
        top_k: usize,
    ) -> TwoHop {
        let weighted = !parts.weights.is_empty();
        let unit = if weighted { 1.0 / f64::from(WEIGHT_ONE) } else { 1.0 };
        let scoring = Scoring { measure, shrink, unit };
        let by_column = parts.nodes.iter().map(|&node| parts.norms[node as usize]).collect();
        TwoHop {
            lists: parts.lists,
            norms: Norms::new(by_column, &scoring),
            nodes: parts.nodes,
            columns: parts.columns,
            weights: parts.weights,
            scoring,
            min_count: min_count.max(1),
            top_k,
        }
    }

    /// Appends the row of `node` to `out`: score and dense id, best first. `lefts` are its
    /// neighbours, ascending, and `wedges` the sum of their degrees.
    pub fn row(
        &self,
        node: u32,
        lefts: &[u32],
        wedges: u64,
        workspace: &mut Workspace,
        out: &mut Vec<(f32, u32)>,
    ) {
        let degree = lefts.len() as u64;
        if !self.weights.is_empty() {
            self.weighted_row(node, lefts, wedges, workspace, out);
        } else if degree <= u8::LARGEST {
            self.row_in(node, lefts, wedges, &mut workspace.narrow, |_| 1, out);
        } else if degree <= u16::LARGEST {
            self.row_in(node, lefts, wedges, &mut workspace.middle, |_| 1, out);
        } else {
            self.row_in(node, lefts, wedges, &mut workspace.wide, |_| 1, out);
        }
    }

    /// The row of `node` in counters of type `T`.
    fn row_in<T: Counter>(
        &self,
        node: u32,
        lefts: &[u32],
        wedges: u64,
        (counters, selection): &mut (Counters<T>, Selection<T>),
        step: impl Fn(u32) -> T,
        out: &mut Vec<(f32, u32)>,
    ) {
        self.count(node, lefts, wedges, counters, step);
        selection.select(counters, self.selection_row(node, wedges, self.min_count), out);
        counters.clear();
    }

    /// The row of `node` in fixed-point sums of weights, with plain counts beside them if a minimum
    /// is asked for.
    fn weighted_row(
        &self,
        node: u32,
        lefts: &[u32],
        wedges: u64,
        workspace: &mut Workspace,
        out: &mut Vec<(f32, u32)>,
    ) {
        let (sums, selection) = &mut workspace.weighted;
        self.count(node, lefts, wedges, sums, |left| u64::from(self.weights[left as usize]));
        if self.min_count > 1 {
            let counts = &mut workspace.wide.0;
            self.count(node, lefts, wedges, counts, |_| 1);
            sums.reset_below(counts, self.min_count);
            counts.clear();
        }
        selection.select(sums, self.selection_row(node, wedges, 1), out);
        sums.clear();
    }

    /// Adds up the counters of `node`'s row, its own left at zero.
    fn count<T: Counter>(
        &self,
        node: u32,
        lefts: &[u32],
        wedges: u64,
        counters: &mut Counters<T>,
        step: impl Fn(u32) -> T,
    ) {
        let columns = self.nodes.len();
        counters.reserve(columns);
        if wedges.saturating_mul(MARKING_GAIN) < columns as u64 {
            counters.add_marking(&self.lists, lefts, step);
        } else {
            counters.add(&self.lists, lefts, columns, step);
        }
        counters.reset(self.columns[node as usize]);
    }

    /// What the selection must know of `node`'s row, which keeps counters from `least` up.
    fn selection_row(&self, node: u32, wedges: u64, least: u32) -> Row<'_> {
        let column = self.columns[node as usize] as usize;
        Row {
            scoring: &self.scoring,
            norms: &self.norms,
            nodes: &self.nodes,
            norm: self.norms.columns[column],
            least: u64::from(least),
            wedges,
            top_k: self.top_k,
        }
    }
}

/// Blocks are marked if a wedge stands for this many columns or more: a mark costs about as much
/// as summarising and clearing so many columns.
const MARKING_GAIN: u64 = (BLOCK / 8) as u64;
