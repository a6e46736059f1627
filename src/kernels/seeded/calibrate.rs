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
//! errors (a one-sided 95% bound) is at least the target. What is reported beside is Student's
//! two-sided 95% interval of the mean.

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

/// What a sample of seeds says about the mean recall of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The sample's mean.
    pub mean: f64,
    /// The mean less 1.645 standard errors: what a target is compared with.
    pub lower_bound: f64,
    /// Student's 95% confidence interval of the mean, cut to 0 to 1; all of that for less than two seeds.
    pub ci95: [f64; 2],
}

/// Summarises the recalls of independent seeds.
pub fn measured(recalls: &[f64]) -> Measured {
    let count = recalls.len().max(1) as f64;
    let mean = recalls.iter().sum::<f64>() / count;
    let squares: f64 = recalls.iter().map(|recall| (recall - mean) * (recall - mean)).sum();
    let freedom = (count - 1.0).max(1.0);
    let error = (squares / freedom / count).sqrt();
    let ci95 = if recalls.len() < 2 {
        [0.0, 1.0]
    } else {
        let half = student_975(freedom) * error;
        [(mean - half).max(0.0), (mean + half).min(1.0)]
    };
    Measured { mean, lower_bound: mean - 1.645 * error, ci95 }
}

/// The 97.5% quantile of Student's t, by its expansion around the normal quantile (Abramowitz and
/// Stegun 26.7.5): right to three digits from 5 degrees of freedom, to six from 30.
fn student_975(freedom: f64) -> f64 {
    let z: f64 = 1.959_963_985;
    let (z3, z5, z7, z9) = (z.powi(3), z.powi(5), z.powi(7), z.powi(9));
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom.powi(3))
        + (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z)
            / (92_160.0 * freedom.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_quantiles_are_those_of_the_tables() {
        for (freedom, table) in
            [(5.0, 2.5706), (10.0, 2.2281), (31.0, 2.0395), (100.0, 1.9840), (1e9, 1.9600)]
        {
            let found = student_975(freedom);
            assert!((found - table).abs() < 2e-3, "{freedom}: {found}");
        }
        assert!((student_975(31.0) - 2.039_513_4).abs() < 1e-6);
    }

    #[test]
    fn intervals_have_their_closed_forms() {
        // Half of n at m + d, half at m - d: variance n / (n - 1) d^2, standard error d / sqrt(n - 1).
        let recalls: Vec<f64> = (0..32).map(|n| if n % 2 == 0 { 0.7 } else { 0.5 }).collect();
        let found = measured(&recalls);
        let error = 0.1 / 31f64.sqrt();
        assert!((found.mean - 0.6).abs() < 1e-12);
        assert!((found.lower_bound - (0.6 - 1.645 * error)).abs() < 1e-12);
        assert!((found.ci95[0] - (0.6 - 2.039_513_4 * error)).abs() < 1e-7);
        assert!((found.ci95[1] - (0.6 + 2.039_513_4 * error)).abs() < 1e-7);
        // The interval contains the mean, and the one-sided bound lies inside of it.
        assert!(found.ci95[0] < found.lower_bound && found.lower_bound < found.mean);
    }

    #[test]
    fn intervals_stay_within_0_to_1() {
        let nearly: Vec<f64> = (0..32).map(|n| if n == 0 { 0.9 } else { 1.0 }).collect();
        let found = measured(&nearly);
        assert_eq!(found.ci95[1], 1.0);
        assert!(found.ci95[0] < found.mean);
        let hardly: Vec<f64> = nearly.iter().map(|recall| 1.0 - recall).collect();
        assert_eq!(measured(&hardly).ci95[0], 0.0);
        assert_eq!(measured(&[1.0; 32]).ci95, [1.0; 2]);
        assert_eq!(measured(&[0.5]).ci95, [0.0, 1.0]);
        assert_eq!(measured(&[]).ci95, [0.0, 1.0]);
    }
}
