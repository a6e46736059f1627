//! What a job holds in memory, stage by stage: arrays, and bytes an event, edge or node of each.
//!
//! The figures follow from the arrays' element types; docs/BENCHMARKS.md compares their sum with the
//! peak of a run. The events go as the edges are made, and no stage holds two copies of them.

use super::{FeaturePlan, Job};
use crate::kernels::aggregate::WINDOW_DAYS;
use crate::model::{Side, SideNames};

/// Bytes that a run takes whatever its size: the program, batches being read, files being written.
pub const PROCESS_BYTES: f64 = 64e6;

/// What the bytes of an array are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Once a process.
    Process,
    /// For each event.
    Event,
    /// For each edge.
    Edge,
    /// For each node of a side.
    Node(Side),
    /// For each node of a side, and its text if keys are text.
    Key(Side),
    /// For each node of a side and worker.
    WorkerNode(Side),
    /// For each node of a side and worker, and its text if keys are text.
    WorkerKey(Side),
}

/// An array, or several of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What it is.
    pub what: &'static str,
    /// Bytes of each.
    pub bytes: f64,
    /// Of each what.
    pub per: Per,
}

/// What a stage holds at its peak.
#[derive(Clone, Debug, PartialEq)]
pub struct StageMemory {
    /// The stage, as it is named in the summary of a run.
    pub stage: String,
    /// What it holds.
    pub held: Vec<Held>,
}

/// What the bytes of `held` are counted by, in words: `8 B an edge`.
pub fn formula(held: &Held, names: &SideNames) -> String {
    let of = match held.per {
        Per::Process => return "constant".to_owned(),
        Per::Event => "an event".to_owned(),
        Per::Edge => "an edge".to_owned(),
        Per::Node(side) => format!("a {}", names.of(side)),
        Per::Key(side) => format!("a {}, and the text of a text key", names.of(side)),
        Per::WorkerNode(side) => format!("a {} and worker", names.of(side)),
        Per::WorkerKey(side) => {
            format!("a {} and worker, and the text of a text key", names.of(side))
        }
    };
    format!("{} B {of}", held.bytes)
}

/// Both sides, left first.
const SIDES: [Side; 2] = [Side::Left, Side::Right];

/// What `job` holds in each of its stages.
pub fn stages(job: &Job) -> Vec<StageMemory> {
    let needs = job.needs();
    let edge = if needs.weights { 12.0 } else { 4.0 };
    let process = || vec![held("program and buffers", PROCESS_BYTES, Per::Process)];
    let stage = |stage: &str, held: Vec<Vec<Held>>| StageMemory {
        stage: stage.to_owned(),
        held: process().into_iter().chain(held.into_iter().flatten()).collect(),
    };
    let dictionary = || of_sides("keys by dense id", 8.0, Per::Key);
    let graph = || {
        let mut arrays = vec![held("both adjacencies", 2.0 * edge, Per::Edge)];
        arrays.extend(of_sides("where each list begins", 8.0, Per::Node));
        arrays.extend(dictionary());
        arrays
    };
    let mut stages = vec![
        // 16-byte entries, at most three quarters and at least three eighths of them in use; while a
        // table doubles, the old one is there too.
        stage("read", vec![events(job), of_sides("hash table of keys", 32.0, Per::WorkerKey)]),
        stage(
            "ids",
            vec![events(job), of_sides("keys being sorted", 48.0, Per::WorkerKey), dictionary()],
        ),
        stage(
            "edges",
            vec![
                events(job),
                vec![held("adjacency of the left side", edge, Per::Edge)],
                of_sides("local id to dense id, degrees", 12.0, Per::WorkerNode),
                dictionary(),
            ],
        ),
        stage(
            "adjacency",
            vec![
                vec![
                    held("adjacency of the left side", edge, Per::Edge),
                    held("edges on their way", edge + 4.0, Per::Edge),
                    held("adjacency of the right side", edge, Per::Edge),
                ],
                of_sides("where each list begins", 16.0, Per::Node),
                dictionary(),
            ],
        ),
    ];
    let totals = || {
        let slots = job.edge_rules().action_names().len() * WINDOW_DAYS.len();
        // 16 bytes a slot, and 8 of recency.
        let bytes = (slots * 16 + 8) as f64;
        of_sides("totals by action and window", if needs.events { bytes } else { 0.0 }, Per::Node)
    };
    for plan in &job.features {
        stages.push(stage(&plan.name, vec![graph(), totals(), accumulators(plan)]));
    }
    for StageMemory { held, .. } in &mut stages {
        held.retain(|held| held.bytes > 0.0);
    }
    stages
}

fn held(what: &'static str, bytes: f64, per: Per) -> Held {
    Held { what, bytes, per }
}

fn of_sides(what: &'static str, bytes: f64, per: fn(Side) -> Per) -> Vec<Held> {
    SIDES.map(|side| held(what, bytes, per(side))).into()
}

fn events(job: &Job) -> Vec<Held> {
    let needs = job.needs();
    let weighed = job.scan.columns.weight.is_some() && (needs.weights || needs.events);
    vec![
        held("events: both ids", 8.0, Per::Event),
        held(
            "events: age and action",
            f64::from(u8::from(job.scan.keep_age_action)) * 8.0,
            Per::Event,
        ),
        held("events: weight", f64::from(u8::from(weighed)) * 8.0, Per::Event),
    ]
}

/// What the kernel of a feature keeps beside the graph.
fn accumulators(plan: &FeaturePlan) -> Vec<Held> {
    match plan.kernel() {
        "two_hop" => vec![
            // Lists of 2 or 4 bytes an edge; each part is freed when it has been joined.
            held("lists by column", 6.0, Per::Edge),
            held("columns and norms", 28.0, Per::Node(Side::Right)),
            held("counters of 8, 16 and 32 bits", 7.0, Per::WorkerNode(Side::Right)),
        ],
        "seeded" => vec![
            // Sixteen seeds: planes and lanes of truncated.rs, and those of sparse.rs.
            held("values of sixteen seeds", 136.0, Per::WorkerNode(Side::Left)),
            held("values of sixteen seeds", 168.0, Per::WorkerNode(Side::Right)),
        ],
        "propagate" => of_sides("values and contributions", 48.0, Per::Node),
        _ => Vec::new(),
    }
}
