//! One peer: what is written to it, and the thread that writes.
//!
//! timely's thread writes data frames itself. Everything else goes through the [`Outbox`] to a
//! thread of the peer's own, which also gives the signs of life. So whoever sends a control message
//! is not blocked by a peer that has stopped, and one such peer does not silence us to the others.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::stream::Inbox;
use super::wire::{FRAME_MAX, Kind, write_frame};
use super::{lock, wait};

/// Bytes of control messages that wait for one peer before their sender has to.
const OUTBOX_MAX: usize = 64 << 20;

/// One peer.
pub(super) struct Peer {
    pub(super) index: usize,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) traffic: Counters,
    tcp: TcpStream,
    writer: Mutex<Box<dyn Write + Send + Sync>>,
    /// Held while waiting for `writer`, so that data cannot overtake what waits there already.
    turn: Mutex<()>,
    /// Nothing is written any more.
    closed: AtomicBool,
    /// Its goodbye has come.
    left: AtomicBool,
}

/// Bytes by direction.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) data_sent: AtomicU64,
    pub(super) data_received: AtomicU64,
    pub(super) control_sent: AtomicU64,
    pub(super) control_received: AtomicU64,
}

impl Peer {
    pub(super) fn new(index: usize, tcp: TcpStream, writer: Box<dyn Write + Send + Sync>) -> Peer {
        Peer {
            index,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            traffic: Counters::default(),
            tcp,
            writer: Mutex::new(writer),
            turn: Mutex::new(()),
            closed: AtomicBool::new(false),
            left: AtomicBool::new(false),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// Notes its goodbye.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.outbox.forget();
    }

    /// Shuts the connection down, which also unblocks whoever reads or writes.
    pub(super) fn shut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // An error says that there is no connection any more.
        let _ = self.tcp.shutdown(Shutdown::Both);
        self.outbox.close();
        self.inbox.cut();
    }

    /// Writes a frame of data. Errors close the connection, and the reader tells what that means.
    pub(super) fn write_data(&self, kind: Kind, payload: &[u8]) {
        drop(lock(&self.turn));
        let writer = lock(&self.writer);
        if self.write(writer, kind, payload) {
            self.traffic.data_sent.fetch_add(payload.len() as u64, Ordering::Relaxed);
        }
    }

    /// Writes a frame of another kind, before any further frame of data.
    fn write_other(&self, kind: Kind, payload: &[u8]) {
        let turn = lock(&self.turn);
        let writer = lock(&self.writer);
        drop(turn);
        self.write(writer, kind, payload);
    }

    fn write(
        &self,
        mut writer: std::sync::MutexGuard<'_, Box<dyn Write + Send + Sync>>,
        kind: Kind,
        payload: &[u8],
    ) -> bool {
        if self.is_closed() {
            return false;
        }
        let result = write_frame(&mut **writer, kind, payload);
        if result.is_err() {
            self.closed.store(true, Ordering::SeqCst);
            // The reader still gets what has arrived, perhaps a goodbye, and then the end.
            let _ = self.tcp.shutdown(Shutdown::Both);
        }
        result.is_ok()
    }

    /// Writes what comes into the outbox, and a sign of life every `interval`, until goodbye is
    /// said or the connection closed.
    pub(super) fn post(&self, interval: Duration) {
        loop {
            match self.outbox.next(interval) {
                Next::Control(message) => {
                    let length = message.len() as u64;
                    self.traffic.control_sent.fetch_add(length, Ordering::Relaxed);
                    let mut pieces = message.chunks(FRAME_MAX).peekable();
                    if pieces.peek().is_none() {
                        self.write_other(Kind::Control, &[]);
                    }
                    while let Some(piece) = pieces.next() {
                        let last = pieces.peek().is_none();
                        let kind = if last { Kind::Control } else { Kind::ControlPart };
                        self.write_other(kind, piece);
                        self.outbox.written.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Next::Leaving(payload) => self.write_other(Kind::Leaving, &payload),
                Next::Goodbye => {
                    self.write_other(Kind::Goodbye, &[]);
                    self.outbox.close();
                    return;
                }
                Next::Nothing if self.has_left() => {}
                Next::Nothing => self.write_other(Kind::Heartbeat, &[]),
                Next::Closed => return,
            }
            self.outbox.done();
        }
    }
}

/// What waits to be written to one peer besides data.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    changed: Condvar,
    /// Pieces written: tells a slow peer from one that takes nothing.
    written: AtomicU64,
}

#[derive(Default)]
struct OutboxState {
    control: VecDeque<Vec<u8>>,
    bytes: usize,
    leaving: Option<Vec<u8>>,
    goodbye: bool,
    /// Something is being written just now.
    busy: bool,
    closed: bool,
}

enum Next {
    Control(Vec<u8>),
    Leaving(Vec<u8>),
    Goodbye,
    Nothing,
    Closed,
}

impl Outbox {
    /// Adds a control message. If too many wait and `may_wait`, it waits for room.
    pub(super) fn push(&self, message: Vec<u8>, may_wait: bool) {
        let mut state = lock(&self.state);
        while may_wait && state.bytes >= OUTBOX_MAX && !state.closed {
            state = wait(&self.changed, state, None);
        }
        if !state.closed && !state.goodbye {
            state.bytes += message.len();
            state.control.push_back(message);
            self.changed.notify_all();
        }
    }

    /// Tells that this process leaves, before all that waits.
    pub(super) fn leaving(&self, payload: Vec<u8>) {
        let mut state = lock(&self.state);
        if !state.closed && !state.goodbye {
            state.leaving = Some(payload);
            self.changed.notify_all();
        }
    }

    /// Says goodbye after all that waits.
    pub(super) fn goodbye(&self) {
        lock(&self.state).goodbye = true;
        self.changed.notify_all();
    }

    /// Takes no more and gives no more.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        *state = OutboxState { closed: true, ..OutboxState::default() };
        self.changed.notify_all();
    }

    /// Drops the control messages, for the peer has said goodbye.
    fn forget(&self) {
        let mut state = lock(&self.state);
        state.control.clear();
        state.bytes = 0;
        self.changed.notify_all();
    }

    /// Waits until that this process leaves is written, until `until` at most.
    pub(super) fn wait_for_leaving(&self, until: Instant) {
        let mut state = lock(&self.state);
        while !state.closed && (state.busy || state.leaving.is_some()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = wait(&self.changed, state, Some(left));
        }
    }

    /// Waits until all is written and goodbye said, as long as something is written within each
    /// `patience`.
    pub(super) fn wait_for_goodbye(&self, patience: Duration) {
        let mut state = lock(&self.state);
        let mut written = self.written.load(Ordering::Relaxed);
        let mut until = Instant::now() + patience;
        while !state.closed {
            let now = self.written.load(Ordering::Relaxed);
            if now != written {
                written = now;
                until = Instant::now() + patience;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = wait(&self.changed, state, Some(left));
        }
    }

    fn next(&self, interval: Duration) -> Next {
        let until = Instant::now() + interval;
        let mut state = lock(&self.state);
        loop {
            let next = if state.closed {
                Next::Closed
            } else if let Some(payload) = state.leaving.take() {
                Next::Leaving(payload)
            } else if let Some(message) = state.control.pop_front() {
                state.bytes -= message.len();
                Next::Control(message)
            } else if state.goodbye {
                Next::Goodbye
            } else {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    state = wait(&self.changed, state, Some(left));
                    continue;
                }
                Next::Nothing
            };
            state.busy = !matches!(next, Next::Closed);
            self.changed.notify_all();
            return next;
        }
    }

    /// What [`Outbox::next`] gave is written.
    fn done(&self) {
        lock(&self.state).busy = false;
        self.changed.notify_all();
    }
}
