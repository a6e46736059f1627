//! The job file as typed: one struct a table, nothing checked beyond types and names of keys.
//!
//! Every key may be left out here; `resolve` says what is missing and fills in the defaults, which
//! are the constants below. docs/jobs.md is the reference for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Columns, KeyType, TimeUnit};

/// `job.rejects_max`: one bad row in a thousand passes, more fail the job.
pub const REJECTS_MAX: f64 = 0.001;

/// `graph.left`: what the left side is called.
pub const LEFT_NAME: &str = "user";

/// `graph.right`: what the right side is called.
pub const RIGHT_NAME: &str = "pin";

/// `graph.left_degree_min` and `graph.right_degree_min`: every node that has an edge is kept.
pub const DEGREE_MIN: u32 = 1;

/// `sink.parquet.path` is this folder and the job's name.
pub const OUT_ROOT: &str = "out";

/// Actions that a job may name: their index has 8 bits, and one value is spare.
pub const ACTIONS_MAX: usize = 255;

/// The names of the generator's columns, for a job that has a synthetic source and no `[columns]`.
pub fn synthetic_columns() -> ColumnsSpec {
    ColumnsSpec {
        left: Some("user_id".to_owned()),
        right: Some("pin_id".to_owned()),
        action: Some("action".to_owned()),
        time: Some("event_time".to_owned()),
        ..ColumnsSpec::default()
    }
}

/// A job file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// `[job]`.
    pub job: JobSpec,
    /// `[source.KIND]`; there must be one.
    pub source: Option<SourceSpec>,
    /// `[columns]`; needed unless the source is synthetic.
    pub columns: Option<ColumnsSpec>,
    /// `[graph]`.
    pub graph: GraphSpec,
    /// `[features.NAME.SIGNAL]`: name, then a table with one entry, the signal's parameters.
    pub features: BTreeMap<String, toml::Table>,
    /// `[sink.KIND]`; there must be one.
    pub sink: Option<SinkSpec>,
}

/// `[job]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobSpec {
    /// The job's name, which is a folder's name too. Needed.
    pub name: Option<String>,
    /// Events at or after this time are invisible. Needed, here or as `--as-of`.
    pub as_of: Option<String>,
    /// Share of bad rows above which the job fails, 0 to 1; default [`REJECTS_MAX`].
    pub rejects_max: Option<f64>,
}

/// `[source.KIND]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSpec {
    /// `[source.parquet]`.
    Parquet(ParquetSpec),
    /// `[source.csv]`.
    Csv(CsvSpec),
    /// `[source.jsonl]`.
    Jsonl(JsonlSpec),
    /// `[source.synthetic]`: the generator's own keys, or `spec`, a file that holds them.
    Synthetic(toml::Table),
}

/// `[source.parquet]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParquetSpec {
    /// A file, a folder or a glob.
    pub path: String,
}

/// `[source.csv]`: comma- or tab-separated text, plain, .gz or .zst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSpec {
    /// A file, a folder or a glob.
    pub path: String,
    /// One ASCII character; by default a tab in .tsv files and a comma elsewhere.
    #[serde(default)]
    pub delimiter: Option<String>,
}

/// `[source.jsonl]`: one JSON object a line, plain, .gz or .zst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonlSpec {
    /// A file, a folder or a glob.
    pub path: String,
}

/// `[columns]`: what the input calls them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsSpec {
    /// The left key. Needed.
    pub left: Option<String>,
    /// The right key. Needed.
    pub right: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// The event time.
    pub time: Option<String>,
    /// Unit of integer times; guessed from their magnitude if it is left out.
    pub time_unit: Option<TimeUnitSpec>,
    /// The weight of each event; 1 if it is left out.
    pub weight: Option<String>,
    /// Type of the left keys in text formats; found by looking if it is left out.
    pub left_type: Option<KeyTypeSpec>,
    /// Type of the right keys in text formats; found by looking if it is left out.
    pub right_type: Option<KeyTypeSpec>,
}

impl ColumnsSpec {
    /// The columns as meant, once both keys are known.
    pub fn columns(&self, left: String, right: String) -> Columns {
        Columns {
            left,
            right,
            action: self.action.clone(),
            time: self.time.clone(),
            time_unit: self.time_unit.map(TimeUnitSpec::unit),
            weight: self.weight.clone(),
            left_type: self.left_type.map(KeyTypeSpec::key_type),
            right_type: self.right_type.map(KeyTypeSpec::key_type),
        }
    }
}

/// Unit of integer times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnitSpec {
    /// Seconds.
    #[serde(rename = "s")]
    Second,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Millisecond,
    /// Microseconds.
    #[serde(rename = "us")]
    Microsecond,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanosecond,
}

impl TimeUnitSpec {
    /// The unit as the model has it.
    pub fn unit(self) -> TimeUnit {
        match self {
            TimeUnitSpec::Second => TimeUnit::Second,
            TimeUnitSpec::Millisecond => TimeUnit::Millisecond,
            TimeUnitSpec::Microsecond => TimeUnit::Microsecond,
            TimeUnitSpec::Nanosecond => TimeUnit::Nanosecond,
        }
    }
}

/// Type of the keys of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyTypeSpec {
    /// 64-bit signed integers.
    Int64,
    /// UTF-8 text.
    Utf8,
}

impl KeyTypeSpec {
    /// The type as the model has it.
    pub fn key_type(self) -> KeyType {
        match self {
            KeyTypeSpec::Int64 => KeyType::Int64,
            KeyTypeSpec::Utf8 => KeyType::Utf8,
        }
    }
}

/// `[graph]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphSpec {
    /// What the left side is called; default [`LEFT_NAME`].
    pub left: Option<String>,
    /// What the right side is called; default [`RIGHT_NAME`].
    pub right: Option<String>,
    /// How far back events count, for example `90d`; default: all of them.
    pub window: Option<String>,
    /// After how long an event weighs half, for example `30d`; default: no decay.
    pub half_life: Option<String>,
    /// Edges that a left node keeps, the most recent; default: all of them.
    pub left_degree_max: Option<u32>,
    /// Left nodes with fewer edges are dropped; default [`DEGREE_MIN`].
    pub left_degree_min: Option<u32>,
    /// Right nodes with fewer edges are dropped; default [`DEGREE_MIN`].
    pub right_degree_min: Option<u32>,
    /// `[graph.actions]`: a weight or `"remove"` for each; default: every event weighs 1.
    pub actions: BTreeMap<String, toml::Value>,
}

/// `[sink.KIND]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkSpec {
    /// `[sink.parquet]`.
    Parquet(ParquetSinkSpec),
}

/// `[sink.parquet]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParquetSinkSpec {
    /// Root of the output; default [`OUT_ROOT`] and the job's name.
    pub path: Option<String>,
}
