//! The dataflow that ties sources, graph, signals and sinks together.
//!
//! One worker closure builds the whole dataflow, whatever the topology:
//!
//! ```text
//! read -> dictionary -> rank -> ranges -> partition -> build -> filter -> ... -> assemble   (ingest)
//!      -> driver -> work -> write -+                                                        (features)
//!            ^---------------------+
//! ```
//!
//! Operators are coarse: each takes blocks of arrays, calls pure functions on them and sends blocks
//! on. Within a process a block moves by pointer, and finished structures (dictionaries, the
//! graph) stand in [`shared`] slots that all workers read.

mod block;
mod feature_loop;
mod features;
mod ingest;
mod observe;
mod owners;
mod report;
mod run;
mod shared;
mod stage;

pub use observe::{Event, Observer, Silent};
pub use report::{FeatureReport, Report, SampleRow, SampledNode, StageTime};
pub use run::{RunOptions, Workers, run, run_with, sample};
