//! The first promise: the same bytes on every topology, and what follows from it.
//!
//! | family | what it would catch |
//! |---|---|
//! | jobs | a job of jobs/ whose files depend on the number of workers |
//! | signals | the same for every signal and its variants, on Zipf-heavy data with ties and duplicates |
//! | truncated | the same for walks whose tail is fitted, which only a large component gets |
//! | text | the same for text keys, events that weigh, and seeds from a file |
//! | files | a result that depends on how the input is cut into files |
//! | as_of | an event at or after `as_of` that shows in a feature |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod as_of;
mod jobs;
mod signals;
mod support;
mod text;
mod truncated;
