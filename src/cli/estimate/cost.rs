//! Memory and time of a run from the sizes of its graph, by [`crate::job::memory`] and
//! [`crate::job::cost`].

use super::sample::Estimate;
use crate::job::Job;
use crate::job::cost::{self, Costs, Shape, Term};
use crate::job::memory::{self, Held, Per};
use crate::model::Side;

/// Share of a stage's time below which a term is not listed.
const LISTED: f64 = 0.01;

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

/// CPU nanoseconds of each stage, and what they are made of.
pub fn time(costs: &Costs, job: &Job, estimate: &Estimate) -> Vec<(String, f64, Vec<Item>)> {
    let shape = Shape {
        rows: estimate.rows,
        events: estimate.events,
        lefts: estimate.lefts.value,
        rights: estimate.rights.value,
        edges: edges(job, estimate),
        left_wedges: left_wedges(job, estimate),
        right_wedges: estimate.right_wedges,
    };
    let stages = cost::stages(costs, job, &shape).into_iter();
    stages
        .map(|stage| {
            let total = cost::total(&stage.terms);
            let listed = stage.terms.iter().filter(|term| term.ns() > LISTED * total);
            (stage.stage, total, listed.map(item).collect())
        })
        .collect()
}

fn item(term: &Term) -> Item {
    let formula = match term.times {
        1.0 => "constant".to_owned(),
        times => format!("{} ns x {}", digits(term.each), super::round(times)),
    };
    Item::new(term.what, formula, term.ns())
}

/// Two significant digits, three above 100.
fn digits(number: f64) -> String {
    let decimals = (1.0 - number.max(1e-9).log10().floor()).max(0.0);
    format!("{number:.0$}", decimals as usize)
}
