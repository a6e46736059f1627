//! Parquet files.
//!
//! A split is a run of row groups of one file, of about a million rows. Only the job's columns are
//! read, by the low-level column readers straight into vectors: on integers that costs half of what
//! record batches do. Row groups whose time statistics put them outside the window are not read,
//! and where the statistics put a whole row group inside it and no age is wanted, neither is its
//! time column.

mod decode;
mod layout;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use self::decode::Cursor;
use self::layout::{Layout, Slot};
use super::admit::{Admission, BLOCK_ROWS, Block, Positions, window_start};
use super::columns::Role;
use super::rules::{self, SAMPLE_ROWS};
use super::{EventSink, ScanPlan, Source, Split, files};
use crate::model::{Error, KeyType, Result, ScanRequest, ScanStats, TimeUnit};

/// Rows of a split, unless a single row group has more.
const SPLIT_ROWS: u64 = 1 << 20;

/// Extensions of the files that a folder is searched for.
pub(super) const EXTENSIONS: [&str; 3] = ["parquet", "parq", "pq"];

/// Events in Parquet files.
///
/// Keys are integers or utf8; times are timestamps, dates, integers or ISO 8601 text; actions are
/// utf8 or integers (by their decimal text); weights are floats or integers.
#[derive(Clone, Debug)]
pub struct ParquetSource {
    path: String,
}

impl ParquetSource {
    /// Reads `path`: a file, a folder (all `.parquet`, `.parq` and `.pq` files in and below it) or
    /// a glob.
    pub fn new(path: &str) -> ParquetSource {
        ParquetSource { path: path.to_owned() }
    }
}

impl Source for ParquetSource {
    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        let listing = files::list(&self.path, &EXTENSIONS, request)?;
        let mut plan = ScanPlan {
            left_type: request.columns.left_type.unwrap_or(KeyType::Int64),
            right_type: request.columns.right_type.unwrap_or(KeyType::Int64),
            files: Vec::new(),
            splits: Vec::new(),
            pruned: listing.pruned,
            time_unit: None,
        };
        for (index, file) in listing.files.iter().enumerate() {
            // One file at a time: footers are large and open files few.
            let table = Table::open(file, request)?;
            if index == 0 {
                plan.left_type = table.layout.key_type(Role::Left);
                plan.right_type = table.layout.key_type(Role::Right);
            }
            table.check_keys(Role::Left, plan.left_type, &listing.files[0].path)?;
            table.check_keys(Role::Right, plan.right_type, &listing.files[0].path)?;
            let known = request.columns.time_unit.is_some() || plan.time_unit.is_some();
            if !known && table.layout.needs_unit() {
                plan.time_unit = table.guess_unit()?;
            }
            table.cut(index, request, &mut plan);
        }
        plan.files = listing.files;
        Ok(plan)
    }

    fn read(
        &self,
        request: &ScanRequest,
        plan: &ScanPlan,
        split: usize,
        sink: &mut dyn EventSink,
    ) -> Result<ScanStats> {
        let split = &plan.splits[split];
        let table = Table::open(&plan.files[split.file], request)?;
        let mut admission = Admission::new(request, table.path);
        let unit = rules::integer_unit(request, plan);
        let mut bytes = 0;
        let mut position = 1;
        for (index, group) in table.metadata.row_groups().iter().enumerate() {
            let rows = group.num_rows().max(0) as u64;
            if split.groups.contains(&index) {
                let slots = table.layout.slots.iter().filter(|slot| {
                    let skip = slot.role == Role::Time
                        && !request.keep_age_action
                        && slot.span(group, unit).is_some_and(|span| inside(span, request));
                    !skip
                });
                let reading = Reading { table: &table, group, unit, position, rows };
                bytes += group_bytes(group, &table.layout);
                if !reading.run(slots, &mut admission, sink)? {
                    break;
                }
            }
            position += rows;
        }
        Ok(admission.finish(bytes))
    }
}

/// Whether all times of a span are visible.
fn inside((first_us, last_us): (i64, i64), request: &ScanRequest) -> bool {
    first_us >= window_start(request) && last_us < request.as_of_us
}

fn group_bytes(group: &RowGroupMetaData, layout: &Layout) -> u64 {
    let size = |slot: &Slot| group.columns().get(slot.leaf).map_or(0, |c| c.compressed_size());
    layout.slots.iter().map(|slot| size(slot).max(0) as u64).sum()
}

/// A file with its footer, and the job's columns in it.
struct Table<'a> {
    path: &'a Path,
    file: Arc<File>,
    metadata: ParquetMetaData,
    layout: Layout,
}

impl<'a> Table<'a> {
    fn open(file: &'a super::InputFile, request: &ScanRequest) -> Result<Table<'a>> {
        let opened = files::open(file)?;
        let metadata =
            guarded(|| ParquetMetaDataReader::new().parse_and_finish(&opened)).map_err(|what| {
                Error::input(format!("no readable Parquet file: {what}"))
                    .path(&file.path)
                    .remedy("it is truncated, damaged or of another format: write it again")
            })?;
        let layout = Layout::new(&metadata, request).map_err(|error| error.path(&file.path))?;
        Ok(Table { path: &file.path, file: Arc::new(opened), metadata, layout })
    }

    /// Fails if the keys of `role` are not of type `expected`, as those of the file `first` are.
    fn check_keys(&self, role: Role, expected: KeyType, first: &Path) -> Result<()> {
        let found = self.layout.key_type(role);
        if found == expected {
            return Ok(());
        }
        let first = first.display();
        Err(Error::input(format!("the keys are {found} here but {expected} in {first}"))
            .path(self.path)
            .column(self.layout.column(role))
            .remedy("write the column with one type in all files"))
    }

    /// The unit of the first integer times, if there are any.
    fn guess_unit(&self) -> Result<Option<TimeUnit>> {
        let Some(slot) = self.layout.slots.iter().find(|slot| slot.role == Role::Time) else {
            return Ok(None);
        };
        for group in self.metadata.row_groups() {
            let rows = SAMPLE_ROWS.min(group.num_rows().max(0) as usize);
            let unit = guarded(|| Cursor::new(&self.file, group, slot)?.guess_unit(rows))
                .map_err(|what| self.damaged(what, slot, 1))?;
            if unit.is_some() {
                return Ok(unit);
            }
        }
        Ok(None)
    }

    /// Cuts the file, number `index` of the plan, into splits.
    fn cut(&self, index: usize, request: &ScanRequest, plan: &mut ScanPlan) {
        let unit = rules::integer_unit(request, plan);
        let time = self.layout.slots.iter().find(|slot| slot.role == Role::Time);
        // The split under way, if the row group before belongs to it.
        let mut open: Option<Split> = None;
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            let rows = group.num_rows().max(0) as u64;
            let span = time.and_then(|slot| slot.span(group, unit));
            let pruned = span.is_some_and(|(first_us, last_us)| {
                first_us >= request.as_of_us || last_us < window_start(request)
            });
            plan.pruned += u64::from(pruned && rows > 0);
            if pruned || rows == 0 {
                plan.splits.extend(open.take());
                continue;
            }
            if open.as_ref().is_some_and(|split| split.rows.unwrap_or(0) + rows > SPLIT_ROWS) {
                plan.splits.extend(open.take());
            }
            let split = open.get_or_insert(Split {
                file: index,
                groups: number..number,
                rows: Some(0),
                bytes: 0,
            });
            split.groups.end = number + 1;
            split.rows = split.rows.map(|so_far| so_far + rows);
            split.bytes += group_bytes(group, &self.layout);
        }
        plan.splits.extend(open);
    }

    fn damaged(&self, what: String, slot: &Slot, row: u64) -> Error {
        Error::input(format!("the column cannot be decoded: {what}"))
            .path(self.path)
            .row(row)
            .column(&slot.column)
            .remedy("the file is damaged: write it again")
    }
}

/// A row group being read.
struct Reading<'a> {
    table: &'a Table<'a>,
    group: &'a RowGroupMetaData,
    unit: TimeUnit,
    /// Position of its first row in the file, from 1.
    position: u64,
    rows: u64,
}

impl Reading<'_> {
    /// Reads the columns of `slots`, a block at a time; `false` if the sink asks to stop.
    fn run<'s>(
        &self,
        slots: impl Iterator<Item = &'s Slot>,
        admission: &mut Admission<'_>,
        sink: &mut dyn EventSink,
    ) -> Result<bool> {
        let mut cursors = Vec::new();
        for slot in slots {
            let cursor = guarded(|| Cursor::new(&self.table.file, self.group, slot))
                .map_err(|what| self.table.damaged(what, slot, self.position))?;
            cursors.push((slot, cursor));
        }
        let layout = &self.table.layout;
        let mut done = 0;
        while done < self.rows {
            let rows = (self.rows - done).min(BLOCK_ROWS as u64);
            let position = self.position + done;
            let mut block = Block::new(layout.key_type(Role::Left), layout.key_type(Role::Right));
            for (slot, cursor) in &mut cursors {
                let codes = &mut admission.codes;
                guarded(|| cursor.fill(rows as usize, self.unit, &mut block, codes))
                    .map_err(|what| self.table.damaged(what, slot, position))?;
            }
            if !admission.admit(block, &Positions::From(position), sink) {
                return Ok(false);
            }
            done += rows;
        }
        Ok(true)
    }
}

/// Runs a step of the Parquet crate, which panics on some damaged files; a panic becomes an error.
fn guarded<T>(
    step: impl FnOnce() -> ::parquet::errors::Result<T>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(|error| match error {
            ParquetError::General(what) | ParquetError::EOF(what) => what,
            other => other.to_string(),
        }),
        Err(_) => Err("its encoding is inconsistent".to_owned()),
    }
}
