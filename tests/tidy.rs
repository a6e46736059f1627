//! The invariants of docs/ARCHITECTURE.md that can be read off the files:
//!
//! * imports run one way; kernels, graph and signals do no I/O and start no thread;
//! * `unsafe` stands in one file;
//! * no source file is too long;
//! * every signal is registered, documented and has its oracle;
//! * the documents name no place of one machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests, and a test that is skipped says so"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file at most.
const LINES_MAX: usize = 500;

/// Each module, and the others that it may use.
const MAY_USE: [(&str, &[&str]); 10] = [
    (
        "cli",
        &[
            "cli", "engine", "cluster", "job", "signals", "graph", "kernels", "source", "sink",
            "model",
        ],
    ),
    (
        "engine",
        &["engine", "cluster", "job", "signals", "graph", "kernels", "source", "sink", "model"],
    ),
    ("cluster", &["cluster", "model"]),
    ("job", &["job", "signals", "graph", "kernels", "source", "model"]),
    ("signals", &["signals", "graph", "kernels", "model"]),
    ("graph", &["graph", "kernels", "model"]),
    ("kernels", &["kernels", "model"]),
    ("source", &["source", "model"]),
    // Of the graph only the dictionary: see below.
    ("sink", &["sink", "graph", "model"]),
    ("model", &["model"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` with one of `extensions`, ascending, relative to the project.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                found.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The lines of a Rust file that are no comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The names after each `PREFIX` in `line`.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let name = |rest: &'a str| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    };
    line.match_indices(prefix).map(|(at, _)| name(&line[at + prefix.len()..])).collect()
}

/// Whether `word` stands in `text` between characters that are no part of a name.
fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// The module that a file of src/ belongs to.
fn module(path: &str) -> &str {
    let name = path.trim_start_matches("src/").split('/').next().unwrap();
    name.trim_end_matches(".rs")
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]) {
        let module = module(&path);
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let allowed = MAY_USE.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} has no rule here"));
        let text = read(&path);
        for (number, line) in code(&text) {
            for used in names_after(line, "crate::") {
                // What the crate's root exports of the model.
                let of_model = ["Error", "ErrorKind"].contains(&used);
                if !of_model && !allowed.contains(&used) {
                    wrong.push(format!("{path}, line {number}: {module} uses {used:?}"));
                }
            }
            for used in names_after(line, "crate::graph::").iter().filter(|_| module == "sink") {
                if *used != "Dictionary" {
                    wrong.push(format!("{path}, line {number}: sink uses graph::{used}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_do_no_io_and_start_no_thread() {
    let mut wrong = Vec::new();
    for folder in ["src/kernels", "src/graph", "src/signals"] {
        for path in files(folder, &["rs"]) {
            let text = read(&path);
            for (number, line) in code(&text) {
                let found = ["fs", "io", "net", "thread", "process", "env", "time", "sync::atomic"]
                    .iter()
                    .find(|module| names(line, &format!("std::{module}")));
                if let Some(module) = found {
                    wrong.push(format!("{path}, line {number}: std::{module}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_one_file() {
    let mut found = Vec::new();
    for path in [files("src", &["rs"]), files("tests", &["rs"]), files("benches", &["rs"])].concat()
    {
        let text = read(&path);
        // In two pieces, so that this file does not find itself.
        if code(&text).any(|(_, line)| names(line, concat!("uns", "afe"))) {
            found.push(path);
        }
    }
    assert_eq!(found, ["src/kernels/prefetch.rs"]);
    assert!(read("Cargo.toml").contains("unsafe_code = \"deny\""));
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for path in [files("src", &["rs"]), files("tests", &["rs"]), files("benches", &["rs"])].concat()
    {
        let lines = read(&path).lines().count();
        if lines > LINES_MAX {
            long.push(format!("{path} has {lines} lines"));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// The files of src/signals that are signals, by name.
fn signal_files() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("src/signals")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        // A helper implements no signal.
        if fs::read_to_string(&path).unwrap().contains("impl Signal for ") {
            found.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn every_signal_is_registered_under_the_name_of_its_file() {
    let registered: Vec<&str> = pingraph::signals::all().iter().map(|s| s.name()).collect();
    assert_eq!(registered, signal_files(), "alphabetical order, a file each");
}

#[test]
fn every_signal_has_its_oracle_and_its_documentation() {
    let all = |paths: Vec<String>| -> String { paths.iter().map(read).collect() };
    let oracles = all(files("tests/oracle", &["rs"]));
    let documents = all(documents());
    for signal in signal_files() {
        assert!(names(&oracles, &signal), "no file of tests/oracle names {signal}");
        assert!(names(&documents, &signal), "no document names {signal}");
        let text = read(format!("src/signals/{signal}.rs"));
        assert!(text.starts_with("//! "), "{signal}.rs does not open with its algorithm");
    }
    for doc in pingraph::signals::all().iter().map(|signal| signal.doc()) {
        let texts = [doc.summary, doc.formula, doc.reference, doc.kernel];
        assert!(texts.iter().all(|text| !text.is_empty()), "{doc:?}");
        assert!(doc.params.iter().all(|param| !param.doc.is_empty()), "{doc:?}");
    }
}

/// What people read: those of the project's documents that there are.
fn documents() -> Vec<String> {
    let mut found = files("docs", &["md"]);
    let known = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    found.extend(known.into_iter().filter(|name| root().join(name).exists()).map(str::to_owned));
    found
}

#[test]
fn documents_name_no_place_of_one_machine() {
    let mut wrong = Vec::new();
    let more = [files("datasets", &["md", "toml"]), files("jobs", &["toml"])].concat();
    for path in [documents(), more].concat() {
        let text = read(&path);
        for (number, line) in (1..).zip(text.lines()) {
            // Beginnings of absolute paths; a URL or a relative path may hold the same names.
            let at_start = |place: &str| {
                line.match_indices(place).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !"./_-~".contains(c))
                })
            };
            if ["/home/", "/work/", "/root/", "/Users/"].into_iter().any(at_start) {
                wrong.push(format!("{path}, line {number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_of_the_architecture_is_that_of_the_folders() {
    let text = read("docs/ARCHITECTURE.md");
    for (module, _) in MAY_USE {
        assert!(text.contains(&format!("`src/{module}/`")), "src/{module}/ is not on the map");
        assert!(root().join("src").join(module).is_dir(), "src/{module}/ is gone");
    }
}
