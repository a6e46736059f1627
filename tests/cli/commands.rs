//! Every subcommand and flag, by what it prints and leaves.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{CSV_JOB, GOOD, Outcome, PARTITION, Place, assert_line, files, tree};

/// Rows of a small graph: users 1 to 3, pins 1, 5 and 6.
const ROWS: [&str; 6] = [
    "1,5,save,2026-10-01T00:00:00Z,1",
    "1,6,save,2026-10-02T00:00:00Z,1",
    "2,5,save,2026-10-03T00:00:00Z,1",
    "2,6,save,2026-10-04T00:00:00Z,1",
    "3,6,save,2026-10-05T00:00:00Z,2",
    "3,1,save,2026-10-06T00:00:00Z,1",
];

fn place() -> Place {
    Place::with_rows(&ROWS)
}

/// The command in the project's folder, where jobs/ and datasets/ are.
fn in_project(args: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pingraph"));
    let command = command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    Outcome::of(&command.output().unwrap())
}

#[test]
fn run_prints_a_summary() {
    let place = place();
    let outcome = place.run(&[]);
    assert_eq!(outcome.succeeds().err, "", "no progress where standard error is no terminal");
    let starts = [
        "test: done in ",
        "  rows      6 read, 0 rejected, 6 events used",
        "  graph     3 + 3 nodes, 6 edges",
        "  feature   degrees_user: 3 rows, ",
        "  feature   degrees_pin: 3 rows, ",
        "  feature   related: 3 rows, ",
        "  time      read ",
        "  memory    ",
        "  example   ",
    ];
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line:?} does not begin with {start:?}");
    }
    assert!(lines[5].ends_with("in out/related/dt=2026-11-01"), "{}", lines[5]);
    for stage in ["ids", "edges", "adjacency", "degrees", "related", "write", "publish"] {
        assert!(lines[6].contains(&format!(", {stage} ")), "{}", lines[6]);
    }
}

#[test]
fn the_jobs_of_the_project_run() {
    for job in ["related_pins", "homefeed"] {
        let folder = tempfile::tempdir().unwrap();
        let out = format!("sink.parquet.path={}", folder.path().display());
        let outcome = in_project(&["run", &format!("jobs/{job}.toml"), "--set", &out]);
        assert_eq!(outcome.succeeds().err, "");
        assert!(outcome.out.starts_with(&format!("{job}: done in ")), "{outcome:?}");
        assert!(tree(folder.path()).len() >= 6);
    }
}

#[test]
fn quiet_prints_nothing_on_success_and_the_error_otherwise() {
    let place = place();
    // Even though there is something to warn of.
    let outcome = place.run(&["--quiet", "--set", "graph.actions.zap=1"]);
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("", ""));
    outcome.succeeds();
    place.run(&["-q", "--set", "source.csv.path=no"]).fails(3, "no: no such file or folder; *");
}

/// The lines of `text`, each a JSON object.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_json_log_has_an_object_a_line() {
    let place = place();
    let outcome = place.run(&["--log", "json", "--set", "graph.actions.zap=1"]);
    let lines = objects(&outcome.succeeds().err);
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(pingraph::model::parse_timestamp(time).is_some(), "{time}");
    }
    let stages = |event: &str| -> Vec<&str> {
        let found = lines.iter().filter(|line| line["event"] == event);
        found.map(|line| line["stage"].as_str().unwrap()).collect()
    };
    let mut started = stages("stage_started");
    let mut finished = stages("stage_finished");
    for stage in ["read", "ids", "edges", "adjacency", "degrees", "related", "write", "publish"] {
        assert!(started.contains(&stage), "{started:?}");
    }
    started.sort_unstable();
    finished.sort_unstable();
    assert_eq!(started, finished, "each stage begins once and ends once");
    let warnings: Vec<_> = lines.iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0]["message"].as_str().unwrap().contains("\"zap\""));
    let end = lines.last().unwrap();
    assert_eq!(end["event"], "run_finished");
    assert_eq!((&end["rows_read"], &end["edges"]), (&Value::from(6), &Value::from(6)), "{end}");
    assert_eq!(end["tables"].as_array().unwrap().len(), 3, "{end}");
    let outcome = place.run(&["--log", "json", "--quiet"]);
    assert_eq!(outcome.succeeds().err, "");
    let outcome = place.run(&["--log", "json", "--set", "source.csv.path=no"]);
    assert_eq!(outcome.code, Some(3));
    let lines = objects(&outcome.err);
    let error = lines.last().unwrap();
    assert_eq!((&error["level"], &error["kind"]), (&Value::from("error"), &Value::from("input")));
    assert!(error["message"].as_str().unwrap().starts_with("no: no such file"));
}

#[test]
fn nothing_moves_on_a_standard_error_that_is_no_terminal() {
    let outcome = in_project(&["explain", "jobs/homefeed.toml"]);
    let large = "source.synthetic={ lefts = 3000 }";
    let place = Place::new(&CSV_JOB.replace("[source.csv]\npath = \"in\"", "[source.synthetic]"));
    let args = ["--set", large, "--set", "columns={ left = \"user_id\", right = \"pin_id\" }"];
    let ran = place.run(&[&args[..], &["--set", "graph={}"]].concat());
    for outcome in [outcome, ran] {
        assert_eq!(outcome.succeeds().err, "");
        assert!(!outcome.out.contains(['\r', '\u{1b}']), "{outcome:?}");
    }
}

/// All files of the job's tables after a run at a fixed time.
fn at_fixed_time(place: &Place, more: &[&str]) -> Vec<crate::support::Files> {
    let mut command = place.command(&[&["run", "job.toml"], more].concat());
    command.env("SOURCE_DATE_EPOCH", "1800000000");
    Outcome::of(&command.output().unwrap()).succeeds();
    let tables = ["related", "degrees_user", "degrees_pin"];
    tables.map(|table| files(&place.path("out").join(table).join(PARTITION)).unwrap()).into()
}

#[test]
fn source_date_epoch_fixes_every_byte() {
    let place = place();
    let first = at_fixed_time(&place, &["--workers", "1"]);
    assert_eq!(at_fixed_time(&place, &["--workers", "3"]), first);
    let manifest: Value = serde_json::from_slice(&first[0]["_manifest.json"]).unwrap();
    assert_eq!(manifest["created"], "2027-01-15T08:00:00Z");
    place.run(&[]).succeeds();
    let later = files(&place.path("out/related").join(PARTITION)).unwrap();
    let manifest: Value = serde_json::from_slice(&later["_manifest.json"]).unwrap();
    assert_ne!(manifest["created"], "2027-01-15T08:00:00Z");
    let mut command = place.command(&["run", "job.toml"]);
    command.env("SOURCE_DATE_EPOCH", "soon");
    let line = "SOURCE_DATE_EPOCH is \"soon\"; it must be whole seconds since 1970";
    Outcome::of(&command.output().unwrap()).fails(2, line);
}

#[test]
fn workers_is_the_number_of_workers() {
    let place = place();
    let first = |workers: &str| {
        let outcome = place.call(&["run", "job.toml", "--workers", workers]);
        outcome.succeeds().out.lines().next().unwrap().to_owned()
    };
    assert!(first("1").ends_with(" on 1 worker"), "{}", first("1"));
    assert!(first("3").ends_with(" on 3 workers"), "{}", first("3"));
    let outcome = place.call(&["run", "job.toml", "--workers", "0"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("invalid value '0' for '--workers <N>'"), "{outcome:?}");
}

#[test]
fn as_of_moves_the_partition_and_hides_events() {
    let place = place();
    let outcome = place.run(&["--as-of", "2026-10-04"]);
    assert!(outcome.succeeds().out.contains("  left out  3 at or after as_of"), "{outcome:?}");
    assert!(place.path("out/related/dt=2026-10-04/_SUCCESS").exists());
    assert!(!place.path("out/related").join(PARTITION).exists());
    place.run(&["--as-of", "soon"]).fails(2, "--as-of soon: *");
}

#[test]
fn set_overrides_a_key() {
    let place = place();
    let outcome = place.run(&["--set", "graph.left_degree_max=1", "--set", "sink.parquet.path=b"]);
    assert!(outcome.succeeds().out.contains(" nodes, 3 edges\n"), "{outcome:?}");
    assert!(place.path("b/related").join(PARTITION).exists());
    assert!(!place.path("out").exists());
    place.run(&["--set", "graph.left_degree_max"]).fails(
        2,
        "--set graph.left_degree_max: expected KEY=VALUE; for example --set graph.window=30d",
    );
}

#[test]
fn explain_needs_no_input() {
    let place = Place::new(CSV_JOB);
    let text = place.call(&["explain", "job.toml"]);
    assert!(text.succeeds().out.starts_with("job test, as of 2026-11-01T00:00:00Z\n"), "{text:?}");
    for line in ["  csv in", "feature related", "  signal co_engagement", "stages"] {
        assert!(text.out.lines().any(|found| found == line), "{line:?} is missing in {text:?}");
    }
    let dot = place.call(&["explain", "job.toml", "--dot"]);
    let dot = &dot.succeeds().out;
    assert!(dot.starts_with("digraph {") && dot.trim_end().ends_with('}'), "{dot}");
    assert!(dot.contains("->") && dot.contains("related"), "{dot}");
    let memory = place.call(&["explain", "job.toml", "--memory"]);
    let memory = &memory.succeeds().out;
    for line in ["adjacency", "  both adjacencies                24 B an edge", "related"] {
        assert!(memory.lines().any(|found| found == line), "{line:?} is missing in {memory}");
    }
    assert_eq!(place.call(&["explain", "job.toml", "--memory", "--dot"]).code, Some(2));
    assert!(!place.path("out").exists());
}

#[test]
fn explain_shows_weights_as_they_were_typed() {
    let place = Place::new(&CSV_JOB.replace("save = 1.0", "save = 0.2"));
    let outcome = place.call(&["explain", "job.toml"]);
    assert!(outcome.succeeds().out.contains("  \"save\" weighs 0.2\n"), "{outcome:?}");
}

#[test]
fn estimate_sizes_the_job() {
    let place = place();
    let outcome = place.call(&["estimate", "job.toml", "--workers", "2"]);
    let out = &outcome.succeeds().out;
    for line in
        ["  rows      6", "  events    6", "  users     3", "  pins      3", "  edges     6"]
    {
        assert!(out.lines().any(|found| found == line), "{line:?} is missing in\n{out}");
    }
    assert!(out.contains("\nmemory, peak about ") && out.contains(" on 2 workers "), "{out}");
    assert!(!place.path("out").exists());
    place.call(&["estimate", "job.toml", "--set", "source.csv.path=no"]).fails(3, "no: *");
}

#[test]
fn signals_are_listed_and_described() {
    let place = Place::new(CSV_JOB);
    let list = place.call(&["signals"]);
    for signal in pingraph::signals::all() {
        let name = signal.name();
        let listed = list.succeeds().out.lines().any(|line| line.starts_with(name));
        assert!(listed, "{name} is missing in {list:?}");
        let outcome = place.call(&["signals", name]);
        for param in signal.doc().params {
            assert!(outcome.succeeds().out.contains(&format!("  {} (", param.name)), "{name}");
        }
    }
    let line = "unknown signal \"co_engagment\"; did you mean \"co_engagement\"?";
    place.call(&["signals", "co_engagment"]).fails(2, line);
}

#[test]
fn inspect_says_what_an_input_holds_and_plots_it() {
    let place = place();
    let outcome = place.call(&["inspect", "in", "--plot", "degrees.svg"]);
    let out = &outcome.succeeds().out;
    assert!(out.contains("columns     left user_id (int64), right pin_id (int64)"), "{out}");
    assert!(out.contains("rows        6 read, 6 usable, 0 bad (0.00%)\n"), "{out}");
    assert!(out.contains("edges       6 distinct pairs\n"), "{out}");
    let svg = fs::read_to_string(place.path("degrees.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("user_id") && svg.contains("pin_id"), "{svg}");
    place.call(&["inspect", "none"]).fails(3, "none: no such file or folder; *");
    place.call(&["inspect", "in", "--plot", "no/folder.svg"]).fails_at_plot();
}

impl Outcome {
    /// The report is printed before the plot fails.
    fn fails_at_plot(&self) {
        assert_eq!(self.code, Some(5), "{self:?}");
        assert_line(&self.err, "error: no/folder.svg: No such file or directory *; check space*");
    }
}

#[test]
fn generate_writes_what_run_and_inspect_read() {
    let place = place();
    place.write("spec.toml", b"lefts = 100\nrights = 50\nseed = 3\n");
    let generate =
        |more: &[&str]| place.call(&[&["generate", "spec.toml", "--out"], more].concat());
    let outcome = generate(&["data"]);
    let out = &outcome.succeeds().out;
    assert!(out.ends_with(" bytes, seed 3: data\n"), "{out}");
    let rows = out.split_whitespace().next().unwrap().to_owned();
    for format in ["csv", "jsonl"] {
        let outcome = generate(&[format, "--format", format]);
        assert!(outcome.succeeds().out.starts_with(&format!("{rows} rows, ")), "{outcome:?}");
        assert!(place.call(&["inspect", format]).succeeds().out.contains("0 bad"));
    }
    let job = "source={ parquet = { path = \"data\" } }";
    let outcome = place.run(&[
        "--set",
        job,
        "--set",
        "columns={ left = \"user_id\", right = \"pin_id\" }",
        "--set",
        "graph={}",
    ]);
    assert!(outcome.succeeds().out.contains(" 0 rejected, "), "{outcome:?}");
    // The same spec gives the same bytes, another seed others.
    generate(&["again"]).succeeds();
    generate(&["other", "--seed", "4"]).succeeds();
    let all = |folder: &str| -> Vec<Vec<u8>> {
        let root = place.path(folder);
        tree(&root).iter().map(|file| fs::read(root.join(file)).unwrap()).collect()
    };
    assert_eq!(all("data"), all("again"));
    assert_ne!(all("data"), all("other"));
    generate(&["data"]).fails(5, "data: the output folder is not empty; *--force");
    generate(&["data", "--force", "--seed", "4"]).succeeds();
    assert_eq!(all("data"), all("other"));
    place.write("spec.toml", b"lefts = 0\n");
    generate(&["bad"]).fails(2, "*lefts*");
    assert!(!place.path("bad").exists());
}

#[test]
fn sample_shows_one_node() {
    let place = place();
    let sample = |key: &str| place.call(&["sample", "job.toml", key]);
    let user = sample("user=2");
    assert!(user.succeeds().out.starts_with("user 2\n  2 pins: 5 6\n  degrees_user: "), "{user:?}");
    let pin = sample("pin=5");
    assert!(pin.succeeds().out.starts_with("pin 5\n  2 users: 1 2\n"), "{pin:?}");
    assert!(pin.out.contains("    related_pin_ids = [6]\n"), "{pin:?}");
    // Key 1 is a user and a pin, 5 only a pin.
    let both = sample("1");
    let heads = ["user 1\n  2 pins: 5 6\n", "pin 1\n  1 users: 3\n"];
    assert!(heads.iter().all(|head| both.succeeds().out.contains(head)), "{both:?}");
    assert_eq!(sample("5").succeeds().out, pin.out);
    let why = "it may be outside the window, below the minimum degree, or misspelt";
    sample("9").fails(3, &format!("the graph has no user and no pin \"9\"; {why}"));
    sample("user=5").fails(3, &format!("the graph has no user \"5\"; {why}"));
    sample("x").fails(3, &format!("the graph has no user and no pin \"x\"; {why}"));
    sample("pins=5").fails(
        3,
        "the graph has no user and no pin \"pins=5\"; a side is called user or pin, not \"pins\": write \
         pin=5",
    );
    assert!(!place.path("out").exists(), "a sample publishes nothing");
}

#[test]
fn wrong_usage_ends_with_2_and_claps_text() {
    let place = place();
    for (args, said) in [
        (&["run"][..], "required arguments were not provided"),
        (&["rum", "job.toml"], "unrecognized subcommand 'rum'"),
        (&["run", "job.toml", "--worker", "2"], "unexpected argument '--worker' found"),
        (&["run", "job.toml", "--log", "xml"], "invalid value 'xml' for '--log <LOG>'"),
        (&["generate", "spec.toml"], "required arguments were not provided"),
    ] {
        let outcome = place.call(args);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.err.contains(said), "{outcome:?}");
        assert!(outcome.err.contains("For more information, try '--help'."), "{outcome:?}");
    }
    assert_eq!(place.call(&[]).code, Some(2));
    assert!(!place.path("out").exists());
}

#[test]
fn help_documents_the_exit_codes() {
    let place = Place::new(CSV_JOB);
    let help = place.call(&["--help"]);
    let codes = "Exit codes: 0 done, 2 command line or job file, 3 input, 4 engine, 5 publishing";
    assert!(help.succeeds().out.contains(codes), "{help:?}");
    for command in ["run", "generate", "inspect", "explain", "estimate", "signals", "sample"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{help:?}");
        place.call(&[command, "--help"]).succeeds();
    }
    let version = place.call(&["--version"]);
    let expected = format!("pingraph {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.succeeds().out, expected);
}

#[test]
fn a_row_that_is_an_event_is_one() {
    // The other families add bad rows to this one.
    let outcome = Place::with_rows(&[GOOD]).run(&[]);
    assert!(outcome.succeeds().out.contains("1 read, 0 rejected, 1 events used"), "{outcome:?}");
}
