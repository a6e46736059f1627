//! personalized_pagerank: 256 seeds, without the calibration that a job pays once.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use pingraph::graph::Graph;
use pingraph::signals::{Registry, RowSource, Scratch, Step};

use super::SIZES;
use super::graphs::synthetic;
use super::per_item::PerItem;

/// Seeds a pass over the rows.
const SEEDS: usize = 256;

/// Job files' parameters to measure.
const VARIANTS: [(&str, &str); 3] = [
    ("fast", "accuracy = \"fast\""),
    ("0.99", "accuracy = 0.99"),
    ("exact", "accuracy = \"exact\""),
];

/// Nanoseconds per seed for each size and accuracy.
pub fn bench(criterion: &mut Criterion<PerItem>) {
    let mut group = criterion.benchmark_group("seeded, per seed");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SEEDS as u64));
    for (size, lefts, rights, edges) in SIZES {
        let graph = synthetic(lefts, rights, edges);
        let seeds: Vec<u32> = (0..SEEDS).map(|seed| (seed * lefts / SEEDS) as u32).collect();
        for (variant, params) in VARIANTS {
            let mut scratch = Scratch::default();
            let source = rows(&graph, params, &mut scratch);
            group.bench_function(BenchmarkId::new(variant, size), |bencher| {
                bencher.iter(|| black_box(source.rows(0, &seeds, &mut scratch)));
            });
        }
    }
    group.finish();
}

/// Configures and calibrates.
fn rows(graph: &Arc<Graph>, params: &str, scratch: &mut Scratch) -> Arc<dyn RowSource> {
    let registry = Registry::default();
    let params = params.parse().expect("the parameters are TOML");
    let signal = registry.find("personalized_pagerank").expect("the signal is registered");
    let feature = signal.configure("bench", params).expect("the parameters are valid");
    let mut step = feature.start(Arc::clone(graph), &[]);
    loop {
        match step {
            Step::Rows(source) => return source,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, scratch)).collect();
                step = stage.next(parts);
            }
        }
    }
}
