//! Every kind of bad input: the exit code, the one line, what is published (nothing), and the
//! rejects.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use crate::support::{CSV_JOB, GOOD, HEADER, Outcome, Place, assert_line, skip};

/// A user without rights of its own.
const NOBODY: u32 = 65534;

/// Fails unless `place` holds nothing of a run.
#[track_caller]
fn assert_nothing_published(place: &Place) {
    assert!(!place.path("out").exists(), "{:?}", place.out());
}

/// Runs a job on bad rows, of which it allows none: nothing but their list may be left. Gives the
/// rejects file.
#[track_caller]
fn assert_rejected(place: &Place, line: &str) -> String {
    place.run(&[]).fails(3, line);
    let left = place.out();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("_rejects/dt=2026-11-01/"), "{left:?}");
    place.rejects()
}

/// The end of the line about bad rows.
const SEE: &str = "see out/_rejects for all of them; mend the input or raise job.rejects_max";

/// A Parquet file of one row group.
fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// [`CSV_JOB`] that reads Parquet.
fn parquet_place() -> Place {
    let place = Place::new(&CSV_JOB.replace("source.csv", "source.parquet"));
    fs::create_dir(place.path("in")).unwrap();
    place
}

/// Columns of two good rows.
fn two_rows() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("user_id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("pin_id", Arc::new(Int64Array::from(vec![5, 5]))),
        ("action", Arc::new(StringArray::from(vec!["save", "save"]))),
        ("event_time", Arc::new(StringArray::from(vec!["2026-10-01", "2026-10-02"]))),
        ("weight", Arc::new(Float64Array::from(vec![1.0, 2.0]))),
    ]
}

#[test]
fn a_missing_job_file() {
    let place = Place::new("");
    place.call(&["run", "none.toml"]).fails(
        2,
        "none.toml: cannot read the job file: No such file or directory (os error 2); name a job \
         file such as jobs/related_pins.toml",
    );
}

#[test]
fn a_missing_input() {
    let place = Place::new(CSV_JOB);
    let line = "in: no such file or folder; check `path` in the job's [source]";
    place.run(&[]).fails(3, line);
    assert_nothing_published(&place);
    let line = "in/*.csv: no file matches; check `path` in the job's [source]";
    place.run(&["--set", "source.csv.path=in/*.csv"]).fails(3, line);
    assert_nothing_published(&place);
}

#[test]
fn an_empty_folder() {
    let place = Place::new(CSV_JOB);
    fs::create_dir(place.path("in")).unwrap();
    place.run(&[]).fails(
        3,
        "in: the folder holds no file; write files that end in .csv, .tsv, .inter there, or \
         correct `path` in the job's [source]",
    );
    place.write("in/readme.txt", b"hello");
    place.run(&[]).fails(
        3,
        "in: no file of the folder ends in .csv, .tsv, .inter (1 other); name the files by a glob \
         such as folder/*",
    );
    assert_nothing_published(&place);
}

#[test]
fn an_empty_file() {
    let place = Place::new(CSV_JOB);
    place.write("in/a.csv", b"");
    let line = "in/a.csv: the file is empty; write a header row that names the columns";
    place.run(&[]).fails(3, line);
    assert_nothing_published(&place);
}

#[test]
fn no_read_permission() {
    let place = Place::with_rows(&[GOOD]);
    let (folder, input) = (place.path(""), place.path("in/a.csv"));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&input, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = place.command(&["run", "job.toml"]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root reads everything, so another user runs the job.
        let mut probe = place.command(&["--version"]);
        if !probe.uid(NOBODY).gid(NOBODY).status().is_ok_and(|status| status.success()) {
            skip("no read permission (root reads all, and no other user can run)");
            return;
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    Outcome::of(&command.output().unwrap()).fails(
        3,
        "in/a.csv: no permission to read; grant read permission to the user that runs the job",
    );
    assert_nothing_published(&place);
}

#[test]
fn truncated_parquet() {
    let place = parquet_place();
    let path = place.path("in/part-0.parquet");
    parquet(&path, two_rows());
    place.run(&[]).succeeds();
    fs::remove_dir_all(place.path("out")).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 3, 0] {
        fs::write(&path, &whole[..length]).unwrap();
        place.run(&[]).fails(
            3,
            "in/part-0.parquet: no readable Parquet file: *; it is truncated, damaged or of another \
             format: write it again",
        );
        assert_nothing_published(&place);
    }
}

#[test]
fn a_truncated_compressed_file() {
    let place = Place::new(CSV_JOB);
    let rows: String = (0..5000).map(|i| format!("{},{i}{}\n", i * 7, &GOOD[3..])).collect();
    let text = format!("{HEADER}\n{rows}");
    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
    place.write("in/a.csv.zst", &packed[..packed.len() / 2]);
    let line = "in/a.csv.zst, line *: the compressed file is truncated; write or copy it again";
    place.run(&[]).fails(3, line);
    assert_nothing_published(&place);
}

#[test]
fn a_wrong_column_name() {
    let columns = "the columns are user_id, pin_id, action, event_time, weight";
    let wrong = ["--set", "columns.left=user_di"];
    let place = Place::with_rows(&[GOOD]);
    let line = "in/a.csv, line 1, user_di: no such column; did you mean user_id? ";
    place.run(&wrong).fails(3, &format!("{line}{columns}"));
    assert_nothing_published(&place);
    let place = parquet_place();
    parquet(&place.path("in/part-0.parquet"), two_rows());
    let line = "in/part-0.parquet, user_di: no such column; did you mean user_id? ";
    place.run(&wrong).fails(3, &format!("{line}{columns}"));
    assert_nothing_published(&place);
}

#[test]
fn a_wrong_type() {
    let place = parquet_place();
    let mut columns = two_rows();
    columns[1].1 = Arc::new(Float64Array::from(vec![0.5, 1.5]));
    parquet(&place.path("in/part-0.parquet"), columns);
    place.run(&[]).fails(
        3,
        "in/part-0.parquet, pin_id: a column of type double cannot hold keys; name an integer or \
         utf8 column",
    );
    assert_nothing_published(&place);
    let place = Place::with_rows(&[GOOD, "one,2,save,2026-10-01,1"]);
    let typed = place.run(&["--set", "columns.left_type=int64"]);
    typed.fails(
        3,
        &format!(
            "in/a.csv, line 3, user_id: 1 of 2 rows are bad (50.000%), the job allows 0.000%; the \
             first: not an int64 \"one\"; {SEE}"
        ),
    );
}

#[test]
fn files_of_different_types() {
    let place = parquet_place();
    parquet(&place.path("in/part-0.parquet"), two_rows());
    let mut columns = two_rows();
    columns[0].1 = Arc::new(StringArray::from(vec!["a", "b"]));
    parquet(&place.path("in/part-1.parquet"), columns);
    place.run(&[]).fails(
        3,
        "in/part-1.parquet, user_id: the keys are utf8 here but int64 in in/part-0.parquet; write \
         the column with one type in all files",
    );
    assert_nothing_published(&place);
}

#[test]
fn null_keys() {
    let place = Place::with_rows(&[GOOD, ",2,save,2026-10-01,1"]);
    let bad = "1 of 2 rows are bad (50.000%), the job allows 0.000%; the first: null key \"\"";
    let rejects = assert_rejected(&place, &format!("in/a.csv, line 3, user_id: {bad}; {SEE}"));
    assert_line(
        &rejects,
        r#"{"path":"in/a.csv","position":3,"column":"user_id","reason":"null key","value":""}"#,
    );
    let place = parquet_place();
    let mut columns = two_rows();
    columns[1].1 = Arc::new(Int64Array::from(vec![Some(5), None]));
    parquet(&place.path("in/part-0.parquet"), columns);
    let rejects =
        assert_rejected(&place, &format!("in/part-0.parquet, row 2, pin_id: {bad}; {SEE}"));
    assert!(rejects.contains(r#""position":2,"column":"pin_id","reason":"null key""#), "{rejects}");
}

#[test]
fn text_that_is_not_utf_8() {
    let place = Place::new(CSV_JOB);
    let text =
        [HEADER.as_bytes(), b"\nu1", &GOOD.as_bytes()[1..], b"\nu\xff,2,save,2026-10-01,1\n"];
    place.write("in/a.csv", &text.concat());
    let rejects = assert_rejected(
        &place,
        &format!(
            "in/a.csv, line 3, user_id: 1 of 2 rows are bad (50.000%), the job allows 0.000%; the \
             first: not UTF-8 \"u\u{fffd}\"; {SEE}"
        ),
    );
    assert!(rejects.contains(r#""reason":"not UTF-8","value":"u"#), "{rejects}");
    // The job file itself.
    place.write("job.toml", b"[job]\nname = \"\xff\"\n");
    place.run(&[]).fails(2, "job.toml, line 2: not UTF-8 text; save the file as UTF-8");
}

#[test]
fn weights_that_are_no_weight() {
    let cases = [
        ("NaN", "weight is NaN"),
        ("-1", "negative weight"),
        ("1e7", "weight above 1000000"),
        ("inf", "weight above 1000000"),
        ("heavy", "not a number"),
        ("", "null weight"),
    ];
    for (value, reason) in cases {
        let place = Place::with_rows(&[GOOD, &format!("1,2,save,2026-10-01,{value}")]);
        let rejects = assert_rejected(
            &place,
            &format!(
                "in/a.csv, line 3, weight: 1 of 2 rows are bad (50.000%), the job allows 0.000%; \
                 the first: {reason} {value:?}; {SEE}"
            ),
        );
        assert!(rejects.contains(&format!(r#""reason":"{reason}","value":"{value}""#)));
    }
}

#[test]
fn times_out_of_range() {
    for (time, reason) in [
        ("1492-01-01", "time out of range"),
        ("2262-01-01", "time out of range"),
        ("soon", "not a time"),
    ] {
        let place = Place::with_rows(&[GOOD, &format!("1,2,save,{time},1")]);
        let rejects = assert_rejected(
            &place,
            &format!(
                "in/a.csv, line 3, event_time: 1 of 2 rows are bad (50.000%), the job allows \
                 0.000%; the first: {reason} {time:?}; {SEE}"
            ),
        );
        assert!(rejects.contains(&format!(r#""column":"event_time","reason":"{reason}""#)));
    }
}

#[test]
fn a_line_that_is_cut_short() {
    let place = Place::with_rows(&[GOOD, "1,2,sa"]);
    let line = "in/a.csv, line 3: 1 of 2 rows are bad (50.000%), the job allows 0.000%; the first: \
                wrong number of fields \"1,2,sa\"; ";
    assert_rejected(&place, &format!("{line}{SEE}"));
}

#[test]
fn bad_rows_within_the_limit_are_kept_and_the_job_goes_on() {
    let place = Place::with_rows(&[GOOD, "1,2,save,2026-10-01,NaN", ",2,save,2026-10-01,1"]);
    let outcome = place.run(&["--set", "job.rejects_max=0.7"]);
    assert_eq!(outcome.succeeds().err, "");
    assert!(outcome.out.contains("  rows      3 read, 2 rejected, 1 events used\n"), "{outcome:?}");
    assert!(outcome.out.contains("  rejects   out/_rejects/dt=2026-11-01/"), "{outcome:?}");
    let columns: Vec<String> = place
        .rejects()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["column"].to_string())
        .collect();
    assert_eq!(columns, ["\"weight\"", "\"user_id\""]);
    assert!(place.path("out/related/dt=2026-11-01/_SUCCESS").exists());
}

#[test]
fn an_action_that_the_job_does_not_name_is_ignored_and_counted() {
    let click = GOOD.replace("save", "click");
    let place = Place::with_rows(&[GOOD, &click, &click]);
    let outcome = place.run(&[]);
    assert_eq!(outcome.succeeds().err, "");
    let line = "  ignored   2 rows: the job does not name action \"click\"\n";
    assert!(outcome.out.contains(line), "{outcome:?}");
}

#[test]
fn an_action_of_the_job_that_is_misspelt_publishes_nothing() {
    let place = Place::with_rows(&[GOOD, &GOOD.replace("save", "closeup")]);
    place.run(&["--set", "graph.actions.closup=0.5"]).fails(
        3,
        "graph.actions.closup: no event has action \"closup\"; did you mean \"closeup\"?",
    );
    let place = Place::with_rows(&[&GOOD.replace("save", "repin")]);
    let line = "graph.actions: no event has any of the job's actions; the input has \"repin\"";
    place.run(&[]).fails(3, line);
    assert!(!place.path("out/related").exists());
}

#[test]
fn an_action_of_the_job_that_never_occurs_is_warned_of() {
    let place = Place::with_rows(&[GOOD, &GOOD.replace("save", "closeup")]);
    let outcome = place.run(&["--set", "graph.actions.zap=0.5"]);
    let line = "warning: no event has action \"zap\"; see graph.actions in the job file";
    assert_line(&outcome.succeeds().err, line);
}

#[test]
fn a_job_without_features() {
    let place = Place::with_rows(&[GOOD]);
    let bare: Vec<&str> = CSV_JOB.lines().filter(|line| !line.contains("features")).collect();
    place.write("job.toml", bare.join("\n").as_bytes());
    place.run(&[]).fails(
        2,
        "job.toml, features: the job has no features; add one, for example \
         [features.related_v1.co_engagement]",
    );
    assert_nothing_published(&place);
}

#[test]
fn two_features_of_one_name() {
    let place = Place::with_rows(&[GOOD]);
    place.write("job.toml", (CSV_JOB.to_owned() + "[features.related.co_engagement]\n").as_bytes());
    place.run(&[]).fails(
        2,
        "job.toml, line 19: a second feature named `related`, after line 15; give each feature a \
         name of its own",
    );
    place.write("job.toml", (CSV_JOB.to_owned() + "[features.related.degree]\n").as_bytes());
    place.run(&[]).fails(
        2,
        "job.toml, line 15, features.related: the feature has two signals, co_engagement and \
         degree; a feature has one signal; give each a name of its own",
    );
    assert_nothing_published(&place);
}

#[test]
fn an_unknown_key_and_a_bad_override() {
    let place = Place::with_rows(&[GOOD]);
    let typo = CSV_JOB.replace(
        "[features.related.co_engagement]",
        "[graph]\nwindov = \"9d\"\n[features.related.co_engagement]",
    );
    place.write("job.toml", typo.as_bytes());
    let line = "job.toml, line 16, graph.windov: unknown key; did you mean `window`?*";
    place.run(&[]).fails(2, line);
    let place = Place::with_rows(&[GOOD]);
    let line = "--set graph.window=soon: \"soon\" is not a duration; write a whole number and a \
                unit: 90d, 12h, 30m, 45s or 2w";
    place.run(&["--set", "graph.window=soon"]).fails(2, line);
    assert_nothing_published(&place);
}

#[test]
fn no_edge_left_is_a_warning_and_an_empty_valid_output() {
    let place = Place::with_rows(&[GOOD]);
    let outcome = place.run(&["--as-of", "2026-09-01"]);
    assert_line(
        &outcome.succeeds().err,
        "warning: no edge is left, so the tables are empty: of 1 rows, 1 are after as_of, 0 before \
         the window, 0 of actions that the job does not name, 0 bad",
    );
    assert!(outcome.out.contains("  graph     0 + 0 nodes, 0 edges\n"), "{outcome:?}");
    for table in ["related", "degrees_user", "degrees_pin"] {
        let folder = place.path("out").join(table).join("dt=2026-09-01");
        let files = crate::support::files(&folder).unwrap();
        crate::support::assert_whole(&files);
        let file = crate::support::only_part(&folder);
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = reader.unwrap();
        assert!(reader.schema().fields().len() > 2, "{table}");
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0, "{table}");
    }
}

#[test]
fn a_window_without_a_time_column() {
    let place = Place::with_rows(&[GOOD]);
    let untimed: Vec<&str> = CSV_JOB.lines().filter(|line| !line.starts_with("time =")).collect();
    place.write("untimed.toml", untimed.join("\n").as_bytes());
    let windows = ["--set", "features.seen.popularity.windows=[\"7d\", \"all\"]"];
    place.call(&[&["run", "untimed.toml"], windows.as_slice()].concat()).fails(
        2,
        "--set features.seen.popularity.windows=[\"7d\", \"all\"]: window \"7d\" needs a time column; name columns.time, or \
         write windows = [\"all\"]",
    );
    assert!(!place.path("out").exists());
}
