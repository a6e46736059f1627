//! The sockets between the processes of one run.
//!
//! [`connect`] makes them, one for each pair of processes: it accepts nobody who does not prove the
//! run's [`Secret`], and goes on waiting for the right process when it has refused another.
//! The [`Mesh`] then carries three things on each: the data of timely ([`Mesh::streams`]), control
//! messages ([`Mesh::send`]) and signs of life. It notices within the peer time-out that a process
//! has died, hangs or is cut off, and then everybody names that process ([`Mesh::on_lost`]).
//!
//! | file | what it holds |
//! |---|---|
//! | `membership` | who takes part: hosts and the own index |
//! | `secret` | the shared secret |
//! | `join`, `watch` | [`connect`]: binds, dials, accepts, refuses; its state |
//! | `handshake` | the proof and the agreement, and why they hold |
//! | `link`, `tls` | a connection as two halves |
//! | `wire` | frames, and the messages of timely in them |
//! | `hub` | what the threads share: handlers, the first loss |
//! | `peer`, `reader`, `stream` | one peer: writing, reading, and timely's view |
//! | `mesh` | the outside of it all |

mod handshake;
mod hub;
mod join;
mod link;
mod membership;
mod mesh;
mod peer;
mod reader;
mod secret;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod watch;
mod wire;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use hub::{ControlHandler, Log, Lost, LostHandler};
pub use join::connect;
pub use membership::{
    HOSTS_MAX, HOSTS_VARIABLE, Membership, PORT_DEFAULT, PROCESS_VARIABLE, membership,
};
pub use mesh::{Agreement, Mesh, MeshOptions, Traffic};
pub use secret::{SECRET_MAX, SECRET_MIN, SECRET_VARIABLE, Secret};
pub use stream::PeerStream;
#[cfg(feature = "tls")]
pub use tls::TlsFiles;
pub use wire::MESSAGE_MAX;

/// Locks. A thread that panicked while it held the lock left plain values, all of them valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a change, for `at_most`.
fn wait<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    at_most: Option<Duration>,
) -> MutexGuard<'a, T> {
    match at_most {
        None => changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(time) => changed.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// `text` of another process as one line of a log.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
