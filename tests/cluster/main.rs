//! The sockets between the processes of a run. All on loopback, on ports that the system gives.
//!
//! | family | what it would catch |
//! |---|---|
//! | `dataflow` | bytes lost, doubled or mixed up on the way of a real dataflow; control messages out of order or lost before, during and after it; a goodbye taken for a loss |
//! | `refusals` | somebody who comes in without the secret, of another job, epoch, version or list; a stranger who keeps the run from starting; a refusal that nobody is told of |
//! | `strangers` | slow, half-open, many and garbage connections that block the right one |
//! | `losses` | a peer that dies, hangs or sends nonsense and is not named within the time-out; a writer that stays blocked; a timely thread that panics; a neighbour named in place of the lost one |
//! | `processes` | the same for real processes that are killed and stopped, and for a network that is cut or changes bytes |
//! | `secrets` | secrets that others can read, or that show in errors and logs |
//! | `members` | wrong or ambiguous hosts and indices that are taken for right ones |
//! | `encrypted` | TLS that is none, or that lets the wrong certificate in (feature `tls`) |
//!
//! `raw` is handshake and frames written anew from their description, for peers that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod dataflow;
#[cfg(feature = "tls")]
mod encrypted;
mod losses;
mod members;
mod processes;
mod raw;
mod refusals;
mod secrets;
mod strangers;
mod support;
