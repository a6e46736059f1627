//! Reading a job: the file, then `--set` and `--as-of`, then the environment, then `resolve`.

use std::path::Path;

use super::Job;
use super::document::{Document, Flag};
use super::resolve::{Context, resolve};
use crate::model::{Error, Result};
use crate::signals::Registry;

/// What the command line says over the job file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of `job.as_of`.
    pub as_of: Option<String>,
    /// `KEY=VALUE` each, for example `graph.window=30d`. A value is read as TOML if it is TOML,
    /// and else as a string. Later ones win; `as_of` above wins over all.
    pub set: Vec<String>,
}

impl Job {
    /// The job of the file at `path`. Relative paths in the file are relative to the current
    /// directory, not to the file.
    ///
    /// # Errors
    /// When the file cannot be read or any part of it is wrong; the error names the line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Job> {
        Job::from_file_with(path, &Overrides::default())
    }

    /// The job of the file at `path` with `overrides`.
    ///
    /// # Errors
    /// As [`Job::from_file`]; an override that is wrong is named as it was typed.
    pub fn from_file_with(path: impl AsRef<Path>, overrides: &Overrides) -> Result<Job> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| {
            let error = Error::job(format!("cannot read the job file: {error}")).path(path);
            error.remedy("name a job file such as jobs/related_pins.toml")
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = bytes.iter().take(error.valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() as u64 + 1;
            Error::job("not UTF-8 text").path(path).line(line).remedy("save the file as UTF-8")
        })?;
        Job::from_toml(text, path, overrides)
    }

    /// The job whose file holds `text`; `origin` is the file's name in errors.
    ///
    /// # Errors
    /// As [`Job::from_file_with`].
    pub fn from_toml(text: &str, origin: &Path, overrides: &Overrides) -> Result<Job> {
        Job::from_toml_with(text, origin, overrides, &Registry::default())
    }

    /// As [`Job::from_toml`], with signals of the caller's.
    ///
    /// # Errors
    /// As [`Job::from_file_with`].
    pub fn from_toml_with(
        text: &str,
        origin: &Path,
        overrides: &Overrides,
        registry: &Registry,
    ) -> Result<Job> {
        let flags = flags(overrides)?;
        let document = Document::read(text, origin, &flags, &|name| std::env::var(name).ok())?;
        let (spec, places) = document.spec()?;
        resolve(&spec, &Context { places: &places, registry, source: None })
    }
}

fn flags(overrides: &Overrides) -> Result<Vec<Flag<'_>>> {
    let mut flags = Vec::new();
    for set in &overrides.set {
        let label = format!("--set {set}");
        let Some((key, value)) = set.split_once('=') else {
            return Err(Error::job("expected KEY=VALUE")
                .column(label)
                .remedy("for example --set graph.window=30d"));
        };
        flags.push(Flag { label, key: key.trim(), value: value.trim(), string: false });
    }
    if let Some(as_of) = &overrides.as_of {
        let label = format!("--as-of {as_of}");
        flags.push(Flag { label, key: "job.as_of", value: as_of, string: true });
    }
    Ok(flags)
}
