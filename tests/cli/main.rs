//! The built command, run as people run it.
//!
//! | family | what it would catch |
//! |---|---|
//! | `bad_input` | an error without file, place or remedy, a wrong exit code, output of a failed run |
//! | `bad_output` | the same for outputs that cannot be written, full disks, runs at the same time |
//! | `kill` | half partitions, staging that stays, a run that Ctrl-C does not end |
//! | `processes` | several processes: other bytes, a loss that others do not notice, what a killed one leaves |
//! | `network` | a cut network that hangs a run or lets one side publish half |
//! | `commands` | flags that do nothing, summaries and logs that others cannot read |
//! | `tiny` | any signal whose published values differ from those derived by hand |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod bad_input;
mod bad_output;
mod commands;
mod kill;
mod network;
mod processes;
mod support;
mod tiny;
