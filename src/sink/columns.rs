//! Columns in memory on their way to Arrow arrays: dense ids become keys here, in bulk.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field as ArrowField, FieldRef};

use super::statistics::Kind;
use crate::model::{Column, ColumnType, Error, KeyType, Keys, Result};

/// The Arrow type of the values of `column_type`, those in the lists for a list; `key_type` is
/// that of the side of a node list.
pub(super) fn value_type(column_type: ColumnType, key_type: KeyType) -> DataType {
    match column_type {
        ColumnType::Int64 | ColumnType::Int64List => DataType::Int64,
        ColumnType::Float32 | ColumnType::Float32List => DataType::Float32,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::NodeList(_) => match key_type {
            KeyType::Int64 => DataType::Int64,
            KeyType::Utf8 => DataType::Utf8,
        },
    }
}

/// Whether a column holds lists.
pub(super) fn is_list(column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Int64 | ColumnType::Float32 | ColumnType::Float64 => false,
        ColumnType::NodeList(_) | ColumnType::Float32List | ColumnType::Int64List => true,
    }
}

/// Which statistics a column has.
pub(super) fn kind_of(column_type: ColumnType) -> Kind {
    match column_type {
        ColumnType::Int64 | ColumnType::Int64List => Kind::Ints,
        ColumnType::Float32 | ColumnType::Float64 | ColumnType::Float32List => Kind::Floats,
        ColumnType::NodeList(_) => Kind::Nodes,
    }
}

/// The Arrow type of a list of `values`, as feature stores read it: nullable, called `item`.
pub(super) fn list_type(values: DataType) -> DataType {
    DataType::List(item(values))
}

fn item(values: DataType) -> FieldRef {
    Arc::new(ArrowField::new("item", values, true))
}

/// The type as the manifest has it.
pub(super) fn type_name(values: &DataType, list: bool) -> &'static str {
    match (values, list) {
        (DataType::Int64, false) => "int64",
        (DataType::Float32, false) => "float",
        (DataType::Float64, false) => "double",
        (DataType::Utf8, false) => "string",
        (DataType::Int64, true) => "list<item: int64>",
        (DataType::Float32, true) => "list<item: float>",
        (DataType::Utf8, true) => "list<item: string>",
        (DataType::Timestamp(..), _) => "timestamp[us, tz=UTC]",
        _ => "unknown",
    }
}

/// Values of a column, growing.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Ends of the rows' lists, the first 0; `None` for a column without lists.
    ends: Option<Vec<i32>>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Int64(Vec<i64>),
    Nullable(Vec<Option<i64>>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
}

impl Buffer {
    /// For a column of keys, one a row.
    pub(super) fn of_keys(key_type: KeyType) -> Buffer {
        Buffer { ends: None, values: Values::of_keys(key_type) }
    }

    /// For a column of `column_type`; `key_type` is that of the side of a node list.
    pub(super) fn new(column_type: ColumnType, key_type: KeyType) -> Buffer {
        let values = match column_type {
            ColumnType::Int64 => Values::Nullable(Vec::new()),
            ColumnType::Float32 | ColumnType::Float32List => Values::Float32(Vec::new()),
            ColumnType::Float64 => Values::Float64(Vec::new()),
            ColumnType::NodeList(_) => Values::of_keys(key_type),
            ColumnType::Int64List => Values::Int64(Vec::new()),
        };
        Buffer { ends: is_list(column_type).then(|| vec![0]), values }
    }

    /// Appends the keys of `nodes`, all of which are in `keys`.
    pub(super) fn push_nodes(&mut self, nodes: &[u32], keys: &Keys) -> Result<()> {
        match (&mut self.values, keys) {
            (Values::Int64(values), Keys::Int64(keys)) => {
                values.extend(nodes.iter().map(|&node| keys[node as usize]));
            }
            (Values::Text { ends, bytes }, Keys::Utf8 { offsets, bytes: text }) => {
                for &node in nodes {
                    let (begin, end) = (offsets[node as usize], offsets[node as usize + 1]);
                    bytes.extend_from_slice(&text[begin as usize..end as usize]);
                    ends.push(end_of(bytes.len())?);
                }
            }
            _ => return Err(Error::engine("the keys are not of the type that the file has")),
        }
        Ok(())
    }

    /// Appends rows `rows` of `column`; `keys` are those of a node list's side.
    pub(super) fn push(&mut self, column: &Column, rows: Range<usize>, keys: &Keys) -> Result<()> {
        let values = match offsets_of(column) {
            None => rows,
            Some(offsets) => self.push_ends(&offsets[rows.start..=rows.end])?,
        };
        match (&mut self.values, column) {
            (Values::Nullable(all), Column::Int64(more)) => all.extend_from_slice(&more[values]),
            (Values::Float32(all), Column::Float32(more)) => all.extend_from_slice(&more[values]),
            (Values::Float64(all), Column::Float64(more)) => all.extend_from_slice(&more[values]),
            (Values::Float32(all), Column::Float32List { values: more, .. }) => {
                all.extend_from_slice(&more[values]);
            }
            (Values::Int64(all), Column::Int64List { values: more, .. }) => {
                all.extend_from_slice(&more[values]);
            }
            (_, Column::NodeList { nodes, .. }) => self.push_nodes(&nodes[values], keys)?,
            _ => return Err(Error::engine("the values are not of the type that was declared")),
        }
        Ok(())
    }

    /// Appends the lists between `offsets` and gives the range of their values.
    fn push_ends(&mut self, offsets: &[u32]) -> Result<Range<usize>> {
        let (Some(ends), Some(&first), Some(&last)) =
            (&mut self.ends, offsets.first(), offsets.last())
        else {
            return Err(Error::engine("lists in a column that was declared without"));
        };
        let base = ends.last().copied().unwrap_or(0);
        for &offset in offsets.iter().skip(1) {
            ends.push(end_of(base as usize + (offset - first) as usize)?);
        }
        Ok(first as usize..last as usize)
    }

    /// The values as an Arrow array, leaving nothing.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        let values: ArrayRef = match &mut self.values {
            Values::Int64(values) => Arc::new(Int64Array::from(std::mem::take(values))),
            Values::Nullable(values) => Arc::new(Int64Array::from(std::mem::take(values))),
            Values::Float32(values) => Arc::new(Float32Array::from(std::mem::take(values))),
            Values::Float64(values) => Arc::new(Float64Array::from(std::mem::take(values))),
            Values::Text { ends, bytes } => {
                let offsets = offset_buffer(std::mem::replace(ends, vec![0]));
                let text = StringArray::try_new(offsets, std::mem::take(bytes).into(), None);
                Arc::new(text.map_err(|e| Error::engine(format!("keys that are no text: {e}")))?)
            }
        };
        let Some(ends) = &mut self.ends else { return Ok(values) };
        let offsets = offset_buffer(std::mem::replace(ends, vec![0]));
        let list = ListArray::try_new(item(values.data_type().clone()), offsets, values, None);
        Ok(Arc::new(list.map_err(|e| Error::engine(format!("lists that do not fit: {e}")))?))
    }
}

impl Values {
    fn of_keys(key_type: KeyType) -> Values {
        match key_type {
            KeyType::Int64 => Values::Int64(Vec::new()),
            KeyType::Utf8 => Values::Text { ends: vec![0], bytes: Vec::new() },
        }
    }
}

/// The offsets of a list column.
pub(super) fn offsets_of(column: &Column) -> Option<&[u32]> {
    match column {
        Column::Int64(_) | Column::Float32(_) | Column::Float64(_) => None,
        Column::NodeList { offsets, .. }
        | Column::Float32List { offsets, .. }
        | Column::Int64List { offsets, .. } => Some(offsets),
    }
}

/// The number of rows of a column, if its parts agree: offsets begin at 0, ascend and end with
/// the values.
pub(super) fn rows_of(column: &Column) -> Option<usize> {
    let values = match column {
        Column::Int64(values) => return Some(values.len()),
        Column::Float32(values) => return Some(values.len()),
        Column::Float64(values) => return Some(values.len()),
        Column::NodeList { nodes, .. } => nodes.len(),
        Column::Float32List { values, .. } => values.len(),
        Column::Int64List { values, .. } => values.len(),
    };
    let offsets = offsets_of(column)?;
    let whole = offsets.first() == Some(&0)
        && offsets.last().map(|&end| end as usize) == Some(values)
        && offsets.is_sorted();
    whole.then(|| offsets.len() - 1)
}

/// An end within an Arrow array, whose offsets are 32 bits wide.
fn end_of(end: usize) -> Result<i32> {
    i32::try_from(end).map_err(|_| {
        Error::engine("the lists of one row, or of 8,192 short ones, exceed 2 GiB")
            .remedy("lower top_k")
    })
}

/// `ends`, ascending from 0, as Arrow holds them.
fn offset_buffer(ends: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(ends))
}
