//! Memory and time of a run from the sizes of its graph.
//!
//! The unit costs below were measured with one thread of an AMD EPYC (Zen 4) on 10 million edges
//! (300,000 users, 150,000 pins; docs/BENCHMARKS.md), but for [`OTHER_NS`], which is a guess; other
//! machines differ, by a factor of two either way.

use super::sample::Estimate;
use crate::job::memory::{self, Held, Per};
use crate::job::{FeaturePlan, Job};
use crate::model::Side;

/// Nanoseconds a row: reading, dense ids, sorting and both adjacencies.
pub const INGEST_NS: f64 = 75.0;

/// Nanoseconds a wedge of two_hop, selection of the best included.
pub const WEDGE_NS: f64 = 3.5;

/// Nanoseconds an edge and iteration of propagate, which goes over both adjacencies.
pub const PROPAGATE_NS: f64 = 1.9;

/// Nanoseconds an edge of the graph and seed of seeded, at its default accuracy, where five half-steps
/// reach it.
pub const SEEDED_NS: f64 = 0.35;

/// The same where eleven are needed.
pub const SEEDED_MOST_NS: f64 = 1.2;

/// Nanoseconds an event of aggregate.
pub const AGGREGATE_NS: f64 = 85.0;

/// Nanoseconds an edge of a kernel that is not listed here.
pub const OTHER_NS: f64 = 10.0;

/// Nanoseconds a value written to Parquet.
pub const WRITE_NS: f64 = 30.0;

/// Nanoseconds of a run whatever its size: starting, synchronising files, publishing.
pub const RUN_NS: f64 = 1e8;

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

/// What each stage holds on `workers` workers, and the whole of it.
pub fn memory(job: &Job, estimate: &Estimate, workers: f64) -> Vec<(String, f64, Vec<Item>)> {
    let nodes = |side| match side {
        Side::Left => estimate.lefts.value,
        Side::Right => estimate.rights.value,
    };
    let text = |side| match side {
        Side::Left => estimate.left_key_bytes,
        Side::Right => estimate.right_key_bytes,
    };
    let amount = |held: &Held| match held.per {
        Per::Process => held.bytes,
        Per::Event => held.bytes * estimate.events,
        Per::Edge => held.bytes * edges(job, estimate),
        Per::Node(side) => held.bytes * nodes(side),
        Per::Key(side) => (held.bytes + text(side)) * nodes(side),
        Per::WorkerNode(side) => held.bytes * nodes(side) * workers,
        Per::WorkerKey(side) => (held.bytes + text(side)) * nodes(side) * workers,
    };
    let item =
        |held: &Held| Item::new(held.what, memory::formula(held, &job.graph.names), amount(held));
    let stages = memory::stages(job).into_iter();
    stages
        .map(|stage| {
            let items: Vec<Item> = stage.held.iter().map(item).collect();
            let total = items.iter().map(|item| item.amount).sum();
            (stage.stage, total, items)
        })
        .collect()
}

/// CPU time of ingestion and of each feature, in nanoseconds.
pub fn time(job: &Job, estimate: &Estimate) -> Vec<Item> {
    let mut items = vec![
        Item::new("start and publishing", "constant".to_owned(), RUN_NS),
        Item::new("ingestion", format!("{INGEST_NS} ns a row"), estimate.rows * INGEST_NS),
    ];
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
        Side::Left => estimate.lefts.value,
        Side::Right => estimate.rights.value,
    };
    let seeds = number("sample").unwrap_or(estimate.lefts.value).min(estimate.lefts.value);
    let rows = |side| if plan.kernel() == "seeded" { seeds } else { rows_of(side) };
    let values: f64 =
        tables.iter().map(|table| rows(table.side) * table.fields.len() as f64 * top_k).sum();
    let (formula, amount) = match plan.kernel() {
        "two_hop" => (format!("{WEDGE_NS} ns a wedge"), WEDGE_NS * left_wedges(job, estimate)),
        "propagate" => {
            let iterations = number("iterations").unwrap_or(20.0);
            let formula = format!("{PROPAGATE_NS} ns an edge and iteration, {iterations} of them");
            (formula, PROPAGATE_NS * edges * iterations)
        }
        "seeded" => {
            let formula = format!(
                "{SEEDED_NS} ns an edge and seed (up to {SEEDED_MOST_NS} where the calibration asks for \
                 more half-steps), {seeds:.0} of them"
            );
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
