//! The command line: one file a subcommand. Only here is anything printed.

mod cluster_args;
mod console;
pub mod estimate;
pub mod explain;
mod format;
mod generate;
mod inspect;
pub mod job_args;
mod launch;
mod plot;
mod run;
mod sample;
pub mod signals;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::model::{Error, Result};
use console::Console;

/// Interaction logs in, graph features out.
///
/// Exit codes: 0 done, 2 command line or job file, 3 input, 4 engine, 5 publishing, 130 interrupted.
#[derive(Parser)]
#[command(name = "pingraph", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What is written to standard error while a command runs.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,

    /// Print errors and results only: no progress, no summary.
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// Form of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Progress bars on a terminal, warnings and errors as text.
    Text,
    /// A JSON object a line for each event.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job and publish its features.
    Run(run::RunArgs),
    /// Make interactions by a spec, deterministic by seed.
    Generate(generate::GenerateArgs),
    /// Say what an input holds: rows, degrees, actions, duplicates.
    Inspect(inspect::InspectArgs),
    /// Print the plan of a job.
    Explain(explain::ExplainArgs),
    /// Estimate nodes, edges, work, memory and time of a job before running it.
    Estimate(estimate::EstimateArgs),
    /// List the signals, or describe one.
    Signals(signals::SignalsArgs),
    /// Compute one node's features and show them with its neighbours; nothing is published.
    Sample(sample::SampleArgs),
}

/// Parses the command line, runs the subcommand and gives the exit code. A second interrupt calls
/// `abort`, which is to end the process: the library never does.
pub fn main(abort: fn()) -> ExitCode {
    let cli = Cli::parse();
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        // A panic is caught where it happens and becomes the one error line of the command.
        std::panic::set_hook(Box::new(|_| ()));
    }
    let console = Console::new(cli.log == LogFormat::Json, cli.quiet, abort);
    let mut out = std::io::stdout().lock();
    let outcome = command(&cli, &console, &mut out).and_then(|()| {
        out.flush().map_err(|error| Error::engine(format!("cannot write the output: {error}")))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One without words has been shown by another process.
            if !error.what.is_empty() {
                console.error(&error);
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn command(cli: &Cli, console: &Console, out: &mut dyn Write) -> Result<()> {
    match &cli.command {
        Command::Run(args) => run::run(args, console, cli.quiet, out),
        Command::Generate(args) => generate::run(args, console, out),
        Command::Inspect(args) => inspect::run(args, out),
        Command::Explain(args) => explain::run(args, out),
        Command::Estimate(args) => estimate::run(args, out),
        Command::Signals(args) => signals::run(args, out),
        Command::Sample(args) => sample::run(args, console, out),
    }
}

/// An error for output that cannot be written (a closed pipe, for example).
fn output_error(error: std::io::Error) -> Error {
    Error::engine(format!("cannot write the output: {error}"))
}
