//! `pingraph run`: runs a job, publishes its features and prints a short summary.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::cluster_args::ClusterArgs;
use super::console::Console;
use super::format::{bytes, count, seconds};
use super::job_args::{JobArgs, WorkerArgs};
use super::launch::{end_with_launcher, launch};
use super::output_error;
use crate::engine::{Report, RunOptions, Workers, run_with};
use crate::model::{Error, Result};
use crate::sink::clear_dead;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    workers: WorkerArgs,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the job.
///
/// # Errors
/// Whatever stops the run; nothing is published then.
pub fn run(args: &RunArgs, console: &Console, quiet: bool, out: &mut dyn Write) -> Result<()> {
    let job = args.job.load()?;
    console.catch_interrupt();
    if args.cluster.launches() {
        let outcome = launch(&args.cluster, console);
        if outcome.is_err() && !args.cluster.resume {
            // What attempts kept for one another is of no more use.
            clear_dead(&job.out, job.as_of_us);
        }
        return outcome;
    }
    end_with_launcher();
    let cluster = args.cluster.cluster(console)?;
    let leads = cluster.as_ref().is_none_or(|cluster| cluster.mesh.membership.process == 0);
    let workers = match args.cluster.processes {
        // They share this machine's cores.
        Some(count) if args.workers.workers.is_none() => {
            Workers::threads(Workers::cores().count() / usize::from(count))
        }
        _ => args.workers.workers(),
    };
    let (observer, resume) = (Arc::new(console.clone()), args.cluster.resumes());
    let options = RunOptions { observer, created_us: source_date_epoch()?, resume, cluster };
    let report = run_with(&job, workers, &options)?;
    if leads {
        console.finished(&report);
    }
    if quiet || !leads {
        return Ok(());
    }
    summary(&report, workers.count(), out).map_err(output_error)
}

/// `SOURCE_DATE_EPOCH`, the usual way to fix the clock of a build: seconds since 1970.
fn source_date_epoch() -> Result<Option<i64>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = value.to_str().and_then(|text| text.parse::<i64>().ok());
    match seconds.and_then(|seconds| seconds.checked_mul(1_000_000)) {
        Some(time_us) => Ok(Some(time_us)),
        None => Err(Error::job(format!("SOURCE_DATE_EPOCH is {value:?}"))
            .remedy("it must be whole seconds since 1970")),
    }
}

/// Prints what was read, built and written.
fn summary(report: &Report, workers: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let scan = &report.scan;
    let plural = if workers == 1 { "" } else { "s" };
    let wall = seconds(report.wall);
    let each = match report.processes.len() {
        0 | 1 => String::new(),
        count => format!("{count} processes of "),
    };
    writeln!(out, "{}: done in {wall} on {each}{workers} worker{plural}", report.job)?;
    writeln!(
        out,
        "  rows      {} read, {} rejected, {} events used",
        count(scan.rows_read),
        count(scan.rows_rejected),
        count(scan.rows_admitted),
    )?;
    let left_out: u64 =
        scan.rows_after_as_of + scan.rows_before_window + scan.rows_ignored.values().sum::<u64>();
    if left_out > 0 || report.pruned > 0 {
        writeln!(
            out,
            "  left out  {} at or after as_of, {} before the window, {} partitions or row groups \
             not read",
            count(scan.rows_after_as_of),
            count(scan.rows_before_window),
            count(report.pruned),
        )?;
    }
    for (action, rows) in &scan.rows_ignored {
        writeln!(
            out,
            "  ignored   {} rows: the job does not name action {action:?}",
            count(*rows)
        )?;
    }
    if let Some(path) = &report.rejects {
        writeln!(out, "  rejects   {}", path.display())?;
    }
    writeln!(
        out,
        "  graph     {} + {} nodes, {} edges",
        count(report.left_nodes),
        count(report.right_nodes),
        count(report.edges),
    )?;
    for feature in &report.features {
        writeln!(
            out,
            "  feature   {}: {} rows, {} in {}",
            feature.table,
            count(feature.rows),
            bytes(feature.bytes),
            feature.path.display(),
        )?;
        for (name, value) in &feature.notes {
            writeln!(out, "            {name} {value}")?;
        }
    }
    let stages: Vec<String> =
        report.stages.iter().map(|time| format!("{} {}", time.stage, seconds(time.wall))).collect();
    writeln!(out, "  time      {}", stages.join(", "))?;
    if report.processes.len() > 1 {
        processes(report, workers, out)?;
    } else if let Some(peak) = report.peak_memory_bytes {
        writeln!(out, "  memory    {} at the peak", bytes(peak))?;
    }
    if let Some(example) = &report.example {
        writeln!(out, "  example   {example}")?;
    }
    Ok(())
}

/// Prints what the workers of all processes did, stage by stage, and what went between them.
fn processes(report: &Report, workers: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let an_edge = |bytes: u64| bytes as f64 / report.edges.max(1) as f64;
    let sent = report.processes.iter().map(|process| process.sent_bytes).sum();
    let count = report.processes.len();
    let each = if workers == 1 { "1 worker".to_string() } else { format!("{workers} workers") };
    let (size, edge) = (bytes(sent), an_edge(sent));
    writeln!(out, "  network   {count} processes of {each}; {size} sent, {edge:.1} bytes an edge")?;
    for stage in report.stages.iter().filter(|stage| !stage.busy.iter().all(Duration::is_zero)) {
        let total: Duration = stage.busy.iter().sum();
        let busiest = stage.busy.iter().max().copied().unwrap_or_default();
        let skew = busiest.as_secs_f64() * stage.busy.len() as f64 / total.as_secs_f64();
        let busy: Vec<String> = stage.busy.iter().map(|&busy| seconds(busy)).collect();
        writeln!(
            out,
            "            {}: busy {}; busiest {skew:.2} x the mean; {} sent, {:.1} an edge",
            stage.stage,
            busy.join(", "),
            bytes(stage.sent_bytes),
            an_edge(stage.sent_bytes),
        )?;
    }
    if let Some(slowest) = report.stages.iter().max_by_key(|stage| stage.wall) {
        writeln!(out, "  slowest   {}, {}", slowest.stage, seconds(slowest.wall))?;
    }
    let peaks = report.processes.iter().filter_map(|process| process.peak_memory_bytes);
    let peaks: Vec<String> = peaks.map(bytes).collect();
    writeln!(out, "  memory    {} at the peak of each process", peaks.join(", "))
}
