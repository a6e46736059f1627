//! The streams that timely reads and writes.
//!
//! timely panics if a stream fails or ends without its last header. So a [`PeerStream`] never
//! fails: after a loss it ends as a finished peer's does, and takes and forgets what is written.
//! Whoever runs the dataflow learns of the loss from [`super::Mesh::on_lost`].

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use timely::communication::allocator::zero_copy::stream::Stream;

use super::hub::Hub;
use super::peer::Peer;
use super::wire::{FRAME_MAX, TIMELY_HEADER_LEN};
use super::{lock, wait};

/// Bytes that wait in an inbox before its peer is slowed down.
const INBOX_MAX: usize = 8 << 20;

/// The messages of one peer that timely has not read yet.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Each holds whole messages.
    chunks: VecDeque<Vec<u8>>,
    /// What is read of the first chunk.
    offset: usize,
    bytes: usize,
    over: bool,
    /// What is read of the last header.
    header_read: usize,
}

impl Inbox {
    /// Adds whole messages. If too many wait, it gives the reader some time, but not for ever:
    /// whoever waits here does not hear whether the peer is alive. `patience` is for a frame of
    /// the greatest length.
    pub(super) fn push(&self, chunk: Vec<u8>, patience: Duration) {
        let mut state = lock(&self.state);
        if state.bytes >= INBOX_MAX {
            let share = chunk.len() as f64 / FRAME_MAX as f64;
            let until = Instant::now() + patience.mul_f64(share.min(1.0));
            while state.bytes >= INBOX_MAX && !state.over {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = wait(&self.changed, state, Some(left));
            }
        }
        if !state.over && !chunk.is_empty() {
            state.bytes += chunk.len();
            state.chunks.push_back(chunk);
            self.changed.notify_all();
        }
    }

    /// No messages will follow those that are here.
    pub(super) fn finish(&self) {
        lock(&self.state).over = true;
        self.changed.notify_all();
    }

    /// Ends at once: of what waits only the chunk is kept of which a part is read already.
    pub(super) fn cut(&self) {
        let mut state = lock(&self.state);
        state.over = true;
        let keep = usize::from(state.offset > 0);
        state.chunks.truncate(keep);
        self.changed.notify_all();
    }

    /// Whether nothing will be added.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.state).over
    }

    /// Waits for bytes; zero once the last header is read.
    fn read(&self, buffer: &mut [u8]) -> usize {
        if buffer.is_empty() {
            return 0;
        }
        let mut guard = lock(&self.state);
        loop {
            let state = &mut *guard;
            if let Some(chunk) = state.chunks.front() {
                let count = buffer.len().min(chunk.len() - state.offset);
                buffer[..count].copy_from_slice(&chunk[state.offset..state.offset + count]);
                state.offset += count;
                state.bytes = state.bytes.saturating_sub(count);
                if state.offset == chunk.len() {
                    state.chunks.pop_front();
                    state.offset = 0;
                    self.changed.notify_all();
                }
                return count;
            }
            if state.over {
                let count = buffer.len().min(TIMELY_HEADER_LEN - state.header_read);
                buffer[..count].fill(0);
                state.header_read += count;
                return count;
            }
            guard = wait(&self.changed, guard, None);
        }
    }
}

/// The connection to one peer as timely sees it.
#[derive(Clone)]
pub struct PeerStream {
    hub: Arc<Hub>,
    peer: Arc<Peer>,
}

impl PeerStream {
    pub(super) fn new(hub: Arc<Hub>, peer: Arc<Peer>) -> PeerStream {
        PeerStream { hub, peer }
    }
}

impl Read for PeerStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.peer.inbox.read(buffer))
    }
}

impl Write for PeerStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        for piece in buffer.chunks(FRAME_MAX) {
            self.hub.write_data(&self.peer, piece);
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for PeerStream {
    fn try_clone(&self) -> io::Result<PeerStream> {
        Ok(self.clone())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        if nonblocking { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }

    /// The end of writing is the end of the data: the connection stays, for control messages.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.hub.end_data(&self.peer);
        }
        Ok(())
    }
}
