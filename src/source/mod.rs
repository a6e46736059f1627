//! Readers of interaction events. A source knows only the model.

mod admit;
mod columns;
mod csv;
mod files;
mod format;
mod jsonl;
mod parquet;
mod rules;
mod synthetic;
mod text;

pub use csv::{CsvOptions, CsvSource};
pub use format::{FileFormat, TIMES_END_US};
pub use jsonl::JsonlSource;
pub use parquet::ParquetSource;
pub use synthetic::{
    Communities, KeyStyle, LeftDegree, PowerTail, RightPopularity, SYNTHETIC_COLUMNS,
    SyntheticEvent, SyntheticSource, SyntheticSpec,
};

use crate::model::{EventBatch, KeyType, Reject, Result, ScanRequest, ScanStats};

/// Receives what a source reads. Batches hold at most a few tens of thousands of events.
pub trait EventSink {
    /// A block of events.
    fn events(&mut self, batch: EventBatch);
    /// A row that cannot be used. The count is in the statistics.
    fn reject(&mut self, reject: Reject);
    /// Rows done since the last call, for progress; `false` asks the source to stop.
    fn advance(&mut self, rows: u64) -> bool;
}

/// A place that events come from.
pub trait Source: Send + Sync {
    /// Looks at the input (listings and metadata only) and cuts it into splits, in an order that
    /// depends on nothing but the input.
    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan>;

    /// Reads split `split` of `plan` into `sink`.
    fn read(
        &self,
        request: &ScanRequest,
        plan: &ScanPlan,
        split: usize,
        sink: &mut dyn EventSink,
    ) -> Result<ScanStats>;

    /// Whether [`Reject::position`] is a line of a text file, and not a row of a table.
    fn positions_are_lines(&self) -> bool {
        false
    }
}

/// How an input is cut.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanPlan {
    /// Type of the left keys, the same in all files.
    pub left_type: KeyType,
    /// Type of the right keys, the same in all files.
    pub right_type: KeyType,
    /// The input files in order, for the manifest.
    pub files: Vec<InputFile>,
    /// The splits.
    pub splits: Vec<Split>,
    /// Partitions (`dt=`) and row groups that need not be read.
    pub pruned: u64,
    /// Whether integer times were found without a declared unit, and which unit was taken.
    pub time_unit: Option<crate::model::TimeUnit>,
}

/// A file of the input. With size and modification time it identifies what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Path.
    pub path: std::path::PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Modification time, microseconds since 1970.
    pub modified_us: i64,
}

/// A piece of the input that one worker reads in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Index into [`ScanPlan::files`].
    pub file: usize,
    /// Row groups, for Parquet; users, for synthetic; empty for a whole file.
    pub groups: std::ops::Range<usize>,
    /// Rows, if they are known before reading.
    pub rows: Option<u64>,
    /// Bytes to read, compressed.
    pub bytes: u64,
}
