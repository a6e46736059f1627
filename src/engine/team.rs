//! What the processes of a run say to one another beside the dataflow.
//!
//! 1. Process 0 claims the output and says [`Control::Begin`]; the others check that they see the
//!    same input and the same staging.
//! 2. While the dataflow runs, a process that fails says [`Control::Failed`], so that all end with its
//!    error, and each tells process 0 how far it is ([`Control::Progress`]).
//! 3. When the dataflow has ended, each tells process 0 what it did ([`Control::Done`]). Process 0 then
//!    publishes and says [`Control::Published`].
//!
//! A process that is lost ends the run for all others: nothing is published after it.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::observe::Event;
use super::report::ProcessReport;
use super::shared::{Shared, lock};
use super::topology::Topology;
use crate::cluster::{self, Agreement, Lost, Mesh, MeshOptions};
use crate::job::Job;
use crate::model::{Error, Result};
use crate::sink::{ENGINE_VERSION, hash_of};

/// The other processes of a run, and how to reach them.
#[derive(Clone)]
pub struct Cluster {
    /// Who takes part, and how they prove it.
    pub mesh: MeshOptions,
    /// A socket that listens on this process's own address already; bound anew if empty.
    pub listener: Option<Arc<TcpListener>>,
}

/// A control message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Control {
    /// The output is claimed for this run.
    Begin {
        /// It tells job, inputs and `as_of` apart.
        run_id: String,
        /// Value of `created_timestamp`.
        created_us: i64,
        /// Tables that an earlier attempt has finished.
        kept: Vec<String>,
    },
    /// The run has failed.
    Failed(Error),
    /// Stages and how many items of each were done since the last such message.
    Progress(Vec<(String, u64)>),
    /// The dataflow has ended in this process.
    Done(Box<ProcessReport>),
    /// All is published.
    Published,
}

/// This process's place among those of a run.
pub(super) struct Team {
    pub topology: Topology,
    post: Post,
    desk: Arc<Desk>,
}

/// The way to the other processes; nowhere if there are none.
#[derive(Clone)]
pub(super) struct Post(Option<Arc<Mesh>>);

impl Post {
    /// Says `message` to process `to`, or to all others.
    pub fn say(&self, to: Option<usize>, message: &Control) {
        let Some(mesh) = &self.0 else { return };
        let Ok(bytes) = postcard::to_stdvec(message) else { return };
        for process in 0..mesh.processes() {
            if process != mesh.process() && to.is_none_or(|to| to == process) {
                // Who cannot be reached is lost, and that shows by itself.
                let _ = mesh.send(process, bytes.clone());
            }
        }
    }
}

/// Where control messages arrive.
#[derive(Default)]
struct Desk {
    state: Mutex<Inbox>,
    changed: Condvar,
    /// The run, once it has begun.
    shared: OnceLock<Arc<Shared>>,
}

#[derive(Default)]
struct Inbox {
    messages: VecDeque<(usize, Control)>,
    /// Why the run ends: the error of another process, or a loss.
    failure: Option<Error>,
    lost: Option<Lost>,
}

impl Team {
    /// Meets the other processes of `cluster`, if there is one.
    ///
    /// # Errors
    /// When they do not come, or do not fit.
    pub fn meet(job: &Job, threads: usize, cluster: Option<&Cluster>) -> Result<Team> {
        let desk = Arc::new(Desk::default());
        let Some(Cluster { mesh, listener }) = cluster else {
            let topology = Topology { processes: 1, process: 0, threads };
            return Ok(Team { topology, post: Post(None), desk });
        };
        let agreement = Agreement {
            engine: format!("{ENGINE_VERSION}, build {}", build()),
            job: format!("{:032x}", xxh3_128(job.canonical.as_bytes())),
            workers: threads as u32,
        };
        let listener = listener.as_ref().map(|listener| listener.try_clone());
        let listener = listener.transpose().map_err(|error| {
            Error::engine(format!("the listening socket cannot be used: {error}"))
        })?;
        let mesh = cluster::connect(mesh.clone(), &agreement, listener)?;
        let topology = Topology { processes: mesh.processes(), process: mesh.process(), threads };
        let (messages, losses) = (desk.clone(), desk.clone());
        mesh.on_control(Arc::new(move |from, bytes| messages.receive(from, &bytes)));
        mesh.on_lost(Arc::new(move |lost| losses.lose(lost)));
        Ok(Team { topology, post: Post(Some(Arc::new(mesh))), desk })
    }

    /// The connections, if there are other processes.
    pub fn mesh(&self) -> Option<&Mesh> {
        self.post.0.as_deref()
    }

    /// The way to the other processes.
    pub fn post(&self) -> Post {
        self.post.clone()
    }

    /// Whether this is the process that claims the output and publishes.
    pub fn leads(&self) -> bool {
        self.topology.process == 0
    }

    /// From here on what other processes say of failure ends the run of `shared`.
    pub fn attach(&self, shared: &Arc<Shared>) {
        let _ = self.desk.shared.set(shared.clone());
        let failure = self.desk.lock().failure.clone();
        if let Some(error) = failure {
            shared.fail_here(error);
        }
        let post = self.post.clone();
        shared.on_failure(Box::new(move |error| post.say(None, &Control::Failed(error.clone()))));
    }

    /// Says `message` to process `to`, or to all others.
    pub fn say(&self, to: Option<usize>, message: &Control) {
        self.post.say(to, message);
    }

    /// Waits for the next message that `pick` takes.
    ///
    /// # Errors
    /// The error of another process, or the loss of one.
    pub fn await_message<T>(&self, mut pick: impl FnMut(usize, Control) -> Option<T>) -> Result<T> {
        let mut inbox = self.desk.lock();
        loop {
            while let Some((from, message)) = inbox.messages.pop_front() {
                if let Some(picked) = pick(from, message) {
                    return Ok(picked);
                }
            }
            if let Some(error) = &inbox.failure {
                return Err(error.clone());
            }
            inbox = self.desk.changed.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The process that was lost, if the run ends for that reason.
    pub fn lost(&self) -> Option<Lost> {
        self.desk.lock().lost.clone()
    }

    /// The error of another process, or the loss of one, if the run ends for that reason.
    pub fn failure(&self) -> Option<Error> {
        self.desk.lock().failure.clone()
    }

    /// Parts with the others. After a failure of this process alone they must hear of it first.
    pub fn leave(&self, failure: Option<&Error>) {
        let Some(mesh) = self.mesh() else { return };
        let lost = self.desk.lock().lost.is_some();
        if let Some(error) = failure
            && self.desk.lock().failure.is_none()
        {
            self.say(None, &Control::Failed(error.clone()));
        }
        match lost {
            true => mesh.abandon(),
            false => mesh.close(),
        }
    }
}

/// XXH3 of the running program, so that two builds of one version are told apart: what they send to one
/// another need not be the same.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let hash = std::env::current_exe().and_then(|program| hash_of(&program));
        hash.map_or_else(|_| "unknown".to_string(), |hash| format!("{hash:016x}"))
    })
}

impl Desk {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        lock(&self.state)
    }

    fn receive(&self, from: usize, bytes: &[u8]) {
        match postcard::from_bytes(bytes) {
            Ok(Control::Failed(error)) => self.fail(error),
            Ok(Control::Progress(stages)) => {
                let Some(shared) = self.shared.get() else { return };
                for (stage, items) in stages {
                    shared.observer.event(&Event::StageAdvanced { stage, items });
                }
            }
            Ok(message) => {
                self.lock().messages.push_back((from, message));
                self.changed.notify_all();
            }
            Err(_) => self.fail(
                Error::engine(format!("a message of process {from} cannot be read"))
                    .remedy("check that all processes are of one build, then run again"),
            ),
        }
    }

    fn lose(&self, lost: &Lost) {
        self.lock().lost = Some(lost.clone());
        let error = Error::engine(lost.to_string());
        self.fail(error.remedy("run again; tables are all of this run or all as before"));
    }

    fn fail(&self, error: Error) {
        if let Some(shared) = self.shared.get() {
            shared.fail_here(error.clone());
        }
        self.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }
}
