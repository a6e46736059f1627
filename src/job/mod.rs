//! The job file: as typed (`spec`), then as meant ([`Job`]). This is the only place that validates.

mod builder;
pub mod cost;
mod derived;
mod document;
mod load;
pub mod memory;
mod places;
mod plan;
mod resolve;
mod sources;
pub mod spec;

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{ScanRequest, SideNames};
use crate::signals::Feature;
use crate::source::Source;

pub use builder::JobBuilder;
pub use load::Overrides;
pub use plan::{Plan, PlanStage};

/// A validated job: everything that a run needs, and nothing about the topology.
#[derive(Clone)]
pub struct Job {
    /// `[job] name`.
    pub name: String,
    /// Microseconds since 1970; events at or after it are invisible.
    pub as_of_us: i64,
    /// Share of bad rows above which the job fails, 0 to 1.
    pub rejects_max: f64,
    /// Where events come from.
    pub source: Arc<dyn Source>,
    /// One line about the source, for `explain`: kind and path.
    pub source_label: String,
    /// What it is asked for.
    pub scan: ScanRequest,
    /// The graph to build.
    pub graph: GraphRules,
    /// The features, in ascending order of name.
    pub features: Vec<FeaturePlan>,
    /// Root of the output: `path/FEATURE/dt=YYYY-MM-DD`.
    pub out: PathBuf,
    /// The canonical text of everything above that can change a feature's bytes; hashed into the
    /// run's id.
    pub canonical: String,
}

/// The graph to build from the events.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphRules {
    /// What the sides are called.
    pub names: SideNames,
    /// Half-life of an event's weight in microseconds.
    pub half_life_us: Option<i64>,
    /// Edges a left node keeps, the most recent (then by id); `None` keeps all.
    pub left_degree_max: Option<u32>,
    /// Left nodes with fewer edges are dropped.
    pub left_degree_min: u32,
    /// Right nodes with fewer edges are dropped.
    pub right_degree_min: u32,
}

/// A feature of a job.
#[derive(Clone)]
pub struct FeaturePlan {
    /// Name in the job file.
    pub name: String,
    /// Name of the signal.
    pub signal: String,
    /// The signal with its parameters.
    pub feature: Arc<dyn Feature>,
    /// Parameters as given, for the manifest.
    pub params: String,
    /// Parameters with the signal's defaults filled in, for `explain` and `estimate`.
    pub settings: toml::Table,
}
