//! The features stage: a loop of three operators.
//!
//! * *driver* (the first worker of each process): goes through the job's features, their rounds and
//!   their tables. For each it puts a [`Phase`] where the workers of its process see it and sends
//!   them tokens. All drivers get the same results, so they take the same steps.
//! * *work* (all): takes tasks of the phase that are its process's until none is left, one each time it
//!   is scheduled, and sends parts to the drivers, and blocks of rows to the worker that writes their
//!   file.
//! * *write* (all): puts the blocks of a file in order and writes them.
//!
//! Which process does what follows from estimated work alone; which of its workers, from timing. What
//! is done, and the order in which results are put together, depends on neither. File boundaries
//! are fixed numbers of rows, so even the files are the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::shared::{Shared, lock};
use super::topology::Topology;
use crate::model::{ColumnType, Keys, Side, Table};
use crate::signals::{GraphSchema, RowSource, Stage, split_by_work};
use crate::sink::{KeptTable, PartFile, Staging};

/// Rows of a file of a table with lists.
const LIST_ROWS_A_FILE: usize = 1 << 15;
/// Rows of a file of a table without lists.
const SCALAR_ROWS_A_FILE: usize = 1 << 20;
/// Blocks that a table is cut into, by estimated work: enough for an even load on 16 workers.
const BLOCKS_A_TABLE: usize = 128;
/// Rows of a block at least, on average: kernels that share passes between rows want some to share.
const ROWS_A_BLOCK: usize = 64;

/// What the run is for.
pub(super) enum Goal {
    /// All rows of all tables, written to staging.
    Publish {
        /// Where they are written.
        staging: Staging,
        /// Value of `created_timestamp`.
        created_us: i64,
        /// Whether finished tables are kept for the next attempt.
        keeps: bool,
    },
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
    /// Tables that an earlier attempt has finished; worker 0's process has what they hold.
    pub kept: BTreeMap<String, Option<KeptTable>>,
    /// Tables whose files are complete; of their files only worker 0's process is told.
    pub finished: Mutex<Vec<Finished>>,
    pub samples: Mutex<Vec<super::report::SampleRow>>,
    pub example: Mutex<Option<String>>,
    phase: Mutex<Option<Arc<Phase>>>,
}

/// One round of one feature, or one table.
pub(super) struct Phase {
    pub number: u64,
    pub stage: String,
    /// How many tasks there are in all processes.
    pub tasks: usize,
    pub work: Work,
    /// The tasks of this process, and how many of them are taken.
    own: Vec<usize>,
    taken: AtomicUsize,
}

/// What the tasks of a phase are.
pub(super) enum Work {
    /// Tasks of a round.
    Round(Arc<dyn Stage>),
    /// Blocks of a table.
    Table(TableWork),
}

/// The blocks of a table.
pub(super) struct TableWork {
    pub source: Arc<dyn RowSource>,
    pub index: usize,
    pub table: Table,
    pub nodes: Arc<Vec<u32>>,
    /// Ranges of `nodes`, none of which crosses a file's end.
    pub blocks: Vec<Range<usize>>,
    /// File of each block.
    pub files: Vec<usize>,
    /// Process of each block: contiguous runs of about equal work.
    processes: Vec<usize>,
}

impl Features {
    pub fn new(
        shared: Arc<Shared>,
        goal: Goal,
        key_files: Vec<Vec<Keys>>,
        kept: BTreeMap<String, Option<KeptTable>>,
    ) -> Features {
        Features {
            shared,
            goal,
            key_files,
            kept,
            finished: Mutex::default(),
            samples: Mutex::default(),
            example: Mutex::default(),
            phase: Mutex::default(),
        }
    }

    /// What is known of the graph from the job alone.
    pub fn schema(&self) -> GraphSchema {
        self.shared.job.schema()
    }

    /// The phase under way, if it is `number`.
    pub fn phase(&self, number: u64) -> Option<Arc<Phase>> {
        lock(&self.phase).clone().filter(|phase| phase.number == number)
    }

    /// Makes `phase` the one under way.
    pub fn set_phase(&self, phase: Option<Arc<Phase>>) {
        *lock(&self.phase) = phase;
    }
}

impl Phase {
    pub fn new(number: u64, stage: String, work: Work, topology: Topology) -> Phase {
        let tasks = work.tasks();
        let own = (0..tasks).filter(|&task| work.process_of(task, topology) == topology.process);
        let own = own.collect();
        Phase { number, stage, tasks, work, own, taken: AtomicUsize::new(0) }
    }

    /// The next task for a worker of this process.
    pub fn take(&self) -> Option<usize> {
        self.own.get(self.taken.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

impl Work {
    fn tasks(&self) -> usize {
        match self {
            Work::Round(stage) => stage.tasks(),
            Work::Table(table) => table.blocks.len(),
        }
    }

    /// The process that does `task`. The tasks of a round are of about equal work within each of its
    /// parts, and the parts stand one after the other, so they are dealt out in turn.
    fn process_of(&self, task: usize, topology: Topology) -> usize {
        match self {
            Work::Round(_) => task % topology.processes,
            Work::Table(table) => table.processes[task],
        }
    }
}

impl TableWork {
    pub fn new(
        source: Arc<dyn RowSource>,
        index: usize,
        table: Table,
        nodes: Arc<Vec<u32>>,
        topology: Topology,
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
        let work = |block: &Range<usize>| -> u64 {
            nodes[block.clone()].iter().map(|&node| source.work(index, node).max(1)).sum()
        };
        let processes = shares(&blocks.iter().map(work).collect::<Vec<_>>(), topology.processes);
        TableWork { source, index, table, nodes, blocks, files, processes }
    }

    pub fn file_count(&self) -> usize {
        self.files.last().map_or(0, |file| file + 1)
    }

    /// The blocks of `file`.
    pub fn blocks_of(&self, file: usize) -> Range<usize> {
        let begin = self.files.partition_point(|&f| f < file);
        begin..self.files.partition_point(|&f| f <= file)
    }

    /// The worker that writes `file`: one of the process that computes most of it.
    pub fn writer(&self, file: usize, topology: Topology) -> usize {
        let blocks = self.blocks_of(file);
        let middle = blocks.start + blocks.len() / 2;
        let process = self.processes.get(middle).copied().unwrap_or(0);
        process * topology.threads + file % topology.threads
    }
}

/// Deals pieces of so much `work` out to `processes`, in contiguous runs: a piece goes where its middle
/// falls.
fn shares(work: &[u64], processes: usize) -> Vec<usize> {
    let total: u128 = work.iter().map(|&work| u128::from(work)).sum();
    let mut before = 0u128;
    let mut share = |&work: &u64| {
        let middle = 2 * before + u128::from(work);
        before += u128::from(work);
        let process = middle * processes as u128 / (2 * total.max(1));
        (process as usize).min(processes - 1)
    };
    work.iter().map(&mut share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_contiguous_and_even() {
        assert_eq!(shares(&[1; 8], 2), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(shares(&[1; 6], 3), [0, 0, 1, 1, 2, 2]);
        assert_eq!(shares(&[100, 1, 1, 1], 2), [0, 1, 1, 1]);
        assert_eq!(shares(&[0, 0], 3), [0, 0]);
        assert_eq!(shares(&[5], 4), [2]);
        for processes in 1..9 {
            let work: Vec<u64> = (0..1000).map(|n| 1 + n % 17).collect();
            let (of, total) = (shares(&work, processes), work.iter().sum::<u64>());
            assert!(of.is_sorted());
            for process in 0..processes {
                let own: u64 =
                    work.iter().zip(&of).filter(|(_, of)| **of == process).map(|(w, _)| w).sum();
                assert!(own.abs_diff(total / processes as u64) <= 17, "{process} of {processes}");
            }
        }
    }
}
