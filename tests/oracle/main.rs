//! Every kernel and signal against a twin that was written independently of it.
//!
//! | family | what it would catch |
//! |---|---|
//! | random graphs (proptest) | a wrong count, a lost tie, an edge case of empty and full rows |
//! | closed forms | a formula that is wrong in both the kernel and its twin |
//! | gowalla, where present | what only real degree shapes bring out |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod aggregate;
mod degree;
mod event_logs;
mod graphs;
mod ingest;
mod pagerank;
mod popularity;
mod seeded;
mod two_hop;
