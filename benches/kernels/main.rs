//! Every kernel on synthetic graphs of three sizes: `cargo bench --bench kernels [-- FILTER]`.
//!
//! Throughput is printed as nanoseconds per item; the name of the group says what an item is.

// A benchmark that cannot be set up has nothing better to do than to say so and stop.
#![allow(clippy::expect_used)]

mod graphs;
mod ingest;
mod job;
mod per_item;
mod propagate;
mod seeded;
mod two_hop;

use criterion::Criterion;

/// Name, left nodes, right nodes and drawn edges of each size.
pub const SIZES: [(&str, usize, usize, usize); 3] = [
    ("small", 2_000, 1_000, 40_000),
    ("medium", 50_000, 20_000, 1_000_000),
    ("large", 100_000, 50_000, 3_000_000),
];

fn main() {
    let mut criterion =
        Criterion::default().with_measurement(per_item::PerItem).configure_from_args();
    ingest::bench(&mut criterion);
    two_hop::bench(&mut criterion);
    propagate::bench(&mut criterion);
    seeded::bench(&mut criterion);
    job::bench(&mut criterion);
    criterion.final_summary();
}
