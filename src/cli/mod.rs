//! The command line: one file a subcommand.

pub mod generate;

use std::process::ExitCode;

/// Parses the command line, runs the subcommand and gives the exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
