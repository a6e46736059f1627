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
mod driver;
mod feature_loop;
mod features;
mod hands;
mod ingest;
mod message;
mod observe;
mod owners;
mod parcel;
mod progress;
mod report;
mod run;
mod sampling;
mod shared;
mod stage;
mod team;
mod topology;
mod wire;
mod workers;

pub use observe::{Event, Observer, Silent};
pub use report::{FeatureReport, ProcessReport, Report, SampleRow, SampledNode, StageTime};
pub use run::{RunOptions, Workers, run, run_with, sample};
pub use team::Cluster;
