//! What `explain` and `estimate` print.

use clap::Parser;
use pingraph::cli::estimate::{self, EstimateArgs};
use pingraph::cli::explain::{self, ExplainArgs};

use crate::example::EXAMPLE;
use crate::support::load;

#[derive(Parser)]
struct Explain {
    #[command(flatten)]
    args: ExplainArgs,
}

#[derive(Parser)]
struct Estimate {
    #[command(flatten)]
    args: EstimateArgs,
}

fn explained(text: &str) -> String {
    let mut out = Vec::new();
    explain::explain(&load(text).unwrap(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A job of signals that exist, written to a file; the folder lives as long as the test.
fn job_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

const SYNTHETIC: &str = r#"[job]
name = "generated"
as_of = "2026-11-01T00:00:00Z"
[source.synthetic]
lefts = 3_000
rights = 2_000
repeat = 0.0
[features.rank.pagerank]
iterations = 10
[features.related.co_engagement]
[sink.parquet]
"#;

#[test]
fn explain_says_what_the_job_means() {
    let text = explained(&EXAMPLE.replace("co_engagement", "weighted"));
    for line in [
        "job related_pins, as of 2026-11-01T00:00:00Z",
        "  parquet datasets/sample",
        "  columns  left user_id, right pin_id",
        "           weight weight",
        "  events   from 2026-08-03T00:00:00Z to before 2026-11-01T00:00:00Z (90 days)",
        "  rejects  the job fails above 0.2% of the rows",
        "  \"closeup\" weighs 0.25",
        "  \"hide\" removes the edge if it is the pair's latest event",
        "  an event weighs half after 30 days",
        "  a user keeps at most 1000 edges, the most recent",
        "  a pin with fewer than 3 edges is dropped",
        "feature related_v1",
        "  signal weighted",
        "    measure = \"cosine\"",
        "  table related_v1, one row for each pin_id",
        "    pin_score  float32          A score.",
        "  out/elsewhere/TABLE/dt=2026-11-01",
        "   1  read",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing in\n{text}");
    }
    assert!(!text.contains("without effect"), "{text}");
}

#[test]
fn explain_lists_settings_without_effect() {
    let text = explained(EXAMPLE);
    let (_, unused) = text.split_once("without effect\n").unwrap();
    let lines: Vec<&str> = unused.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        lines,
        [
            "  columns.weight: no feature reads weights",
            "  graph.actions: no feature reads weights; an action counts or does not",
            "  graph.half_life: no feature reads weights",
        ]
    );
}

#[test]
fn explain_reads_a_job_file_with_its_overrides() {
    let (_folder, path) = job_file(SYNTHETIC);
    let run = |more: &[&str]| {
        let args = ["explain", &path].into_iter().chain(more.iter().copied());
        let mut out = Vec::new();
        explain::run(&Explain::parse_from(args).args, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = run(&["--set", "graph.right=item", "--as-of", "2026-10-01"]);
    assert!(text.starts_with("job generated, as of 2026-10-01T00:00:00Z\n"), "{text}");
    assert!(text.contains("  user -- item, one edge for each pair that has an event\n"), "{text}");
    assert!(text.contains("    iterations = 10\n    side = \"both\"\n"), "{text}");
    assert!(run(&["--dot"]).starts_with("digraph {"));
}

#[test]
fn estimate_of_a_small_input_is_exact() {
    let (_folder, path) = job_file(SYNTHETIC);
    let mut out = Vec::new();
    estimate::run(&Estimate::parse_from(["estimate", &path, "--workers", "2"]).args, &mut out)
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let line = |start: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
        line.trim_start().trim_start_matches(start).trim().to_owned()
    };
    assert_eq!(line("users"), "3,000", "{text}");
    assert_eq!(line("sampled"), format!("{} rows (100.0%), of which {0} are events", rows(&text)));
    // Without repeats every event is an edge.
    assert_eq!(line("events"), line("edges"), "{text}");
    // Ten iterations take eleven passes over the edges of one side.
    let edges: f64 = line("edges").replace(',', "").parse().unwrap();
    let passed = text.lines().find(|line| line.starts_with("    edge ")).unwrap();
    let passed = passed.rsplit_once(" x ").unwrap().1.replace(',', "").parse::<f64>().unwrap();
    assert!((passed / edges / 11.0 - 1.0).abs() < 0.01, "{text}");
    assert!(text.contains("on 2 workers"), "{text}");
}

/// The number of sampled rows in the text of an estimate.
fn rows(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("  sampled")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}
