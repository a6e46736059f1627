//! The first three half-steps of a block of seeds: seed -> right -> left -> right.
//!
//! 1. The neighbours `p` of the seed have `f_1(p) = 1 / (degree(seed) degree(p))`.
//! 2. Each pushes it to its neighbours `u`, in ascending order of `p`: `sum(u)`.
//! 3. Each `u` reached pushes `g_2(u) = sum(u) / degree(u)` to its neighbours, in ascending order of
//!    `u`; divided by `degree(p)` that is `f_3(p)`, kept as deviation `x_3 = E f_3 - 1`.
//!
//! A push in ascending order adds the same terms in the same order as a pull over an ascending
//! adjacency list, but for zeros, which change no sum. So step 3 may be done either way, and a
//! seed's bits stay the same: seeds that reach much of the graph are pulled together if there are
//! several in the block, a lane each.
//!
//! **Cost**: 1 ns for each pair of edges (seed, p), (p, u) and for each edge of each `u` reached,
//! at most `2 E` for a seed.

use super::truncated::{LANES, Wide};
use super::{Bipartite, Components};
use crate::kernels::prefetch::prefetch;

/// A seed whose third half-step takes more than this share of all edges is put off.
const HEAVY_SHARE: u64 = 4;

/// Pulling for all lanes costs as much as pushing along this many times all edges.
const PULL_COST: u64 = 3;

/// Adjacency lists ahead that are prefetched, four cache lines each.
const AHEAD: usize = 6;

/// The accumulators of the left side.
#[derive(Default)]
pub(super) struct SparseScratch {
    sums: Vec<f32>,
    touched: Vec<u32>,
    heavy: Vec<Wide>,
}

/// Fills plane `lane` (`rights` values from `lane * rights`) with the deviations `x_3` of seed
/// `lane`, for all lanes.
pub(super) fn three_half_steps(
    graph: Bipartite<'_>,
    components: &Components,
    seeds: &[u32],
    scratch: &mut SparseScratch,
    planes: &mut [f32],
) {
    let rights = graph.right.nodes();
    let edges = graph.left.targets.len() as u64;
    scratch.sums.resize(graph.left.nodes(), 0.0);
    let mut put_off = Vec::new();
    let mut put_off_work = 0;
    for (lane, (&seed, plane)) in seeds.iter().zip(planes.chunks_exact_mut(rights)).enumerate() {
        plane.fill(0.0);
        let work = two_half_steps(graph, seed, scratch);
        if work > edges / HEAVY_SHARE {
            scratch.heavy.resize(graph.left.nodes(), Wide::default());
            for (heavy, sum) in scratch.heavy.iter_mut().zip(&mut scratch.sums) {
                heavy.0[lane] = std::mem::take(sum);
            }
            put_off.push(lane);
            put_off_work += work;
        } else {
            let SparseScratch { sums, touched, .. } = &mut *scratch;
            push_right(graph, touched, |left| std::mem::take(&mut sums[left as usize]), plane);
        }
    }
    if put_off_work > PULL_COST * edges {
        pull_right(graph, &put_off, &scratch.heavy, planes);
    } else {
        for &lane in &put_off {
            let plane = &mut planes[lane * rights..(lane + 1) * rights];
            let SparseScratch { heavy, touched, .. } = &mut *scratch;
            touched.clear();
            touched.extend((0u32..).zip(&*heavy).filter(|(_, h)| h.0[lane] != 0.0).map(|(u, _)| u));
            push_right(graph, touched, |left| heavy[left as usize].0[lane], plane);
        }
    }
    for (&seed, plane) in seeds.iter().zip(planes.chunks_exact_mut(rights)) {
        let component_edges = components.edges_around(seed) as f32;
        for (value, &degree) in plane.iter_mut().zip(components.right_degree()) {
            *value = component_edges * *value / degree.max(1.0) - 1.0;
        }
    }
}

/// Fills `scratch.sums` (all zero before) and lists the nodes reached, ascending. Returns the sum of
/// their degrees.
fn two_half_steps(graph: Bipartite<'_>, seed: u32, scratch: &mut SparseScratch) -> u64 {
    let share = 1.0 / graph.left.degree(seed).max(1) as f32;
    for &right in graph.left.neighbours(seed) {
        let lefts = graph.right.neighbours(right);
        let value = share / lefts.len() as f32;
        for &left in lefts {
            scratch.sums[left as usize] += value;
        }
    }
    // Without a branch: which nodes are reached is as good as random.
    scratch.touched.resize(graph.left.nodes() + 1, 0);
    let mut count = 0;
    let mut work = 0;
    for (left, &sum) in scratch.sums.iter().enumerate() {
        scratch.touched[count] = left as u32;
        count += usize::from(sum != 0.0);
    }
    scratch.touched.truncate(count);
    for &left in &scratch.touched {
        work += graph.left.degree(left) as u64;
    }
    work
}

/// Pushes `sum_of / degree` of each of `lefts`, ascending, along its edges.
fn push_right(
    graph: Bipartite<'_>,
    lefts: &[u32],
    mut sum_of: impl FnMut(u32) -> f32,
    plane: &mut [f32],
) {
    for (index, &left) in lefts.iter().enumerate() {
        if let Some(&ahead) = lefts.get(index + AHEAD) {
            let begin = graph.left.offsets[ahead as usize] as usize;
            for line in 0..4 {
                prefetch(graph.left.targets, begin + line * 16);
            }
        }
        let rights = graph.left.neighbours(left);
        let value = sum_of(left) / rights.len() as f32;
        for &right in rights {
            plane[right as usize] += value;
        }
    }
}

/// The same for several lanes at once, from the right's point of view.
fn pull_right(graph: Bipartite<'_>, lanes: &[usize], sums: &[Wide], planes: &mut [f32]) {
    let rights = graph.right.nodes();
    for right in 0..rights {
        let mut total = [0.0f32; LANES];
        let lefts = graph.right.neighbours(right as u32);
        for (index, &left) in lefts.iter().enumerate() {
            if let Some(&ahead) = lefts.get(index + 8) {
                prefetch(sums, ahead as usize);
            }
            let degree = graph.left.degree(left) as f32;
            let values = &sums[left as usize].0;
            for lane in 0..LANES {
                total[lane] += values[lane] / degree;
            }
        }
        for &lane in lanes {
            planes[lane * rights + right] = total[lane];
        }
    }
}
