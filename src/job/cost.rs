//! What the stages of a job cost in CPU time: counts that follow from the graph's shape, times the
//! nanoseconds of each.
//!
//! **Formula.** Every stage is a sum of [`Term`]s, `times * each`. `times` is what the algorithm
//! does (wedges, cells of rows x columns, edges a pass) and follows from the [`Shape`] alone; `each` is what
//! the machine takes for it, one of [`Costs`]. So a stage is linear in its constants, and
//! `cargo bench --bench cost` fits them by least squares.
//!
//! **Caches.** An array that is read or written at random costs more where it outgrows the caches: one
//! constant, times the share of the accesses that end in the last-level cache, plus [`Caches::memory`] times the
//! share that ends in memory ([`Caches::beyond`]). The shares are those of a cache that holds the most used part
//! of the array, and since degrees are heavy-tailed, the most used part `f` takes the share `sqrt(f)` of the
//! accesses: a Pareto distribution of exponent 2. (The first tenth of the nodes then takes 32%; on the graphs of
//! docs/BENCHMARKS.md it takes 30% to 42%.)
//!
//! **What is left out.** Contention for the last-level cache and for memory between workers, and everything
//! that only the data can tell, such as the half-steps that a calibration asks for, which are arguments.
//! docs/BENCHMARKS.md compares with measurements ("By size").

mod constants;
mod kernels;

pub use constants::{Costs, IngestCosts, OtherCosts, PropagateCosts, SeededCosts, TwoHopCosts};
pub use kernels::{ingest, propagate, seeded, two_hop};

use super::{FeaturePlan, Job};
use crate::model::Side;
use crate::signals::personalized_pagerank::{EXACT_EDGES, FIT_SEEDS, MEASURE_SEEDS};

/// The sizes of a graph and of the input it was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Rows of the input.
    pub rows: f64,
    /// Rows that become events.
    pub events: f64,
    /// Left nodes.
    pub lefts: f64,
    /// Right nodes.
    pub rights: f64,
    /// Edges.
    pub edges: f64,
    /// Sum over left nodes of their squared degree.
    pub left_wedges: f64,
    /// Sum over right nodes of their squared degree.
    pub right_wedges: f64,
}

/// A part of a stage's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// What is counted, in the singular; the name of the constant with spaces.
    pub what: &'static str,
    /// How many of them.
    pub times: f64,
    /// Nanoseconds of each.
    pub each: f64,
}

impl Term {
    /// Nanoseconds of all of them.
    pub fn ns(&self) -> f64 {
        self.times * self.each
    }
}

/// Nanoseconds of all `terms`.
pub fn total(terms: &[Term]) -> f64 {
    terms.iter().map(Term::ns).sum()
}

fn term(what: &'static str, times: f64, each: f64) -> Term {
    Term { what, times, each }
}

/// The caches that a worker has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caches {
    /// Bytes of the second-level cache of a core.
    pub second_bytes: f64,
    /// Bytes of the last-level cache.
    pub last_bytes: f64,
    /// What an access to memory takes, of one to the last-level cache.
    pub memory: f64,
}

impl Default for Caches {
    /// An AMD EPYC of the fourth generation; 4 is about the ratio of its latencies.
    fn default() -> Caches {
        Caches { second_bytes: 1_048_576.0, last_bytes: 33_554_432.0, memory: 4.0 }
    }
}

impl Caches {
    /// The share of the accesses to an array of `bytes` that end in the last-level cache, plus
    /// [`Caches::memory`] times the share that ends in memory; the others end in the second-level cache or nearer.
    pub fn beyond(&self, bytes: f64) -> f64 {
        let within = |cache: f64| (cache / bytes.max(1.0)).min(1.0).sqrt();
        let (second, last) = (within(self.second_bytes), within(self.last_bytes));
        last - second + self.memory * (1.0 - last)
    }
}

/// The terms of a stage of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StageCost {
    /// `ingestion`, or the name of a feature.
    pub stage: String,
    /// What it does.
    pub terms: Vec<Term>,
}

/// What `job` does in each of its stages on a graph of `shape`, publishing first.
pub fn stages(costs: &Costs, job: &Job, shape: &Shape) -> Vec<StageCost> {
    let stage = |name: &str, terms| StageCost { stage: name.to_owned(), terms };
    let mut stages = vec![
        stage("start and publishing", vec![term("run", 1.0, costs.other.run)]),
        stage("ingestion", ingest(costs, shape, job.scan.keep_age_action)),
    ];
    let features = job.features.iter();
    stages.extend(features.map(|plan| stage(&plan.name, feature(costs, job, plan, shape))));
    stages
}

fn feature(costs: &Costs, job: &Job, plan: &FeaturePlan, shape: &Shape) -> Vec<Term> {
    let number = |name: &str| match plan.settings.get(name) {
        Some(toml::Value::Integer(number)) => Some(*number as f64),
        Some(toml::Value::Float(number)) => Some(*number),
        _ => None,
    };
    let top_k = number("top_k");
    let seeds = number("sample").unwrap_or(shape.lefts).min(shape.lefts);
    let mut terms = match plan.kernel() {
        "two_hop" => {
            let discount = plan.settings.get("user_discount").and_then(toml::Value::as_str);
            let discounted = discount.is_some_and(|name| name != "none");
            two_hop(costs, shape, top_k.unwrap_or(0.0), discounted)
        }
        "propagate" => propagate(costs, shape, number("iterations").unwrap_or(0.0)),
        "seeded" => {
            let half_steps = half_steps(plan, shape);
            let mut terms = seeded(costs, shape, seeds, half_steps);
            if half_steps.is_some() {
                let walks = (FIT_SEEDS + MEASURE_SEEDS) as f64;
                let ns = total(&seeded(costs, shape, walks, None));
                terms.push(term("calibration", 1.0, ns));
            }
            terms
        }
        "aggregate" => vec![term("event", shape.events, costs.other.aggregate_event)],
        _ => vec![term("edge", shape.edges, costs.other.edge)],
    };
    let tables = plan.feature.tables(&job.schema());
    let values = tables.iter().map(|table| {
        let rows = match table.side {
            _ if plan.kernel() == "seeded" => seeds,
            Side::Left => shape.lefts,
            Side::Right => shape.rights,
        };
        rows * table.fields.len() as f64 * top_k.unwrap_or(1.0)
    });
    terms.push(term("written value", values.sum(), costs.other.written_value));
    terms
}

/// Half-steps that the accuracy of `plan` is taken to ask for: what it asks for on the graphs of
/// docs/BENCHMARKS.md, but for Gowalla, which needs 11 for 0.99; `None` for exact walks.
fn half_steps(plan: &FeaturePlan, shape: &Shape) -> Option<f64> {
    if shape.edges <= EXACT_EDGES as f64 {
        return None;
    }
    match plan.settings.get("accuracy") {
        Some(toml::Value::String(name)) if name == "exact" => None,
        Some(toml::Value::String(_)) => Some(3.0),
        Some(toml::Value::Float(recall)) if *recall > 0.995 => Some(9.0),
        Some(toml::Value::Float(recall)) if *recall > 0.96 => Some(5.0),
        _ => Some(3.0),
    }
}

/// Wall time in seconds of `cpu_ns` on `workers` workers, by Amdahl's law with [`OtherCosts::parallel`].
pub fn wall_seconds(costs: &Costs, cpu_ns: f64, workers: f64) -> f64 {
    let parallel = costs.other.parallel;
    cpu_ns / 1e9 * (1.0 - parallel + parallel / workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of mean degree 20 on both sides, for which a wedge is `factor` times as frequent as if all degrees
    /// were equal.
    fn shape(edges: f64, factor: f64) -> Shape {
        let wedges = edges * 20.0 * factor;
        let nodes = edges / 20.0;
        Shape {
            rows: edges,
            events: edges,
            lefts: nodes,
            rights: nodes,
            edges,
            left_wedges: wedges,
            right_wedges: wedges,
        }
    }

    #[test]
    fn accesses_beyond_the_caches_are_none_then_some_then_all_of_memory() {
        let caches = Caches::default();
        assert_eq!(caches.beyond(caches.second_bytes), 0.0);
        // The most used quarter of an array takes half of the accesses.
        assert_eq!(caches.beyond(4.0 * caches.second_bytes), 0.5);
        assert!((caches.beyond(1e18) - caches.memory).abs() < 1e-3);
        let sizes = (10..40).map(|power| caches.beyond(f64::from(1u32 << (power / 2))));
        assert!(sizes.is_sorted());
    }

    #[test]
    fn all_kernels_cost_more_an_item_on_larger_graphs() {
        let costs = Costs::default();
        let per_item = |shape: &Shape| {
            [
                total(&ingest(&costs, shape, true)) / shape.rows,
                total(&two_hop(&costs, shape, 50.0, false)) / shape.left_wedges,
                total(&seeded(&costs, shape, 1.0, Some(5.0))) / shape.edges,
                total(&propagate(&costs, shape, 20.0)) / shape.edges,
            ]
        };
        let (small, large) = (per_item(&shape(1e6, 3.0)), per_item(&shape(1e8, 3.0)));
        for (small, large) in small.into_iter().zip(large) {
            assert!(small > 0.0 && small < large, "{small} {large}");
        }
    }

    #[test]
    fn counts_are_those_of_the_algorithm() {
        let shape = shape(1e6, 3.0);
        let count = |terms: &[Term], what: &str| {
            terms.iter().find(|term| term.what == what).map(|term| term.times).unwrap()
        };
        let costs = Costs::default();
        let terms = two_hop(&costs, &shape, 50.0, false);
        assert_eq!(count(&terms, "wedge"), 6e7);
        assert_eq!(count(&terms, "row and column"), 50_000.0 * 50_000.0);
        let discounted = two_hop(&costs, &shape, 50.0, true);
        assert_eq!(count(&discounted, "row and column"), 2.0 * 50_000.0 * 50_000.0);
        // One pass of sixteen seeds for the fourth half-step, three for the sixth.
        assert_eq!(count(&seeded(&costs, &shape, 16.0, Some(5.0)), "lane"), 1e6);
        assert_eq!(count(&seeded(&costs, &shape, 16.0, Some(7.0)), "lane"), 3e6);
        assert_eq!(count(&propagate(&costs, &shape, 20.0), "edge"), 21e6);
        // Nothing at all costs nothing.
        for terms in [
            two_hop(&costs, &Shape::default(), 50.0, true),
            ingest(&costs, &Shape::default(), true),
        ] {
            assert_eq!(total(&terms), 0.0);
        }
    }
}
