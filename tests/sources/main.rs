//! Tests of the file sources, through their public interface.
//!
//! * `formats`: would catch a value that a format or a type reads as another one.
//! * `outcomes`: would catch a row that is lost, counted twice or judged in the wrong order, against
//!   an independently written judge, in every format and however the rows are cut into files.
//! * `pruning`: would catch a file or row group that is read in vain, or left out wrongly.
//! * `errors`: would catch an input error without its place or remedy, word by word.
//! * `damage`: would catch a panic, or a loss without error, on damaged files.

// The lint's exception for tests does not reach their helper functions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod damage;
mod errors;
mod formats;
mod harness;
mod outcomes;
mod pruning;
