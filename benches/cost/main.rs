//! Fits the constants of `src/job/cost.rs` on the machine at hand, and compares what they predict with
//! what is measured.
//!
//!     cargo bench --bench cost -- fit DIR ...      measures the built-in graphs and those of the folders,
//!                                                  and prints the constants, and how well they fit
//!     cargo bench --bench cost -- check DIR ...    measures the folders, predicts them by the constants of the
//!                                                  source, and prints growth from the first
//!
//! A DIR holds `csr.bin`, `seeds.i64` and `edges.parquet` (`user_id`, `pin_id`) as benches/peers/compare.py makes
//! them, and perhaps `repeated.parquet` with times (`ts`). Everything runs on one thread; a figure is CPU time, the
//! median of ROUNDS (an environment variable, 3 by default). Half-steps are those that the calibration took.
//! ONLY=two_hop,ingest leaves out the other kernels (seeded, propagate).

// It prints its result, and a measurement that fails leaves nothing to report.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

#[path = "../peers/common.rs"]
#[allow(dead_code)]
mod common;
mod fit;
#[path = "../kernels/graphs.rs"]
#[allow(dead_code)]
mod graphs;
mod measure;

use std::path::Path;

use common::Outcome;
use measure::Point;
use pingraph::job::cost::{Costs, total};

/// Name, left nodes, right nodes and drawn edges of the built-in graphs. They are chosen so that each
/// constant weighs in one of them: counters, key tables and lanes inside and outside of each cache, rows that
/// list their columns and rows that do not.
const GRAPHS: [(&str, usize, usize, usize); 8] = [
    ("dense", 4_000, 6_000, 800_000),
    ("small", 20_000, 8_000, 400_000),
    ("square", 60_000, 60_000, 1_000_000),
    ("tall", 500_000, 20_000, 2_000_000),
    ("wide", 100_000, 700_000, 2_000_000),
    ("heavy", 15_000, 300_000, 1_000_000),
    ("large", 1_200_000, 900_000, 6_000_000),
    ("long", 1_500_000, 300_000, 20_000_000),
];

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["fit", folders @ ..] => fit(folders),
        ["check", folders @ ..] => check(folders),
        // `cargo test --benches` and `cargo bench` run every target without arguments of ours.
        _ => {
            println!("usage: see the head of benches/cost/main.rs");
            Ok(())
        }
    }
}

fn fit(folders: &[&str]) -> Outcome<()> {
    let mut points = Vec::new();
    for (name, lefts, rights, edges) in GRAPHS {
        points.extend(measure::synthetic(name, lefts, rights, edges)?);
    }
    for folder in folders {
        points.extend(measure::folder(Path::new(folder))?);
    }
    for kernel in
        ["ingest", "two_hop", "seeded", "propagate"].into_iter().filter(|k| measure::wanted(k))
    {
        let of: Vec<&Point> = points.iter().filter(|point| point.kernel == kernel).collect();
        let constants = fit::nonnegative(&of);
        println!("\n{kernel}");
        for ((what, _), each) in of[0].counts.iter().zip(&constants) {
            println!("    {}: {each:.3},", what.replace(' ', "_"));
        }
        for point in of {
            let predicted: f64 =
                point.counts.iter().zip(&constants).map(|((_, count), each)| count * each).sum();
            print_point(point, predicted);
        }
    }
    Ok(())
}

/// Predicted and measured nanoseconds an item of each kernel and folder, and how both grow from the first
/// folder.
fn check(folders: &[&str]) -> Outcome<()> {
    let mut first: Vec<(String, f64, f64)> = Vec::new();
    for folder in folders {
        for point in measure::folder(Path::new(folder))? {
            let predicted = total(&(point.terms)(&Costs::default()));
            print_point(&point, predicted);
            let key = format!("{} {}", point.kernel, point.variant);
            let (per_item, measured) = (predicted / point.items, point.ns / point.items);
            match first.iter().find(|(other, _, _)| *other == key) {
                Some((_, from, from_measured)) => println!(
                    "        growth: predicted {:.2}, measured {:.2}, ratio {:.2}",
                    per_item / from,
                    measured / from_measured,
                    per_item / from / (measured / from_measured),
                ),
                None => first.push((key, per_item, measured)),
            }
        }
    }
    Ok(())
}

fn print_point(point: &Point, predicted: f64) {
    println!(
        "    {:10} {:28} {:>10.3} ns {} (predicted {:.3}, ratio {:.2})",
        point.kernel,
        format!("{}, {}", point.graph, point.variant),
        point.ns / point.items,
        point.item,
        predicted / point.items,
        predicted / point.ns,
    );
}
