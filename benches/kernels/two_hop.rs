//! co_engagement: relabelling and every row, on one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use pingraph::model::Side;
use pingraph::signals::Registry;

use super::SIZES;
use super::graphs::{rows, synthetic};
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
                bencher.iter(|| black_box(rows(&*feature, &graph, Side::Right)));
            });
        }
    }
    group.finish();
}
