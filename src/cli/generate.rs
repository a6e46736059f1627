//! `pingraph generate`: writes a synthetic data set as files.

mod files;

use std::io::Write;
use std::path::{Path, PathBuf};

use super::console::Console;
use crate::engine::Observer;
use crate::model::{Error, ErrorKind, Result, format_date};
use crate::source::{SyntheticSource, SyntheticSpec};
use files::{Row, write_partition};

/// Rows kept in memory at once, about; a larger data set is drawn in several passes over its days.
const PASS_ROWS: f64 = 8e6;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// Write a synthetic data set: DIR/dt=YYYY-MM-DD/part-00000.parquet
#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// Spec file, for example datasets/specs/small_boards.toml
    pub spec: PathBuf,
    /// Folder to write; must be absent or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// File format
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub format: Format,
    /// Seed in place of the spec's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of left nodes (users) in place of the spec's
    #[arg(long, value_name = "N")]
    pub lefts: Option<u32>,
    /// Replace DIR if it is not empty
    #[arg(long)]
    pub force: bool,
}

/// The formats that events can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Parquet, compressed by zstd.
    Parquet,
    /// Comma-separated text with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl Format {
    /// The extension of its files.
    fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    rows: u64,
    files: u64,
    bytes: u64,
}

/// Runs the subcommand.
///
/// # Errors
/// When the spec is wrong, the folder is not empty, or it cannot be written; nothing is left behind.
pub fn run(args: &GenerateArgs, console: &Console, out: &mut dyn Write) -> Result<()> {
    console.catch_interrupt();
    let mut spec = SyntheticSpec::from_file(&args.spec)?;
    spec.seed = args.seed.unwrap_or(spec.seed);
    spec.lefts = args.lefts.unwrap_or(spec.lefts);
    let source = SyntheticSource::new(spec)?;
    check_free(&args.out, args.force)?;
    let staging = Staging::new(&args.out)?;
    let written = write_all(&source, args.format, &staging.folder, &|| console.interrupted())?;
    staging.publish(&args.out)?;
    let Written { rows, files, bytes } = written;
    let (seed, folder) = (source.spec().seed, args.out.display());
    writeln!(out, "{rows} rows, {files} files, {bytes} bytes, seed {seed}: {folder}")
        .map_err(|error| Error::publish(error.to_string()))
}

/// Refuses a folder that holds something, unless `force`; a file is refused in any case.
fn check_free(folder: &Path, force: bool) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::publish("the output exists and is not a folder")
            .path(folder)
            .remedy("name another with --out"));
    }
    let empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => true,
    };
    if empty || force {
        return Ok(());
    }
    Err(Error::publish("the output folder is not empty")
        .path(folder)
        .remedy("name another with --out, or replace it with --force"))
}

/// The folder that is written before it gets its name; removed when dropped.
struct Staging {
    folder: PathBuf,
}

impl Staging {
    /// A new folder beside `target`, so that one rename publishes it.
    fn new(target: &Path) -> Result<Staging> {
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name else {
            return Err(Error::publish("the output has no name of its own")
                .path(target)
                .remedy("name a new folder with --out"));
        };
        let folder = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        Ok(Staging { folder })
    }

    /// Gives the folder its name. What stood there goes away only after it has been moved aside.
    fn publish(&self, target: &Path) -> Result<()> {
        let aside = self.folder.with_extension("old");
        let replaced = target.exists();
        if replaced {
            std::fs::rename(target, &aside).map_err(|error| at(target, &error))?;
        }
        if let Err(error) = std::fs::rename(&self.folder, target) {
            if replaced {
                std::fs::rename(&aside, target).map_err(|error| at(&aside, &error))?;
            }
            return Err(at(target, &error));
        }
        if replaced {
            std::fs::remove_dir_all(&aside).map_err(|error| at(&aside, &error))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After publishing there is nothing to remove, and a failure here has no reader.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn at(path: &Path, error: &std::io::Error) -> Error {
    Error::publish(error.to_string()).path(path).remedy("check space and permissions")
}

/// Writes every day's events under `folder`, in ascending order of time, until `stop` says so.
fn write_all(
    source: &SyntheticSource,
    format: Format,
    folder: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Written> {
    let interrupted = || Error::new(ErrorKind::Interrupted, "the run was interrupted");
    let spec = source.spec();
    let days = i64::from(spec.days);
    let days_at_once = ((days as f64 * PASS_ROWS / spec.expected_events()) as i64).clamp(1, days);
    let (begin_us, end_us) = source.span_us();
    let first_day = begin_us.div_euclid(DAY_US);
    let last_day = (end_us - 1).div_euclid(DAY_US);
    let mut written = Written::default();
    let mut day = first_day;
    while day <= last_day {
        let range = day * DAY_US..(day + days_at_once) * DAY_US;
        let mut rows = Vec::new();
        source.for_each_event(0..spec.lefts, |left, event| {
            if range.contains(&event.time_us) {
                let (time_us, right, action) = (event.time_us, event.right, event.action);
                rows.push(Row { time_us, left, right, action });
            }
            !stop()
        });
        if stop() {
            return Err(interrupted());
        }
        rows.sort_unstable();
        for rows in
            rows.chunk_by(|a, b| a.time_us.div_euclid(DAY_US) == b.time_us.div_euclid(DAY_US))
        {
            if stop() {
                return Err(interrupted());
            }
            let date = rows.first().map_or_else(String::new, |row| format_date(row.time_us));
            let partition = folder.join(format!("dt={date}"));
            std::fs::create_dir(&partition).map_err(|error| at(&partition, &error))?;
            let file = partition.join(format!("part-00000.{}", format.extension()));
            written.bytes += write_partition(source, format, rows, &file)?;
            written.rows += rows.len() as u64;
            written.files += 1;
        }
        day += days_at_once;
    }
    Ok(written)
}
