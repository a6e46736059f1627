//! `pingraph estimate`: how large a job is, before it runs, from metadata and a sample.

mod cost;
mod lines;
mod sample;

use std::io::{self, Write};

use clap::Args;

use super::format::{bytes, count, seconds};
use super::job_args::{JobArgs, WorkerArgs};
use super::output_error;
use crate::job::Job;
use crate::job::cost::{Costs, wall_seconds};
use crate::model::{Result, Side};
use crate::source::ScanPlan;
use cost::Item;
use sample::{BLOCKS, Bounded, Estimate};

/// Arguments of `estimate`.
#[derive(Args, Debug)]
pub struct EstimateArgs {
    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    workers: WorkerArgs,
}

/// Samples the job's input and prints how much work the job is.
///
/// # Errors
/// When the job is wrong, its input cannot be read, or the output cannot be written.
pub fn run(args: &EstimateArgs, out: &mut dyn Write) -> Result<()> {
    let job = args.job.load()?;
    let plan = job.source.plan(&job.scan)?;
    let estimate = sample::estimate(job.source.as_ref(), &job.scan, &plan)?;
    let workers = args.workers.workers().count();
    print(&job, &plan, &estimate, workers, out).map_err(output_error)
}

fn print(
    job: &Job,
    plan: &ScanPlan,
    estimate: &Estimate,
    workers: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names = &job.graph.names;
    let about = |exact| if exact { "" } else { "about " };
    let input: u64 = plan.splits.iter().map(|split| split.bytes).sum();
    writeln!(out, "{}: {}", job.name, job.source_label)?;
    writeln!(
        out,
        "  input     {} files, {} splits, {} to read; {} partitions or row groups left out",
        count(plan.files.len() as u64),
        count(plan.splits.len() as u64),
        bytes(input),
        count(plan.pruned),
    )?;
    writeln!(out, "  rows      {}{}", about(estimate.rows_exact), round(estimate.rows))?;
    writeln!(
        out,
        "  sampled   {} rows ({}), of which {} are events",
        count(estimate.rows_sampled),
        share(estimate.rows_sampled as f64, estimate.rows),
        count(estimate.events_sampled),
    )?;
    writeln!(out, "\nsizes, before minimum degrees")?;
    writeln!(out, "  events    {}", round(estimate.events))?;
    for (name, size) in [
        (names.of(Side::Left), estimate.lefts),
        (names.of(Side::Right), estimate.rights),
        ("edge", estimate.edges),
    ] {
        writeln!(out, "  {:9} {}", format!("{name}s"), bounded(size))?;
    }
    if let Some(max) = job.graph.left_degree_max {
        let kept = round(cost::edges(job, estimate));
        writeln!(out, "            at most {kept} after left_degree_max = {max}")?;
    }
    let (left, right) = (names.of(Side::Left), names.of(Side::Right));
    let wedges = round(cost::left_wedges(job, estimate));
    writeln!(out, "  wedges    {wedges} at {left}s (two-hop work of {right}s)")?;
    let wedges = round(estimate.right_wedges);
    writeln!(out, "            {wedges} at {right}s (two-hop work of {left}s)")?;
    let stages = cost::memory(job, estimate, workers as f64);
    let peak = stages.iter().map(|(_, total, _)| *total).fold(0.0, f64::max);
    let workers_text = match workers {
        1 => "1 worker".to_owned(),
        more => format!("{more} workers"),
    };
    writeln!(out, "\nmemory, peak about {} on {workers_text}", bytes(peak as u64))?;
    for (stage, total, items) in &stages {
        writeln!(out, "  {stage}, {}", bytes(*total as u64))?;
        for item in items {
            let Item { what, formula, amount } = item;
            writeln!(out, "    {what:31} {:>10}  {formula}", bytes(*amount as u64))?;
        }
    }
    let costs = Costs::default();
    let stages = cost::time(&costs, job, estimate);
    let cpu: f64 = stages.iter().map(|(_, total, _)| total).sum();
    let wall = wall_seconds(&costs, cpu, workers as f64);
    let (wall, cpu) = (time(wall), time(cpu / 1e9));
    writeln!(out, "\ntime, about {wall} on {workers_text} ({cpu} of CPU)")?;
    for (stage, total, items) in &stages {
        writeln!(out, "  {stage}, {}", time(total / 1e9))?;
        for Item { what, formula, amount } in items {
            writeln!(out, "    {what:31} {:>10}  {formula}", time(amount / 1e9))?;
        }
    }
    method(out)
}

/// Says how the figures came about, and how wrong they can be.
fn method(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nmethod\n  \
         distinct keys and edges: Chao's estimate over {BLOCKS} blocks of the sample, from what \
         was seen to\n  a straight line (both shown); low by up to a third where few of many \
         heavy-tailed keys are seen.\n  \
         wedges: pairs of sampled edges at a node over the chance of sampling both; within a \
         factor of 2.\n  \
         memory and time: the unit costs shown, measured on the machine of docs/BENCHMARKS.md; others \
         differ by a factor of\n  two either way, and personalized PageRank by four, by what its calibration \
         finds."
    )
}

/// Three significant digits, since no estimate has more; small numbers whole.
fn round(number: f64) -> String {
    let mut unit = 1.0;
    while number / unit >= 1000.0 {
        unit *= 10.0;
    }
    count(((number / unit).round() * unit) as u64)
}

fn bounded(size: Bounded) -> String {
    let (value, low, high) = (round(size.value), round(size.low), round(size.high));
    match low == high {
        true => value,
        false => format!("{value} ({low} to {high})"),
    }
}

fn share(part: f64, whole: f64) -> String {
    match whole > 0.0 {
        true => format!("{:.1}%", 100.0 * part / whole),
        false => "all".to_owned(),
    }
}

fn time(seconds_: f64) -> String {
    seconds(std::time::Duration::try_from_secs_f64(seconds_).unwrap_or_default())
}
