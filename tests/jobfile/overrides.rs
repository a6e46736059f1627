//! `--set` and `--as-of`.

use std::path::Path;

use pingraph::model::parse_timestamp;

use crate::example::EXAMPLE;
use crate::support::{SHORT, load_with};

fn error(set: &[&str]) -> String {
    match load_with(SHORT, set, None) {
        Ok(_) => panic!("{set:?} loads"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_key_is_set_changed_and_added() {
    let set = [
        "job.name=other",
        "graph.left_degree_max=7",
        "graph.left_degree_max=8",
        "graph.actions.share=0.5",
        "features.related_v1.co_engagement.top_k=3",
        "features.more_v1.co_engagement.measure=cosine",
        "sink.parquet.path=out/x=y",
        "graph.window = \"30d\"",
    ];
    let job = load_with(EXAMPLE, &set, None).unwrap();
    assert_eq!(job.name, "other");
    assert_eq!(job.graph.left_degree_max, Some(8));
    assert_eq!(job.scan.actions.len(), 4);
    assert_eq!(job.out, Path::new("out/x=y"));
    assert_eq!(job.scan.window_us, Some(30 * 86_400_000_000));
    let params: Vec<_> = job.features.iter().map(|plan| plan.params.as_str()).collect();
    assert_eq!(params, ["measure = \"cosine\"", "measure = \"cosine\", top_k = 3"]);
}

#[test]
fn a_whole_table_is_set() {
    let job = load_with(EXAMPLE, &["graph.actions={save=2, hide=\"remove\"}"], None).unwrap();
    let names: Vec<_> = job.scan.actions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hide", "save"]);
}

#[test]
fn as_of_wins_over_the_file_and_over_set() {
    let set = ["job.as_of=2026-05-05"];
    let job = load_with(SHORT, &set, None).unwrap();
    assert_eq!(Some(job.as_of_us), parse_timestamp("2026-05-05"));
    let job = load_with(SHORT, &set, Some("2026-10-01")).unwrap();
    assert_eq!(Some(job.as_of_us), parse_timestamp("2026-10-01"));
    let without = SHORT.replace("as_of = \"2026-11-01T00:00:00Z\"\n", "");
    assert!(load_with(&without, &[], Some("2026-10-01")).is_ok());
}

#[test]
fn errors_name_the_flag() {
    assert_eq!(
        error(&["graph.windw=30d"]),
        "--set graph.windw=30d: unknown key; did you mean `window`?"
    );
    assert_eq!(
        error(&["graph.window=30d"]),
        "--set graph.window=30d: window needs a time column; set columns.time, or remove window"
    );
    assert_eq!(
        error(&["graph.left_degree_max=many"]),
        "--set graph.left_degree_max=many: expected a whole number of at least 0, found string \
         \"many\""
    );
    assert_eq!(
        error(&["features.related_v1.co_engagement.topk=3"]),
        "--set features.related_v1.co_engagement.topk=3: unknown key; did you mean `top_k`?"
    );
    assert_eq!(
        error(&["features.related_v1.co_engagement.top_k=0"]),
        "--set features.related_v1.co_engagement.top_k=0: 0 is too small; write 1 or more"
    );
    assert_eq!(
        error(&["graph={windw=1}"]),
        "--set graph={windw=1}: unknown key; did you mean `window`?"
    );
    assert_eq!(
        error(&["job.name.x=1"]),
        "--set job.name.x=1: `job.name` is a value and has no keys"
    );
    assert_eq!(
        error(&["graph.window"]),
        "--set graph.window: expected KEY=VALUE; for example --set graph.window=30d"
    );
    assert_eq!(
        error(&["=1"]),
        "--set =1: a key must stand before =; for example --set graph.window=30d"
    );
    assert_eq!(
        error(&["source.csv.path=x"]),
        "--set source.csv.path=x: a second source after source.parquet; a job has one source; \
         remove the others"
    );
    assert_eq!(
        error(&["job.name=${PINGRAPH_NOT_SET}"]),
        "--set job.name=${PINGRAPH_NOT_SET}: environment variable `PINGRAPH_NOT_SET` is not set; \
         set it, or give a default: ${PINGRAPH_NOT_SET:-default}"
    );
    let Err(error) = load_with(SHORT, &[], Some("yesterday")) else { panic!("it loads") };
    assert_eq!(
        error.to_string(),
        "--as-of yesterday: \"yesterday\" is not a time; write ISO 8601, for example \
         2026-11-01T00:00:00Z"
    );
}
