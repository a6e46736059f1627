//! Synthetic interactions: made from a spec and a seed instead of read from files.
//!
//! Every left node's events come from a generator of its own, seeded by (seed, left index), so
//! they are the same for any cut into splits and any number of workers. They pass the same rules
//! of visibility as rows of files.

mod spec;
mod world;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use spec::{Communities, KeyStyle, LeftDegree, PowerTail, RightPopularity, SyntheticSpec};
pub use world::SyntheticEvent;

use super::admit::{Admission, BLOCK_ROWS, Block, Positions};
use super::{EventSink, InputFile, ScanPlan, Source, Split};
use crate::model::{Error, KeyRef, KeyType, Keys, Result, ScanRequest, ScanStats, nearest};
use world::World;

/// Names of the columns, as `[columns]` must call them: left key, right key, action, time.
pub const SYNTHETIC_COLUMNS: [&str; 4] = ["user_id", "pin_id", "action", "event_time"];

/// Events of a split, about: small enough to balance workers, large enough to amortise a split.
const SPLIT_EVENTS: f64 = 262_144.0;
/// What an event counts as in bytes read: its columns in memory.
const EVENT_BYTES: u64 = 25;

/// A source that makes its events.
pub struct SyntheticSource {
    spec: SyntheticSpec,
    actions: Vec<String>,
    world: OnceLock<World>,
}

impl SyntheticSource {
    /// A source of the events of `spec`. Nothing is drawn before the first read.
    ///
    /// # Errors
    /// When a value of the spec is out of its range.
    pub fn new(spec: SyntheticSpec) -> Result<SyntheticSource> {
        spec.validate()?;
        let actions = spec.actions.keys().cloned().collect();
        Ok(SyntheticSource { spec, actions, world: OnceLock::new() })
    }

    /// The spec.
    pub fn spec(&self) -> &SyntheticSpec {
        &self.spec
    }

    /// Names of the actions; [`SyntheticEvent::action`] is an index into them.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }

    /// First and end of the span of event times, microseconds since 1970; the end is not part.
    pub fn span_us(&self) -> (i64, i64) {
        self.spec.span_us()
    }

    /// Calls `each` with every event of the left nodes `lefts`, in ascending order of left node,
    /// until it answers `false`. No rule of visibility applies.
    pub fn for_each_event(
        &self,
        lefts: Range<u32>,
        mut each: impl FnMut(u32, &SyntheticEvent) -> bool,
    ) {
        let world = self.world.get_or_init(|| World::new(&self.spec));
        let mut seen = vec![u32::MAX; self.spec.rights as usize];
        let mut events = Vec::new();
        for left in lefts {
            world.events_of(left, &mut seen, &mut events);
            if !events.iter().all(|event| each(left, event)) {
                return;
            }
        }
    }

    /// Appends the key of left node `left` to `keys`: `10000019 + 7 left`, or `user_000123`.
    pub fn push_left_key(&self, left: u32, keys: &mut Keys) {
        push_key(keys, "user", left, self.spec.lefts, 10_000_019, 7);
    }

    /// Appends the key of right node `right` to `keys`: `500000003 + 1009 right`, or `pin_000123`.
    pub fn push_right_key(&self, right: u32, keys: &mut Keys) {
        push_key(keys, "pin", right, self.spec.rights, 500_000_003, 1_009);
    }

    /// The type of the keys of both sides.
    pub fn key_type(&self) -> KeyType {
        match self.spec.keys {
            KeyStyle::Int64 => KeyType::Int64,
            KeyStyle::Utf8 => KeyType::Utf8,
        }
    }

    /// Appends an event to the columns of `block` that `request` names. `codes` are those of the
    /// spec's actions.
    fn push(
        &self,
        left: u32,
        event: &SyntheticEvent,
        request: &ScanRequest,
        codes: &[u32],
        block: &mut Block,
    ) {
        self.push_left_key(left, &mut block.left);
        self.push_right_key(event.right, &mut block.right);
        if request.columns.time.is_some() {
            block.time_us.push(event.time_us);
        }
        if request.columns.action.is_some() {
            block.action.push(codes[usize::from(event.action)]);
        }
    }

    /// Rejects names of columns that do not exist.
    fn check_columns(&self, request: &ScanRequest) -> Result<()> {
        let columns = &request.columns;
        if let Some(weight) = &columns.weight {
            return Err(Error::job("the synthetic source has no column of weights")
                .column(weight)
                .remedy("remove columns.weight"));
        }
        let asked = [Some(&columns.left), Some(&columns.right)];
        let asked = asked.into_iter().chain([columns.action.as_ref(), columns.time.as_ref()]);
        for (name, expected) in asked.zip(SYNTHETIC_COLUMNS) {
            let Some(name) = name.filter(|name| *name != expected) else { continue };
            let near = nearest(name, SYNTHETIC_COLUMNS).unwrap_or(expected);
            return Err(Error::job("the synthetic source has no such column here")
                .column(name)
                .remedy(format!(
                    "did you mean {near:?}? Its columns are user_id, pin_id, action and event_time, for columns.left, right, action and time"
                )));
        }
        Ok(())
    }
}

/// Zero-padded to 6 digits, or to what the largest index needs, so that the order by text is the
/// order by index.
fn push_key(keys: &mut Keys, prefix: &str, index: u32, count: u32, first: i64, step: i64) {
    match keys {
        Keys::Int64(keys) => keys.push(first + step * i64::from(index)),
        Keys::Utf8 { .. } => {
            let width = count.to_string().len().max(6);
            keys.push(KeyRef::Utf8(&format!("{prefix}_{index:0width$}")));
        }
    }
}

impl Source for SyntheticSource {
    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        self.check_columns(request)?;
        let lefts = self.spec.lefts as usize;
        let events = self.spec.expected_events();
        let step = ((lefts as f64 * SPLIT_EVENTS / events) as usize).clamp(1, lefts);
        let event_bytes = events / lefts as f64 * EVENT_BYTES as f64;
        let splits: Vec<Split> = (0..lefts)
            .step_by(step)
            .map(|begin| {
                let groups = begin..(begin + step).min(lefts);
                let bytes = (groups.len() as f64 * event_bytes) as u64;
                Split { file: 0, groups, rows: None, bytes }
            })
            .collect();
        let bytes = splits.iter().map(|split| split.bytes).sum();
        // There is no file; the job's own text, which holds the spec, identifies the input.
        let path = PathBuf::from(format!("synthetic:seed={}", self.spec.seed));
        Ok(ScanPlan {
            left_type: self.key_type(),
            right_type: self.key_type(),
            files: vec![InputFile { path, bytes, modified_us: 0 }],
            splits,
            pruned: 0,
            time_unit: None,
        })
    }

    fn read(
        &self,
        request: &ScanRequest,
        plan: &ScanPlan,
        split: usize,
        sink: &mut dyn EventSink,
    ) -> Result<ScanStats> {
        let Some(split) = plan.splits.get(split) else {
            return Err(Error::engine(format!("the plan has no split {split}")));
        };
        let path = Path::new("synthetic");
        let mut admission = Admission::new(request, path);
        let codes: Vec<u32> = self.actions.iter().map(|name| admission.codes.code(name)).collect();
        let mut block = Block::new(self.key_type(), self.key_type());
        let mut rows = 0;
        let lefts = split.groups.start as u32..split.groups.end as u32;
        self.for_each_event(lefts, |left, event| {
            self.push(left, event, request, &codes, &mut block);
            if block.left.len() < BLOCK_ROWS {
                return true;
            }
            let empty = Block::new(self.key_type(), self.key_type());
            let full = std::mem::replace(&mut block, empty);
            let first = rows + 1;
            rows += full.left.len() as u64;
            admission.admit(full, &Positions::From(first), sink)
        });
        let first = rows + 1;
        rows += block.left.len() as u64;
        if !block.left.is_empty() {
            admission.admit(block, &Positions::From(first), sink);
        }
        Ok(admission.finish(rows * EVENT_BYTES))
    }
}
