//! Text keys, events with a weight of their own and seeds from a file, from CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::support::{
    AS_OF_US, Event, TOPOLOGIES, Topology, assert_same, job_from, note, published, run, zipf_events,
};

const DAY_US: i64 = 86_400_000_000;

/// Signals that read keys or weights, each in another way.
const FEATURES: &str = r#"
[features.related.co_engagement]
user_discount = "log"
[features.walk.personalized_pagerank]
top_k = 20
[features.rank.pagerank]
[features.popular.popularity]
side = "both"
[features.degrees.degree]
"#;

/// The key of a user. Its order as text is not the order of the numbers.
fn user(number: i64) -> String {
    format!("user-{number}")
}

/// Writes `events` as CSV into `files` files of `folder`, dealt out one by one. Weights repeat
/// after 9 events, and some are thirds, whose sum in floating point would depend on the order.
fn write_csv(folder: &Path, events: &[Event], files: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let mut texts = vec!["user_id,pin_id,action,event_time,worth\n".to_string(); files];
    for (index, (left, pin, action, time)) in events.iter().enumerate() {
        let (key, worth) = (user(*left), (index % 9) as f64 / 3.0);
        writeln!(texts[index % files], "{key},\"pin {pin}\",{action},{time},{worth}").unwrap();
    }
    for (file, text) in texts.iter().enumerate() {
        std::fs::write(folder.join(format!("events-{file:02}.csv")), text).unwrap();
    }
}

/// What `[source]` and `[columns]` say, with or without the weights.
fn source(input: &Path, weight: &str) -> String {
    format!(
        r#"
[source.csv]
path = {input:?}
[columns]
left = "user_id"
right = "pin_id"
action = "action"
time = "event_time"
{weight}
"#
    )
}

/// A file of every ninth user with a save and one that no event has; gives how many users there are in it.
fn write_seeds(path: &Path, events: &[Event]) -> u64 {
    let saved = events.iter().filter(|event| event.2 == "save").map(|event| event.0);
    let users: BTreeSet<i64> = saved.collect();
    let mut text = "nobody\n".to_string();
    let chosen = users.iter().step_by(9);
    chosen.clone().for_each(|&number| writeln!(text, "{}", user(number)).unwrap());
    std::fs::write(path, text).unwrap();
    chosen.count() as u64
}

#[test]
fn text_keys_weights_and_a_file_of_seeds_give_the_same_bytes_on_any_topology_and_files() {
    // Within the window and never hidden, so that every user with a save is in the graph.
    let mut events = zipf_events(500, 400, 12_000);
    events.retain(|event| event.2 != "hide" && (1..=90 * DAY_US).contains(&(AS_OF_US - event.3)));
    let folder = tempfile::tempdir().unwrap();
    let seeds = folder.path().join("seeds.txt");
    let known = write_seeds(&seeds, &events);
    let features = format!(
        "{FEATURES}\n[features.seeded.personalized_pagerank]\ntop_k = 20\nseeds_file = {seeds:?}\n"
    );
    let publish = |input: &Path, weight: &str, topology: Topology| {
        let out = tempfile::tempdir().unwrap();
        let report = run(&job_from(&source(input, weight), out.path(), &features), topology);
        assert!(report.edges > 3_000, "{} edges", report.edges);
        let seeded = report.features.iter().find(|feature| feature.table == "seeded").unwrap();
        assert_eq!(seeded.rows, known);
        assert_eq!(note(&report, "seeded", "unknown_seeds"), "1");
        published(out.path())
    };
    let mut first: Option<BTreeMap<PathBuf, Vec<u8>>> = None;
    for files in [1, 5] {
        let input = folder.path().join(format!("in{files}"));
        write_csv(&input, &events, files);
        for topology in TOPOLOGIES {
            let result = publish(&input, "weight = \"worth\"", topology);
            let first = first.get_or_insert_with(|| result.clone());
            assert_same(&format!("{files} files, {topology:?}"), first, &result);
        }
    }
    // The weights were read: without them, sums of weights are others, and nothing else is.
    let plain = publish(&folder.path().join("in1"), "", (1, 2));
    for (path, bytes) in &first.unwrap() {
        let table = path.to_str().unwrap();
        let weighs = table.starts_with("popular") || table.starts_with("degrees");
        assert_eq!(bytes != &plain[path], weighs, "{}", path.display());
    }
}
