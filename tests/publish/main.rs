//! Publishing: part files, manifests, the commit, and what is left when it is cut off.
//!
//! | family | what it would catch |
//! |---|---|
//! | parts | a value, null, list or time that reads back differently; bytes that depend on blocks |
//! | commit | a partition without manifest or `_SUCCESS`; leftovers; two runs at once |
//! | kill | a reader that sees half a partition; a commit that the next run cannot complete |
//! | disk | a full or unwritable disk that is found late, or leaves something behind |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod commit;
mod disk;
mod kill;
mod parts;
mod support;
