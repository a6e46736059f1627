//! `pingraph sample`: one node's features, readable, with its neighbours.

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use super::console::Console;
use super::format::count;
use super::job_args::{JobArgs, WorkerArgs};
use super::output_error;
use crate::engine::{RunOptions, SampledNode, sample};
use crate::model::{Error, Result, Side, SideNames};

/// Neighbours shown unless all are asked for.
const NEIGHBOURS_SHOWN: usize = 20;

/// Arguments of `sample`.
#[derive(Args, Debug)]
pub struct SampleArgs {
    #[command(flatten)]
    job: JobArgs,

    /// The key of a node; `user=17` or `pin=17` (the job's names) says of which side.
    node: String,

    /// Show all neighbours.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    workers: WorkerArgs,
}

/// Computes and prints the node's rows.
///
/// # Errors
/// When the job fails, or the graph has no such node on either side.
pub fn run(args: &SampleArgs, console: &Console, out: &mut dyn Write) -> Result<()> {
    let job = args.job.load()?;
    console.catch_interrupt();
    let options = RunOptions { observer: Arc::new(console.clone()), ..RunOptions::default() };
    let names = &job.graph.names;
    let prefixed = |side: Side| args.node.strip_prefix(&format!("{}=", names.of(side)));
    let wanted: Vec<(Side, &str)> = match (prefixed(Side::Left), prefixed(Side::Right)) {
        (Some(key), _) => vec![(Side::Left, key)],
        (_, Some(key)) => vec![(Side::Right, key)],
        _ => vec![(Side::Left, args.node.as_str()), (Side::Right, args.node.as_str())],
    };
    let nodes = sample(&job, &wanted, args.workers.workers(), &options)?;
    if nodes.is_empty() {
        let sides: Vec<&str> = wanted.iter().map(|(side, _)| names.of(*side)).collect();
        let key = wanted.first().map_or(args.node.as_str(), |(_, key)| key);
        let what = format!("the graph has no {} {key:?}", sides.join(" and no "));
        let remedy = match args.node.split_once('=') {
            Some((side, key)) if wanted.len() == 2 => format!(
                "a side is called {} or {}, not {side:?}: write {}={key}",
                names.of(Side::Left),
                names.of(Side::Right),
                names.of(Side::Right)
            ),
            _ => "it may be outside the window, below the minimum degree, or misspelt".to_owned(),
        };
        return Err(Error::input(what).remedy(remedy));
    }
    for node in &nodes {
        print(out, names, node, args.all).map_err(output_error)?;
    }
    Ok(())
}

fn print(
    out: &mut dyn Write,
    names: &SideNames,
    node: &SampledNode,
    all: bool,
) -> std::io::Result<()> {
    let neighbours = &node.neighbours;
    writeln!(out, "{} {}", names.of(node.side), node.key)?;
    let shown = if all { neighbours.len() } else { neighbours.len().min(NEIGHBOURS_SHOWN) };
    let more = match neighbours.len() - shown {
        0 => String::new(),
        more => format!(" and {} more", count(more as u64)),
    };
    writeln!(
        out,
        "  {} {}s: {}{more}",
        count(neighbours.len() as u64),
        names.of(node.side.other()),
        neighbours[..shown].join(" "),
    )?;
    for row in &node.rows {
        writeln!(out, "  {}: {}", row.table, row.sentence)?;
        for (name, value) in &row.values {
            writeln!(out, "    {name} = {value}")?;
        }
    }
    Ok(())
}
