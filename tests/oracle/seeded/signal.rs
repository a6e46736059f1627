//! The signal `personalized_pagerank`: calibration, rows, seeds, parameters, gowalla.

// A test that cannot be set up has nothing better to do than to panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::kernels::seeded::Walk;
use pingraph::model::{Column, Keys, Rows, SideNames};
use pingraph::signals::{Feature, GraphSchema, Registry, RowSource, Scratch, Step};

use super::{WALK, ranked, twins};
use crate::graphs;

/// A graph of 6,000 x 3,000 nodes in communities, with popular right nodes; large enough for the
/// truncated method.
fn communities() -> Graph {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut edges = Vec::new();
    for left in 0..6_000u32 {
        let home = random(60);
        for _ in 0..15 + random(20) {
            let within = home * 50 + random(50) * random(50) / 50;
            let anywhere = random(3_000) * random(3_000) / 3_000;
            let right = if random(10) < 7 { within } else { anywhere };
            edges.push((left, right as u32));
        }
    }
    graphs::compact(&edges)
}

fn configure(params: &str) -> Box<dyn Feature> {
    let registry = Registry::default();
    let signal = registry.find("personalized_pagerank").unwrap();
    signal.configure("walks", params.parse().unwrap()).unwrap()
}

/// Runs all rounds on one thread.
fn finish(feature: &dyn Feature, graph: &Arc<Graph>, keys: &[Keys]) -> Arc<dyn RowSource> {
    let mut scratch = Scratch::default();
    let mut step = feature.start(Arc::clone(graph), keys);
    loop {
        match step {
            Step::Rows(rows) => return rows,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, &mut scratch)).collect();
                step = stage.next(parts);
            }
        }
    }
}

fn lists(rows: &Rows) -> Vec<(Vec<u32>, Vec<f32>)> {
    let [Column::NodeList { offsets, nodes }, Column::Float32List { values, .. }] =
        rows.columns.as_slice()
    else {
        panic!("not the declared columns");
    };
    let range = |row: &[u32]| row[0] as usize..row[1] as usize;
    offsets.windows(2).map(|w| (nodes[range(w)].to_vec(), values[range(w)].to_vec())).collect()
}

/// The share of the best nodes that `rows` hold. Sixteen rows at a time, on two threads.
fn mean_recall(graph: &Graph, walk: Walk, rows: &Rows) -> f64 {
    let found: Vec<(u32, Vec<u32>)> =
        rows.nodes.iter().copied().zip(lists(rows).into_iter().map(|(nodes, _)| nodes)).collect();
    let recall = |found: &[(u32, Vec<u32>)]| -> f64 {
        let mut total = 0.0;
        for block in found.chunks(16) {
            let seeds = std::array::from_fn(|lane| block.get(lane).unwrap_or(&block[0]).0);
            let scores = twins::<16>(graph, walk.restart, seeds);
            for (lane, (seed, nodes)) in block.iter().enumerate() {
                let own: Vec<f64> = scores.iter().map(|scores| scores[lane]).collect();
                let expected = ranked(graph, walk, *seed, &own);
                let hits = expected.iter().filter(|(_, node)| nodes.contains(node)).count();
                total += hits as f64 / expected.len().max(1) as f64;
            }
        }
        total
    };
    let (one, two) = found.split_at(found.len() / 2);
    let total = std::thread::scope(|scope| {
        let other = scope.spawn(|| recall(two));
        recall(one) + other.join().unwrap()
    });
    total / found.len() as f64
}

fn note<'a>(notes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    notes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn calibration_reaches_the_recall_asked_for() {
    let graph = Arc::new(communities());
    let walk = Walk { exclude_seen: true, ..WALK };
    let seeds: Vec<u32> = (0..25).map(|n| n * 211).collect();
    for (accuracy, least) in [("0.9", 0.88), ("\"fast\"", 0.95), ("0.99", 0.985), ("0.999", 0.995)]
    {
        let rows = finish(&*configure(&format!("accuracy = {accuracy}")), &graph, &[]);
        let notes = rows.notes();
        let measured: f64 = note(&notes, "recall_at_100").unwrap().parse().unwrap();
        let recall = mean_recall(&graph, walk, &rows.rows(0, &seeds, &mut Scratch::default()));
        assert!(recall >= least && (recall - measured).abs() < 0.02, "{recall}: {notes:?}");
    }
    let exact = finish(&*configure("accuracy = \"exact\""), &graph, &[]);
    assert_eq!(note(&exact.notes(), "method"), Some("exact"));
    let rows = exact.rows(0, &seeds, &mut Scratch::default());
    assert!(mean_recall(&graph, walk, &rows) >= 0.9999);
}

#[test]
fn rows_do_not_depend_on_how_they_are_cut() {
    let graph = Arc::new(communities());
    let source = finish(&*configure("accuracy = 0.99\ntop_k = 20"), &graph, &[]);
    let nodes: Vec<u32> = (1_000..1_070).collect();
    let whole = lists(&source.rows(0, &nodes, &mut Scratch::default()));
    for size in [1, 7, 16, 33] {
        let mut scratch = Scratch::default();
        let pieces: Vec<_> = nodes
            .chunks(size)
            .flat_map(|piece| lists(&source.rows(0, piece, &mut scratch)))
            .collect();
        assert!(pieces == whole, "in pieces of {size}");
    }
}

#[test]
fn samples_and_files_of_seeds() {
    let graph = Arc::new(graphs::complete(50, 4));
    let names = SideNames { left: "user".into(), right: "pin".into() };
    let schema = GraphSchema { names, actions: vec!["all".into()], timed: false };
    let nodes = |params: &str, keys: &[Keys]| {
        let source = finish(&*configure(params), &graph, keys);
        (source.nodes(0).map(|nodes| nodes.to_vec()), source.notes())
    };
    assert_eq!(nodes("", &[]).0, None, "all by default");
    assert_eq!(nodes("seeds = \"all\"", &[]).0, None);
    let ten = nodes("sample = 10", &[]).0.unwrap();
    let twenty = nodes("sample = 20", &[]).0.unwrap();
    assert_eq!((ten.len(), twenty.len()), (10, 20));
    assert!(ten.iter().all(|node| twenty.contains(node)), "a larger sample keeps the smaller");
    assert!(ten.is_sorted());
    assert_eq!(nodes("sample = 10", &[]).0.unwrap(), ten);
    assert_eq!(nodes("sample = 1000", &[]).0.unwrap().len(), 50);

    let feature = configure("seeds_file = \"seeds.txt\"");
    let files = feature.key_files();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path, PathBuf::from("seeds.txt"));
    let keys = Keys::Int64(vec![30, 10, 5, 10, 990]);
    let (found, notes) = nodes("seeds_file = \"seeds.txt\"", &[keys]);
    assert_eq!(found.unwrap(), [1, 3]);
    assert_eq!(note(&notes, "unknown_seeds"), Some("2"));
    let fields: Vec<_> = feature.tables(&schema)[0].fields.iter().map(|f| f.name.clone()).collect();
    assert_eq!(fields, ["pin_ids", "pin_scores"]);
}

#[test]
fn wrong_parameters_are_named() {
    let registry = Registry::default();
    let signal = registry.find("personalized_pagerank").unwrap();
    for (params, word) in [
        ("top_k = 0", "top_k"),
        ("restart = 1.0", "restart_probability"),
        ("alpha = \"x\"", "string"),
        ("accuracy = 1.0", "accuracy"),
        ("accuracy = \"best\"", "best"),
        ("sample = 0", "sample"),
        ("sample = 3\nseeds = \"all\"", "seeds"),
        ("seeds = \"some\"", "some"),
        ("topk = 3", "topk"),
    ] {
        let error = signal.configure("walks", params.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{params}: {error}");
    }
    for alias in ["alpha", "reset_probability", "restart", "restart_probability"] {
        assert!(signal.configure("walks", format!("{alias} = 0.2").parse().unwrap()).is_ok());
    }
}

#[test]
fn gowalla_reaches_recall_of_0_99() {
    let root = std::env::var_os("PINGRAPH_DATASETS")
        .map_or_else(|| PathBuf::from("../shared/datasets"), PathBuf::from);
    let path = root.join("gowalla/train.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is absent", path.display());
        return;
    };
    let mut edges = Vec::new();
    for line in text.lines() {
        let mut ids = line.split_whitespace().map(|id| id.parse::<u32>().unwrap());
        if let Some(user) = ids.next() {
            edges.extend(ids.map(|item| (user, item)));
        }
    }
    let graph = Arc::new(graphs::compact(&edges));
    let source = finish(&*configure("accuracy = 0.99"), &graph, &[]);
    let seeds: Vec<u32> = (0..200).map(|n| n * graph.forward.nodes() as u32 / 200).collect();
    let rows = source.rows(0, &seeds, &mut Scratch::default());
    let recall = mean_recall(&graph, Walk { exclude_seen: true, ..WALK }, &rows);
    println!("recall {recall:.4}, {:?}", source.notes());
    assert!(recall >= 0.99, "{recall}: {:?}", source.notes());
}
