//! Instructions that the kernels execute on a small graph, counted by callgrind: a regression shows
//! in review without a clock.
//!
//!     cargo bench --bench instructions            prints the counts beside those of table.tsv
//!     cargo bench --bench instructions -- check   fails if one is off by more than 3%
//!     cargo bench --bench instructions -- write   writes table.tsv anew
//!
//! Needs valgrind. Counts repeat for one compiler and target; the table names the compiler. This
//! program runs itself under valgrind, which counts within [`counted`] only.

// It prints its result; what cannot be set up has nothing better to do than to say so and stop.
#![allow(clippy::print_stdout, clippy::expect_used)]

#[path = "../kernels/graphs.rs"]
mod graphs;

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use pingraph::graph::{Csr, Graph};
use pingraph::kernels::seeded::{
    Adjacency, BUCKETS, Bipartite, Components, LEVELS, Method, SeededScratch, Tail, Walk, top_k,
};
use pingraph::model::Side;
use pingraph::signals::Registry;

/// Left nodes, right nodes and drawn edges.
const SIZE: (usize, usize, usize) = (5_000, 3_000, 200_000);

/// Seeds of the seeded kernel.
const SEEDS: u32 = 32;

/// How far a count may be from its row of the table.
const TOLERANCE: f64 = 0.03;

/// A kernel's name, what its cost is counted in, and its run.
type Kernel = (&'static str, &'static str, fn(&Arc<Graph>));

const KERNELS: [Kernel; 4] = [
    ("two_hop", "wedge", |graph| feature("co_engagement", "", graph)),
    ("two_hop, log discount", "wedge", |graph| {
        feature("co_engagement", "user_discount = \"log\"", graph);
    }),
    ("propagate", "edge, direction and iteration", |graph| feature("pagerank", "", graph)),
    ("seeded", "seed and edge", seeded),
];

fn feature(signal: &str, params: &str, graph: &Arc<Graph>) {
    let registry = Registry::default();
    let signal = registry.find(signal).expect("the signal is registered");
    let params = params.parse().expect("the parameters are TOML");
    let feature = signal.configure("counted", params).expect("the parameters are valid");
    counted(|| black_box(graphs::rows(&*feature, graph, Side::Right)));
}

/// Five half-steps with a given tail: no calibration, which would be most of the work here.
fn seeded(graph: &Arc<Graph>) {
    let of = |csr: &'static Csr| Adjacency { offsets: &csr.offsets, targets: &csr.targets };
    let graph: &'static Graph = Box::leak(Box::new(Graph::clone(graph)));
    let bipartite = Bipartite { left: of(&graph.forward), right: of(&graph.backward) };
    let components = Components::new(bipartite);
    let tail = Tail { half_steps: 5, gammas: Arc::new([[[0.3, 0.0]; BUCKETS]; LEVELS.len()]) };
    let method = Method::Truncated { tail, exact_edges: 0 };
    let walk = Walk { restart: 0.15, top_k: 100, exclude_seen: true };
    let seeds: Vec<u32> = (0..SEEDS).map(|seed| seed * graph.left.len() as u32 / SEEDS).collect();
    let mut scratch = SeededScratch::default();
    counted(|| black_box(top_k(bipartite, &components, walk, &method, &seeds, &mut scratch)).len());
}

/// What valgrind counts: the frame is found by its name.
#[inline(never)]
fn counted(work: impl FnOnce() -> usize) {
    black_box(work());
}

/// The items that the cost of `unit` is counted in.
fn items(graph: &Graph, unit: &str) -> u64 {
    let degrees = (0..graph.left.len() as u32).map(|left| graph.forward.degree(left) as u64);
    match unit {
        "wedge" => degrees.map(|degree| degree * degree).sum(),
        "seed and edge" => u64::from(SEEDS) * graph.edges() as u64,
        _ => 2 * 20 * graph.edges() as u64,
    }
}

/// Runs this program with `kernel` under valgrind and gives the instructions.
fn count(kernel: &str) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"])
        .arg(program)
        .args(["run", kernel])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let (_, count) = text.split_once("Collected : ")?;
    count.split_whitespace().next()?.parse().ok()
}

/// The compiler, as it names itself.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(
        |_| "an unknown compiler".to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_string(),
    )
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (lefts, rights, edges) = SIZE;
    let graph = graphs::synthetic(lefts, rights, edges);
    if let [run, kernel] = args.as_slice()
        && run == "run"
    {
        KERNELS.iter().filter(|(name, ..)| name == kernel).for_each(|(.., run)| run(&graph));
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/table.tsv");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let mut table = format!(
        "# Instructions of the kernels, by `cargo bench --bench instructions -- write` with {}\n\
         kernel\tinstructions\tper\tinstructions per item\n",
        compiler()
    );
    let mut off = Vec::new();
    for (name, unit, _) in KERNELS {
        let Some(found) = count(name) else {
            println!("{name}: valgrind gave no count; is it installed?");
            return ExitCode::FAILURE;
        };
        let per_item = found as f64 / items(&graph, unit) as f64;
        writeln!(table, "{name}\t{found}\t{unit}\t{per_item:.2}").expect("a string takes all");
        let row = known.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        let expected = row.and_then(|row| row.split('\t').next()?.parse::<f64>().ok());
        let change = expected.map_or(f64::INFINITY, |expected| found as f64 / expected - 1.0);
        println!("{name}: {found} instructions, {per_item:.2} per {unit}, {:+.1}%", 100.0 * change);
        if change.abs() > TOLERANCE {
            off.push(name);
        }
    }
    match args.first().map(String::as_str) {
        Some("write") => std::fs::write(&path, table).expect("the table can be written"),
        Some("check") if !off.is_empty() => {
            println!(
                "More than {:.0}% from benches/instructions/table.tsv: {}. If that is meant, or the \
                 compiler has changed, write the table anew and say why.",
                100.0 * TOLERANCE,
                off.join(", ")
            );
            return ExitCode::FAILURE;
        }
        _ => {}
    }
    ExitCode::SUCCESS
}
