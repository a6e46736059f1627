//! pingraph turns interaction logs (users x pins) into graph features for ranking.
//!
//! One job file says what to read, which graph to build, which signals to compute and where to
//! publish them. [`run`] executes it on any number of workers and gives the same bytes on each.
//!
//! | module | what it holds |
//! |---|---|
//! | [`model`] | the plain types that everything else speaks: keys, events, tables, errors |
//! | [`kernels`] | pure functions over slices; no I/O, no dataflow |
//! | [`graph`] | events to dense ids to CSR |
//! | [`signals`] | one file a signal, and the registry |
//! | [`job`] | the job file as typed and as meant |
//! | [`source`], [`sink`] | readers of events, writers of tables |
//! | [`engine`] | the dataflow that ties them together |
//! | [`cli`] | the command line |

pub mod cli;
pub mod engine;
pub mod graph;
pub mod job;
pub mod kernels;
pub mod model;
pub mod signals;
pub mod sink;
pub mod source;

pub use model::{Error, ErrorKind};
