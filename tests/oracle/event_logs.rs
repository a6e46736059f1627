//! Event logs for tests: random ones with hubs, ties and duplicates, and how to build graphs of
//! them.

use pingraph::graph::{BuildRules, EdgeRules, EventLayout, Graph, Needs, build};
use pingraph::model::{
    ActionRule, AgeAction, Columns, EventBatch, KeyRef, KeyType, Keys, ScanRequest, SideNames,
    fixed_from_f64,
};
use proptest::prelude::*;

/// One day in microseconds.
pub const DAY: u64 = 86_400_000_000;

/// One event; keys are numbers here, and become text where the log says so.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub left: i64,
    pub right: i64,
    pub age_us: u64,
    pub action: u8,
    pub weight: f64,
}

/// A log with the rules for its graph.
#[derive(Clone, Debug)]
pub struct Log {
    pub events: Vec<Event>,
    /// Whether left and right keys are text.
    pub text: (bool, bool),
    pub timed: bool,
    pub weighted: bool,
    pub actions: Vec<(String, ActionRule)>,
    pub half_life_us: Option<i64>,
    pub left_degree_max: Option<u32>,
    pub left_degree_min: u32,
    pub right_degree_min: u32,
}

/// A key of a side as the graph sees it: an integer, or text whose order is not the numbers'.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Int(i64),
    Text(String),
}

impl Key {
    pub fn new(number: i64, text: bool) -> Key {
        if text { Key::Text(format!("k{number}")) } else { Key::Int(number * 1_000_003 - 7) }
    }

    pub fn of(key: KeyRef<'_>) -> Key {
        match key {
            KeyRef::Int64(key) => Key::Int(key),
            KeyRef::Utf8(key) => Key::Text(key.into()),
        }
    }

    fn push_to(&self, keys: &mut Keys) {
        match self {
            Key::Int(key) => keys.push(KeyRef::Int64(*key)),
            Key::Text(key) => keys.push(KeyRef::Utf8(key)),
        }
    }
}

impl Log {
    /// A log of events in one action and without times, to be changed by the test.
    pub fn plain(events: Vec<Event>) -> Log {
        Log {
            events,
            text: (false, false),
            timed: false,
            weighted: false,
            actions: Vec::new(),
            half_life_us: None,
            left_degree_max: None,
            left_degree_min: 1,
            right_degree_min: 1,
        }
    }

    /// Two events for each edge of `graph`, a day and ten days old, which weigh 0.25 and 0.5.
    pub fn two_events_an_edge(graph: &Graph) -> Log {
        let lefts = 0..graph.forward.nodes() as u32;
        let edges = lefts.flat_map(|left| {
            let rights = graph.forward.neighbours(left).iter();
            rights.map(move |&right| (i64::from(left), i64::from(right)))
        });
        let event = |(left, right), days, weight| Event {
            left,
            right,
            age_us: days * DAY,
            action: 0,
            weight,
        };
        let events = edges.flat_map(|edge| [event(edge, 1, 0.25), event(edge, 10, 0.5)]);
        Log { timed: true, weighted: true, ..Log::plain(events.collect()) }
    }

    pub fn edge_rules(&self, needs: Needs) -> EdgeRules {
        let columns = Columns {
            left: "l".into(),
            right: "r".into(),
            action: None,
            time: self.timed.then(|| "t".into()),
            time_unit: None,
            weight: self.weighted.then(|| "w".into()),
            left_type: None,
            right_type: None,
        };
        let request = ScanRequest {
            columns,
            as_of_us: 0,
            window_us: None,
            actions: self.actions.clone(),
            keep_age_action: true,
        };
        EdgeRules::new(&request, self.half_life_us, self.left_degree_max, needs)
    }

    /// The graph, with as few columns as `needs` allows.
    pub fn graph(&self, needs: Needs, batch: usize, shares: usize, ranges: usize) -> Graph {
        let edges = self.edge_rules(needs);
        let of = |text| if text { KeyType::Utf8 } else { KeyType::Int64 };
        let layout = EventLayout {
            left: of(self.text.0),
            right: of(self.text.1),
            age_action: edges.reads_age_action(),
            weight: self.weighted && edges.reads_weight(),
        };
        let batches = self.events.chunks(batch.max(1)).map(|events| {
            let (mut left, mut right) = (Keys::new(layout.left), Keys::new(layout.right));
            let (mut age_action, mut weight) = (Vec::new(), Vec::new());
            for event in events {
                Key::new(event.left, self.text.0).push_to(&mut left);
                Key::new(event.right, self.text.1).push_to(&mut right);
                if layout.age_action {
                    age_action.push(AgeAction::new(event.age_us, event.action).0);
                }
                if layout.weight {
                    weight.push(fixed_from_f64(event.weight));
                }
            }
            EventBatch { left, right, age_action, weight }
        });
        let rules = BuildRules {
            names: SideNames { left: "user".into(), right: "pin".into() },
            edges,
            left_degree_min: self.left_degree_min,
            right_degree_min: self.right_degree_min,
        };
        build(batches, layout, &rules, shares, ranges)
    }
}

/// Up to 300 events of up to 40 x 30 nodes. Nodes are drawn by a cube, so that the first are hubs;
/// ages are few, so that they tie; a fifth of the events comes twice.
fn events(actions: u8) -> impl Strategy<Value = Vec<Event>> {
    let skewed = |nodes: u32| {
        (0..1000u32).prop_map(move |u| i64::from(u.pow(3) / (1_000_000_000 / nodes + 1)))
    };
    let age = prop_oneof![
        (1..5u64).prop_map(|k| k * 10 * DAY),
        prop_oneof![Just(DAY), Just(DAY + 1), Just(7 * DAY), Just(30 * DAY)],
        1..100 * DAY,
    ];
    let weight = prop_oneof![Just(1.0), Just(0.25), Just(0.0), 0.0..5.0];
    let event = (skewed(40), skewed(30), age, 0..actions, weight, 0..5u8);
    prop::collection::vec(event, 0..250).prop_map(|drawn| {
        let mut events = Vec::new();
        for (left, right, age_us, action, weight, twice) in drawn {
            let event = Event { left, right, age_us, action, weight };
            events.extend(std::iter::repeat_n(event, 1 + usize::from(twice == 0)));
        }
        events
    })
}

/// Random logs with random rules.
pub fn random() -> impl Strategy<Value = Log> {
    let actions = (0..4usize).prop_map(|count| {
        let all = [
            ("closeup", ActionRule::Weight(fixed_from_f64(0.2))),
            ("hide", ActionRule::Remove),
            ("save", ActionRule::Weight(fixed_from_f64(1.0))),
        ];
        all[..count].iter().map(|(name, rule)| (name.to_string(), *rule)).collect::<Vec<_>>()
    });
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let half_life = prop_oneof![Just(None), Just(Some(10 * DAY as i64))];
    let limits = (prop_oneof![Just(None), (1..8u32).prop_map(Some)], 1..4u32, 1..4u32);
    (actions, flags, half_life, limits).prop_flat_map(|(actions, flags, half_life, limits)| {
        events(actions.len().max(1) as u8).prop_map(move |events| Log {
            events,
            text: (flags.0, flags.1),
            timed: flags.2,
            weighted: flags.3,
            actions: actions.clone(),
            half_life_us: half_life.filter(|_| flags.2),
            left_degree_max: limits.0,
            left_degree_min: limits.1,
            right_degree_min: limits.2,
        })
    })
}
