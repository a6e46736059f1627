//! Reads an input into memory: 24 bytes an event, and each distinct key once.

use std::collections::{BTreeMap, HashMap};

use super::input::Input;
use crate::model::{
    ActionRule, EventBatch, FIXED_ONE, KeyRef, Keys, Reject, Result, ScanRequest, ScanStats,
};
use crate::source::{EventSink, ScanPlan};

/// Actions that fit beside an event's age.
const ACTIONS_MAX: usize = 255;

/// One event. Keys are numbered as they come, which nothing that is printed depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) age_action: u64,
    pub(super) weight: i64,
}

/// What was read.
pub(super) struct Scan {
    pub(super) plan: ScanPlan,
    pub(super) stats: ScanStats,
    /// Rows by action, for those that became events.
    pub(super) actions: BTreeMap<String, u64>,
    /// Bad rows by column and reason: how many, and the first.
    pub(super) bad: BTreeMap<(String, String), (u64, Reject)>,
    /// The events, in ascending order.
    pub(super) events: Vec<Event>,
    pub(super) lefts: u32,
    pub(super) rights: u32,
}

impl Scan {
    /// Reads all of `input`. An input with actions that no job names is read twice: actions can be
    /// told apart only once their names are known.
    pub(super) fn read(input: &Input) -> Result<Scan> {
        let mut request = input.request.clone();
        let mut all_actions = None;
        if !input.job && request.columns.action.is_some() {
            let names = read(input, &request, &mut Discard)?.1.rows_by_action;
            if names.len() <= ACTIONS_MAX {
                let rule = ActionRule::Weight(FIXED_ONE);
                request.actions = names.keys().map(|name| (name.clone(), rule)).collect();
            }
            all_actions = Some(names);
        }
        let mut kept = Kept::default();
        let (plan, stats) = read(input, &request, &mut kept)?;
        kept.events.sort_unstable();
        Ok(Scan {
            plan,
            actions: all_actions.unwrap_or_else(|| stats.rows_by_action.clone()),
            stats,
            bad: kept.bad,
            events: kept.events,
            lefts: kept.left.len(),
            rights: kept.right.len(),
        })
    }
}

fn read(
    input: &Input,
    request: &ScanRequest,
    sink: &mut dyn EventSink,
) -> Result<(ScanPlan, ScanStats)> {
    let plan = input.source.plan(request)?;
    let mut stats = ScanStats::default();
    for split in 0..plan.splits.len() {
        stats.add(&input.source.read(request, &plan, split, sink)?);
    }
    Ok((plan, stats))
}

/// Keeps nothing.
struct Discard;

impl EventSink for Discard {
    fn events(&mut self, _batch: EventBatch) {}
    fn reject(&mut self, _reject: Reject) {}
    fn advance(&mut self, _rows: u64) -> bool {
        true
    }
}

/// Keeps everything.
#[derive(Default)]
struct Kept {
    left: Numbers,
    right: Numbers,
    events: Vec<Event>,
    bad: BTreeMap<(String, String), (u64, Reject)>,
}

impl EventSink for Kept {
    fn events(&mut self, batch: EventBatch) {
        for row in 0..batch.len() {
            self.events.push(Event {
                left: self.left.number(&batch.left, row),
                right: self.right.number(&batch.right, row),
                age_action: batch.age_action.get(row).copied().unwrap_or_default(),
                weight: batch.weight.get(row).copied().unwrap_or(FIXED_ONE),
            });
        }
    }

    fn reject(&mut self, reject: Reject) {
        let kind = (reject.column.clone(), reject.reason.clone());
        self.bad.entry(kind).or_insert((0, reject)).0 += 1;
    }

    fn advance(&mut self, _rows: u64) -> bool {
        true
    }
}

/// Numbers for the distinct keys of a side.
#[derive(Default)]
struct Numbers {
    integers: HashMap<i64, u32>,
    texts: HashMap<String, u32>,
}

impl Numbers {
    fn number(&mut self, keys: &Keys, row: usize) -> u32 {
        let next = self.len();
        match keys.get(row) {
            KeyRef::Int64(key) => *self.integers.entry(key).or_insert(next),
            KeyRef::Utf8(key) => match self.texts.get(key) {
                Some(&number) => number,
                None => {
                    self.texts.insert(key.to_owned(), next);
                    next
                }
            },
        }
    }

    fn len(&self) -> u32 {
        (self.integers.len() + self.texts.len()) as u32
    }
}
