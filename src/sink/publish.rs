//! Publishing all or nothing: a run's claim on one partition, its staging, its commit.
//!
//! **What a reader may rely on.** A partition's folder is replaced as a whole ([`super::journal`]).
//! Whoever opens the folder once and reads through it, or reads one file, sees one run. Whoever
//! lists the folder and opens the files by path while a rerun is published finds the rest missing if
//! the rerun had other inputs or another job, since the files' names begin the run's id, and equal
//! rows if it had the same. The tables of a run follow one another by a rename each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{create_folders, failed, remove, sync_folder};
use super::journal::{Journal, Staged, clean, dates_in, journal_path, recover, staging_path};
use super::kept::KeptTable;
use super::lock::PartitionLock;
use super::manifest::Manifest;
use crate::model::{Error, Result, format_date};

/// Folder below the root for everything that is not published yet.
const TMP: &str = "_tmp";

/// Where a run writes what is not published yet: the same folder for all of its processes.
#[derive(Clone, Debug)]
pub struct Staging {
    pub(super) folder: PathBuf,
    run_id: String,
}

impl Staging {
    /// The staging of the run `run_id`, which one of its processes has opened by [`Output::open`].
    ///
    /// # Errors
    /// When it is not there: the processes do not see the same folder.
    pub fn join(root: &Path, as_of_us: i64, run_id: &str) -> Result<Staging> {
        check_name("run id", run_id)?;
        let folder = staging_path(&root.join(TMP), &format_date(as_of_us), run_id);
        if folder.is_dir() {
            return Ok(Staging { folder, run_id: run_id.to_string() });
        }
        Err(Error::publish("process 0 writes here, but this process does not see it")
            .path(folder)
            .remedy("publish to a folder that all processes share"))
    }

    /// Path of part `part` of table `table` in the staging, whose folder is created.
    ///
    /// # Errors
    /// When `table` cannot name a folder, and when the folder cannot be created.
    pub fn part_path(&self, table: &str, part: usize) -> Result<PathBuf> {
        check_name("table", table)?;
        let folder = self.folder.join(table);
        fs::create_dir_all(&folder).map_err(|e| failed("create the folder", &folder, &e))?;
        // With the run in their names, files of two runs cannot be taken for one another by a reader
        // that listed the folder before it was replaced: it finds nothing, and lists again.
        let run = self.run_id.get(..8).unwrap_or(&self.run_id);
        Ok(folder.join(format!("part-{part:05}-{run}.parquet")))
    }
}

/// Removes what a run that is dead left in the partition of `as_of_us` below `root`, or completes its
/// commit; does nothing if a run that is alive holds the partition. For the processes that outlive
/// the one that held it.
pub fn clear_dead(root: &Path, as_of_us: i64) {
    let (date, tmp) = (format_date(as_of_us), root.join(TMP));
    // The lock of a process that has just died may be held for a moment longer than its connections.
    if tmp.is_dir()
        && let Ok(_lock) = PartitionLock::take(&tmp, &date)
    {
        // What cannot be removed now is removed by the next run.
        let _ = recover(root, &tmp, &date, None);
    }
}

/// One run's claim on the partitions `dt=YYYY-MM-DD` of all tables below a root.
///
/// Dropping it before [`Output::commit`] removes everything that the run wrote.
#[derive(Debug)]
pub struct Output {
    root: PathBuf,
    date: String,
    staging: Staging,
    /// The journal is written: the staging belongs to the commit and must stay.
    decided: bool,
    /// Tables that an earlier attempt has finished; empty unless attempts keep them.
    kept: BTreeMap<String, KeptTable>,
    /// Whether finished tables stay for the next attempt if this one fails.
    keeps: bool,
    /// Folders of tables that did not exist before the commit, the outermost first.
    made: Vec<PathBuf>,
    /// Dropped last, when the staging is gone.
    _lock: PartitionLock,
}

impl Output {
    /// Claims the partition of `as_of_us` (microseconds since 1970) below `root`, which is created
    /// if it is missing. Completes commits that were cut off, removes the staging of dead runs,
    /// and tries whether `root` takes writes.
    ///
    /// # Errors
    /// When another run publishes the same partition, when `root` cannot be written, and when a
    /// commit that was cut off cannot be completed.
    pub fn open(root: &Path, as_of_us: i64, run_id: &str) -> Result<Output> {
        Output::open_keeping(root, as_of_us, run_id, false)
    }

    /// As [`Output::open`]. If `keeps`, the tables that an earlier attempt at this run has finished stay, if
    /// they are whole ([`Output::kept`]), and so do those of this attempt, should it fail.
    ///
    /// # Errors
    /// As [`Output::open`].
    pub fn open_keeping(root: &Path, as_of_us: i64, run_id: &str, keeps: bool) -> Result<Output> {
        check_name("run id", run_id)?;
        let (date, tmp) = (format_date(as_of_us), root.join(TMP));
        let lock = PartitionLock::take(&tmp, &date)?;
        recover(root, &tmp, &date, keeps.then_some(run_id))?;
        for other in dates_in(&tmp)?.iter().filter(|other| **other != date) {
            // A date that another run holds is alive. One that cannot be completed is for the next
            // run of that date to report: it must not stop this one.
            if let Ok(Some(_other_lock)) = PartitionLock::try_take(&tmp, other) {
                let _ = recover(root, &tmp, other, None);
            }
        }
        let staging = staging_path(&tmp, &date, run_id);
        fs::create_dir_all(&staging).map_err(|e| failed("create the folder", &staging, &e))?;
        let staging = Staging { folder: staging, run_id: run_id.to_string() };
        let kept = staging.take_up()?;
        let root = root.to_path_buf();
        let (decided, made) = (false, Vec::new());
        Ok(Output { root, date, staging, decided, kept, keeps, made, _lock: lock })
    }

    /// Tables that an earlier attempt has finished, by name.
    pub fn kept(&self) -> &BTreeMap<String, KeptTable> {
        &self.kept
    }

    /// Where the run writes.
    pub fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Publishes every staged table, one manifest each. Gives the partitions' folders in ascending
    /// order of table.
    ///
    /// # Errors
    /// When the manifests are not those of the staged files, and when anything cannot be written.
    /// Nothing is then published, but for one case: where some tables are in place already and
    /// another cannot be put there, the next [`Output::open`] completes the commit.
    pub fn commit(mut self, mut manifests: Vec<Manifest>) -> Result<Vec<PathBuf>> {
        manifests.sort_by(|a, b| a.table.cmp(&b.table));
        self.staging.forget_kept(manifests.iter().map(|manifest| manifest.table.as_str()))?;
        self.check(&manifests)?;
        let tmp = self.root.join(TMP);
        let mut tables = Vec::new();
        for manifest in &manifests {
            let success = manifest.write(&self.staging.folder.join(&manifest.table))?;
            tables.push(Staged { table: manifest.table.clone(), success });
            self.made.extend(create_folders(&self.root.join(&manifest.table))?);
        }
        sync_folder(&self.staging.folder)?;
        sync_folder(&tmp)?;
        let journal =
            Journal { date: self.date.clone(), run_id: self.staging.run_id.clone(), tables };
        journal.write(&tmp)?;
        self.decided = true;
        match journal.roll_forward(&self.root, &tmp) {
            Ok(partitions) => {
                // All is published. What cannot be removed now is removed by the next run.
                let _ = clean(&tmp, &self.date, None);
                Ok(partitions)
            }
            Err(error) if journal.begun(&self.root) => Err(error),
            Err(error) => {
                self.decided = remove(&journal_path(&tmp, &self.date)).is_err();
                Err(error)
            }
        }
    }

    /// Whether `manifests`, in order of table, describe exactly what is staged.
    fn check(&self, manifests: &[Manifest]) -> Result<()> {
        let staging = &self.staging.folder;
        let listed: BTreeSet<PathBuf> = manifests
            .iter()
            .flat_map(|m| m.files.iter().map(|f| staging.join(&m.table).join(&f.name)))
            .collect();
        let list = || -> std::io::Result<BTreeSet<PathBuf>> {
            let mut found = BTreeSet::new();
            for folder in fs::read_dir(staging)? {
                for file in fs::read_dir(folder?.path())? {
                    found.insert(file?.path());
                }
            }
            Ok(found)
        };
        let staged = list().map_err(|e| failed("list the staging", staging, &e))?;
        let repeated = manifests.windows(2).find(|pair| pair[0].table == pair[1].table);
        let differing = repeated.map(|pair| staging.join(&pair[0].table));
        match differing.or_else(|| listed.symmetric_difference(&staged).next().cloned()) {
            None => Ok(()),
            Some(path) => Err(Error::engine("the manifests are not those of the staged files")
                .path(path)
                .remedy("this is a defect of the engine: please report it")),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.decided {
            // What cannot be removed now is removed by the next run.
            let stays = self.keeps && self.staging.take_up().is_ok_and(|kept| !kept.is_empty());
            if !stays {
                let _ = remove(&self.staging.folder);
            }
            for folder in self.made.iter().rev() {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Whether `name` can name a folder beside ours, which begin with an underscore.
fn check_name(what: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && !name.starts_with('_') && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::publish(format!("the {what} {name:?} cannot name a folder"))
        .remedy("use letters, digits, - and _, and do not begin with _"))
}
