//! Personalized PageRank by truncated walks, which the other families never reach: components as
//! small as theirs are walked to convergence.

use pingraph::engine::Report;

use crate::support::{TOPOLOGIES, assert_same, job_from, note, published, run};

/// Boards in communities that mix, so that all are one component.
const SOURCE: &str = r#"
[source.synthetic]
lefts = 4_500
rights = 1_200
seed = 23
days = 90
repeat = 0.05
left_degree = { mu = 3.3, sigma = 0.4 }
right_popularity = { mu = 4.3, sigma = 0.8 }
communities = { size = 80, mix = 3, inside = 0.8 }
actions = { closeup = 0.7, save = 0.28, hide = 0.02 }
"#;

/// The same seeds twice, to see that the truncated walks are not the exact ones.
const FEATURES: &str = r#"
[features.walk.personalized_pagerank]
accuracy = 0.99
sample = 48
top_k = 50
[features.exact.personalized_pagerank]
accuracy = "exact"
sample = 48
top_k = 50
"#;

#[test]
fn truncated_walks_give_the_same_bytes_on_every_topology() {
    let mut first = None;
    for topology in TOPOLOGIES {
        let out = tempfile::tempdir().unwrap();
        let report = run(&job_from(SOURCE, out.path(), FEATURES), topology);
        assert!((120_000..150_000).contains(&report.edges), "{} edges", report.edges);
        assert!(report.features.iter().all(|feature| feature.rows == 48));
        // Without these, the test would go on passing on a graph that is walked exactly.
        let method = note(&report, "walk", "method");
        assert!(method.ends_with("half-steps and a fitted tail"), "{method}");
        assert_eq!(note(&report, "exact", "method"), "exact");
        assert_recall_is_noted(&report);
        let result = published(out.path());
        let of = |table: &str| result.iter().find(|(path, _)| path.starts_with(table)).unwrap().1;
        assert!(of("walk") != of("exact"), "no seed was walked by the fitted tail");
        let (figures, bytes) =
            first.get_or_insert_with(|| (report.features.clone(), result.clone()));
        assert_same(&format!("{topology:?}"), bytes, &result);
        for (feature, same) in report.features.iter().zip(figures) {
            assert_eq!(feature.notes, same.notes, "{topology:?}");
        }
    }
}

/// The recall, its confidence interval and how it was reached, in the manifest that a reader of the
/// table finds.
fn assert_recall_is_noted(report: &Report) {
    let walk = report.features.iter().find(|feature| feature.table == "walk").unwrap();
    let text = std::fs::read_to_string(walk.path.join("_manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let noted = |name: &str| {
        let value = manifest["notes"][name].as_str();
        value.unwrap_or_else(|| panic!("no {name} in {}", manifest["notes"])).to_string()
    };
    let number = |text: &str| text.parse::<f64>().unwrap();
    let recall = number(&noted("recall_at_50"));
    let interval = noted("recall_at_50_ci95");
    let (low, high) = interval.split_once(" to ").unwrap();
    let (low, high) = (number(low), number(high));
    let bound = number(&noted("recall_at_50_lower_bound"));
    // 1.645 standard errors below the mean, and 2.04.
    assert!(0.0 <= low && low < bound && bound < recall && recall < high && high <= 1.0, "{text}");
    assert!(bound >= 0.99, "{bound}");
    assert!(((recall - low) / (recall - bound) - 2.0395 / 1.645).abs() < 0.1, "{text}");
    assert_eq!(noted("recall_measured_on"), "32");
    assert!(noted("method").starts_with(&noted("half_steps")), "{text}");
    // "LEAST DEGREE: GAMMA GAMMA, ...", the first bucket from degree 1.
    let gammas = noted("tail_gammas_by_degree");
    assert!(gammas.starts_with("1: "), "{gammas}");
    assert!(gammas.split(", ").all(|bucket| bucket.split(' ').skip(1).count() == 2), "{gammas}");
}
