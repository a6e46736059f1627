//! Personalized PageRank by power iteration in `f64`, eight seeds a pass, with a proven error.
//!
//! 1. `g` is 0 on the left but for `1 / degree(s)` at the seed.
//! 2. For t = 1, 3, 5, ...: `f(p)` = mean of `g` over the neighbours of `p`; `sum(p) += b^t f(p)`.
//! 3. Means stay between the least and the greatest `f` of the component, and so do all later ones
//!    and their limit `1 / E`. So the steps not taken add between `w * min f` and `w * max f` with
//!    `w = b^(t+2) / (1 - b^2)`. Taking `w / E` for them is wrong by at most
//!    `restart * w * degree_max * (max f - min f)` in any score. It is wrong by at most `restart * w`
//!    too, as no distribution exceeds 1; whichever is less is the bound.
//! 4. **Stopping rule**: a lane is done at the first t whose bound is at most [`EXACT_TOLERANCE`].
//!    The second bound makes that t finite for every graph: 105 or less for a restart of 0.15.
//! 5. `g(u)` = mean of `f` over the neighbours of `u`; back to 2 unless all lanes are done.
//! 6. `score(p) = restart * degree(p) * (sum(p) + w / E)`.
//!
//! **Cost**: two passes over the edges of the component for each step of t. Only nodes of the
//! component are touched, so small components cost little however large the graph is.

use super::select::{Selector, TopK};
use super::{Bipartite, Components, Walk};
use crate::kernels::prefetch::prefetch;

/// Seeds a pass: eight `f64` fill a cache line.
pub(super) const LANES: usize = 8;

/// The largest error of a score, before it is rounded to `f32`.
pub const EXACT_TOLERANCE: f64 = 1e-8;

/// Edges ahead that are prefetched.
const AHEAD: usize = 12;

/// The values of a node, a lane a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lanes(pub [f64; LANES]);

/// The accumulators of [`exact`], kept between calls.
#[derive(Default)]
pub struct ExactScratch {
    left: Vec<Lanes>,
    right: Vec<Lanes>,
    sum: Vec<Lanes>,
}

/// The results of up to eight `seeds` of one component. `observe` is shown each odd `t` and the
/// densities `f_t` of all right nodes (those outside the component hold anything).
pub fn exact(
    graph: Bipartite<'_>,
    components: &Components,
    walk: Walk,
    seeds: &[u32],
    scratch: &mut ExactScratch,
    observe: &mut dyn FnMut(usize, &[Lanes]),
) -> Vec<TopK> {
    let Some(&first) = seeds.first() else { return Vec::new() };
    debug_assert!(seeds.len() <= LANES);
    debug_assert!(seeds.iter().all(|&s| components.of_left(s) == components.of_left(first)));
    if components.edges_around(first) == 0 {
        return vec![TopK::default(); seeds.len()];
    }
    let (lefts, rights) = (components.lefts_around(first), components.rights_around(first));
    scratch.left.resize(graph.left.nodes(), Lanes::default());
    scratch.right.resize(graph.right.nodes(), Lanes::default());
    scratch.sum.resize(graph.right.nodes(), Lanes::default());
    for &left in lefts {
        scratch.left[left as usize] = Lanes::default();
    }
    for &right in rights {
        scratch.sum[right as usize] = Lanes::default();
    }
    for (lane, &seed) in seeds.iter().enumerate() {
        scratch.left[seed as usize].0[lane] = 1.0 / graph.left.degree(seed) as f64;
    }
    let degree_max = rights.iter().map(|&p| graph.right.degree(p)).max().unwrap_or(0) as f64;
    let edges = components.edges_around(first) as f64;
    let keep = 1.0 - walk.restart;
    let mut power = keep;
    // The weight that a lane's tail had when the lane was done.
    let mut tails = [None; LANES];
    for t in (1..).step_by(2) {
        let weights = tails.map(|tail: Option<f64>| if tail.is_none() { power } else { 0.0 });
        let (low, high) = right_step(graph, rights, &weights, scratch);
        observe(t, &scratch.right);
        power *= keep * keep;
        let rest = power / (1.0 - keep * keep);
        for lane in 0..LANES {
            let spread = degree_max * (high[lane] - low[lane]);
            let bound = walk.restart * rest * spread.min(1.0);
            if tails[lane].is_none() && (lane >= seeds.len() || bound <= EXACT_TOLERANCE) {
                tails[lane] = Some(rest);
            }
        }
        if tails.iter().all(Option::is_some) {
            break;
        }
        left_step(graph, lefts, scratch);
    }
    let pick = |(lane, &seed): (usize, &u32)| {
        let tail = tails[lane].unwrap_or(0.0) / edges;
        pick(graph, rights, walk, seed, &|p| {
            walk.restart * graph.right.degree(p) as f64 * (scratch.sum[p as usize].0[lane] + tail)
        })
    };
    seeds.iter().enumerate().map(pick).collect()
}

/// `f` of every right node, `sum += weights * f`, and the least and greatest `f` of each lane.
fn right_step(
    graph: Bipartite<'_>,
    rights: &[u32],
    weights: &[f64; LANES],
    scratch: &mut ExactScratch,
) -> ([f64; LANES], [f64; LANES]) {
    let (mut low, mut high) = ([f64::INFINITY; LANES], [0.0f64; LANES]);
    for &right in rights {
        let mean = mean(graph.right.offsets, graph.right.targets, right, &scratch.left);
        let sum = &mut scratch.sum[right as usize].0;
        for lane in 0..LANES {
            sum[lane] += weights[lane] * mean.0[lane];
            low[lane] = low[lane].min(mean.0[lane]);
            high[lane] = high[lane].max(mean.0[lane]);
        }
        scratch.right[right as usize] = mean;
    }
    (low, high)
}

/// `g` of every left node.
fn left_step(graph: Bipartite<'_>, lefts: &[u32], scratch: &mut ExactScratch) {
    for &left in lefts {
        scratch.left[left as usize] =
            mean(graph.left.offsets, graph.left.targets, left, &scratch.right);
    }
}

/// The mean of `values` over the neighbours of `node`, summed in ascending order.
#[inline(always)]
fn mean(offsets: &[u64], targets: &[u32], node: u32, values: &[Lanes]) -> Lanes {
    let (begin, end) = (offsets[node as usize] as usize, offsets[node as usize + 1] as usize);
    let mut total = [0.0; LANES];
    for edge in begin..end {
        if let Some(&ahead) = targets.get(edge + AHEAD) {
            prefetch(values, ahead as usize);
        }
        let value = &values[targets[edge] as usize].0;
        for lane in 0..LANES {
            total[lane] += value[lane];
        }
    }
    let share = 1.0 / (end - begin) as f64;
    Lanes(total.map(|sum| sum * share))
}

/// The best of `rights` by `score`.
fn pick(
    graph: Bipartite<'_>,
    rights: &[u32],
    walk: Walk,
    seed: u32,
    score: &dyn Fn(u32) -> f64,
) -> TopK {
    let mut seen = if walk.exclude_seen { graph.left.neighbours(seed) } else { &[] }.iter();
    let mut next_seen = seen.next();
    let mut selector = Selector::new(walk.top_k);
    for &right in rights {
        if next_seen == Some(&right) {
            next_seen = seen.next();
        } else {
            selector.offer(right, score(right) as f32);
        }
    }
    selector.finish()
}
