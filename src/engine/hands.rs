//! The workers' side of the features stage: tasks, and files of rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::features::{Features, Goal, Phase, TableWork, Work};
use super::message::{Body, Message};
use super::stage::Place;
use crate::model::{Error, Result, Rows};
use crate::signals::Scratch;
use crate::sink::{PartFile, PartWriter, WriteContext};

/// A worker's hands: it takes tasks, one at a time.
#[derive(Default)]
pub(super) struct Hands {
    scratch: Scratch,
    stage: String,
}

impl Hands {
    /// Runs one task of phase `number` and gives its stage and the messages with its result; `None` if
    /// no task is left for this process.
    pub fn take(
        &mut self,
        place: &Place,
        features: &Features,
        number: u64,
    ) -> Option<(String, Vec<Message>)> {
        let phase = features.phase(number)?;
        let task = phase.take()?;
        if features.shared.stopped() {
            return None;
        }
        if self.stage != phase.stage {
            self.scratch.clear();
            self.stage.clone_from(&phase.stage);
        }
        let topology = features.shared.topology;
        let messages = place.timed(&phase.stage, || match &phase.work {
            Work::Round(stage) => {
                let part = Arc::new(stage.run(task, &mut self.scratch));
                let body = || Body::Part(number, task, part.clone());
                Ok(topology.firsts().map(|to| Message { to, body: body() }).collect())
            }
            Work::Table(work) => {
                let nodes = &work.nodes[work.blocks[task].clone()];
                let rows = work.source.rows(work.index, nodes, &mut self.scratch);
                let to = work.writer(work.files[task], topology);
                Ok(vec![Message { to, body: Body::Rows(number, task, rows) }])
            }
        })?;
        features.shared.advance(&phase.stage, 1);
        Some((phase.stage.clone(), messages))
    }
}

/// A worker's open files.
pub(super) struct Writers {
    features: Arc<Features>,
    /// By phase and file.
    open: BTreeMap<(u64, usize), OpenFile>,
    /// Blocks of a table that this process has not begun.
    early: BTreeMap<u64, Vec<(usize, Rows)>>,
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
        Writers { features, open: BTreeMap::new(), early: BTreeMap::new() }
    }

    /// Takes block `block` of the table of phase `number`; gives the file that it completes.
    pub fn write(&mut self, number: u64, block: usize, rows: Rows) -> Result<Vec<PartFile>> {
        let blocks = self.early.entry(number).or_default();
        blocks.push((block, rows));
        self.write_early(number)
    }

    /// Writes the blocks that came for phase `number` before it began here, if it has begun.
    pub fn write_early(&mut self, number: u64) -> Result<Vec<PartFile>> {
        let Some(phase) = self.features.phase(number) else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        for (block, rows) in self.early.remove(&number).unwrap_or_default() {
            files.extend(self.write_block(&phase, block, rows)?);
        }
        Ok(files)
    }

    fn write_block(&mut self, phase: &Phase, block: usize, rows: Rows) -> Result<Option<PartFile>> {
        let Work::Table(work) = &phase.work else {
            return Err(Error::engine("a block of rows came when no table was due"));
        };
        let Some(&file) = work.files.get(block) else {
            return Err(Error::engine("a block of rows came that no file has"));
        };
        let open = match self.open.entry((phase.number, file)) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(OpenFile::create(&self.features, work, file)?),
        };
        open.early.insert(block, rows);
        while let Some(rows) = open.early.remove(&open.next) {
            open.writer.write(&rows)?;
            open.next += 1;
        }
        if open.next < open.end {
            return Ok(None);
        }
        let complete = self.open.remove(&(phase.number, file));
        complete.map(|open| open.writer.finish()).transpose()
    }
}

impl OpenFile {
    fn create(features: &Features, work: &TableWork, file: usize) -> Result<OpenFile> {
        let Goal::Publish { staging, created_us, .. } = &features.goal else {
            return Err(Error::engine("rows came in a run that publishes nothing"));
        };
        let path = staging.part_path(&work.table.name, file)?;
        let shared = &features.shared;
        let context = WriteContext {
            names: shared.job.graph.names.clone(),
            left: shared.dictionaries[0].get()?,
            right: shared.dictionaries[1].get()?,
            as_of_us: shared.job.as_of_us,
            created_us: *created_us,
        };
        let writer = PartWriter::create(&path, &work.table, &context)?;
        let blocks = work.blocks_of(file);
        Ok(OpenFile { writer, next: blocks.start, end: blocks.end, early: BTreeMap::new() })
    }
}
