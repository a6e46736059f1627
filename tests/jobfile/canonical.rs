//! The text that a run's id is made of changes if and only if features can change.

use crate::example::EXAMPLE;
use crate::support::{load, load_with};

fn canonical(set: &[&str], as_of: Option<&str>) -> String {
    load_with(EXAMPLE, set, as_of).unwrap().canonical
}

#[test]
fn it_stays_the_same_where_features_do() {
    let canonical_text = canonical(&[], None);
    for set in [
        "job.name=other",
        "job.rejects_max=0.5",
        "sink.parquet.path=out/other",
        "graph.left=user",
        "graph.window=2160h",
        "graph.actions.save=1",
        "job.as_of=2026-11-01",
        // The default of a parameter, said.
        "features.related_v1.co_engagement.top_k=50",
    ] {
        assert_eq!(canonical(&[set], None), canonical_text, "{set}");
    }
    let reordered = EXAMPLE.replace(
        "measure = \"cosine\"\ntop_k = 50",
        "# a comment\ntop_k = 50\nmeasure = \"cosine\"",
    );
    assert_eq!(load(&reordered).unwrap().canonical, canonical_text);
    let default_said = EXAMPLE.replace("top_k = 50\n", "");
    assert_eq!(load(&default_said).unwrap().canonical, canonical_text);
}

#[test]
fn it_changes_where_features_can() {
    let mut seen = std::collections::BTreeSet::from([canonical(&[], None)]);
    for set in [
        "source.parquet.path=elsewhere",
        "columns.left=owner",
        "columns.right=board",
        "columns.action=kind",
        "columns.time=ts",
        "columns.weight=w",
        "columns.time_unit=s",
        "columns.left_type=utf8",
        "columns.right_type=utf8",
        "graph.left=viewer",
        "graph.right=item",
        "graph.window=91d",
        "graph.half_life=31d",
        "graph.left_degree_max=999",
        "graph.left_degree_min=1",
        "graph.right_degree_min=1",
        "graph.actions.save=0.9",
        "graph.actions.save=remove",
        "graph.actions.click=0.5",
        "features.related_v1.co_engagement.top_k=51",
        "features.related_v2.co_engagement.top_k=50",
    ] {
        assert!(seen.insert(canonical(&[set], None)), "{set}");
    }
    assert!(seen.insert(canonical(&[], Some("2026-10-31"))));
}
