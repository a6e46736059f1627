//! From events to the edges of a range of left nodes.

use std::ops::Range;

use super::{Csr, EdgeRules, EventRun, Shard};
use crate::kernels::aggregate::{BANDS, EventTotals, band};
use crate::model::{AgeAction, FIXED_ONE};

/// The edges of the left nodes of `range`, and the totals over all events, if the rules ask.
pub fn build_shard(
    runs: Vec<EventRun>,
    range: Range<u32>,
    right_nodes: usize,
    rules: &EdgeRules,
) -> (Shard, Option<EventTotals>) {
    let mut events: Vec<(u32, u32, u64, i64)> = Vec::new();
    for run in runs {
        for row in 0..run.left.len() {
            let age = run.age_action.get(row).copied().unwrap_or(0);
            let weight = run.weight.get(row).copied().unwrap_or(FIXED_ONE);
            events.push((run.left[row], run.right[row], age, weight));
        }
    }
    events.sort_unstable();
    let mut totals =
        rules.totals.then(|| EventTotals::new(rules.action_names(), range.len(), right_nodes));
    let mut csr = Csr { offsets: vec![0], ..Csr::default() };
    let mut row: Vec<(u64, u32, i64)> = Vec::new();
    let mut pairs = events.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).peekable();
    for left in range.clone() {
        row.clear();
        while let Some(pair) = pairs.next_if(|pair| pair[0].0 == left) {
            row.extend(edge(pair, left - range.start, rules, totals.as_mut()));
        }
        if let Some(max) = rules.left_degree_max {
            row.sort_unstable();
            row.truncate(max as usize);
            row.sort_unstable_by_key(|edge| edge.1);
        }
        csr.targets.extend(row.iter().map(|edge| edge.1));
        if rules.keep_weights {
            csr.weights.extend(row.iter().map(|edge| edge.2));
        }
        csr.offsets.push(csr.targets.len() as u64);
    }
    (Shard { range, csr }, totals)
}

fn edge(
    pair: &[(u32, u32, u64, i64)],
    row: u32,
    rules: &EdgeRules,
    mut totals: Option<&mut EventTotals>,
) -> Option<(u64, u32, i64)> {
    let mut sum = 0i64;
    let mut seen = Vec::new();
    for &(_, right, age_action, own) in pair {
        let age_action = AgeAction(age_action);
        let weight = rules.weight(age_action, own);
        sum = sum.saturating_add(weight);
        if let Some(totals) = totals.as_deref_mut() {
            let (action, age) = (age_action.action(), age_action.age_us());
            let in_band = if rules.timed { band(age) } else { BANDS - 1 };
            let slot = usize::from(action) * BANDS + in_band;
            totals.left.event(row, slot, age, weight);
            totals.right.event(right, slot, age, weight);
            if !seen.contains(&action) {
                seen.push(action);
                totals.left.distinct(row, slot);
                totals.right.distinct(right, slot);
            }
        }
    }
    let latest = AgeAction(pair[0].2).age_us();
    let latest = if rules.timed { latest } else { 0 };
    let removed = pair.iter().map(|event| AgeAction(event.2)).any(|age_action| {
        rules.removes(age_action.action()) && (!rules.timed || age_action.age_us() == latest)
    });
    (!removed).then_some((latest, pair[0].1, sum))
}
