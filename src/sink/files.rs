//! Durable files: what is written here is on the disk before the call returns.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::model::{Error, Result};

/// The error of a failed file operation, with the remedy that its cause calls for.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space there, or publish to another file system"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "give write permission, or publish to a folder that you may write"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file stands where a folder must be: remove it, or publish elsewhere"
        }
        ErrorKind::CrossesDevices => {
            "the folders of the output must be on one file system: links to others cannot be used"
        }
        _ => "check the file system, then run again",
    };
    Error::publish(format!("cannot {doing}: {error}")).path(path).remedy(remedy)
}

/// Creates `folder` and what is missing above it, and makes the new names durable. Gives the
/// folders that were missing, the outermost first.
pub(super) fn create_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let missing = folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    missing.reverse();
    fs::create_dir_all(folder).map_err(|e| failed("create the folder", folder, &e))?;
    for made in &missing {
        sync_folder(parent_of(made))?;
    }
    Ok(missing)
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    match File::open(folder).and_then(|f| f.sync_all()) {
        // Some network file systems keep folders durable by themselves and refuse the call.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        done => done.map_err(|e| failed("flush the folder to disk", folder, &e)),
    }
}

/// Writes `bytes` into the new file `path` and makes them durable. The name itself is durable
/// after [`sync_folder`] of its folder.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| failed("write the file", path, &e))
}

/// Writes `bytes` into `path` all or nothing: a reader sees the old file or the new one, also
/// after a power cut. `path` must have a file name.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let staged = path.with_file_name(name);
    let done = write_file(&staged, bytes).and_then(|()| {
        fs::rename(&staged, path).map_err(|e| failed("rename into place", path, &e))?;
        sync_folder(parent_of(path))
    });
    if done.is_err() {
        // The first error is the one to report; a rest that stays is overwritten next time.
        let _ = fs::remove_file(&staged);
    }
    done
}

/// Removes a file or a folder with all in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map_err(|e| failed("remove what an earlier run left", path, &e)),
    }
}

/// The folder that holds `path`; the current one for a bare name.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
