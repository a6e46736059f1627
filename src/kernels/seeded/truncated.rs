//! Personalized PageRank by a few half-steps and an extrapolated tail, sixteen seeds a pass.
//!
//! **Representation.** Deviations from the limit, `x_t(p) = E f_t(p) - 1`, which a half-step
//! averages just as it does `f_t`. With `b = 1 - restart`,
//!
//! ```text
//! score(p) = restart * degree(p) / E * (b / (1 - b^2) + sum over odd t of b^t x_t(p))
//! ```
//!
//! The constant is the walk's stationary part in closed form. Deviations shrink by a factor `rho`
//! every two half-steps, so those after `T` sum to about `b^T rho b^2 / (1 - rho b^2) x_T`; two
//! factors need `x_{T-2}` too. Both are covered by `b^T (gamma_1 x_T + gamma_2 x_{T-2})`, whose
//! coefficients [`super::calibrate`] fits for each `T` and each [`bucket`] of degrees: what few paths
//! lead to is noisier, and falls back faster.
//!
//! 1. The first three half-steps by sparse.rs, in `f32`, a plane (an array) a seed.
//! 2. For `T` > 3, the planes are transposed into lanes, sixteen `bf16` a node: half a cache line.
//!    Half-steps 4 to `T - 2` pull whole lanes, with `f32` sums in ascending order.
//! 3. Candidates: the best `1.5 top_k + 20` right nodes of each seed by its score as of `T - 2`.
//! 4. Half-step `T - 1` for all left nodes; half-step `T` for each seed's own candidates only.
//! 5. Candidates are ordered by their score as of `T`.
//!
//! **Stopping rule**: `T` is fixed, by [`super::calibrate`].
//!
//! **Cost**: step 1 as in sparse.rs; then `T - 4` passes over the edges for sixteen seeds,
//! 2 ns an edge where the lanes fit the last cache; then the degrees of the candidates.

use std::sync::Arc;

use super::select::{Selector, TopK};
use super::sparse::{SparseScratch, three_half_steps};
use super::{Adjacency, Bipartite, Components, Walk};
use crate::kernels::prefetch::prefetch;

/// Seeds a pass: sixteen `bf16` are one 32-byte vector.
pub const LANES: usize = 16;

/// The numbers of half-steps to choose from.
pub const LEVELS: [usize; 5] = [3, 5, 7, 9, 11];

/// Edges ahead that are prefetched.
const AHEAD: usize = 32;

/// Nodes that are transposed at a time.
const BLOCK: usize = 256;

/// Buckets of right nodes by degree.
pub const BUCKETS: usize = 12;

/// The bucket of right nodes of `degree` (1 or more): its binary logarithm, rounded down.
#[inline(always)]
pub fn bucket(degree: f32) -> usize {
    ((degree.to_bits() >> 23).saturating_sub(127) as usize).min(BUCKETS - 1)
}

/// `gamma_1` and `gamma_2` for each bucket of each of [`LEVELS`].
pub type Gammas = [[[f64; 2]; BUCKETS]; LEVELS.len()];

/// How the half-steps that are not taken are estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// `T`: half-steps taken, one of [`LEVELS`].
    pub half_steps: usize,
    /// The coefficients.
    pub gammas: Arc<Gammas>,
}

impl Tail {
    /// The weight of `x_t` in the sum of a right node of `bucket`, for t = 1, 3, ..., `last`, if `last`
    /// half-steps are taken.
    fn weights(&self, keep: f64, last: usize, bucket: usize) -> Vec<f32> {
        let level = LEVELS.iter().position(|&t| t == last).unwrap_or(0);
        let mut power = keep;
        let mut weights = vec![power];
        for _ in (3..=last).step_by(2) {
            power *= keep * keep;
            weights.push(power);
        }
        let steps = weights.len();
        let [gamma_1, gamma_2] = self.gammas[level][bucket];
        weights[steps - 1] += power * gamma_1;
        if steps > 1 {
            weights[steps - 2] += power * gamma_2;
        }
        weights.into_iter().map(|weight| weight as f32).collect()
    }
}

/// Sixteen `f32`, a lane a seed.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Wide(pub [f32; LANES]);

/// Sixteen `bf16`, a lane a seed.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
struct Narrow([u16; LANES]);

/// The accumulators of [`truncated`], kept between calls.
#[derive(Default)]
pub(super) struct TruncatedScratch {
    sparse: SparseScratch,
    /// For t = 3, 5, ..., `T - 2` (3 if `T` is 3): a plane of right nodes for each seed.
    planes: Vec<Vec<f32>>,
    right: Vec<Narrow>,
    /// The same before rounding, if `T` is 7 or more.
    right_wide: Vec<Wide>,
    left: Vec<Narrow>,
    /// The left lanes, transposed: a plane of left nodes for each seed.
    left_planes: Vec<u16>,
    /// For each of `planes`, the weight of each right node's value among its estimate.
    weights: Vec<Vec<f32>>,
    estimates: Vec<f32>,
}

/// The results of up to sixteen `seeds` of one component, which must have edges.
pub(super) fn truncated(
    graph: Bipartite<'_>,
    components: &Components,
    walk: Walk,
    tail: &Tail,
    seeds: &[u32],
    scratch: &mut TruncatedScratch,
) -> Vec<TopK> {
    let rights = graph.right.nodes();
    let whole_levels = (tail.half_steps.max(5) - 3) / 2;
    scratch.planes.resize_with(whole_levels, Vec::new);
    for planes in &mut scratch.planes {
        planes.resize(LANES * rights, 0.0);
    }
    let mut planes = std::mem::take(&mut scratch.planes);
    let Some((first, later)) = planes.split_first_mut() else { return Vec::new() };
    three_half_steps(graph, components, seeds, &mut scratch.sparse, first);
    if tail.half_steps > 3 {
        scratch.right.resize(rights, Narrow::default());
        scratch.left.resize(graph.left.nodes(), Narrow::default());
        lanes_of(first, &mut scratch.right);
        let TruncatedScratch { right, left, right_wide, left_planes, .. } = scratch;
        for planes in later {
            step(graph.left, right, |node, values| left[node] = Narrow(values.map(narrow)));
            right_wide.resize(rights, Wide::default());
            step(graph.right, left, |node, values| {
                right[node] = Narrow(values.map(narrow));
                right_wide[node] = Wide(values);
            });
            transpose(right_wide, |node| &node.0, planes);
        }
        step(graph.left, right, |node, values| left[node] = Narrow(values.map(narrow)));
        left_planes.resize(LANES * graph.left.nodes(), 0);
        transpose(left, |node| &node.0, left_planes);
    }
    scratch.planes = planes;
    let score = Scores::new(graph, components, walk, tail);
    score.weigh(&mut scratch.weights);
    seeds.iter().enumerate().map(|(lane, &seed)| score.best(lane, seed, scratch)).collect()
}

/// Gives `emit` each node's mean over its neighbours; 0 for a node without one.
fn step(adjacency: Adjacency<'_>, from: &[Narrow], mut emit: impl FnMut(usize, [f32; LANES])) {
    let targets = adjacency.targets;
    for node in 0..adjacency.nodes() {
        let begin = adjacency.offsets[node] as usize;
        let end = adjacency.offsets[node + 1] as usize;
        let mut total = [0.0f32; LANES];
        for edge in begin..end {
            if let Some(&ahead) = targets.get(edge + AHEAD) {
                prefetch(from, ahead as usize);
            }
            let values = &from[targets[edge] as usize].0;
            for lane in 0..LANES {
                total[lane] += widen(values[lane]);
            }
        }
        let share = 1.0 / (end - begin).max(1) as f32;
        emit(node, total.map(|sum| sum * share));
    }
}

/// A `bf16` as `f32`: the same bits above zeros.
#[inline(always)]
fn widen(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}

/// A finite `f32` to the nearest `bf16`, ties to even.
#[inline(always)]
fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Sixteen planes to lanes, some hundred nodes at a time so that they stay in the first cache.
fn lanes_of(planes: &[f32], lanes: &mut [Narrow]) {
    let nodes = lanes.len();
    for (block, lanes) in lanes.chunks_mut(BLOCK).enumerate() {
        for (lane, plane) in planes.chunks_exact(nodes.max(1)).enumerate().take(LANES) {
            for (to, &value) in lanes.iter_mut().zip(&plane[block * BLOCK..]) {
                to.0[lane] = narrow(value);
            }
        }
    }
}

/// Lanes to planes, in the same way.
fn transpose<N, V: Copy>(lanes: &[N], of: impl Fn(&N) -> &[V; LANES], planes: &mut [V]) {
    let nodes = lanes.len().max(1);
    for (block, lanes) in lanes.chunks(BLOCK).enumerate() {
        for (lane, plane) in planes.chunks_exact_mut(nodes).enumerate().take(LANES) {
            for (to, node) in plane[block * BLOCK..].iter_mut().zip(lanes) {
                *to = of(node)[lane];
            }
        }
    }
}

/// What turns deviations into scores.
struct Scores<'a> {
    graph: Bipartite<'a>,
    components: &'a Components,
    walk: Walk,
    half_steps: usize,
    /// `b / (1 - b^2)`.
    stationary: f32,
    /// Of x_1, x_3, ... as of `T - 2` (of `T` if that is 3), for choosing candidates, by bucket.
    before: [Vec<f32>; BUCKETS],
    /// Of x_1, x_3, ... as of `T`, by bucket.
    last: [Vec<f32>; BUCKETS],
}

impl<'a> Scores<'a> {
    fn new(
        graph: Bipartite<'a>,
        components: &'a Components,
        walk: Walk,
        tail: &Tail,
    ) -> Scores<'a> {
        let keep = 1.0 - walk.restart;
        let weights = |last| std::array::from_fn(|bucket| tail.weights(keep, last, bucket));
        Scores {
            graph,
            components,
            walk,
            half_steps: tail.half_steps,
            stationary: (keep / (1.0 - keep * keep)) as f32,
            before: weights(tail.half_steps.max(5) - 2),
            last: weights(tail.half_steps),
        }
    }

    /// Spreads the weights of `before`, but for that of x_1, over the right nodes.
    fn weigh(&self, weights: &mut Vec<Vec<f32>>) {
        weights.resize_with(self.before[0].len() - 1, Vec::new);
        for (step, weights) in weights.iter_mut().enumerate() {
            let of_bucket: [f32; BUCKETS] =
                std::array::from_fn(|bucket| self.before[bucket][step + 1]);
            let degrees = self.components.right_degree().iter();
            weights.clear();
            weights.extend(degrees.map(|&degree| of_bucket[bucket(degree)]));
        }
    }

    /// The results of the seed in `lane`.
    fn best(&self, lane: usize, seed: u32, scratch: &mut TruncatedScratch) -> TopK {
        let edges = self.components.edges_around(seed) as f32;
        let scale = self.walk.restart as f32 / edges;
        self.estimate(lane, seed, scratch);
        let top_k = self.walk.top_k;
        if self.half_steps == 3 {
            return select(&scratch.estimates, top_k, scale);
        }
        let candidates = select(&scratch.estimates, top_k + top_k / 2 + 20, 1.0);
        let seen = self.graph.left.neighbours(seed);
        let rights = self.graph.right.nodes();
        let lefts = self.graph.left.nodes();
        let plane = &scratch.left_planes[lane * lefts..(lane + 1) * lefts];
        let first = self.first_density(seed, edges);
        let mut selector = Selector::new(top_k);
        for &right in &candidates.nodes {
            let neighbours = self.graph.right.neighbours(right);
            let degree = neighbours.len() as f32;
            let is_seen = !self.walk.exclude_seen && seen.binary_search(&right).is_ok();
            let weights = self.last[bucket(degree)].as_slice();
            let mut sum = self.stationary;
            sum += weights[0] * if is_seen { first / degree - 1.0 } else { -1.0 };
            for (weight, planes) in weights[1..].iter().zip(&scratch.planes) {
                sum += weight * planes[lane * rights + right as usize];
            }
            sum += weights[weights.len() - 1] * (sum_of(neighbours, plane) / degree);
            selector.offer(right, (scale * degree * sum).max(f32::MIN_POSITIVE));
        }
        selector.finish()
    }

    /// `E f_1(p) degree(p)` of a neighbour `p` of `seed`.
    fn first_density(&self, seed: u32, edges: f32) -> f32 {
        edges / self.graph.left.degree(seed).max(1) as f32
    }

    /// Fills `estimates` with `score E / restart` of each right node as of `before`; 0 for what is
    /// not to be chosen.
    fn estimate(&self, lane: usize, seed: u32, scratch: &mut TruncatedScratch) {
        let rights = self.graph.right.nodes();
        let component = self.components.of_left(seed);
        // The weight of x_1 is the same in all buckets: no tail is fitted to it.
        let first_weight = self.before[0][0];
        let constant = self.stationary - first_weight;
        let estimates = &mut scratch.estimates;
        estimates.clear();
        estimates.resize(rights, constant);
        for (weights, planes) in scratch.weights.iter().zip(&scratch.planes) {
            let plane = &planes[lane * rights..(lane + 1) * rights];
            for ((estimate, value), weight) in estimates.iter_mut().zip(plane).zip(weights) {
                *estimate += weight * value;
            }
        }
        let of_rights = self.components.of_rights();
        for (index, (estimate, &degree)) in
            estimates.iter_mut().zip(self.components.right_degree()).enumerate()
        {
            // A node of the component has a positive score, however small its estimate.
            let value = (*estimate * degree).max(f32::MIN_POSITIVE);
            *estimate = if of_rights[index] == component { value } else { 0.0 };
        }
        let edges = self.components.edges_around(seed) as f32;
        for &right in self.graph.left.neighbours(seed) {
            let estimate = &mut estimates[right as usize];
            if self.walk.exclude_seen {
                *estimate = 0.0;
            } else {
                *estimate += first_weight * self.first_density(seed, edges);
            }
        }
    }
}

/// The best `wanted` of `estimates`, times `scale`.
fn select(estimates: &[f32], wanted: usize, scale: f32) -> TopK {
    let mut selector = Selector::new(wanted);
    for (block, values) in estimates.chunks(LANES).enumerate() {
        let least = selector.least();
        if values.iter().any(|&value| value >= least) {
            for (index, &value) in values.iter().enumerate() {
                selector.offer((block * LANES + index) as u32, value);
            }
        }
    }
    let mut top = selector.finish();
    for score in &mut top.scores {
        *score = (*score * scale).max(f32::MIN_POSITIVE);
    }
    top
}

/// The sum of `plane` over `nodes`, in eight interleaved sums so that they need not wait for one
/// another; which value goes to which sum depends on its place in `nodes` only.
fn sum_of(nodes: &[u32], plane: &[u16]) -> f32 {
    let mut sums = [0.0f32; 8];
    let chunks = nodes.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, &node) in sums.iter_mut().zip(chunk) {
            *sum += widen(plane[node as usize]);
        }
    }
    for (sum, &node) in sums.iter_mut().zip(rest) {
        *sum += widen(plane[node as usize]);
    }
    sums.iter().sum()
}
