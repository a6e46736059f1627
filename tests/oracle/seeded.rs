//! The `seeded` kernel and `personalized_pagerank` against power iteration over a list of edges.
//!
//! | family | what it would catch |
//! |---|---|
//! | random graphs | a wrong probability, a lost node, a seen node that is listed |
//! | truncated walks on random graphs | an extrapolation that is worse than it claims |
//! | closed forms | a factor that is wrong in both the kernel and its twin |
//! | blocks | lanes that read one another, sums whose order depends on the block |
//! | seeds | a sample that changes, an unknown key that stops a job |
//! | gowalla | what only real degree shapes bring out |

// A test that cannot be set up has nothing better to do than to panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::kernels::seeded::{
    Adjacency, Bipartite, Components, LEVELS, Method, SeededScratch, Tail, TopK, Walk, calibrate,
    top_k,
};
use pingraph::model::{Column, Keys, Rows, SideNames};
use pingraph::signals::{Feature, GraphSchema, Registry, RowSource, Scratch, Step};
use proptest::prelude::*;

use crate::graphs;

const WALK: Walk = Walk { restart: 0.15, top_k: 100, exclude_seen: false };

fn bipartite(graph: &Graph) -> Bipartite<'_> {
    Bipartite {
        left: Adjacency { offsets: &graph.forward.offsets, targets: &graph.forward.targets },
        right: Adjacency { offsets: &graph.backward.offsets, targets: &graph.backward.targets },
    }
}

fn run(graph: &Graph, walk: Walk, method: Method, seeds: &[u32]) -> Vec<TopK> {
    let components = Components::new(bipartite(graph));
    top_k(bipartite(graph), &components, walk, method, seeds, &mut SeededScratch::default())
}

/// Stationary probabilities of all right nodes: `x <- restart e_s + (1 - restart) P x` over both
/// sides at once, by scattering along a list of edges, until nothing moves.
fn twin(graph: &Graph, restart: f64, seed: u32) -> Vec<f64> {
    twins(graph, restart, [seed], 1e-14).into_iter().map(|[score]| score).collect()
}

/// The same for `N` seeds, until less than `least` moves.
fn twins<const N: usize>(
    graph: &Graph,
    restart: f64,
    seeds: [u32; N],
    least: f64,
) -> Vec<[f64; N]> {
    let lefts = graph.forward.nodes();
    let nodes = lefts + graph.backward.nodes();
    let mut edges = Vec::new();
    let mut degree = vec![0.0; nodes];
    for left in 0..lefts {
        for &right in graph.forward.neighbours(left as u32) {
            edges.push((left as u32, lefts as u32 + right));
            degree[left] += 1.0;
            degree[lefts + right as usize] += 1.0;
        }
    }
    let mut mass = vec![[0.0; N]; nodes];
    (0..N).for_each(|lane| mass[seeds[lane] as usize][lane] = 1.0);
    for _ in 0..2_000 {
        let mut shares = mass.clone();
        for (shares, degree) in shares.iter_mut().zip(&degree) {
            shares.iter_mut().for_each(|share| *share *= (1.0 - restart) / degree);
        }
        let mut next = vec![[0.0; N]; nodes];
        (0..N).for_each(|lane| next[seeds[lane] as usize][lane] = restart);
        for &(a, b) in &edges {
            let (a, b) = (a as usize, b as usize);
            for lane in 0..N {
                next[b][lane] += shares[a][lane];
                next[a][lane] += shares[b][lane];
            }
        }
        let both = mass.iter().flatten().zip(next.iter().flatten());
        let moved: f64 = both.map(|(a, b)| (a - b).abs()).sum();
        mass = next;
        if moved < least * N as f64 {
            break;
        }
    }
    mass.split_off(lefts)
}

/// The scores of what may be listed, in descending order.
fn ranked(graph: &Graph, walk: Walk, seed: u32, scores: &[f64]) -> Vec<(f64, u32)> {
    let seen: BTreeSet<u32> = graph.forward.neighbours(seed).iter().copied().collect();
    let mut all: Vec<(f64, u32)> = (0u32..)
        .zip(scores)
        .filter(|&(node, &score)| score > 0.0 && !(walk.exclude_seen && seen.contains(&node)))
        .map(|(node, &score)| (score, node))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.truncate(walk.top_k);
    all
}

fn assert_exact(graph: &Graph, walk: Walk, seed: u32, found: &TopK) {
    let scores = twin(graph, walk.restart, seed);
    let expected = ranked(graph, walk, seed, &scores);
    assert_eq!(found.nodes.len(), expected.len(), "seed {seed}: {found:?} for {expected:?}");
    assert_eq!(found.nodes.len(), found.scores.len());
    let distinct: BTreeSet<u32> = found.nodes.iter().copied().collect();
    assert_eq!(distinct.len(), found.nodes.len(), "seed {seed}: a node is listed twice");
    let last = expected.last().map_or(0.0, |&(score, _)| score);
    let mut before: Option<(f32, u32)> = None;
    for ((&node, &score), &(best, _)) in found.nodes.iter().zip(&found.scores).zip(&expected) {
        let own = scores[node as usize];
        assert!((f64::from(score) - own).abs() < 1e-6, "seed {seed}, node {node}: {score}, {own}");
        assert!((f64::from(score) - best).abs() < 1e-6, "seed {seed}: {score} for rank of {best}");
        assert!(own > last - 1e-6, "seed {seed}: node {node} is not among the best");
        if walk.exclude_seen {
            assert!(graph.forward.neighbours(seed).binary_search(&node).is_err());
        }
        if let Some((before, node_before)) = before {
            assert!(before > score || (before == score && node_before < node), "order");
        }
        before = Some((score, node));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn exact_equals_the_twin(
        graph in graphs::random(),
        restart in 0.05f64..0.9,
        top_k in 1usize..50,
        exclude_seen: bool,
        pick in 0usize..1000,
    ) {
        let walk = Walk { restart, top_k, exclude_seen };
        let count = graph.forward.nodes();
        let seeds: Vec<u32> = (0..5).map(|n| ((pick + 7 * n) % count) as u32).collect();
        for (&seed, found) in seeds.iter().zip(&run(&graph, walk, Method::Exact, &seeds)) {
            assert_exact(&graph, walk, seed, found);
        }
    }

    #[test]
    fn a_seed_alone_has_the_bits_it_has_in_any_block(
        graph in graphs::random(),
        exclude_seen: bool,
        rotation in 0usize..60,
        level in 0usize..LEVELS.len(),
    ) {
        let walk = Walk { top_k: 7, exclude_seen, ..WALK };
        let tail = Tail { half_steps: LEVELS[level], gammas: [[0.4, -0.05]; LEVELS.len()] };
        for method in [Method::Exact, Method::Truncated { tail, exact_edges: 20 }] {
            let mut seeds: Vec<u32> = (0..graph.forward.nodes() as u32).collect();
            let alone: Vec<TopK> =
                seeds.iter().map(|&seed| run(&graph, walk, method, &[seed]).remove(0)).collect();
            let count = seeds.len();
            seeds.rotate_left(rotation % count);
            let together = run(&graph, walk, method, &seeds);
            for (seed, found) in seeds.iter().zip(&together) {
                prop_assert_eq!(found, &alone[*seed as usize], "seed {}", seed);
            }
        }
    }

    #[test]
    fn truncated_walks_find_the_best(graph in graphs::random(), exclude_seen: bool) {
        let walk = Walk { top_k: 10, exclude_seen, ..WALK };
        let seeds: Vec<u32> = (0..graph.forward.nodes() as u32).collect();
        let components = Components::new(bipartite(&graph));
        let mut scratch = SeededScratch::default();
        let mut sums = [0.0; calibrate::FIT_SUMS];
        for &seed in &seeds {
            let one = calibrate::fit(bipartite(&graph), &components, walk, &[seed], &mut scratch);
            for (sum, term) in sums.iter_mut().zip(one) {
                *sum += term;
            }
        }
        let gammas = calibrate::solve(&sums);
        for (half_steps, least) in [(5, 0.75), (11, 0.92)] {
            let tail = Tail { half_steps, gammas };
            let found = run(&graph, walk, Method::Truncated { tail, exact_edges: 0 }, &seeds);
            let mut hits = 0;
            let mut wanted = 0;
            for (&seed, found) in seeds.iter().zip(&found) {
                let scores = twin(&graph, walk.restart, seed);
                let expected = ranked(&graph, walk, seed, &scores);
                prop_assert_eq!(found.nodes.len(), expected.len(), "seed {}", seed);
                // What ties with the last place, to what rounding can do, is as good.
                let last = expected.last().map_or(0.0, |&(score, _)| score) * (1.0 - 1e-4);
                hits += found.nodes.iter().filter(|&&n| scores[n as usize] >= last).count();
                wanted += expected.len();
            }
            let recall = hits as f64 / wanted.max(1) as f64;
            prop_assert!(wanted == 0 || recall >= least, "{} half-steps: {}", half_steps, recall);
        }
    }
}

/// The scores of the right nodes, by id.
fn by_id(top: &TopK, rights: usize) -> Vec<f64> {
    let mut scores = vec![0.0; rights];
    for (&node, &score) in top.nodes.iter().zip(&top.scores) {
        scores[node as usize] = f64::from(score);
    }
    scores
}

fn all_methods() -> Vec<Method> {
    let tail = |half_steps| Tail { half_steps, gammas: [[0.0; 2]; LEVELS.len()] };
    let truncated = |half_steps| Method::Truncated { tail: tail(half_steps), exact_edges: 0 };
    let mut methods: Vec<Method> = LEVELS.into_iter().map(truncated).collect();
    methods.push(Method::Exact);
    methods
}

#[test]
fn complete_graphs_and_stars_spread_evenly() {
    // From any seed each odd half-step is uniform over the right nodes, so each has its share of
    // the right side's mass, restart (b + b^3 + ...) = b / (1 + b).
    for (lefts, rights) in [(4, 6), (1, 5), (9, 1), (1, 1), (30, 20)] {
        let graph = graphs::complete(lefts, rights);
        for method in all_methods() {
            let found = run(&graph, WALK, method, &[0, lefts - 1]);
            for top in &found {
                assert_eq!(top.nodes, (0..rights).collect::<Vec<_>>(), "ties go by id");
                for &score in &top.scores {
                    let expected = 0.85 / 1.85 / f64::from(rights);
                    assert!((f64::from(score) - expected).abs() < 1e-6, "{score} for {expected}");
                }
            }
            let unseen = Walk { exclude_seen: true, ..WALK };
            assert_eq!(run(&graph, unseen, method, &[0]), [TopK::default()], "all are seen");
        }
    }
}

#[test]
fn a_path_of_two_and_two_is_solved_by_hand() {
    // user 0 - pin 0 - user 1 - pin 1. Let a, b be the pins' and u, v the users' probabilities:
    // u = r + k a/2, v = k (a/2 + b), a = k (u + v/2), b = k v/2, with r = 0.15 and k = 0.85.
    let graph = graphs::path(2);
    let (r, k) = (0.15, 0.85);
    // b = k v / 2 gives v (1 - k^2 / 2) = k a / 2, so v = c a, and a = k r / (1 - k^2/2 - k c/2).
    let c = (k / 2.0) / (1.0 - k * k / 2.0);
    let a = k * r / (1.0 - k * k / 2.0 - k * c / 2.0);
    let b = k * c * a / 2.0;
    let scores = by_id(&run(&graph, WALK, Method::Exact, &[0])[0], 2);
    assert!((scores[0] - a).abs() < 1e-6 && (scores[1] - b).abs() < 1e-6, "{scores:?}");
    let unseen = Walk { exclude_seen: true, ..WALK };
    assert_eq!(run(&graph, unseen, Method::Exact, &[0])[0].nodes, [1]);
    assert_eq!(run(&graph, unseen, Method::Exact, &[1])[0].nodes, Vec::<u32>::new());
}

#[test]
fn a_walk_never_leaves_its_clique() {
    let graph = graphs::two_cliques(3, 4);
    for method in all_methods() {
        let found = run(&graph, WALK, method, &[0, 5, 2]);
        for (top, first) in found.iter().zip([0u32, 4, 0]) {
            assert_eq!(top.nodes, (first..first + 4).collect::<Vec<_>>());
            let expected = 0.85 / 1.85 / 4.0;
            assert!(top.scores.iter().all(|s| (f64::from(*s) - expected).abs() < 1e-6));
        }
    }
}

#[test]
fn long_paths_and_nodes_without_edges_are_no_trouble() {
    let graph = graphs::path(200);
    for seed in [0, 100, 199] {
        let found = run(&graph, WALK, Method::Exact, &[seed]).remove(0);
        assert_exact(&graph, WALK, seed, &found);
    }
    let graph = graphs::graph(3, 3, &[(1, 1)]);
    for method in all_methods() {
        let found = run(&graph, WALK, method, &[0, 1, 2]);
        assert_eq!(found[0], TopK::default());
        assert_eq!(found[1].nodes, [1]);
        assert_eq!(found[2], TopK::default());
    }
}

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
            let scores = twins::<16>(graph, walk.restart, seeds, 1e-10);
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
    let schema = GraphSchema { names, actions: Vec::new(), timed: false };
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
