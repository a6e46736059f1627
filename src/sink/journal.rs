//! The journal of a commit: with it a commit that was cut off is completed by the next run.
//!
//! **Representation.** `TMP/dt=DATE.journal` names the run, the tables and, for each, what its
//! `_SUCCESS` holds. The staged partitions lie in `TMP/dt=DATE.RUN_ID/TABLE`.
//!
//! **Steps of a commit.**
//! 1. All of the staging is on the disk, and every `ROOT/TABLE` exists.
//! 2. The journal is written: from here on the commit happens, whatever is killed.
//! 3. Each staged partition takes its place by one rename. Where an old partition stands the two
//!    are exchanged, so a reader finds one or the other, each whole, at every moment.
//! 4. The staging, now holding the old partitions, is removed, then the journal.
//!
//! **Rolling forward** repeats steps 3 and 4. Whether a table is done shows in its `_SUCCESS`, so
//! each step may be repeated any number of times.
//!
//! **Without an exchange** (file systems that lack `RENAME_EXCHANGE`, such as some network ones) an
//! old partition is first renamed into the staging: between the two renames a reader finds no
//! partition at all, yet never half of one, and a kill there is rolled forward like any other.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::files::{failed, remove, replace_file, sync_folder};
use super::manifest::SUCCESS_FILE;
use crate::model::{Error, Result};

/// What a commit is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The partition's date.
    pub(super) date: String,
    /// The run.
    pub(super) run_id: String,
    /// Its tables.
    pub(super) tables: Vec<Staged>,
}

/// A staged table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Name.
    pub(super) table: String,
    /// What its `_SUCCESS` holds: the hash of its manifest.
    pub(super) success: String,
}

impl Journal {
    /// Writes the journal, durably and all or nothing.
    pub(super) fn write(&self, tmp: &Path) -> Result<()> {
        let json = serde_json::to_vec(self)
            .map_err(|e| Error::engine(format!("the journal cannot be written: {e}")))?;
        replace_file(&journal_path(tmp, &self.date), &json)
    }

    /// The journal of `date`, if a commit was cut off.
    pub(super) fn read(tmp: &Path, date: &str) -> Result<Option<Journal>> {
        let path = journal_path(tmp, date);
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|e| failed("read the journal", &path, &e))?,
        };
        let journal = serde_json::from_slice(&bytes).map_err(|e| {
            Error::publish(format!("this is not a journal of this version: {e}"))
                .path(&path)
                .remedy("finish with the version that wrote it, or remove it and run again")
        })?;
        Ok(Some(journal))
    }

    /// Whether any table already has its new partition.
    pub(super) fn begun(&self, root: &Path) -> bool {
        self.tables.iter().any(|staged| {
            success_of(&self.target(root, staged)).as_deref() == Some(&staged.success)
        })
    }

    /// Puts every staged partition in its place, unless it is there already.
    pub(super) fn roll_forward(&self, root: &Path, tmp: &Path) -> Result<Vec<PathBuf>> {
        let folder = staging_path(tmp, &self.date, &self.run_id);
        let mut partitions = Vec::new();
        for staged in &self.tables {
            let (source, target) = (folder.join(&staged.table), self.target(root, staged));
            if success_of(&target).as_deref() != Some(&staged.success) {
                if success_of(&source).as_deref() != Some(&staged.success) {
                    let journal = journal_path(tmp, &self.date);
                    return Err(Error::publish(format!(
                        "a commit was cut off and cannot be completed: {} is gone",
                        source.display()
                    ))
                    .path(&journal)
                    .remedy("remove this file and run that job again"));
                }
                put_in_place(&source, &target)?;
            }
            sync_folder(&root.join(&staged.table))?;
            partitions.push(target);
        }
        Ok(partitions)
    }

    fn target(&self, root: &Path, staged: &Staged) -> PathBuf {
        root.join(&staged.table).join(format!("dt={}", self.date))
    }
}

/// Completes the commit of `date` if one was cut off, and removes the staging of runs that are
/// dead, but for that of the run `kept`. The caller holds the lock of `date`, so no live run has any.
pub(super) fn recover(root: &Path, tmp: &Path, date: &str, kept: Option<&str>) -> Result<()> {
    if let Some(journal) = Journal::read(tmp, date)? {
        journal.roll_forward(root, tmp)?;
        return clean(tmp, date, None);
    }
    clean(tmp, date, kept)
}

/// Removes all staging of `date`, but for that of the run `kept`, then its journal.
pub(super) fn clean(tmp: &Path, date: &str, kept: Option<&str>) -> Result<()> {
    let prefix = format!("dt={date}.");
    for name in names_in(tmp)? {
        match name.strip_prefix(&prefix) {
            None | Some("lock" | "journal") => {}
            Some(run) if Some(run) == kept => {}
            Some(_) => remove(&tmp.join(&name))?,
        }
    }
    remove(&journal_path(tmp, date))
}

/// The dates that have anything in `tmp`, ascending.
pub(super) fn dates_in(tmp: &Path) -> Result<Vec<String>> {
    let mut dates: Vec<String> = names_in(tmp)?
        .iter()
        .filter_map(|name| Some(name.strip_prefix("dt=")?.split_once('.')?.0.to_string()))
        .collect();
    dates.sort();
    dates.dedup();
    Ok(dates)
}

/// Where the run `run_id` stages its tables.
pub(super) fn staging_path(tmp: &Path, date: &str, run_id: &str) -> PathBuf {
    tmp.join(format!("dt={date}.{run_id}"))
}

/// Where the journal of `date` is.
pub(super) fn journal_path(tmp: &Path, date: &str) -> PathBuf {
    tmp.join(format!("dt={date}.journal"))
}

/// The names in `folder` that are text; nothing of ours is not.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let list = || fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>();
    let entries = list().map_err(|e| failed("list the folder", folder, &e))?;
    Ok(entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// What the `_SUCCESS` of a partition holds.
fn success_of(partition: &Path) -> Option<String> {
    let text = fs::read_to_string(partition.join(SUCCESS_FILE)).ok()?;
    Some(text.trim_end().to_string())
}

/// Renames `source` to `target`; an old `target` takes the place of `source`.
fn put_in_place(source: &Path, target: &Path) -> Result<()> {
    let cannot = |e: std::io::Error| failed("put the partition in its place", target, &e);
    if fs::symlink_metadata(target).is_err() {
        return fs::rename(source, target).map_err(cannot);
    }
    match renameat_with(CWD, source, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            replace_by_two_renames(source, target).map_err(cannot)
        }
        Err(e) => Err(cannot(e.into())),
    }
}

/// Renames the old `target` out of the way, then `source` to `target`.
fn replace_by_two_renames(source: &Path, target: &Path) -> std::io::Result<()> {
    let old = source.with_extension("old");
    fs::rename(target, &old)?;
    let renamed = fs::rename(source, target);
    if renamed.is_err() {
        // The first error is the one to report.
        let _ = fs::rename(&old, target);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "2026-11-01";

    /// A root with old partitions of tables a and b, the same staged anew, and the journal.
    fn cut_off_commit() -> (tempfile::TempDir, PathBuf, Journal) {
        let root = tempfile::tempdir().unwrap();
        let tmp = root.path().join("_tmp");
        let mut tables = Vec::new();
        for table in ["a", "b"] {
            let staged = staging_path(&tmp, DATE, "run").join(table);
            let target = root.path().join(table).join(format!("dt={DATE}"));
            for (folder, success) in [(staged, "new"), (target, "old")] {
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(SUCCESS_FILE), format!("{success} {table}\n")).unwrap();
                fs::write(folder.join(success), "").unwrap();
            }
            tables.push(Staged { table: table.into(), success: format!("new {table}") });
        }
        let journal = Journal { date: DATE.into(), run_id: "run".into(), tables };
        journal.write(&tmp).unwrap();
        (root, tmp, journal)
    }

    /// Whether both tables are the new ones and nothing is left of the commit.
    fn assert_completed(root: &Path, tmp: &Path) {
        for table in ["a", "b"] {
            let target = root.join(table).join(format!("dt={DATE}"));
            assert_eq!(success_of(&target), Some(format!("new {table}")));
            assert!(target.join("new").exists() && !target.join("old").exists());
        }
        assert_eq!(names_in(tmp).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_commit_is_completed_from_each_of_its_steps() {
        for step in 0..=5 {
            let (root, tmp, journal) = cut_off_commit();
            let (root, staging) = (root.path(), staging_path(&tmp, DATE, "run"));
            for staged in journal.tables.iter().take(step) {
                put_in_place(&staging.join(&staged.table), &journal.target(root, staged)).unwrap();
            }
            assert_eq!(journal.begun(root), step > 0);
            if step >= 3 {
                fs::remove_dir_all(staging.join("a")).unwrap();
            }
            if step >= 4 {
                fs::remove_dir_all(&staging).unwrap();
            }
            if step >= 5 {
                fs::remove_file(journal_path(&tmp, DATE)).unwrap();
            }
            recover(root, &tmp, DATE, None).unwrap();
            assert_completed(root, &tmp);
            recover(root, &tmp, DATE, None).unwrap();
            assert_completed(root, &tmp);
        }
    }

    #[test]
    fn without_an_exchange_each_step_is_completed_too() {
        for done in [false, true] {
            let (root, tmp, journal) = cut_off_commit();
            let (root, staging) = (root.path(), staging_path(&tmp, DATE, "run"));
            let target = journal.target(root, &journal.tables[0]);
            match done {
                true => replace_by_two_renames(&staging.join("a"), &target).unwrap(),
                // The cut is between the two.
                false => fs::rename(&target, staging.join("a.old")).unwrap(),
            }
            recover(root, &tmp, DATE, None).unwrap();
            assert_completed(root, &tmp);
        }
    }

    #[test]
    fn a_second_rename_that_fails_brings_the_old_partition_back() {
        let (root, tmp, journal) = cut_off_commit();
        let target = journal.target(root.path(), &journal.tables[0]);
        replace_by_two_renames(&tmp.join("nothing"), &target).unwrap_err();
        assert_eq!(success_of(&target).as_deref(), Some("old a"));
    }

    #[test]
    fn a_commit_that_cannot_be_completed_says_which_file_to_remove() {
        let (root, tmp, journal) = cut_off_commit();
        fs::remove_dir_all(staging_path(&tmp, DATE, "run")).unwrap();
        let error = recover(root.path(), &tmp, DATE, None).unwrap_err();
        assert_eq!(error.site.path, Some(journal_path(&tmp, DATE)));
        assert!(error.remedy.unwrap().contains("remove this file"));
        assert_eq!(Journal::read(&tmp, DATE).unwrap(), Some(journal));
        fs::write(journal_path(&tmp, DATE), "{}").unwrap();
        assert!(
            recover(root.path(), &tmp, DATE, None)
                .unwrap_err()
                .to_string()
                .contains("not a journal")
        );
    }

    #[test]
    fn dates_are_found_by_every_kind_of_leftover() {
        let root = tempfile::tempdir().unwrap();
        for name in ["dt=3.lock", "dt=1.journal", "dt=2.run", "dt=2.journal.tmp", "other", "dt=4"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(dates_in(root.path()).unwrap(), ["1", "2", "3"]);
    }
}
