//! Every signal and its variants on every topology and on an input of 1, 3 and 17 files.

use crate::support::{TOPOLOGIES, assert_same, job, published, run, write_events, zipf_events};

/// Each signal of the registry in several variants.
const FEATURES: &str = r#"
[features.cosine.co_engagement]
top_k = 7
[features.jaccard.co_engagement]
measure = "jaccard"
top_k = 500
shrink = 3
[features.count.co_engagement]
measure = "count"
min_count = 2
[features.log_discount.co_engagement]
user_discount = "log"
[features.inverse_discount.co_engagement]
user_discount = "inverse"
[features.walk.personalized_pagerank]
top_k = 20
[features.walk_exact.personalized_pagerank]
top_k = 20
accuracy = "exact"
exclude_seen = false
sample = 50
[features.rank.pagerank]
[features.rank_to_tolerance.pagerank]
iterations = 200
tolerance = 1e-6
[features.popular.popularity]
side = "both"
[features.degrees.degree]
"#;

#[test]
fn every_signal_is_in_the_list() {
    for signal in pingraph::signals::all() {
        assert!(FEATURES.contains(&format!(".{}]", signal.name())), "{}", signal.name());
    }
}

#[test]
fn every_signal_gives_the_same_bytes_on_any_topology_and_files() {
    let events = zipf_events(900, 700, 30_000);
    let folder = tempfile::tempdir().unwrap();
    let mut first = None;
    for files in [1, 3, 17] {
        let input = folder.path().join(format!("in{files}"));
        write_events(&input, &events, files);
        for topology in TOPOLOGIES {
            let out = tempfile::tempdir().unwrap();
            let report = run(&job(&input, out.path(), FEATURES), topology);
            assert!(report.edges > 5_000);
            let result = published(out.path());
            let first = first.get_or_insert_with(|| result.clone());
            assert_same(&format!("{files} files, {topology:?}"), first, &result);
        }
    }
}

#[test]
fn a_graph_without_edges_gives_empty_tables_and_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    // Its actions are the job's, else the job would fail; but its only edge is removed.
    write_events(&input, &[(1, 2, "hide", crate::support::AS_OF_US - 1)], 1);
    for topology in [(1, 1), (1, 3), (2, 1), (3, 2)] {
        let out = tempfile::tempdir().unwrap();
        let report = run(&job(&input, out.path(), FEATURES), topology);
        assert_eq!((report.edges, report.left_nodes, report.right_nodes), (0, 0, 0));
        assert!(report.features.iter().all(|feature| feature.rows == 0 && feature.files == 1));
        assert!(report.warnings.iter().any(|w| w.starts_with("no edge is left")));
        assert_eq!(published(out.path()).len(), report.features.len());
    }
}
