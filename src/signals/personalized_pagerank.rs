//! `personalized_pagerank`: for each seed (left node), the right nodes that a walk which keeps
//! returning to it visits most. A declaration over [`crate::kernels::seeded`].
//!
//! 1. A calibration sample of [`FIT_SEEDS`] + [`MEASURE_SEEDS`] left nodes is drawn: those of least
//!    hash of their key among the nodes of components with more than [`EXACT_EDGES`] edges. It does
//!    not depend on the seeds asked for, so a seed's result does not either.
//! 2. First round: the sample is walked to convergence; the first part of it fits the tail, the
//!    exact results of the second part are kept.
//! 3. Next rounds, one for each number of half-steps 3, 5, 7, 9, 11: the second part is walked with
//!    it, and its recall measured. The first number that reaches `accuracy` is taken; if none does,
//!    every seed is done exactly. The recall, its 95% confidence interval, the half-steps and the
//!    fitted coefficients are noted in the manifest.
//!
//! Everything is exact where `accuracy = "exact"`, and in components of at most [`EXACT_EDGES`] edges
//! or graphs whose other components have too few left nodes for the sample.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Feature, GraphSchema, KeyFile, ParamDoc, Signal, SignalDoc, Step};
use crate::graph::{Dictionary, Graph, Needs};
use crate::kernels::seeded::{Components, Walk};
use crate::model::{Column, ColumnType, Error, Field, KeyRef, Keys, Result, Rows, Side, Table};

mod rounds;

use rounds::{FitStage, Plan, bipartite};

/// Default of `top_k`.
pub const TOP_K: usize = 100;
/// Default of `restart_probability`.
pub const RESTART_PROBABILITY: f64 = 0.15;
/// Default of `accuracy`.
pub const ACCURACY: f64 = 0.99;
/// What `accuracy = "fast"` stands for.
pub const ACCURACY_FAST: f64 = 0.96;
/// Left nodes of the sample that the tail is fitted on.
pub const FIT_SEEDS: usize = 16;
/// Left nodes of the sample that recall is measured on.
pub const MEASURE_SEEDS: usize = 32;
/// Components of at most this many edges are done exactly: a few milliseconds a seed.
pub const EXACT_EDGES: u64 = 100_000;

/// Seeds of the two hashes of keys, so that samples and calibration are independent of each other.
const SAMPLE_HASH: u64 = 1;
const CALIBRATION_HASH: u64 = 2;

/// The signal.
pub struct PersonalizedPagerank;

/// The parameters as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    seeds: Option<String>,
    sample: Option<u64>,
    seeds_file: Option<PathBuf>,
    top_k: Option<i64>,
    exclude_seen: Option<bool>,
    #[serde(alias = "alpha", alias = "reset_probability", alias = "restart")]
    restart_probability: Option<f64>,
    accuracy: Option<Accuracy>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Accuracy {
    Recall(f64),
    Name(String),
}

impl Signal for PersonalizedPagerank {
    fn name(&self) -> &'static str {
        "personalized_pagerank"
    }

    fn doc(&self) -> SignalDoc {
        let param = |name, default: &str, doc| ParamDoc { name, default: default.into(), doc };
        SignalDoc {
            summary: "The right nodes that a random walk from each left node visits most.",
            kernel: "seeded",
            formula: "score(p) = restart * sum over odd t of (1 - restart)^t * P(at p after t \
                      uniform random edges from the seed)",
            reference: "Jeh and Widom, Scaling personalized web search, WWW 2003",
            params: vec![
                param("seeds", "\"all\"", "\"all\": a row for each left node."),
                param(
                    "sample",
                    "",
                    "Instead of all: this many left nodes, those of least hash of their key, so \
                     that a node stays in the sample from day to day.",
                ),
                param(
                    "seeds_file",
                    "",
                    "Instead of all: the left keys in this file, one a line. Keys that the graph \
                     does not have are counted in the notes.",
                ),
                param("top_k", "100", "Right nodes a row, 1 to 10000."),
                param("exclude_seen", "true", "Whether the seed's own neighbours are left out."),
                param(
                    "restart_probability",
                    "0.15",
                    "Probability of jumping back to the seed at each half-step, 0.01 to 0.99. \
                     Aliases: alpha, reset_probability, restart.",
                ),
                param(
                    "accuracy",
                    "0.99",
                    "Recall of the exact top_k, above 0 and below 1, or \"fast\" (0.96), or \
                     \"exact\". A recall is a promise about the graph at hand: the mean recall of \
                     32 left nodes, chosen by the hash of their keys and walked both ways, less \
                     1.645 standard errors, is at least this; that mean, its 95% confidence \
                     interval and the half-steps it took are in the manifest's notes. \
                     \"exact\" is power iteration with an error of at most 1e-8 in any score, and \
                     is what small components get in any case.",
                ),
            ],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = super::parse(params)?;
        let top_k = params.top_k.unwrap_or(TOP_K as i64);
        if !(1..=10_000).contains(&top_k) {
            return Err(range("top_k", top_k, "1 to 10000"));
        }
        let restart = params.restart_probability.unwrap_or(RESTART_PROBABILITY);
        if !(0.01..=0.99).contains(&restart) {
            return Err(range("restart_probability", restart, "0.01 to 0.99"));
        }
        let exclude_seen = params.exclude_seen.unwrap_or(true);
        Ok(Box::new(Configured {
            name: feature.to_string(),
            seeds: seeds(&params)?,
            walk: Walk { restart, top_k: top_k as usize, exclude_seen },
            target: target(params.accuracy)?,
        }))
    }
}

fn range(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::job(format!("{value} is out of range")).column(name).remedy(format!("write {allowed}"))
}

fn seeds(params: &Params) -> Result<Seeds> {
    let given = [params.seeds.is_some(), params.sample.is_some(), params.seeds_file.is_some()];
    if given.iter().filter(|&&given| given).count() > 1 {
        return Err(Error::job("more than one choice of seeds")
            .column("seeds")
            .remedy("keep one of seeds, sample and seeds_file"));
    }
    match (&params.seeds, params.sample, &params.seeds_file) {
        (Some(text), _, _) if text != "all" => Err(Error::job(format!("unknown seeds {text:?}"))
            .column("seeds")
            .remedy("write \"all\", or use sample = 1000 or seeds_file = \"path\"")),
        (_, Some(0), _) => Err(range("sample", 0, "1 or more")),
        (_, Some(count), _) => Ok(Seeds::Sample(count as usize)),
        (_, _, Some(path)) => Ok(Seeds::File(path.clone())),
        _ => Ok(Seeds::All),
    }
}

/// The recall to reach; `None` for exact.
fn target(accuracy: Option<Accuracy>) -> Result<Option<f64>> {
    let remedy = "write a recall above 0 and below 1, \"fast\" or \"exact\"";
    match accuracy {
        None => Ok(Some(ACCURACY)),
        Some(Accuracy::Recall(recall)) if recall > 0.0 && recall < 1.0 => Ok(Some(recall)),
        Some(Accuracy::Name(name)) if name == "exact" => Ok(None),
        Some(Accuracy::Name(name)) if name == "fast" => Ok(Some(ACCURACY_FAST)),
        Some(Accuracy::Recall(recall)) => {
            Err(Error::job(format!("{recall} is no recall")).column("accuracy").remedy(remedy))
        }
        Some(Accuracy::Name(name)) => {
            Err(Error::job(format!("unknown accuracy {name:?}")).column("accuracy").remedy(remedy))
        }
    }
}

/// Which left nodes have rows.
enum Seeds {
    All,
    Sample(usize),
    File(PathBuf),
}

/// The signal with its parameters.
struct Configured {
    name: String,
    seeds: Seeds,
    walk: Walk,
    target: Option<f64>,
}

impl Feature for Configured {
    fn tables(&self, schema: &GraphSchema) -> Vec<Table> {
        let right = &schema.names.right;
        let field = |suffix: &str, column_type, doc: String| Field {
            name: format!("{right}_{suffix}"),
            column_type,
            doc,
        };
        vec![Table {
            name: self.name.clone(),
            side: Side::Left,
            fields: vec![
                field(
                    "ids",
                    ColumnType::NodeList(Side::Right),
                    format!("The {right}s of highest personalized PageRank, best first."),
                ),
                field(
                    "scores",
                    ColumnType::Float32List,
                    "Their stationary probabilities, above 0 and below 1.".to_string(),
                ),
            ],
        }]
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn key_files(&self) -> Vec<KeyFile> {
        match &self.seeds {
            Seeds::File(path) => vec![KeyFile { path: path.clone(), side: Side::Left }],
            _ => Vec::new(),
        }
    }

    fn start(&self, graph: Arc<Graph>, key_files: &[Keys]) -> Step {
        let mut notes = Vec::new();
        let seeds = match (&self.seeds, key_files.first()) {
            (Seeds::Sample(count), _) => {
                let all = 0..graph.left.len() as u32;
                Some(Arc::new(sample(&graph.left, all, *count, SAMPLE_HASH)))
            }
            (Seeds::File(_), Some(keys)) => {
                let mut found: Vec<u32> =
                    (0..keys.len()).filter_map(|index| graph.left.id(keys.get(index))).collect();
                let unknown = keys.len() - found.len();
                found.sort_unstable();
                found.dedup();
                notes.push(("unknown_seeds".to_string(), unknown.to_string()));
                Some(Arc::new(found))
            }
            _ => None,
        };
        let components = Components::new(bipartite(&graph));
        let big = |&left: &u32| components.edges_around(left) > EXACT_EDGES;
        let mut calibration = Vec::new();
        if self.target.is_some() {
            let candidates = (0..graph.left.len() as u32).filter(big);
            let count = FIT_SEEDS + MEASURE_SEEDS;
            calibration = sample_by_hash(&graph.left, candidates, count, CALIBRATION_HASH);
        }
        let plan = Plan { graph, components, walk: self.walk, seeds, notes };
        match self.target {
            Some(target) if calibration.len() == FIT_SEEDS + MEASURE_SEEDS => {
                let measured = calibration.split_off(FIT_SEEDS);
                let plan = Arc::new(plan);
                Step::Round(Arc::new(FitStage::new(plan, target, calibration, measured)))
            }
            _ => {
                let notes = plan.notes.clone();
                Arc::new(plan).exact(notes)
            }
        }
    }

    fn explain_row(&self, graph: &Graph, _table: usize, rows: &Rows, row: usize) -> String {
        let names = &graph.names;
        let Some(&node) = rows.nodes.get(row) else { return String::new() };
        let key = graph.left.key(node);
        let degree = graph.forward.degree(node);
        let best = match rows.columns.as_slice() {
            [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }, ..] => {
                let at = offsets.get(row).map_or(usize::MAX, |&at| at as usize);
                let end = offsets.get(row + 1).map_or(0, |&end| end as usize);
                (at < end).then(|| nodes.get(at).zip(values.get(at))).flatten()
            }
            _ => None,
        };
        let (left, right) = (&names.left, &names.right);
        match best {
            Some((&best, score)) => format!(
                "a walk that returns to {left} {key} (who has {degree} {right}s) with probability \
                 {} at each step stands at {right} {} {:.4}% of the time, more than at any other{}",
                self.walk.restart,
                graph.right.key(best),
                100.0 * score,
                if self.walk.exclude_seen { " that is new to it" } else { "" },
            ),
            None => format!("a walk from {left} {key} reaches no {right} that could be listed"),
        }
    }
}

/// The `count` nodes of least hash among `nodes`, in ascending order of hash.
fn sample_by_hash(
    keys: &Dictionary,
    nodes: impl Iterator<Item = u32>,
    count: usize,
    hash_seed: u64,
) -> Vec<u32> {
    let hash = |node| match keys.key(node) {
        KeyRef::Int64(key) => xxh3_64_with_seed(&key.to_le_bytes(), hash_seed),
        KeyRef::Utf8(key) => xxh3_64_with_seed(key.as_bytes(), hash_seed),
    };
    let mut hashed: Vec<(u64, u32)> = nodes.map(|node| (hash(node), node)).collect();
    if count < hashed.len() {
        hashed.select_nth_unstable(count);
        hashed.truncate(count);
    }
    hashed.sort_unstable();
    hashed.into_iter().map(|(_, node)| node).collect()
}

/// The same, in ascending order of id.
fn sample(
    keys: &Dictionary,
    nodes: impl Iterator<Item = u32>,
    count: usize,
    hash_seed: u64,
) -> Vec<u32> {
    let mut nodes = sample_by_hash(keys, nodes, count, hash_seed);
    nodes.sort_unstable();
    nodes
}
