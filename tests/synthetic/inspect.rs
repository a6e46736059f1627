use std::path::Path;

use super::pingraph;

/// Runs `pingraph inspect` and takes the spaces that align columns for one.
fn inspect(args: &[&str]) -> Vec<String> {
    let printed = pingraph(&[&["inspect"], args].concat()).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    printed.lines().map(words).collect()
}

#[track_caller]
fn assert_lines(lines: &[String], expected: &[&str]) {
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{line:?} is not in {lines:#?}");
    }
}

#[test]
fn the_tiny_data_set_is_counted_as_by_hand() {
    let lines = inspect(&["datasets/tiny/events.csv"]);
    assert_lines(
        &lines,
        &[
            "columns left user_id (int64), right pin_id (int64), action action, time event_time; \
             guessed: left, right, action, time",
            "rows 17 read, 17 usable, 0 bad (0.00%)",
            "nodes 4 user_id, 4 pin_id",
            "edges 13 distinct pairs",
            "duplicates 1 row like an earlier one in every column (5.88%), \
             4 rows of an earlier one's pair (23.53%)",
            "degrees p1 p10 p50 p90 p99 max mean",
            "user_id 3 3 3 4 4 4 3.2",
            "pin_id 2 2 3 4 4 4 3.2",
            "head the top 10% of pin_id have 30.77% of the edges",
            "actions save 10 (58.82%)",
            "closeup 4 (23.53%)",
            "time 2026-07-01T00:00:00Z to 2026-11-01T00:00:00.000001Z (123.0 days)",
        ],
    );
}

#[test]
fn a_job_shows_what_it_sees_of_its_input() {
    let lines = inspect(&["datasets/tiny/job.toml"]);
    assert_lines(
        &lines,
        &[
            "rows 17 read, 13 usable, 0 bad (0.00%)",
            "2 at or after as_of, 1 before the window, 1 of other actions; \
             0 partitions or row groups not read",
            "edges 9 distinct pairs",
            "click 1 (7.14%, ignored)",
            "time 2026-09-02T00:00:00Z to 2026-10-31T18:00:00Z (59.8 days)",
        ],
    );
}

#[test]
fn columns_can_be_named_and_bad_rows_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    std::fs::write(&path, "who;x\n").unwrap();
    let error = pingraph(&["inspect", path.to_str().unwrap()]).unwrap_err();
    assert!(error.0 == 3 && error.1.contains("--left"), "{error:?}");
    std::fs::write(&path, "who,what,stars\na,p,2.5\nb,,1\na,q,-1\nb,p,4\n").unwrap();
    let lines = inspect(&[path.to_str().unwrap(), "--left", "who", "--right", "what"]);
    let path = path.display();
    assert_lines(
        &lines,
        &[
            "columns left who (utf8), right what (utf8), weight stars; guessed: weight",
            "rows 4 read, 2 usable, 2 bad (50.00%)",
            "nodes 2 who, 1 what",
            &format!("bad rows stars: negative weight, 1 row; the first is {path}, 4, \"-1\""),
            &format!("bad rows what: null key, 1 row; the first is {path}, 3, \"\""),
            "weight least 2.5, median 2.5, greatest 4",
        ],
    );
}

#[test]
fn every_format_gives_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = Vec::new();
    for format in ["parquet", "csv", "jsonl"] {
        let out = folder.path().join(format).display().to_string();
        let spec = "datasets/specs/sample.toml";
        pingraph(&["generate", spec, "--out", &out, "--lefts", "30", "--format", format]).unwrap();
        reports.push(inspect(&[&out])[1..].to_vec());
    }
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
}

#[test]
fn the_plot_has_its_text_and_a_curve_a_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("degrees.svg");
    inspect(&["datasets/sample", "--plot", path.to_str().unwrap()]);
    let svg = std::fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for text in ["datasets/sample", "user_id (2,000)", "pin_id (1,500)", "0.1%", "degree (edges"] {
        assert!(svg.contains(text), "{text}");
    }
    for colour in ["#0072B2", "#D55E00"] {
        let curve = svg.lines().filter(|line| line.contains("<polyline") && line.contains(colour));
        assert!(curve.map(|line| line.matches(',').count()).max() > Some(50), "{colour}");
    }
}

#[test]
fn what_cannot_be_inspected_gives_one_line_and_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    let text = folder.path().join("notes.md");
    std::fs::write(&text, "hello").unwrap();
    let text = text.display().to_string();
    for (args, part) in [
        (["inspect", "datasets/nothing_here"].to_vec(), "nothing_here"),
        (["inspect", &empty].to_vec(), "folder"),
        (["inspect", &text].to_vec(), "--format"),
        (["inspect", "datasets/sample", "--left", "usr_id"].to_vec(), "did you mean user_id"),
    ] {
        let (code, error) = pingraph(&args).unwrap_err();
        assert!(code == 3 && error.contains(part), "{args:?}: {code} {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
    assert!(!Path::new(&empty).join("degrees.svg").exists());
}
