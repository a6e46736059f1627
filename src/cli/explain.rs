//! `pingraph explain`: what a job would do, as text or as a graph in DOT, without reading its data.

use std::io::{self, Write};

use clap::Args;

use super::job_args::JobArgs;
use super::output_error;
use crate::job::memory::{self, Per};
use crate::job::{FeaturePlan, Job, Plan};
use crate::model::{
    ActionRule, ColumnType, FIXED_ONE, Result, Side, fixed_to_f64, format_timestamp,
};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    #[command(flatten)]
    job: JobArgs,

    /// Print the stages as a graph in DOT, for example for `dot -Tsvg`.
    #[arg(long)]
    dot: bool,

    /// Print what each stage holds in memory, in bytes an event, edge or node.
    #[arg(long, conflicts_with = "dot")]
    memory: bool,
}

/// Prints the plan of the job.
///
/// # Errors
/// When the job is wrong or the output cannot be written.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<()> {
    let job = args.job.load()?;
    if args.dot {
        return write!(out, "{}", Plan::of(&job)?.dot()).map_err(output_error);
    }
    if args.memory {
        return memory(&job, out).map_err(output_error);
    }
    explain(&job, out)
}

/// Prints what each stage of `job` holds.
fn memory(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "job {}: what each stage holds at its peak", job.name)?;
    for stage in memory::stages(job) {
        writeln!(out, "\n{}", stage.stage)?;
        for held in stage.held.iter().filter(|held| held.per != Per::Process) {
            let formula = memory::formula(held, &job.graph.names);
            writeln!(out, "  {:31} {formula}", held.what)?;
        }
        for (per, name) in [(Per::Event, "event"), (Per::Edge, "edge")] {
            let parts = stage.held.iter().filter(|held| held.per == per);
            let (count, sum) = parts.fold((0, 0.0), |(n, sum), held| (n + 1, sum + held.bytes));
            if count > 1 {
                writeln!(out, "  {:31} {sum} B an {name}", "together")?;
            }
        }
    }
    let process = memory::PROCESS_BYTES / 1e6;
    writeln!(
        out,
        "\nand about {process} MB in all: the program, batches read, files being written"
    )?;
    writeln!(out, "`pingraph estimate` multiplies these by the sizes of the input")
}

/// Prints the plan of `job`.
///
/// # Errors
/// When the output cannot be written.
pub fn explain(job: &Job, out: &mut dyn Write) -> Result<()> {
    let plan = Plan::of(job)?;
    let mut write = || {
        writeln!(out, "job {}, as of {}", job.name, format_timestamp(job.as_of_us))?;
        source(job, out)?;
        graph(job, out)?;
        for plan in &job.features {
            feature(job, plan, out)?;
        }
        writeln!(out, "\noutput\n  {}/TABLE/dt={}", job.out.display(), date(job))?;
        let unused = unused(job);
        if !unused.is_empty() {
            writeln!(out, "\nwithout effect")?;
            for line in unused {
                writeln!(out, "  {line}")?;
            }
        }
        writeln!(out, "\nstages\n{}", plan.text().trim_end())
    };
    write().map_err(output_error)
}

fn date(job: &Job) -> String {
    crate::model::format_date(job.as_of_us)
}

fn source(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let scan = &job.scan;
    let columns = &scan.columns;
    writeln!(out, "\nsource\n  {}", job.source_label)?;
    writeln!(out, "  columns  left {}, right {}", columns.left, columns.right)?;
    let optional =
        [("action", &columns.action), ("time", &columns.time), ("weight", &columns.weight)];
    for (meaning, column) in optional {
        if let Some(column) = column {
            writeln!(out, "           {meaning} {column}")?;
        }
    }
    let as_of = format_timestamp(scan.as_of_us);
    match (scan.window_us, &columns.time) {
        (Some(window_us), _) => {
            let from = format_timestamp(scan.as_of_us - window_us);
            writeln!(out, "  events   from {from} to before {as_of} ({})", span(window_us))?;
        }
        (None, Some(_)) => writeln!(out, "  events   all before {as_of}")?,
        (None, None) => {
            writeln!(out, "  events   all: without a time column none can be too late")?
        }
    }
    writeln!(out, "  rejects  the job fails above {} of the rows", percent(job.rejects_max))
}

fn graph(job: &Job, out: &mut dyn Write) -> io::Result<()> {
    let rules = &job.graph;
    let (left, right) = (&rules.names.left, &rules.names.right);
    writeln!(out, "\ngraph\n  {left} -- {right}, one edge for each pair that has an event")?;
    for (action, rule) in &job.scan.actions {
        match rule {
            ActionRule::Weight(weight) => {
                // Nine digits are what fixed point resolves, so 0.2 shows as 0.2.
                let weight = (fixed_to_f64(*weight) * 1e9).round() / 1e9;
                writeln!(out, "  {action:?} weighs {weight}")?;
            }
            ActionRule::Remove => {
                writeln!(out, "  {action:?} removes the edge if it is the pair's latest event")?;
            }
        }
    }
    match job.scan.actions.is_empty() {
        true => writeln!(out, "  every event weighs 1")?,
        false => writeln!(out, "  other actions are ignored and counted")?,
    }
    if let Some(half_life_us) = rules.half_life_us {
        writeln!(out, "  an event weighs half after {}", span(half_life_us))?;
    }
    if let Some(max) = rules.left_degree_max {
        let which = match job.scan.columns.time {
            Some(_) => "most recent",
            None => "first by key, since there is no time",
        };
        writeln!(out, "  a {left} keeps at most {max} edges, the {which}")?;
    }
    for (name, min) in [(left, rules.left_degree_min), (right, rules.right_degree_min)] {
        if min > 1 {
            writeln!(out, "  a {name} with fewer than {min} edges is dropped")?;
        }
    }
    Ok(())
}

fn feature(job: &Job, plan: &FeaturePlan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nfeature {}\n  signal {}", plan.name, plan.signal)?;
    for (name, value) in &plan.settings {
        writeln!(out, "    {name} = {value}")?;
    }
    for table in plan.feature.tables(&job.schema()) {
        let key = job.graph.names.key_column(table.side);
        writeln!(out, "  table {}, one row for each {key}", table.name)?;
        let width = table.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        for field in &table.fields {
            let kind = column_type(job, field.column_type);
            writeln!(out, "    {:width$}  {kind:15}  {}", field.name, field.doc)?;
        }
    }
    Ok(())
}

fn column_type(job: &Job, column_type: ColumnType) -> String {
    let names = &job.graph.names;
    match column_type {
        ColumnType::Int64 => "int64".to_owned(),
        ColumnType::Float32 => "float32".to_owned(),
        ColumnType::Float64 => "float64".to_owned(),
        ColumnType::NodeList(Side::Left) => format!("list of {}", names.left),
        ColumnType::NodeList(Side::Right) => format!("list of {}", names.right),
        ColumnType::Float32List => "list of float32".to_owned(),
        ColumnType::Int64List => "list of int64".to_owned(),
    }
}

/// Settings that no feature of the job depends on.
fn unused(job: &Job) -> Vec<String> {
    let mut lines = Vec::new();
    let needs = job.needs();
    let weighs = needs.weights || needs.events;
    if !weighs {
        if job.scan.columns.weight.is_some() {
            lines.push("columns.weight: no feature reads weights".to_owned());
        }
        let mut weights = job.scan.actions.iter();
        let plain = weights
            .all(|(_, rule)| matches!(rule, ActionRule::Remove | ActionRule::Weight(FIXED_ONE)));
        if !plain {
            lines.push(
                "graph.actions: no feature reads weights; an action counts or does not".to_owned(),
            );
        }
        if job.graph.half_life_us.is_some() {
            lines.push("graph.half_life: no feature reads weights".to_owned());
        }
    }
    lines
}

/// A duration in days where it is whole days, else in hours.
fn span(us: i64) -> String {
    match us % DAY_US {
        0 => format!("{} days", us / DAY_US),
        _ => format!("{:.1} hours", us as f64 / (DAY_US as f64 / 24.0)),
    }
}

fn percent(share: f64) -> String {
    // Through a rounding, since 0.001 * 100 shows as 0.1 but 0.007 * 100 as 0.7000000000000001.
    format!("{}%", (share * 1e8).round() / 1e6)
}
