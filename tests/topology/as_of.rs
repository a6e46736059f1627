//! Point in time: only what was before `as_of` counts.

use crate::support::{AS_OF_US, job, published, run, write_events};

const FEATURES: &str = r#"
[features.related.co_engagement]
min_count = 1
[features.popular.popularity]
[features.walk.personalized_pagerank]
[features.rank.pagerank]
[features.degrees.degree]
"#;

/// Three users who share two pins, long before `as_of`.
fn base() -> Vec<crate::support::Event> {
    let time = AS_OF_US - 5 * 86_400_000_000;
    vec![(1, 10, "save", time), (1, 20, "save", time), (2, 10, "save", time), (3, 20, "save", time)]
}

fn features_with(extra: &[crate::support::Event]) -> (u64, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    let mut events = base();
    events.extend_from_slice(extra);
    write_events(&input, &events, 1);
    let out = folder.path().join("out");
    let report = run(&job(&input, &out, FEATURES), (1, 2));
    (report.edges, published(&out).into_values().collect())
}

#[test]
fn only_the_event_one_microsecond_before_as_of_counts() {
    let (edges, plain) = features_with(&[]);
    assert_eq!(edges, 4);
    for after in [0, 1] {
        let (edges, features) = features_with(&[(2, 20, "save", AS_OF_US + after)]);
        assert_eq!(edges, 4);
        assert!(features == plain, "an event {after} us after as_of changed a feature");
    }
    let (edges, features) = features_with(&[(2, 20, "save", AS_OF_US - 1)]);
    assert_eq!(edges, 5);
    let changed = features.iter().zip(&plain).filter(|(a, b)| a != b).count();
    assert_eq!(changed, plain.len(), "every table depends on the new edge");
}
