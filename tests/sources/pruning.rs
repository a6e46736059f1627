//! What need not be read is not read: such files here are damaged, so that opening one fails.

use std::path::Path;

use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use pingraph::model::{KeyType, parse_timestamp};
use tempfile::tempdir;

use crate::harness::*;

/// Writes a good file of one event a day before `as_of`, or a damaged one.
fn partition(path: &Path, good: bool) {
    if good {
        let mut columns = keys(1);
        let time = TimestampMicrosecondArray::from(vec![AS_OF_US - DAY_US]);
        columns.push(("time", array(time)));
        write_parquet(path, columns, 10);
    } else {
        write_text(path, "damaged");
    }
}

#[test]
fn partitions_outside_the_window_are_not_opened() {
    let folder = tempdir().unwrap();
    let partitions = [
        ("dt=2026-11-02", false),
        ("dt=2026-11-01", false),
        ("dt=2026-10-31", true),
        ("dt=2026-10-30", true),
        ("dt=2026-10-29", true),
        ("dt=2026-10-28", false),
    ];
    for (name, good) in partitions {
        partition(&folder.path().join(name).join("a.parquet"), good);
        partition(&folder.path().join(name).join("deep/b.parquet"), good);
    }
    let mut request = with_time();
    // The window begins at noon of the 29th, so that day is partly in it.
    request.window_us = Some(DAY_US * 5 / 2);
    let pattern = |text: &str| folder.path().join(text);
    for path in [folder.path().to_path_buf(), pattern("dt=*"), pattern("dt=*/**/*.parquet")] {
        let scan = scan_parquet(&path, &request).unwrap();
        assert_eq!(scan.plan.pruned, 3, "{}", path.display());
        assert_eq!(scan.events.len(), 6);
    }
}

#[test]
fn hours_outside_the_window_are_not_opened() {
    let folder = tempdir().unwrap();
    for hour in 0..24 {
        let path = folder.path().join(format!("dt=2026-10-31/hr={hour:02}/a.parquet"));
        partition(&path, (12..18).contains(&hour));
    }
    let mut request = request();
    request.as_of_us = parse_timestamp("2026-10-31T18:00:00Z").unwrap();
    request.window_us = Some(DAY_US / 4);
    let scan = scan_parquet(folder.path(), &request).unwrap();
    assert_eq!((scan.plan.pruned, scan.plan.files.len()), (18, 6));
}

#[test]
fn all_partitions_outside_the_window_are_no_rows_and_no_error() {
    let folder = tempdir().unwrap();
    partition(&folder.path().join("dt=2027-01-01/a.parquet"), false);
    write_text(&folder.path().join("dt=2027-01-01/a.csv"), "");
    write_text(&folder.path().join("dt=2027-01-01/a.jsonl"), "x");
    let mut request = with_time();
    request.columns.left_type = Some(KeyType::Utf8);
    for scan in [scan_parquet, scan_csv, scan_jsonl] {
        let scan = scan(folder.path(), &request).unwrap();
        assert_eq!((scan.plan.pruned, scan.stats.rows_read), (1, 0));
        assert_eq!((scan.plan.left_type, scan.plan.right_type), (KeyType::Utf8, KeyType::Int64));
    }
}

#[test]
fn text_partitions_outside_the_window_are_not_opened() {
    let folder = tempdir().unwrap();
    write_text(&folder.path().join("dt=2026-10-31/a.csv"), "user_id,pin_id\n1,2\n");
    write_text(&folder.path().join("dt=2026-11-01/a.csv.gz.csv"), "");
    write_text(&folder.path().join("dt=2026-10-31/a.jsonl"), "{\"user_id\": 1, \"pin_id\": 2}");
    write_text(&folder.path().join("dt=2026-11-01/a.jsonl"), "damaged");
    for scan in [scan_csv, scan_jsonl] {
        let scan = scan(folder.path(), &request()).unwrap();
        assert_eq!((scan.plan.pruned, scan.events.len()), (1, 1));
    }
}

#[test]
fn hidden_and_underscored_names_and_other_extensions_are_skipped() {
    let folder = tempdir().unwrap();
    for name in ["_SUCCESS", ".a.parquet.crc", "_delta_log/a.parquet", ".x/a.parquet", "note.txt"] {
        partition(&folder.path().join(name), false);
    }
    for name in ["z.parquet", "a/b/c.parquet", "B.PARQUET", "m.pq"] {
        partition(&folder.path().join(name), true);
    }
    let names = |scan: Scan| -> Vec<String> {
        let path = |file: &pingraph::source::InputFile| {
            file.path.strip_prefix(folder.path()).unwrap().display().to_string()
        };
        scan.plan.files.iter().map(path).collect()
    };
    let whole = scan_parquet(folder.path(), &with_time()).unwrap();
    assert_eq!(names(whole), ["B.PARQUET", "a/b/c.parquet", "m.pq", "z.parquet"]);
    // A glob or a path may name a file of any extension, or in a hidden folder.
    let odd = folder.path().join("_odd/events");
    partition(&odd, true);
    assert_eq!(names(scan_parquet(&odd, &with_time()).unwrap()), ["_odd/events"]);
    let glob = folder.path().join("_odd/*");
    assert_eq!(names(scan_parquet(&glob, &with_time()).unwrap()), ["_odd/events"]);
    let glob = folder.path().join("**/*.parquet");
    assert_eq!(names(scan_parquet(&glob, &with_time()).unwrap()), ["a/b/c.parquet", "z.parquet"]);
}

/// A file of five row groups of two rows, whose times are days before `as_of`, and the bytes of
/// its third column chunk set to nonsense in the row groups `damaged`.
fn five_groups(path: &Path, time: ArrayRef, damaged: &[usize]) {
    use parquet::file::metadata::ParquetMetaDataReader;
    let mut columns = keys(10);
    columns.push(("time", time));
    write_parquet(path, columns, 2);
    let file = std::fs::File::open(path).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    assert_eq!(metadata.num_row_groups(), 5);
    let mut bytes = std::fs::read(path).unwrap();
    for &group in damaged {
        for column in metadata.row_group(group).columns() {
            let (start, length) = column.byte_range();
            bytes[start as usize..(start + length) as usize].fill(0xff);
        }
    }
    std::fs::write(path, bytes).unwrap();
}

fn days_before(days: [i64; 10]) -> Vec<i64> {
    days.iter().map(|day| AS_OF_US - day * DAY_US).collect()
}

#[test]
fn row_groups_outside_the_window_are_not_read() {
    let days = days_before([0, -1, 1, 2, 9, 10, 11, 12, 10, 3]);
    let columns: [ArrayRef; 3] = [
        array(TimestampMicrosecondArray::from(days.clone())),
        array(Int64Array::from_iter_values(days.iter().map(|time| time / 1_000_000))),
        array(Int64Array::from_iter_values(days.iter().map(|time| time / 1000))),
    ];
    let mut request = with_time();
    request.window_us = Some(10 * DAY_US);
    for (index, column) in columns.into_iter().enumerate() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        // The unit of plain integers is guessed from the first row group, so that one is sound.
        let damaged = if index == 0 { &[0, 3][..] } else { &[3] };
        five_groups(&path, column, damaged);
        let scan = scan_parquet(&path, &request).unwrap();
        assert_eq!((scan.plan.pruned, scan.stats.rows_read, scan.events.len()), (2, 6, 6));
        let groups: Vec<_> = scan.plan.splits.iter().map(|split| split.groups.clone()).collect();
        assert_eq!(groups, [1..3, 4..5]);
    }
}

#[test]
fn row_groups_with_missing_times_are_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut times: Vec<_> = days_before([-1; 10]).into_iter().map(Some).collect();
    times[3] = None;
    times[5] = Some(i64::MAX);
    five_groups(&path, array(TimestampMicrosecondArray::from(times)), &[0, 3, 4]);
    let scan = scan_parquet(&path, &with_time()).unwrap();
    assert_eq!(scan.plan.pruned, 3);
    let reasons: Vec<_> = scan.rejects.iter().map(|r| (r.position, r.reason.as_str())).collect();
    assert_eq!(reasons, [(4, "null time"), (6, "time out of range")]);
}

#[test]
fn times_are_not_read_where_the_statistics_suffice() {
    use parquet::file::metadata::ParquetMetaDataReader;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let time = TimestampMicrosecondArray::from(days_before([1; 10]));
    five_groups(&path, array(time), &[]);
    let file = std::fs::File::open(&path).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for group in metadata.row_groups() {
        let (start, length) = group.column(2).byte_range();
        bytes[start as usize..(start + length) as usize].fill(0xff);
    }
    std::fs::write(&path, bytes).unwrap();
    let mut request = with_time();
    assert!(scan_parquet(&path, &request).is_err());
    request.keep_age_action = false;
    let scan = scan_parquet(&path, &request).unwrap();
    assert_eq!(scan.events.len(), 10);
    assert_eq!(scan.events[0].2, None);
    // At the window's edge they must be read.
    request.window_us = Some(DAY_US - 1);
    assert_eq!(scan_parquet(&path, &request).unwrap().plan.pruned, 5);
    request.as_of_us -= DAY_US / 2;
    request.window_us = None;
    assert_eq!(scan_parquet(&path, &request).unwrap().events.len(), 10);
}

#[test]
fn splits_hold_about_a_million_rows() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, keys(2_300_000), 500_000);
    let scan = scan_parquet(&path, &request()).unwrap();
    let splits: Vec<_> = scan.plan.splits.iter().map(|split| split.rows.unwrap()).collect();
    assert_eq!(splits, [1_000_000, 1_000_000, 300_000]);
    assert_eq!(scan.events.len(), 2_300_000);
}
