//! Folders with a job in them, and the command run there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The partition of the jobs here.
pub const PARTITION: &str = "dt=2026-11-01";

/// The columns of [`CSV_JOB`].
pub const HEADER: &str = "user_id,pin_id,action,event_time,weight";

/// A row that is an event.
pub const GOOD: &str = "1,2,save,2026-10-01T00:00:00Z,1.0";

/// A job that reads the folder `in`.
pub const CSV_JOB: &str = r#"[job]
name = "test"
as_of = "2026-11-01T00:00:00Z"
rejects_max = 0.0
[source.csv]
path = "in"
[columns]
left = "user_id"
right = "pin_id"
action = "action"
time = "event_time"
weight = "weight"
[graph.actions]
save = 1.0
[features.related.co_engagement]
[features.degrees.degree]
[sink.parquet]
path = "out"
"#;

/// A folder of its own, with a job in `job.toml`.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder that holds `job`.
    pub fn new(job: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("job.toml"), job).unwrap();
        Place { folder }
    }

    /// [`CSV_JOB`] and its input: the header and `rows`.
    pub fn with_rows(rows: &[&str]) -> Place {
        let place = Place::new(CSV_JOB);
        place.write("in/a.csv", (HEADER.to_owned() + "\n" + &rows.join("\n") + "\n").as_bytes());
        place
    }

    /// The path of `name` here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The command with `args`, in this folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pingraph"));
        command.args(args).current_dir(self.folder.path()).env_remove("SOURCE_DATE_EPOCH");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What the command with `args` prints, and how it ends.
    pub fn call(&self, args: &[&str]) -> Outcome {
        Outcome::of(&self.command(args).output().unwrap())
    }

    /// `run job.toml` and more.
    pub fn run(&self, more: &[&str]) -> Outcome {
        self.call(&[&["run", "job.toml", "--workers", "2"], more].concat())
    }

    /// Everything below `out`, relative to it, ascending; folders without their content.
    pub fn out(&self) -> Vec<String> {
        tree(&self.path("out"))
    }

    /// The rejects files below `out`, end to end.
    pub fn rejects(&self) -> String {
        let folder = self.path("out/_rejects").join(PARTITION);
        let Ok(files) = fs::read_dir(&folder) else { return String::new() };
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// That of a process that has ended.
    pub fn of(output: &Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Fails unless the command ended with `code`, nothing on standard output, and the one line
    /// `error: LINE` on standard error, in which `*` stands for anything.
    #[track_caller]
    pub fn fails(&self, code: i32, line: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert_line(&self.err, &format!("error: {line}"));
    }

    /// Fails unless the command succeeded.
    #[track_caller]
    pub fn succeeds(&self) -> &Outcome {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Fails unless `text` is the one line `pattern`, in which `*` stands for anything.
#[track_caller]
pub fn assert_line(text: &str, pattern: &str) {
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line end: {text:?}"));
    assert!(!line.contains('\n'), "more than one line:\n{text}");
    assert!(matches(line, pattern), "{line:?}\nis not\n{pattern:?}");
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
pub fn matches(text: &str, pattern: &str) -> bool {
    let (first, rest) = match pattern.split_once('*') {
        None => return text == pattern,
        Some(parts) => parts,
    };
    let Some(text) = text.strip_prefix(first) else { return false };
    (0..=text.len())
        .filter(|&skipped| text.is_char_boundary(skipped))
        .any(|skipped| matches(&text[skipped..], rest))
}

/// Every file and empty folder below `root`, relative to it, ascending.
pub fn tree(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let before = (paths.len(), folders.len());
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => paths.push(path.strip_prefix(root).unwrap().display().to_string()),
            }
        }
        if before == (paths.len(), folders.len()) && folder != root {
            paths.push(folder.strip_prefix(root).unwrap().display().to_string());
        }
    }
    paths.sort();
    paths
}

/// The files of a folder and what they hold.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The files of `folder`; `None` if it, or one of them, is not there.
pub fn files(folder: &Path) -> Option<Files> {
    let mut found = Files::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        found.insert(entry.file_name().into_string().ok()?, fs::read(entry.path()).ok()?);
    }
    Some(found)
}

/// Says that a test is skipped, past the harness, which shows no output of tests that pass.
pub fn skip(what: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}");
}

/// The only part file of a partition.
#[track_caller]
pub fn only_part(partition: &Path) -> fs::File {
    let names = files(partition).unwrap().into_keys();
    let parts: Vec<String> = names.filter(|name| name.ends_with(".parquet")).collect();
    assert_eq!(parts.len(), 1, "{parts:?}");
    fs::File::open(partition.join(&parts[0])).unwrap()
}

/// Fails unless `_SUCCESS`, the manifest and the files agree.
#[track_caller]
pub fn assert_whole(files: &Files) {
    use xxhash_rust::xxh3::xxh3_64;
    let success = format!("{:016x}\n", xxh3_64(&files["_manifest.json"]));
    assert_eq!(files["_SUCCESS"], success.as_bytes());
    let manifest: pingraph::sink::Manifest =
        serde_json::from_slice(&files["_manifest.json"]).unwrap();
    assert_eq!(manifest.files.len() + 2, files.len());
    for file in &manifest.files {
        assert_eq!(file.xxh3, format!("{:016x}", xxh3_64(&files[&file.name])), "{}", file.name);
    }
}

#[test]
fn stars_stand_for_anything() {
    for (text, pattern) in [("abc", "abc"), ("abc", "a*c"), ("abc", "*"), ("ac", "a*c*")] {
        assert!(matches(text, pattern), "{text} {pattern}");
    }
    for (text, pattern) in [("abc", "ab"), ("abc", "a*b"), ("abc", "b*"), ("", "a*")] {
        assert!(!matches(text, pattern), "{text} {pattern}");
    }
}
