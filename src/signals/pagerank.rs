//! PageRank of both sides, on the propagate kernel.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::{
    Feature, ParamDoc, Part, RowSource, Scratch, Sides, Signal, SignalDoc, Stage, Step, parse,
    split_by_work,
};
use crate::graph::{Graph, Needs};
use crate::kernels::propagate;
use crate::model::{Column, ColumnType, Error, Field, Result, Rows, Side, Table};

/// Default of `damping`: the probability of following an edge, as in the paper.
const DAMPING: f64 = 0.85;
/// Default of `iterations`.
const ITERATIONS: u32 = 20;
/// Least `tolerance` but 0: rounding of the contributions alone moves the values by 1e-7.
const TOLERANCE_MIN: f64 = 1e-6;
/// Tasks a side and round: enough for balance on any machine, few enough to cost nothing.
const TASKS_A_SIDE: usize = 32;

/// The registry's entry.
pub struct PageRank;

/// `[features.NAME.pagerank]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default = "damping", alias = "alpha", alias = "damping_factor")]
    damping: f64,
    #[serde(default = "iterations", alias = "max_iterations", alias = "max_iter")]
    iterations: u32,
    #[serde(default, alias = "tol")]
    tolerance: f64,
    #[serde(default)]
    side: Sides,
}

fn damping() -> f64 {
    DAMPING
}

fn iterations() -> u32 {
    ITERATIONS
}

impl Signal for PageRank {
    fn name(&self) -> &'static str {
        "pagerank"
    }

    fn doc(&self) -> SignalDoc {
        SignalDoc {
            summary: "PageRank of every node: how often a random walk over all edges is there.",
            kernel: "propagate",
            formula: "x(n) = (1 - damping) / nodes + damping * sum over neighbours m of \
                      x(m) / degree(m), normalised so that both sides together add up to 1",
            reference: "Page, Brin, Motwani, Winograd 1999",
            params: vec![
                ParamDoc {
                    name: "damping",
                    default: DAMPING.to_string(),
                    doc: "probability of following an edge, above 0 and below 1 (alias alpha)",
                },
                ParamDoc {
                    name: "iterations",
                    default: ITERATIONS.to_string(),
                    doc: "rounds at most, 1 to 1000 (alias max_iter)",
                },
                ParamDoc {
                    name: "tolerance",
                    default: "0.0".into(),
                    doc: "stop when the values change by less than this in a round, all summed up \
                          (L1), 1e-6 or more; 0 runs all iterations (alias tol)",
                },
                ParamDoc {
                    name: "side",
                    default: "\"both\"".into(),
                    doc: "whose values are published: left, right or both",
                },
            ],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = parse(params)?;
        if !(params.damping > 0.0 && params.damping < 1.0) {
            return Err(Error::job(format!("{} is not above 0 and below 1", params.damping))
                .column("damping")
                .remedy("0.85 is usual"));
        }
        if !(1..=1000).contains(&params.iterations) {
            return Err(Error::job(format!("{} is not within 1 to 1000", params.iterations))
                .column("iterations"));
        }
        if params.tolerance != 0.0 && !(TOLERANCE_MIN..1.0).contains(&params.tolerance) {
            return Err(Error::job(format!(
                "{} is neither 0 nor within 1e-6 to 1",
                params.tolerance
            ))
            .column("tolerance")
            .remedy("0 runs all iterations"));
        }
        Ok(Box::new(Configured { feature: feature.to_string(), params }))
    }
}

/// PageRank with its parameters.
#[derive(Clone)]
struct Configured {
    feature: String,
    params: Params,
}

impl Feature for Configured {
    fn tables(&self, schema: &super::GraphSchema) -> Vec<Table> {
        let sides = self.params.side.list();
        sides
            .iter()
            .map(|&side| Table {
                name: self.params.side.table_name(&self.feature, side, &schema.names),
                side,
                fields: vec![Field {
                    name: "pagerank".into(),
                    column_type: ColumnType::Float64,
                    doc: format!(
                        "PageRank of the {}; all nodes of both sides add up to 1.",
                        schema.names.of(side)
                    ),
                }],
            })
            .collect()
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn start(&self, graph: Arc<Graph>, _key_files: &[crate::model::Keys]) -> Step {
        let nodes = graph.nodes(Side::Left) + graph.nodes(Side::Right);
        let ranges = [Side::Left, Side::Right].map(|side| {
            let csr = graph.adjacency(side);
            split_by_work(csr.nodes(), TASKS_A_SIDE, |n| csr.offsets[n + 1] - csr.offsets[n] + 1)
        });
        if nodes == 0 {
            let values = [Vec::new(), Vec::new()];
            return Step::Rows(Arc::new(Values::new(values, self.params.side, 0, 0.0)));
        }
        let uniform =
            [Side::Left, Side::Right].map(|side| vec![1.0 / nodes as f64; graph.nodes(side)]);
        Step::Round(Round::begin(graph, self.params.clone(), Arc::new(ranges), uniform, 0))
    }

    fn explain_row(&self, graph: &Graph, table: usize, rows: &Rows, row: usize) -> String {
        let side = self.params.side.list()[table];
        let (Some(&node), Some(Column::Float64(values))) =
            (rows.nodes.get(row), rows.columns.first())
        else {
            return String::new();
        };
        let nodes = graph.nodes(Side::Left) + graph.nodes(Side::Right);
        format!(
            "{} {} has PageRank {:.3e}, {:.1} times the mean of all nodes; degree {}",
            graph.names.of(side),
            graph.dictionary(side).key(node),
            values[row],
            values[row] * nodes as f64,
            graph.adjacency(side).degree(node),
        )
    }
}

/// One iteration: tasks are ranges of left nodes, then ranges of right nodes.
struct Round {
    graph: Arc<Graph>,
    params: Params,
    ranges: Arc<[Vec<Range<usize>>; 2]>,
    values: [Vec<f64>; 2],
    contributions: [Vec<f32>; 2],
    iteration: u32,
}

impl Round {
    fn begin(
        graph: Arc<Graph>,
        params: Params,
        ranges: Arc<[Vec<Range<usize>>; 2]>,
        values: [Vec<f64>; 2],
        iteration: u32,
    ) -> Arc<Round> {
        let contributions = [
            propagate::contributions(&graph.forward.offsets, &values[0]),
            propagate::contributions(&graph.backward.offsets, &values[1]),
        ];
        Arc::new(Round { graph, params, ranges, values, contributions, iteration })
    }
}

impl Stage for Round {
    fn tasks(&self) -> usize {
        self.ranges[0].len() + self.ranges[1].len()
    }

    fn run(&self, task: usize, _scratch: &mut Scratch) -> Part {
        let (side, range) = match task.checked_sub(self.ranges[0].len()) {
            None => (Side::Left, self.ranges[0][task].clone()),
            Some(task) => (Side::Right, self.ranges[1][task].clone()),
        };
        let csr = self.graph.adjacency(side);
        let contributions = match side {
            Side::Left => &self.contributions[1],
            Side::Right => &self.contributions[0],
        };
        let nodes = self.values[0].len() + self.values[1].len();
        let base = (1.0 - self.params.damping) / nodes as f64;
        let damping = self.params.damping;
        Part::F64(propagate::pull(&csr.offsets, &csr.targets, contributions, range, base, damping))
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let mut values =
            [Vec::with_capacity(self.values[0].len()), Vec::with_capacity(self.values[1].len())];
        for (task, part) in parts.into_iter().enumerate() {
            if let Part::F64(part) = part {
                values[usize::from(task >= self.ranges[0].len())].extend_from_slice(&part);
            }
        }
        let changes = |side: usize| -> f64 {
            values[side].iter().zip(&self.values[side]).map(|(new, old)| (new - old).abs()).sum()
        };
        let change = changes(0) + changes(1);
        let iteration = self.iteration + 1;
        if iteration < self.params.iterations && change > self.params.tolerance {
            let (graph, ranges) = (self.graph.clone(), self.ranges.clone());
            return Step::Round(Round::begin(
                graph,
                self.params.clone(),
                ranges,
                values,
                iteration,
            ));
        }
        Step::Rows(Arc::new(Values::new(values, self.params.side, iteration, change)))
    }
}

/// The final values of both sides.
struct Values {
    values: [Vec<f64>; 2],
    side: Sides,
    iterations: u32,
    change: f64,
}

impl Values {
    /// Normalises `values` so that they add up to 1: rounding has moved the sum by a few units in
    /// the last place.
    fn new(mut values: [Vec<f64>; 2], side: Sides, iterations: u32, change: f64) -> Values {
        let total: f64 = values[0].iter().sum::<f64>() + values[1].iter().sum::<f64>();
        for value in values.iter_mut().flatten() {
            *value /= total;
        }
        Values { values, side, iterations, change }
    }
}

impl RowSource for Values {
    fn nodes(&self, _table: usize) -> Option<Arc<Vec<u32>>> {
        None
    }

    fn work(&self, _table: usize, _node: u32) -> u64 {
        1
    }

    fn rows(&self, table: usize, nodes: &[u32], _scratch: &mut Scratch) -> Rows {
        let values = match self.side.list()[table] {
            Side::Left => &self.values[0],
            Side::Right => &self.values[1],
        };
        let column = nodes.iter().map(|&node| values[node as usize]).collect();
        Rows { nodes: nodes.to_vec(), columns: vec![Column::Float64(column)] }
    }

    fn notes(&self) -> Vec<(String, String)> {
        vec![
            ("iterations".into(), self.iterations.to_string()),
            ("last_change_l1".into(), format!("{:.3e}", self.change)),
        ]
    }
}
