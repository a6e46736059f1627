//! The plan as a graph of stages.

use pingraph::job::memory::{self, Per};
use pingraph::job::{Plan, PlanStage};

use crate::example::EXAMPLE;
use crate::support::{SHORT, load};

fn stage(name: &str, inputs: &[&str], publishes: bool) -> PlanStage {
    PlanStage {
        name: name.to_owned(),
        what: format!("does {name}"),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        publishes,
    }
}

fn error(stages: Vec<PlanStage>) -> String {
    Plan::new(stages).err().unwrap().to_string()
}

#[test]
fn stages_stand_after_their_inputs() {
    let text = EXAMPLE.replace("[sink", "[features.pop.popularity]\n[sink");
    let plan = Plan::of(&load(&text).unwrap()).unwrap();
    let names: Vec<&str> = plan.stages().map(|stage| stage.name.as_str()).collect();
    for stage in plan.stages() {
        let own = names.iter().position(|name| *name == stage.name).unwrap();
        for input in &stage.inputs {
            assert!(names.iter().position(|name| name == input).unwrap() < own);
        }
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "assemble",
            "build",
            "dictionary",
            "pop (popularity)",
            "publish",
            "read",
            "related_v1 (co_engagement)",
            "shuffle",
            "totals",
            "transpose",
            "write pop_pin",
            "write pop_user",
            "write related_v1",
        ]
    );
    let input_of =
        |name: &str| plan.stages().find(|stage| stage.name == name).unwrap().inputs.clone();
    assert_eq!(input_of("publish"), ["write pop_user", "write pop_pin", "write related_v1"]);
    assert_eq!(input_of("pop (popularity)"), ["assemble", "totals"]);
    assert_eq!(input_of("related_v1 (co_engagement)"), ["assemble"]);
}

#[test]
fn stages_that_features_share_appear_once() {
    let seeds = "seeds = \"seeds.txt\"";
    let text = SHORT.replace("top_k = 10", seeds);
    let text = format!("{text}[features.b.weighted]\n{seeds}\n[features.c.weighted]\n");
    let plan = Plan::of(&load(&text).unwrap()).unwrap();
    let count = |name: &str| plan.stages().filter(|stage| stage.name == name).count();
    assert_eq!(count("keys seeds.txt"), 1);
    assert_eq!(count("assemble"), 1);
    assert_eq!(count("totals"), 0);
    let users = plan.stages().filter(|stage| stage.inputs.iter().any(|i| i == "keys seeds.txt"));
    assert_eq!(users.count(), 2);
}

/// The bytes of a stage per what.
fn bytes(text: &str, name: &str, per: Per) -> f64 {
    let stages = memory::stages(&load(text).unwrap());
    let stage = stages.iter().find(|stage| stage.stage == name).unwrap();
    stage.held.iter().filter(|held| held.per == per).map(|held| held.bytes).sum()
}

#[test]
fn memory_counts_the_columns_that_the_job_reads() {
    let weighted = EXAMPLE.replace("co_engagement", "weighted");
    for stage in ["read", "ids", "edges"] {
        assert_eq!(bytes(SHORT, stage, Per::Event), 8.0, "{stage}");
        assert_eq!(bytes(&weighted, stage, Per::Event), 24.0, "{stage}");
    }
    // No event is left when the graph is put together.
    assert_eq!(bytes(&weighted, "adjacency", Per::Event), 0.0);
    assert_eq!(bytes(SHORT, "adjacency", Per::Edge), 16.0);
    assert_eq!(bytes(&weighted, "adjacency", Per::Edge), 40.0);
}

#[test]
fn text_and_dot_name_every_stage_and_edge() {
    let plan = Plan::of(&load(EXAMPLE).unwrap()).unwrap();
    let (text, dot) = (plan.text(), plan.dot());
    let mut edges = 0;
    for (index, stage) in plan.stages().enumerate() {
        assert!(text.contains(&format!("{:>4}  {}", index + 1, stage.name)), "{text}");
        assert!(text.contains(&stage.what));
        assert!(dot.contains(&format!("label = \"{}\"", stage.name)), "{dot}");
        edges += stage.inputs.len();
    }
    assert!(dot.starts_with("digraph {"));
    assert_eq!(dot.matches(" -> ").count(), edges);
    assert_eq!(dot.matches("style = bold").count(), 1);
}

#[test]
fn dot_escapes_quotes() {
    let plan = Plan::new(vec![stage("a \"b\"", &[], true)]).unwrap();
    assert!(plan.dot().contains("label = \"a \\\"b\\\"\""), "{}", plan.dot());
}

#[test]
fn a_cycle_is_an_error() {
    let stages =
        vec![stage("a", &["b"], false), stage("b", &["a"], false), stage("c", &["b"], true)];
    let error = error(stages);
    assert!(
        ["a", "b"]
            .iter()
            .any(|name| error == format!("stage {name}: it waits for itself, through its inputs")),
        "{error}"
    );
}

#[test]
fn an_unused_stage_is_an_error() {
    let stages = vec![stage("a", &[], false), stage("b", &["a"], false), stage("c", &["a"], true)];
    assert_eq!(error(stages), "stage b: nothing that is published needs it");
}

#[test]
fn a_missing_or_ambiguous_input_is_an_error() {
    assert_eq!(
        error(vec![stage("a", &["z"], true)]),
        "stage a: it waits for `z`, which is no stage"
    );
    assert_eq!(
        error(vec![stage("a", &[], true), stage("a", &[], false)]),
        "stage a: two different stages have this name"
    );
    let twice = vec![stage("a", &[], true), stage("a", &[], true)];
    assert_eq!(Plan::new(twice).unwrap().stages().count(), 1);
}
