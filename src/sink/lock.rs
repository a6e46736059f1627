//! The claim of one run on one partition.
//!
//! The lock is the operating system's, on an open file: it ends with the process, however that
//! ends. The file itself only carries the holder's process id for the error message. It is
//! removed at the end, so a waiting run may find that it locked a file which is no longer there;
//! it compares inodes and tries again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{create_folders, failed};
use crate::model::{Error, Result};

/// How often a lock is tried anew when another run removes its file at the same moment.
const ATTEMPTS: usize = 100;

/// How often, and after which time, a lock that is held is tried again: a run of another date holds
/// it for a moment while it removes what a dead run left.
const WAITS: u32 = 25;
const WAIT: Duration = Duration::from_millis(20);

/// A lock on `TMP/dt=DATE.lock`. Dropping it removes the file, and every folder that taking it
/// created and that is empty.
#[derive(Debug)]
pub(super) struct PartitionLock {
    path: PathBuf,
    /// Keeps the lock as long as it is open.
    file: File,
    /// Folders that did not exist before, the outermost first.
    made: Vec<PathBuf>,
}

impl PartitionLock {
    /// Takes the lock of `date`. Creates `tmp` and what is missing above it.
    ///
    /// # Errors
    /// When another run holds the lock, and when `tmp` cannot be written.
    pub(super) fn take(tmp: &Path, date: &str) -> Result<PartitionLock> {
        for _ in 0..WAITS {
            match PartitionLock::try_take(tmp, date)? {
                Some(lock) => return Ok(lock),
                None => std::thread::sleep(WAIT),
            }
        }
        let path = lock_path(tmp, date);
        let pid = fs::read_to_string(&path).unwrap_or_default();
        let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() };
        let what = format!("the partition dt={date} is being published by another run (pid {pid})");
        Err(Error::publish(what)
            .path(path)
            .remedy("wait until it has ended, or stop it, then run again"))
    }

    /// Takes the lock of `date` unless another run holds it.
    pub(super) fn try_take(tmp: &Path, date: &str) -> Result<Option<PartitionLock>> {
        let path = lock_path(tmp, date);
        let mut made = Vec::new();
        for attempt in 1..=ATTEMPTS {
            // A run that ends may remove a folder between any two of these steps.
            match create_folders(tmp) {
                Ok(folders) => made.extend(folders),
                Err(_) if attempt < ATTEMPTS => continue,
                Err(error) => return Err(error),
            }
            let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = match open {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(|e| failed("open the lock file", &path, &e))?,
            };
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(failed("lock the file", &path, &e)),
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {
                    let mut lock = PartitionLock { path, file, made };
                    lock.sign()?;
                    return Ok(Some(lock));
                }
            }
        }
        Err(Error::publish("the lock file keeps changing")
            .path(path)
            .remedy("see which processes publish here, then run again"))
    }

    /// Writes the process id. It is also the probe that this place takes writes at all.
    fn sign(&mut self) -> Result<()> {
        let pid = format!("{}\n", std::process::id());
        let signed = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all(pid.as_bytes()))
            .and_then(|()| self.file.sync_all());
        signed.map_err(|e| failed("write the lock file", &self.path, &e))
    }
}

impl Drop for PartitionLock {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next run takes the file over.
        let _ = fs::remove_file(&self.path);
        if let Some(tmp) = self.path.parent() {
            let _ = fs::remove_dir(tmp);
        }
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Where the lock of `date` is.
fn lock_path(tmp: &Path, date: &str) -> PathBuf {
    tmp.join(format!("dt={date}.lock"))
}

/// Whether `file` is still the file at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn never_two_hold_a_lock_however_often_its_file_comes_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let tmp = root.path().join("out/_tmp");
        let (holders, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Some(lock) = PartitionLock::try_take(&tmp, "d").unwrap() else {
                            continue;
                        };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        assert!(!tmp.exists());
    }

    #[test]
    fn a_lock_that_is_held_for_a_moment_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let held = PartitionLock::take(root.path(), "d").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(5 * WAIT);
                drop(held);
            });
            PartitionLock::take(root.path(), "d").unwrap();
        });
    }
}
