//! Runs each kernel on one thread and counts what it did, in the terms of the model.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use pingraph::engine::{RunOptions, Workers, run_with};
use pingraph::graph::Graph;
use pingraph::job::Job;
use pingraph::job::cost::{self, Costs, Shape, Term};
use pingraph::kernels::seeded::LANES;
use pingraph::signals::Registry;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::common::{Outcome, Output, load, rounds, rows, timed_rows};
use super::graphs;

/// Seeds of a measurement.
const SEEDS: usize = 64;

/// Graphs of more edges are measured with the default parameters only.
const VARIANTS_EDGES_MAX: f64 = 1.5e6;

/// The terms of a stage, by the constants.
pub type Terms = Box<dyn Fn(&Costs) -> Vec<Term>>;

/// A measurement.
pub struct Point {
    pub kernel: &'static str,
    pub graph: String,
    /// Whether the graph is a built-in one.
    pub built_in: bool,
    pub variant: String,
    /// What is counted by each constant, and how many.
    pub counts: Vec<(&'static str, f64)>,
    pub terms: Terms,
    /// CPU nanoseconds.
    pub ns: f64,
    /// What the figure is divided by where it is shown, and its name.
    pub items: f64,
    pub item: &'static str,
}

impl Point {
    fn new(
        kernel: &'static str,
        (graph, variant): (&str, &str),
        terms: Terms,
        ns: f64,
        (items, item): (f64, &'static str),
    ) -> Point {
        let counts = terms(&Costs::default()).iter().map(|term| (term.what, term.times)).collect();
        eprintln!("{kernel} {graph} {variant}: {:.3} ns {item}", ns / items);
        let (graph, variant) = (graph.to_owned(), variant.to_owned());
        Point { kernel, graph, built_in: false, variant, counts, terms, ns, items, item }
    }
}

/// The median of some rounds of `measure`.
fn median(mut measure: impl FnMut() -> Outcome<f64>) -> Outcome<f64> {
    let count = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut figures = (0..count).map(|_| measure()).collect::<Outcome<Vec<f64>>>()?;
    figures.sort_by(f64::total_cmp);
    Ok(figures[figures.len() / 2])
}

/// Every kernel on a synthetic graph.
pub fn synthetic(name: &str, lefts: usize, rights: usize, edges: usize) -> Outcome<Vec<Point>> {
    let graph = graphs::synthetic(lefts, rights, edges);
    let seeds: Vec<u32> = (0..SEEDS).map(|seed| (seed * lefts / SEEDS) as u32).collect();
    let mut points = kernels(name, &graph, &seeds, true)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("edges.parquet");
    write(&path, lefts, rights, edges)?;
    if wanted("ingest") {
        for time in [None, Some("ts")] {
            points.push(ingestion(name, &path, time)?);
        }
    }
    for point in &mut points {
        point.built_in = true;
    }
    Ok(points)
}

/// Every kernel on the graph of a folder, with the default parameters.
pub fn folder(folder: &Path) -> Outcome<Vec<Point>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let graph = Arc::new(load(&folder.join("csr.bin"))?);
    let bytes = std::fs::read(folder.join("seeds.i64"))?;
    let words = bytes.as_chunks::<8>().0.iter().take(SEEDS);
    let seeds: Vec<u32> = words.map(|word| i64::from_le_bytes(*word) as u32).collect();
    let mut points = kernels(&name, &graph, &seeds, false)?;
    drop(graph);
    if wanted("ingest") {
        points.push(ingestion(&name, &folder.join("edges.parquet"), None)?);
        let repeated = folder.join("repeated.parquet");
        if repeated.exists() {
            points.push(ingestion(&name, &repeated, Some("ts"))?);
        }
    }
    Ok(points)
}

fn shape(graph: &Graph) -> Shape {
    let squares = |csr: &pingraph::graph::Csr| {
        (0..csr.nodes() as u32).map(|node| (csr.degree(node) as f64).powi(2)).sum()
    };
    Shape {
        rows: graph.edges() as f64,
        events: graph.edges() as f64,
        lefts: graph.forward.nodes() as f64,
        rights: graph.backward.nodes() as f64,
        edges: graph.edges() as f64,
        left_wedges: squares(&graph.forward),
        right_wedges: squares(&graph.backward),
    }
}

/// Whether `kernel` is among those that the environment variable `ONLY` names; all if it is not set.
pub fn wanted(kernel: &str) -> bool {
    std::env::var("ONLY").map_or(true, |only| only.split(',').any(|name| name == kernel))
}

/// The kernels on one graph, with some variants of the parameters if `all` and it is not too large.
fn kernels(name: &str, graph: &Arc<Graph>, seeds: &[u32], all: bool) -> Outcome<Vec<Point>> {
    let shape = shape(graph);
    let all = all && shape.edges < VARIANTS_EDGES_MAX;
    let mut points = Vec::new();
    if wanted("two_hop") {
        points.extend(two_hops(name, graph, &shape, all)?);
    }
    if wanted("seeded") {
        points.extend(walks(name, graph, &shape, seeds, all)?);
    }
    if wanted("propagate") {
        let ns = median(|| Ok(rounds(&*feature("pagerank", "")?, graph.clone(), 1).1 * 1e9))?;
        let terms = move |costs: &Costs| cost::propagate(costs, &shape, 20.0);
        let items = (shape.edges * 20.0, "an edge and iteration");
        points.push(Point::new("propagate", (name, ""), Box::new(terms), ns, items));
    }
    Ok(points)
}

/// co_engagement of all right nodes.
fn two_hops(name: &str, graph: &Arc<Graph>, &shape: &Shape, all: bool) -> Outcome<Vec<Point>> {
    let variants =
        [("", 50.0, false), ("top_k = 500", 500.0, false), ("user_discount = \"log\"", 50.0, true)];
    let mut points = Vec::new();
    for (params, top_k, discounted) in variants.into_iter().take(if all { 3 } else { 1 }) {
        let ns = median(|| two_hop(graph, params))?;
        let terms = move |costs: &Costs| cost::two_hop(costs, &shape, top_k, discounted);
        let items = (shape.left_wedges, "a wedge");
        points.push(Point::new("two_hop", (name, params), Box::new(terms), ns, items));
    }
    Ok(points)
}

/// personalized_pagerank of `seeds`.
fn walks(
    name: &str,
    graph: &Arc<Graph>,
    &shape: &Shape,
    seeds: &[u32],
    all: bool,
) -> Outcome<Vec<Point>> {
    let count = seeds.len() as f64;
    let variants = ["0.99", "\"fast\"", "0.999", "\"exact\""];
    let mut points = Vec::new();
    for accuracy in variants.into_iter().take(if all { 4 } else { 1 }) {
        let (ns, half_steps) = seeded(graph, seeds, &format!("accuracy = {accuracy}"))?;
        let terms = move |costs: &Costs| cost::seeded(costs, &shape, count, half_steps);
        let steps = half_steps.map_or("exact".to_owned(), |steps| format!("{steps} half-steps"));
        let items = (count * shape.edges, "a seed and edge");
        points.push(Point::new("seeded", (name, &steps), Box::new(terms), ns, items));
    }
    Ok(points)
}

fn feature(signal: &str, params: &str) -> Outcome<Box<dyn pingraph::signals::Feature>> {
    Ok(Registry::default().find(signal)?.configure("cost", params.parse()?)?)
}

/// CPU nanoseconds of the rows of all right nodes.
fn two_hop(graph: &Arc<Graph>, params: &str) -> Outcome<f64> {
    let (source, prepared) = rounds(&*feature("co_engagement", params)?, graph.clone(), 1);
    let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
    // Rows go to a file, as those of a job do: kept ones would take memory, which takes time.
    let folder = tempfile::tempdir()?;
    let top_k = params.parse::<toml::Table>()?;
    let top_k = top_k.get("top_k").and_then(toml::Value::as_integer).unwrap_or(50);
    let output = Output::create(&folder.path().join("rows"), nodes.len(), top_k as usize)?;
    Ok((prepared + rows(&*source, &nodes, 1, &output)?) * 1e9)
}

/// CPU nanoseconds of the rows of `seeds`, and the half-steps of the calibration, which is not timed.
fn seeded(graph: &Arc<Graph>, seeds: &[u32], params: &str) -> Outcome<(f64, Option<f64>)> {
    let (source, _) = rounds(&*feature("personalized_pagerank", params)?, graph.clone(), 1);
    let notes = source.notes();
    let half_steps = notes.iter().find(|(name, _)| name == "half_steps");
    let half_steps = half_steps.map(|(_, steps)| steps.parse()).transpose()?;
    // The first rows make the accumulators.
    timed_rows(&*source, &seeds[..LANES.min(seeds.len())], LANES);
    let ns = median(|| Ok(timed_rows(&*source, seeds, LANES).1.iter().sum::<f64>() * 1e9))?;
    Ok((ns, half_steps))
}

/// The ingestion of a run on one worker: its share of the process's CPU time.
fn ingestion(name: &str, path: &Path, time: Option<&str>) -> Outcome<Point> {
    let out = tempfile::tempdir()?;
    let mut job = Job::builder();
    if let Some(time) = time {
        job = job.time_column(time).left_degree_max(2000);
    }
    let job = job
        .name("cost")
        .as_of("2100-01-01")
        .parquet(path.to_string_lossy())
        .columns("user_id", "pin_id")
        .feature("rank", "pagerank", "iterations = 1\nside = \"right\"".parse()?)
        .out(out.path())
        .build()?;
    let mut shape = Shape::default();
    let ns = median(|| {
        let before = process_ns();
        let report = run_with(&job, Workers::threads(1), &RunOptions::default())?;
        let cpu = (process_ns() - before) as f64;
        let ingestion = ["read", "ids", "edges", "adjacency"];
        let busy = |chosen: &dyn Fn(&str) -> bool| -> f64 {
            let of = report.stages.iter().filter(|time| chosen(&time.stage));
            of.flat_map(|time| &time.busy).map(Duration::as_secs_f64).sum()
        };
        // Publishing waits for the disk, which is no CPU time.
        let share = busy(&|stage| ingestion.contains(&stage)) / busy(&|stage| stage != "publish");
        shape.rows = report.scan.rows_read as f64;
        shape.events = report.scan.rows_read as f64;
        (shape.lefts, shape.rights) = (report.left_nodes as f64, report.right_nodes as f64);
        shape.edges = report.edges as f64;
        Ok(cpu * share)
    })?;
    let timed = time.is_some();
    let terms = move |costs: &Costs| cost::ingest(costs, &shape, timed);
    let variant = if timed { "times" } else { "pairs" };
    Ok(Point::new("ingest", (name, variant), Box::new(terms), ns, (shape.rows, "a row")))
}

/// CPU nanoseconds of the process up to now, its finished threads included, in steps of 10 ms.
fn process_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    ticks.sum::<u64>() * 10_000_000
}

/// Draws as [`graphs::synthetic`] does, with keys that are far apart and times, as Parquet.
fn write(path: &Path, lefts: usize, rights: usize, edges: usize) -> Outcome<()> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut column = |nodes: usize, stride: i64, first: i64| -> ArrayRef {
        let mut key = || {
            let uniform: f64 = random.random();
            first + (uniform * uniform * nodes as f64) as i64 * stride
        };
        Arc::new((0..edges).map(|_| key()).collect::<Int64Array>())
    };
    let columns = [
        ("user_id", column(lefts, 0x0005_DEEC_E66D, 0)),
        ("pin_id", column(rights, 0x0009_E377_9B97, 0)),
        ("ts", column(80_000_000, 1, 1_700_000_000)),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}
