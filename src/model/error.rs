//! One error type: what went wrong, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result with pingraph's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault it is, and so the exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ErrorKind {
    /// The command line or the job file (exit code 2).
    Job,
    /// What the job reads (exit code 3).
    Input,
    /// The engine itself: a defect or an exhausted machine (exit code 4).
    Engine,
    /// What the job writes (exit code 5).
    Publish,
    /// The caller asked the run to stop (exit code 130, as shells have it).
    Interrupted,
}

impl ErrorKind {
    /// The exit code that the command line gives for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Job => 2,
            ErrorKind::Input => 3,
            ErrorKind::Engine => 4,
            ErrorKind::Publish => 5,
            ErrorKind::Interrupted => 130,
        }
    }
}

/// The place an error speaks of. Every part is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Site {
    /// File or folder.
    pub path: Option<PathBuf>,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
    /// Row of a table, from 1.
    pub row: Option<u64>,
    /// Column of a table, or key of a job file such as `graph.window`.
    pub column: Option<String>,
}

/// An error in one line: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Error {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What went wrong.
    pub what: String,
    /// Where.
    pub site: Box<Site>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Error {
    /// An error of `kind` that says `what`.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Error {
        Error { kind, what: what.into(), site: Box::default(), remedy: None }
    }

    /// An error of the command line or the job file.
    pub fn job(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Job, what)
    }

    /// An error of the input.
    pub fn input(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Input, what)
    }

    /// An error of the engine.
    pub fn engine(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Engine, what)
    }

    /// An error of publishing.
    pub fn publish(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Publish, what)
    }

    /// Adds the file or folder.
    pub fn path(mut self, path: impl AsRef<Path>) -> Error {
        self.site.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// Adds the line, from 1.
    pub fn line(mut self, line: u64) -> Error {
        self.site.line = Some(line);
        self
    }

    /// Adds the row, from 1.
    pub fn row(mut self, row: u64) -> Error {
        self.site.row = Some(row);
        self
    }

    /// Adds the column, or the key of a job file.
    pub fn column(mut self, column: impl Into<String>) -> Error {
        self.site.column = Some(column.into());
        self
    }

    /// Adds what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = Vec::new();
        if let Some(path) = &self.site.path {
            place.push(path.display().to_string());
        }
        if let Some(line) = self.site.line {
            place.push(format!("line {line}"));
        }
        if let Some(row) = self.site.row {
            place.push(format!("row {row}"));
        }
        if let Some(column) = &self.site.column {
            place.push(column.clone());
        }
        if !place.is_empty() {
            write!(f, "{}: ", place.join(", "))?;
        }
        f.write_str(&self.what)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The closest of `candidates` to `word`, if any is close enough to be a typing slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (strsim::jaro_winkler(&word.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, c)| c)
}
