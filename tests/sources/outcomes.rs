//! What becomes of each row, against a judge written row by row.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use arrow_array::{
    BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use pingraph::model::{FIXED_ONE, KeyType, WEIGHT_MAX, format_timestamp};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::harness::*;

#[derive(Clone, Debug)]
struct Row {
    left: Option<i64>,
    right: Option<String>,
    time_us: Option<i64>,
    action: Option<&'static str>,
    weight: Option<f64>,
}

/// Reasons and counts by outcome, and the events.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    events: Vec<Event>,
    reasons: Vec<(String, String)>,
    after: u64,
    before: u64,
    ignored: BTreeMap<String, u64>,
}

fn judge(rows: &[Row]) -> Verdict {
    let mut verdict = Verdict::default();
    for row in rows {
        let bad = if row.left.is_none() {
            Some(("user_id", "null key"))
        } else if row.right.is_none() {
            Some(("pin_id", "null key"))
        } else if row.time_us.is_none() {
            Some(("time", "null time"))
        } else if row.time_us >= Some(9_214_646_400_000_000) {
            Some(("time", "time out of range"))
        } else if row.action.is_none() {
            Some(("action", "null action"))
        } else {
            match row.weight {
                None => Some(("weight", "null weight")),
                Some(weight) if weight < 0.0 => Some(("weight", "negative weight")),
                Some(weight) if weight > WEIGHT_MAX => Some(("weight", "weight above 1000000")),
                Some(_) => None,
            }
        };
        if let Some((column, reason)) = bad {
            verdict.reasons.push((column.to_owned(), reason.to_owned()));
            continue;
        }
        let age = AS_OF_US - row.time_us.unwrap();
        let code = match row.action.unwrap() {
            "hide" => Some(0),
            "save" => Some(1),
            _ => None,
        };
        if age <= 0 {
            verdict.after += 1;
        } else if age > 90 * DAY_US {
            verdict.before += 1;
        } else if let Some(code) = code {
            verdict.events.push((
                row.left.unwrap().to_string(),
                row.right.clone().unwrap(),
                Some(age as u64),
                Some(code),
                Some((row.weight.unwrap() * 4_294_967_296.0).round() as i64),
            ));
        } else {
            *verdict.ignored.entry(row.action.unwrap().to_owned()).or_default() += 1;
        }
    }
    verdict.events.sort();
    verdict.reasons.sort();
    verdict
}

fn found(scan: Scan) -> Verdict {
    let mut reasons: Vec<_> =
        scan.rejects.iter().map(|r| (r.column.clone(), r.reason.clone())).collect();
    reasons.sort();
    let stats = &scan.stats;
    Verdict {
        reasons,
        after: stats.rows_after_as_of,
        before: stats.rows_before_window,
        ignored: stats.rows_ignored.clone(),
        events: scan.sorted(),
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let edge = prop::sample::select(vec![
        AS_OF_US - 1,
        AS_OF_US,
        AS_OF_US + 1,
        AS_OF_US - 90 * DAY_US,
        AS_OF_US - 90 * DAY_US - 1,
        9_214_646_400_000_000,
    ]);
    let time = prop_oneof![3 => AS_OF_US - 80 * DAY_US..AS_OF_US, 1 => edge];
    let row = (
        prop::option::weighted(0.97, -3i64..50),
        prop::option::weighted(0.97, "[a-z\"', é]{1,6}"),
        prop::option::weighted(0.97, time),
        prop::option::weighted(0.97, prop::sample::select(vec!["save", "hide", "click", "view"])),
        prop::option::weighted(
            0.97,
            prop_oneof![6 => 0.0..3.0f64, 1 => prop::sample::select(vec![-0.5, 1e6, 1e6 + 1.0, 0.0])],
        ),
    )
        .prop_map(|(left, right, time_us, action, weight)| Row {
            left,
            right,
            time_us,
            action,
            weight,
        });
    // A sound row first, so that the types are known whatever follows.
    prop::collection::vec(row, 0..60).prop_map(|mut rows| {
        rows.insert(0, sound_row());
        rows
    })
}

fn sound_row() -> Row {
    Row {
        left: Some(1),
        right: Some("p".to_owned()),
        time_us: Some(AS_OF_US - 5),
        action: Some("save"),
        weight: Some(1.0),
    }
}

fn write_rows_parquet(path: &Path, rows: &[Row], group_rows: usize) {
    let right = StringArray::from_iter(rows.iter().map(|row| row.right.as_deref()));
    let time = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.time_us));
    let columns = vec![
        ("user_id", array(Int64Array::from_iter(rows.iter().map(|row| row.left)))),
        ("pin_id", array(right)),
        ("time", array(time)),
        ("action", array(StringArray::from_iter(rows.iter().map(|row| row.action)))),
        ("weight", array(Float64Array::from_iter(rows.iter().map(|row| row.weight)))),
    ];
    write_parquet(path, columns, group_rows);
}

fn write_rows_csv(path: &Path, rows: &[Row]) {
    let mut text = "weight,time,user_id,pin_id,action\n".to_owned();
    for row in rows {
        let left = row.left.map(|left| left.to_string()).unwrap_or_default();
        let right = row.right.as_deref().map(|key| format!("\"{}\"", key.replace('"', "\"\"")));
        let time = row.time_us.map(format_timestamp).unwrap_or_default();
        let weight = row.weight.map(|weight| weight.to_string()).unwrap_or_default();
        let (right, action) = (right.unwrap_or_default(), row.action.unwrap_or_default());
        writeln!(text, "{weight},{time},{left},{right},{action}").unwrap();
    }
    write_text(path, text);
}

fn write_rows_jsonl(path: &Path, rows: &[Row]) {
    let mut text = String::new();
    for row in rows {
        let object = serde_json::json!({
            "user_id": row.left, "pin_id": row.right, "time": row.time_us,
            "action": row.action, "weight": row.weight,
        });
        writeln!(text, "{object}").unwrap();
    }
    write_text(path, text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_format_and_cut_agrees_with_the_judge(rows in rows()) {
        let expected = judge(&rows);
        for files in [1, 3, 17] {
            let folder = tempdir().unwrap();
            let each = rows.len().div_ceil(files);
            for (index, part) in rows.chunks(each).enumerate() {
                // No pruning here, which would hide outcomes: a row group of all the rows, and an
                // unprunable sound row in it.
                let mut part = part.to_vec();
                if index > 0 {
                    part.insert(0, sound_row());
                }
                write_rows_parquet(&folder.path().join(format!("p/{index}.parquet")), &part, 100);
                write_rows_csv(&folder.path().join(format!("c/{index}.csv")), &part);
                write_rows_jsonl(&folder.path().join(format!("j/{index}.jsonl")), &part);
            }
            let parts = rows.chunks(each).count();
            let scans = [
                scan_parquet(&folder.path().join("p"), &with_all()).unwrap(),
                scan_csv(&folder.path().join("c"), &with_all()).unwrap(),
                scan_jsonl(&folder.path().join("j"), &with_all()).unwrap(),
            ];
            for (format, scan) in scans.into_iter().enumerate() {
                let mut verdict = found(scan);
                for _ in 1..parts {
                    let extra = &judge(&[sound_row()]).events[0];
                    let place = verdict.events.iter().position(|event| event == extra).unwrap();
                    verdict.events.remove(place);
                }
                prop_assert_eq!(&verdict, &expected, "format {} in {} files", format, files);
            }
        }
    }

    #[test]
    fn small_row_groups_lose_no_event(rows in rows(), group_rows in 1usize..9) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write_rows_parquet(&path, &rows, group_rows);
        let scan = scan_parquet(&path, &with_all()).unwrap();
        prop_assert_eq!(scan.sorted(), judge(&rows).events);
    }
}

#[test]
fn blocks_and_splits_keep_order_and_positions() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = 70_000;
    let left = Int64Array::from_iter((0..rows).map(|row| (row % 20_011 != 7).then_some(row)));
    let right = Int64Array::from_iter_values(0..rows);
    write_parquet(&path, vec![("user_id", array(left)), ("pin_id", array(right))], 30_000);
    let scan = scan_parquet(&path, &request()).unwrap();
    let positions: Vec<u64> = scan.rejects.iter().map(|reject| reject.position).collect();
    assert_eq!(positions, [8, 20_019, 40_030, 60_041]);
    assert_eq!(scan.rejects[0].path, path);
    let expected = (0..rows).filter(|row| row % 20_011 != 7);
    assert!(scan.events.iter().map(|event| event.0.clone()).eq(expected.map(|r| r.to_string())));
}

#[test]
fn point_in_time_is_exact_to_the_microsecond() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut columns = keys(3);
    let times = vec![AS_OF_US - 1, AS_OF_US, AS_OF_US + 1];
    columns.push(("time", array(TimestampMicrosecondArray::from(times))));
    write_parquet(&path, columns, 10);
    let scan = scan_parquet(&path, &with_time()).unwrap();
    assert_eq!(scan.stats.rows_after_as_of, 2);
    assert_eq!(scan.events.len(), 1);
    assert_eq!((&*scan.events[0].0, scan.events[0].2), ("0", Some(1)));
}

#[test]
fn text_that_is_not_utf8_is_rejected_and_its_neighbours_are_not() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    // Two halves of a character: valid only if taken together.
    let right = BinaryArray::from_iter_values([&b"ok"[..], b"\xc3", b"\xa9", b"", b"ok2"]);
    let columns =
        vec![("user_id", array(Int64Array::from_iter_values(0..5))), ("pin_id", array(right))];
    write_parquet(&path, columns, 10);
    let scan = scan_parquet(&path, &request()).unwrap();
    assert_eq!(
        scan.rejected(),
        [
            (2, "pin_id", "not UTF-8", "\u{fffd}"),
            (3, "pin_id", "not UTF-8", "\u{fffd}"),
            (4, "pin_id", "null key", ""),
        ]
    );
    assert_eq!(scan.events.len(), 2);
}

#[test]
fn unsigned_values_past_int64_are_rejected() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let columns = vec![
        ("user_id", array(UInt64Array::from(vec![i64::MAX as u64, u64::MAX]))),
        ("pin_id", array(Int64Array::from(vec![1, 2]))),
    ];
    write_parquet(&path, columns, 10);
    let scan = scan_parquet(&path, &request()).unwrap();
    assert_eq!(scan.rejected(), [(2, "user_id", "not an int64", "18446744073709551615")]);
    assert_eq!(scan.events[0].0, i64::MAX.to_string());
}

#[test]
fn every_bad_weight_of_parquet_has_its_reason() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let weights =
        [Some(f64::NAN), Some(-0.1), Some(1e6 + 0.5), None, Some(f64::INFINITY), Some(1e6)];
    let mut columns = keys(6);
    columns.push(("weight", array(Float64Array::from_iter(weights))));
    write_parquet(&path, columns, 10);
    let mut request = request();
    request.columns.weight = Some("weight".to_owned());
    let scan = scan_parquet(&path, &request).unwrap();
    assert_eq!(
        scan.rejected(),
        [
            (1, "weight", "weight is NaN", "NaN"),
            (2, "weight", "negative weight", "-0.1"),
            (3, "weight", "weight above 1000000", "1000000.5"),
            (4, "weight", "null weight", ""),
            (5, "weight", "weight above 1000000", "inf"),
        ]
    );
    assert_eq!(scan.events[0].4, Some(1_000_000 * FIXED_ONE));
}

#[test]
fn every_bad_cell_of_csv_has_its_reason_and_line() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let mut text = b"user_id,pin_id,time,action,weight\n1,1,2026-10-31,save,1\n\n".to_vec();
    for line in [
        &b",1,2026-10-31,save,1"[..],
        b"x,1,2026-10-31,save,1",
        b"\xff,1,2026-10-31,save,1",
        b"1,9223372036854775808,2026-10-31,save,1",
        b"1,1,,save,1",
        b"1,1,yesterday,save,1",
        b"1,1,1776-07-04,save,1",
        b"1,1,2026-10-31,,1",
        b"1,1,2026-10-31,\xc3,1",
        b"1,1,2026-10-31,save,nan",
        b"1,1,2026-10-31,save,heavy",
        b"1,1,2026-10-31,save",
        b"1,1,2026-10-31,save,1,",
        // A bad weight counts even where the action is ignored and the time is after as_of.
        b"1,1,2026-12-31,view,-1",
    ] {
        text.extend(line);
        text.push(b'\n');
    }
    write_text(&path, text);
    let mut request = with_all();
    request.columns.left_type = Some(KeyType::Int64);
    request.columns.right_type = Some(KeyType::Int64);
    let scan = scan_csv(&path, &request).unwrap();
    assert_eq!(
        scan.rejected(),
        [
            (4, "user_id", "null key", ""),
            (5, "user_id", "not an int64", "x"),
            (6, "user_id", "not an int64", "\u{fffd}"),
            (7, "pin_id", "not an int64", "9223372036854775808"),
            (8, "time", "null time", ""),
            (9, "time", "not a time", "yesterday"),
            (10, "time", "time out of range", "1776-07-04"),
            (11, "action", "null action", ""),
            (12, "action", "not UTF-8", "\u{fffd}"),
            (13, "weight", "weight is NaN", "nan"),
            (14, "weight", "not a number", "heavy"),
            (15, "", "wrong number of fields", "1,1,2026-10-31,save"),
            (16, "", "wrong number of fields", "1,1,2026-10-31,save,1,"),
            (17, "weight", "negative weight", "-1"),
        ]
    );
    assert_eq!(scan.events.len(), 1);
}

#[test]
fn every_bad_line_of_jsonl_has_its_reason() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let mut text = b"{\"user_id\": 1, \"pin_id\": \"p\"}\n".to_vec();
    for line in [
        &b"{\"user_id\": 1, \"pin_id\": \"p\""[..],
        b"[1, 2]",
        b"{\"user_id\": 1, \"pin_id\": \"\xff\"}",
        b"{\"pin_id\": \"p\"}",
        b"{\"user_id\": null, \"pin_id\": \"p\"}",
        b"{\"user_id\": 1.5, \"pin_id\": \"p\"}",
        b"{\"user_id\": 9223372036854775808, \"pin_id\": \"p\"}",
        b"{\"user_id\": 1, \"pin_id\": true}",
        b"{\"user_id\": 1, \"pin_id\": [\"p\"]}",
    ] {
        text.extend(line);
        text.push(b'\n');
    }
    write_text(&path, &text);
    let mut request = request();
    request.columns.left_type = Some(KeyType::Int64);
    let scan = scan_jsonl(&path, &request).unwrap();
    assert_eq!(
        scan.rejected(),
        [
            (2, "", "invalid JSON", "{\"user_id\": 1, \"pin_id\": \"p\""),
            (3, "", "invalid JSON", "[1, 2]"),
            (4, "", "not UTF-8", "{\"user_id\": 1, \"pin_id\": \"\u{fffd}\"}"),
            (5, "user_id", "null key", ""),
            (6, "user_id", "null key", ""),
            (7, "user_id", "not an int64", "1.5"),
            (8, "user_id", "not an int64", "9223372036854775808"),
            (9, "pin_id", "not text", "true"),
            (10, "pin_id", "not text", "[...]"),
        ]
    );
}

#[test]
fn without_actions_in_the_job_every_action_is_admitted_and_counted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write_text(&path, "user_id,pin_id,action\n1,1,save\n1,2,view\n1,3,save\n1,4,\n");
    let mut request = request();
    request.columns.action = Some("action".to_owned());
    let scan = scan_csv(&path, &request).unwrap();
    assert!(scan.events.iter().all(|event| event.3 == Some(0)));
    let by_action: Vec<_> = scan.stats.rows_by_action.into_iter().collect();
    assert_eq!(by_action, [("save".to_owned(), 2), ("view".to_owned(), 1)]);
    assert_eq!(scan.rejects[0].reason, "null action");
}

#[test]
fn a_flood_of_unknown_actions_is_counted_together() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let lines: String = (0..3000).map(|row| format!("1,1,{}\n", row % 1500)).collect();
    write_text(&path, format!("user_id,pin_id,action\n{lines}"));
    let mut request = request();
    request.columns.action = Some("action".to_owned());
    request.actions = vec![("save".to_owned(), pingraph::model::ActionRule::Remove)];
    let scan = scan_csv(&path, &request).unwrap();
    assert_eq!(scan.stats.rows_ignored.len(), 1001);
    assert_eq!(scan.stats.rows_ignored.get("(other)"), Some(&1000));
    assert_eq!(scan.stats.rows_ignored.get("999"), Some(&2));
}

#[test]
fn a_sink_that_says_stop_is_heeded() {
    use pingraph::model::{EventBatch, Reject};
    use pingraph::source::{EventSink, ParquetSource, Source};
    struct Stop(u64);
    impl EventSink for Stop {
        fn events(&mut self, batch: EventBatch) {
            self.0 += batch.len() as u64;
        }
        fn reject(&mut self, _: Reject) {}
        fn advance(&mut self, _: u64) -> bool {
            false
        }
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, keys(200_000), 100_000);
    let source = ParquetSource::new(path.to_str().unwrap());
    let plan = source.plan(&request()).unwrap();
    assert_eq!(plan.splits.len(), 1);
    let mut sink = Stop(0);
    let stats = source.read(&request(), &plan, 0, &mut sink).unwrap();
    assert!(sink.0 < 100_000);
    assert_eq!(stats.rows_read, sink.0);
}
