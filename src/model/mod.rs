//! The plain types that every other module speaks. Nothing here does I/O.

mod error;
mod events;
mod keys;
mod table;
mod time;

pub use error::{Error, ErrorKind, Result, Site, nearest};
pub use events::{
    ACTION_BITS, ActionRule, AgeAction, Columns, EventBatch, FIXED_ONE, Reject, ScanRequest,
    ScanStats, TimeUnit, WEIGHT_MAX, fixed_from_f64, fixed_to_f64,
};
pub use keys::{KeyRef, KeyType, Keys};
pub use table::{Column, ColumnType, Field, Rows, Table};
pub use time::{format_date, format_timestamp, parse_duration, parse_timestamp};

/// One of the two kinds of node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The acting side: users, queries.
    Left,
    /// The side that is acted upon: pins, advertisers.
    Right,
}

impl Side {
    /// The opposite side.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// What the two sides are called in the output, `user` and `pin` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideNames {
    /// Name of the left side.
    pub left: String,
    /// Name of the right side.
    pub right: String,
}

impl SideNames {
    /// The name of `side`.
    pub fn of(&self, side: Side) -> &str {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// The key column of `side`, for example `pin_id`.
    pub fn key_column(&self, side: Side) -> String {
        format!("{}_id", self.of(side))
    }
}
