//! pingraph turns interaction logs (users x pins) into graph features for ranking.
//!
//! One job file says what to read, which graph to build, which signals to compute and where to
//! publish them. [`run`] executes it on any number of workers and gives the same bytes on each.
//!
//! ```
//! use pingraph::engine::Workers;
//! use pingraph::job::{Job, Overrides};
//!
//! # let out = std::env::temp_dir().join(format!("pingraph-doc-{}", std::process::id()));
//! let mut overrides = Overrides::default();
//! overrides.set.push(format!("sink.parquet.path={:?}", out));
//! let job = Job::from_file_with("jobs/related_pins.toml", &overrides)?;
//! let report = pingraph::run(&job, Workers::threads(4))?;
//! assert!(report.edges > 0);
//! for feature in &report.features {
//!     assert_eq!(feature.rows, report.right_nodes, "{}", feature.table);
//! }
//! # std::fs::remove_dir_all(&out).ok();
//! # Ok::<(), pingraph::Error>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`model`] | the plain types that everything else speaks: keys, events, tables, errors |
//! | [`kernels`] | pure functions over slices; no I/O, no dataflow |
//! | [`graph`] | events to dense ids to CSR |
//! | [`signals`] | one file a signal, and the registry |
//! | [`job`] | the job file as typed and as meant |
//! | [`source`], [`sink`] | readers of events, writers of tables |
//! | [`cluster`] | the sockets between the processes of one run |
//! | [`engine`] | the dataflow that ties them together |
//! | [`cli`] | the command line |

pub mod cli;
pub mod cluster;
pub mod engine;
pub mod graph;
pub mod job;
pub mod kernels;
pub mod model;
pub mod signals;
pub mod sink;
pub mod source;

pub use engine::{Report, Workers, run};
pub use job::Job;
pub use model::{Error, ErrorKind};
/// The crate whose tables carry the parameters of sources and signals.
pub use toml;

/// The README's code runs as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
