//! `popularity` as it is published, against the twin of [`crate::aggregate`]: it would catch
//! columns out of step with their names, wrong windows, and rows of the wrong side.

use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::model::{Column, Rows, Side, Table};
use pingraph::signals::{Feature, GraphSchema, Registry, Scratch, Step};
use proptest::prelude::*;

use crate::aggregate::twin;
use crate::event_logs::{DAY, Event, Key, Log, random};
use crate::graphs::of_known_degrees;

/// The feature of signal `name` that `params` configure, in TOML.
pub fn configure(name: &str, params: &str) -> pingraph::model::Result<Box<dyn Feature>> {
    let registry = Registry::default();
    registry.find(name)?.configure("feature", params.parse().unwrap())
}

/// The tables and all their rows, each table cut in two blocks.
pub fn publish(feature: &dyn Feature, graph: &Arc<Graph>, log: &Log) -> Vec<(Table, Vec<Rows>)> {
    let schema = GraphSchema {
        names: graph.names.clone(),
        actions: log.edge_rules(feature.needs()).action_names(),
        timed: log.timed,
    };
    let Step::Rows(source) = feature.start(graph.clone(), &[]) else {
        panic!("there are no rounds")
    };
    let mut out = Vec::new();
    for (index, table) in feature.tables(&schema).into_iter().enumerate() {
        assert!(source.nodes(index).is_none(), "every node has a row");
        let nodes: Vec<u32> = (0..graph.nodes(table.side) as u32).collect();
        let (first, second) = nodes.split_at(nodes.len() / 3);
        let blocks =
            [first, second].map(|nodes| source.rows(index, nodes, &mut Scratch::default()));
        for rows in &blocks {
            assert_eq!(rows.columns.len(), table.fields.len());
        }
        out.push((table, blocks.into()));
    }
    out
}

/// The value of the column called `name` in row `row`.
pub fn value(table: &Table, rows: &Rows, name: &str, row: usize) -> f64 {
    let column = table.fields.iter().position(|field| field.name == name);
    match &rows.columns[column.unwrap_or_else(|| panic!("no column {name}: {table:?}"))] {
        Column::Int64(values) => values[row].unwrap() as f64,
        Column::Float64(values) => values[row],
        other => panic!("{other:?}"),
    }
}

/// The same for all rows, in order.
pub fn column(table: &Table, blocks: &[Rows], name: &str) -> Vec<f64> {
    let mut all = Vec::new();
    for rows in blocks {
        all.extend((0..rows.nodes.len()).map(|row| value(table, rows, name, row)));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 1000 } else { 200 }))]

    #[test]
    fn columns_equal_the_twin(log in random()) {
        let feature = configure("popularity", "side = 'both'\nwindows = [7, 'all']").unwrap();
        let graph = Arc::new(log.graph(feature.needs(), 37, 2, 2));
        let actions = log.edge_rules(feature.needs()).action_names();
        let windows = if log.timed { vec![("7d", 7), ("all", 0)] } else { vec![("all", 0)] };
        for (table, blocks) in publish(&*feature, &graph, &log) {
            let columns = actions.len() * windows.len() * 3 + usize::from(log.timed);
            prop_assert_eq!(table.fields.len(), columns);
            let others = if table.side == Side::Left { "pins" } else { "users" };
            for rows in &blocks {
                for (row, &node) in rows.nodes.iter().enumerate() {
                    let key = Key::of(graph.dictionary(table.side).key(node));
                    for (action, action_name) in actions.iter().enumerate() {
                        for (name, days) in &windows {
                            let (events, distinct, weight) = twin(&log, table.side, &key, action, *days);
                            let get = |what: &str| {
                                value(&table, rows, &format!("{action_name}_{what}_{name}"), row)
                            };
                            prop_assert_eq!(get("events"), f64::from(events));
                            prop_assert_eq!(get(&format!("distinct_{others}")), f64::from(distinct));
                            prop_assert!((get("weight") - weight).abs() <= 1e-6);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn events_and_distinct_counterparts_have_closed_forms() {
    let feature = configure("popularity", "side = 'both'").unwrap();
    for (name, graph, lefts, rights) in of_known_degrees() {
        let log = Log::two_events_an_edge(&graph);
        let graph = Arc::new(log.graph(feature.needs(), 5, 2, 2));
        let tables = publish(&*feature, &graph, &log);
        assert_eq!(tables.len(), 2);
        for (table, blocks) in &tables {
            let left = table.side == Side::Left;
            let (degrees, others) = if left { (&lefts, "pins") } else { (&rights, "users") };
            let times = |factor: f64| -> Vec<f64> {
                degrees.iter().map(|&degree| factor * f64::from(degree)).collect()
            };
            // The later event of each edge is in every window, the other in the long ones.
            for (window, events, weight) in
                [("1d", 1.0, 0.25), ("7d", 1.0, 0.25), ("30d", 2.0, 0.75), ("all", 2.0, 0.75)]
            {
                for (what, factor) in
                    [("events", events), (&format!("distinct_{others}"), 1.0), ("weight", weight)]
                {
                    let found = column(table, blocks, &format!("all_{what}_{window}"));
                    assert_eq!(found, times(factor), "{name}: {what} over {window}");
                }
            }
            let ages = column(table, blocks, "last_event_age_s");
            assert_eq!(ages, vec![86_400.0; degrees.len()], "{name}");
        }
    }
}

#[test]
fn ages_are_in_seconds_and_removed_pairs_still_count() {
    let event = |left, right, age_us| Event { left, right, age_us, action: 0, weight: 1.0 };
    let mut log = Log::plain(vec![event(1, 1, DAY), event(2, 1, 2 * DAY), event(2, 2, 90_000_000)]);
    log.timed = true;
    log.right_degree_min = 2;
    let feature = configure("popularity", "").unwrap();
    let graph = Arc::new(log.graph(feature.needs(), 10, 1, 1));
    let tables = publish(&*feature, &graph, &log);
    let [(table, blocks)] = &tables[..] else { panic!("one table for one side") };
    assert_eq!((table.name.as_str(), table.side), ("feature", Side::Right));
    let rows = &blocks[1];
    assert_eq!(rows.nodes, [0]);
    assert_eq!(value(table, rows, "last_event_age_s", 0), 86_400.0);
    let events =
        ["1d", "7d", "30d", "all"].map(|w| value(table, rows, &format!("all_events_{w}"), 0));
    assert_eq!(events, [1.0, 2.0, 2.0, 2.0]);
    let text = feature.explain_row(&graph, 0, rows, 0);
    assert!(text.contains("2 all") && text.contains("24.0 h"), "{text}");
}

#[test]
fn wrong_parameters_are_named() {
    for (params, column) in [
        ("windows = ['2d']", "windows"),
        ("windows = []", "windows"),
        ("side = 'up'", "side"),
        ("sides = 'left'", "sides"),
    ] {
        let error = configure("popularity", params).err().unwrap();
        assert!(error.to_string().contains(column), "{params}: {error}");
    }
}
