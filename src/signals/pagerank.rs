//! PageRank of both sides, on the propagate kernel.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::{
    Feature, ParamDoc, Part, RowSource, Scratch, Sides, Signal, SignalDoc, Stage, Step, parse,
    split_by_work,
};
use crate::graph::{Graph, Needs};
use crate::kernels::propagate::{self, LANES, Unit};
use crate::model::{Column, ColumnType, Error, Field, Result, Rows, Side, Table};

/// Default of `damping`: the probability of following an edge, as in the paper.
const DAMPING: f64 = 0.85;
/// Default of `iterations`.
const ITERATIONS: u32 = 20;
/// Least `tolerance` but 0: rounding of the contributions alone moves the values by up to 1e-7.
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
        let uniform = |side| vec![[1.0 / nodes as f64; LANES]; graph.nodes(side)];
        let (latest, before) = (uniform(Side::Right), uniform(Side::Left));
        Step::Round(Arc::new(Pass {
            params: self.params.clone(),
            ranges: Arc::new(ranges),
            contributions: contributions(&graph, Side::Right, &latest),
            latest: Arc::new(latest),
            before: Arc::new(before),
            iteration: 0,
            side: Side::Left,
            graph,
        }))
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

/// One pass over the edges, which computes two iterations of one side.
///
/// The graph is bipartite: iteration `k + 1` of a side depends on iteration `k` of the other side
/// alone. So the left iterations `k, k + 1` follow from the right iterations `k - 1, k` by one pass, the
/// right iterations `k + 1, k + 2` from them by another, and so on: half as many passes as iterations of
/// both sides. The values are those of the plain iteration to the last bit.
///
/// Tasks are ranges of nodes of `side`.
struct Pass {
    graph: Arc<Graph>,
    params: Params,
    ranges: Arc<[Vec<Range<usize>>; 2]>,
    /// The side whose values are computed.
    side: Side,
    /// The pass computes this iteration and the next one.
    iteration: u32,
    /// Iterations `iteration - 1` and `iteration` of the other side.
    latest: Arc<Lanes>,
    /// Iterations `iteration - 2` and `iteration - 1` of `side`.
    before: Arc<Lanes>,
    /// Those of `latest`.
    contributions: Vec<[u32; LANES]>,
}

/// Two iterations of the values of one side.
type Lanes = Vec<[f64; LANES]>;

fn contributions(graph: &Graph, side: Side, values: &Lanes) -> Vec<[u32; LANES]> {
    let unit = Unit::for_nodes(graph.nodes(Side::Left) + graph.nodes(Side::Right));
    propagate::contributions(&graph.adjacency(side).offsets, values, unit)
}

impl Stage for Pass {
    fn tasks(&self) -> usize {
        self.ranges[usize::from(self.side == Side::Right)].len()
    }

    fn run(&self, task: usize, _scratch: &mut Scratch) -> Part {
        let range = self.ranges[usize::from(self.side == Side::Right)][task].clone();
        let csr = self.graph.adjacency(self.side);
        let nodes = self.graph.nodes(Side::Left) + self.graph.nodes(Side::Right);
        let (base, damping) = ((1.0 - self.params.damping) / nodes as f64, self.params.damping);
        let adjacency = (csr.offsets.as_slice(), csr.targets.as_slice());
        let from = (self.contributions.as_slice(), Unit::for_nodes(nodes));
        Part::F64(propagate::pull(adjacency, from, range, base, damping).into_flattened())
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let mut computed = Lanes::with_capacity(self.before.len());
        for part in parts {
            if let Part::F64(part) = part {
                computed.extend_from_slice(part.as_chunks().0);
            }
        }
        if self.iteration == 0 {
            // Iteration 0 is given; only the next one was to be computed.
            computed.iter_mut().zip(&*self.before).for_each(|(new, given)| new[0] = given[1]);
        }
        // With `iteration` of both sides known, it is over if it is the last.
        let last = self.iteration == self.params.iterations;
        let change = if last || self.params.tolerance > 0.0 {
            let of_side =
                change(computed.iter().map(|new| new[0]), self.before.iter().map(|v| v[1]));
            let of_other = self.latest.iter();
            of_side + change(of_other.clone().map(|v| v[1]), of_other.map(|v| v[0]))
        } else {
            f64::INFINITY
        };
        if last || (self.iteration > 0 && change <= self.params.tolerance) {
            let side: Vec<f64> = computed.iter().map(|values| values[0]).collect();
            let other = self.latest.iter().map(|values| values[1]).collect();
            let values = match self.side {
                Side::Left => [side, other],
                Side::Right => [other, side],
            };
            let iterations = self.iteration;
            return Step::Rows(Arc::new(Values::new(values, self.params.side, iterations, change)));
        }
        Step::Round(Arc::new(Pass {
            graph: self.graph.clone(),
            params: self.params.clone(),
            ranges: self.ranges.clone(),
            side: self.side.other(),
            iteration: self.iteration + 1,
            contributions: contributions(&self.graph, self.side, &computed),
            before: self.latest.clone(),
            latest: Arc::new(computed),
        }))
    }
}

/// The L1 distance of two vectors.
fn change(new: impl Iterator<Item = f64>, old: impl Iterator<Item = f64>) -> f64 {
    new.zip(old).map(|(new, old)| (new - old).abs()).sum()
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
