//! The whole job, from generated events to published files, on two workers.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use pingraph::engine::Workers;
use pingraph::job::Job;

use super::per_item::PerItem;

/// Name and spec of each size; `cargo bench` makes the events anew in every run.
const SPECS: [(&str, &str); 3] =
    [("sample", "sample"), ("small", "small_heavy"), ("medium", "medium_heavy")];

/// Nanoseconds per event for each size: related pins by cosine, with popularity.
pub fn bench(criterion: &mut Criterion<PerItem>) {
    let mut group = criterion.benchmark_group("job, per event");
    group.sample_size(10);
    for (size, spec) in SPECS {
        let out = tempfile::tempdir().expect("a temporary folder");
        let spec = format!("spec = \"datasets/specs/{spec}.toml\"");
        let job = Job::builder()
            .name("bench")
            .as_of("2026-11-01T00:00:00Z")
            .synthetic(spec.parse().expect("the spec is TOML"))
            .window("90d")
            .feature("related_v1", "co_engagement", toml::Table::new())
            .feature("popularity_v1", "popularity", toml::Table::new())
            .out(out.path())
            .build()
            .expect("the job is valid");
        let run = || pingraph::run(&job, Workers::threads(2)).expect("the job runs");
        group.throughput(Throughput::Elements(run().scan.rows_admitted));
        group.bench_function(BenchmarkId::new("related pins", size), |bencher| {
            bencher.iter(|| black_box(run()));
        });
    }
    group.finish();
}
