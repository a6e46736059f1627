//! Every error of a whole input, as the one line that the user reads.

use std::path::Path;

use arrow_array::{
    Decimal128Array, Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use pingraph::model::Result;
use tempfile::{TempDir, tempdir};

use crate::harness::*;

fn folder_with(name: &str, text: &str) -> TempDir {
    let folder = tempdir().unwrap();
    write_text(&folder.path().join(name), text);
    folder
}

fn csv_error(name: &str, text: &str) -> String {
    let folder = folder_with(name, text);
    error_line(scan_csv(&folder.path().join(name), &with_time()), folder.path())
}

fn jsonl_error(text: &str) -> String {
    let folder = folder_with("a.jsonl", text);
    error_line(scan_jsonl(folder.path(), &with_time()), folder.path())
}

#[test]
fn nothing_at_the_path() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("none");
    for scan in [scan_parquet, scan_csv, scan_jsonl] {
        assert_eq!(
            error_line(scan(&path, &request()), folder.path()),
            "none: no such file or folder; check `path` in the job's [source]"
        );
    }
}

#[test]
fn a_glob_that_matches_nothing() {
    let folder = tempdir().unwrap();
    assert_eq!(
        error_line(scan_csv(&folder.path().join("x/*.csv"), &request()), folder.path()),
        "x/*.csv: no file matches; check `path` in the job's [source]"
    );
    assert_eq!(
        error_line(scan_csv(&folder.path().join("***"), &request()), folder.path()),
        "***: not a glob: wildcards are either regular `*` or recursive `**`; \
         write *, ** (a whole name), ? or [abc]"
    );
}

#[test]
fn an_empty_folder() {
    let folder = tempdir().unwrap();
    let error = |scan: fn(&Path, &_) -> Result<Scan>| {
        error_line(scan(folder.path(), &request()), folder.path())
    };
    assert_eq!(
        error(scan_parquet),
        "F: the folder holds no file; write files that end in .parquet, .parq, .pq there, \
         or correct `path` in the job's [source]"
    );
    write_text(&folder.path().join("_SUCCESS"), "");
    write_text(&folder.path().join("000000_0"), "");
    assert_eq!(
        error(scan_jsonl),
        "F: no file of the folder ends in .jsonl, .ndjson, .json (1 other); \
         name the files by a glob such as folder/*"
    );
}

#[cfg(unix)]
#[test]
fn no_permission_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with("a.parquet", "");
    let path = folder.path().join("a.parquet");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        // Root reads every file; tests/cli runs the same as another user.
        return;
    }
    assert_eq!(
        error_line(scan_parquet(&path, &request()), folder.path()),
        "a.parquet: no permission to read; grant read permission to the user that runs the job"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_linked_into_itself() {
    let folder = tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let line = error_line(scan_csv(folder.path(), &request()), folder.path());
    assert!(line.ends_with(
        ": folders are nested more than 32 deep; \
         remove the symbolic link that leads back to its own folder"
    ));
}

#[test]
fn a_wrong_column_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, keys(1), 1);
    let mut wrong = request();
    wrong.columns.right = "pinid".to_owned();
    assert_eq!(
        error_line(scan_parquet(&path, &wrong), folder.path()),
        "a.parquet, pinid: no such column; did you mean pin_id? the columns are user_id, pin_id"
    );
    wrong.columns.right = "xyz".to_owned();
    assert_eq!(
        error_line(scan_parquet(&path, &wrong), folder.path()),
        "a.parquet, xyz: no such column; the columns are user_id, pin_id"
    );
    assert_eq!(
        csv_error("a.csv", "user_id,pin_id,event_time\n"),
        "a.csv, line 1, time: no such column; the columns are user_id, pin_id, event_time"
    );
    assert_eq!(
        jsonl_error("\n{\"user_id\": 1, \"pinid\": 2}\n{\"user_id\": 1}"),
        "a.jsonl, line 2, pin_id: no such column; did you mean pinid? \
         the columns are pinid, user_id"
    );
}

#[test]
fn many_columns_are_not_all_listed() {
    let header: Vec<String> = (0..25).map(|index| format!("c{index}")).collect();
    let line = csv_error("a.csv", &header.join(","));
    assert!(line.ends_with(" c18, c19 and 5 more"), "{line}");
}

#[test]
fn a_wrong_column_type() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let decimal = Decimal128Array::from(vec![1]);
    let list =
        ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>([Some([Some(1)])]);
    let columns = vec![
        ("float", array(Float64Array::from(vec![1.0]))),
        ("text", array(StringArray::from(vec!["1"]))),
        ("decimal", array(decimal)),
        ("list", array(list)),
        ("when", array(TimestampMicrosecondArray::from(vec![1]))),
    ];
    write_parquet(&path, columns, 1);
    let error = |change: &dyn Fn(&mut pingraph::model::Columns)| {
        let mut request = request();
        request.columns.left = "text".to_owned();
        request.columns.right = "text".to_owned();
        change(&mut request.columns);
        error_line(scan_parquet(&path, &request), folder.path())
    };
    for (column, name) in
        [("float", "double"), ("decimal", "decimal"), ("list", "nested"), ("when", "timestamp")]
    {
        assert_eq!(
            error(&|columns| columns.left = column.to_owned()),
            format!(
                "a.parquet, {column}: a column of type {name} cannot hold keys; \
                 name an integer or utf8 column"
            )
        );
    }
    assert_eq!(
        error(&|columns| columns.time = Some("float".to_owned())),
        "a.parquet, float: a column of type double cannot hold times; \
         name a timestamp, date, integer or ISO 8601 utf8 column"
    );
    assert_eq!(
        error(&|columns| columns.action = Some("float".to_owned())),
        "a.parquet, float: a column of type double cannot hold actions; \
         name a utf8 or integer column"
    );
    assert_eq!(
        error(&|columns| columns.weight = Some("text".to_owned())),
        "a.parquet, text: a column of type utf8 cannot hold weights; \
         name a float or integer column"
    );
}

#[test]
fn key_types_that_differ_between_files() {
    let folder = tempdir().unwrap();
    write_parquet(&folder.path().join("a.parquet"), keys(1), 1);
    let columns = vec![
        ("user_id", array(Int64Array::from(vec![1]))),
        ("pin_id", array(StringArray::from(vec!["1"]))),
    ];
    write_parquet(&folder.path().join("b.parquet"), columns, 1);
    assert_eq!(
        error_line(scan_parquet(folder.path(), &request()), folder.path()),
        "b.parquet, pin_id: the keys are utf8 here but int64 in a.parquet; \
         write the column with one type in all files"
    );
}

#[test]
fn a_csv_file_without_a_header() {
    let remedy = "write a header row that names the columns";
    assert_eq!(csv_error("a.csv", ""), format!("a.csv: the file is empty; {remedy}"));
    assert_eq!(
        csv_error("a.csv", "1,2,3\n4,5,6\n"),
        format!("a.csv, line 1, user_id: the first line is no header; {remedy}")
    );
    assert_eq!(
        csv_error("a.csv", "user_id\tpin_id\ttime\n1\t2\t3\n"),
        "a.csv, line 1, user_id: no such column; \
         the header is one field, \"user_id\\tpin_id\\ttime\": set `delimiter` in [source.csv]"
    );
    assert_eq!(
        csv_error("a.csv", "user_id,pin_id,time,pin_id\n"),
        "a.csv, line 1, pin_id: the header names the column twice; rename one of the two"
    );
}

#[test]
fn a_quote_left_open() {
    assert_eq!(
        csv_error("a.csv", "user_id,pin_id,time\n1,2,3\n\n1,\"2,3\n4,5,6\n"),
        "a.csv, line 4: the quote is never closed; \
         close it, or double it if it is part of the value"
    );
    let endless = format!("user_id,pin_id,time\n1,\"{}", "2,3,4\n".repeat(4 << 20));
    assert_eq!(
        csv_error("a.csv.zst", &endless),
        "a.csv.zst, line 2: the line is longer than 16 MiB; \
         end it, or close the quote that it opens"
    );
}

#[test]
fn a_json_file_that_is_not_lines() {
    assert_eq!(
        jsonl_error("[\n{\"user_id\": 1,\n\"pin_id\": 2}\n]\n"),
        "a.jsonl, line 1: no line is a JSON object; \
         write one object a line, without brackets around them or commas between"
    );
    assert_eq!(
        jsonl_error(&format!("{{\"user_id\": \"{}", "x".repeat(17 << 20))),
        "a.jsonl, line 1: the line is longer than 16 MiB; end it, or close the quote that it opens"
    );
}

#[test]
fn a_file_that_changes_between_plan_and_read() {
    use pingraph::model::{EventBatch, Reject};
    use pingraph::source::{EventSink, ParquetSource, Source};
    struct Ignore;
    impl EventSink for Ignore {
        fn events(&mut self, _: EventBatch) {}
        fn reject(&mut self, _: Reject) {}
        fn advance(&mut self, _: u64) -> bool {
            true
        }
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, keys(1), 1);
    let source = ParquetSource::new(path.to_str().unwrap());
    let plan = source.plan(&request()).unwrap();
    write_parquet(&path, keys(1000), 1000);
    let error = source.read(&request(), &plan, 0, &mut Ignore).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the file changed while it was read; run again once its writer is done",
            path.display()
        )
    );
}
