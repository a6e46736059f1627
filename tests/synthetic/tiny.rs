//! The tiny data set's expected files against plain code, and its README against the files.

use std::collections::{BTreeMap, BTreeSet};

use pingraph::model::parse_timestamp;

const DAY_US: f64 = 86_400e6;

fn read(name: &str) -> String {
    let path = format!("{}/datasets/tiny/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The rows of an expected file, without its header.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = read(&format!("expected/{name}.csv"));
    let lines = text.lines().skip(1);
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

struct Event {
    user: u32,
    pin: u32,
    action: String,
    age_days: f64,
}

impl Event {
    fn weight(&self) -> f64 {
        let own = match self.action.as_str() {
            "save" => 1.0,
            "closeup" => 0.2,
            _ => 0.0,
        };
        own * 2f64.powf(-self.age_days / 30.0)
    }
}

/// The events that count, in the order of the file.
fn events() -> Vec<Event> {
    let as_of = parse_timestamp("2026-11-01T00:00:00Z").unwrap();
    let text = read("events.csv");
    let mut events = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let age_days = (as_of - parse_timestamp(cells[3]).unwrap()) as f64 / DAY_US;
        if age_days > 0.0 && age_days <= 90.0 && ["save", "closeup", "hide"].contains(&cells[2]) {
            let (user, pin) = (cells[0].parse().unwrap(), cells[1].parse().unwrap());
            events.push(Event { user, pin, action: cells[2].into(), age_days });
        }
    }
    events
}

/// The weight of every edge.
fn edges() -> BTreeMap<(u32, u32), f64> {
    let mut pairs = BTreeMap::<(u32, u32), Vec<Event>>::new();
    for event in events() {
        pairs.entry((event.user, event.pin)).or_default().push(event);
    }
    pairs.retain(|_, events| {
        let latest = events.iter().min_by(|a, b| a.age_days.total_cmp(&b.age_days)).unwrap();
        latest.action != "hide"
    });
    let sum = |events: Vec<Event>| events.iter().map(Event::weight).sum();
    pairs.into_iter().map(|(pair, events)| (pair, sum(events))).collect()
}

/// Users of every pin.
fn users() -> BTreeMap<u32, BTreeSet<u32>> {
    let mut users = BTreeMap::<u32, BTreeSet<u32>>::new();
    for (user, pin) in edges().into_keys() {
        users.entry(pin).or_default().insert(user);
    }
    users
}

/// Power iteration over users and pins to convergence; `base` is what every node takes in a round.
fn walk(base: impl Fn(u32) -> f64) -> BTreeMap<u32, f64> {
    let mut neighbours = BTreeMap::<u32, Vec<u32>>::new();
    for (user, pin) in edges().into_keys() {
        neighbours.entry(user).or_default().push(pin);
        neighbours.entry(pin).or_default().push(user);
    }
    let mut values: BTreeMap<u32, f64> = neighbours.keys().map(|&node| (node, 0.0)).collect();
    for _ in 0..400 {
        let next = |node: &u32| {
            let pulled: f64 =
                neighbours[node].iter().map(|n| values[n] / neighbours[n].len() as f64).sum();
            base(*node) + 0.85 * pulled
        };
        values = neighbours.keys().map(|node| (*node, next(node))).collect();
    }
    values
}

#[track_caller]
fn assert_close(value: f64, expected: &str) {
    let expected: f64 = expected.parse().unwrap();
    assert!((value - expected).abs() < 1e-8, "{value} is not {expected}");
}

#[test]
fn the_file_has_at_most_20_events_and_one_of_each_kind() {
    let text = read("events.csv");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(lines.len() <= 20);
    assert_eq!(lines.len(), 17);
    assert_eq!(events().len(), 13);
    let distinct: BTreeSet<&&str> = lines.iter().collect();
    assert_eq!(distinct.len(), 16, "one row stands twice");
}

#[test]
fn edges_and_degrees() {
    let computed = edges();
    let expected = rows("edges");
    assert_eq!(computed.len(), expected.len());
    for ((pair, weight), row) in computed.iter().zip(&expected) {
        assert_eq!(format!("{},{}", pair.0, pair.1), format!("{},{}", row[0], row[1]));
        assert_close(*weight, &row[2]);
    }
    let mut degrees = Vec::new();
    for user in 1..=4 {
        let degree = computed.keys().filter(|pair| pair.0 == user).count();
        degrees.push(vec!["user".into(), user.to_string(), degree.to_string()]);
    }
    for (pin, users) in users() {
        degrees.push(vec!["pin".into(), pin.to_string(), users.len().to_string()]);
    }
    assert_eq!(degrees, rows("degree"));
}

#[test]
fn co_engagement() {
    let users = users();
    let expected = rows("co_engagement");
    assert_eq!(expected.len(), 6);
    for row in expected {
        let [a, b] = [0, 1].map(|i| &users[&row[i].parse::<u32>().unwrap()]);
        let common = a.intersection(b).count();
        assert_eq!(common.to_string(), row[2]);
        assert_close(common as f64 / ((a.len() * b.len()) as f64).sqrt(), &row[3]);
        assert_close(common as f64 / a.union(b).count() as f64, &row[4]);
    }
}

#[test]
fn pagerank() {
    let values = walk(|_| 0.15 / 7.0);
    let expected = rows("pagerank");
    assert_eq!(values.len(), expected.len());
    for ((node, value), row) in values.iter().zip(expected) {
        assert_eq!(node.to_string(), row[1]);
        assert_close(*value, &row[2]);
    }
}

#[test]
fn personalized_pagerank() {
    let edges = edges();
    let expected = rows("personalized_pagerank");
    assert_eq!(expected.len(), 12);
    for row in expected {
        let [seed, pin, seen] = [0, 1, 2].map(|i| row[i].parse::<u32>().unwrap());
        let values = walk(|node| if node == seed { 0.15 } else { 0.0 });
        assert_close(values[&pin], &row[3]);
        assert_eq!(edges.contains_key(&(seed, pin)), seen == 1);
    }
}

#[test]
fn popularity() {
    let events = events();
    let expected = rows("popularity");
    assert_eq!(expected.len(), 3 * 3 * 4);
    for row in expected {
        let days = row[2].trim_end_matches('d').parse().unwrap_or(90.0);
        let pin: u32 = row[0].parse().unwrap();
        let of_row = |e: &&Event| e.pin == pin && e.action == row[1] && e.age_days <= days;
        let chosen: Vec<&Event> = events.iter().filter(of_row).collect();
        assert_eq!(chosen.len().to_string(), row[3], "{row:?}");
        let users: BTreeSet<u32> = chosen.iter().map(|event| event.user).collect();
        assert_eq!(users.len().to_string(), row[4], "{row:?}");
        assert_close(chosen.iter().map(|event| event.weight()).sum(), &row[5]);
    }
    for row in rows("last_event") {
        let of_pin = events.iter().filter(|event| event.pin.to_string() == row[0]);
        let age = of_pin.map(|event| event.age_days).min_by(f64::total_cmp).unwrap();
        assert_close(age * 86_400.0, &row[1]);
    }
}

#[test]
fn the_readme_shows_every_expected_value() {
    let readme = read("README.md");
    for name in ["edges", "co_engagement", "pagerank", "personalized_pagerank", "popularity"] {
        for row in rows(name) {
            let value: f64 = row.last().unwrap().parse().unwrap();
            let shown = format!("{value:.6}");
            // Halves may be rounded either way by hand.
            let zero = value == 0.0;
            assert!(zero || readme.contains(&shown), "{name}: {shown} of {row:?}");
        }
    }
}
