//! Memory and time of a run from the sizes of its graph.
//!
//! The unit costs below were measured with one thread of an AMD EPYC (Zen 4) on 10 million edges
//! (300,000 users, 150,000 pins; docs/BENCHMARKS.md), but for [`OTHER_NS`], which is a guess; other
//! machines differ, by a factor of two either way.

use super::sample::Estimate;
use crate::job::{FeaturePlan, Job};
use crate::signals::Registry;

/// Nanoseconds a row: reading, dense ids, sorting and both adjacencies.
pub const INGEST_NS: f64 = 90.0;

/// Nanoseconds a wedge of two_hop, selection of the best included.
pub const WEDGE_NS: f64 = 3.5;

/// Nanoseconds an edge and iteration of propagate, which goes over both adjacencies.
pub const PROPAGATE_NS: f64 = 2.5;

/// Nanoseconds an edge of the graph and seed of seeded, at its default accuracy.
pub const SEEDED_NS: f64 = 0.35;

/// Nanoseconds an event of aggregate.
pub const AGGREGATE_NS: f64 = 85.0;

/// Nanoseconds an edge of a kernel that is not listed here.
pub const OTHER_NS: f64 = 10.0;

/// Nanoseconds a value written to Parquet.
pub const WRITE_NS: f64 = 30.0;

/// Bytes that a run takes whatever its size: the program, its buffers, a file being written.
pub const BASE_BYTES: f64 = 64e6;

/// Share of the time that more workers divide: the rest (merging dictionaries, publishing) is one
/// worker's. Two workers were measured at 1.7 to 1.9 times one.
pub const PARALLEL: f64 = 0.9;

/// A line of the estimate: what, how it is computed, and how much.
pub struct Item {
    /// What.
    pub what: String,
    /// The formula, in words and constants.
    pub formula: String,
    /// Bytes or nanoseconds.
    pub amount: f64,
}

impl Item {
    fn new(what: &str, formula: String, amount: f64) -> Item {
        Item { what: what.to_owned(), formula, amount }
    }
}

/// Edges after the cap.
pub fn edges(job: &Job, estimate: &Estimate) -> f64 {
    match job.graph.left_degree_max {
        Some(max) => estimate.edges.value.min(f64::from(max) * estimate.lefts.value),
        None => estimate.edges.value,
    }
}

/// Wedges at left nodes after the cap: no left node has more than `max` edges, so their squares add
/// up to `max` times the edges at most.
pub fn left_wedges(job: &Job, estimate: &Estimate) -> f64 {
    match job.graph.left_degree_max {
        Some(max) => estimate.left_wedges.min(f64::from(max) * edges(job, estimate)),
        None => estimate.left_wedges,
    }
}

/// What is in memory at the same time, at the end of ingestion and while features are computed;
/// the peak is the larger sum of the two.
pub fn memory(job: &Job, estimate: &Estimate) -> (Vec<Item>, Vec<Item>) {
    let needs = job.needs();
    let edges = edges(job, estimate);
    let nodes = estimate.lefts.value + estimate.rights.value;
    let keys = estimate.lefts.value * key_bytes(estimate.left_key_bytes)
        + estimate.rights.value * key_bytes(estimate.right_key_bytes);
    let mut event_bytes = 8.0;
    if job.scan.keep_age_action {
        event_bytes += 8.0;
    }
    if job.scan.columns.weight.is_some() && (needs.weights || needs.events) {
        event_bytes += 8.0;
    }
    let edge_bytes = if needs.weights { 24.0 } else { 8.0 };
    let base = || Item::new("base", "constant".to_owned(), BASE_BYTES);
    let dictionary =
        || Item::new("dictionaries", "8 B a node, or its text and 8 B".to_owned(), keys);
    let csr = |share: f64| {
        let formula = format!("{} B an edge, 16 B a node", edge_bytes * share);
        Item::new("adjacencies", formula, edges * edge_bytes * share + nodes * 16.0)
    };
    let ingest = vec![
        base(),
        Item::new("dictionaries, hashed", "twice the keys".to_owned(), 2.0 * keys),
        Item::new("events", format!("{event_bytes} B an event"), estimate.events * event_bytes),
        csr(1.0),
    ];
    let mut compute = vec![base(), dictionary(), csr(1.0)];
    if needs.events {
        let slots = job.edge_rules().action_names().len() as f64
            * crate::kernels::aggregate::WINDOW_DAYS.len() as f64;
        let formula = format!("{slots} slots of 16 B, and 8 B, a node");
        compute.push(Item::new("totals", formula, nodes * (slots * 16.0 + 8.0)));
    }
    let accumulators =
        job.features.iter().map(|plan| accumulator(plan, estimate)).fold(0.0, f64::max);
    if accumulators > 0.0 {
        let formula = "two_hop 4 B a node of the larger side, seeded 64 B a node, a worker";
        compute.push(Item::new("accumulators", formula.to_owned(), accumulators));
    }
    (ingest, compute)
}

fn key_bytes(mean: f64) -> f64 {
    mean + 8.0
}

fn accumulator(plan: &FeaturePlan, estimate: &Estimate) -> f64 {
    let (lefts, rights) = (estimate.lefts.value, estimate.rights.value);
    match kernel(plan) {
        "two_hop" => 4.0 * lefts.max(rights),
        "seeded" => 64.0 * (lefts + rights),
        "propagate" => 16.0 * (lefts + rights),
        _ => 0.0,
    }
}

/// CPU time of ingestion and of each feature, in nanoseconds.
pub fn time(job: &Job, estimate: &Estimate) -> Vec<Item> {
    let mut items =
        vec![Item::new("ingestion", format!("{INGEST_NS} ns a row"), estimate.rows * INGEST_NS)];
    items.extend(job.features.iter().map(|plan| feature_time(job, plan, estimate)));
    items
}

fn feature_time(job: &Job, plan: &FeaturePlan, estimate: &Estimate) -> Item {
    let edges = edges(job, estimate);
    let number = |name: &str| {
        plan.settings.get(name).and_then(|value| match value {
            toml::Value::Integer(number) => Some(*number as f64),
            toml::Value::Float(number) => Some(*number),
            _ => None,
        })
    };
    let tables = plan.feature.tables(&job.schema());
    let top_k = number("top_k").unwrap_or(1.0);
    let rows_of = |side| match side {
        crate::model::Side::Left => estimate.lefts.value,
        crate::model::Side::Right => estimate.rights.value,
    };
    let seeds = number("sample").unwrap_or(estimate.lefts.value).min(estimate.lefts.value);
    let rows = |side| if kernel(plan) == "seeded" { seeds } else { rows_of(side) };
    let values: f64 =
        tables.iter().map(|table| rows(table.side) * table.fields.len() as f64 * top_k).sum();
    let (formula, amount) = match kernel(plan) {
        "two_hop" => (format!("{WEDGE_NS} ns a wedge"), WEDGE_NS * left_wedges(job, estimate)),
        "propagate" => {
            let iterations = number("iterations").unwrap_or(20.0);
            let formula = format!("{PROPAGATE_NS} ns an edge and iteration, {iterations} of them");
            (formula, PROPAGATE_NS * edges * iterations)
        }
        "seeded" => {
            let formula = format!("{SEEDED_NS} ns an edge and seed, {seeds:.0} of them");
            (formula, SEEDED_NS * edges * seeds)
        }
        "aggregate" => (format!("{AGGREGATE_NS} ns an event"), AGGREGATE_NS * estimate.events),
        _ => (format!("{OTHER_NS} ns an edge"), OTHER_NS * edges),
    };
    let formula = format!("{formula}, {WRITE_NS} ns a value");
    Item::new(&plan.name, formula, amount + WRITE_NS * values)
}

/// Wall time in seconds of `cpu_ns` on `workers` workers, by Amdahl's law with [`PARALLEL`].
pub fn wall_seconds(cpu_ns: f64, workers: f64) -> f64 {
    cpu_ns / 1e9 * (1.0 - PARALLEL + PARALLEL / workers)
}

/// The kernel of the plan's signal; empty for a signal of the caller's own.
fn kernel(plan: &FeaturePlan) -> &'static str {
    Registry::default().find(&plan.signal).map(|signal| signal.doc().kernel).unwrap_or_default()
}
