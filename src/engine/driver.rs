//! The driver: goes through the features of the job, their rounds and their tables.
//!
//! Every process has one, and all get the same messages, though not in the same order: a part or a file
//! may come for a phase that this process has not begun. It is kept until then.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;
use std::time::Instant;

use super::features::{Features, Finished, Goal, Phase, TableWork, Work};
use super::message::{Body, Message};
use super::observe::Event;
use super::sampling::sample_table;
use super::shared::lock;
use crate::model::{Error, Result};
use crate::signals::{Part, RowSource, Scratch, Step};
use crate::sink::{KeptTable, PartFile};

/// The driver's place in the job.
pub(super) struct Driver {
    features: Arc<Features>,
    /// Number of the phase under way.
    number: u64,
    feature: usize,
    table: usize,
    source: Option<Arc<dyn RowSource>>,
    /// Results by phase, those of phases to come among them.
    results: BTreeMap<u64, Results>,
    scratch: Scratch,
}

/// What has come for a phase.
#[derive(Default)]
struct Results {
    parts: BTreeMap<usize, Arc<Part>>,
    /// Complete files of the table.
    written: usize,
    files: Vec<PartFile>,
}

impl Driver {
    pub fn new(features: Arc<Features>) -> Driver {
        Driver {
            features,
            number: 0,
            feature: 0,
            table: 0,
            source: None,
            results: BTreeMap::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes a message and gives those that follow from it.
    pub fn receive(&mut self, body: Body) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        match body {
            Body::Begin => messages.extend(self.start_feature()?),
            Body::Part(phase, task, part) => {
                let results = self.results.entry(phase).or_default();
                match results.parts.entry(task) {
                    Entry::Vacant(place) => drop(place.insert(part)),
                    Entry::Occupied(_) => return Err(Error::engine("a task was done twice")),
                }
            }
            Body::Written(phase, file) => {
                let results = self.results.entry(phase).or_default();
                results.written += 1;
                results.files.extend(file.map(|file| *file));
            }
            Body::Token(_) | Body::Rows(..) => {}
        }
        // Results of the next phase may all be here before it begins.
        while let Some(more) = self.advance()? {
            messages.extend(more);
        }
        Ok(messages)
    }

    /// Ends the phase under way if all its results have come, and begins the next.
    fn advance(&mut self) -> Result<Option<Vec<Message>>> {
        let Some(phase) = self.features.phase(self.number) else { return Ok(None) };
        let results = self.results.entry(self.number).or_default();
        let due = match &phase.work {
            Work::Round(_) => results.parts.len() == phase.tasks,
            Work::Table(work) => results.written == work.file_count(),
        };
        if !due {
            return Ok(None);
        }
        let results = self.results.remove(&self.number).unwrap_or_default();
        self.features.set_phase(None);
        match &phase.work {
            Work::Round(stage) => {
                let stage = stage.clone();
                drop(phase);
                let parts = results.parts.into_values().map(Arc::unwrap_or_clone).collect();
                let (shared, name) = (self.features.shared.clone(), self.stage_name());
                let first = shared.topology.first();
                let step = shared.timed(first, &name, || Ok(stage.next(parts)));
                step.map_or_else(|| Ok(Vec::new()), |step| self.step(step)).map(Some)
            }
            Work::Table(work) => self.finish_table(work, results.files).map(Some),
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
        if self.take_up() {
            self.feature += 1;
            return self.start_feature();
        }
        let graph = shared.graph.get()?;
        let no_keys = Vec::new();
        let keys = features.key_files.get(self.feature).unwrap_or(&no_keys);
        shared.begin(&plan.name, Instant::now(), None, "blocks");
        let first = shared.topology.first();
        let step = shared.timed(first, &plan.name, || Ok(plan.feature.start(graph, keys)));
        step.map_or_else(|| Ok(Vec::new()), |step| self.step(step))
    }

    /// Takes the feature's tables from an earlier attempt, if that has finished all of them.
    fn take_up(&self) -> bool {
        let features = &self.features;
        let plan = &features.shared.job.features[self.feature];
        let tables = plan.feature.tables(&features.schema());
        if !tables.iter().all(|table| features.kept.contains_key(&table.name)) {
            return false;
        }
        for table in tables {
            if let Some(Some(kept)) = features.kept.get(&table.name) {
                let resumed = Event::Resumed { table: table.name.clone() };
                features.shared.observer.event(&resumed);
                let (files, notes) = (kept.files.clone(), kept.notes.clone());
                let finished = Finished { feature: self.feature, table, files, notes };
                lock(&features.finished).push(finished);
            }
        }
        true
    }

    fn step(&mut self, step: Step) -> Result<Vec<Message>> {
        match step {
            Step::Round(stage) if stage.tasks() == 0 => self.step(stage.next(Vec::new())),
            Step::Round(stage) => Ok(self.announce(Work::Round(stage))),
            Step::Rows(source) => {
                self.source = Some(source);
                self.table = 0;
                self.start_table()
            }
        }
    }

    /// Puts a phase where the workers of this process see it, and sends them tokens.
    fn announce(&mut self, work: Work) -> Vec<Message> {
        self.number += 1;
        let (number, shared) = (self.number, &self.features.shared);
        let phase = Phase::new(number, self.stage_name(), work, shared.topology);
        let sized = Event::StageSized { stage: self.stage_name(), total: phase.tasks as u64 };
        shared.observer.event(&sized);
        self.features.set_phase(Some(Arc::new(phase)));
        let workers = shared.topology.local();
        workers.map(|to| Message { to, body: Body::Token(number) }).collect()
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
        if let Goal::Sample(_) = &features.goal {
            let place = (self.feature, self.table);
            sample_table(&features, &graph, &*source, place, table, &mut self.scratch);
            self.table += 1;
            return self.start_table();
        }
        let all = || Arc::new((0..graph.nodes(table.side) as u32).collect());
        let nodes = source.nodes(self.table).unwrap_or_else(all);
        let work = TableWork::new(source, self.table, table.clone(), nodes, shared.topology);
        Ok(self.announce(Work::Table(work)))
    }

    /// All files of a table are complete.
    fn finish_table(&mut self, work: &TableWork, files: Vec<PartFile>) -> Result<Vec<Message>> {
        let features = self.features.clone();
        if features.shared.topology.process == 0 && lock(&features.example).is_none() {
            let example = self.example(work)?;
            *lock(&features.example) = example;
        }
        let notes = work.source.notes();
        if let Goal::Publish { staging, created_us, keeps: true } = &features.goal
            && features.shared.topology.process == 0
        {
            let (files, notes) = (files.clone(), notes.clone());
            let kept = KeptTable { created_us: *created_us, files, notes };
            staging.keep(&work.table.name, &kept)?;
        }
        let (feature, table) = (self.feature, work.table.clone());
        lock(&features.finished).push(Finished { feature, table, files, notes });
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
}
