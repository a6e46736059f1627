//! The rows of the input that could not be used, kept with reason and position.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files::{create_folders, replace_file};
use crate::model::{Error, Reject, Result, format_date};

/// Folder below the root for rejects.
const FOLDER: &str = "_rejects";

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    path: std::borrow::Cow<'a, str>,
    position: u64,
    column: &'a str,
    reason: &'a str,
    value: &'a str,
}

/// Writes `rejects` as JSON lines to `root/_rejects/dt=DATE/RUN_ID.jsonl`, in ascending order of
/// path and position, all or nothing. A rerun replaces the file.
///
/// # Errors
/// When the file cannot be written.
pub fn write_rejects(
    root: &Path,
    as_of_us: i64,
    run_id: &str,
    rejects: &[Reject],
) -> Result<PathBuf> {
    let mut sorted: Vec<&Reject> = rejects.iter().collect();
    sorted.sort();
    let mut text = Vec::new();
    for reject in sorted {
        let line = Line {
            path: reject.path.to_string_lossy(),
            position: reject.position,
            column: &reject.column,
            reason: &reject.reason,
            value: &reject.value,
        };
        serde_json::to_writer(&mut text, &line)
            .map_err(|e| Error::engine(format!("a reject cannot be written: {e}")))?;
        text.push(b'\n');
    }
    let folder = root.join(FOLDER).join(format!("dt={}", format_date(as_of_us)));
    create_folders(&folder)?;
    let path = folder.join(format!("{run_id}.jsonl"));
    replace_file(&path, &text)?;
    Ok(path)
}
