//! The job file, from text to a validated job.
//!
//! | family | what it would catch |
//! |---|---|
//! | example | a key of the documented file that is read wrongly, or not at all |
//! | errors | a message that does not name file, line, key or remedy |
//! | overrides | `--set` or `--as-of` that reaches the wrong key, or an error that blames the file |
//! | builder | a job built in code that differs from the same job in a file |
//! | canonical | a run's id that misses a change, or changes for nothing |
//! | plan | a stage that is missing, doubled, unused or waits for itself |
//! | cli | `explain` or `estimate` that leaves out or misstates what a run would do |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod builder;
mod canonical;
mod cli;
mod errors;
mod example;
mod overrides;
mod plan;

mod support;
