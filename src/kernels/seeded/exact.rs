//! Personalized PageRank by power iteration, sixteen seeds a pass, with a proven error.
//!
//! **Representation.** Densities relative to their limit, `r_t(p) = E v_t(p) / degree(p)` on the
//! right and the same on the left, in `f32`, a lane a seed. With `b = 1 - restart`:
//!
//! 1. On the left, `r_0` is 0 but for `E / degree(s)` at the seed.
//! 2. For t = 1, 3, 5, ...: `r_t(p)` = mean of `r_{t-1}` over the neighbours of `p`;
//!    `sum(p) += b^t r_t(p)`.
//! 3. Means stay between the least and the greatest `r_t` of the component, and so do all later ones
//!    and their limit, 1. So the steps not taken add between `w min r_t` and `w max r_t` to the sum,
//!    with `w = b^(t+2) / (1 - b^2)`. Taking `w` for them is wrong by at most
//!    `restart w (max r_t - min r_t) degree_max / E` in any score. It is wrong by at most `restart w`
//!    too, as no probability exceeds 1; the lesser of the two is the bound.
//! 4. **Stopping rule**: a lane is done at the first t whose bound is at most [`EXACT_TOLERANCE`].
//!    The second bound makes that t finite on every graph: at most 107 for a restart of 0.15.
//! 5. `r_{t+1}(u)` = mean of `r_t` over the neighbours of `u`; back to 2 unless all lanes are done.
//! 6. `score(p) = restart degree(p) / E (sum(p) + w)`.
//!
//! Sums run in ascending order, in `f32` over 32 neighbours at a time and in `f64` over those sums;
//! rounding adds about 1e-6 of a score at most.
//!
//! **Cost**: two passes over the edges of the component for each step of t, for sixteen seeds. Only
//! nodes of the component are touched, so small components cost little in however large a graph.

use super::select::{Selector, TopK};
use super::truncated::{LANES, Wide};
use super::{Adjacency, Bipartite, Components, Walk};
use crate::kernels::prefetch::prefetch;

/// The largest error of a score, before it is rounded to `f32`.
pub const EXACT_TOLERANCE: f64 = 1e-8;

/// Edges ahead that are prefetched.
const AHEAD: usize = 32;

/// Neighbours that are summed in `f32`.
const RUN: usize = 32;

/// The accumulators of [`exact`], kept between calls.
#[derive(Default)]
pub struct ExactScratch {
    left: Vec<Wide>,
    right: Vec<Wide>,
    sum: Vec<Wide>,
}

/// The results of up to sixteen `seeds` of one component. `observe` is shown each odd `t` and the
/// relative densities `r_t` of all right nodes (those outside the component hold anything).
pub(super) fn exact(
    graph: Bipartite<'_>,
    components: &Components,
    walk: Walk,
    seeds: &[u32],
    scratch: &mut ExactScratch,
    observe: &mut dyn FnMut(usize, &[Wide]),
) -> Vec<TopK> {
    let Some(&first) = seeds.first() else { return Vec::new() };
    debug_assert!(seeds.len() <= LANES);
    debug_assert!(seeds.iter().all(|&s| components.of_left(s) == components.of_left(first)));
    if components.edges_around(first) == 0 {
        return vec![TopK::default(); seeds.len()];
    }
    let (lefts, rights) = (components.lefts_around(first), components.rights_around(first));
    let edges = components.edges_around(first) as f64;
    begin(graph, lefts, rights, edges, seeds, scratch);
    let degree_max = rights.iter().map(|&p| graph.right.degree(p)).max().unwrap_or(0) as f64;
    let keep = 1.0 - walk.restart;
    let mut power = keep;
    // The weight that a lane's tail had when the lane was done.
    let mut tails: [Option<f64>; LANES] = [None; LANES];
    for t in (1..).step_by(2) {
        let weights = tails.map(|tail| if tail.is_none() { power as f32 } else { 0.0 });
        let spread = right_step(graph, rights, &weights, scratch);
        observe(t, &scratch.right);
        power *= keep * keep;
        let rest = power / (1.0 - keep * keep);
        for (lane, tail) in tails.iter_mut().enumerate() {
            let far = f64::from(spread[lane]) * degree_max / edges;
            let bound = walk.restart * rest * far.min(1.0);
            if tail.is_none() && (lane >= seeds.len() || bound <= EXACT_TOLERANCE) {
                *tail = Some(rest);
            }
        }
        if tails.iter().all(Option::is_some) {
            break;
        }
        for &left in lefts {
            scratch.left[left as usize] = mean(graph.left, left, &scratch.right);
        }
    }
    let scale = walk.restart / edges;
    let best = |(lane, &seed): (usize, &u32)| {
        let tail = tails[lane].unwrap_or(0.0);
        pick(graph, rights, walk, seed, &|p| {
            let sum = f64::from(scratch.sum[p as usize].0[lane]) + tail;
            scale * graph.right.degree(p) as f64 * sum
        })
    };
    seeds.iter().enumerate().map(best).collect()
}

/// Sets `r_0` of the component, and clears the sums.
fn begin(
    graph: Bipartite<'_>,
    lefts: &[u32],
    rights: &[u32],
    edges: f64,
    seeds: &[u32],
    scratch: &mut ExactScratch,
) {
    scratch.left.resize(graph.left.nodes(), Wide::default());
    scratch.right.resize(graph.right.nodes(), Wide::default());
    scratch.sum.resize(graph.right.nodes(), Wide::default());
    for &left in lefts {
        scratch.left[left as usize] = Wide::default();
    }
    for &right in rights {
        scratch.sum[right as usize] = Wide::default();
    }
    for (lane, &seed) in seeds.iter().enumerate() {
        let density = edges / graph.left.degree(seed) as f64;
        scratch.left[seed as usize].0[lane] = density as f32;
    }
}

/// `r` of every right node, and `sum += weights r`. Returns the greatest less the least `r` of each
/// lane.
fn right_step(
    graph: Bipartite<'_>,
    rights: &[u32],
    weights: &[f32; LANES],
    scratch: &mut ExactScratch,
) -> [f32; LANES] {
    let (mut low, mut high) = ([f32::INFINITY; LANES], [0.0f32; LANES]);
    for &right in rights {
        let mean = mean(graph.right, right, &scratch.left);
        let sum = &mut scratch.sum[right as usize].0;
        for lane in 0..LANES {
            sum[lane] += weights[lane] * mean.0[lane];
            low[lane] = low[lane].min(mean.0[lane]);
            high[lane] = high[lane].max(mean.0[lane]);
        }
        scratch.right[right as usize] = mean;
    }
    std::array::from_fn(|lane| high[lane] - low[lane])
}

/// The mean of `values` over the neighbours of `node`, which has some.
#[inline(always)]
fn mean(adjacency: Adjacency<'_>, node: u32, values: &[Wide]) -> Wide {
    let targets = adjacency.targets;
    let begin = adjacency.offsets[node as usize] as usize;
    let end = adjacency.offsets[node as usize + 1] as usize;
    let mut total = [0.0f64; LANES];
    for run in (begin..end).step_by(RUN) {
        let mut sum = [0.0f32; LANES];
        for edge in run..end.min(run + RUN) {
            if let Some(&ahead) = targets.get(edge + AHEAD) {
                prefetch(values, ahead as usize);
            }
            let value = &values[targets[edge] as usize].0;
            for lane in 0..LANES {
                sum[lane] += value[lane];
            }
        }
        for lane in 0..LANES {
            total[lane] += f64::from(sum[lane]);
        }
    }
    let share = 1.0 / (end - begin) as f64;
    Wide(total.map(|sum| (sum * share) as f32))
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
