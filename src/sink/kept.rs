//! Tables that one attempt at a run has finished and the next one takes up.
//!
//! A finished table is kept by a record beside its staged files, which are on the disk by then. Whoever
//! takes it up reads every file and compares its hash; a table of which anything differs is removed and
//! computed anew. Only an attempt at the same run (job, inputs and `as_of`) finds the staging at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::files::{failed, remove, replace_file};
use super::parquet::PartFile;
use super::publish::Staging;
use crate::model::{Error, Result};

/// Name of the record in a table's staging.
const KEPT_FILE: &str = "_kept";

/// A finished table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptTable {
    /// `created_timestamp` of all its rows, microseconds since 1970.
    pub created_us: i64,
    /// Its files.
    pub files: Vec<PartFile>,
    /// Figures about the computation.
    pub notes: Vec<(String, String)>,
}

impl Staging {
    /// Keeps `table`, whose files are complete, for the next attempt.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn keep(&self, table: &str, kept: &KeptTable) -> Result<()> {
        let record = postcard::to_stdvec(kept)
            .map_err(|e| Error::engine(format!("the record of a table cannot be written: {e}")))?;
        replace_file(&self.folder.join(table).join(KEPT_FILE), &record)
    }

    /// The tables that an earlier attempt has kept, whole, by name. Everything else is removed.
    ///
    /// # Errors
    /// When the staging cannot be read or cleared.
    pub(super) fn take_up(&self) -> Result<BTreeMap<String, KeptTable>> {
        let list = || fs::read_dir(&self.folder)?.collect::<std::io::Result<Vec<_>>>();
        let entries = list().map_err(|e| failed("list the staging", &self.folder, &e))?;
        let mut tables: BTreeMap<String, KeptTable> = BTreeMap::new();
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name().into_string());
            let created = tables.values().next().map(|table| table.created_us);
            match (name, kept_in(&path)) {
                (Ok(name), Some(kept)) if created.is_none_or(|time| time == kept.created_us) => {
                    tables.insert(name, kept);
                }
                _ => remove(&path)?,
            }
        }
        Ok(tables)
    }

    /// Removes the records, which are not published.
    pub(super) fn forget_kept<'a>(&self, tables: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut tables = tables;
        tables.try_for_each(|table| remove(&self.folder.join(table).join(KEPT_FILE)))
    }
}

/// The table kept in `folder`, if all its files are what the record says and there are no others.
fn kept_in(folder: &Path) -> Option<KeptTable> {
    let record = fs::read(folder.join(KEPT_FILE)).ok()?;
    let kept: KeptTable = postcard::from_bytes(&record).ok()?;
    let same = |file: &PartFile| hash_of(&folder.join(&file.name)).ok() == Some(file.xxh3);
    let count = fs::read_dir(folder).ok()?.count();
    (count == kept.files.len() + 1 && kept.files.iter().all(same)).then_some(kept)
}

/// XXH3 (64 bits) of a file.
///
/// # Errors
/// When it cannot be read.
pub fn hash_of(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut hash, mut block) = (File::open(path)?, Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.digest()),
            read => hash.update(&block[..read]),
        }
    }
}
