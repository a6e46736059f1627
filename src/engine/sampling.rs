//! The rows of single nodes, for `sample`.

use super::features::{Features, Goal};
use super::report::SampleRow;
use super::shared::lock;
use crate::graph::Graph;
use crate::model::{Column, ColumnType, KeyRef, KeyType, Side, Table};
use crate::signals::{RowSource, Scratch};

/// Computes the rows of table `index` of feature `feature` for the nodes that are asked for.
pub(super) fn sample_table(
    features: &Features,
    graph: &Graph,
    source: &dyn RowSource,
    (feature, index): (usize, usize),
    table: &Table,
    scratch: &mut Scratch,
) {
    let Goal::Sample(wanted) = &features.goal else { return };
    for (side, key) in wanted.iter().filter(|(side, _)| *side == table.side) {
        let Some(node) = find_node(graph, *side, key) else { continue };
        if source.nodes(index).is_some_and(|nodes| !nodes.contains(&node)) {
            continue;
        }
        let rows = source.rows(index, &[node], scratch);
        let values = table.fields.iter().zip(&rows.columns).map(|(field, column)| {
            (field.name.clone(), readable(graph, field.column_type, column))
        });
        let plan = &features.shared.job.features[feature];
        lock(&features.samples).push(SampleRow {
            side: *side,
            table: table.name.clone(),
            sentence: plan.feature.explain_row(graph, index, &rows, 0),
            values: values.collect(),
        });
    }
}

/// The node of `side` whose key is written `key`.
pub(super) fn find_node(graph: &Graph, side: Side, key: &str) -> Option<u32> {
    let dictionary = graph.dictionary(side);
    match dictionary.keys().key_type() {
        KeyType::Int64 => dictionary.id(KeyRef::Int64(key.parse().ok()?)),
        KeyType::Utf8 => dictionary.id(KeyRef::Utf8(key)),
    }
}

/// The first row of `column` as text.
fn readable(graph: &Graph, column_type: ColumnType, column: &Column) -> String {
    let join = |values: Vec<String>| format!("[{}]", values.join(", "));
    match column {
        Column::Int64(values) => match values.first() {
            Some(Some(value)) => value.to_string(),
            _ => "null".into(),
        },
        Column::Float32(values) => values.first().map_or("null".into(), f32::to_string),
        Column::Float64(values) => values.first().map_or("null".into(), f64::to_string),
        Column::NodeList { nodes, .. } => {
            let ColumnType::NodeList(side) = column_type else { return String::new() };
            join(nodes.iter().map(|&n| graph.dictionary(side).key(n).to_string()).collect())
        }
        Column::Float32List { values, .. } => {
            join(values.iter().map(|value| format!("{value:.5}")).collect())
        }
        Column::Int64List { values, .. } => join(values.iter().map(i64::to_string).collect()),
    }
}
