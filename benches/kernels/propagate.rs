//! PageRank of both sides, 20 iterations, on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use pingraph::model::Side;
use pingraph::signals::Registry;

use super::SIZES;
use super::graphs::{rows, synthetic};
use super::per_item::PerItem;

/// Iterations of a run.
const ITERATIONS: u64 = 20;

/// Nanoseconds per edge, direction and iteration for each size.
pub fn bench(criterion: &mut Criterion<PerItem>) {
    let mut group = criterion.benchmark_group("propagate, per edge, direction and iteration");
    group.sample_size(10);
    for (size, lefts, rights, edges) in SIZES {
        let graph = synthetic(lefts, rights, edges);
        group.throughput(Throughput::Elements(2 * ITERATIONS * graph.edges() as u64));
        let registry = Registry::default();
        let params = format!("iterations = {ITERATIONS}").parse().expect("the parameters are TOML");
        let signal = registry.find("pagerank").expect("the signal is registered");
        let feature = signal.configure("bench", params).expect("the parameters are valid");
        group.bench_function(BenchmarkId::new("pagerank", size), |bencher| {
            bencher.iter(|| black_box(rows(&*feature, &graph, Side::Left)));
        });
    }
    group.finish();
}
