//! co_engagement: relabelling and every row, on one thread.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use pingraph::graph::Graph;
use pingraph::signals::{Feature, Registry, Scratch, Step};

use super::graphs::{SIZES, synthetic};
use super::per_item::PerItem;

/// Job files' parameters to measure.
const VARIANTS: [(&str, &str); 3] = [
    ("cosine", ""),
    ("jaccard", "measure = \"jaccard\"\nshrink = 10"),
    ("log discount", "user_discount = \"log\""),
];

/// Nanoseconds per wedge (path right - left - right) for each size and variant.
pub fn bench(criterion: &mut Criterion<PerItem>) {
    let mut group = criterion.benchmark_group("two_hop, per wedge");
    group.sample_size(10);
    for (size, lefts, rights, edges) in SIZES {
        let graph = synthetic(lefts, rights, edges);
        let degrees = (0..lefts as u32).map(|left| graph.forward.degree(left) as u64);
        group.throughput(Throughput::Elements(degrees.map(|degree| degree * degree).sum()));
        for (variant, params) in VARIANTS {
            let registry = Registry::default();
            let params = params.parse().expect("the parameters are TOML");
            let signal = registry.find("co_engagement").expect("the signal is registered");
            let feature = signal.configure("bench", params).expect("the parameters are valid");
            group.bench_function(BenchmarkId::new(variant, size), |bencher| {
                bencher.iter(|| black_box(rows(&*feature, &graph)));
            });
        }
    }
    group.finish();
}

/// Computes all rows and gives how many related nodes they list.
fn rows(feature: &dyn Feature, graph: &Arc<Graph>) -> usize {
    let mut scratch = Scratch::default();
    let mut step = feature.start(Arc::clone(graph), &[]);
    let source = loop {
        match step {
            Step::Rows(source) => break source,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, &mut scratch)).collect();
                step = stage.next(parts);
            }
        }
    };
    let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
    nodes.chunks(1000).map(|nodes| source.rows(0, nodes, &mut scratch).nodes.len()).sum()
}
