//! Admission: which rows become events. Every format decodes rows into a [`Block`] and hands it to
//! [`Admission::admit`]; nothing else decides.
//!
//! The outcome of a row is the first of these that applies:
//!
//! 1. a value that cannot be used (left key, right key, time, action, weight, in this order):
//!    rejected;
//! 2. time at or after `as_of`: counted as `rows_after_as_of`;
//! 3. time before `as_of - window`: counted as `rows_before_window`;
//! 4. an action that the job does not name, if it names any: counted in `rows_ignored`;
//! 5. else it is an event, of age `as_of - time`, or 1 us without a time column.
//!
//! Cost: a block in which every row is an event is checked by a few vectorised passes and moved on
//! without a copy; otherwise the kept rows are gathered.

use std::collections::HashMap;
use std::path::Path;

use super::EventSink;
use super::columns::Role;
use super::rules::{self, Cell, Reason};
use crate::model::{
    AgeAction, EventBatch, KeyRef, KeyType, Keys, Reject, ScanRequest, ScanStats, TimeUnit,
};

/// Rows of a block: 128 KiB for each column of integers, so that a block stays in the cache from
/// decoding to the sink.
pub(super) const BLOCK_ROWS: usize = 16_384;

/// Actions outside the job that are counted by name in one split; the rest share one entry, so
/// that a wrong action column cannot exhaust memory.
const IGNORED_NAMES_MAX: usize = 1000;

/// The entry of the ignored actions past [`IGNORED_NAMES_MAX`].
const OTHER_ACTIONS: &str = "(other)";

/// An age takes at most this many microseconds, so that it fits above the action.
const AGE_MAX_US: i64 = (1 << 55) - 1;

/// A value that cannot be used.
struct Fault {
    row: usize,
    role: Role,
    reason: Reason,
    value: String,
}

/// Decoded rows, column by column. A value that cannot be used is a fault and holds its place by a
/// default, so all columns have one entry a row; columns the job does not name stay empty.
pub(super) struct Block {
    /// Left keys.
    pub(super) left: Keys,
    /// Right keys.
    pub(super) right: Keys,
    /// Microseconds since 1970.
    pub(super) time_us: Vec<i64>,
    /// Codes of [`ActionCodes`].
    pub(super) action: Vec<u32>,
    /// Fixed point.
    pub(super) weight: Vec<i64>,
    faults: Vec<Fault>,
}

impl Block {
    /// A block without rows.
    pub(super) fn new(left: KeyType, right: KeyType) -> Block {
        Block {
            left: Keys::new(left),
            right: Keys::new(right),
            time_us: Vec::new(),
            action: Vec::new(),
            weight: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Notes that the value of `role` in `row` cannot be used.
    pub(super) fn fault(&mut self, row: usize, role: Role, reason: Reason, value: String) {
        self.faults.push(Fault { row, role, reason, value });
    }

    /// Appends a key of `role` (left or right).
    pub(super) fn push_key(&mut self, role: Role, cell: Cell<'_>) {
        let keys = if role == Role::Left { &mut self.left } else { &mut self.right };
        let row = keys.len();
        let mut digits = String::new();
        let outcome = match keys {
            Keys::Int64(keys) => rules::int64_key(cell).map(|key| keys.push(key)),
            Keys::Utf8 { .. } => {
                rules::utf8_key(cell, &mut digits).map(|key| keys.push(KeyRef::Utf8(key)))
            }
        };
        if let Err(reason) = outcome {
            match keys {
                Keys::Int64(keys) => keys.push(0),
                Keys::Utf8 { .. } => keys.push(KeyRef::Utf8("")),
            }
            self.fault(row, role, reason, cell.show());
        }
    }

    /// Appends a time; integers count `unit`s.
    pub(super) fn push_time(&mut self, cell: Cell<'_>, unit: TimeUnit) {
        let time = rules::time_us(cell, unit).unwrap_or_else(|reason| {
            self.fault(self.time_us.len(), Role::Time, reason, cell.show());
            0
        });
        self.time_us.push(time);
    }

    /// Appends an action.
    pub(super) fn push_action(&mut self, cell: Cell<'_>, codes: &mut ActionCodes) {
        let mut digits = String::new();
        let code = match rules::action(cell, &mut digits) {
            Ok(name) => codes.code(name),
            Err(reason) => {
                self.fault(self.action.len(), Role::Action, reason, cell.show());
                0
            }
        };
        self.action.push(code);
    }

    /// Appends a weight.
    pub(super) fn push_weight(&mut self, cell: Cell<'_>) {
        let weight = rules::weight(cell).unwrap_or_else(|reason| {
            self.fault(self.weight.len(), Role::Weight, reason, cell.show());
            0
        });
        self.weight.push(weight);
    }

    /// Appends `cell` to the column of `role`.
    pub(super) fn push(
        &mut self,
        role: Role,
        cell: Cell<'_>,
        unit: TimeUnit,
        codes: &mut ActionCodes,
    ) {
        match role {
            Role::Row => {}
            Role::Left | Role::Right => self.push_key(role, cell),
            Role::Time => self.push_time(cell, unit),
            Role::Action => self.push_action(cell, codes),
            Role::Weight => self.push_weight(cell),
        }
    }

    /// Appends a row that cannot be read at all, such as a line with too few fields.
    pub(super) fn push_bad_row(&mut self, roles: &[Role], reason: Reason, value: String) {
        self.fault(self.left.len(), Role::Row, reason, value);
        for role in roles {
            match role {
                Role::Row => {}
                Role::Left => push_default(&mut self.left),
                Role::Right => push_default(&mut self.right),
                Role::Time => self.time_us.push(0),
                Role::Action => self.action.push(0),
                Role::Weight => self.weight.push(0),
            }
        }
    }
}

fn push_default(keys: &mut Keys) {
    match keys {
        Keys::Int64(keys) => keys.push(0),
        Keys::Utf8 { .. } => keys.push(KeyRef::Utf8("")),
    }
}

/// Names of actions as small numbers: those of the job first, in its order, then others as they
/// turn up.
pub(super) struct ActionCodes {
    names: Vec<String>,
    codes: HashMap<String, u32>,
    /// Codes below this are the job's.
    named: usize,
    /// The code last found at a hash of length and ends of the name: saves the map's hashing.
    recent: [u32; 256],
}

impl ActionCodes {
    fn new(request: &ScanRequest) -> ActionCodes {
        let names: Vec<String> = request.actions.iter().map(|(name, _)| name.clone()).collect();
        let codes = names.iter().zip(0..).map(|(name, code)| (name.clone(), code)).collect();
        let named = names.len();
        ActionCodes { names, codes, named, recent: [0; 256] }
    }

    /// The code of `name`.
    pub(super) fn code(&mut self, name: &str) -> u32 {
        let (first, last) = (name.as_bytes().first(), name.as_bytes().last());
        let mix = [first, last].into_iter().flatten().fold(name.len(), |h, &b| h * 31 + b as usize);
        let slot = mix % self.recent.len();
        let guess = self.recent[slot];
        if self.names.get(guess as usize).is_some_and(|known| known == name) {
            return guess;
        }
        let code = match self.codes.get(name) {
            Some(&code) => code,
            None => self.add(name),
        };
        self.recent[slot] = code;
        code
    }

    fn add(&mut self, name: &str) -> u32 {
        let full = self.names.len() >= self.named + IGNORED_NAMES_MAX;
        let name = if full { OTHER_ACTIONS } else { name };
        if let Some(&code) = self.codes.get(name) {
            return code;
        }
        let code = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.codes.insert(name.to_owned(), code);
        code
    }

    /// Codes below this are admitted. A job that names no action admits all.
    fn limit(&self) -> u32 {
        if self.named == 0 { u32::MAX } else { self.named as u32 }
    }
}

/// Where the rows of a block stand in their file.
pub(super) enum Positions<'a> {
    /// Consecutive, from this one.
    From(u64),
    /// One a row.
    Of(&'a [u64]),
}

impl Positions<'_> {
    fn of(&self, row: usize) -> u64 {
        match self {
            Positions::From(first) => first + row as u64,
            Positions::Of(positions) => positions.get(row).copied().unwrap_or_default(),
        }
    }
}

/// Decides over the rows of one split and counts what became of them.
pub(super) struct Admission<'a> {
    /// Codes for [`Block::action`].
    pub(super) codes: ActionCodes,
    request: &'a ScanRequest,
    path: &'a Path,
    window_start_us: i64,
    /// Rows by action code: handed on, then ignored.
    admitted: Vec<u64>,
    ignored: Vec<u64>,
    stats: ScanStats,
}

impl<'a> Admission<'a> {
    /// Starts on a split of the file at `path`.
    pub(super) fn new(request: &'a ScanRequest, path: &'a Path) -> Admission<'a> {
        Admission {
            codes: ActionCodes::new(request),
            request,
            path,
            window_start_us: window_start(request),
            admitted: Vec::new(),
            ignored: Vec::new(),
            stats: ScanStats::default(),
        }
    }

    /// Hands the events and rejects of `block` to `sink`; `false` if the sink asks to stop.
    pub(super) fn admit(
        &mut self,
        block: Block,
        positions: &Positions<'_>,
        sink: &mut dyn EventSink,
    ) -> bool {
        let rows = block.left.len();
        self.stats.rows_read += rows as u64;
        self.admitted.resize(self.codes.names.len(), 0);
        self.ignored.resize(self.codes.names.len(), 0);
        let limit = self.codes.limit();
        let visible = self.window_start_us..self.request.as_of_us;
        // `all` with a short circuit does not vectorise; these folds do.
        let whole = block.faults.is_empty()
            && block.time_us.iter().fold(true, |all, time| all & visible.contains(time))
            && block.action.iter().fold(true, |all, &code| all & (code < limit));
        let block = if whole {
            for &code in &block.action {
                self.admitted[code as usize] += 1;
            }
            block
        } else {
            self.gather(block, positions, sink)
        };
        self.stats.rows_admitted += block.left.len() as u64;
        if !block.left.is_empty() {
            sink.events(self.batch(block));
        }
        sink.advance(rows as u64)
    }

    /// Settles the rows that are no events, and returns the others.
    fn gather(
        &mut self,
        mut block: Block,
        positions: &Positions<'_>,
        sink: &mut dyn EventSink,
    ) -> Block {
        let mut faults = std::mem::take(&mut block.faults);
        faults.sort_by_key(|fault| (fault.row, fault.role));
        faults.dedup_by_key(|fault| fault.row);
        let mut faults = faults.into_iter().peekable();
        let limit = self.codes.limit();
        let mut kept = Vec::with_capacity(block.left.len());
        for row in 0..block.left.len() {
            if let Some(fault) = faults.next_if(|fault| fault.row == row) {
                self.stats.rows_rejected += 1;
                sink.reject(self.reject(fault, positions));
                continue;
            }
            if let Some(&time) = block.time_us.get(row) {
                if time >= self.request.as_of_us {
                    self.stats.rows_after_as_of += 1;
                    continue;
                }
                if time < self.window_start_us {
                    self.stats.rows_before_window += 1;
                    continue;
                }
            }
            if let Some(&code) = block.action.get(row) {
                if code >= limit {
                    self.ignored[code as usize] += 1;
                    continue;
                }
                self.admitted[code as usize] += 1;
            }
            kept.push(row as u32);
        }
        Block {
            left: block.left.take(&kept),
            right: block.right.take(&kept),
            time_us: take(&block.time_us, &kept),
            action: take(&block.action, &kept),
            weight: take(&block.weight, &kept),
            faults: Vec::new(),
        }
    }

    fn reject(&self, fault: Fault, positions: &Positions<'_>) -> Reject {
        Reject {
            path: self.path.to_path_buf(),
            position: positions.of(fault.row),
            column: fault.role.column(self.request).to_owned(),
            reason: fault.reason.to_owned(),
            value: fault.value,
        }
    }

    fn batch(&self, block: Block) -> EventBatch {
        let mut age_action = Vec::new();
        if self.request.keep_age_action {
            let word = |time| {
                let age = self.request.as_of_us.saturating_sub(time).clamp(1, AGE_MAX_US);
                AgeAction::new(age as u64, 0).0
            };
            age_action = match self.request.columns.time {
                // The memory of the times is taken over.
                Some(_) => block.time_us.into_iter().map(word).collect(),
                None => vec![AgeAction::new(1, 0).0; block.left.len()],
            };
            // A job without actions knows only action 0, whatever the column says.
            if self.codes.named > 0 {
                for (word, &code) in age_action.iter_mut().zip(&block.action) {
                    *word |= u64::from(code as u8);
                }
            }
        }
        EventBatch { left: block.left, right: block.right, age_action, weight: block.weight }
    }

    /// The counts, with the bytes that were read for them.
    pub(super) fn finish(mut self, bytes_read: u64) -> ScanStats {
        self.stats.bytes_read = bytes_read;
        for (name, &rows) in self.codes.names.iter().zip(&self.admitted) {
            if rows > 0 {
                self.stats.rows_by_action.insert(name.clone(), rows);
            }
        }
        for (name, &rows) in self.codes.names.iter().zip(&self.ignored) {
            if rows > 0 {
                self.stats.rows_ignored.insert(name.clone(), rows);
            }
        }
        self.stats
    }
}

/// The first visible microsecond.
pub(super) fn window_start(request: &ScanRequest) -> i64 {
    request.window_us.map_or(i64::MIN, |window| request.as_of_us.saturating_sub(window))
}

fn take<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    if values.is_empty() {
        return Vec::new();
    }
    rows.iter().map(|&row| values[row as usize]).collect()
}
