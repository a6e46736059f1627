//! Runs one piece of work as the peers do and prints one JSON line: CPU and wall seconds of the kernel
//! apart from loading, and peak memory. It stands beside a peer in docs/BENCHMARKS.md.
//!
//!     cargo bench --bench peers -- w1 CSR THREADS OUT [KEY=VALUE ...]          co_engagement
//!     cargo bench --bench peers -- w2 CSR OUT SEEDS COUNT [KEY=VALUE ...]      personalized_pagerank
//!     cargo bench --bench peers -- w3 CSR THREADS [KEY=VALUE ...]              pagerank
//!     cargo bench --bench peers -- w5 PARQUET LEFT RIGHT WORKERS [TIME CAP]    Parquet to both CSRs
//!
//! CSR is `int64 left, right, edges; int64 offsets[left + 1]; int32 targets[edges]`, little-endian.
//! OUT gets `int64 rows, k; int32 ids[rows * k]` (padded with -1) `; float32 scores[rows * k]`. w1 writes it block by
//! block outside the CPU seconds, but within the wall time.
//! SEEDS is little-endian `int64` dense ids, done sixteen at a time in that order; w2 also gives the median and
//! the 99th percentile over the sixteens of the CPU time of a seed. KEY=VALUE are the signal's parameters.

// It prints its result, and a thread that panicked leaves nothing to report.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Clock, Outcome, Output, dump, load, peak_mb, rounds, rows, timed_rows};
use pingraph::engine::{RunOptions, Workers, run_with};
use pingraph::job::Job;
use pingraph::kernels::seeded::LANES;
use pingraph::signals::{Feature, Registry};

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["w1", csr, threads, out, params @ ..] => w1(csr, threads.parse()?, out, params),
        ["w2", csr, out, seeds, count, params @ ..] => {
            w2(csr, out, (seeds, count.parse()?), params)
        }
        ["w3", csr, threads, params @ ..] => w3(csr, threads.parse()?, params),
        ["w5", parquet, left, right, workers] => w5(parquet, (left, right, None), workers.parse()?),
        ["w5", parquet, left, right, workers, time, cap] => {
            w5(parquet, (left, right, Some((time, cap.parse()?))), workers.parse()?)
        }
        // `cargo test --benches` and `cargo bench` run every target without arguments of ours.
        _ => {
            println!("usage: see the head of benches/peers/main.rs");
            Ok(())
        }
    }
}

/// `signal` with `params`, `KEY=VALUE` each.
fn feature(signal: &str, params: &[&str]) -> Outcome<Box<dyn Feature>> {
    let registry = Registry::default();
    Ok(registry.find(signal)?.configure("peer", params.join("\n").parse()?)?)
}

/// Co-engagement: the top 50 by cosine for every right node, or as `params` say.
fn w1(csr: &str, threads: usize, out: &str, params: &[&str]) -> Outcome<()> {
    let graph = Arc::new(load(Path::new(csr))?);
    let top_k = params.join("\n").parse::<toml::Table>()?;
    let top_k = top_k.get("top_k").and_then(toml::Value::as_integer).unwrap_or(50);
    let clock = Clock::start();
    let (source, prepared) = rounds(&*feature("co_engagement", params)?, graph.clone(), threads);
    let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
    let output = Output::create(Path::new(out), nodes.len(), top_k as usize)?;
    let cpu = rows(&*source, &nodes, threads, &output)?;
    let wall = clock.began.elapsed().as_secs_f64();
    let degrees = (0..graph.forward.nodes() as u32).map(|left| graph.forward.degree(left) as u64);
    let wedges: u64 = degrees.map(|degree| degree * degree).sum();
    println!(
        "{{\"work\":\"w1\",\"threads\":{threads},\"wall_s\":{wall:.3},\"cpu_s\":{:.3},\
         \"ns_per_wedge\":{:.3},\"peak_mb\":{}}}",
        prepared + cpu,
        (prepared + cpu) * 1e9 / wedges as f64,
        peak_mb()?,
    );
    Ok(())
}

/// Personalized PageRank of the first `count` seeds of a file, the top 100 of each.
fn w2(csr: &str, out: &str, (seeds, count): (&str, usize), params: &[&str]) -> Outcome<()> {
    let graph = Arc::new(load(Path::new(csr))?);
    let bytes = std::fs::read(seeds)?;
    let (words, _) = bytes.as_chunks::<8>();
    let wanted: Vec<u32> =
        words.iter().take(count).map(|word| i64::from_le_bytes(*word) as u32).collect();
    let (source, prepared) = rounds(&*feature("personalized_pagerank", params)?, graph, 1);
    let (blocks, times) = timed_rows(&*source, &wanted, LANES);
    let cpu: f64 = times.iter().sum();
    let widths = wanted.chunks(LANES).map(<[u32]>::len);
    let mut each: Vec<f64> = times.iter().zip(widths).map(|(s, n)| s * 1e3 / n as f64).collect();
    each.sort_by(f64::total_cmp);
    println!(
        "{{\"work\":\"w2\",\"seeds\":{},\"calibration_cpu_s\":{prepared:.3},\"cpu_s\":{cpu:.3},\
         \"ms_per_seed\":{:.3},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"peak_mb\":{},\"notes\":{:?}}}",
        wanted.len(),
        cpu * 1e3 / wanted.len().max(1) as f64,
        each[each.len() / 2],
        each[each.len() * 99 / 100],
        peak_mb()?,
        source.notes(),
    );
    dump(Path::new(out), &blocks, 100)
}

/// PageRank of both sides, 20 iterations, or as `params` say.
fn w3(csr: &str, threads: usize, params: &[&str]) -> Outcome<()> {
    let graph = Arc::new(load(Path::new(csr))?);
    let clock = Clock::start();
    let (source, cpu) = rounds(&*feature("pagerank", params)?, graph.clone(), threads);
    println!(
        "{{\"work\":\"w3\",\"threads\":{threads},\"wall_s\":{:.3},\"cpu_s\":{cpu:.3},\
         \"peak_mb\":{},\"notes\":{:?}}}",
        clock.began.elapsed().as_secs_f64(),
        peak_mb()?,
        source.notes(),
    );
    Ok(())
}

/// The engine's ingestion, from Parquet to both adjacencies: a job
/// whose only feature takes one pass over the graph. With times, the most recent edges of a left node
/// are kept, up to a cap: the time of each pair's latest event matters for nodes beyond it.
fn w5(
    parquet: &str,
    (left, right, capped): (&str, &str, Option<(&str, u32)>),
    workers: usize,
) -> Outcome<()> {
    let out = tempfile::tempdir()?;
    let mut job = Job::builder();
    if let Some((time, cap)) = capped {
        job = job.time_column(time).left_degree_max(cap);
    }
    let job = job
        .name("w5")
        .as_of("2100-01-01")
        .parquet(parquet)
        .columns(left, right)
        .feature("rank", "pagerank", "iterations = 1\nside = \"right\"".parse()?)
        .out(out.path())
        .build()?;
    let begin = Instant::now();
    let report = run_with(&job, Workers::threads(workers), &RunOptions::default())?;
    let stages = ["read", "ids", "edges", "adjacency"];
    let ingestion = report.stages.iter().filter(|time| stages.contains(&time.stage.as_str()));
    let (mut wall, mut busy) = (0.0, 0.0);
    for stage in ingestion {
        wall += stage.wall.as_secs_f64();
        busy += stage.busy.iter().map(Duration::as_secs_f64).sum::<f64>();
    }
    println!(
        "{{\"work\":\"w5\",\"workers\":{workers},\"edges\":{},\"wall_s\":{wall:.3},\
         \"busy_s\":{busy:.3},\"ns_per_edge\":{:.1},\"run_s\":{:.3},\"peak_mb\":{},\
         \"stages\":{:?}}}",
        report.edges,
        busy * 1e9 / report.edges.max(1) as f64,
        begin.elapsed().as_secs_f64(),
        peak_mb()?,
        report
            .stages
            .iter()
            .map(|time| (
                time.stage.as_str(),
                time.wall.as_millis(),
                time.busy.iter().map(Duration::as_millis).sum::<u128>()
            ))
            .collect::<Vec<_>>(),
    );
    Ok(())
}
