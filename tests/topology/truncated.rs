//! Personalized PageRank by truncated walks, which the other families never reach: components as
//! small as theirs are walked to convergence.

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
