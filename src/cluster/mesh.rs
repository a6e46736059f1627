//! The connections to all other processes, from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::Result;

use super::hub::{ControlHandler, Hub, Log, Lost, LostHandler};
use super::membership::Membership;
use super::secret::Secret;
use super::stream::PeerStream;

/// How to make a mesh.
#[derive(Clone)]
pub struct MeshOptions {
    /// The processes, and which of them this is.
    pub membership: Membership,
    /// What every process proves to know. Without it only loopback is accepted.
    pub secret: Option<Secret>,
    /// The attempt at the run; a process of an earlier one is refused.
    pub epoch: u64,
    /// How long to wait for all processes.
    pub connect_timeout: Duration,
    /// Within what time the loss of a process is told; the same on all of them.
    pub peer_timeout: Duration,
    /// Takes what happens on the way, a line each.
    pub log: Log,
    /// Asked now and then while it waits for others; `true` gives up.
    pub interrupted: Arc<dyn Fn() -> bool + Send + Sync>,
    /// TLS on all connections.
    #[cfg(feature = "tls")]
    pub tls: Option<super::TlsFiles>,
}

/// What all processes must have in common, besides the hosts and the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Version of the engine.
    pub engine: String,
    /// Hash of the job.
    pub job: String,
    /// Workers of each process.
    pub workers: u32,
}

/// Bytes that went to and came from one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The peer.
    pub process: usize,
    /// Bytes of data sent.
    pub data_sent: u64,
    /// Bytes of data received.
    pub data_received: u64,
    /// Bytes of control messages sent.
    pub control_sent: u64,
    /// Bytes of control messages received.
    pub control_received: u64,
}

/// The connections to all other processes of a run. See the [module](super).
///
/// Dropping it shuts the connections down, which is a loss to the others: [`Mesh::close`] is the
/// way to leave in peace.
pub struct Mesh {
    hub: Arc<Hub>,
}

impl Mesh {
    pub(super) fn new(hub: Arc<Hub>) -> Mesh {
        Mesh { hub }
    }

    /// The index of this process.
    pub fn process(&self) -> usize {
        self.hub.process
    }

    /// How many processes take part, this one included.
    pub fn processes(&self) -> usize {
        self.hub.hosts.len()
    }

    /// The `host:port` of a process; empty if there is none of that index.
    pub fn host(&self, process: usize) -> &str {
        self.hub.hosts.get(process).map_or("", String::as_str)
    }

    /// What timely needs, in order of process, `None` for this one: for
    /// `initialize_networking_from_sockets`, with as many workers as agreed.
    pub fn streams(&self) -> Vec<Option<PeerStream>> {
        let stream = |process| {
            let peer = self.hub.peer(process)?;
            Some(PeerStream::new(Arc::clone(&self.hub), Arc::clone(peer)))
        };
        (0..self.processes()).map(stream).collect()
    }

    /// Sends a control message of at most [`super::MESSAGE_MAX`] bytes, at any time. It waits only
    /// if much is on its way already, and never in a handler. That it does not arrive shows as a
    /// lost peer; a peer that has said goodbye gets nothing more.
    ///
    /// # Errors
    ///
    /// It is too long, or `to` is this process or none.
    pub fn send(&self, to: usize, message: Vec<u8>) -> Result<()> {
        self.hub.send(to, message)
    }

    /// Sets who takes control messages, in place of whoever did. Those that came before are handed
    /// over at once, the others as they come, on the thread that reads from the peer: as long as
    /// the handler runs, nothing else is heard from it.
    pub fn on_control(&self, handler: ControlHandler) {
        self.hub.on_control(handler);
    }

    /// Sets who is told of the first loss; at once, if there was one.
    pub fn on_lost(&self, handler: LostHandler) {
        self.hub.on_lost(handler);
    }

    /// The process that was lost first.
    pub fn lost(&self) -> Option<Lost> {
        self.hub.lost()
    }

    /// The bytes to and from each peer so far.
    pub fn traffic(&self) -> Vec<Traffic> {
        let traffic = |peer: &Arc<super::peer::Peer>| Traffic {
            process: peer.index,
            data_sent: peer.traffic.data_sent.load(Ordering::Relaxed),
            data_received: peer.traffic.data_received.load(Ordering::Relaxed),
            control_sent: peer.traffic.control_sent.load(Ordering::Relaxed),
            control_received: peer.traffic.control_received.load(Ordering::Relaxed),
        };
        self.hub.peers().map(traffic).collect()
    }

    /// Says goodbye to all, waits for theirs for at most the peer time-out, and ends threads and
    /// connections. From here on a process that goes is no loss.
    pub fn close(&self) {
        self.hub.close();
    }

    /// Tells the others that this process gives up and why, so that they name the reason.
    pub fn leave(&self, reason: &str) {
        self.hub.tell_leaving(self.hub.process, reason);
    }

    /// Shuts all connections down, so that nothing blocks: after a failure.
    pub fn abandon(&self) {
        self.hub.abandon();
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.hub.abandon();
    }
}
