//! `degree`, against counting edges of the other direction one by one: it would catch a side that
//! is taken for the other, and weights of the wrong edges.

use std::collections::BTreeMap;
use std::sync::Arc;

use pingraph::model::{Side, fixed_to_f64};
use proptest::prelude::*;

use crate::event_logs::{Log, random};
use crate::graphs::of_known_degrees;
use crate::popularity::{column, configure, publish, value};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 1000 } else { 200 }))]

    #[test]
    fn columns_equal_a_count_over_the_other_direction(log in random()) {
        let feature = configure("degree", "").unwrap();
        let graph = Arc::new(log.graph(feature.needs(), 37, 1, 2));
        let tables = publish(&*feature, &graph, &log);
        let names: Vec<_> = tables.iter().map(|(table, _)| table.name.as_str()).collect();
        prop_assert_eq!(names, ["feature_user", "feature_pin"]);
        for (table, blocks) in &tables {
            let other = graph.adjacency(table.side.other());
            let mut expected: BTreeMap<u32, (usize, i64)> = BTreeMap::new();
            for node in 0..other.nodes() as u32 {
                for (&mine, &weight) in other.neighbours(node).iter().zip(other.weights_of(node)) {
                    let entry = expected.entry(mine).or_default();
                    *entry = (entry.0 + 1, entry.1 + weight);
                }
            }
            for rows in blocks {
                for (row, node) in rows.nodes.iter().enumerate() {
                    let (degree, weight) = expected[node];
                    prop_assert_eq!(value(table, rows, "degree", row), degree as f64);
                    prop_assert_eq!(value(table, rows, "weight", row), fixed_to_f64(weight));
                }
            }
        }
    }
}

#[test]
fn degrees_and_weights_have_closed_forms() {
    let feature = configure("degree", "").unwrap();
    for (name, graph, lefts, rights) in of_known_degrees() {
        let log = Log::two_events_an_edge(&graph);
        let graph = Arc::new(log.graph(feature.needs(), 5, 2, 2));
        let tables = publish(&*feature, &graph, &log);
        assert_eq!(tables.len(), 2);
        for ((table, blocks), degrees) in tables.iter().zip([&lefts, &rights]) {
            // The two events of an edge are one edge of weight 0.75.
            let expected = |worth: f64| -> Vec<f64> {
                degrees.iter().map(|&degree| worth * f64::from(degree)).collect()
            };
            assert_eq!(column(table, blocks, "degree"), expected(1.0), "{name}: {}", table.name);
            assert_eq!(column(table, blocks, "weight"), expected(0.75), "{name}: {}", table.name);
        }
    }
}

#[test]
fn one_side_gives_one_table() {
    let log = Log::plain(vec![crate::event_logs::Event {
        left: 1,
        right: 2,
        age_us: 1,
        action: 0,
        weight: 1.0,
    }]);
    let feature = configure("degree", "side = 'left'").unwrap();
    let graph = Arc::new(log.graph(feature.needs(), 1, 1, 1));
    let tables = publish(&*feature, &graph, &log);
    let [(table, blocks)] = &tables[..] else { panic!("one table for one side") };
    assert_eq!((table.name.as_str(), table.side), ("feature", Side::Left));
    assert_eq!(value(table, &blocks[1], "weight", 0), 1.0);
    assert!(feature.explain_row(&graph, 0, &blocks[1], 0).contains("1 distinct pins"));
}
