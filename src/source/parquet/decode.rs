//! Column readers: from the pages of a column chunk to a column of a [`Block`].
//!
//! Where a block of values has no null and nothing to reject, whole vectors are moved or converted;
//! else each value goes through the rules for cells.

use std::fs::File;
use std::sync::Arc;

use ::parquet::basic::Type;
use ::parquet::column::reader::ColumnReaderImpl;
use ::parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type, Int96,
    Int96Type,
};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::RowGroupMetaData;
use ::parquet::file::serialized_reader::SerializedPageReader;

use super::super::admit::{ActionCodes, Block};
use super::super::columns::Role;
use super::super::rules::{self, Cell};
use super::layout::{Kind, Slot};
use crate::model::{Keys, TimeUnit, WEIGHT_MAX, fixed_from_f64};

/// Reads one column of a row group, block after block.
pub(super) struct Cursor {
    role: Role,
    kind: Kind,
    levels: Levels,
    reader: Reader,
    /// Codes plus one of the actions 0 to 255; 0 where it is not known yet.
    small_actions: [u32; 256],
}

/// Definition levels of the block: which rows hold a value.
struct Levels {
    /// The level of a value; lower ones are nulls.
    full: i16,
    of_rows: Vec<i16>,
}

enum Reader {
    Int32(ColumnReaderImpl<Int32Type>),
    Int64(ColumnReaderImpl<Int64Type>),
    Int96(ColumnReaderImpl<Int96Type>),
    Float(ColumnReaderImpl<FloatType>),
    Double(ColumnReaderImpl<DoubleType>),
    Text(ColumnReaderImpl<ByteArrayType>),
}

/// The values of a block; nulls take no place.
enum Values {
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<ByteArray>),
}

impl Cursor {
    /// Starts on the column of `slot` in a row group.
    pub(super) fn new(file: &Arc<File>, group: &RowGroupMetaData, slot: &Slot) -> Result<Cursor> {
        let chunk = group
            .columns()
            .get(slot.leaf)
            .ok_or_else(|| ParquetError::General("a row group lacks the column".to_owned()))?;
        let rows = group.num_rows().max(0) as usize;
        let descriptor = chunk.column_descr_ptr();
        let full = descriptor.max_def_level();
        let physical = descriptor.physical_type();
        let pages = Box::new(SerializedPageReader::new(Arc::clone(file), chunk, rows, None)?);
        let reader = match physical {
            Type::INT32 => Reader::Int32(ColumnReaderImpl::new(descriptor, pages)),
            Type::INT64 => Reader::Int64(ColumnReaderImpl::new(descriptor, pages)),
            Type::INT96 => Reader::Int96(ColumnReaderImpl::new(descriptor, pages)),
            Type::FLOAT => Reader::Float(ColumnReaderImpl::new(descriptor, pages)),
            Type::DOUBLE => Reader::Double(ColumnReaderImpl::new(descriptor, pages)),
            _ => Reader::Text(ColumnReaderImpl::new(descriptor, pages)),
        };
        let levels = Levels { full, of_rows: Vec::new() };
        let small_actions = [0; 256];
        Ok(Cursor { role: slot.role, kind: slot.kind, levels, reader, small_actions })
    }

    /// Reads the next `rows` rows into the column's place in `block`.
    pub(super) fn fill(
        &mut self,
        rows: usize,
        unit: TimeUnit,
        block: &mut Block,
        codes: &mut ActionCodes,
    ) -> Result<()> {
        let mut values = self.read(rows)?;
        let unit = self.own_unit().unwrap_or(unit);
        if values.len() == rows && self.fill_whole(&mut values, unit, block, codes) {
            return Ok(());
        }
        let mut row = 0;
        self.cells(&values, rows, |cell| {
            debug_assert!(row < rows);
            block.push(self.role, cell, unit, codes);
            row += 1;
        });
        Ok(())
    }

    /// The unit of the first `rows` times, if they are numbers.
    pub(super) fn guess_unit(&mut self, rows: usize) -> Result<Option<TimeUnit>> {
        let values = self.read(rows)?;
        let mut magnitudes = Vec::with_capacity(rows);
        self.cells(&values, rows, |cell| magnitudes.extend(rules::magnitude(cell)));
        Ok(rules::unit_of(magnitudes))
    }

    /// The unit that the file tells.
    fn own_unit(&self) -> Option<TimeUnit> {
        match self.kind {
            Kind::Timestamp(unit) => Some(unit),
            Kind::Date => Some(TimeUnit::Second),
            Kind::Int96 => Some(TimeUnit::Microsecond),
            _ => None,
        }
    }

    fn read(&mut self, rows: usize) -> Result<Values> {
        let unsigned = self.kind == Kind::Integer { unsigned: true };
        let is_date = self.kind == Kind::Date;
        let levels = &mut self.levels;
        Ok(match &mut self.reader {
            Reader::Int64(reader) => Values::Integer(levels.read(reader, rows)?),
            Reader::Int32(reader) => {
                let values = levels.read(reader, rows)?.into_iter();
                Values::Integer(match (is_date, unsigned) {
                    (true, _) => values.map(|v| i64::from(v) * 86_400).collect(),
                    (_, true) => values.map(|v| i64::from(v.cast_unsigned())).collect(),
                    _ => values.map(i64::from).collect(),
                })
            }
            Reader::Int96(reader) => {
                Values::Integer(levels.read(reader, rows)?.iter().map(int96_us).collect())
            }
            Reader::Float(reader) => {
                Values::Float(levels.read(reader, rows)?.into_iter().map(f64::from).collect())
            }
            Reader::Double(reader) => Values::Float(levels.read(reader, rows)?),
            Reader::Text(reader) => Values::Text(levels.read(reader, rows)?),
        })
    }

    /// Moves values that are one a row and all good; `false` (and nothing done) if one is not.
    fn fill_whole(
        &mut self,
        values: &mut Values,
        unit: TimeUnit,
        block: &mut Block,
        codes: &mut ActionCodes,
    ) -> bool {
        match (self.role, values) {
            // An unsigned value past i64 is for the rules to judge.
            (_, Values::Integer(values)) if self.has_huge(values) => false,
            (Role::Left, Values::Integer(values)) => {
                block.left = Keys::Int64(std::mem::take(values));
                true
            }
            (Role::Right, Values::Integer(values)) => {
                block.right = Keys::Int64(std::mem::take(values));
                true
            }
            (Role::Left, Values::Text(values)) => text_keys(values, &mut block.left),
            (Role::Right, Values::Text(values)) => text_keys(values, &mut block.right),
            (Role::Time, Values::Integer(values)) => {
                let good = rules::int_times_us(values, unit);
                if good {
                    block.time_us = std::mem::take(values);
                }
                good
            }
            (Role::Action, Values::Integer(values)) => {
                let code = |&value: &i64| self.small_action(value, codes);
                block.action = values.iter().map(code).collect();
                true
            }
            (Role::Weight, Values::Float(values)) => {
                let range = 0.0..=WEIGHT_MAX;
                let good = values.iter().fold(true, |all, value| all & range.contains(value));
                if good {
                    block.weight = values.iter().map(|&weight| fixed_from_f64(weight)).collect();
                }
                good
            }
            _ => false,
        }
    }

    fn has_huge(&self, values: &[i64]) -> bool {
        self.kind == Kind::Integer { unsigned: true }
            && values.iter().fold(false, |any, &value| any | (value < 0))
    }

    /// The code of an integer action.
    fn small_action(&mut self, value: i64, codes: &mut ActionCodes) -> u32 {
        let place = usize::try_from(value).ok().and_then(|v| self.small_actions.get_mut(v));
        match place {
            Some(0) | None => {
                let code = codes.code(&value.to_string());
                if let Some(place) = place {
                    *place = code + 1;
                }
                code
            }
            Some(place) => *place - 1,
        }
    }

    /// Calls `each` with the cell of each row.
    fn cells(&self, values: &Values, rows: usize, mut each: impl FnMut(Cell<'_>)) {
        let unsigned = self.kind == Kind::Integer { unsigned: true };
        let mut next = 0;
        for row in 0..rows {
            if !self.levels.is_full(row) {
                each(Cell::Null);
                continue;
            }
            match values {
                Values::Integer(values) if unsigned && values[next] < 0 => {
                    each(Cell::Text(values[next].cast_unsigned().to_string().as_bytes()));
                }
                Values::Integer(values) => each(Cell::Int(values[next])),
                Values::Float(values) => each(Cell::Float(values[next])),
                Values::Text(values) => each(Cell::Text(values[next].data())),
            }
            next += 1;
        }
    }
}

impl Levels {
    /// Reads the next `rows` rows; the values come without the nulls.
    fn read<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
    ) -> Result<Vec<T::T>> {
        let mut values = Vec::with_capacity(rows);
        self.of_rows.clear();
        let (read, ..) = reader.read_records(rows, Some(&mut self.of_rows), None, &mut values)?;
        let full = match self.full {
            0 => rows,
            full => self.of_rows.iter().filter(|&&level| level == full).count(),
        };
        if read != rows || values.len() != full {
            let what = format!("{read} rows where the footer says {rows}");
            return Err(ParquetError::General(what));
        }
        Ok(values)
    }

    fn is_full(&self, row: usize) -> bool {
        self.full == 0 || self.of_rows.get(row) == Some(&self.full)
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Integer(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Text(values) => values.len(),
        }
    }
}

/// Moves text keys to `keys` if all are UTF-8 and none is empty; else leaves `keys` as it is.
fn text_keys(values: &[ByteArray], keys: &mut Keys) -> bool {
    let mut bytes = Vec::with_capacity(values.iter().map(ByteArray::len).sum());
    let mut offsets = Vec::with_capacity(values.len() + 1);
    offsets.push(0);
    for value in values {
        bytes.extend_from_slice(value.data());
        offsets.push(bytes.len() as u64);
    }
    // Valid as a whole and cut at character boundaries means that each piece is valid.
    let good = std::str::from_utf8(&bytes).is_ok_and(|text| {
        offsets.windows(2).all(|cut| cut[0] < cut[1] && text.is_char_boundary(cut[0] as usize))
    });
    if good {
        *keys = Keys::Utf8 { offsets, bytes };
    }
    good
}

/// Microseconds since 1970; saturates on nonsense, which the rules then reject as out of range.
fn int96_us(value: &Int96) -> i64 {
    const EPOCH_JULIAN_DAY: i64 = 2_440_588;
    const DAY_US: i64 = 86_400_000_000;
    let [low, high, day] = [value.data()[0], value.data()[1], value.data()[2]];
    let of_day_ns = (u64::from(high) << 32 | u64::from(low)).cast_signed();
    (i64::from(day) - EPOCH_JULIAN_DAY)
        .saturating_mul(DAY_US)
        .saturating_add(of_day_ns.div_euclid(1000))
}
