//! What the threads of a mesh share: the peers, the handlers, and who was lost first.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::model::{Error, Result};

use super::link::Link;
use super::peer::Peer;
use super::reader;
use super::wire::{Kind, MESSAGE_MAX, REASON_MAX};
use super::{lock, wait};

/// Takes a line of the log.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
/// Takes a control message and the process that it is from.
pub type ControlHandler = Arc<dyn Fn(usize, Vec<u8>) + Send + Sync>;
/// Takes the first loss.
pub type LostHandler = Arc<dyn Fn(&Lost) + Send + Sync>;

/// Bytes of control messages of one peer that wait for a handler at most.
const KEPT_MAX: usize = 2 * MESSAGE_MAX;

/// A process that the run has lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its index.
    pub process: usize,
    /// Its `host:port`.
    pub host: String,
    /// How that was seen.
    pub reason: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (host {}) was lost: {}", self.process, self.host, self.reason)
    }
}

thread_local! {
    /// Whether this thread reads from a peer: it must not wait for one.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// The shared state of a mesh.
pub(super) struct Hub {
    pub(super) process: usize,
    pub(super) hosts: Vec<String>,
    pub(super) workers: u64,
    pub(super) peer_timeout: Duration,
    pub(super) log: Log,
    peers: Vec<OnceLock<Arc<Peer>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    state: Mutex<State>,
    changed: Condvar,
    control: Mutex<Control>,
}

#[derive(Default)]
struct State {
    lost: Option<Lost>,
    on_lost: Option<LostHandler>,
    /// This process leaves: what happens to the others is not its business any more.
    closing: bool,
}

struct Control {
    handler: Option<ControlHandler>,
    kept: Vec<VecDeque<Vec<u8>>>,
}

impl Hub {
    pub(super) fn new(
        process: usize,
        hosts: Vec<String>,
        workers: u32,
        peer_timeout: Duration,
        log: Log,
    ) -> Hub {
        let count = hosts.len();
        Hub {
            process,
            hosts,
            workers: u64::from(workers),
            peer_timeout,
            log,
            peers: (0..count).map(|_| OnceLock::new()).collect(),
            threads: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            control: Mutex::new(Control { handler: None, kept: vec![VecDeque::new(); count] }),
        }
    }

    /// The peers that have joined so far.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.iter().filter_map(OnceLock::get)
    }

    pub(super) fn peer(&self, process: usize) -> Option<&Arc<Peer>> {
        self.peers.get(process)?.get()
    }

    /// "process 2 (c:7411)"
    pub(super) fn name(&self, process: usize) -> String {
        let host = self.hosts.get(process).map_or("?", String::as_str);
        format!("process {process} ({host})")
    }

    /// Takes in the connection to `process`, proven and agreed, and starts its threads.
    pub(super) fn join(self: &Arc<Hub>, process: usize, link: Link) -> Result<()> {
        let failed = |error| Error::engine(format!("no connection to a peer: {error}"));
        let tick = self.tick();
        Link::set_timeouts(&link.tcp, Some(tick), None).map_err(failed)?;
        let peer = Arc::new(Peer::new(process, link.tcp, link.writer));
        let slot = self.peers.get(process);
        if slot.is_none_or(|slot| slot.set(Arc::clone(&peer)).is_err()) {
            return Err(Error::engine(format!("{} joined twice", self.name(process))));
        }
        let interval = self.peer_timeout / 10;
        let writes = Arc::clone(&peer);
        let writer = thread::Builder::new()
            .name(format!("mesh:post-{process}"))
            .spawn(move || writes.post(interval))
            .map_err(failed)?;
        let (hub, reads) = (Arc::clone(self), Arc::clone(&peer));
        let reader = thread::Builder::new()
            .name(format!("mesh:read-{process}"))
            .spawn(move || {
                READS.set(true);
                reader::run(&hub, &reads, link.reader, tick);
            })
            .map_err(failed)?;
        lock(&self.threads).extend([writer, reader]);
        if let Some(lost) = self.lost() {
            peer.inbox.cut();
            peer.outbox.leaving(leaving_payload(lost.process, &lost.reason));
        }
        Ok(())
    }

    /// How long a read waits before the silence is measured.
    fn tick(&self) -> Duration {
        (self.peer_timeout / 20).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }

    /// Writes data of timely's; after a loss it is forgotten.
    pub(super) fn write_data(&self, peer: &Peer, payload: &[u8]) {
        if peer.has_left() && !peer.inbox.is_over() {
            self.lose(peer.index, "it left before the data was over");
        }
        if !peer.has_left() && self.lost().is_none() {
            peer.write_data(Kind::Data, payload);
        }
    }

    /// Tells a peer that no data follows.
    pub(super) fn end_data(&self, peer: &Peer) {
        if !peer.has_left() && self.lost().is_none() {
            peer.write_data(Kind::EndOfData, &[]);
        }
    }

    /// Sends a control message.
    pub(super) fn send(&self, to: usize, message: Vec<u8>) -> Result<()> {
        if message.len() > MESSAGE_MAX {
            let what =
                format!("a control message of {} bytes; at most {MESSAGE_MAX}", message.len());
            return Err(Error::engine(what));
        }
        let Some(peer) = self.peer(to) else {
            let what = format!("process {} has no connection to process {to}", self.process);
            return Err(Error::engine(what));
        };
        if !peer.has_left() {
            peer.outbox.push(message, !READS.get());
        }
        Ok(())
    }

    /// Hands a control message to the handler, or keeps it until there is one.
    pub(super) fn deliver(&self, from: usize, message: Vec<u8>) -> std::result::Result<(), String> {
        let handler = {
            let mut control = lock(&self.control);
            let Some(handler) = &control.handler else {
                let kept = &mut control.kept[from];
                let bytes: usize = kept.iter().map(Vec::len).sum();
                if bytes + message.len() > KEPT_MAX {
                    return Err("sent more control messages than are kept".to_owned());
                }
                kept.push_back(message);
                return Ok(());
            };
            Arc::clone(handler)
        };
        handler(from, message);
        Ok(())
    }

    /// Sets the handler, after it has got what was kept. Messages that come meanwhile wait, so
    /// that those of one peer keep their order.
    pub(super) fn on_control(&self, handler: ControlHandler) {
        let mut control = lock(&self.control);
        for (from, kept) in control.kept.iter_mut().enumerate() {
            for message in kept.drain(..) {
                handler(from, message);
            }
        }
        control.handler = Some(handler);
    }

    pub(super) fn on_lost(&self, handler: LostHandler) {
        let lost = {
            let mut state = lock(&self.state);
            if state.lost.is_none() {
                state.on_lost = Some(handler);
                return;
            }
            state.lost.clone()
        };
        if let Some(lost) = lost {
            handler(&lost);
        }
    }

    pub(super) fn lost(&self) -> Option<Lost> {
        lock(&self.state).lost.clone()
    }

    /// Notes that `process` is lost. The first loss ends all streams and is told to the others and
    /// to the handler; further ones follow from it.
    pub(super) fn lose(&self, process: usize, reason: &str) {
        let first = {
            let mut state = lock(&self.state);
            if state.lost.is_some() || state.closing {
                None
            } else {
                let host = self.hosts.get(process).cloned().unwrap_or_default();
                let lost = Lost { process, host, reason: reason.to_owned() };
                state.lost = Some(lost.clone());
                Some((lost, state.on_lost.take()))
            }
        };
        if let Some(peer) = self.peer(process) {
            peer.shut();
        }
        let Some((lost, handler)) = first else {
            return;
        };
        for peer in self.peers() {
            peer.inbox.cut();
        }
        (self.log)(&lost.to_string());
        self.tell_leaving(process, reason);
        if let Some(handler) = handler {
            handler(&lost);
        }
    }

    /// Notes the goodbye of a peer.
    pub(super) fn left(&self, peer: &Peer) {
        let counters = &peer.traffic;
        let data = counters.data_sent.load(Ordering::Relaxed)
            + counters.data_received.load(Ordering::Relaxed);
        if data > 0 && !peer.inbox.is_over() {
            self.lose(peer.index, "it left before the data was over");
        }
        peer.leave();
        let _state = lock(&self.state);
        self.changed.notify_all();
    }

    /// Tells all others that this process leaves because of `process`, and waits a moment until
    /// that is written.
    pub(super) fn tell_leaving(&self, process: usize, reason: &str) {
        let payload = leaving_payload(process, reason);
        for peer in self.peers().filter(|peer| peer.index != process) {
            peer.outbox.leaving(payload.clone());
        }
        let moment = (self.peer_timeout / 20).min(Duration::from_millis(300));
        let until = Instant::now() + moment;
        for peer in self.peers().filter(|peer| peer.index != process) {
            peer.outbox.wait_for_leaving(until);
        }
    }

    /// Shuts all connections down.
    pub(super) fn abandon(&self) {
        let until = Instant::now() + Duration::from_millis(100);
        lock(&self.state).closing = true;
        for peer in self.peers() {
            peer.outbox.wait_for_leaving(until);
            peer.shut();
        }
    }

    /// Says goodbye to all, waits for theirs (not for ever), and ends all threads.
    pub(super) fn close(&self) {
        lock(&self.state).closing = true;
        for peer in self.peers() {
            peer.outbox.goodbye();
        }
        for peer in self.peers() {
            peer.outbox.wait_for_goodbye(self.peer_timeout);
        }
        let until = Instant::now() + self.peer_timeout;
        let mut state = lock(&self.state);
        while self.peers().any(|peer| !peer.has_left() && !peer.is_closed()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = wait(&self.changed, state, Some(left));
        }
        drop(state);
        for peer in self.peers() {
            peer.shut();
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // From a handler, this thread would wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
        // Handlers may hold what holds this mesh.
        lock(&self.control).handler = None;
        lock(&self.state).on_lost = None;
    }

    /// A reader has ended.
    pub(super) fn reader_ended(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

/// The payload of [`Kind::Leaving`].
fn leaving_payload(process: usize, reason: &str) -> Vec<u8> {
    let mut payload = (process as u32).to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.len().min(REASON_MAX)]);
    payload
}
