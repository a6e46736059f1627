//! Totals over events, against a twin that filters the whole log once for each node, action and
//! window.

use std::collections::BTreeSet;

use pingraph::graph::Needs;
use pingraph::kernels::aggregate::WINDOW_DAYS;
use pingraph::model::{ActionRule, Side, fixed_to_f64};
use proptest::prelude::*;

use crate::event_logs::{DAY, Event, Key, Log, random};

/// Events, distinct counterparts and weight of the events of `of` that pass the window.
pub fn twin(log: &Log, side: Side, of: &Key, action: usize, days: u32) -> (u32, u32, f64) {
    let keys = |event: &Event| {
        let left = Key::new(event.left, log.text.0);
        let right = Key::new(event.right, log.text.1);
        if side == Side::Left { (left, right) } else { (right, left) }
    };
    let (mut count, mut others, mut weight) = (0, BTreeSet::new(), 0.0);
    for event in &log.events {
        let (mine, other) = keys(event);
        let inside = days == 0 || (log.timed && event.age_us <= u64::from(days) * DAY);
        if mine != *of || usize::from(event.action) != action || !inside {
            continue;
        }
        count += 1;
        others.insert(other);
        let worth = match log.actions.get(action) {
            Some((_, ActionRule::Weight(worth))) => fixed_to_f64(*worth),
            Some((_, ActionRule::Remove)) => 0.0,
            None => 1.0,
        };
        let half_lives = log.half_life_us.map_or(0.0, |h| event.age_us as f64 / h as f64);
        let own = if log.weighted { event.weight } else { 1.0 };
        weight += worth * own * 0.5f64.powf(half_lives);
    }
    (count, others.len() as u32, weight)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 1000 } else { 200 }))]

    #[test]
    fn totals_equal_the_twin(log in random(), shares in 1..3usize, ranges in 1..4usize) {
        let graph = log.graph(Needs { weights: false, events: true }, 37, shares, ranges);
        let totals = graph.events.as_ref().unwrap();
        prop_assert_eq!(totals.actions.len(), log.actions.len().max(1));
        for side in [Side::Left, Side::Right] {
            prop_assert_eq!(totals.side(side).nodes(), graph.nodes(side));
            for node in 0..graph.nodes(side) as u32 {
                let key = Key::of(graph.dictionary(side).key(node));
                for action in 0..totals.actions.len() {
                    for (window, &days) in WINDOW_DAYS.iter().enumerate() {
                        let found = totals.side(side).window(node, action, window);
                        let (events, distinct, weight) = twin(&log, side, &key, action, days);
                        prop_assert_eq!((found.events, found.distinct), (events, distinct));
                        let tolerance = f64::from(2 * events) * 2f64.powi(-32) + weight * 1e-12;
                        prop_assert!((fixed_to_f64(found.weight) - weight).abs() <= tolerance);
                    }
                }
                let mine = |event: &&Event| match side {
                    Side::Left => Key::new(event.left, log.text.0) == key,
                    Side::Right => Key::new(event.right, log.text.1) == key,
                };
                if log.timed {
                    let last = log.events.iter().filter(mine).map(|event| event.age_us).min();
                    prop_assert_eq!(totals.side(side).last_age_us(node), last);
                }
            }
        }
    }
}
