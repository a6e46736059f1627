//! What the workers of a process share: finished structures, claims on work, and failure.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::block::{Block, ForSlot, Load};
use super::observe::{Event, Observer};
use super::report::StageTime;
use super::topology::Topology;
use crate::graph::{Dictionary, Graph, NodeSet, Ranges};
use crate::job::Job;
use crate::kernels::aggregate::EventTotals;
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
    pub fn put(&self, value: Arc<T>) {
        let _ = self.0.set(value);
    }

    /// What is in the slot.
    ///
    /// # Errors
    /// An engine error if it is empty, which means that a stage ran before its turn.
    pub fn get(&self) -> Result<Arc<T>> {
        self.0.get().cloned().ok_or_else(|| Error::engine("a stage ran before what it needs"))
    }
}

/// Hears of the error that ends a run.
pub(super) type HearFailure = Box<dyn Fn(&Error) + Send + Sync>;

/// State of one run, shared by the workers of a process.
pub(super) struct Shared {
    pub job: Job,
    pub plan: ScanPlan,
    pub observer: Arc<dyn Observer>,
    pub topology: Topology,
    /// Splits of this process that its workers have taken.
    splits_taken: AtomicUsize,
    pub scan: Mutex<ScanStats>,
    pub rejects: Mutex<Vec<Reject>>,
    pub provisional: [Slot<Dictionary>; 2],
    pub left_ranges: Slot<Ranges>,
    /// Nodes that keep enough edges, then nodes that have any edge left.
    pub kept: [Slot<(NodeSet, NodeSet)>; 2],
    pub right_ranges: Slot<Ranges>,
    pub dictionaries: [Slot<Dictionary>; 2],
    pub totals: Slot<EventTotals>,
    pub graph: Slot<Graph>,
    pub warnings: Mutex<Vec<String>>,
    stopped: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// Hears of the error that ends the run, if it arose in this process.
    on_failure: OnceLock<HearFailure>,
    times: Mutex<Vec<(StageTime, Instant)>>,
}

/// The lock of `mutex`, also after a panic elsewhere: what it guards is counters and lists that
/// stay meaningful, and the run fails anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        job: Job,
        plan: ScanPlan,
        observer: Arc<dyn Observer>,
        topology: Topology,
    ) -> Shared {
        Shared {
            job,
            plan,
            observer,
            topology,
            splits_taken: AtomicUsize::new(0),
            scan: Mutex::default(),
            rejects: Mutex::default(),
            provisional: Default::default(),
            left_ranges: Slot::default(),
            kept: Default::default(),
            right_ranges: Slot::default(),
            dictionaries: Default::default(),
            totals: Slot::default(),
            graph: Slot::default(),
            warnings: Mutex::default(),
            stopped: AtomicBool::new(false),
            failure: Mutex::default(),
            on_failure: OnceLock::new(),
            times: Mutex::default(),
        }
    }

    /// The worker that finishes the structures of `side`: two sides, two workers where there are.
    pub fn keeper(&self, side: Side) -> usize {
        match side {
            Side::Left => 0,
            Side::Right => 1 % self.topology.workers(),
        }
    }

    /// The next split that a worker of this process is to read. Splits are dealt out to the processes
    /// in turn.
    pub fn next_split(&self) -> Option<usize> {
        let taken = self.splits_taken.fetch_add(1, Ordering::Relaxed);
        let split = taken * self.topology.processes + self.topology.process;
        (split < self.plan.splits.len()).then_some(split)
    }

    /// Puts what `block` has for a slot there; gives the block back if it has nothing.
    pub fn install(&self, block: Block) -> Option<Block> {
        let index = |side: Side| usize::from(side == Side::Right);
        match block.load {
            Load::Shared(ForSlot::Dictionary(side, keys)) => {
                self.provisional[index(side)].put(Arc::new(Dictionary::from_shared(keys)));
            }
            Load::Shared(ForSlot::Ranges(Side::Left, ranges)) => self.left_ranges.put(ranges),
            Load::Shared(ForSlot::Ranges(Side::Right, ranges)) => self.right_ranges.put(ranges),
            Load::Shared(ForSlot::Kept(pass, kept)) => {
                if let Some(slot) = self.kept.get(pass) {
                    slot.put(kept);
                }
            }
            Load::Shared(ForSlot::Totals(totals)) => self.totals.put(totals),
            _ => return Some(block),
        }
        None
    }

    /// What this process has read, and the rows that it rejects; nothing is left of either.
    pub fn take_scan(&self) -> (ScanStats, Vec<Reject>) {
        (std::mem::take(&mut *lock(&self.scan)), std::mem::take(&mut *lock(&self.rejects)))
    }

    /// Whether the run has failed or was asked to stop; operators then do no more work.
    pub fn stopped(&self) -> bool {
        if self.observer.interrupted() && !self.stopped.swap(true, Ordering::Relaxed) {
            self.fail(Error::new(ErrorKind::Interrupted, "the run was interrupted"));
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the run with `error`, in all processes; the first error counts.
    pub fn fail(&self, error: Error) {
        if self.fail_here(error.clone())
            && let Some(hear) = self.on_failure.get()
        {
            hear(&error);
        }
    }

    /// Ends the run with `error` in this process; whether it is the first.
    pub fn fail_here(&self, error: Error) -> bool {
        let mut failure = lock(&self.failure);
        let first = failure.is_none();
        failure.get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
        first
    }

    /// Whether the dataflow is to be given up: with other processes that may be gone it cannot be
    /// relied upon to end by itself.
    pub fn abandoned(&self) -> bool {
        self.topology.processes > 1 && self.stopped()
    }

    /// Who is told of the error that ends the run, once.
    pub fn on_failure(&self, hear: HearFailure) {
        let _ = self.on_failure.set(hear);
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

    /// Runs `work` as a piece of `stage` by `worker` and adds its time. Nothing runs in a stopped
    /// run.
    pub fn timed<T>(
        &self,
        worker: usize,
        stage: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        if self.stopped() {
            return None;
        }
        let (begin, cpu) = (Instant::now(), thread_cpu());
        self.begin(stage, begin, None, "blocks");
        let outcome = work();
        let busy = thread_cpu().saturating_sub(cpu);
        let mut times = lock(&self.times);
        if let Some((time, first)) = times.iter_mut().find(|(time, _)| time.stage == stage) {
            if let Some(sum) = time.busy.get_mut(worker - self.topology.first()) {
                *sum += busy;
            }
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
            busy: vec![Duration::ZERO; self.topology.threads],
            sent_bytes: 0,
        };
        times.push((time, now));
        drop(times);
        self.observer.event(&Event::StageStarted { stage: stage.to_string(), total, unit });
    }

    /// Notes that `bytes` were sent to another process in `stage`.
    pub fn sent(&self, stage: &str, bytes: u64) {
        self.begin(stage, Instant::now(), None, "blocks");
        if let Some((time, _)) = lock(&self.times).iter_mut().find(|(time, _)| time.stage == stage)
        {
            time.sent_bytes += bytes;
        }
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

/// CPU time of the calling thread so far. Unlike the clock it does not grow while the thread waits for a
/// core.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32)
}
