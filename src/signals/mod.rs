//! Signals: one file each, and the registry. A signal is a thin declaration over a kernel.
//!
//! A feature is computed in rounds. In each round a [`Stage`] offers tasks that are independent of
//! one another; the engine runs them on any worker in any order and hands all results, in task
//! order, to [`Stage::next`]. When no round is left, [`RowSource`] gives the rows of any range of
//! nodes, again on any worker. Nothing here knows how many workers there are, so nothing can
//! depend on it.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use crate::graph::{Graph, Needs};
use crate::model::{Error, Keys, Result, Rows, Side, SideNames, Table};

mod co_engagement;
mod degree;
mod pagerank;
pub mod personalized_pagerank;
mod popularity;
mod registry;

pub use registry::{Registry, all};

/// What `pingraph signals` prints of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalDoc {
    /// One sentence.
    pub summary: &'static str,
    /// The kernel under it.
    pub kernel: &'static str,
    /// The formula, in plain text.
    pub formula: &'static str,
    /// Paper or other source.
    pub reference: &'static str,
    /// The parameters.
    pub params: Vec<ParamDoc>,
}

/// What `pingraph signals NAME` prints of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamDoc {
    /// Name in the job file.
    pub name: &'static str,
    /// Default, as typed in a job file; empty if there is none.
    pub default: String,
    /// Meaning, unit and allowed values.
    pub doc: &'static str,
}

/// What is known of a graph before any data is read: enough to name tables and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphSchema {
    /// What the sides are called.
    pub names: SideNames,
    /// Names of the actions, ascending; one named `all` if the job names none.
    pub actions: Vec<String>,
    /// Whether events have a time; without one every event is taken to be as old as any window.
    pub timed: bool,
}

/// A kind of signal, found by name.
pub trait Signal: Send + Sync {
    /// Name in the job file, for example `co_engagement`.
    fn name(&self) -> &'static str;

    /// What it computes and what its parameters mean.
    fn doc(&self) -> SignalDoc;

    /// The feature `feature` of this signal, with `params` as the job file gives them. It must
    /// reject parameters that it does not know (serde's `deny_unknown_fields`) and values out of
    /// range with [`crate::Error::job`], naming the parameter by `.column(name)`.
    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>>;
}

/// Whose nodes a feature publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sides {
    /// Left nodes.
    Left,
    /// Right nodes.
    Right,
    /// One table for each.
    #[default]
    Both,
}

impl Sides {
    /// The sides, left first: one table each.
    pub fn list(self) -> &'static [Side] {
        match self {
            Sides::Left => &[Side::Left],
            Sides::Right => &[Side::Right],
            Sides::Both => &[Side::Left, Side::Right],
        }
    }

    /// The table of `side`: the feature's name, with `_user` or `_pin` if it has both.
    pub fn table_name(self, feature: &str, side: Side, names: &SideNames) -> String {
        match self {
            Sides::Both => format!("{feature}_{}", names.of(side)),
            _ => feature.to_string(),
        }
    }
}

/// A signal's parameters as a struct of its own, which denies unknown fields.
///
/// # Errors
/// When a parameter is unknown or of a wrong type; the error names it.
pub fn parse<P: serde::de::DeserializeOwned>(params: toml::Table) -> Result<P> {
    params.try_into().map_err(|error: toml::de::Error| {
        let wrong = Error::job(error.message().to_string());
        // `toml` names the parameter on a line of its own, and nowhere else.
        let shown = error.to_string();
        let key = shown.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
        match key {
            Some(key) => wrong.column(key),
            None => wrong,
        }
    })
}

/// A signal with its parameters.
pub trait Feature: Send + Sync {
    /// The tables it publishes.
    fn tables(&self, schema: &GraphSchema) -> Vec<Table>;

    /// Whether it can be computed on graphs of `schema`.
    ///
    /// # Errors
    /// A job error that names the parameter.
    fn check(&self, _schema: &GraphSchema) -> Result<()> {
        Ok(())
    }

    /// What it needs beyond the adjacencies.
    fn needs(&self) -> Needs;

    /// Files of node keys that the engine must read before [`Feature::start`], in the order of
    /// its `key_files` argument (a file of seeds, for example).
    fn key_files(&self) -> Vec<KeyFile> {
        Vec::new()
    }

    /// Begins the computation on `graph`.
    fn start(&self, graph: Arc<Graph>, key_files: &[Keys]) -> Step;

    /// One sentence that explains `node`'s row, for the summary and for `sample`.
    fn explain_row(&self, graph: &Graph, table: usize, rows: &Rows, row: usize) -> String;
}

/// A file with one node key a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// Where it is.
    pub path: std::path::PathBuf,
    /// Whose keys it holds.
    pub side: Side,
}

/// What comes next in a computation.
pub enum Step {
    /// One more round.
    Round(Arc<dyn Stage>),
    /// Rows can be had.
    Rows(Arc<dyn RowSource>),
}

/// A round of independent tasks.
pub trait Stage: Send + Sync {
    /// How many tasks there are. It must not depend on the topology.
    fn tasks(&self) -> usize;

    /// Runs task `task`.
    fn run(&self, task: usize, scratch: &mut Scratch) -> Part;

    /// Ends the round, given the parts in task order.
    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step;
}

/// What a task gives: plain arrays, so that they can go between processes.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Dense ids or counts.
    U32(Vec<u32>),
    /// Integers.
    I64(Vec<i64>),
    /// Values.
    F64(Vec<f64>),
}

/// Gives the rows of a feature's tables.
pub trait RowSource: Send + Sync {
    /// The nodes that have a row in table `table`; `None` means all of its side.
    fn nodes(&self, table: usize) -> Option<Arc<Vec<u32>>>;

    /// Estimated cost of the rows of node `node`, in any unit; the engine cuts blocks by it.
    fn work(&self, table: usize, node: u32) -> u64;

    /// The rows of `nodes`, ascending dense ids, a contiguous piece of [`RowSource::nodes`].
    fn rows(&self, table: usize, nodes: &[u32], scratch: &mut Scratch) -> Rows;

    /// Figures about the computation for the manifest and the summary, for example
    /// `("recall_at_100", "0.9951")`.
    fn notes(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Memory that a worker keeps between tasks, one value a type: a kernel's accumulators.
#[derive(Default)]
pub struct Scratch {
    slots: Vec<Box<dyn Any>>,
}

impl Scratch {
    /// Gives `work` the worker's value of type `T`, made by its default if there is none yet.
    pub fn with<T: Any + Default, R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        let found = self.slots.iter().position(|slot| slot.is::<T>());
        let slot = found.and_then(|index| self.slots.swap_remove(index).downcast::<T>().ok());
        let mut value = slot.unwrap_or_default();
        let result = work(&mut value);
        self.slots.push(value);
        result
    }

    /// Drops everything, for the next feature.
    pub fn clear(&mut self) {
        self.slots.clear();
    }
}

/// Cuts `0..count` into at most `pieces` contiguous ranges of about equal `work`; a topology-free
/// way to make tasks.
pub fn split_by_work(
    count: usize,
    pieces: usize,
    work: impl Fn(usize) -> u64,
) -> Vec<Range<usize>> {
    let total: u128 = (0..count).map(|i| u128::from(work(i))).sum();
    let pieces = pieces.max(1) as u128;
    let mut ranges = Vec::new();
    let (mut begin, mut done) = (0, 0u128);
    for index in 0..count {
        done += u128::from(work(index));
        let due = (ranges.len() as u128 + 1) * total;
        if done * pieces >= due && total > 0 {
            ranges.push(begin..index + 1);
            begin = index + 1;
        }
    }
    if begin < count {
        ranges.push(begin..count);
    }
    ranges
}
