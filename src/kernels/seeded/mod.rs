//! Personalized PageRank of many seeds at once, for left nodes as seeds and right nodes as results.
//!
//! **Representation.** A walker on the bipartite graph starts at the seed `s`; at each half-step it
//! follows a uniform random edge with probability `b = 1 - restart` and jumps back to `s`
//! otherwise. Its stationary probability of standing at the right node `p` is the score
//!
//! ```text
//! score(p) = restart * sum over odd t of b^t v_t(p),    v_t = distribution after t edges from s
//! ```
//!
//! since after an odd number of edges the walker is on the right, and after an even number on the
//! left. Both sides are kept as densities, `f_t(p) = v_t(p) / degree(p)`: a half-step then replaces
//! a node's value by the mean over its neighbours, and `f_t` tends to `1 / E`, with `E` the edges of
//! the seed's connected component.
//!
//! **Methods.** [`Method::Exact`] iterates until a bound on the error is met (exact.rs);
//! [`Method::Truncated`] stops after a few half-steps and extrapolates (truncated.rs), with
//! coefficients that [`calibrate`] fits on the graph at hand.
//!
//! **A seed's result is its own.** Seeds share passes over the edges, a lane each, but no lane reads
//! another: a seed has the same bits alone, in any block and in any order.
//!
//! **Ties.** Results are ordered by their `f32` score, descending, then by id, ascending.
//!
//! **References.** G. Jeh and J. Widom, "Scaling personalized web search", WWW 2003, for the scores;
//! S. Kamvar, T. Haveliwala, C. Manning and G. Golub, "Extrapolation methods for accelerating
//! PageRank computations", WWW 2003, for the extrapolated tail.

pub mod calibrate;
mod components;
mod exact;
mod select;
mod sparse;
mod truncated;

pub use components::Components;
pub use exact::EXACT_TOLERANCE;
pub use select::TopK;
pub use truncated::{BUCKETS, Gammas, LANES, LEVELS, Tail};

use exact::{ExactScratch, exact};
use truncated::{TruncatedScratch, truncated};

/// The adjacency of one side, borrowed: node `n` is joined to
/// `targets[offsets[n]..offsets[n + 1]]`, ascending.
#[derive(Clone, Copy, Debug)]
pub struct Adjacency<'a> {
    /// `nodes + 1` ascending offsets, the first 0.
    pub offsets: &'a [u64],
    /// Ids of the other side.
    pub targets: &'a [u32],
}

impl<'a> Adjacency<'a> {
    /// The number of nodes.
    pub fn nodes(self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The neighbours of `node`, ascending.
    #[inline(always)]
    pub fn neighbours(self, node: u32) -> &'a [u32] {
        let node = node as usize;
        &self.targets[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// The number of neighbours of `node`.
    #[inline(always)]
    pub fn degree(self, node: u32) -> usize {
        let node = node as usize;
        (self.offsets[node + 1] - self.offsets[node]) as usize
    }
}

/// A bipartite graph, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Bipartite<'a> {
    /// Left nodes to right nodes.
    pub left: Adjacency<'a>,
    /// Right nodes to left nodes.
    pub right: Adjacency<'a>,
}

/// What to walk and what to keep of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walk {
    /// Probability of jumping back to the seed at each half-step, between 0 and 1, exclusive.
    pub restart: f64,
    /// Results a seed.
    pub top_k: usize,
    /// Whether the seed's own neighbours are left out.
    pub exclude_seen: bool,
}

/// How to compute the scores.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Power iteration until the error bound is met.
    Exact,
    /// A few half-steps and an extrapolated tail. Components with at most `exact_edges` edges are
    /// done exactly all the same: it is cheap there, and extrapolation has nothing to go by.
    Truncated {
        /// Half-steps and coefficients.
        tail: Tail,
        /// Largest component, in edges, that is done exactly.
        exact_edges: u64,
    },
}

/// The accumulators of a worker, kept between calls.
#[derive(Default)]
pub struct SeededScratch {
    exact: ExactScratch,
    truncated: TruncatedScratch,
}

/// The results of each of `seeds` (left nodes), in the order given.
///
/// Cost: exact, some tens of passes over the seed's component for each 16 seeds; truncated, `T - 4`
/// passes over the edges for each 16 seeds, the pairs of edges two steps around each seed, and the
/// edges of its candidates.
pub fn top_k(
    graph: Bipartite<'_>,
    components: &Components,
    walk: Walk,
    method: &Method,
    seeds: &[u32],
    scratch: &mut SeededScratch,
) -> Vec<TopK> {
    let mut order: Vec<usize> = (0..seeds.len()).collect();
    order.sort_by_key(|&index| components.of_left(seeds[index]));
    let mut results = vec![TopK::default(); seeds.len()];
    for group in
        order.chunk_by(|&a, &b| components.of_left(seeds[a]) == components.of_left(seeds[b]))
    {
        let edges = group.first().map_or(0, |&index| components.edges_around(seeds[index]));
        let tail = match method {
            Method::Truncated { tail, exact_edges } if edges > *exact_edges => Some(tail),
            _ => None,
        };
        for block in group.chunks(LANES) {
            let block_seeds: Vec<u32> = block.iter().map(|&index| seeds[index]).collect();
            let found = match tail {
                Some(tail) => {
                    truncated(graph, components, walk, tail, &block_seeds, &mut scratch.truncated)
                }
                None => {
                    exact(graph, components, walk, &block_seeds, &mut scratch.exact, &mut |_, _| {})
                }
            };
            for (&index, top) in block.iter().zip(found) {
                results[index] = top;
            }
        }
    }
    results
}
