//! One part file of a feature table.
//!
//! **Layout.** The key column (`pin_id`: int64 or string), `event_timestamp` and
//! `created_timestamp` (timestamp in microseconds, UTC), then the columns of the signal; a top-K is
//! two parallel lists of nullable items called `item`. This is what Feast, Spark, DuckDB, Polars
//! and pandas all read without a hint.
//!
//! **Bytes.** The same rows give the same bytes but for `created_timestamp`. Rows are therefore
//! cut into chunks and row groups by their own number and size, never by the blocks that they
//! arrive in, and nothing about the run stands in the file's metadata.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::columns::{Buffer, offsets_of, rows_of};
use super::files::failed;
use super::manifest::FileRecord;
use super::schema::{LEADING, WriteContext, properties, schema_of, statistics_of};
use super::statistics::{ColumnStatistics, ends_of};
use crate::model::{Column, ColumnType, Error, Keys, Result, Rows, Table};

/// Rows that are encoded at a time, at most.
const CHUNK_ROWS: usize = 8_192;

/// Bytes of values that are encoded at a time, at most, unless one row has more.
const CHUNK_BYTES: u64 = 8 << 20;

/// Rows of a row group, at most.
const GROUP_ROWS: usize = 131_072;

/// Bytes of values after which a row group is closed: it is in memory until then, and readers
/// share a file among their threads by row groups.
const GROUP_BYTES: u64 = 64 << 20;

/// Writes one part file. A writer that is dropped before [`PartWriter::finish`] leaves a file
/// without a footer in the staging, which is removed with it.
pub struct PartWriter {
    path: PathBuf,
    table: Table,
    context: WriteContext,
    schema: SchemaRef,
    writer: ArrowWriter<HashedFile>,
    key: Buffer,
    columns: Vec<Buffer>,
    statistics: Vec<ColumnStatistics>,
    rows: u64,
    chunk: Extent,
    group: Extent,
}

/// Rows and their bytes before encoding.
#[derive(Clone, Copy, Default)]
struct Extent {
    rows: usize,
    bytes: u64,
}

/// A part file that is written and on the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartFile {
    /// Name in the partition.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// XXH3 (64 bits) of the bytes.
    pub xxh3: u64,
    /// Statistics of every column, in order.
    pub columns: Vec<ColumnStatistics>,
}

impl PartFile {
    /// As the manifest has it.
    pub(super) fn into_record(self) -> FileRecord {
        let xxh3 = format!("{:016x}", self.xxh3);
        FileRecord { name: self.name, rows: self.rows, bytes: self.bytes, xxh3 }
    }
}

impl PartWriter {
    /// Creates the file `path` for rows of `table`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, table: &Table, context: &WriteContext) -> Result<PartWriter> {
        let schema = Arc::new(schema_of(table, context));
        let file = File::create(path).map_err(|e| failed("create the file", path, &e))?;
        let file = HashedFile { file, hash: Xxh3::new(), bytes: 0 };
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&schema))
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema.clone(), options)
            .map_err(|e| cannot_write(path, e))?;
        let types = table.fields.iter().map(|field| field.column_type);
        let columns = types.map(|t| Buffer::new(t, context.keys_in(t, table.side).key_type()));
        Ok(PartWriter {
            path: path.to_path_buf(),
            table: table.clone(),
            context: context.clone(),
            writer,
            key: Buffer::of_keys(context.keys(table.side).key_type()),
            columns: columns.collect(),
            statistics: statistics_of(table, &schema),
            schema,
            rows: 0,
            chunk: Extent::default(),
            group: Extent::default(),
        })
    }

    /// Appends `rows`, whose nodes follow those of the rows before.
    ///
    /// # Errors
    /// When the file cannot be written, and when the rows are not as the table declares them.
    pub fn write(&mut self, rows: &Rows) -> Result<()> {
        self.check(rows)?;
        self.count(rows);
        let bytes = self.row_bytes(rows);
        let mut begin = 0;
        while begin < bytes.len() {
            let mut end = begin;
            while end < bytes.len() && self.chunk.takes(bytes[end]) {
                self.chunk.add(1, bytes[end]);
                end += 1;
            }
            self.append(rows, begin..end)?;
            if end < bytes.len() {
                self.write_chunk()?;
            }
            begin = end;
        }
        Ok(())
    }

    /// Ends the file: it is on the disk when this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<PartFile> {
        self.write_chunk()?;
        let file = self.writer.into_inner().map_err(|e| cannot_write(&self.path, e))?;
        file.file.sync_all().map_err(|e| failed("flush the file to disk", &self.path, &e))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(PartFile {
            name,
            rows: self.rows,
            bytes: file.bytes,
            xxh3: file.hash.digest(),
            columns: self.statistics,
        })
    }

    /// Whether `rows` are as the table declares them: nothing after this can be out of bounds.
    fn check(&self, rows: &Rows) -> Result<()> {
        let wrong = |column: &str, what: &str| {
            Err(Error::engine(format!("{what} in table {}", self.table.name)).column(column))
        };
        let in_range = |nodes: &[u32], keys: &Keys| {
            ends_of(nodes).is_none_or(|(_, high)| (high as usize) < keys.len())
        };
        let key = self.context.names.key_column(self.table.side);
        if !in_range(&rows.nodes, self.context.keys(self.table.side)) {
            return wrong(&key, "a node without a key");
        }
        if rows.columns.len() != self.table.fields.len() {
            return wrong(&key, "a block of rows with too few or too many columns");
        }
        for (field, column) in self.table.fields.iter().zip(&rows.columns) {
            if rows_of(column) != Some(rows.nodes.len()) {
                return wrong(&field.name, "a column whose length is not that of the block");
            }
            if let (ColumnType::NodeList(side), Column::NodeList { nodes, .. }) =
                (field.column_type, column)
                && !in_range(nodes, self.context.keys(side))
            {
                return wrong(&field.name, "a node without a key");
            }
        }
        Ok(())
    }

    /// Takes `rows` into the statistics.
    fn count(&mut self, rows: &Rows) {
        self.rows += rows.nodes.len() as u64;
        let Some((leading, columns)) = self.statistics.split_at_mut_checked(LEADING) else {
            return;
        };
        if let [key, event, created] = leading
            && !rows.nodes.is_empty()
        {
            key.add_nodes(&rows.nodes, self.context.keys(self.table.side));
            event.add_time(self.context.as_of_us);
            created.add_time(self.context.created_us);
        }
        for ((field, column), statistics) in
            self.table.fields.iter().zip(&rows.columns).zip(columns)
        {
            statistics.add_lengths(offsets_of(column).unwrap_or_default());
            match column {
                Column::Int64(values) => statistics.add_ints(values.iter().copied()),
                Column::Int64List { values, .. } => {
                    statistics.add_ints(values.iter().copied().map(Some));
                }
                Column::Float32(values) | Column::Float32List { values, .. } => {
                    statistics.add_floats(values.iter().copied().map(f64::from));
                }
                Column::Float64(values) => statistics.add_floats(values.iter().copied()),
                Column::NodeList { nodes, .. } => {
                    let keys = self.context.keys_in(field.column_type, self.table.side);
                    statistics.add_nodes(nodes, keys);
                }
            }
        }
    }

    /// Bytes of each row before encoding.
    fn row_bytes(&self, rows: &Rows) -> Vec<u64> {
        let mut bytes = vec![0u64; rows.nodes.len()];
        let keys = self.context.keys(self.table.side);
        for (total, &node) in bytes.iter_mut().zip(&rows.nodes) {
            *total += 16 + key_bytes(keys, node);
        }
        for (field, column) in self.table.fields.iter().zip(&rows.columns) {
            let Some(offsets) = offsets_of(column) else {
                bytes.iter_mut().for_each(|total| *total += 8);
                continue;
            };
            let keys = self.context.keys_in(field.column_type, self.table.side);
            for (total, pair) in bytes.iter_mut().zip(offsets.windows(2)) {
                *total += 4 + match (column, keys) {
                    (Column::NodeList { nodes, .. }, Keys::Utf8 { .. }) => {
                        let list = &nodes[pair[0] as usize..pair[1] as usize];
                        list.iter().map(|&node| key_bytes(keys, node)).sum()
                    }
                    _ => 8 * u64::from(pair[1] - pair[0]),
                };
            }
        }
        bytes
    }

    /// Appends the rows `range` of `rows` to the chunk.
    fn append(&mut self, rows: &Rows, range: Range<usize>) -> Result<()> {
        self.key.push_nodes(&rows.nodes[range.clone()], self.context.keys(self.table.side))?;
        let fields = self.table.fields.iter().zip(&rows.columns);
        for (buffer, (field, column)) in self.columns.iter_mut().zip(fields) {
            let keys = self.context.keys_in(field.column_type, self.table.side);
            buffer
                .push(column, range.clone(), keys)
                .map_err(|e| e.path(&self.path).column(&field.name))?;
        }
        Ok(())
    }

    /// Encodes the chunk, and ends the row group if it is full.
    fn write_chunk(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.rows == 0 {
            return Ok(());
        }
        let mut arrays = vec![self.key.take()?];
        for time_us in [self.context.as_of_us, self.context.created_us] {
            let times = TimestampMicrosecondArray::from(vec![time_us; chunk.rows]);
            arrays.push(Arc::new(times.with_timezone("UTC")) as ArrayRef);
        }
        for column in &mut self.columns {
            arrays.push(column.take()?);
        }
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|e| Error::engine(format!("rows that do not fit their table: {e}")))?;
        self.writer.write(&batch).map_err(|e| cannot_write(&self.path, e))?;
        self.group.add(chunk.rows, chunk.bytes);
        if self.group.rows >= GROUP_ROWS || self.group.bytes >= GROUP_BYTES {
            self.group = Extent::default();
            self.writer.flush().map_err(|e| cannot_write(&self.path, e))?;
        }
        Ok(())
    }
}

impl Extent {
    fn add(&mut self, rows: usize, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
    }

    /// Whether a chunk takes one more row of `bytes`.
    fn takes(&self, bytes: u64) -> bool {
        self.rows == 0 || (self.rows < CHUNK_ROWS && self.bytes + bytes <= CHUNK_BYTES)
    }
}

/// A file that hashes what is written to it.
struct HashedFile {
    file: File,
    hash: Xxh3,
    bytes: u64,
}

impl Write for HashedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Bytes of a key before encoding.
fn key_bytes(keys: &Keys, node: u32) -> u64 {
    match keys {
        Keys::Int64(_) => 8,
        Keys::Utf8 { offsets, .. } => {
            let node = node as usize;
            4 + offsets[node + 1] - offsets[node]
        }
    }
}

/// The error of a write that went through the Parquet library.
fn cannot_write(path: &Path, error: ParquetError) -> Error {
    if let ParquetError::External(inner) = &error
        && let Some(inner) = inner.downcast_ref::<io::Error>()
    {
        return failed("write the file", path, inner);
    }
    Error::engine(format!("Parquet cannot be encoded: {error}")).path(path)
}
