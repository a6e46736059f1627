//! Feature tables: the columns a signal declares and the rows it computes.

use super::Side;

/// The type of a feature column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// 64-bit integers.
    Int64,
    /// 32-bit floats.
    Float32,
    /// 64-bit floats.
    Float64,
    /// A list of keys of the nodes of a side.
    NodeList(Side),
    /// A list of 32-bit floats, parallel to a node list.
    Float32List,
    /// A list of 64-bit integers, parallel to a node list.
    Int64List,
}

/// A column of a feature table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the output.
    pub name: String,
    /// Type.
    pub column_type: ColumnType,
    /// One sentence: what it is, its unit, its range.
    pub doc: String,
}

/// A table that a feature publishes: one row for each node of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name of its folder: the feature's name, with `_user` or `_pin` if it has one for each side.
    pub name: String,
    /// Whose nodes are the rows.
    pub side: Side,
    /// The columns after the key.
    pub fields: Vec<Field>,
}

/// The values of one column for a block of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// 64-bit integers, null where the option is empty.
    Int64(Vec<Option<i64>>),
    /// 32-bit floats.
    Float32(Vec<f32>),
    /// 64-bit floats.
    Float64(Vec<f64>),
    /// Row `i` is `nodes[offsets[i]..offsets[i + 1]]`: dense ids, which the sink turns into keys.
    NodeList {
        /// `rows + 1` ascending offsets, the first 0.
        offsets: Vec<u32>,
        /// Dense ids.
        nodes: Vec<u32>,
    },
    /// Row `i` is `values[offsets[i]..offsets[i + 1]]`.
    Float32List {
        /// `rows + 1` ascending offsets, the first 0.
        offsets: Vec<u32>,
        /// Values.
        values: Vec<f32>,
    },
    /// Row `i` is `values[offsets[i]..offsets[i + 1]]`.
    Int64List {
        /// `rows + 1` ascending offsets, the first 0.
        offsets: Vec<u32>,
        /// Values.
        values: Vec<i64>,
    },
}

/// A block of rows of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Dense ids of the rows' nodes, ascending.
    pub nodes: Vec<u32>,
    /// As declared by [`Table::fields`].
    pub columns: Vec<Column>,
}
