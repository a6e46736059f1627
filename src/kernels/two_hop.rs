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
//! Once: put columns in order of their norms and relabel the left lists ([`lists`]). For each row `p`:
//!
//! 1. Walk the lists of the left nodes of `p`, and add to a counter for each column (Gustavson's
//!    algorithm with a dense accumulator). Counters have 8, 16 or 32 bits by the degree of `p`, which
//!    no count exceeds.
//! 2. Select the K best columns by summaries of the counters, or by counting ([`select`], [`hits`]), and
//!    sort them by their exact scores ([`rank`]).
//! 3. Set the counters to zero. Rows that touch few of very many columns note the blocks they touch,
//!    and steps 2 and 3 look at nothing else; or, of still more columns, list the columns ([`sparse`]).
//!
//! It stops when the counters have been summarised: there is no iteration and no approximation.
//!
//! With discounts ([`weighted`]), step 1 adds weights that are scaled and rounded, 8 bits for most rows, step 2
//! allows for the rounding, and a second walk adds up the exact weights, integers in units of 2^-31, of the
//! candidates alone ([`sums`]): 70 to 90 columns a row for a `top_k` of 50.
//!
//! # Cost
//!
//! One step a wedge (path right - left - right), `sum over u of degree(u)^2` in all, plus about
//! `columns / 10` steps a row. Memory: 2 to 4 bytes an edge, 16 a column, and 1 to 8 a column for
//! each worker.
//!
//! # Reference
//!
//! F. G. Gustavson, Two Fast Algorithms for Sparse Matrices: Multiplication and Permuted Transposition,
//! ACM TOMS 4(3), 1978.

mod counters;
mod hits;
mod lists;
mod rank;
mod score;
mod select;
mod sparse;
mod sums;
mod weighted;

use counters::{BLOCK, Counter, Counters};
use rank::Ranking;
use select::{Column, Norms, Rounding, Row, Selection};
use sparse::Sparse;
use sums::Sums;
use weighted::Steps;

pub use lists::{Lists, column_of_node, columns_by_norm, relabel};
pub use score::{Measure, Scoring};

/// The weight 1 of a left node: weights are integers in units of 2^-31.
pub const WEIGHT_ONE: u32 = 1 << 31;

/// Everything that the rows are computed from; read by all workers.
#[derive(Clone, Debug)]
pub struct TwoHop {
    /// The relabelled left lists.
    lists: Lists,
    /// The column of each dense id.
    columns: Vec<u32>,
    /// Norm and dense id of each column.
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
    sparse: Sparse,
    /// Plain counts beside weighted sums, for rows of few left nodes and of many.
    counts: (Counters<u8>, Counters<u32>),
    steps: Steps,
    sums: Sums,
    ranking: Ranking,
}

/// The parts of a [`TwoHop`].
#[derive(Clone, Debug)]
pub struct Parts {
    /// The relabelled left lists.
    pub lists: Lists,
    /// The dense id of each column, from [`columns_by_norm`].
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
        let column = |&node: &u32| Column { norm: parts.norms[node as usize], node };
        let by_column = parts.nodes.iter().map(column).collect();
        TwoHop {
            lists: parts.lists,
            norms: Norms::new(by_column, &scoring),
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
        let Workspace { narrow, middle, wide, sparse, ranking, .. } = workspace;
        let degree = lefts.len() as u64;
        let walk = Walk { node, lefts, wedges };
        let columns = self.columns.len();
        let few =
            columns >= LISTING_COLUMNS && wedges.saturating_mul(LISTING_GAIN) < columns as u64;
        if !self.weights.is_empty() {
            self.weighted_row(walk, workspace, out);
        } else if few && degree <= u8::LARGEST {
            self.sparse_row(walk, &mut narrow.0, sparse, ranking, out);
        } else if degree <= u8::LARGEST {
            self.row_in(walk, narrow, ranking, out);
        } else if degree <= u16::LARGEST {
            self.row_in(walk, middle, ranking, out);
        } else {
            self.row_in(walk, wide, ranking, out);
        }
    }

    /// A row of plain counts of type `T`.
    fn row_in<T: Counter>(
        &self,
        walk: Walk<'_>,
        (counters, selection): &mut (Counters<T>, Selection<T>),
        ranking: &mut Ranking,
        out: &mut Vec<(f32, u32)>,
    ) {
        self.add(walk, counters, |_| T::small(true));
        let row = self.selection_row(walk, self.min_count);
        let candidates = selection.candidates(counters, row);
        let (columns, overlaps) = parts(candidates);
        ranking.rank(columns, overlaps, row, out);
        counters.clear();
    }

    /// A row of plain counts that touches few of very many columns.
    fn sparse_row(
        &self,
        walk: Walk<'_>,
        counters: &mut Counters<u8>,
        sparse: &mut Sparse,
        ranking: &mut Ranking,
        out: &mut Vec<(f32, u32)>,
    ) {
        counters.reserve(self.columns.len());
        counters.add_listing(&self.lists, walk.lefts, walk.wedges, &mut sparse.touched);
        counters.reset(self.columns[walk.node as usize]);
        let row = self.selection_row(walk, self.min_count);
        let candidates = sparse.candidates(counters, row);
        let (columns, overlaps) = parts(candidates);
        ranking.rank(columns, overlaps, row, out);
        counters.clear_listed(&mut sparse.touched);
    }

    /// Adds up the counters of a row, its own left at zero.
    fn add<T: Counter>(
        &self,
        Walk { node, lefts, wedges }: Walk<'_>,
        counters: &mut Counters<T>,
        step: impl Fn(usize) -> T,
    ) {
        let columns = self.columns.len();
        counters.reserve(columns);
        if wedges.saturating_mul(MARKING_GAIN) < columns as u64 {
            counters.add_marking(&self.lists, lefts, step);
        } else {
            counters.add(&self.lists, lefts, columns, step);
        }
        counters.reset(self.columns[node as usize]);
    }

    /// What the selection must know of a row that keeps counters from `least` up.
    fn selection_row(&self, walk: Walk<'_>, least: u32) -> Row<'_> {
        let column = self.columns[walk.node as usize] as usize;
        Row {
            scoring: &self.scoring,
            norms: &self.norms,
            norm: self.norms.columns[column].norm,
            least: u64::from(least),
            rounding: Rounding::NONE,
            wedges: walk.wedges,
            top_k: self.top_k,
        }
    }
}

/// The columns of `candidates`, and their counters.
fn parts<T: Counter>(
    candidates: &[(u32, T)],
) -> (impl Iterator<Item = u32> + Clone, impl Iterator<Item = u64>) {
    let columns = candidates.iter().map(|&(column, _)| column);
    (columns, candidates.iter().map(|&(_, count)| count.wide()))
}

/// The wedges of a row.
#[derive(Clone, Copy, Debug)]
struct Walk<'a> {
    /// The right node.
    node: u32,
    /// Its neighbours, ascending.
    lefts: &'a [u32],
    /// The sum of their degrees.
    wedges: u64,
}

/// Columns are listed if a wedge stands for this many columns or more: a listed column costs about as
/// much as summarising and clearing so many.
const LISTING_GAIN: u64 = 96;

/// From so many columns on: the counters of fewer stay in the second-level cache, and summarising them
/// costs less than a list.
const LISTING_COLUMNS: usize = 1 << 18;

/// Blocks are marked if a wedge stands for this many columns or more: a mark costs about as much
/// as summarising and clearing so many columns.
const MARKING_GAIN: u64 = (BLOCK / 8) as u64;
