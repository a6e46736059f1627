//! Each format and type reads back what was written.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, LargeStringArray, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use pingraph::model::{FIXED_ONE, KeyType, TimeUnit};
use tempfile::tempdir;

use crate::harness::*;

/// The events of one Parquet file with these keys.
fn keys_of(left: ArrayRef, right: ArrayRef) -> (KeyType, KeyType, Vec<(String, String)>) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, vec![("user_id", left), ("pin_id", right)], 2);
    let scan = scan_parquet(&path, &request()).unwrap();
    assert!(scan.rejects.is_empty());
    let keys = scan.events.into_iter().map(|event| (event.0, event.1)).collect();
    (scan.plan.left_type, scan.plan.right_type, keys)
}

#[test]
fn parquet_reads_every_type_of_integer_key() {
    let integers: [ArrayRef; 6] = [
        array(Int64Array::from(vec![1, 2, 127])),
        array(Int32Array::from(vec![1, 2, 127])),
        array(Int8Array::from(vec![1, 2, 127])),
        array(UInt8Array::from(vec![1, 2, 127])),
        array(UInt32Array::from(vec![1, 2, 127])),
        array(UInt64Array::from(vec![1, 2, 127])),
    ];
    for left in &integers {
        for right in &integers {
            let (left_type, right_type, keys) = keys_of(Arc::clone(left), Arc::clone(right));
            assert_eq!((left_type, right_type), (KeyType::Int64, KeyType::Int64));
            let pair = |key: &str| (key.to_owned(), key.to_owned());
            assert_eq!(keys, [pair("1"), pair("2"), pair("127")]);
        }
    }
}

#[test]
fn parquet_integer_keys_keep_their_extremes() {
    let left = array(Int64Array::from(vec![i64::MIN, i64::MAX]));
    let right = array(UInt32Array::from(vec![0, u32::MAX]));
    let (_, _, keys) = keys_of(left, right);
    assert_eq!(keys[0], (i64::MIN.to_string(), "0".to_owned()));
    assert_eq!(keys[1], (i64::MAX.to_string(), u32::MAX.to_string()));
}

#[test]
fn parquet_reads_every_type_of_text_key() {
    let values = vec!["né", "007", "né"];
    let dictionary: DictionaryArray<Int32Type> = values.iter().copied().collect();
    let texts: [ArrayRef; 4] = [
        array(StringArray::from(values.clone())),
        array(LargeStringArray::from(values.clone())),
        array(BinaryArray::from_iter_values(values.iter().map(|value| value.as_bytes()))),
        array(dictionary),
    ];
    for text in texts {
        let (left_type, right_type, keys) = keys_of(text, array(Int64Array::from(vec![1, 2, 3])));
        assert_eq!((left_type, right_type), (KeyType::Utf8, KeyType::Int64));
        let left: Vec<String> = keys.into_iter().map(|key| key.0).collect();
        assert_eq!(left, values);
    }
}

/// Ages of two events, one a second and one a day before `as_of`, whose times are in `times`.
fn ages(times: ArrayRef, unit: Option<TimeUnit>) -> (Option<TimeUnit>, Vec<u64>) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut columns = keys(2);
    columns.push(("time", times));
    write_parquet(&path, columns, 10);
    let mut request = with_time();
    request.columns.time_unit = unit;
    let scan = scan_parquet(&path, &request).unwrap();
    assert!(scan.rejects.is_empty(), "{:?}", scan.rejects);
    (scan.plan.time_unit, scan.events.iter().map(|event| event.2.unwrap()).collect())
}

const TIMES_S: [i64; 2] = [AS_OF_US / 1_000_000 - 1, AS_OF_US / 1_000_000 - 86_400];

fn times(per_second: i64) -> Vec<i64> {
    TIMES_S.iter().map(|time| time * per_second).collect()
}

#[test]
fn parquet_reads_every_unit_of_time() {
    let expected = vec![1_000_000, 86_400_000_000];
    let units = [
        (TimeUnit::Second, times(1)),
        (TimeUnit::Millisecond, times(1000)),
        (TimeUnit::Microsecond, times(1_000_000)),
        (TimeUnit::Nanosecond, times(1_000_000_000)),
    ];
    for (unit, values) in units {
        let integers = || array(Int64Array::from(values.clone()));
        assert_eq!(ages(integers(), None), (Some(unit), expected.clone()), "guessed");
        assert_eq!(ages(integers(), Some(unit)), (None, expected.clone()), "declared");
        let text = array(StringArray::from_iter_values(values.iter().map(i64::to_string)));
        assert_eq!(ages(text, None), (Some(unit), expected.clone()), "as text");
    }
    let typed: [ArrayRef; 5] = [
        // Arrow's seconds have no Parquet type of their own: the writer stores plain integers.
        array(TimestampSecondArray::from(times(1))),
        array(TimestampMillisecondArray::from(times(1000)).with_timezone("UTC")),
        array(TimestampMicrosecondArray::from(times(1_000_000))),
        array(TimestampNanosecondArray::from(times(1_000_000_000))),
        array(StringArray::from(vec!["2026-10-31T23:59:59Z", "2026-10-31T02:00:00+02:00"])),
    ];
    for column in typed {
        assert_eq!(ages(column, None).1, expected);
    }
}

#[test]
fn a_timestamp_column_needs_no_guess_and_heeds_no_declared_unit() {
    let column = array(TimestampMillisecondArray::from(times(1000)));
    let found = ages(column, Some(TimeUnit::Second));
    assert_eq!(found, (None, vec![1_000_000, 86_400_000_000]));
}

#[test]
fn parquet_dates_are_midnight_utc() {
    let day = i32::try_from(AS_OF_US / DAY_US).unwrap();
    let found = ages(array(Date32Array::from(vec![day - 1, day - 2])), None);
    assert_eq!(found, (None, vec![DAY_US as u64, 2 * DAY_US as u64]));
}

#[test]
fn parquet_int96_timestamps() {
    use parquet::data_type::{Int64Type, Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema =
        "message m { required int64 user_id; required int64 pin_id; required int96 time; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for _ in 0..2 {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[7, 8], None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    // The Julian day of 1970-01-01 is 2,440,588. The second time is nonsense.
    let day = u32::try_from(AS_OF_US / DAY_US + 2_440_588 - 1).unwrap();
    let times = [Int96::from(vec![1000, 0, day]), Int96::from(vec![0, 0, u32::MAX])];
    column.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let scan = scan_parquet(&path, &with_time()).unwrap();
    assert_eq!(scan.events.len(), 1);
    assert_eq!(scan.events[0].2, Some(DAY_US as u64 - 1));
    assert_eq!(scan.rejects[0].reason, "time out of range");
}

#[test]
fn parquet_reads_every_type_of_action_and_weight() {
    let actions: [ArrayRef; 3] = [
        array(StringArray::from(vec!["3", "4"])),
        array(UInt8Array::from(vec![3, 4])),
        array(Int64Array::from(vec![3, 4])),
    ];
    let weights: [ArrayRef; 4] = [
        array(Float64Array::from(vec![2.0, 5.0])),
        array(Float32Array::from(vec![2.0, 5.0])),
        array(Int64Array::from(vec![2, 5])),
        array(UInt8Array::from(vec![2, 5])),
    ];
    let mut request = request();
    request.columns.action = Some("action".to_owned());
    request.columns.weight = Some("weight".to_owned());
    let rule = pingraph::model::ActionRule::Remove;
    request.actions = vec![("2".to_owned(), rule), ("4".to_owned(), rule)];
    for action in &actions {
        for weight in &weights {
            let folder = tempdir().unwrap();
            let path = folder.path().join("a.parquet");
            let mut columns = keys(2);
            columns.push(("action", Arc::clone(action)));
            columns.push(("weight", Arc::clone(weight)));
            write_parquet(&path, columns, 10);
            let scan = scan_parquet(&path, &request).unwrap();
            let expected = ("1".to_owned(), "10".to_owned(), Some(1), Some(1), Some(5 * FIXED_ONE));
            assert_eq!(scan.events, [expected]);
            assert_eq!(scan.stats.rows_ignored.get("3"), Some(&1));
            assert_eq!(scan.stats.rows_by_action.get("4"), Some(&1));
        }
    }
}

#[test]
fn integer_actions_beyond_a_byte_go_by_their_decimal_text() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut columns = keys(4);
    columns.push(("action", array(Int64Array::from(vec![-1, 255, 256, -1]))));
    write_parquet(&path, columns, 10);
    let mut request = request();
    request.columns.action = Some("action".to_owned());
    let rule = pingraph::model::ActionRule::Remove;
    request.actions = vec![("-1".to_owned(), rule), ("256".to_owned(), rule)];
    let scan = scan_parquet(&path, &request).unwrap();
    let actions: Vec<_> = scan.events.iter().map(|event| event.3).collect();
    assert_eq!(actions, [Some(0), Some(1), Some(0)]);
    assert_eq!(scan.stats.rows_ignored.get("255"), Some(&1));
}

const CSV: &str = "pin_id,note,user_id,time\np1,\"a, b\",1,1793491199\np2,,2,2026-10-31\n";

#[test]
fn csv_reads_plain_and_compressed() {
    let folder = tempdir().unwrap();
    let expected = vec![
        ("1".to_owned(), "p1".to_owned(), Some(1_000_000), Some(0), None),
        ("2".to_owned(), "p2".to_owned(), Some(DAY_US as u64), Some(0), None),
    ];
    for name in ["a.csv", "a.csv.gz", "a.csv.zst", "A.CSV.GZ"] {
        let path = folder.path().join(name);
        write_text(&path, CSV);
        if name == "A.CSV.GZ" {
            std::fs::copy(folder.path().join("a.csv.gz"), &path).unwrap();
        }
        let scan = scan_csv(&path, &with_time()).unwrap();
        assert_eq!((scan.plan.left_type, scan.plan.right_type), (KeyType::Int64, KeyType::Utf8));
        assert_eq!(scan.plan.time_unit, Some(TimeUnit::Second));
        assert_eq!(scan.events, expected, "{name}");
    }
}

#[test]
fn compressed_files_may_have_several_members() {
    let folder = tempdir().unwrap();
    for extension in ["gz", "zst"] {
        let (a, b) = (folder.path().join(format!("a.{extension}")), folder.path().join("b"));
        write_text(&a, "user_id,pin_id\n1,1\n");
        let mut joined = std::fs::read(&a).unwrap();
        write_text(&a, "2,2\n");
        joined.extend(std::fs::read(&a).unwrap());
        let path = b.with_extension(format!("csv.{extension}"));
        std::fs::write(&path, joined).unwrap();
        assert_eq!(scan_csv(&path, &request()).unwrap().events.len(), 2);
    }
}

#[test]
fn tsv_is_cut_at_tabs_and_a_delimiter_can_be_given() {
    use pingraph::source::{CsvOptions, CsvSource};
    let folder = tempdir().unwrap();
    for name in ["a.tsv", "a.inter", "a.tsv.gz"] {
        let path = folder.path().join(name);
        write_text(&path, "\u{feff}user_id\tpin_id\r\n1\t2\r\n");
        assert_eq!(scan_csv(&path, &request()).unwrap().events[0].1, "2", "{name}");
    }
    let path = folder.path().join("a.csv");
    write_text(&path, "user_id;pin_id\n1;2\n");
    let source = CsvSource::new(path.to_str().unwrap(), CsvOptions { delimiter: Some(b';') });
    assert_eq!(scan(&source, &request()).unwrap().events[0].1, "2");
}

#[test]
fn quoted_fields_keep_commas_quotes_and_line_breaks() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write_text(&path, "user_id,pin_id\n\"a,\"\"b\"\"\",\"c\nd\"\nbad\n");
    let scan = scan_csv(&path, &request()).unwrap();
    assert_eq!((&*scan.events[0].0, &*scan.events[0].1), ("a,\"b\"", "c\nd"));
    // Line ends of Windows, an empty line and a last line without its end count as they stand.
    write_text(&path, "user_id,pin_id\r\n\r\n1,2\r\nx\r\n\r\ny");
    let bad = "wrong number of fields";
    let scan_lines = scan_csv(&path, &request()).unwrap();
    assert_eq!(scan_lines.rejected(), [(4, "", bad, "x"), (6, "", bad, "y")]);
    // The line counts the break inside the quotes.
    assert_eq!(scan.rejected(), [(4, "", "wrong number of fields", "bad")]);
}

#[test]
fn text_keys_are_integers_only_if_the_first_rows_all_are() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    for (text, expected) in [("7", KeyType::Int64), ("007", KeyType::Utf8), ("x", KeyType::Utf8)] {
        write_text(&path, format!("user_id,pin_id\n1,1\n{text},1\n"));
        assert_eq!(scan_csv(&path, &request()).unwrap().plan.left_type, expected, "{text}");
    }
    let mut declared = request();
    declared.columns.left_type = Some(KeyType::Utf8);
    assert_eq!(scan_csv(&path, &declared).unwrap().plan.left_type, KeyType::Utf8);
    // Past the first 1,000 rows the type stands.
    write_text(&path, format!("user_id,pin_id\n{}x,1\n", "1,1\n".repeat(1000)));
    let scan = scan_csv(&path, &request()).unwrap();
    assert_eq!(scan.plan.left_type, KeyType::Int64);
    assert_eq!(scan.rejected(), [(1002, "user_id", "not an int64", "x")]);
}

const JSONL: &str = concat!(
    "\u{feff}{\"user_id\": 1, \"x\": {\"user_id\": 9}, \"pin_id\": \"p\\u00e9\", \"time\": 1793491199}\n",
    "\n",
    "{\"time\": \"2026-10-31\", \"pin_id\": \"p2\", \"user_id\": 2, \"x\": [1, {}]}\r\n",
    "{\"time\": 1793491198.5, \"pin_id\": 12, \"user_id\": \"3\"}",
);

#[test]
fn jsonl_reads_plain_and_compressed() {
    let folder = tempdir().unwrap();
    let event = |left: &str, right: &str, age| {
        (left.to_owned(), right.to_owned(), Some(age), Some(0), None)
    };
    for name in ["a.jsonl", "a.ndjson.gz", "a.json.zst"] {
        let path = folder.path().join(name);
        write_text(&path, JSONL);
        let scan = scan_jsonl(&path, &with_time()).unwrap();
        assert_eq!((scan.plan.left_type, scan.plan.right_type), (KeyType::Int64, KeyType::Utf8));
        assert_eq!(
            scan.events,
            [
                event("1", "pé", 1_000_000),
                event("2", "p2", DAY_US as u64),
                event("3", "12", 1_500_000)
            ]
        );
    }
}
