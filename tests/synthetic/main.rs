//! The synthetic source, the data sets made with it, and the commands that write and inspect them.
//!
//! | family | what it would catch |
//! |---|---|
//! | generator | events that depend on the split; shapes, communities or actions that are not the spec's |
//! | visibility | rows miscounted, or an event at or after `as_of` let in |
//! | files | bytes that change from run to run; a half-written folder; the committed sample out of date |
//! | tiny | an expected value that was derived wrongly by hand |
//! | manifests | a job snippet with a key that no job file has |
//! | inspect | a wrong count in the report, a plot without its text |

// A test may panic anywhere, not only inside the functions that clippy knows to be tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

mod files;
mod generator;
mod inspect;
mod manifests;
mod tiny;
mod visibility;

use std::collections::BTreeSet;

use pingraph::model::{Columns, EventBatch, Reject, ScanRequest, ScanStats};
use pingraph::source::{EventSink, ScanPlan, Source, SyntheticSource, SyntheticSpec};

/// A sink that keeps everything.
#[derive(Default)]
struct Kept {
    batches: Vec<EventBatch>,
    rows: u64,
}

impl EventSink for Kept {
    fn events(&mut self, batch: EventBatch) {
        self.batches.push(batch);
    }
    fn reject(&mut self, reject: Reject) {
        panic!("rejected {reject:?}");
    }
    fn advance(&mut self, rows: u64) -> bool {
        self.rows += rows;
        true
    }
}

impl Kept {
    /// All events as text, in the order in which they came.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.len() {
                let age = batch.age_action.get(row);
                lines.push(format!("{} {} {age:?}", batch.left.get(row), batch.right.get(row)));
            }
        }
        lines
    }
}

/// A request for everything that the source has.
fn request() -> ScanRequest {
    ScanRequest {
        columns: Columns {
            left: "user_id".into(),
            right: "pin_id".into(),
            action: None,
            time: Some("event_time".into()),
            time_unit: None,
            weight: None,
            left_type: None,
            right_type: None,
        },
        as_of_us: pingraph::model::parse_timestamp("2026-11-01").unwrap(),
        window_us: None,
        actions: Vec::new(),
        keep_age_action: true,
    }
}

/// Reads all splits of `plan` in order.
fn read(source: &dyn Source, request: &ScanRequest, plan: &ScanPlan) -> (Kept, ScanStats) {
    let mut kept = Kept::default();
    let mut stats = ScanStats::default();
    for split in 0..plan.splits.len() {
        stats.add(&source.read(request, plan, split, &mut kept).unwrap());
    }
    (kept, stats)
}

fn source(spec: SyntheticSpec) -> SyntheticSource {
    SyntheticSource::new(spec).unwrap()
}

/// What the command printed, or its exit code and error.
fn pingraph<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<String, (i32, String)> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pingraph"));
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.code() {
        Some(0) => Ok(text(output.stdout)),
        code => Err((code.unwrap(), text(output.stderr))),
    }
}

/// Distinct pairs, ascending.
fn edges(source: &SyntheticSource) -> Vec<(u32, u32)> {
    let mut edges = BTreeSet::new();
    source.for_each_event(0..source.spec().lefts, |left, event| {
        edges.insert((left, event.right));
        true
    });
    edges.into_iter().collect()
}

/// The degree of every node that has one, ascending.
fn degrees(nodes: impl Iterator<Item = u32>) -> Vec<f64> {
    let mut counts = std::collections::BTreeMap::<u32, u32>::new();
    for node in nodes {
        *counts.entry(node).or_default() += 1;
    }
    let mut degrees: Vec<f64> = counts.into_values().map(f64::from).collect();
    degrees.sort_by(f64::total_cmp);
    degrees
}

/// The value below which a share `q` of the ascending `values` lies.
fn quantile(values: &[f64], q: f64) -> f64 {
    values[((values.len() - 1) as f64 * q).round() as usize]
}

#[track_caller]
fn assert_near(value: f64, expected: f64, tolerance: f64) {
    let off = (value - expected).abs() / expected;
    assert!(off <= tolerance, "{value} is {off:.3} off {expected}, more than {tolerance}");
}
