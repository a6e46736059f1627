//! `co_engagement`: for each right node, the right nodes that the same left nodes engage with.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::{
    Feature, GraphSchema, ParamDoc, Part, RowSource, Scratch, Signal, SignalDoc, Stage, Step,
    split_by_work,
};
use crate::graph::{Csr, Graph, Needs};
use crate::kernels::two_hop::{
    Lists, Measure, Parts, TwoHop, WEIGHT_ONE, Workspace, column_of_node, columns_by_norm, relabel,
};
use crate::model::{Column, ColumnType, Error, Field, Keys, Result, Rows, Side, Table};

/// Default of `top_k`.
pub const TOP_K: usize = 50;

/// The largest `top_k`.
pub const TOP_K_MAX: usize = 1000;

/// Default of `shrink`.
pub const SHRINK: f64 = 0.0;

/// The largest `shrink`.
pub const SHRINK_MAX: f64 = 1e9;

/// Default of `min_count`.
pub const MIN_COUNT: u32 = 1;

/// Tasks of the preparing round for each side: enough to share among many workers.
const TASKS_A_SIDE: usize = 64;

/// The signal.
pub struct CoEngagement;

/// How much a left node counts, by its degree `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UserDiscount {
    /// 1.
    #[default]
    None,
    /// `1 / log2(1 + d)`.
    Log,
    /// `1 / d`.
    Inverse,
}

/// The measure as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeasureName {
    Count,
    #[default]
    Cosine,
    Jaccard,
}

/// The parameters as typed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Params {
    measure: MeasureName,
    #[serde(alias = "k", alias = "topk")]
    top_k: i64,
    shrink: f64,
    user_discount: UserDiscount,
    min_count: i64,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            measure: MeasureName::default(),
            top_k: TOP_K as i64,
            shrink: SHRINK,
            user_discount: UserDiscount::default(),
            min_count: i64::from(MIN_COUNT),
        }
    }
}

impl Signal for CoEngagement {
    fn name(&self) -> &'static str {
        "co_engagement"
    }

    fn doc(&self) -> SignalDoc {
        let param = |name, default: &str, doc| ParamDoc { name, default: default.into(), doc };
        SignalDoc {
            summary: "For each right node, the top-K right nodes that the same left nodes engage with.",
            kernel: "two_hop",
            formula: "n(p,q) = sum over left nodes u of both of w(u); count: n; cosine: n / sqrt(n(p,p) n(q,q)); \
                      jaccard: n / (n(p,p) + n(q,q) - n); each times n / (n + shrink)",
            reference: "Sarwar et al., Item-based collaborative filtering, WWW 2001; \
                        Adamic and Adar, Friends and neighbors on the Web, Social Networks 2003",
            params: vec![
                param(
                    "measure",
                    "\"cosine\"",
                    "Score of a pair: \"count\", \"cosine\" or \"jaccard\".",
                ),
                param("top_k", "50", "Nodes listed at most, 1 to 1000; also k, topk."),
                param(
                    "shrink",
                    "0",
                    "Pulls scores that rest on few left nodes towards 0, 0 to 1e9, in left nodes.",
                ),
                param(
                    "user_discount",
                    "\"none\"",
                    "w(u) of a left node with d edges: \"none\" 1, \"log\" 1 / log2(1 + d), \"inverse\" 1 / d.",
                ),
                param("min_count", "1", "Left nodes in common at least, undiscounted, 1 or more."),
            ],
        }
    }

    fn configure(&self, feature: &str, params: toml::Table) -> Result<Box<dyn Feature>> {
        let params: Params = params.try_into().map_err(|error: toml::de::Error| {
            Error::job(error.message().trim().to_owned())
                .remedy("`pingraph signals co_engagement` lists the parameters")
        })?;
        let out_of_range = |name: &str, range: &str, value: &dyn std::fmt::Display| {
            Error::job(format!("{name} is {value}"))
                .column(name)
                .remedy(format!("use a number from {range}"))
        };
        if !(1..=TOP_K_MAX as i64).contains(&params.top_k) {
            return Err(out_of_range("top_k", "1 to 1000", &params.top_k));
        }
        if !(0.0..=SHRINK_MAX).contains(&params.shrink) {
            return Err(out_of_range("shrink", "0 to 1e9", &params.shrink));
        }
        if !(1..=i64::from(u32::MAX)).contains(&params.min_count) {
            return Err(out_of_range("min_count", "1 to 4294967295", &params.min_count));
        }
        Ok(Box::new(CoEngagementFeature { name: feature.to_owned(), params }))
    }
}

/// The signal with its parameters.
struct CoEngagementFeature {
    name: String,
    params: Params,
}

impl Feature for CoEngagementFeature {
    fn tables(&self, schema: &GraphSchema) -> Vec<Table> {
        let (left, right) = (schema.names.of(Side::Left), schema.names.of(Side::Right));
        let formula = match self.params.measure {
            MeasureName::Count => "number in common",
            MeasureName::Cosine => "cosine similarity, 0 to 1",
            MeasureName::Jaccard => "Jaccard similarity, 0 to 1",
        };
        vec![Table {
            name: self.name.clone(),
            side: Side::Right,
            fields: vec![
                Field {
                    name: format!("related_{right}_ids"),
                    column_type: ColumnType::NodeList(Side::Right),
                    doc: format!(
                        "The {} {right}s that most of the same {left}s engage with, best first.",
                        self.params.top_k
                    ),
                },
                Field {
                    name: format!("related_{right}_scores"),
                    column_type: ColumnType::Float32List,
                    doc: format!(
                        "Their scores ({formula}), descending; equal ones by ascending id."
                    ),
                },
            ],
        }]
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn start(&self, graph: Arc<Graph>, _key_files: &[Keys]) -> Step {
        let weights = weights(&graph.forward, self.params.user_discount);
        let degree = |node: usize| graph.backward.degree(node as u32) as u64 + 1;
        let rights = split_by_work(graph.backward.nodes(), TASKS_A_SIDE, degree);
        let params = self.params.clone();
        Step::Round(Arc::new(Totals { graph, params, weights, rights }))
    }

    fn explain_row(&self, graph: &Graph, _table: usize, rows: &Rows, row: usize) -> String {
        let (left, right) = (graph.names.of(Side::Left), graph.names.of(Side::Right));
        let Some(&node) = rows.nodes.get(row) else {
            return String::new();
        };
        let key = graph.right.key(node);
        let [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }] =
            rows.columns.as_slice()
        else {
            return format!("{right} {key}");
        };
        let (begin, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        if begin == end {
            return format!("{right} {key}: no related {right}, none shares a {left} with it");
        }
        let (best, score) = (nodes[begin], values[begin]);
        let backward = &graph.backward;
        let common = in_common(backward.neighbours(node), backward.neighbours(best));
        let lefts = if common == 1 { left.to_owned() } else { format!("{left}s") };
        format!(
            "{right} {key}: {} related, best {right} {} (score {score:.2}, {common} {lefts} in common)",
            end - begin,
            graph.right.key(best),
        )
    }
}

/// How many numbers two ascending lists share.
fn in_common(a: &[u32], b: &[u32]) -> usize {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.iter().filter(|node| long.binary_search(node).is_ok()).count()
}

/// The weight of each left node in units of 2^-31, at least 1 unit; empty if all are 1.
fn weights(forward: &Csr, discount: UserDiscount) -> Vec<u32> {
    let weight = |node: u32| {
        let degree = forward.degree(node).max(1) as f64;
        let weight = match discount {
            UserDiscount::None => 1.0,
            UserDiscount::Log => 1.0 / libm::log2(1.0 + degree),
            UserDiscount::Inverse => 1.0 / degree,
        };
        (weight * f64::from(WEIGHT_ONE)).round().max(1.0) as u32
    };
    match discount {
        UserDiscount::None => Vec::new(),
        _ => (0..forward.nodes() as u32).map(weight).collect(),
    }
}

/// The first preparing round: the tasks of `rights` give wedges and norms of the right nodes.
struct Totals {
    graph: Arc<Graph>,
    params: Params,
    weights: Vec<u32>,
    rights: Vec<Range<usize>>,
}

impl Totals {
    /// Wedges of each right node of `range`, then the norm of each.
    fn totals(&self, range: &Range<usize>) -> Vec<i64> {
        let nodes = range.start as u32..range.end as u32;
        let sum = |node: u32, of: &dyn Fn(u32) -> u64| {
            self.graph.backward.neighbours(node).iter().map(|&left| of(left)).sum::<u64>() as i64
        };
        let wedges = nodes.clone().map(|node| {
            let lefts = self.graph.backward.neighbours(node);
            lefts.iter().map(|&left| self.graph.forward.degree(left) as i64).sum()
        });
        let mut totals: Vec<i64> = wedges.collect();
        if self.weights.is_empty() {
            totals.extend(nodes.map(|node| self.graph.backward.degree(node) as i64));
        } else {
            let weight = |left: u32| u64::from(self.weights[left as usize]);
            totals.extend(nodes.map(|node| sum(node, &weight)));
        }
        totals
    }
}

impl Stage for Totals {
    fn tasks(&self) -> usize {
        self.rights.len()
    }

    fn run(&self, task: usize, _scratch: &mut Scratch) -> Part {
        Part::I64(self.totals(&self.rights[task]))
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let (mut wedges, mut norms) = (Vec::new(), Vec::new());
        for part in parts {
            if let Part::I64(totals) = part {
                let (first, second) = totals.split_at(totals.len() / 2);
                wedges.extend(first.iter().map(|&total| total as u64));
                norms.extend(second.iter().map(|&total| total as u64));
            }
        }
        let graph = Arc::clone(&self.graph);
        let nodes = columns_by_norm(&norms);
        let columns = column_of_node(&nodes);
        let degree = |node: usize| graph.forward.degree(node as u32) as u64 + 1;
        let lefts = split_by_work(graph.forward.nodes(), TASKS_A_SIDE, degree);
        let (params, weights) = (self.params.clone(), self.weights.clone());
        Step::Round(Arc::new(Relabel {
            graph,
            params,
            weights,
            wedges,
            norms,
            nodes,
            columns,
            lefts,
        }))
    }
}

/// The second: the tasks of `lefts` give the relabelled lists of the left nodes.
struct Relabel {
    graph: Arc<Graph>,
    params: Params,
    weights: Vec<u32>,
    wedges: Vec<u64>,
    norms: Vec<u64>,
    nodes: Vec<u32>,
    columns: Vec<u32>,
    lefts: Vec<Range<usize>>,
}

impl Stage for Relabel {
    fn tasks(&self) -> usize {
        self.lefts.len()
    }

    fn run(&self, task: usize, _scratch: &mut Scratch) -> Part {
        let forward = &self.graph.forward;
        let range = self.lefts[task].clone();
        Part::U32(relabel(&forward.offsets, &forward.targets, &self.columns, range))
    }

    fn next(self: Arc<Self>, parts: Vec<Part>) -> Step {
        let words = parts.into_iter().filter_map(|part| match part {
            Part::U32(list) => Some(list),
            _ => None,
        });
        let parts = Parts {
            lists: Lists::join(&self.graph.forward.offsets, &self.lefts, words.collect()),
            nodes: self.nodes.clone(),
            columns: self.columns.clone(),
            norms: self.norms.clone(),
            weights: self.weights.clone(),
        };
        let measure = match self.params.measure {
            MeasureName::Count => Measure::Count,
            MeasureName::Cosine => Measure::Cosine,
            MeasureName::Jaccard => Measure::Jaccard,
        };
        let (top_k, min_count) = (self.params.top_k as usize, self.params.min_count as u32);
        let kernel = TwoHop::new(parts, measure, self.params.shrink, min_count, top_k);
        let (graph, wedges) = (Arc::clone(&self.graph), self.wedges.clone());
        Step::Rows(Arc::new(Related { graph, kernel, wedges }))
    }
}

/// The rows.
struct Related {
    graph: Arc<Graph>,
    kernel: TwoHop,
    wedges: Vec<u64>,
}

impl RowSource for Related {
    fn nodes(&self, _table: usize) -> Option<Arc<Vec<u32>>> {
        None
    }

    fn work(&self, _table: usize, node: u32) -> u64 {
        // Selecting costs about as much as so many wedges, however few the row has.
        self.wedges[node as usize] + (self.wedges.len() / 32).min(4096) as u64
    }

    fn rows(&self, _table: usize, nodes: &[u32], scratch: &mut Scratch) -> Rows {
        let mut offsets = Vec::with_capacity(nodes.len() + 1);
        offsets.push(0);
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        let mut row = Vec::new();
        scratch.with(|workspace: &mut Workspace| {
            for &node in nodes {
                row.clear();
                let lefts = self.graph.backward.neighbours(node);
                self.kernel.row(node, lefts, self.wedges[node as usize], workspace, &mut row);
                ids.extend(row.iter().map(|&(_, id)| id));
                scores.extend(row.iter().map(|&(score, _)| score));
                offsets.push(ids.len() as u32);
            }
        });
        let columns = vec![
            Column::NodeList { offsets: offsets.clone(), nodes: ids },
            Column::Float32List { offsets, values: scores },
        ];
        Rows { nodes: nodes.to_vec(), columns }
    }
}
