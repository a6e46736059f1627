//! The tiny data set through the whole engine: every published value is the one that
//! datasets/tiny/README.md derives by hand.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pingraph::Workers;
use pingraph::job::{Job, Overrides};

use crate::support::{PARTITION, only_part};

/// How far a value may be from the one derived.
const TOLERANCE: f64 = 1e-6;

/// The rows of `expected/NAME.csv`, without the header.
fn expected(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/datasets/tiny/expected/{name}.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').map(str::to_owned).collect()).collect()
}

/// A published table of one file.
struct Table(RecordBatch);

impl Table {
    fn read(root: &Path, name: &str) -> Table {
        let file = only_part(&root.join(name).join(PARTITION));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.len(), 1, "{name}");
        Table(batches.into_iter().next().unwrap())
    }

    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).unwrap_or_else(|| panic!("no column {name}")).as_ref()
    }

    fn ints(&self, name: &str) -> Vec<i64> {
        self.column(name).as_primitive::<Int64Type>().values().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        self.column(name).as_primitive::<Float64Type>().values().to_vec()
    }

    /// Key, then id and score of each entry of its lists, in order.
    fn lists(&self, key: &str, ids: &str, scores: &str) -> BTreeMap<i64, Vec<(i64, f64)>> {
        let (ids, scores) =
            (self.column(ids).as_list::<i32>(), self.column(scores).as_list::<i32>());
        let entries = |row: usize| {
            let (ids, scores) = (ids.value(row), scores.value(row));
            let ids = ids.as_primitive::<Int64Type>().values().to_vec();
            let scores = scores.as_primitive::<Float32Type>().values().to_vec();
            assert_eq!(ids.len(), scores.len());
            ids.into_iter().zip(scores.into_iter().map(f64::from)).collect()
        };
        self.ints(key).into_iter().enumerate().map(|(row, key)| (key, entries(row))).collect()
    }
}

#[track_caller]
fn assert_close(value: f64, expected: &str) {
    let expected: f64 = expected.parse().unwrap();
    assert!((value - expected).abs() <= TOLERANCE, "{value} is not {expected}");
}

/// Fails unless the lists are those of `rows` of (key, id, score): by descending score, then by
/// ascending id.
#[track_caller]
fn assert_lists(found: &BTreeMap<i64, Vec<(i64, f64)>>, rows: &[[&str; 3]], keys: &[i64]) {
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), keys);
    for (key, entries) in found {
        let mut wanted: Vec<&[&str; 3]> =
            rows.iter().filter(|row| row[0] == key.to_string()).collect();
        let score = |row: &[&str; 3]| row[2].parse::<f64>().unwrap();
        wanted.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a[1].cmp(b[1])));
        let ids: Vec<String> = entries.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, wanted.iter().map(|row| row[1]).collect::<Vec<_>>(), "of {key}");
        for ((_, score), row) in entries.iter().zip(wanted) {
            assert_close(*score, row[2]);
        }
    }
}

/// Runs the job and gives its output's root.
fn run(workers: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let project = env!("CARGO_MANIFEST_DIR");
    let set = vec![
        format!("source.csv.path={project}/datasets/tiny/events.csv"),
        format!("sink.parquet.path={}", folder.path().display()),
    ];
    let overrides = Overrides { as_of: None, set };
    let path = format!("{project}/datasets/tiny/job.toml");
    let job = Job::from_file_with(path, &overrides).unwrap();
    let report = pingraph::run(&job, Workers::threads(workers)).unwrap();
    let scan = &report.scan;
    assert_eq!((scan.rows_read, scan.rows_admitted, scan.rows_rejected), (17, 13, 0));
    assert_eq!((scan.rows_after_as_of, scan.rows_before_window), (2, 1));
    assert_eq!(scan.rows_ignored, BTreeMap::from([("click".to_owned(), 1)]));
    assert_eq!((report.left_nodes, report.right_nodes, report.edges), (4, 3, 8));
    assert_eq!(report.warnings, Vec::<String>::new());
    let signals: Vec<&str> = job.features.iter().map(|plan| plan.signal.as_str()).collect();
    for signal in pingraph::signals::all() {
        assert!(signals.contains(&signal.name()), "the job has no {}", signal.name());
    }
    folder
}

#[test]
fn degree() {
    for workers in [1, 2] {
        let out = run(workers);
        let (rows, edges) = (expected("degree"), expected("edges"));
        for (side, key, column) in [("user", "user_id", 0), ("pin", "pin_id", 1)] {
            let table = Table::read(out.path(), &format!("degree_v1_{side}"));
            let degrees = table.ints(key).into_iter().zip(table.ints("degree"));
            let found: Vec<String> = degrees.map(|(key, d)| format!("{side},{key},{d}")).collect();
            let wanted = rows.iter().filter(|row| row[0] == side).map(|row| row.join(","));
            assert_eq!(found, wanted.collect::<Vec<_>>());
            for (key, weight) in table.ints(key).into_iter().zip(table.floats("weight")) {
                let of_key = edges.iter().filter(|edge| edge[column] == key.to_string());
                let sum: f64 = of_key.map(|edge| edge[2].parse::<f64>().unwrap()).sum();
                assert_close(weight, &sum.to_string());
            }
        }
    }
}

#[test]
fn co_engagement() {
    let rows = expected("co_engagement");
    for workers in [1, 2] {
        let out = run(workers);
        for (measure, column) in [("count", 2), ("cosine", 3), ("jaccard", 4)] {
            let table = Table::read(out.path(), &format!("related_{measure}"));
            let found = table.lists("pin_id", "related_pin_ids", "related_pin_scores");
            let wanted: Vec<[&str; 3]> =
                rows.iter().map(|row| [&*row[0], &*row[1], &*row[column]]).collect();
            assert_lists(&found, &wanted, &[101, 102, 103]);
        }
    }
}

#[test]
fn pagerank() {
    for workers in [1, 2] {
        let out = run(workers);
        let mut rows = expected("pagerank").into_iter();
        for (side, key) in [("user", "user_id"), ("pin", "pin_id")] {
            let table = Table::read(out.path(), &format!("rank_{side}"));
            for (key, value) in table.ints(key).into_iter().zip(table.floats("pagerank")) {
                let row = rows.next().unwrap();
                assert_eq!([row[0].as_str(), &row[1]], [side, &key.to_string()]);
                assert_close(value, &row[2]);
            }
        }
        assert_eq!(rows.next(), None);
    }
}

#[test]
fn personalized_pagerank() {
    let rows = expected("personalized_pagerank");
    let unseen = rows.iter().filter(|row| row[2] == "0");
    let wanted: Vec<[&str; 3]> = unseen.map(|row| [&*row[0], &*row[1], &*row[3]]).collect();
    for workers in [1, 2] {
        let table = Table::read(run(workers).path(), "for_user");
        let found = table.lists("user_id", "pin_ids", "pin_scores");
        assert_lists(&found, &wanted, &[1, 2, 3, 4]);
    }
}

#[test]
fn popularity() {
    for workers in [1, 2] {
        let table = Table::read(run(workers).path(), "popularity_v1");
        let keys = table.ints("pin_id");
        assert_eq!(keys, [101, 102, 103]);
        let rows = expected("popularity");
        assert_eq!(rows.len(), keys.len() * 3 * 4);
        for row in rows {
            let place = keys.iter().position(|key| key.to_string() == row[0]).unwrap();
            let (action, window) = (&row[1], &row[2]);
            let events = table.ints(&format!("{action}_events_{window}"))[place];
            let users = table.ints(&format!("{action}_distinct_users_{window}"))[place];
            assert_eq!([events.to_string(), users.to_string()], row[3..5], "{row:?}");
            assert_close(table.floats(&format!("{action}_weight_{window}"))[place], &row[5]);
        }
        let ages = keys.iter().zip(table.floats("last_event_age_s"));
        for ((key, age), row) in ages.zip(expected("last_event")) {
            assert_eq!(key.to_string(), row[0]);
            assert_close(age, &row[1]);
        }
    }
}
