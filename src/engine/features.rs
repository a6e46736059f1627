//! The features stage: a loop of three operators.
//!
//! * *driver* (worker 0): goes through the job's features, their rounds and their tables. For each
//!   it puts a [`Phase`] where all workers see it and sends every worker a token.
//! * *work* (all): takes tasks of the phase until none is left, one each time it is scheduled, and
//!   sends parts to the driver, and blocks of rows to the worker that writes their file.
//! * *write* (all): puts the blocks of a file in order and writes them.
//!
//! Which worker does what depends on timing; what it does, and the order in which results are put
//! together, does not. File boundaries are fixed numbers of rows, so even the files are the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::observe::Event;
use super::shared::{Shared, lock};
use crate::graph::Graph;
use crate::model::{Column, ColumnType, Error, KeyType, Keys, Result, Rows, Side, Table};
use crate::signals::{GraphSchema, Part, RowSource, Scratch, Stage, Step, split_by_work};
use crate::sink::{Output, PartFile, PartWriter, WriteContext};

/// Rows of a file of a table with lists.
const LIST_ROWS_A_FILE: usize = 1 << 15;
/// Rows of a file of a table without lists.
const SCALAR_ROWS_A_FILE: usize = 1 << 20;
/// Blocks that a table is cut into, by estimated work: enough for an even load on 16 workers.
const BLOCKS_A_TABLE: usize = 128;
/// Rows of a block at least, on average: kernels that share passes between rows want some to share.
const ROWS_A_BLOCK: usize = 64;

/// What the operators of the loop send to one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// The worker that it goes to.
    pub to: usize,
    pub body: Body,
}

/// The content of a [`Message`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Body {
    /// To the driver: the graph stands.
    Begin,
    /// To a worker: phase number so-and-so can be worked on.
    Token(u64),
    /// To the driver: the result of a task of a round.
    Part(usize, Part),
    /// To a writer: a block of rows, by index.
    Rows(usize, Rows),
    /// To the driver: a file is complete, and its summary stands in [`Features::files`].
    Written,
}

/// What the run is for.
pub(super) enum Goal {
    /// All rows of all tables, written to staging.
    Publish { output: Output, created_us: i64 },
    /// The rows of single nodes, by side and key as written.
    Sample(Vec<(Side, String)>),
}

/// A table whose files are complete.
pub(super) struct Finished {
    pub feature: usize,
    pub table: Table,
    pub files: Vec<PartFile>,
    pub notes: Vec<(String, String)>,
}

/// State of the features stage, shared by the workers of a process.
pub(super) struct Features {
    pub shared: Arc<Shared>,
    pub goal: Goal,
    pub key_files: Vec<Vec<Keys>>,
    pub finished: Mutex<Vec<Finished>>,
    pub files: Mutex<Vec<PartFile>>,
    pub samples: Mutex<Vec<super::report::SampleRow>>,
    pub example: Mutex<Option<String>>,
    phase: Mutex<Option<Arc<Phase>>>,
}

/// One round of one feature, or one table.
struct Phase {
    number: u64,
    stage: String,
    next_task: AtomicUsize,
    tasks: usize,
    work: Work,
}

enum Work {
    Round(Arc<dyn Stage>),
    Table(TableWork),
}

/// The blocks of a table.
struct TableWork {
    source: Arc<dyn RowSource>,
    index: usize,
    table: Table,
    nodes: Arc<Vec<u32>>,
    /// Ranges of `nodes`, none of which crosses a file's end.
    blocks: Vec<Range<usize>>,
    /// File of each block.
    files: Vec<usize>,
}

impl Features {
    pub fn new(shared: Arc<Shared>, goal: Goal, key_files: Vec<Vec<Keys>>) -> Features {
        Features {
            shared,
            goal,
            key_files,
            finished: Mutex::default(),
            files: Mutex::default(),
            samples: Mutex::default(),
            example: Mutex::default(),
            phase: Mutex::default(),
        }
    }

    /// What is known of the graph from the job alone.
    pub fn schema(&self) -> GraphSchema {
        self.shared.job.schema()
    }

    fn phase(&self, number: u64) -> Option<Arc<Phase>> {
        lock(&self.phase).clone().filter(|phase| phase.number == number)
    }
}

/// The driver's place in the job.
pub(super) struct Driver {
    features: Arc<Features>,
    number: u64,
    feature: usize,
    table: usize,
    source: Option<Arc<dyn RowSource>>,
    parts: BTreeMap<usize, Part>,
    /// Complete files of the current table.
    files: usize,
    scratch: Scratch,
}

impl Driver {
    pub fn new(features: Arc<Features>) -> Driver {
        Driver {
            features,
            number: 0,
            feature: 0,
            table: 0,
            source: None,
            parts: BTreeMap::new(),
            files: 0,
            scratch: Scratch::default(),
        }
    }

    /// Takes a message and gives those that follow from it.
    pub fn receive(&mut self, body: Body) -> Result<Vec<Message>> {
        match body {
            Body::Begin => self.start_feature(),
            Body::Part(task, part) => {
                self.parts.insert(task, part);
                let Some(phase) = self.features.phase(self.number) else { return Ok(Vec::new()) };
                match &phase.work {
                    Work::Round(stage) if self.parts.len() == phase.tasks => {
                        let parts = std::mem::take(&mut self.parts).into_values().collect();
                        let stage = stage.clone();
                        *lock(&self.features.phase) = None;
                        drop(phase);
                        self.step(stage.next(parts))
                    }
                    _ => Ok(Vec::new()),
                }
            }
            Body::Written => {
                self.files += 1;
                let Some(phase) = self.features.phase(self.number) else { return Ok(Vec::new()) };
                match &phase.work {
                    Work::Table(work) if self.files == work.file_count() => self.finish_table(work),
                    _ => Ok(Vec::new()),
                }
            }
            Body::Token(_) | Body::Rows(..) => Ok(Vec::new()),
        }
    }

    fn stage_name(&self) -> String {
        match self.features.shared.job.features.get(self.feature) {
            Some(plan) => plan.name.clone(),
            None => "features".into(),
        }
    }

    /// Begins the next feature, if there is one.
    fn start_feature(&mut self) -> Result<Vec<Message>> {
        let features = self.features.clone();
        let shared = &features.shared;
        let Some(plan) = shared.job.features.get(self.feature) else { return Ok(Vec::new()) };
        let graph = shared.graph.get()?;
        let no_keys = Vec::new();
        let keys = features.key_files.get(self.feature).unwrap_or(&no_keys);
        shared.begin(&plan.name, std::time::Instant::now(), None, "blocks");
        let step = shared.timed(&plan.name, || Ok(plan.feature.start(graph, keys)));
        step.map_or_else(|| Ok(Vec::new()), |step| self.step(step))
    }

    fn step(&mut self, step: Step) -> Result<Vec<Message>> {
        match step {
            Step::Round(stage) if stage.tasks() == 0 => self.step(stage.next(Vec::new())),
            Step::Round(stage) => {
                let tasks = stage.tasks();
                Ok(self.announce(tasks, Work::Round(stage)))
            }
            Step::Rows(source) => {
                self.source = Some(source);
                self.table = 0;
                self.start_table()
            }
        }
    }

    /// Puts a phase where the workers see it, and sends them tokens.
    fn announce(&mut self, tasks: usize, work: Work) -> Vec<Message> {
        self.number += 1;
        let number = self.number;
        let sized = Event::StageSized { stage: self.stage_name(), total: tasks as u64 };
        self.features.shared.observer.event(&sized);
        let phase =
            Phase { number, stage: self.stage_name(), next_task: AtomicUsize::new(0), tasks, work };
        *lock(&self.features.phase) = Some(Arc::new(phase));
        let workers = self.features.shared.workers;
        (0..workers).map(|to| Message { to, body: Body::Token(number) }).collect()
    }

    /// Begins the next table of the feature, or the next feature.
    fn start_table(&mut self) -> Result<Vec<Message>> {
        let features = self.features.clone();
        let shared = &features.shared;
        let plan = &shared.job.features[self.feature];
        let tables = plan.feature.tables(&features.schema());
        let (Some(source), Some(table)) = (self.source.clone(), tables.get(self.table)) else {
            shared.finish(&plan.name);
            self.source = None;
            self.feature += 1;
            return self.start_feature();
        };
        let graph = shared.graph.get()?;
        if let Goal::Sample(wanted) = &features.goal {
            for (side, key) in wanted.iter().filter(|(side, _)| *side == table.side) {
                self.sample(&graph, &*source, table, (*side, key));
            }
            self.table += 1;
            return self.start_table();
        }
        let all = || Arc::new((0..graph.nodes(table.side) as u32).collect());
        let nodes = source.nodes(self.table).unwrap_or_else(all);
        let work = TableWork::new(source, self.table, table.clone(), nodes);
        let tasks = work.blocks.len();
        Ok(self.announce(tasks, Work::Table(work)))
    }

    /// All files of a table are complete.
    fn finish_table(&mut self, work: &TableWork) -> Result<Vec<Message>> {
        let features = self.features.clone();
        self.files = 0;
        let files = std::mem::take(&mut *lock(&features.files));
        if lock(&features.example).is_none() {
            let example = self.example(work)?;
            *lock(&features.example) = example;
        }
        lock(&features.finished).push(Finished {
            feature: self.feature,
            table: work.table.clone(),
            files,
            notes: work.source.notes(),
        });
        *lock(&features.phase) = None;
        self.table += 1;
        self.start_table()
    }

    /// The row of the node with the most neighbours (then the lowest id), explained.
    fn example(&mut self, work: &TableWork) -> Result<Option<String>> {
        let graph = self.features.shared.graph.get()?;
        let csr = graph.adjacency(work.table.side);
        let busiest =
            work.nodes.iter().copied().max_by_key(|&n| (csr.degree(n), std::cmp::Reverse(n)));
        let Some(node) = busiest else { return Ok(None) };
        let rows = work.source.rows(work.index, &[node], &mut self.scratch);
        let plan = &self.features.shared.job.features[self.feature];
        Ok(Some(plan.feature.explain_row(&graph, work.index, &rows, 0)))
    }

    /// The row of the node with key `key`, for `sample`.
    fn sample(
        &mut self,
        graph: &Graph,
        source: &dyn RowSource,
        table: &Table,
        (side, key): (Side, &str),
    ) {
        let Some(node) = find_node(graph, side, key) else { return };
        let has_row = source.nodes(self.table).is_none_or(|nodes| nodes.contains(&node));
        if !has_row {
            return;
        }
        let rows = source.rows(self.table, &[node], &mut self.scratch);
        let plan = &self.features.shared.job.features[self.feature];
        let row = super::report::SampleRow {
            side,
            table: table.name.clone(),
            sentence: plan.feature.explain_row(graph, self.table, &rows, 0),
            values: table
                .fields
                .iter()
                .zip(&rows.columns)
                .map(|(field, column)| {
                    (field.name.clone(), readable(graph, field.column_type, column))
                })
                .collect(),
        };
        lock(&self.features.samples).push(row);
    }
}

/// The node of `side` whose key is written `key`.
pub(super) fn find_node(graph: &Graph, side: Side, key: &str) -> Option<u32> {
    let dictionary = graph.dictionary(side);
    match dictionary.keys().key_type() {
        KeyType::Int64 => dictionary.id(crate::model::KeyRef::Int64(key.parse().ok()?)),
        KeyType::Utf8 => dictionary.id(crate::model::KeyRef::Utf8(key)),
    }
}

/// The first row of `column` as text.
fn readable(graph: &Graph, column_type: ColumnType, column: &Column) -> String {
    let join = |values: Vec<String>| format!("[{}]", values.join(", "));
    match column {
        Column::Int64(values) => match values.first() {
            Some(Some(value)) => value.to_string(),
            _ => "null".into(),
        },
        Column::Float32(values) => values.first().map_or("null".into(), f32::to_string),
        Column::Float64(values) => values.first().map_or("null".into(), f64::to_string),
        Column::NodeList { nodes, .. } => {
            let ColumnType::NodeList(side) = column_type else { return String::new() };
            join(nodes.iter().map(|&n| graph.dictionary(side).key(n).to_string()).collect())
        }
        Column::Float32List { values, .. } => {
            join(values.iter().map(|value| format!("{value:.5}")).collect())
        }
        Column::Int64List { values, .. } => join(values.iter().map(i64::to_string).collect()),
    }
}

impl TableWork {
    fn new(
        source: Arc<dyn RowSource>,
        index: usize,
        table: Table,
        nodes: Arc<Vec<u32>>,
    ) -> TableWork {
        let lists = table.fields.iter().any(|field| {
            use ColumnType::{Float32List, Int64List, NodeList};
            matches!(field.column_type, NodeList(_) | Float32List | Int64List)
        });
        let rows_a_file = if lists { LIST_ROWS_A_FILE } else { SCALAR_ROWS_A_FILE };
        let file_count = nodes.len().div_ceil(rows_a_file).max(1);
        let (mut blocks, mut files) = (Vec::new(), Vec::new());
        for file in 0..file_count {
            let begin = file * rows_a_file;
            let rows = rows_a_file.min(nodes.len() - begin);
            let pieces = (BLOCKS_A_TABLE / file_count).min(rows / ROWS_A_BLOCK).max(1);
            let mut cut =
                split_by_work(rows, pieces, |row| source.work(index, nodes[begin + row]).max(1));
            if cut.is_empty() {
                cut.push(0..0);
            }
            files.extend(cut.iter().map(|_| file));
            blocks.extend(cut.into_iter().map(|range| begin + range.start..begin + range.end));
        }
        TableWork { source, index, table, nodes, blocks, files }
    }

    fn file_count(&self) -> usize {
        self.files.last().map_or(0, |file| file + 1)
    }
}

/// A worker's hands: it takes tasks, one at a time.
#[derive(Default)]
pub(super) struct Hands {
    scratch: Scratch,
    stage: String,
}

impl Hands {
    /// Runs one task of phase `number`; `None` if there is none left.
    pub fn take(&mut self, features: &Features, number: u64) -> Option<Message> {
        let phase = features.phase(number)?;
        let task = phase.next_task.fetch_add(1, Ordering::Relaxed);
        if task >= phase.tasks || features.shared.stopped() {
            return None;
        }
        if self.stage != phase.stage {
            self.scratch.clear();
            self.stage.clone_from(&phase.stage);
        }
        let message = features.shared.timed(&phase.stage, || match &phase.work {
            Work::Round(stage) => {
                let part = stage.run(task, &mut self.scratch);
                Ok(Message { to: 0, body: Body::Part(task, part) })
            }
            Work::Table(work) => {
                let nodes = &work.nodes[work.blocks[task].clone()];
                let rows = work.source.rows(work.index, nodes, &mut self.scratch);
                let to = work.files[task] % features.shared.workers;
                Ok(Message { to, body: Body::Rows(task, rows) })
            }
        })?;
        features.shared.advance(&phase.stage, 1);
        Some(message)
    }
}

/// A worker's open files.
pub(super) struct Writers {
    features: Arc<Features>,
    open: BTreeMap<usize, OpenFile>,
}

/// A file and the blocks that came before their turn.
struct OpenFile {
    writer: PartWriter,
    next: usize,
    end: usize,
    early: BTreeMap<usize, Rows>,
}

impl Writers {
    pub fn new(features: Arc<Features>) -> Writers {
        Writers { features, open: BTreeMap::new() }
    }

    /// Takes block `block` of the current table; `true` says that it was the last of its file.
    pub fn write(&mut self, block: usize, rows: Rows) -> Result<bool> {
        let features = self.features.clone();
        let phase = lock(&features.phase).clone();
        let Some(Work::Table(work)) = phase.as_deref().map(|phase| &phase.work) else {
            return Err(Error::engine("a block of rows came when no table was due"));
        };
        let Goal::Publish { output, created_us } = &features.goal else {
            return Err(Error::engine("rows came in a run that publishes nothing"));
        };
        let file = work.files[block];
        let open = match self.open.entry(file) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let path = output.part_path(&work.table.name, file)?;
                let next = work.files.partition_point(|&f| f < file);
                let end = work.files.partition_point(|&f| f <= file);
                let shared = &features.shared;
                let context = WriteContext {
                    names: shared.job.graph.names.clone(),
                    left: shared.dictionaries[0].get()?,
                    right: shared.dictionaries[1].get()?,
                    as_of_us: shared.job.as_of_us,
                    created_us: *created_us,
                };
                let writer = PartWriter::create(&path, &work.table, &context)?;
                vacant.insert(OpenFile { writer, next, end, early: BTreeMap::new() })
            }
        };
        open.early.insert(block, rows);
        while let Some(rows) = open.early.remove(&open.next) {
            open.writer.write(&rows)?;
            open.next += 1;
        }
        if open.next < open.end {
            return Ok(false);
        }
        if let Some(open) = self.open.remove(&file) {
            lock(&features.files).push(open.writer.finish()?);
        }
        Ok(true)
    }
}
