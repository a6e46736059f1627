//! Interaction events on their way from a source to the graph.

use std::path::PathBuf;

use super::{KeyType, Keys};

/// Weights are integers in units of 2^-32, so that the order in which events are added up cannot
/// change a bit.
pub const FIXED_ONE: i64 = 1 << 32;

/// The largest weight of one event. With it 2,147 events fill 64 bits; sums saturate there.
pub const WEIGHT_MAX: f64 = 1e6;

/// Low bits of an [`AgeAction`] that hold the action.
pub const ACTION_BITS: u32 = 8;

/// `weight` in fixed point, rounded half away from zero. The weight must be in 0..=[`WEIGHT_MAX`].
pub fn fixed_from_f64(weight: f64) -> i64 {
    (weight * FIXED_ONE as f64).round() as i64
}

/// A fixed-point weight as a float.
pub fn fixed_to_f64(weight: i64) -> f64 {
    weight as f64 / FIXED_ONE as f64
}

/// Age and action of an event in one word: microseconds before `as_of` (at least 1) above, index
/// into [`ScanRequest::actions`] below. Ascending order is most recent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgeAction(pub u64);

impl AgeAction {
    /// Packs an age of `age_us` microseconds (below 2^56) and an action's index.
    pub fn new(age_us: u64, action: u8) -> AgeAction {
        AgeAction(age_us << ACTION_BITS | u64::from(action))
    }

    /// Microseconds before `as_of`.
    pub fn age_us(self) -> u64 {
        self.0 >> ACTION_BITS
    }

    /// Index into [`ScanRequest::actions`].
    pub fn action(self) -> u8 {
        self.0 as u8
    }
}

/// A block of events that are visible and valid, column by column, all of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// Left keys.
    pub left: Keys,
    /// Right keys.
    pub right: Keys,
    /// Age and action; empty if the job needs neither ([`ScanRequest::keep_age_action`]).
    pub age_action: Vec<u64>,
    /// The weight column in fixed point; empty if there is none (each event then weighs 1).
    pub weight: Vec<i64>,
}

impl EventBatch {
    /// The number of events.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

/// What the input calls its columns, from `[columns]` of the job file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The left key.
    pub left: String,
    /// The right key.
    pub right: String,
    /// The action, if any.
    pub action: Option<String>,
    /// The event time, if any.
    pub time: Option<String>,
    /// Unit of integer times; `None` guesses it from the magnitude of the values' first block.
    pub time_unit: Option<TimeUnit>,
    /// The weight, if any.
    pub weight: Option<String>,
    /// Type of the left keys in text formats; `None` takes int64 if the first rows allow it.
    pub left_type: Option<KeyType>,
    /// Type of the right keys in text formats; `None` takes int64 if the first rows allow it.
    pub right_type: Option<KeyType>,
}

/// Unit of integer times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

/// What an action does to its edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionRule {
    /// Adds this weight, in fixed point, times the event's own and its decay.
    Weight(i64),
    /// Removes the edge if it is the pair's latest event.
    Remove,
}

/// What a source is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRequest {
    /// Names of the columns.
    pub columns: Columns,
    /// Microseconds since 1970; events at or after it are invisible.
    pub as_of_us: i64,
    /// Events older than this many microseconds before `as_of` are outside the window.
    pub window_us: Option<i64>,
    /// Names and rules, in ascending order of name; empty if the job names no action. Events of
    /// other actions are ignored and counted. At most 255.
    pub actions: Vec<(String, ActionRule)>,
    /// Whether [`EventBatch::age_action`] is wanted.
    pub keep_age_action: bool,
}

/// A row that cannot be used, kept with its reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Reject {
    /// The file.
    pub path: PathBuf,
    /// Row of the file from 1 (Parquet), or line from 1 (text).
    pub position: u64,
    /// The column at fault, as the input calls it.
    pub column: String,
    /// Why, for example `null key`.
    pub reason: String,
    /// The value at fault as text, cut at 200 characters.
    pub value: String,
}

/// What was read, and what became of it: `rows_read` is the sum of the other counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ScanStats {
    /// Rows of the files and row groups that were read.
    pub rows_read: u64,
    /// Rows handed on as events.
    pub rows_admitted: u64,
    /// Rows that cannot be used.
    pub rows_rejected: u64,
    /// Rows at or after `as_of`.
    pub rows_after_as_of: u64,
    /// Rows older than the window.
    pub rows_before_window: u64,
    /// Rows whose action the job does not name, by action.
    pub rows_ignored: std::collections::BTreeMap<String, u64>,
    /// Rows handed on, by action the job names.
    pub rows_by_action: std::collections::BTreeMap<String, u64>,
    /// Bytes of the files and row groups that were read.
    pub bytes_read: u64,
}

impl ScanStats {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &ScanStats) {
        self.rows_read += other.rows_read;
        self.rows_admitted += other.rows_admitted;
        self.rows_rejected += other.rows_rejected;
        self.rows_after_as_of += other.rows_after_as_of;
        self.rows_before_window += other.rows_before_window;
        self.bytes_read += other.bytes_read;
        for (action, rows) in &other.rows_ignored {
            *self.rows_ignored.entry(action.clone()).or_default() += rows;
        }
        for (action, rows) in &other.rows_by_action {
            *self.rows_by_action.entry(action.clone()).or_default() += rows;
        }
    }
}
