//! One partition of events as a file. The bytes depend on the rows only: no date of writing, no
//! version of a library.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::Format;
use crate::model::{Error, KeyRef, KeyType, Keys, Result, format_timestamp};
use crate::source::{SYNTHETIC_COLUMNS, SyntheticSource};

/// Rows that are turned into Arrow arrays at once.
const BLOCK_ROWS: usize = 65_536;
/// Rows of a Parquet row group.
const GROUP_ROWS: usize = 1 << 20;
/// Level of zstd: beyond it files shrink by less than 2 % and take twice as long.
const ZSTD_LEVEL: i32 = 6;

/// An event. The order is the order in the file: by time, ties by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) time_us: i64,
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) action: u8,
}

/// Writes `rows` to the new file `path` and gives its size in bytes.
pub(super) fn write_partition(
    source: &SyntheticSource,
    format: Format,
    rows: &[Row],
    path: &Path,
) -> Result<u64> {
    let failed = |error: std::io::Error| {
        Error::publish(error.to_string()).path(path).remedy("check space and permissions")
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    match format {
        Format::Parquet => parquet(source, rows, &mut file),
        Format::Csv => csv(source, rows, &mut file),
        Format::Jsonl => jsonl(source, rows, &mut file),
    }
    .map_err(failed)?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(file.metadata().map_err(failed)?.len())
}

/// Keys and actions of rows.
struct Columns<'a> {
    left: Keys,
    right: Keys,
    actions: Vec<&'a str>,
}

fn columns<'a>(source: &'a SyntheticSource, rows: &[Row]) -> Columns<'a> {
    let (mut left, mut right) = (Keys::new(source.key_type()), Keys::new(source.key_type()));
    for row in rows {
        source.push_left_key(row.left, &mut left);
        source.push_right_key(row.right, &mut right);
    }
    let name = |row: &Row| source.actions().get(usize::from(row.action)).map_or("", String::as_str);
    Columns { left, right, actions: rows.iter().map(name).collect() }
}

fn parquet(source: &SyntheticSource, rows: &[Row], file: &mut impl Write) -> std::io::Result<()> {
    let key_type = match source.key_type() {
        KeyType::Int64 => DataType::Int64,
        KeyType::Utf8 => DataType::Utf8,
    };
    let [left, right, action, time] = SYNTHETIC_COLUMNS;
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Arc::new(Schema::new(vec![
        Field::new(left, key_type.clone(), false),
        Field::new(right, key_type, false),
        Field::new(action, DataType::Utf8, false),
        Field::new(time, utc, false),
    ]));
    // Times ascend, so their differences take fewer bytes than a dictionary.
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(std::io::Error::other)?;
    let properties = WriterProperties::builder()
        .set_created_by("pingraph".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_column_dictionary_enabled(ColumnPath::from(time), false)
        .set_column_encoding(ColumnPath::from(time), Encoding::DELTA_BINARY_PACKED)
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut buffer = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut buffer, schema.clone(), options)?;
    for rows in rows.chunks(BLOCK_ROWS) {
        let columns = columns(source, rows);
        let times = rows.iter().map(|row| row.time_us);
        let arrays: Vec<ArrayRef> = vec![
            key_array(&columns.left),
            key_array(&columns.right),
            Arc::new(StringArray::from(columns.actions)),
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        ];
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(std::io::Error::other)?;
        writer.write(&batch)?;
    }
    writer.close()?;
    file.write_all(&buffer)
}

fn key_array(keys: &Keys) -> ArrayRef {
    match keys {
        Keys::Int64(keys) => Arc::new(Int64Array::from(keys.clone())),
        Keys::Utf8 { .. } => {
            let texts = (0..keys.len()).map(|index| keys.get(index).to_string());
            Arc::new(StringArray::from_iter_values(texts))
        }
    }
}

fn csv(source: &SyntheticSource, rows: &[Row], file: &mut impl Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(SYNTHETIC_COLUMNS)?;
    for rows in rows.chunks(BLOCK_ROWS) {
        let Columns { left, right, actions } = columns(source, rows);
        for (index, (row, action)) in rows.iter().zip(actions).enumerate() {
            let time = format_timestamp(row.time_us);
            let (left, right) = (left.get(index).to_string(), right.get(index).to_string());
            writer.write_record([left.as_str(), right.as_str(), action, time.as_str()])?;
        }
    }
    writer.flush()
}

fn jsonl(source: &SyntheticSource, rows: &[Row], file: &mut impl Write) -> std::io::Result<()> {
    let json = |key: KeyRef<'_>| match key {
        KeyRef::Int64(key) => serde_json::Value::from(key),
        KeyRef::Utf8(key) => serde_json::Value::from(key),
    };
    let [left_name, right_name, action_name, time_name] = SYNTHETIC_COLUMNS;
    for rows in rows.chunks(BLOCK_ROWS) {
        let Columns { left, right, actions } = columns(source, rows);
        for (index, (row, action)) in rows.iter().zip(actions).enumerate() {
            let (left, right) = (json(left.get(index)), json(right.get(index)));
            let action = serde_json::Value::from(action);
            let time = format_timestamp(row.time_us);
            writeln!(
                file,
                r#"{{"{left_name}":{left},"{right_name}":{right},"{action_name}":{action},"{time_name}":"{time}"}}"#
            )?;
        }
    }
    Ok(())
}
