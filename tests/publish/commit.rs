//! The commit and everything that must not be left behind.

use std::fs;
use std::path::Path;

use pingraph::ErrorKind;
use pingraph::model::Reject;
use pingraph::sink::{Manifest, Output, Scalar, write_rejects};

use crate::support::{
    AS_OF_US, PARTITION, RUN_ID, Seen, full_rows, full_table, int_keys, look, manifest, publish,
    stage, tree, write_part,
};

#[test]
fn a_commit_publishes_whole_partitions_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let paths = publish(root.path(), &["b_table", "a_table"], 1).unwrap();
    assert_eq!(
        paths,
        [root.path().join("a_table").join(PARTITION), root.path().join("b_table").join(PARTITION)]
    );
    for path in &paths {
        assert_eq!(look(path), Ok(Seen::Whole(1)));
    }
    let mut expected = Vec::new();
    for table in ["a_table", "b_table"] {
        expected.push(table.to_string());
        expected.push(format!("{table}/{PARTITION}"));
        let run = &RUN_ID[..8];
        let parts = [0, 1].map(|part| format!("part-{part:05}-{run}.parquet"));
        for name in ["_SUCCESS", "_manifest.json", &parts[0], &parts[1]] {
            expected.push(format!("{table}/{PARTITION}/{name}"));
        }
    }
    assert_eq!(tree(root.path()), expected);
}

#[test]
fn a_rerun_replaces_its_own_partition_only() {
    let root = tempfile::tempdir().unwrap();
    publish(root.path(), &["a_table", "b_table"], 1).unwrap();
    let day_us = 86_400_000_000;
    let later = Output::open(root.path(), AS_OF_US + day_us, RUN_ID).unwrap();
    let manifests = stage(&later, &["a_table"], 2).unwrap();
    later.commit(manifests).unwrap();
    publish(root.path(), &["a_table"], 3).unwrap();
    let at = |path: &str| look(&root.path().join(path));
    assert_eq!(at("a_table/dt=2026-11-01"), Ok(Seen::Whole(3)));
    assert_eq!(at("a_table/dt=2026-11-02"), Ok(Seen::Whole(2)));
    assert_eq!(at("b_table/dt=2026-11-01"), Ok(Seen::Whole(1)));
    assert!(!root.path().join("_tmp").exists());
}

#[test]
fn a_run_that_is_dropped_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("out/related_pins");
    let output = Output::open(&root, AS_OF_US, RUN_ID).unwrap();
    stage(&output, &["a_table"], 1).unwrap();
    drop(output);
    assert_eq!(tree(parent.path()), Vec::<String>::new());

    publish(&root, &["a_table"], 1).unwrap();
    let before = tree(&root);
    let output = Output::open(&root, AS_OF_US, RUN_ID).unwrap();
    stage(&output, &["a_table", "b_table"], 2).unwrap();
    drop(output);
    assert_eq!(tree(&root), before);
    assert_eq!(look(&root.join("a_table").join(PARTITION)), Ok(Seen::Whole(1)));
}

#[test]
fn the_second_of_two_runs_fails_clearly_and_harms_nothing() {
    let root = tempfile::tempdir().unwrap();
    let first = Output::open(root.path(), AS_OF_US, RUN_ID).unwrap();
    let manifests = stage(&first, &["a_table"], 1).unwrap();
    for run_id in [RUN_ID, "another"] {
        let error = Output::open(root.path(), AS_OF_US, run_id).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Publish);
        let line = error.to_string();
        let pid = std::process::id();
        let what = format!("dt=2026-11-01 is being published by another run (pid {pid})");
        assert!(line.contains(&what), "{line}");
        assert!(error.remedy.is_some() && !line.contains('\n'), "{line}");
    }
    // Another date is another partition.
    let other = Output::open(root.path(), AS_OF_US + 86_400_000_000, RUN_ID).unwrap();
    drop(other);
    first.commit(manifests).unwrap();
    assert_eq!(look(&root.path().join("a_table").join(PARTITION)), Ok(Seen::Whole(1)));
    Output::open(root.path(), AS_OF_US, RUN_ID).unwrap();
}

#[test]
fn staging_of_dead_runs_of_any_date_is_removed_and_of_live_runs_kept() {
    let root = tempfile::tempdir().unwrap();
    let tmp = root.path().join("_tmp");
    let live = Output::open(root.path(), AS_OF_US + 86_400_000_000, "live").unwrap();
    let manifests = stage(&live, &["a_table"], 5).unwrap();
    for dead in ["dt=2026-11-01.dead", "dt=2026-10-01.dead"] {
        fs::create_dir_all(tmp.join(dead).join("a_table")).unwrap();
        fs::write(tmp.join(dead).join("a_table/part-00000.parquet"), b"cut off").unwrap();
    }
    fs::write(tmp.join("dt=2026-10-01.lock"), b"1\n").unwrap();
    fs::write(tmp.join("dt=2026-11-01.journal.tmp"), b"{").unwrap();
    drop(Output::open(root.path(), AS_OF_US, RUN_ID).unwrap());
    let left = tree(root.path());
    assert!(left.iter().all(|path| !path.contains("2026-10") && !path.contains("-11-01")));
    live.commit(manifests).unwrap();
    assert_eq!(look(&root.path().join("a_table/dt=2026-11-02")), Ok(Seen::Whole(5)));
    assert!(!tmp.exists());
}

#[test]
fn manifests_must_be_those_of_the_staged_files() {
    let root = tempfile::tempdir().unwrap();
    let missing = |manifests: &mut Vec<Manifest>| manifests.truncate(1);
    let twice = |manifests: &mut Vec<Manifest>| manifests.push(manifests[0].clone());
    let file = |manifests: &mut Vec<Manifest>| manifests[0].files.truncate(1);
    let changes: [fn(&mut Vec<Manifest>); 3] = [missing, twice, file];
    for change in changes {
        let output = Output::open(root.path(), AS_OF_US, RUN_ID).unwrap();
        let mut manifests = stage(&output, &["a_table", "b_table"], 1).unwrap();
        change(&mut manifests);
        assert_eq!(output.commit(manifests).unwrap_err().kind, ErrorKind::Engine);
        assert_eq!(tree(root.path()), Vec::<String>::new());
    }
}

#[test]
fn names_that_would_leave_the_root_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let output = Output::open(root.path(), AS_OF_US, RUN_ID).unwrap();
    for name in ["", "..", "a/b", "_tmp", "a.b", "a\nb"] {
        assert!(output.staging().part_path(name, 0).is_err(), "{name:?}");
    }
    let part = output.staging().part_path("related_v1", 0).unwrap();
    let run = &RUN_ID[..8];
    assert!(part.ends_with(format!("related_v1/part-00000-{run}.parquet")));
    assert!(Output::open(root.path(), AS_OF_US, "../x").is_err());
}

#[test]
fn an_empty_table_is_a_valid_partition() {
    let root = tempfile::tempdir().unwrap();
    let output = Output::open(root.path(), AS_OF_US, RUN_ID).unwrap();
    let table = full_table("empty");
    let context = crate::support::context(int_keys(0), int_keys(0), AS_OF_US);
    let path = output.staging().part_path("empty", 0).unwrap();
    let part = write_part(&path, &table, &context, &[full_rows(0..0, 1, 0)]).unwrap();
    output.commit(vec![manifest(&table, vec![part], RUN_ID, 9)]).unwrap();
    let partition = root.path().join("empty").join(PARTITION);
    assert_eq!(look(&partition), Ok(Seen::Whole(9)));
    let manifest = read_manifest(&partition);
    assert_eq!((manifest.rows, manifest.columns.len()), (0, 10));
    assert!(manifest.columns.iter().all(|column| column.min.is_none() && column.mean.is_none()));
}

#[test]
fn the_manifest_says_what_was_published() {
    let root = tempfile::tempdir().unwrap();
    let paths = publish(root.path(), &["a_table"], 4).unwrap();
    let manifest = read_manifest(&paths[0]);
    assert_eq!(manifest.rows, 300);
    assert_eq!(manifest.as_of, "2026-11-01T00:00:00Z");
    assert_eq!(manifest.created, "2026-11-01T00:00:00.000004Z");
    assert_eq!(manifest.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [150, 150]);
    let column = |name: &str| manifest.columns.iter().find(|c| c.name == name).unwrap();
    let key = column("pin_id");
    assert_eq!(
        (key.min.clone(), key.max.clone()),
        (Some(Scalar::Int(10)), Some(Scalar::Int(3000)))
    );
    assert_eq!(key.distinct.map(|d| (d.count, d.exact)), Some((300, true)));
    let ages = column("last_event_age_us");
    assert_eq!((ages.nulls, ages.type_name.as_str()), (100, "int64"));
    let lists = column("related_pin_scores");
    let lengths = lists.lengths.unwrap();
    assert_eq!((lengths.min, lengths.max, lengths.empty), (0, 6, 43));
    assert_eq!(
        (lists.type_name.as_str(), lists.doc.as_str()),
        ("list<item: float>", "The related_pin_scores.")
    );
    let counts = column("related_pin_counts");
    assert_eq!(
        (counts.min.clone(), counts.max.clone()),
        (Some(Scalar::Int(-2)), Some(Scalar::Int(3)))
    );
    assert_eq!(counts.distinct.map(|d| (d.count, d.exact)), Some((6, false)));
}

#[test]
fn rejects_are_sorted_and_replaced_by_a_rerun() {
    let root = tempfile::tempdir().unwrap();
    let reject = |path: &str, position, reason: &str| Reject {
        path: path.into(),
        position,
        column: "user_id".into(),
        reason: reason.into(),
        value: "a \"quoted\"\nvalue".into(),
    };
    let shuffled = [
        reject("b.csv", 2, "null key"),
        reject("a.csv", 10, "null key"),
        reject("a.csv", 9, "not a number"),
    ];
    let path = write_rejects(root.path(), AS_OF_US, RUN_ID, &shuffled).unwrap();
    assert_eq!(path, root.path().join("_rejects/dt=2026-11-01").join(format!("{RUN_ID}.jsonl")));
    let lines = read_lines(&path);
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["path"].as_str().unwrap(), line["position"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, [("a.csv", 9), ("a.csv", 10), ("b.csv", 2)]);
    assert_eq!(lines[0]["reason"], "not a number");
    assert_eq!(lines[0]["value"], "a \"quoted\"\nvalue");
    write_rejects(root.path(), AS_OF_US, RUN_ID, &shuffled[..1]).unwrap();
    assert_eq!(read_lines(&path).len(), 1);
    assert_eq!(tree(root.path()).len(), 3);
}

fn read_manifest(partition: &Path) -> Manifest {
    serde_json::from_slice(&fs::read(partition.join("_manifest.json")).unwrap()).unwrap()
}

fn read_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
