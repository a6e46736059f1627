//! Totals over events: counts, distinct counterparts, decayed weight and recency of each node,
//! for each action and window. All sums are integers, so partial totals of any split of the events
//! by left node add up to the same bits.

use crate::model::Side;

/// The look-back windows of [`EventTotals`], in days; 0 stands for all of the job's window.
pub const WINDOW_DAYS: [u32; 4] = [1, 7, 30, 0];

/// Totals of every node of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTotals {
    /// Names of the actions, ascending; one named `all` if the job names none.
    pub actions: Vec<String>,
    /// Totals of the left nodes.
    pub left: SideTotals,
    /// Totals of the right nodes.
    pub right: SideTotals,
}

/// Totals of the nodes of one side. A slot is `action * WINDOW_DAYS.len() + window`; the value of
/// node `n` at slot `s` is at `n * slots + s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideTotals {
    /// Slots a node.
    pub slots: usize,
    /// Events.
    pub events: Vec<u64>,
    /// Distinct nodes of the other side among those events.
    pub distinct: Vec<u64>,
    /// Decayed weight in fixed point, saturating.
    pub weight: Vec<i64>,
    /// Age in microseconds of the latest event of each node; `u64::MAX` if it has none.
    pub last_age_us: Vec<u64>,
}

impl EventTotals {
    /// The totals of `side`.
    pub fn side(&self, side: Side) -> &SideTotals {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}
