//! Fits the tail of truncated.rs on the graph at hand, and measures what it reaches.
//!
//! **Fit.** For some seeds the walk is run to convergence (exact.rs). For each seed, 256 right
//! nodes are taken, the best by their score as of t = 3. For each of [`LEVELS`], `T`, the true tail
//!
//! ```text
//! z(p) = sum over odd t > T of b^(t - T) x_t(p)
//! ```
//!
//! is regressed on `x_T(p)` and `x_{T-2}(p)` (on `x_3` alone for `T` = 3, as `x_1` is the same for all
//! unseen nodes), by least squares weighted by degree, for that is what turns a deviation into a
//! score; for the nodes of each bucket of degrees, or for all of them where a bucket has less than
//! [`POINTS_MIN`]. The normal equations are sums over seeds, so tasks can be done anywhere and added
//! up in task order.
//!
//! **Measure.** For other seeds the exact results are kept, and the share of them that the truncated
//! walk finds is their recall. A level reaches a target if the mean recall less 1.645 standard
//! errors (a one-sided 95% bound) is at least the target.

use std::sync::Arc;

use super::exact::exact;
use super::select::{Selector, TopK};
use super::truncated::{BUCKETS, Gammas, LEVELS, Wide, bucket};
use super::{Bipartite, Components, SeededScratch, Walk};

/// Numbers of a system of normal equations: their five sums, and how many points they are of.
const TERMS: usize = 6;

/// Numbers that [`fit`] gives: [`TERMS`] for each bucket of each level.
pub const FIT_SUMS: usize = TERMS * BUCKETS * LEVELS.len();

/// Points of a bucket that has its own coefficients.
const POINTS_MIN: f64 = 64.0;

/// Right nodes of each seed that the fit looks at.
const POINTS: usize = 256;

/// The sums of the normal equations over up to [`super::LANES`] `seeds` of one component: for each
/// bucket of each level `[x x, x x', x' x', x z, x' z, 1]` with `x = x_T`, `x' = x_{T-2}`.
pub fn fit(
    graph: Bipartite<'_>,
    components: &Components,
    walk: Walk,
    seeds: &[u32],
    scratch: &mut SeededScratch,
) -> Vec<f64> {
    let mut sums = vec![0.0; FIT_SUMS];
    let Some(&first) = seeds.first() else { return sums };
    let keep = 1.0 - walk.restart;
    let rights = components.rights_around(first);
    let mut first_values: Vec<Wide> = Vec::new();
    let mut points: Vec<Point> = Vec::new();
    let mut power = 1.0 / keep;
    exact(graph, components, walk, seeds, &mut scratch.exact, &mut |t, values| {
        power *= keep * keep;
        match t {
            1 => first_values = values.to_vec(),
            3 => points = choose(graph, walk, seeds, rights, values),
            _ => {}
        }
        for point in &mut points {
            if t == 3 {
                let value = first_values[point.right as usize].0[point.lane];
                point.past.push(f64::from(value) - 1.0);
            }
            let deviation = f64::from(values[point.right as usize].0[point.lane]) - 1.0;
            point.total += power * deviation;
            if t <= LEVELS[LEVELS.len() - 1] {
                point.past.push(deviation);
                point.totals.push(point.total);
            }
        }
    });
    let degree_max = rights.iter().map(|&p| graph.right.degree(p)).max().unwrap_or(1) as f64;
    for point in &points {
        let degree = graph.right.degree(point.right);
        let weight = degree as f64 / degree_max;
        let bucket = bucket(degree as f32);
        let mut power = keep;
        for (level, &total) in point.totals.iter().enumerate() {
            power *= keep * keep;
            let (now, before) = (weight * point.past[level + 1], weight * point.past[level]);
            let rest = weight * (point.total - total) / power;
            let terms = [now * now, now * before, before * before, now * rest, before * rest, 1.0];
            for (sum, term) in sums[TERMS * (level * BUCKETS + bucket)..].iter_mut().zip(terms) {
                *sum += term;
            }
        }
    }
    sums
}

/// A right node that the fit looks at, for the seed in `lane`.
struct Point {
    lane: usize,
    right: u32,
    /// `x_1`, `x_3`, ... up to the last level.
    past: Vec<f64>,
    /// Sum of `b^t x_t` from t = 3 up to each level.
    totals: Vec<f64>,
    /// The same up to now.
    total: f64,
}

/// The best right nodes of each seed by their densities as of t = 3.
fn choose(
    graph: Bipartite<'_>,
    walk: Walk,
    seeds: &[u32],
    rights: &[u32],
    values: &[Wide],
) -> Vec<Point> {
    let mut points = Vec::new();
    for (lane, &seed) in seeds.iter().enumerate() {
        let seen = graph.left.neighbours(seed);
        let mut selector = Selector::new(POINTS);
        for &right in rights {
            if !(walk.exclude_seen && seen.binary_search(&right).is_ok()) {
                let density = 1.0 + values[right as usize].0[lane];
                selector.offer(right, density * graph.right.degree(right) as f32);
            }
        }
        points.extend(selector.finish().nodes.into_iter().map(|right| Point {
            lane,
            right,
            past: Vec::new(),
            totals: Vec::new(),
            total: 0.0,
        }));
    }
    points
}

/// The coefficients from the sums of all calls of [`fit`].
pub fn solve(sums: &[f64]) -> Arc<Gammas> {
    let mut gammas = [[[0.0; 2]; BUCKETS]; LEVELS.len()];
    for (level, (gammas, sums)) in
        gammas.iter_mut().zip(sums.chunks_exact(TERMS * BUCKETS)).enumerate()
    {
        let systems = sums.as_chunks::<TERMS>().0;
        let whole = std::array::from_fn(|term| systems.iter().map(|system| system[term]).sum());
        for (gamma, system) in gammas.iter_mut().zip(systems) {
            let enough = system[TERMS - 1] >= POINTS_MIN;
            *gamma = solution(if enough { system } else { &whole }, level > 0);
        }
    }
    Arc::new(gammas)
}

/// The coefficients that solve one system; the second is 0 if it is not asked for or not determined.
fn solution(&[xx, xy, yy, xz, yz, _]: &[f64; TERMS], both: bool) -> [f64; 2] {
    let determinant = xx * yy - xy * xy;
    if both && determinant > 1e-9 * xx * yy {
        [(xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant]
    } else if xx > 0.0 {
        [xz / xx, 0.0]
    } else {
        [0.0; 2]
    }
}

/// The share of the nodes `exact` that are in `found`; 1 if there are none.
pub fn recall(exact: &[u32], found: &TopK) -> f64 {
    if exact.is_empty() {
        return 1.0;
    }
    let mut ids = found.nodes.clone();
    ids.sort_unstable();
    let hits = exact.iter().filter(|&node| ids.binary_search(node).is_ok()).count();
    hits as f64 / exact.len() as f64
}

/// The mean of `recalls`, and the mean less 1.645 standard errors.
pub fn mean_and_bound(recalls: &[f64]) -> (f64, f64) {
    let count = recalls.len().max(1) as f64;
    let mean = recalls.iter().sum::<f64>() / count;
    let squares: f64 = recalls.iter().map(|recall| (recall - mean) * (recall - mean)).sum();
    let variance = squares / (count - 1.0).max(1.0);
    (mean, mean - 1.645 * (variance / count).sqrt())
}
