//! The documented example, key by key.

use std::path::Path;

use pingraph::model::{ActionRule, FIXED_ONE, KeyType, TimeUnit, parse_timestamp};

use crate::support::{SHORT, load};

/// The file that issue and documentation show.
pub const EXAMPLE: &str = r#"
[job]
name = "related_pins"
as_of = "2026-11-01T00:00:00Z"
rejects_max = 0.002

[source.parquet]
path = "datasets/sample"

[columns]
left = "user_id"
right = "pin_id"
action = "action"
time = "event_time"
weight = "weight"

[graph]
left = "user"
right = "pin"
window = "90d"
half_life = "30d"
left_degree_max = 1000
left_degree_min = 2
right_degree_min = 3
[graph.actions]
save = 1.0
closeup = 0.25
hide = "remove"

[features.related_v1.co_engagement]
measure = "cosine"
top_k = 50

[sink.parquet]
path = "out/elsewhere"
"#;

const DAY_US: i64 = 86_400_000_000;

#[test]
fn every_key_of_the_example_arrives() {
    let job = load(EXAMPLE).unwrap();
    assert_eq!(job.name, "related_pins");
    assert_eq!(Some(job.as_of_us), parse_timestamp("2026-11-01T00:00:00Z"));
    assert_eq!(job.rejects_max, 0.002);
    assert_eq!(job.source_label, "parquet datasets/sample");
    let columns = &job.scan.columns;
    assert_eq!((columns.left.as_str(), columns.right.as_str()), ("user_id", "pin_id"));
    assert_eq!(columns.action.as_deref(), Some("action"));
    assert_eq!(columns.time.as_deref(), Some("event_time"));
    assert_eq!(columns.weight.as_deref(), Some("weight"));
    assert_eq!((columns.time_unit, columns.left_type, columns.right_type), (None, None, None));
    assert_eq!(job.scan.as_of_us, job.as_of_us);
    assert_eq!(job.scan.window_us, Some(90 * DAY_US));
    let actions = [
        ("closeup".to_owned(), ActionRule::Weight(FIXED_ONE / 4)),
        ("hide".to_owned(), ActionRule::Remove),
        ("save".to_owned(), ActionRule::Weight(FIXED_ONE)),
    ];
    assert_eq!(job.scan.actions, actions);
    assert!(job.scan.keep_age_action);
    assert_eq!((job.graph.names.left.as_str(), job.graph.names.right.as_str()), ("user", "pin"));
    assert_eq!(job.graph.half_life_us, Some(30 * DAY_US));
    assert_eq!(job.graph.left_degree_max, Some(1000));
    assert_eq!((job.graph.left_degree_min, job.graph.right_degree_min), (2, 3));
    assert_eq!(job.out, Path::new("out/elsewhere"));
    let [feature] = job.features.as_slice() else { panic!("one feature") };
    assert_eq!((feature.name.as_str(), feature.signal.as_str()), ("related_v1", "co_engagement"));
    assert_eq!(feature.params, "measure = \"cosine\", top_k = 50");
}

#[test]
fn what_is_left_out_has_its_default() {
    let job = load(SHORT).unwrap();
    assert_eq!(job.rejects_max, 0.001);
    assert_eq!(job.out, Path::new("out/short"));
    assert_eq!((job.scan.window_us, job.graph.half_life_us), (None, None));
    assert_eq!((job.graph.left_degree_max, job.graph.left_degree_min), (None, 1));
    assert_eq!((job.graph.names.left.as_str(), job.graph.names.right.as_str()), ("user", "pin"));
    assert!(job.scan.actions.is_empty());
    assert!(!job.scan.keep_age_action);
}

#[test]
fn the_optional_columns_keys_arrive() {
    let more = "right = \"pin_id\"\ntime = \"t\"\ntime_unit = \"ms\"\nleft_type = \"utf8\"\n\
                right_type = \"int64\"";
    let job = load(&SHORT.replace("right = \"pin_id\"", more)).unwrap();
    assert_eq!(job.scan.columns.time_unit, Some(TimeUnit::Millisecond));
    assert_eq!(job.scan.columns.left_type, Some(KeyType::Utf8));
    assert_eq!(job.scan.columns.right_type, Some(KeyType::Int64));
}

#[test]
fn every_kind_of_source_opens() {
    for (source, label) in [
        ("[source.csv]\npath = \"in/*.tsv.gz\"\ndelimiter = \"\\t\"", "csv in/*.tsv.gz"),
        ("[source.jsonl]\npath = \"in\"", "jsonl in"),
        ("[source.synthetic]\nlefts = 10\nrights = 5", "synthetic"),
    ] {
        let text = SHORT.replace("[source.parquet]\npath = \"datasets/sample\"", source);
        assert_eq!(load(&text).unwrap().source_label, label);
    }
}

#[test]
fn a_synthetic_job_needs_no_columns() {
    let text = SHORT
        .replace("[source.parquet]\npath = \"datasets/sample\"", "[source.synthetic]\nlefts = 10")
        .replace("[columns]\nleft = \"user_id\"\nright = \"pin_id\"\n", "");
    let columns = load(&text).unwrap().scan.columns;
    let expected = pingraph::source::SYNTHETIC_COLUMNS;
    assert_eq!([columns.left.as_str(), columns.right.as_str()], expected[..2]);
    assert_eq!(columns.time.as_deref(), Some(expected[3]));
}

#[test]
fn an_unquoted_time_is_a_time() {
    let text = SHORT.replace("\"2026-11-01T00:00:00Z\"", "2026-11-01T00:00:00Z");
    assert_eq!(load(&text).unwrap().as_of_us, load(SHORT).unwrap().as_of_us);
    let date = SHORT.replace("\"2026-11-01T00:00:00Z\"", "2026-11-01");
    assert_eq!(load(&date).unwrap().as_of_us, load(SHORT).unwrap().as_of_us);
}

#[test]
fn the_age_is_kept_only_where_something_reads_it() {
    let timed = SHORT.replace("right = \"pin_id\"", "right = \"pin_id\"\ntime = \"t\"");
    let acting = timed
        .replace("time = \"t\"", "time = \"t\"\naction = \"a\"")
        .replace("[features", "[graph.actions]\nsave = 1.0\nclick = 0.5\n[features");
    let capped = |text: &str| text.replace("[features", "[graph]\nleft_degree_max = 5\n[features");
    let decayed = |text: &str| text.replace("[features", "[graph]\nhalf_life = \"1d\"\n[features");
    let signal = |text: &str, name: &str| text.replace("co_engagement", name);
    for (text, kept) in [
        (timed.clone(), false),
        (capped(SHORT), false),
        (capped(&timed), true),
        (decayed(&timed), false),
        (decayed(&signal(&timed, "weighted")), true),
        (signal(&timed, "popularity"), true),
        (acting.clone(), false),
        (signal(&acting, "weighted"), true),
        (acting.replace("click = 0.5", "hide = \"remove\""), true),
    ] {
        assert_eq!(load(&text).unwrap().scan.keep_age_action, kept, "{text}");
    }
}

#[test]
fn strings_take_environment_variables() {
    // Cargo sets these for every test.
    let text = SHORT
        .replace("datasets/sample", "${CARGO_PKG_NAME}/${PINGRAPH_NOT_SET:-sample}")
        .replace("\"short\"", "\"${CARGO_PKG_NAME}_$${x}\"");
    assert_eq!(
        crate::support::error(&text),
        "jobs/test.toml, line 2, job.name: \"pingraph_${x}\" is not a plain folder name; use at \
         most 100 letters, digits, `_`, `-` and `.`, and begin with a letter or digit"
    );
    let text = text.replace("_$${x}", "");
    let job = load(&text).unwrap();
    assert_eq!(job.name, "pingraph");
    assert_eq!(job.source_label, "parquet pingraph/sample");
}
