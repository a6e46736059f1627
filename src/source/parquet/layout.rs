//! Which columns of a Parquet file a job reads, and as what.

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit as ParquetUnit, Type};
use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use ::parquet::file::statistics::Statistics;
use ::parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::super::columns::{Role, missing_column};
use super::super::rules;
use crate::model::{Error, KeyType, Result, ScanRequest, TimeUnit};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Integers of at most 64 bits; an unsigned one of 32 bits stands in an `i32`, of 64 in an
    /// `i64`.
    Integer {
        /// Whether negative values stand for large ones.
        unsigned: bool,
    },
    /// UTF-8, or bytes that had better be.
    Text,
    /// 32- or 64-bit floats.
    Float,
    /// 64-bit integers of this unit since 1970.
    Timestamp(TimeUnit),
    /// Days since 1970.
    Date,
    /// Julian day and nanoseconds, as old Impala and Spark write timestamps.
    Int96,
}

/// A column that the job reads.
#[derive(Debug)]
pub(super) struct Slot {
    /// What it means.
    pub(super) role: Role,
    /// Its name.
    pub(super) column: String,
    /// Its index among the file's leaf columns.
    pub(super) leaf: usize,
    /// What its values are.
    pub(super) kind: Kind,
}

impl Slot {
    /// Earliest and latest time of a row group, by its statistics. `None` if they are missing or
    /// do not speak for all rows: with nulls or times out of range there are rejects to be found.
    pub(super) fn span(&self, group: &RowGroupMetaData, unit: TimeUnit) -> Option<(i64, i64)> {
        let statistics = group.columns().get(self.leaf)?.statistics()?;
        if statistics.null_count_opt() != Some(0) {
            return None;
        }
        let (min, max) = match statistics {
            Statistics::Int64(values) => (*values.min_opt()?, *values.max_opt()?),
            Statistics::Int32(values) => {
                (i64::from(*values.min_opt()?), (*values.max_opt()?).into())
            }
            _ => return None,
        };
        let in_us = |value: i64| match self.kind {
            Kind::Integer { unsigned } if unsigned && value < 0 => None,
            Kind::Integer { .. } => rules::int_time_us(value, unit),
            Kind::Timestamp(own) => rules::int_time_us(value, own),
            Kind::Date => rules::int_time_us(value * 86_400, TimeUnit::Second),
            _ => None,
        };
        Some((in_us(min)?, in_us(max)?))
    }
}

/// The columns that the job reads, in order of role.
#[derive(Debug)]
pub(super) struct Layout {
    /// The columns.
    pub(super) slots: Vec<Slot>,
}

impl Layout {
    /// Finds the job's columns in a file.
    ///
    /// # Errors
    /// When a column is missing or of a type that cannot serve.
    pub(super) fn new(metadata: &ParquetMetaData, request: &ScanRequest) -> Result<Layout> {
        let schema = metadata.file_metadata().schema_descr();
        let slots = Role::columns(request)
            .into_iter()
            .map(|(role, column)| find(schema, role, column))
            .collect::<Result<_>>()?;
        Ok(Layout { slots })
    }

    /// The type of the keys of `role`.
    pub(super) fn key_type(&self, role: Role) -> KeyType {
        match self.slot(role).map(|slot| slot.kind) {
            Some(Kind::Text) => KeyType::Utf8,
            _ => KeyType::Int64,
        }
    }

    /// The name of the column of `role`.
    pub(super) fn column(&self, role: Role) -> &str {
        self.slot(role).map_or("", |slot| &slot.column)
    }

    /// Whether times are numbers whose unit the file does not tell.
    pub(super) fn needs_unit(&self) -> bool {
        let kind = self.slot(Role::Time).map(|slot| slot.kind);
        matches!(kind, Some(Kind::Integer { .. } | Kind::Text))
    }

    fn slot(&self, role: Role) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.role == role)
    }
}

fn find(schema: &SchemaDescriptor, role: Role, column: &str) -> Result<Slot> {
    let named = |descriptor: &ColumnDescriptor| descriptor.path().string() == column;
    if let Some(leaf) = schema.columns().iter().position(|descriptor| named(descriptor)) {
        let descriptor = schema.column(leaf);
        return match kind(&descriptor).filter(|&kind| serves(role, kind)) {
            Some(kind) => Ok(Slot { role, column: column.to_owned(), leaf, kind }),
            None => Err(wrong_type(role, column, &type_name(&descriptor))),
        };
    }
    let names: Vec<&str> = schema.root_schema().get_fields().iter().map(|f| f.name()).collect();
    if names.contains(&column) {
        return Err(wrong_type(role, column, "nested"));
    }
    Err(missing_column(column, &names))
}

fn wrong_type(role: Role, column: &str, found: &str) -> Error {
    let (meant, accepted) = match role {
        Role::Row | Role::Left | Role::Right => ("keys", "an integer or utf8 column"),
        Role::Time => ("times", "a timestamp, date, integer or ISO 8601 utf8 column"),
        Role::Action => ("actions", "a utf8 or integer column"),
        Role::Weight => ("weights", "a float or integer column"),
    };
    Error::input(format!("a column of type {found} cannot hold {meant}"))
        .column(column)
        .remedy(format!("name {accepted}"))
}

fn serves(role: Role, kind: Kind) -> bool {
    match kind {
        Kind::Integer { .. } => true,
        Kind::Text => role != Role::Weight,
        Kind::Float => role == Role::Weight,
        Kind::Timestamp(_) | Kind::Date | Kind::Int96 => role == Role::Time,
    }
}

/// What the values are, by the logical type or, in old files, the converted type.
fn kind(descriptor: &ColumnDescriptor) -> Option<Kind> {
    if descriptor.max_rep_level() > 0 {
        return None;
    }
    let physical = descriptor.physical_type();
    let converted = descriptor.converted_type();
    let logical = descriptor.logical_type_ref();
    match (physical, logical) {
        (Type::INT64 | Type::INT32, Some(LogicalType::Integer(integer))) => {
            Some(Kind::Integer { unsigned: !integer.is_signed })
        }
        (Type::INT64, Some(LogicalType::Timestamp(timestamp))) => {
            Some(Kind::Timestamp(match timestamp.unit {
                ParquetUnit::MILLIS => TimeUnit::Millisecond,
                ParquetUnit::MICROS => TimeUnit::Microsecond,
                ParquetUnit::NANOS => TimeUnit::Nanosecond,
            }))
        }
        (Type::INT32, Some(LogicalType::Date)) => Some(Kind::Date),
        (Type::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)) => {
            Some(Kind::Text)
        }
        (_, Some(_)) => None,
        (Type::INT96, None) => Some(Kind::Int96),
        (Type::FLOAT | Type::DOUBLE, None) => Some(Kind::Float),
        (Type::BYTE_ARRAY, None) if converted != ConvertedType::DECIMAL => Some(Kind::Text),
        (Type::INT64 | Type::INT32, None) => match converted {
            ConvertedType::TIMESTAMP_MILLIS => Some(Kind::Timestamp(TimeUnit::Millisecond)),
            ConvertedType::TIMESTAMP_MICROS => Some(Kind::Timestamp(TimeUnit::Microsecond)),
            ConvertedType::DATE => Some(Kind::Date),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Some(Kind::Integer { unsigned: true }),
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64 => Some(Kind::Integer { unsigned: false }),
            _ => None,
        },
        _ => None,
    }
}

fn type_name(descriptor: &ColumnDescriptor) -> String {
    let name = match descriptor.logical_type_ref() {
        _ if descriptor.max_rep_level() > 0 => "list",
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => "utf8",
        Some(LogicalType::Integer(_)) => "integer",
        Some(LogicalType::Decimal(_)) => "decimal",
        Some(LogicalType::Timestamp(_)) => "timestamp",
        Some(LogicalType::Time(_)) => "time of day",
        Some(LogicalType::Date) => "date",
        Some(LogicalType::Uuid) => "uuid",
        Some(LogicalType::Float16) => "float16",
        _ => return descriptor.physical_type().to_string().to_lowercase(),
    };
    name.to_owned()
}
