//! `degree`: the number of distinct neighbours of each node, and the sum of its edges' weights.
//!
//! degree(n) = |N(n)|; weight(n) = sum over m in N(n) of w(n, m), both in the graph as built, after
//! de-duplication, removal, cap and filters. Weights are summed in fixed point and converted once.
//!
//! Kernel: [`crate::kernels::aggregate`]'s kind of group-by, over edges; the adjacency is grouped
//! already, so it is one pass over the weights.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Feature, GraphSchema, ParamDoc, RowSource, Scratch, Sides, Signal, SignalDoc, Step, parse,
};
use crate::graph::{Graph, Needs};
use crate::model::{Column, ColumnType, Field, Keys, Result, Rows, Side, Table, fixed_to_f64};

/// The signal.
pub struct Degree;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Params {
    side: Sides,
}

impl Default for Params {
    fn default() -> Params {
        Params { side: Sides::Both }
    }
}

impl Signal for Degree {
    fn name(&self) -> &'static str {
        "degree"
    }

    fn doc(&self) -> SignalDoc {
        SignalDoc {
            summary: "Distinct neighbours of each node and the sum of its edges' weights.",
            kernel: "aggregate",
            formula: "degree(n) = |N(n)|; weight(n) = sum over m in N(n) of w(n, m)",
            reference: "Newman, Networks, 6.10: degree and strength",
            params: vec![ParamDoc {
                name: "side",
                default: "\"both\"".into(),
                doc: "whose nodes are the rows: left, right, or both (a table each)",
            }],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = parse(params)?;
        Ok(Box::new(Configured { feature: feature.into(), sides: params.side }))
    }
}

/// The signal with its parameters.
struct Configured {
    feature: String,
    sides: Sides,
}

impl Feature for Configured {
    fn tables(&self, schema: &GraphSchema) -> Vec<Table> {
        let field =
            |name: &str, column_type, doc: String| Field { name: name.into(), column_type, doc };
        let table = |&side: &Side| {
            let other = schema.names.of(side.other());
            let doc = format!("Distinct {other} nodes joined to it, at least 1.");
            Table {
                name: self.sides.table_name(&self.feature, side, &schema.names),
                side,
                fields: vec![
                    field("degree", ColumnType::Int64, doc),
                    field("weight", ColumnType::Float64, "Sum of its edges' weights.".into()),
                ],
            }
        };
        self.sides.list().iter().map(table).collect()
    }

    fn needs(&self) -> Needs {
        Needs { weights: true, ..Needs::default() }
    }

    fn start(&self, graph: Arc<Graph>, _key_files: &[Keys]) -> Step {
        Step::Rows(Arc::new(Source { graph, sides: self.sides }))
    }

    fn explain_row(&self, graph: &Graph, table: usize, rows: &Rows, row: usize) -> String {
        let side = self.sides.list()[table];
        let node = rows.nodes[row];
        let (name, other) = (graph.names.of(side), graph.names.of(side.other()));
        format!(
            "{name} {} is joined to {} distinct {other}s with a total weight of {:.3}",
            graph.dictionary(side).key(node),
            graph.adjacency(side).degree(node),
            weight(graph, side, node),
        )
    }
}

/// The sum of the weights of `node`'s edges.
fn weight(graph: &Graph, side: Side, node: u32) -> f64 {
    let weights = graph.adjacency(side).weights_of(node);
    fixed_to_f64(weights.iter().fold(0i64, |sum, &weight| sum.saturating_add(weight)))
}

struct Source {
    graph: Arc<Graph>,
    sides: Sides,
}

impl RowSource for Source {
    fn nodes(&self, _table: usize) -> Option<Arc<Vec<u32>>> {
        None
    }

    fn work(&self, table: usize, node: u32) -> u64 {
        1 + self.graph.adjacency(self.sides.list()[table]).degree(node) as u64
    }

    fn rows(&self, table: usize, nodes: &[u32], _scratch: &mut Scratch) -> Rows {
        let side = self.sides.list()[table];
        let degree = |&node: &u32| Some(self.graph.adjacency(side).degree(node) as i64);
        Rows {
            nodes: nodes.to_vec(),
            columns: vec![
                Column::Int64(nodes.iter().map(degree).collect()),
                Column::Float64(
                    nodes.iter().map(|&node| weight(&self.graph, side, node)).collect(),
                ),
            ],
        }
    }
}
