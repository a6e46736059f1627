//! Totals over events: counts, distinct counterparts, decayed weight and recency of each node, for
//! each action and look-back window.
//!
//! Representation: the windows of [`WINDOW_DAYS`] are nested, so an event is counted once, in its
//! *band*, the shortest window that holds it; a window is the sum of the bands up to it. A pair
//! counts as distinct for an action in the band of its most recent event of that action: it is in
//! every window that holds this event, and in no other. Node `n`, action `a` and band `b` share the
//! cell `n * slots + a * BANDS + b`.
//!
//! 1. [`SideTotals::event`] for each event and side: 1 and the weight into one cell.
//! 2. [`SideTotals::distinct`] for each pair, action and side.
//! 3. [`EventTotals::add`] joins totals of neighbouring ranges of left nodes: left cells are
//!    appended, right cells are added up.
//!
//! All sums are integers that saturate and have no negative terms, so any split of the events by
//! left node adds up to the same bits. Cost: one random cell an event and side.

use crate::kernels::prefetch::prefetch;
use crate::model::Side;

/// The look-back windows, in days; 0 stands for all of the job's window.
pub const WINDOW_DAYS: [u32; 4] = [1, 7, 30, 0];

/// Bands, as many as windows.
pub const BANDS: usize = WINDOW_DAYS.len();

/// Microseconds in a day.
const DAY_US: u64 = 86_400_000_000;

/// Totals of every node of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTotals {
    /// Names of the actions, ascending; one named `all` if the job names none.
    pub actions: Vec<String>,
    /// Whether events have a time; without one all of them are in the band of the window `all`.
    pub timed: bool,
    /// Totals of the left nodes, of one range of them until all ranges are added.
    pub left: SideTotals,
    /// Totals of the right nodes.
    pub right: SideTotals,
}

/// Totals of the nodes of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideTotals {
    /// Cells a node: actions x [`BANDS`].
    slots: usize,
    cells: Vec<Cell>,
    /// Age in microseconds of the latest event of each node; `u64::MAX` if it has none.
    last_age_us: Vec<u64>,
}

/// Totals of one node, action and band; of several bands after [`SideTotals::window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Decayed weight in fixed point, saturating.
    pub weight: i64,
    /// Events, saturating at 2^32 - 1.
    pub events: u32,
    /// Distinct nodes of the other side among them.
    pub distinct: u32,
}

impl Cell {
    fn add(&mut self, other: Cell) {
        self.weight = self.weight.saturating_add(other.weight);
        self.events = self.events.saturating_add(other.events);
        self.distinct = self.distinct.saturating_add(other.distinct);
    }
}

/// The band of an event `age_us` microseconds before `as_of`: a window of `d` days holds ages up
/// to and including `d` days.
#[inline]
pub fn band(age_us: u64) -> usize {
    let shorter = WINDOW_DAYS[..BANDS - 1].iter();
    shorter.map(|&days| usize::from(age_us > u64::from(days) * DAY_US)).sum()
}

impl EventTotals {
    /// Empty totals of `lefts` x `rights` nodes.
    pub fn new(actions: Vec<String>, timed: bool, lefts: usize, rights: usize) -> EventTotals {
        let slots = actions.len() * BANDS;
        let side = |nodes: usize| SideTotals {
            slots,
            cells: vec![Cell::default(); nodes * slots],
            last_age_us: vec![u64::MAX; nodes],
        };
        EventTotals { actions, timed, left: side(lefts), right: side(rights) }
    }

    /// The totals of `side`.
    pub fn side(&self, side: Side) -> &SideTotals {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// Makes room for the next `nodes` left nodes, and gives the number of those before.
    pub fn extend_left(&mut self, nodes: usize) -> u32 {
        let before = self.left.nodes();
        self.left.cells.resize((before + nodes) * self.left.slots, Cell::default());
        self.left.last_age_us.resize(before + nodes, u64::MAX);
        before as u32
    }

    /// Adds the totals of the range of left nodes that follows this one's: its left nodes are
    /// appended, the right nodes are added up.
    pub fn add(&mut self, next: EventTotals) {
        self.left.cells.extend(next.left.cells);
        self.left.last_age_us.extend(next.left.last_age_us);
        for (mine, other) in self.right.cells.iter_mut().zip(next.right.cells) {
            mine.add(other);
        }
        for (mine, other) in self.right.last_age_us.iter_mut().zip(next.right.last_age_us) {
            *mine = (*mine).min(other);
        }
    }
}

impl SideTotals {
    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.last_age_us.len()
    }

    /// Cells a node, the cells, and the age in microseconds of each node's latest event.
    pub fn parts(&self) -> (usize, &[Cell], &[u64]) {
        (self.slots, &self.cells, &self.last_age_us)
    }

    /// The totals of [`SideTotals::parts`]; `None` if their lengths do not fit.
    pub fn from_parts(slots: usize, cells: Vec<Cell>, last_age_us: Vec<u64>) -> Option<SideTotals> {
        let fit = last_age_us.len().checked_mul(slots) == Some(cells.len());
        fit.then_some(SideTotals { slots, cells, last_age_us })
    }

    /// Counts an event of `node` in `slot` (action x [`BANDS`] + band).
    #[inline]
    pub fn event(&mut self, node: u32, slot: usize, age_us: u64, weight: i64) {
        let cell = &mut self.cells[node as usize * self.slots + slot];
        cell.add(Cell { weight, events: 1, distinct: 0 });
        let last = &mut self.last_age_us[node as usize];
        *last = (*last).min(age_us);
    }

    /// Asks for the memory that [`SideTotals::event`] will need.
    #[inline(always)]
    pub fn prefetch(&self, node: u32, slot: usize) {
        prefetch(&self.cells, node as usize * self.slots + slot);
        prefetch(&self.last_age_us, node as usize);
    }

    /// Counts a distinct counterpart of `node` in `slot`.
    #[inline]
    pub fn distinct(&mut self, node: u32, slot: usize) {
        self.cells[node as usize * self.slots + slot].distinct += 1;
    }

    /// The totals of `node` for action `action` in window `window`, an index into
    /// [`WINDOW_DAYS`].
    pub fn window(&self, node: u32, action: usize, window: usize) -> Cell {
        let first = node as usize * self.slots + action * BANDS;
        let mut total = Cell::default();
        for &cell in &self.cells[first..=first + window] {
            total.add(cell);
        }
        total
    }

    /// Age in microseconds of the latest event of `node`, if it has any.
    pub fn last_age_us(&self, node: u32) -> Option<u64> {
        Some(self.last_age_us[node as usize]).filter(|&age| age != u64::MAX)
    }

    /// Drops the nodes that are not `kept`; the others move up.
    pub fn retain(&mut self, kept: impl Fn(u32) -> bool) {
        let mut to = 0;
        for node in 0..self.nodes() {
            if !kept(node as u32) {
                continue;
            }
            let first = node * self.slots;
            self.cells.copy_within(first..first + self.slots, to * self.slots);
            self.last_age_us[to] = self.last_age_us[node];
            to += 1;
        }
        self.cells.truncate(to * self.slots);
        self.last_age_us.truncate(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_own_edge() {
        for (window, days) in [1u64, 7, 30].into_iter().enumerate() {
            assert_eq!(band(days * DAY_US), window);
            assert_eq!(band(days * DAY_US + 1), window + 1);
        }
        assert_eq!(band(1), 0);
    }

    #[test]
    fn windows_are_sums_of_bands() {
        let mut totals = EventTotals::new(vec!["a".into(), "b".into()], true, 2, 1);
        for (age_days, weight) in [(1, 5), (2, 7), (20, 11), (100, 13)] {
            let slot = BANDS + band(age_days * DAY_US);
            totals.left.event(1, slot, age_days * DAY_US, weight);
        }
        totals.left.distinct(1, BANDS);
        let of = |window| totals.left.window(1, 1, window);
        assert_eq!([0, 1, 2, 3].map(|w| of(w).weight), [5, 12, 23, 36]);
        assert_eq!([0, 1, 2, 3].map(|w| of(w).events), [1, 2, 3, 4]);
        assert_eq!([0, 3].map(|w| of(w).distinct), [1, 1]);
        assert_eq!(totals.left.window(1, 0, 3), Cell::default());
        assert_eq!((totals.left.last_age_us(0), totals.left.last_age_us(1)), (None, Some(DAY_US)));
    }

    #[test]
    fn retain_moves_nodes_up() {
        let mut side = EventTotals::new(vec!["all".into()], true, 4, 0).left;
        for node in 0..4 {
            side.event(node, 0, 10 + u64::from(node), i64::from(node));
        }
        side.retain(|node| node % 2 == 1);
        assert_eq!(side.nodes(), 2);
        assert_eq!(side.window(1, 0, 0).weight, 3);
        assert_eq!(side.last_age_us(0), Some(11));
    }
}
