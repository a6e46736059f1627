//! What a finished run has to say.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{ScanStats, Side};

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Name of the job.
    pub job: String,
    /// Identifies the job, its inputs and its `as_of`.
    pub run_id: String,
    /// What was read and what became of it.
    pub scan: ScanStats,
    /// Partitions and row groups that need not be read.
    pub pruned: u64,
    /// File of the bad rows, if there are any.
    pub rejects: Option<PathBuf>,
    /// Left nodes of the graph.
    pub left_nodes: u64,
    /// Right nodes of the graph.
    pub right_nodes: u64,
    /// Edges of the graph.
    pub edges: u64,
    /// The published tables, in the job's order.
    pub features: Vec<FeatureReport>,
    /// Wall and busy time of each stage, in the order in which they began.
    pub stages: Vec<StageTime>,
    /// Wall time of the whole run.
    pub wall: Duration,
    /// Peak resident memory of this process in bytes, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
    /// What each process did, in order; in the others than process 0 only this one.
    pub processes: Vec<ProcessReport>,
    /// One row of the first table, explained.
    pub example: Option<String>,
    /// What the caller should know but that stopped nothing.
    pub warnings: Vec<String>,
}

/// What one process of a run did.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProcessReport {
    /// Its index.
    pub process: usize,
    /// Its `host:port`; empty if it is the only one.
    pub host: String,
    /// Its stages.
    pub stages: Vec<StageTime>,
    /// Its peak resident memory in bytes, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes that it sent to other processes, timely's own messages included.
    pub sent_bytes: u64,
    /// What the caller should know but that stopped nothing.
    pub warnings: Vec<String>,
}

/// A published table.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureReport {
    /// Name of the table.
    pub table: String,
    /// The partition's folder.
    pub path: PathBuf,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Figures about the computation, for example a measured recall.
    pub notes: Vec<(String, String)>,
}

/// Time of a stage.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StageTime {
    /// Name of the stage.
    pub stage: String,
    /// From its first piece of work to its last, on any worker.
    pub wall: Duration,
    /// CPU time of each worker, in order; of this process alone until all are told.
    pub busy: Vec<Duration>,
    /// Bytes sent to other processes.
    pub sent_bytes: u64,
}

/// A node that was asked for, with its neighbours and its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledNode {
    /// The node's side.
    pub side: Side,
    /// Its key.
    pub key: String,
    /// Keys of its neighbours, ascending.
    pub neighbours: Vec<String>,
    /// Its rows, one for each table that has one.
    pub rows: Vec<SampleRow>,
}

/// One node's row of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    /// Whose row it is.
    pub side: Side,
    /// Name of the table.
    pub table: String,
    /// The row in one sentence.
    pub sentence: String,
    /// Column names and values, readable.
    pub values: Vec<(String, String)>,
}
