//! Every error of a job file, whole.

use pingraph::job::{Job, Overrides};

use crate::support::{SHORT, error, error_of};

/// Replaces a part of the short job and expects the error.
fn check(from: &str, to: &str, expected: &str) {
    assert_eq!(error_of(from, to), expected, "{from:?} -> {to:?}");
}

/// Adds a line before the features (line 9 on) and expects the error.
fn check_graph(lines: &str, expected: &str) {
    check("[features", &format!("[graph]\n{lines}\n[features"), expected);
}

#[test]
fn unknown_keys() {
    check("name =", "nam =", "jobs/test.toml, line 2, job.nam: unknown key; did you mean `name`?");
    check(
        "[columns]",
        "[columnes]",
        "jobs/test.toml, line 6, columnes: unknown key; did you mean `columns`?",
    );
    check(
        "[source.parquet]",
        "[source.parqet]",
        "jobs/test.toml, line 4, source.parqet: unknown value `parqet`; did you mean `parquet`?",
    );
    check(
        "path =",
        "recursive = true\npath =",
        "jobs/test.toml, line 5, source.parquet.recursive: unknown key; there are `path`",
    );
    check(
        "top_k",
        "topk",
        "jobs/test.toml, line 10, features.related_v1.co_engagement.topk: unknown key; did you \
         mean `top_k`?",
    );
    check(
        "co_engagement",
        "coengagement",
        "jobs/test.toml, line 9, features.related_v1.coengagement: unknown signal `coengagement`; \
         did you mean `co_engagement`?",
    );
    check(
        "co_engagement",
        "xyz",
        "jobs/test.toml, line 9, features.related_v1.xyz: unknown signal `xyz`; there are \
         `co_engagement`, `popularity`, `weighted`",
    );
    check_graph(
        "workers = 4",
        "jobs/test.toml, line 10, graph.workers: unknown key; there are `left`, `right`, `window`, \
         `half_life`, `left_degree_max`, `left_degree_min`, `right_degree_min`, `actions`",
    );
}

#[test]
fn wrong_types() {
    check(
        "name = \"short\"",
        "name = 5",
        "jobs/test.toml, line 2, job.name: expected a string, found integer `5`",
    );
    check_graph(
        "left_degree_max = -1",
        "jobs/test.toml, line 10, graph.left_degree_max: expected a whole number of at least 0, \
         found integer `-1`",
    );
    check(
        "top_k = 10",
        "top_k = \"ten\"",
        "jobs/test.toml, line 10, features.related_v1.co_engagement.top_k: expected a whole number \
         of at least 0, found string \"ten\"",
    );
    check(
        "top_k = 10",
        "top_k = 10\nmeasure = \"cosin\"",
        "jobs/test.toml, line 11, features.related_v1.co_engagement.measure: unknown value \
         `cosin`; did you mean `cosine`?",
    );
    check(
        "top_k = 10",
        "top_k = 0",
        "jobs/test.toml, line 10, features.related_v1.co_engagement.top_k: 0 is too small; write 1 \
         or more",
    );
    check(
        "right = \"pin_id\"",
        "right = \"pin_id\"\ntime = \"t\"\ntime_unit = \"sec\"",
        "jobs/test.toml, line 10, columns.time_unit: unknown value `sec`; did you mean `s`?",
    );
    check(
        "[sink.parquet]",
        "[sink]\nparquet = \"out\"",
        "jobs/test.toml, line 12, sink.parquet: expected a table, found string \"out\"",
    );
    check(
        "path = \"datasets/sample\"",
        "",
        "jobs/test.toml, line 4, source.parquet.path: missing key",
    );
}

#[test]
fn not_toml() {
    check(
        "name = \"short\"",
        "name = short",
        "jobs/test.toml, line 2: not TOML: string values must be quoted, expected literal string",
    );
    check("[job]", "[job", "jobs/test.toml, line 1: not TOML: unclosed table, expected `]`");
    check(
        "name =",
        "name = \"a\"\nname =",
        "jobs/test.toml, line 3: the key `name` stands twice in one table; remove one of them",
    );
    check(
        "[sink.parquet]",
        "[job]",
        "jobs/test.toml, line 11: a second table [job], after line 1; put its keys into one table",
    );
    check(
        "[sink.parquet]",
        "[features.related_v1.co_engagement]",
        "jobs/test.toml, line 11: a second feature named `related_v1`, after line 9; give each \
         feature a name of its own",
    );
}

#[test]
fn what_a_job_must_have() {
    check(
        "name = \"short\"\n",
        "",
        "jobs/test.toml, line 1, job.name: the job has no name; set job.name, for example \
         \"related_pins\"",
    );
    check(
        "as_of = \"2026-11-01T00:00:00Z\"\n",
        "",
        "jobs/test.toml, line 1, job.as_of: the job has no as_of; set job.as_of or pass --as-of \
         2026-11-01T00:00:00Z",
    );
    check(
        "[source.parquet]\npath = \"datasets/sample\"\n",
        "",
        "jobs/test.toml, source: the job has no source; add [source.parquet], [source.csv], \
         [source.jsonl] or [source.synthetic]",
    );
    check(
        "[source.parquet]\npath = \"datasets/sample\"\n",
        "[source]\n",
        "jobs/test.toml, line 4, source: no source is named; write [source.KIND] with parquet, \
         csv, jsonl or synthetic",
    );
    check(
        "[columns]",
        "[source.csv]\npath = \"x\"\n[columns]",
        "jobs/test.toml, line 6, source.csv: a second source after source.parquet; a job has one \
         source; remove the others",
    );
    check(
        "[columns]\nleft = \"user_id\"\nright = \"pin_id\"\n",
        "",
        "jobs/test.toml, columns: the job does not name its columns; add [columns] with left and \
         right, for example left = \"user_id\"",
    );
    check(
        "right = \"pin_id\"\n",
        "",
        "jobs/test.toml, line 6, columns.right: the job does not name its right column; set \
         columns.right, for example \"pin_id\"",
    );
    check(
        "[features.related_v1.co_engagement]\ntop_k = 10\n",
        "",
        "jobs/test.toml, features: the job has no features; add one, for example \
         [features.related_v1.co_engagement]",
    );
    check(
        "[sink.parquet]\n",
        "",
        "jobs/test.toml, sink: the job has no sink; add [sink.parquet]; its path is out/short by \
         default",
    );
}

#[test]
fn the_head_of_the_job() {
    check(
        "\"short\"",
        "\"../x\"",
        "jobs/test.toml, line 2, job.name: \"../x\" is not a plain folder name; use at most 100 \
         letters, digits, `_`, `-` and `.`, and begin with a letter or digit",
    );
    check(
        "\"2026-11-01T00:00:00Z\"",
        "\"soon\"",
        "jobs/test.toml, line 3, job.as_of: \"soon\" is not a time; write ISO 8601, for example \
         2026-11-01T00:00:00Z",
    );
    check(
        "\"2026-11-01T00:00:00Z\"",
        "\"1969-12-31\"",
        "jobs/test.toml, line 3, job.as_of: 1969-12-31 is outside the years 1970 to 9999",
    );
    for bad in ["1.5", "-0.1", "nan"] {
        let text = format!("name = \"short\"\nrejects_max = {bad}");
        let shown = if bad == "nan" { "NaN" } else { bad };
        check(
            "name = \"short\"",
            &text,
            &format!(
                "jobs/test.toml, line 3, job.rejects_max: {shown} is not a share; write a number \
                 from 0 (no bad row) to 1 (any number of them)"
            ),
        );
    }
    check(
        "path = \"datasets/sample\"",
        "path = \"${PINGRAPH_NOT_SET}\"",
        "jobs/test.toml, line 5, source.parquet.path: environment variable `PINGRAPH_NOT_SET` is \
         not set; set it, or give a default: ${PINGRAPH_NOT_SET:-default}",
    );
    check(
        "path = \"datasets/sample\"",
        "path = \"${PINGRAPH_NOT_SET:-}\"",
        "jobs/test.toml, line 5, source.parquet.path: the path is empty; name a file, a folder or \
         a glob",
    );
    check(
        "[source.parquet]\npath = \"datasets/sample\"",
        "[source.csv]\npath = \"x\"\ndelimiter = \"ab\"",
        "jobs/test.toml, line 6, source.csv.delimiter: \"ab\" is not one ASCII character; write \
         for example \",\", \";\" or \"\\t\"",
    );
}

#[test]
fn columns() {
    check(
        "\"pin_id\"",
        "\"user_id\"",
        "jobs/test.toml, line 8, columns.right: `user_id` is the left column too; each column has \
         one meaning",
    );
    check(
        "\"pin_id\"",
        "\"\"",
        "jobs/test.toml, line 8, columns.right: the column's name is empty; name a column of the \
         input, or remove the key",
    );
    check(
        "right = \"pin_id\"",
        "right = \"pin_id\"\ntime_unit = \"s\"",
        "jobs/test.toml, line 9, columns.time_unit: a unit of time without a time column; set \
         columns.time",
    );
}

#[test]
fn the_graph() {
    check_graph(
        "window = \"90d\"",
        "jobs/test.toml, line 10, graph.window: window needs a time column; set columns.time, or \
         remove window",
    );
    check_graph(
        "half_life = \"90d\"",
        "jobs/test.toml, line 10, graph.half_life: half_life needs a time column; set \
         columns.time, or remove half_life",
    );
    check(
        "right = \"pin_id\"",
        "right = \"pin_id\"\ntime = \"t\"\n[graph]\nwindow = \"3 months\"",
        "jobs/test.toml, line 11, graph.window: \"3 months\" is not a duration; write a whole \
         number and a unit: 90d, 12h, 30m, 45s or 2w",
    );
    check_graph(
        "left = \"the user\"",
        "jobs/test.toml, line 10, graph.left: \"the user\" is not a plain name; begin with a \
         letter and use letters, digits and `_`",
    );
    check_graph(
        "left = \"pin\"",
        "jobs/test.toml, line 9, graph.right: both sides are called `pin`; give them different \
         names",
    );
    check_graph(
        "left_degree_max = 0",
        "jobs/test.toml, line 10, graph.left_degree_max: 0 is too small; write 1 or more",
    );
    check_graph(
        "left_degree_max = 5\nleft_degree_min = 6",
        "jobs/test.toml, line 10, graph.left_degree_max: 5 is below left_degree_min, 6; no left \
         node could have so many edges; raise it",
    );
}

#[test]
fn actions() {
    let acting = |actions: &str| {
        let columns = SHORT.replace("right = \"pin_id\"", "right = \"pin_id\"\naction = \"a\"");
        columns.replace("[features", &format!("[graph.actions]\n{actions}\n[features"))
    };
    check_graph(
        "actions = { save = 1.0 }",
        "jobs/test.toml, line 10, graph.actions: actions have weights, but no column holds them; \
         set columns.action, or remove [graph.actions]",
    );
    for (value, shown) in [
        ("-0.5", "-0.5"),
        ("nan", "nan"),
        ("1e7", "10000000.0"),
        ("true", "true"),
        ("\"drop\"", "\"drop\""),
    ] {
        assert_eq!(
            error(&acting(&format!("save = {value}"))),
            format!(
                "jobs/test.toml, line 11, graph.actions.save: {shown} is not the weight of an \
                 action; write a number from 0 to 1000000, or \"remove\""
            )
        );
    }
    assert_eq!(
        error(&acting("hide = \"remove\"")),
        "jobs/test.toml, line 10, graph.actions: every action removes, so that no edge can be; \
         give at least one action a weight"
    );
    let many: Vec<String> = (0..256).map(|n| format!("a{n} = 1")).collect();
    assert_eq!(
        error(&acting(&many.join("\n"))),
        "jobs/test.toml, line 10, graph.actions: 256 actions are too many; a job may name 255; \
         others are ignored"
    );
    assert!(crate::support::load(&acting(&many[1..].join("\n"))).is_ok());
}

#[test]
fn features() {
    check(
        "[features.related_v1.co_engagement]\ntop_k",
        "[features.related_v1]\ntop_k",
        "jobs/test.toml, line 9, features.related_v1: the feature names no signal; write \
         [features.related_v1.SIGNAL] with one of co_engagement, popularity, weighted",
    );
    check(
        "[features.related_v1.co_engagement]\ntop_k = 10",
        "[features.related_v1]",
        "jobs/test.toml, line 9, features.related_v1: the feature names no signal; write \
         [features.related_v1.SIGNAL] with one of co_engagement, popularity, weighted",
    );
    check(
        "[sink.parquet]",
        "[features.related_v1.popularity]\n[sink.parquet]",
        "jobs/test.toml, line 9, features.related_v1: the feature has two signals, co_engagement \
         and popularity; a feature has one signal; give each a name of its own",
    );
    check(
        "related_v1",
        "\"related pins\"",
        "jobs/test.toml, line 9, features.related pins: \"related pins\" is not a plain name; \
         begin with a letter and use letters, digits and `_`",
    );
    check(
        "[sink.parquet]",
        "[features.pop.popularity]\n[features.pop_pin.co_engagement]\n[sink.parquet]",
        "jobs/test.toml, line 12, features.pop_pin: feature `pop` publishes a table `pop_pin` too; \
         rename one of the two features",
    );
}

#[test]
fn synthetic_sources() {
    let from = "[source.parquet]\npath = \"datasets/sample\"";
    check(
        from,
        "[source.synthetic]\nleft = 5",
        "jobs/test.toml, line 5, source.synthetic.left: unknown key; did you mean `lefts`?",
    );
    check(
        from,
        "[source.synthetic]\nrepeat = 2.0",
        "jobs/test.toml, line 5, source.synthetic.repeat: value out of range; it must be 0 to 0.99",
    );
    check(
        from,
        "[source.synthetic]\nspec = \"x.toml\"\nlefts = 5",
        "jobs/test.toml, line 6, source.synthetic.lefts: a key beside `spec`; put it into the spec \
         file, or leave `spec` out",
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    let error = |path| Job::from_file_with(path, &Overrides::default()).err().unwrap().to_string();
    assert_eq!(
        error(&path),
        format!(
            "{}: cannot read the job file: No such file or directory (os error 2); name a job file \
             such as jobs/related_pins.toml",
            path.display()
        )
    );
    std::fs::write(&path, b"[job]\nname = \"\xff\"\n").unwrap();
    assert_eq!(
        error(&path),
        format!("{}, line 2: not UTF-8 text; save the file as UTF-8", path.display())
    );
}
