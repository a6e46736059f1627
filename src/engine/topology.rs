//! Who takes part in a run: processes, and workers of each.
//!
//! Workers are numbered through: those of process `p` are `p * threads .. (p + 1) * threads`. The
//! first worker of a process keeps what the process has once. One process is a cluster of one, and
//! nothing asks how many there are: work is dealt out by these rules, whatever the numbers.

use std::ops::Range;

/// The processes of a run, and this one's place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// How many processes there are.
    pub processes: usize,
    /// Which of them this is.
    pub process: usize,
    /// Workers of each process.
    pub threads: usize,
}

impl Topology {
    /// All workers.
    pub fn workers(self) -> usize {
        self.processes * self.threads
    }

    /// The workers of this process.
    pub fn local(self) -> Range<usize> {
        let first = self.process * self.threads;
        first..first + self.threads
    }

    /// The process of `worker`.
    pub fn process_of(self, worker: usize) -> usize {
        worker / self.threads
    }

    /// The first worker of each process.
    pub fn firsts(self) -> impl Iterator<Item = usize> {
        (0..self.processes).map(move |process| process * self.threads)
    }

    /// The first worker of this process.
    pub fn first(self) -> usize {
        self.process * self.threads
    }

    /// In each process, the worker that keeps piece `index` of what the process has once.
    pub fn keepers(self, index: usize) -> impl Iterator<Item = usize> {
        self.firsts().map(move |first| first + index % self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_numbered_through() {
        let topology = Topology { processes: 3, process: 1, threads: 2 };
        assert_eq!((topology.workers(), topology.local(), topology.first()), (6, 2..4, 2));
        assert_eq!(topology.firsts().collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(topology.keepers(1).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(topology.keepers(2).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!((0..6).map(|w| topology.process_of(w)).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }
}
