//! What the workers of a process share: finished structures, claims on work, and failure.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::observe::{Event, Observer};
use super::report::StageTime;
use crate::graph::{Dictionary, Graph, NodeSet, Ranges};
use crate::job::Job;
use crate::model::{Error, ErrorKind, Reject, Result, ScanStats, Side};
use crate::source::ScanPlan;

/// A structure that one worker finishes and all read.
pub(super) struct Slot<T>(OnceLock<Arc<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot(OnceLock::new())
    }
}

impl<T> Slot<T> {
    /// Fills the slot; only the first value counts.
    pub fn put(&self, value: T) {
        let _ = self.0.set(Arc::new(value));
    }

    /// What is in the slot.
    ///
    /// # Errors
    /// An engine error if it is empty, which means that a stage ran before its turn.
    pub fn get(&self) -> Result<Arc<T>> {
        self.0.get().cloned().ok_or_else(|| Error::engine("a stage ran before what it needs"))
    }
}

/// State of one run, shared by the workers of a process.
pub(super) struct Shared {
    pub job: Job,
    pub plan: ScanPlan,
    pub observer: Arc<dyn Observer>,
    pub workers: usize,
    pub next_split: AtomicUsize,
    pub scan: Mutex<ScanStats>,
    pub rejects: Mutex<Vec<Reject>>,
    pub provisional: [Slot<Dictionary>; 2],
    pub left_ranges: Slot<Ranges>,
    /// Nodes that keep enough edges, then nodes that have any edge left.
    pub kept: [Slot<(NodeSet, NodeSet)>; 2],
    pub right_ranges: Slot<Ranges>,
    pub dictionaries: [Slot<Dictionary>; 2],
    pub graph: Slot<Graph>,
    pub warnings: Mutex<Vec<String>>,
    stopped: AtomicBool,
    failure: Mutex<Option<Error>>,
    times: Mutex<Vec<(StageTime, Instant)>>,
}

/// The lock of `mutex`, also after a panic elsewhere: what it guards is counters and lists that
/// stay meaningful, and the run fails anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(job: Job, plan: ScanPlan, observer: Arc<dyn Observer>, workers: usize) -> Shared {
        Shared {
            job,
            plan,
            observer,
            workers,
            next_split: AtomicUsize::new(0),
            scan: Mutex::default(),
            rejects: Mutex::default(),
            provisional: Default::default(),
            left_ranges: Slot::default(),
            kept: Default::default(),
            right_ranges: Slot::default(),
            dictionaries: Default::default(),
            graph: Slot::default(),
            warnings: Mutex::default(),
            stopped: AtomicBool::new(false),
            failure: Mutex::default(),
            times: Mutex::default(),
        }
    }

    /// The worker that finishes the structures of `side`: two sides, two workers where there are.
    pub fn keeper(&self, side: Side) -> usize {
        match side {
            Side::Left => 0,
            Side::Right => 1 % self.workers,
        }
    }

    /// Whether the run has failed or was asked to stop; operators then do no more work.
    pub fn stopped(&self) -> bool {
        if self.observer.interrupted() && !self.stopped.swap(true, Ordering::Relaxed) {
            self.fail(Error::new(ErrorKind::Interrupted, "the run was interrupted"));
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the run with `error`; the first error counts.
    pub fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The error that ended the run.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).clone()
    }

    /// Tells the observer and the report.
    pub fn warn(&self, warning: String) {
        self.observer.event(&Event::Warning(warning.clone()));
        lock(&self.warnings).push(warning);
    }

    /// Runs `work` as a piece of `stage` and adds its time. Nothing runs in a stopped run.
    pub fn timed<T>(&self, stage: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.stopped() {
            return None;
        }
        let begin = Instant::now();
        self.begin(stage, begin, None, "blocks");
        let outcome = work();
        let mut times = lock(&self.times);
        if let Some((time, first)) = times.iter_mut().find(|(time, _)| time.stage == stage) {
            time.busy += begin.elapsed();
            time.wall = first.elapsed();
        }
        drop(times);
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Notes that `stage` has begun, once.
    pub fn begin(&self, stage: &str, now: Instant, total: Option<u64>, unit: &'static str) {
        let mut times = lock(&self.times);
        if times.iter().any(|(time, _)| time.stage == stage) {
            return;
        }
        let time = StageTime {
            stage: stage.to_string(),
            wall: Default::default(),
            busy: Default::default(),
        };
        times.push((time, now));
        drop(times);
        self.observer.event(&Event::StageStarted { stage: stage.to_string(), total, unit });
    }

    /// Notes that `stage` has ended.
    pub fn finish(&self, stage: &str) {
        let wall = self.stage_times().into_iter().find(|time| time.stage == stage);
        if let Some(StageTime { stage, wall, .. }) = wall {
            self.observer.event(&Event::StageFinished { stage, wall });
        }
    }

    /// Tells the observer that `stage` has done `items` more.
    pub fn advance(&self, stage: &str, items: u64) {
        let event = Event::StageAdvanced { stage: stage.to_string(), items };
        self.observer.event(&event);
    }

    /// Times of the stages so far, in the order in which they began.
    pub fn stage_times(&self) -> Vec<StageTime> {
        lock(&self.times).iter().map(|(time, _)| time.clone()).collect()
    }
}
