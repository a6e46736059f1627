//! `pingraph inspect`: says what an input holds, before a job is written for it or when one went
//! wrong.

mod collect;
mod input;
mod report;

use std::io::Write;
use std::path::PathBuf;

use super::plot::{Curve, degree_plot};
use crate::model::{Error, Result};
use crate::source::FileFormat;
use collect::Scan;
use input::Input;
use report::Report;

/// Say what an input holds: rows, degrees, actions, duplicates, time span
#[derive(Clone, Debug, clap::Args)]
pub struct InspectArgs {
    /// A file, a folder or a glob; or a job file (.toml), whose source and columns are taken
    pub input: PathBuf,
    /// Format of the files [default: by extension]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Column of the left key [default: guessed]
    #[arg(long, value_name = "COL")]
    pub left: Option<String>,
    /// Column of the right key [default: guessed]
    #[arg(long, value_name = "COL")]
    pub right: Option<String>,
    /// Column of the action [default: guessed]
    #[arg(long, value_name = "COL")]
    pub action: Option<String>,
    /// Column of the event time [default: guessed]
    #[arg(long, value_name = "COL")]
    pub time: Option<String>,
    /// Column of the weight [default: guessed]
    #[arg(long, value_name = "COL")]
    pub weight: Option<String>,
    /// Write a plot of the degrees of both sides
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

/// Formats of the input's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// CSV or TSV with a header, plain or compressed.
    Csv,
    /// A JSON object a line, plain or compressed.
    Jsonl,
}

impl From<Format> for FileFormat {
    fn from(format: Format) -> FileFormat {
        match format {
            Format::Parquet => FileFormat::Parquet,
            Format::Csv => FileFormat::Csv,
            Format::Jsonl => FileFormat::Jsonl,
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When the input cannot be read, a column cannot be found, or the plot cannot be written.
pub fn run(args: &InspectArgs, out: &mut dyn Write) -> Result<()> {
    let input = Input::open(args)?;
    let scan = Scan::read(&input)?;
    let report = Report::new(&scan);
    report.print(&input, &scan, out).map_err(super::output_error)?;
    let Some(path) = &args.plot else { return Ok(()) };
    let columns = &input.request.columns;
    let curves = [
        Curve { name: &columns.left, degrees: &report.left_degrees },
        Curve { name: &columns.right, degrees: &report.right_degrees },
    ];
    let svg = degree_plot(&input.label, &curves)?;
    std::fs::write(path, svg).map_err(|error| {
        Error::publish(error.to_string()).path(path).remedy("check space and permissions")
    })?;
    writeln!(out, "plot        {}", path.display()).map_err(super::output_error)
}
