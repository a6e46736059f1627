//! Writers of feature tables, and publishing all or nothing.
//!
//! A run opens an [`Output`], which claims one partition (`dt=YYYY-MM-DD`) below the root, writes
//! parts into staging with [`PartWriter`], describes each table by a [`Manifest`] and commits:
//!
//! ```text
//! ROOT/related_v1/dt=2026-11-01/part-00000-RUN.parquet   the rows, ascending by key; RUN begins the run's id
//!                               _manifest.json       what they are and what they were made from
//!                               _SUCCESS             XXH3 (64 bits) of the manifest, in hex
//! ROOT/_rejects/dt=2026-11-01/RUN_ID.jsonl           rows of the input that could not be used
//! ROOT/_tmp/                                         only while a run publishes, or after a kill
//! ```

mod columns;
mod distinct;
mod files;
mod histogram;
mod journal;
mod kept;
mod lock;
mod manifest;
mod parquet;
mod publish;
mod rejects;
mod schema;
mod statistics;

pub use kept::{KeptTable, hash_of};
pub use manifest::{
    ColumnRecord, Distinct, ENGINE_VERSION, FeatureRecord, FileRecord, InputRecord, Lengths,
    MANIFEST_FILE, MANIFEST_SCHEMA_VERSION, Manifest, Quantiles, RunRecord, SUCCESS_FILE, Scalar,
    run_id,
};
pub use parquet::{PartFile, PartWriter};
pub use publish::{Output, Staging, clear_dead};
pub use rejects::write_rejects;
pub use schema::WriteContext;
pub use statistics::ColumnStatistics;
