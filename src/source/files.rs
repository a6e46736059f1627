//! Which files a `path` means: a file, a folder or a glob, without the partitions outside the
//! window.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::InputFile;
use super::admit::window_start;
use crate::model::{Error, Result, ScanRequest, parse_timestamp};

/// Folders nested deeper than this are taken for a loop of symbolic links.
const DEPTH_MAX: usize = 32;

const HOUR_US: i64 = 3_600_000_000;

/// What a path means.
#[derive(Debug)]
pub(super) struct Listing {
    /// The files to read, ascending by path.
    pub(super) files: Vec<InputFile>,
    /// Partitions that lie outside the window and were not looked into.
    pub(super) pruned: u64,
}

/// Lists what `path` means. In folders, files are those that end in one of `extensions` (with a
/// compression's suffix or not); names that begin with `.` or `_` are skipped, as Spark and Hive
/// do. A file or a glob may name any file.
///
/// # Errors
/// When nothing is there, nothing matches, or a folder cannot be listed.
pub(super) fn list(path: &str, extensions: &[&str], request: &ScanRequest) -> Result<Listing> {
    let mut walk = Walk {
        extensions,
        visible_us: (window_start(request), request.as_of_us),
        files: BTreeSet::new(),
        pruned: BTreeSet::new(),
        others: 0,
    };
    let root = Path::new(path);
    let is_glob = path.contains(['*', '?', '[']) && !root.exists();
    if is_glob {
        walk.glob(path)?;
    } else {
        walk.visit(root, &metadata(root)?, true, 0)?;
    }
    if walk.files.is_empty() && walk.pruned.is_empty() {
        let kinds = extensions.iter().map(|e| format!(".{e}")).collect::<Vec<_>>().join(", ");
        return Err(match (is_glob, walk.others) {
            (true, _) => {
                Error::input("no file matches").remedy("check `path` in the job's [source]")
            }
            (false, 0) => Error::input("the folder holds no file").remedy(format!(
                "write files that end in {kinds} there, or correct `path` in the job's [source]"
            )),
            (false, others) => {
                let noun = if others == 1 { "other" } else { "others" };
                Error::input(format!("no file of the folder ends in {kinds} ({others} {noun})"))
                    .remedy("name the files by a glob such as folder/*")
            }
        }
        .path(path));
    }
    let files = walk.files.iter().map(|path| describe(path)).collect::<Result<_>>()?;
    Ok(Listing { files, pruned: walk.pruned.len() as u64 })
}

struct Walk<'a> {
    extensions: &'a [&'a str],
    visible_us: (i64, i64),
    files: BTreeSet<PathBuf>,
    pruned: BTreeSet<PathBuf>,
    others: usize,
}

impl Walk<'_> {
    /// Takes `path`, or what is in it. `named` says that the user named it, whatever it is called.
    fn visit(&mut self, path: &Path, found: &Metadata, named: bool, depth: usize) -> Result<()> {
        if let Some(partition) = outside(path, self.visible_us) {
            self.pruned.insert(partition);
            return Ok(());
        }
        if !found.is_dir() {
            if named || has_extension(path, self.extensions) {
                self.files.insert(path.to_path_buf());
            } else {
                self.others += 1;
            }
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(Error::input(format!("folders are nested more than {DEPTH_MAX} deep"))
                .path(path)
                .remedy("remove the symbolic link that leads back to its own folder"));
        }
        for entry in std::fs::read_dir(path).map_err(|error| open_error(path, &error))? {
            let entry = entry.map_err(|error| open_error(path, &error))?.path();
            if !is_hidden(&entry) {
                self.visit(&entry, &metadata(&entry)?, false, depth + 1)?;
            }
        }
        Ok(())
    }

    fn glob(&mut self, pattern: &str) -> Result<()> {
        let matches = glob::glob(pattern).map_err(|error| {
            Error::input(format!("not a glob: {}", error.msg))
                .path(pattern)
                .remedy("write *, ** (a whole name), ? or [abc]")
        })?;
        // Names before the first wildcard were written out, so they may be hidden ones.
        let fixed = Path::new(pattern)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
            .count();
        for found in matches {
            let found = found.map_err(|error| open_error(error.path(), error.error()))?;
            let hidden = |part: Component<'_>| is_hidden(Path::new(part.as_os_str()));
            if !found.components().skip(fixed).any(hidden) {
                self.visit(&found, &metadata(&found)?, true, 0)?;
            }
        }
        Ok(())
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"_")
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    extensions.contains(&format_extension(path).as_str())
}

/// The extension that tells the format, without that of a compression: `csv` for `a.csv.gz`.
pub(super) fn format_extension(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let bare = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    bare.rsplit_once('.').map(|(_, extension)| extension.to_owned()).unwrap_or_default()
}

/// The `dt=` or `hr=` folder that puts `path` outside the window, if one does.
///
/// A partition covers a UTC day (`dt=YYYY-MM-DD`) or one hour of it (`hr=HH` below `dt=`). It is
/// outside if it ends by the window's start or begins at `as_of` or later.
fn outside(path: &Path, (start_us, end_us): (i64, i64)) -> Option<PathBuf> {
    let mut partition = PathBuf::new();
    let mut day = None;
    for part in path.components() {
        partition.push(part);
        let name = part.as_os_str().to_string_lossy();
        let covered = if let Some(date) = name.strip_prefix("dt=") {
            day = (date.len() == 10).then(|| parse_timestamp(date)).flatten();
            day.map(|day| (day, 24 * HOUR_US))
        } else if let (Some(hour), Some(day)) = (name.strip_prefix("hr="), day) {
            let hour: Option<i64> = hour.parse().ok().filter(|hour| (0..24).contains(hour));
            hour.map(|hour| (day + hour * HOUR_US, HOUR_US))
        } else {
            None
        };
        if let Some((first, length)) = covered
            && (first >= end_us || first + length <= start_us)
        {
            return Some(partition);
        }
    }
    None
}

fn metadata(path: &Path) -> Result<Metadata> {
    std::fs::metadata(path).map_err(|error| open_error(path, &error))
}

fn describe(path: &Path) -> Result<InputFile> {
    Ok(input_file(path, &metadata(path)?))
}

fn input_file(path: &Path, found: &Metadata) -> InputFile {
    let modified = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    InputFile {
        path: path.to_path_buf(),
        bytes: found.len(),
        modified_us: modified.map_or(0, |time| time.as_micros() as i64),
    }
}

/// Opens a file that was listed.
///
/// # Errors
/// When it is gone, cannot be read, or is no longer the file that was listed: its splits and types
/// were found on the old one.
pub(super) fn open(file: &InputFile) -> Result<File> {
    let opened = File::open(&file.path).map_err(|error| open_error(&file.path, &error))?;
    let found = opened.metadata().map_err(|error| open_error(&file.path, &error))?;
    if input_file(&file.path, &found) != *file {
        return Err(Error::input("the file changed while it was read")
            .path(&file.path)
            .remedy("run again once its writer is done"));
    }
    Ok(opened)
}

/// The error for a file or folder that cannot be opened.
fn open_error(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::input("no such file or folder").remedy("check `path` in the job's [source]")
        }
        io::ErrorKind::PermissionDenied => Error::input("no permission to read")
            .remedy("grant read permission to the user that runs the job"),
        _ => Error::input(format!("cannot be read: {error}")).remedy("check the file system"),
    }
    .path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * HOUR_US;

    fn pruned(path: &str, days: (i64, i64)) -> Option<String> {
        let found = outside(Path::new(path), (days.0 * DAY, days.1 * DAY));
        found.map(|path| path.display().to_string())
    }

    #[test]
    fn partitions_touch_the_window_or_are_outside() {
        // 1970-01-11 is day 10.
        assert_eq!(pruned("a/dt=1970-01-11/x", (10, 11)), None);
        assert_eq!(pruned("a/dt=1970-01-11/x", (11, 12)).as_deref(), Some("a/dt=1970-01-11"));
        assert_eq!(pruned("a/dt=1970-01-11/x", (9, 10)).as_deref(), Some("a/dt=1970-01-11"));
        assert_eq!(pruned("a/dt=__HIVE_DEFAULT_PARTITION__/x", (9, 10)), None);
        assert_eq!(pruned("a/dt=1970-01-11T00/x", (9, 10)), None);
    }

    #[test]
    fn hours_are_parts_of_their_day() {
        let noon = 10 * DAY + 12 * HOUR_US;
        let visible = (10 * DAY, noon);
        assert_eq!(outside(Path::new("dt=1970-01-11/hr=11"), visible), None);
        let late = Path::new("dt=1970-01-11/hr=12");
        assert_eq!(outside(&late.join("x"), visible).as_deref(), Some(late));
        assert_eq!(outside(Path::new("hr=12/x"), visible), None);
        assert_eq!(outside(Path::new("dt=1970-01-11/hr=99"), visible), None);
    }

    #[test]
    fn the_extension_is_the_one_below_the_compression() {
        assert_eq!(format_extension(Path::new("a/b.CSV.gz")), "csv");
        assert_eq!(format_extension(Path::new("part-0.snappy.parquet")), "parquet");
        assert_eq!(format_extension(Path::new("noext")), "");
    }
}
