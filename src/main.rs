//! The `pingraph` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pingraph::cli::main(|| std::process::exit(130))
}
