//! Ingestion without reading: from event batches to both adjacencies, on one thread.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use pingraph::graph::{BuildRules, EdgeRules, EventLayout, Needs, build};
use pingraph::model::{
    ActionRule, AgeAction, Columns, EventBatch, FIXED_ONE, KeyType, Keys, ScanRequest, SideNames,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::SIZES;
use super::per_item::PerItem;

/// Events of a batch, as sources deliver them.
const BATCH: usize = 32_768;
/// Events of a range, as the engine cuts them.
const EVENTS_A_RANGE: usize = 1 << 16;
const DAY_US: i64 = 86_400_000_000;

/// What is measured: which columns there are, and what is kept.
const VARIANTS: [(&str, bool, Needs); 3] = [
    ("pairs only", false, Needs { weights: false, events: false }),
    ("decayed weights", true, Needs { weights: true, events: false }),
    ("weights and totals", true, Needs { weights: true, events: true }),
];

/// Nanoseconds per event for each size and variant.
pub fn bench(criterion: &mut Criterion<PerItem>) {
    let mut group = criterion.benchmark_group("ingest, per event");
    group.sample_size(10);
    for (name, timed, needs) in VARIANTS {
        let rules = rules(timed, needs);
        let layout = EventLayout {
            left: KeyType::Int64,
            right: KeyType::Int64,
            age_action: timed,
            weight: false,
        };
        for (size, lefts, rights, events) in SIZES {
            let log = batches(lefts, rights, events, timed);
            group.throughput(Throughput::Elements(events as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                let ranges = events.div_ceil(EVENTS_A_RANGE);
                let run = |log| black_box(build(log, layout, &rules, 1, ranges));
                bencher.iter_batched(|| log.clone(), run, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

/// Two actions, half-life 30 days and a cap of 1,000 if `timed`; else nothing but pairs.
fn rules(timed: bool, needs: Needs) -> BuildRules {
    let columns = Columns {
        left: "user_id".into(),
        right: "pin_id".into(),
        action: timed.then(|| "action".into()),
        time: timed.then(|| "event_time".into()),
        time_unit: None,
        weight: None,
        left_type: None,
        right_type: None,
    };
    let actions = if timed {
        vec![
            ("closeup".into(), ActionRule::Weight(FIXED_ONE / 4)),
            ("save".into(), ActionRule::Weight(FIXED_ONE)),
        ]
    } else {
        Vec::new()
    };
    let request =
        ScanRequest { columns, as_of_us: 0, window_us: None, actions, keep_age_action: timed };
    BuildRules {
        names: SideNames { left: "user".into(), right: "pin".into() },
        edges: EdgeRules::new(&request, timed.then_some(30 * DAY_US), timed.then_some(1000), needs),
        left_degree_min: 1,
        right_degree_min: 1,
    }
}

/// `events` events, heavy-tailed on both sides, with keys that are far apart.
fn batches(lefts: usize, rights: usize, events: usize, timed: bool) -> Vec<EventBatch> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut batches = Vec::new();
    for first in (0..events).step_by(BATCH) {
        let len = BATCH.min(events - first);
        let mut keys = |nodes: usize, stride: i64| {
            let mut key = || {
                let uniform: f64 = random.random();
                (uniform * uniform * nodes as f64) as i64 * stride
            };
            Keys::Int64((0..len).map(|_| key()).collect())
        };
        let (left, right) = (keys(lefts, 7919), keys(rights, 104_729));
        let mut age_action = || {
            let age_us = random.random_range(1..90 * DAY_US) as u64;
            AgeAction::new(age_us, random.random_range(0..2)).0
        };
        let age_action = (0..if timed { len } else { 0 }).map(|_| age_action()).collect();
        batches.push(EventBatch { left, right, age_action, weight: Vec::new() });
    }
    batches
}
