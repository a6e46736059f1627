//! Events to graph, against a twin that groups by key in ordered maps and knows no ids, runs or
//! ranges.
//!
//! | family | what it would catch |
//! |---|---|
//! | random logs | a lost, doubled or misplaced edge; wrong removal, cap or filter; wrong weights |
//! | shares x ranges | anything that depends on who read what, or on where ranges are cut |
//! | closed forms | a formula that is wrong in both |
//! | a large log | what only full blocks, buckets and tables bring out |
//! | differential dataflow | the twin's own idea of "distinct" and "degree" |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use pingraph::graph::{Csr, Graph, Needs};
use pingraph::model::{ActionRule, Side, fixed_from_f64, fixed_to_f64};
use proptest::prelude::*;

use crate::event_logs::{DAY, Event, Key, Log, random};

const ALL: Needs = Needs { weights: true, events: true };

/// An edge's weight and the number of its events, by keys.
type Edges = BTreeMap<(Key, Key), (f64, usize)>;

/// The edges of `log`, by the text of the rules.
fn edges(log: &Log) -> Edges {
    let mut pairs: BTreeMap<(Key, Key), Vec<Event>> = BTreeMap::new();
    for event in &log.events {
        let left = Key::new(event.left, log.text.0);
        pairs.entry((left, Key::new(event.right, log.text.1))).or_default().push(*event);
    }
    let removes = |event: &Event| {
        log.actions.get(event.action as usize).is_some_and(|a| a.1 == ActionRule::Remove)
    };
    let age = |event: &Event| if log.timed { event.age_us } else { 0 };
    let weight = |event: &Event| {
        let action = match log.actions.get(event.action as usize) {
            Some((_, ActionRule::Weight(weight))) => fixed_to_f64(*weight),
            Some((_, ActionRule::Remove)) => 0.0,
            None => 1.0,
        };
        let decay = log.half_life_us.map_or(1.0, |h| 0.5f64.powf(age(event) as f64 / h as f64));
        action * if log.weighted { event.weight } else { 1.0 } * decay
    };
    pairs.retain(|_, events| {
        let latest = events.iter().map(age).min().unwrap();
        !events.iter().any(|event| age(event) == latest && removes(event))
    });
    if let Some(max) = log.left_degree_max {
        let mut recent: BTreeMap<Key, BTreeSet<(u64, Key)>> = BTreeMap::new();
        for ((left, right), events) in &pairs {
            let latest = events.iter().map(age).min().unwrap();
            recent.entry(left.clone()).or_default().insert((latest, right.clone()));
        }
        pairs.retain(|(left, right), _| {
            recent[left].iter().take(max as usize).any(|(_, kept)| kept == right)
        });
    }
    let (mut lefts, mut rights) = (BTreeMap::new(), BTreeMap::new());
    for (left, right) in pairs.keys() {
        *lefts.entry(left.clone()).or_insert(0) += 1;
        *rights.entry(right.clone()).or_insert(0) += 1;
    }
    pairs.retain(|(left, right), _| {
        lefts[left] >= log.left_degree_min && rights[right] >= log.right_degree_min
    });
    let sum = |events: Vec<Event>| (events.iter().map(weight).sum(), events.len());
    pairs.into_iter().map(|(pair, events)| (pair, sum(events))).collect()
}

/// The edges of one side of `graph`, by left and right key.
fn edges_of(graph: &Graph, side: Side) -> BTreeMap<(Key, Key), f64> {
    let (csr, rows, columns) = match side {
        Side::Left => (&graph.forward, &graph.left, &graph.right),
        Side::Right => (&graph.backward, &graph.right, &graph.left),
    };
    let mut out = BTreeMap::new();
    for node in 0..csr.nodes() as u32 {
        assert!(csr.degree(node) > 0, "a node without an edge is kept");
        assert!(csr.neighbours(node).windows(2).all(|pair| pair[0] < pair[1]));
        for (&other, &weight) in csr.neighbours(node).iter().zip(csr.weights_of(node)) {
            let ends = (Key::of(rows.key(node)), Key::of(columns.key(other)));
            let ends = if side == Side::Left { ends } else { (ends.1, ends.0) };
            assert!(out.insert(ends, fixed_to_f64(weight)).is_none());
        }
    }
    out
}

fn check_edges(graph: &Graph, expected: &Edges) {
    for side in [Side::Left, Side::Right] {
        let found = edges_of(graph, side);
        assert!(found.keys().eq(expected.keys()), "{found:?}\n{expected:?}");
        for (weight, (exact, events)) in found.values().zip(expected.values()) {
            // Each event rounds twice, to half a unit of 2^-32 each time.
            let tolerance = (2 * events) as f64 * 2f64.powi(-32) + exact * 1e-12;
            assert!((weight - exact).abs() <= tolerance, "{weight} for {exact}");
        }
    }
    let lefts: BTreeSet<&Key> = expected.keys().map(|pair| &pair.0).collect();
    let keys: Vec<Key> = (0..graph.left.len() as u32).map(|n| Key::of(graph.left.key(n))).collect();
    assert!(keys.iter().eq(lefts), "dense ids must be ranks");
}

/// Equality of everything that a graph holds.
fn assert_same(a: &Graph, b: &Graph) {
    assert_eq!((&a.left, &a.right), (&b.left, &b.right));
    assert_eq!((&a.forward, &a.backward), (&b.forward, &b.backward));
    assert_eq!(a.events, b.events);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 5000 } else { 300 }))]

    #[test]
    fn edges_equal_the_twin(log in random(), batch in 1..100usize) {
        let expected = edges(&log);
        let graph = log.graph(Needs { weights: true, events: false }, batch, 1, 1);
        check_edges(&graph, &expected);
        // Without weights fewer columns are read, and the same edges must come out.
        let bare = log.graph(Needs::default(), batch, 2, 2);
        prop_assert_eq!(&bare.forward.targets, &graph.forward.targets);
        prop_assert_eq!(&bare.backward.offsets, &graph.backward.offsets);
        prop_assert!(bare.forward.weights.is_empty() && bare.backward.weights.is_empty());
    }

    #[test]
    fn neither_shares_nor_ranges_nor_order_change_the_graph(log in random(), batch in 1..100usize) {
        let one = log.graph(ALL, 1000, 1, 1);
        for shares in 1..=4 {
            for ranges in 1..=5 {
                assert_same(&log.graph(ALL, batch, shares, ranges), &one);
            }
        }
        let mut reversed = log.clone();
        reversed.events.reverse();
        assert_same(&reversed.graph(ALL, batch, 2, 3), &one);
    }

    #[test]
    fn pairs_and_degrees_equal_differential_dataflow(log in random()) {
        let log = Log { text: (false, false), ..Log::plain(log.events) };
        let (pairs, degrees) = differential(&log);
        let graph = log.graph(Needs::default(), 16, 2, 3);
        let keys = |csr: &Csr| -> BTreeMap<Key, usize> {
            let key = |n| Key::of(graph.left.key(n));
            (0..csr.nodes() as u32).map(|n| (key(n), csr.degree(n))).collect()
        };
        prop_assert_eq!(keys(&graph.forward), degrees);
        prop_assert_eq!(graph.edges(), pairs.len());
        let mut found = BTreeSet::new();
        for left in 0..graph.left.len() as u32 {
            for &right in graph.forward.neighbours(left) {
                found.insert((Key::of(graph.left.key(left)), Key::of(graph.right.key(right))));
            }
        }
        prop_assert_eq!(found, pairs);
    }
}

/// The distinct pairs of a plain log and the left degrees, by differential dataflow.
fn differential(log: &Log) -> (BTreeSet<(Key, Key)>, BTreeMap<Key, usize>) {
    let (send_pair, pairs) = mpsc::channel();
    let (send_degree, degrees) = mpsc::channel();
    let events: Vec<(i64, i64)> = log.events.iter().map(|e| (e.left, e.right)).collect();
    timely::execute_directly(move |worker| {
        let mut input = differential_dataflow::input::InputSession::<u64, (i64, i64), isize>::new();
        worker.dataflow(|scope| {
            let distinct = input.to_collection(scope).distinct();
            distinct.clone().inspect(move |(pair, _, diff)| {
                assert_eq!(*diff, 1);
                send_pair.send(*pair).unwrap();
            });
            distinct.map(|(left, _)| left).count().inspect(move |(degree, _, diff)| {
                assert_eq!(*diff, 1);
                send_degree.send(*degree).unwrap();
            });
        });
        events.into_iter().for_each(|pair| input.insert(pair));
        input.close();
    });
    let key = |number| Key::new(number, false);
    let pairs = pairs.iter().map(|(left, right)| (key(left), key(right))).collect();
    let degrees = degrees.iter().map(|(left, degree)| (key(left), degree as usize)).collect();
    (pairs, degrees)
}

fn event(left: i64, right: i64, age_us: u64, action: u8) -> Event {
    Event { left, right, age_us, action, weight: 1.0 }
}

#[test]
fn an_event_one_half_life_old_weighs_half() {
    let half_life = 30 * DAY;
    let mut log = Log::plain(vec![event(1, 1, half_life, 0), event(1, 2, 3 * half_life, 0)]);
    log.events.extend([event(2, 1, half_life, 0), event(2, 1, 2 * half_life, 0)]);
    log.timed = true;
    log.half_life_us = Some(half_life as i64);
    let graph = log.graph(Needs { weights: true, events: false }, 2, 2, 2);
    let weights: Vec<f64> = graph.forward.weights.iter().map(|&w| fixed_to_f64(w)).collect();
    assert_eq!(weights, [0.5, 0.125, 0.75]);
}

#[test]
fn the_latest_event_decides_removal_and_a_tie_removes() {
    let (save, hide) = (1, 0);
    let mut log = Log::plain(vec![
        event(1, 1, 5, hide),
        event(1, 1, 4, save), // saved again after hiding: stays, and weighs one save
        event(1, 2, 5, save),
        event(1, 2, 4, hide), // hidden last: goes
        event(1, 3, 4, save),
        event(1, 3, 4, hide), // at the same time: goes
    ]);
    log.timed = true;
    log.actions = vec![
        ("hide".into(), ActionRule::Remove),
        ("save".into(), ActionRule::Weight(fixed_from_f64(2.0))),
    ];
    let graph = log.graph(Needs { weights: true, events: false }, 1, 1, 1);
    assert_eq!(graph.forward.weights, [fixed_from_f64(2.0)]);
    assert_eq!((graph.left.len(), graph.right.len()), (1, 1));
}

#[test]
fn the_cap_keeps_the_most_recent_then_the_lowest_ids() {
    let mut log = Log::plain(vec![
        event(1, 9, 1, 0),
        event(1, 8, 7, 0),
        event(1, 8, 2, 0), // the latest event counts
        event(1, 7, 3, 0),
        event(1, 5, 3, 0),
        event(1, 6, 3, 0),
    ]);
    log.timed = true;
    log.left_degree_max = Some(3);
    let graph = log.graph(Needs::default(), 10, 1, 1);
    let kept: Vec<Key> = (0..3).map(|n| Key::of(graph.right.key(n))).collect();
    assert_eq!(kept, [5, 8, 9].map(|n| Key::new(n, false)));
}

#[test]
fn degrees_are_counted_once_before_the_filters() {
    // Left 1 has two edges; dropping right 2, which has one, leaves left 1 below the minimum, and
    // it stays none the less.
    let pairs = [(1, 1), (1, 2), (2, 1), (2, 3), (3, 3)];
    let mut log = Log::plain(pairs.iter().map(|&(l, r)| event(l, r, 1, 0)).collect());
    (log.left_degree_min, log.right_degree_min) = (2, 2);
    let graph = log.graph(Needs::default(), 2, 1, 2);
    assert_eq!(graph.forward.targets, [0, 0, 1]);
    assert_eq!(graph.forward.offsets, [0, 1, 3]);
    assert_eq!(graph.backward.targets, [0, 1, 1]);
}

#[test]
fn no_event_gives_an_empty_graph() {
    for (shares, ranges) in [(1, 1), (3, 4)] {
        let graph = Log::plain(Vec::new()).graph(ALL, 1, shares, ranges);
        assert_eq!((graph.nodes(Side::Left), graph.nodes(Side::Right), graph.edges()), (0, 0, 0));
    }
}

#[test]
fn a_large_log_equals_the_twin() {
    let mut state = 1u64;
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut events = Vec::new();
    for _ in 0..200_000 {
        // A tenth of the events belongs to one user, a tenth to one pin.
        let left = if draw(10) == 0 { 777 } else { draw(3000) as i64 };
        let right = if draw(10) == 0 { 4000 } else { draw(9000) as i64 };
        events.push(event(left, right, 1 + draw(50) * DAY, draw(3) as u8));
    }
    let mut log = Log::plain(events);
    assert_large(&log);
    log.timed = true;
    log.half_life_us = Some(7 * DAY as i64);
    log.left_degree_max = Some(500);
    log.actions = vec![
        ("closeup".into(), ActionRule::Weight(fixed_from_f64(0.2))),
        ("hide".into(), ActionRule::Remove),
        ("save".into(), ActionRule::Weight(fixed_from_f64(1.0))),
    ];
    assert_large(&log);
}

fn assert_large(log: &Log) {
    let one = log.graph(ALL, 50_000, 1, 1);
    check_edges(&one, &edges(log));
    assert_same(&log.graph(ALL, 777, 3, 4), &one);
}
