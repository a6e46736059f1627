//! The plan of a job: its stages as a directed acyclic graph.
//!
//! Stages that several features share stand in the plan once. A plan is checked when it is made:
//! every input exists, no stage waits for itself, and every stage leads to something published.

use std::collections::BTreeMap;
use std::fmt::Write;

use petgraph::algo::toposort;
use petgraph::dot::{Config, Dot};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed};

use super::Job;
use crate::graph::Needs;
use crate::model::{Error, Result};

/// A stage of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStage {
    /// Name, of which a plan has one.
    pub name: String,
    /// What it does.
    pub what: String,
    /// Names of the stages that it waits for.
    pub inputs: Vec<String>,
    /// Whether it leaves something behind, so that the plan is run for its sake.
    pub publishes: bool,
}

/// The stages of a job, each after its inputs.
#[derive(Clone, Debug)]
pub struct Plan {
    graph: DiGraph<PlanStage, ()>,
    order: Vec<NodeIndex>,
}

impl Plan {
    /// The plan of `job`.
    ///
    /// # Errors
    /// None that a validated job can cause.
    pub fn of(job: &Job) -> Result<Plan> {
        Plan::new(stages(job))
    }

    /// The plan of `stages`, in any order. Equal stages are one.
    ///
    /// # Errors
    /// When two different stages have one name, an input does not exist, stages wait for each
    /// other, or a stage leads to nothing that is published.
    pub fn new(stages: Vec<PlanStage>) -> Result<Plan> {
        let mut graph = DiGraph::new();
        let mut nodes: BTreeMap<String, NodeIndex> = BTreeMap::new();
        for stage in stages {
            match nodes.get(&stage.name) {
                None => {
                    nodes.insert(stage.name.clone(), graph.add_node(stage));
                }
                Some(node) if graph[*node] == stage => (),
                Some(_) => {
                    return Err(wrong(&stage.name, "two different stages have this name"));
                }
            }
        }
        for node in graph.node_indices().collect::<Vec<_>>() {
            for input in graph[node].inputs.clone() {
                let Some(from) = nodes.get(&input) else {
                    let what = format!("it waits for `{input}`, which is no stage");
                    return Err(wrong(&graph[node].name, what));
                };
                graph.update_edge(*from, node, ());
            }
        }
        let order = toposort(&graph, None).map_err(|cycle| {
            wrong(&graph[cycle.node_id()].name, "it waits for itself, through its inputs")
        })?;
        let plan = Plan { graph, order };
        plan.check_use()?;
        Ok(plan)
    }

    /// The stages, each after its inputs.
    pub fn stages(&self) -> impl Iterator<Item = &PlanStage> {
        self.order.iter().map(|node| &self.graph[*node])
    }

    /// The plan for people: a paragraph a stage, each after its inputs.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.order.iter().enumerate() {
            let stage = &self.graph[*node];
            // Writing to a string cannot fail.
            let _ = write!(text, "{:>4}  {}", index + 1, stage.name);
            if !stage.inputs.is_empty() {
                let _ = write!(text, "  (after {})", stage.inputs.join(", "));
            }
            let _ = writeln!(text, "\n      {}", stage.what);
        }
        text
    }

    /// The plan in Graphviz' DOT language.
    pub fn dot(&self) -> String {
        let named = self.graph.map(|_, stage| stage.name.clone(), |_, ()| "");
        let shape = |_: &DiGraph<String, &str>, (node, _): (NodeIndex, &String)| match self.graph
            [node]
            .publishes
        {
            true => "shape = box, style = bold".to_owned(),
            false => "shape = box".to_owned(),
        };
        let config = [Config::EdgeNoLabel];
        let dot = Dot::with_attr_getters(&named, &config, &|_, _| String::new(), &shape);
        format!("{dot}")
    }

    /// Every stage must lead to one that publishes.
    fn check_use(&self) -> Result<()> {
        let mut used = vec![false; self.graph.node_count()];
        let reversed = Reversed(&self.graph);
        for sink in self.graph.node_indices().filter(|node| self.graph[*node].publishes) {
            let mut search = Dfs::new(reversed, sink);
            while let Some(node) = search.next(reversed) {
                used[node.index()] = true;
            }
        }
        for node in &self.order {
            if !used[node.index()] {
                return Err(wrong(&self.graph[*node].name, "nothing that is published needs it"));
            }
        }
        Ok(())
    }
}

fn wrong(stage: &str, what: impl Into<String>) -> Error {
    Error::engine(what).column(format!("stage {stage}"))
}

/// The stages of `job`.
fn stages(job: &Job) -> Vec<PlanStage> {
    let needs = job.needs();
    let mut stages = graph_stages(job, needs);
    let schema = job.schema();
    let mut tables = Vec::new();
    for plan in &job.features {
        let mut inputs = vec!["assemble".to_owned()];
        if plan.feature.needs().events {
            inputs.push("totals".to_owned());
        }
        for file in plan.feature.key_files() {
            let name = format!("keys {}", file.path.display());
            let what = format!("dense ids of the {} keys in the file", schema.names.of(file.side));
            stages.push(stage(&name, what, &["assemble"]));
            inputs.push(name);
        }
        let compute = format!("{} ({})", plan.name, plan.signal);
        stages.push(PlanStage {
            name: compute.clone(),
            what: "rounds of independent tasks, then blocks of rows, on any worker".to_owned(),
            inputs,
            publishes: false,
        });
        for table in plan.feature.tables(&schema) {
            let name = format!("write {}", table.name);
            let (row, columns) = (schema.names.of(table.side), table.fields.len() + 1);
            let what = format!("Parquet, one row for each {row}, {columns} columns");
            stages.push(stage(&name, what, &[&compute]));
            tables.push(name);
        }
    }
    stages.push(PlanStage {
        name: "publish".to_owned(),
        what: format!(
            "fsync, one rename and a manifest for each table under {}",
            job.out.display()
        ),
        inputs: tables,
        publishes: true,
    });
    stages
}

/// The stages that make the graph.
fn graph_stages(job: &Job, needs: Needs) -> Vec<PlanStage> {
    let rules = &job.graph;
    let mut build = vec!["sort and de-duplicate".to_owned()];
    if needs.weights {
        build.push("sum up weights in fixed point".to_owned());
    }
    if let Some(max) = rules.left_degree_max {
        build.push(format!("keep the {max} most recent edges of each {}", rules.names.left));
    }
    let mut stages = vec![
        stage("read", job.source_label.clone(), &[]),
        stage("dictionary", "distinct keys, sorted: a dense id is a rank", &["read"]),
        stage("shuffle", "events to the worker that owns their left node", &["read", "dictionary"]),
        stage("build", build.join("; "), &["shuffle"]),
        stage("transpose", "the adjacency of the other side, by counting sort", &["build"]),
        stage(
            "assemble",
            format!(
                "drop {} with fewer than {} edges and {} with fewer than {}; one graph for all workers",
                plural(&rules.names.left),
                rules.left_degree_min,
                plural(&rules.names.right),
                rules.right_degree_min
            ),
            &["build", "transpose", "dictionary"],
        ),
    ];
    if needs.events {
        stages.push(stage(
            "totals",
            "events, distinct counterparts and weight of each node by action and window",
            &["shuffle", "dictionary"],
        ));
    }
    stages
}

fn plural(name: &str) -> String {
    format!("{name}s")
}

fn stage(name: &str, what: impl Into<String>, inputs: &[&str]) -> PlanStage {
    PlanStage {
        name: name.to_owned(),
        what: what.into(),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        publishes: false,
    }
}
