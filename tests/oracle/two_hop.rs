//! co_engagement against a plain recomputation.
//!
//! | family | what it would catch |
//! |---|---|
//! | random graphs, all parameters | a lost or doubled pair, a wrong bound, tie or threshold |
//! | textbook formulas | a definition that is wrong in the kernel and in the exact twin |
//! | closed forms | a formula that is wrong everywhere |
//! | degrees around 255 and 65,535 | a counter that overflows |
//! | more than 65,536 columns | far columns, marked blocks |
//! | gowalla, where present | what only real degree shapes bring out |

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::model::{Column, Rows};
use pingraph::signals::{Feature, Registry, RowSource, Scratch, Step};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::graphs;

/// Parameters of the signal.
#[derive(Clone, Debug)]
struct Params {
    measure: &'static str,
    discount: &'static str,
    shrink: f64,
    min_count: u64,
    top_k: usize,
}

const COSINE: Params =
    Params { measure: "cosine", discount: "none", shrink: 0.0, min_count: 1, top_k: 50 };

fn any_params() -> impl Strategy<Value = Params> {
    (
        prop::sample::select(vec!["count", "cosine", "jaccard"]),
        prop::sample::select(vec!["none", "log", "inverse"]),
        prop::sample::select(vec![0.0, 0.0, 0.5, 10.0, 1e6]),
        prop::sample::select(vec![1, 1, 2, 3, 7, 300]),
        prop::sample::select(vec![1, 2, 5, 39, 50, 1000]),
    )
        .prop_map(|(measure, discount, shrink, min_count, top_k)| Params {
            measure,
            discount,
            shrink,
            min_count,
            top_k,
        })
}

fn configure(params: &Params) -> Box<dyn Feature> {
    let Params { measure, discount, shrink, min_count, top_k } = params;
    let text = format!(
        "measure = {measure:?}\nuser_discount = {discount:?}\nshrink = {shrink:?}\n\
         min_count = {min_count}\ntop_k = {top_k}"
    );
    let registry = Registry::default();
    registry.find("co_engagement").unwrap().configure("related", text.parse().unwrap()).unwrap()
}

/// Runs all rounds; tasks in descending order, since any order must do.
fn source(graph: &Arc<Graph>, params: &Params) -> Arc<dyn RowSource> {
    let mut step = configure(params).start(Arc::clone(graph), &[]);
    loop {
        match step {
            Step::Rows(source) => return source,
            Step::Round(stage) => {
                let mut scratch = Scratch::default();
                let tasks = (0..stage.tasks()).rev();
                let mut parts: Vec<_> = tasks.map(|task| stage.run(task, &mut scratch)).collect();
                parts.reverse();
                step = stage.next(parts);
            }
        }
    }
}

type Row = Vec<(u32, f32)>;

/// Rows as lists of pairs.
fn unpack(rows: &Rows) -> Vec<Row> {
    let [Column::NodeList { offsets, nodes }, Column::Float32List { offsets: same, values }] =
        rows.columns.as_slice()
    else {
        panic!("not a list of nodes and a list of scores");
    };
    assert_eq!(offsets, same);
    assert_eq!(offsets.len(), rows.nodes.len() + 1);
    let pair = |index| (nodes[index], values[index]);
    let range = |ends: &[u32]| ends[0] as usize..ends[1] as usize;
    offsets.windows(2).map(|ends| range(ends).map(pair).collect()).collect()
}

fn rows_of(graph: &Arc<Graph>, params: &Params, nodes: &[u32]) -> Vec<Row> {
    unpack(&source(graph, params).rows(0, nodes, &mut Scratch::default()))
}

fn all_rows(graph: &Graph, params: &Params) -> Vec<Row> {
    let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
    rows_of(&Arc::new(graph.clone()), params, &nodes)
}

/// The discount as the documentation has it.
fn discount(params: &Params, degree: usize) -> f64 {
    match params.discount {
        "log" => 1.0 / libm::log2(1.0 + degree as f64),
        "inverse" => 1.0 / degree as f64,
        _ => 1.0,
    }
}

/// The score as the documentation has it, from overlap and norms in `unit`s.
fn formula(params: &Params, n: f64, a: f64, b: f64, unit: f64) -> f64 {
    let score = match params.measure {
        "count" => n * unit,
        "cosine" => (n * n / (a * b)).sqrt(),
        _ => n / (a + b - n),
    };
    let n = n * unit;
    if params.shrink > 0.0 { score * (n / (n + params.shrink)) } else { score }
}

/// The row of `node`: a hash map of common left nodes, a full sort. `quantum` is the unit that
/// discounts are rounded to, and 0 leaves them as they are.
fn plain_row(graph: &Graph, params: &Params, node: u32, quantum: f64) -> Vec<(u32, f64)> {
    let (forward, backward) = (&graph.forward, &graph.backward);
    let weight = |left: u32| {
        let weight = discount(params, forward.degree(left));
        match params.discount {
            "none" => weight,
            _ if quantum > 0.0 => (weight / quantum).round(),
            _ => weight,
        }
    };
    let unit = if params.discount == "none" || quantum == 0.0 { 1.0 } else { quantum };
    let norm = |right: u32| backward.neighbours(right).iter().map(|&left| weight(left)).sum();
    let mut common: HashMap<u32, (u64, f64)> = HashMap::new();
    for &left in backward.neighbours(node) {
        for &right in forward.neighbours(left) {
            let (count, sum) = common.entry(right).or_default();
            *count += 1;
            *sum += weight(left);
        }
    }
    common.remove(&node);
    let own: f64 = norm(node);
    let mut row: Vec<(u32, f64)> = common
        .into_iter()
        .filter(|&(_, (count, _))| count >= params.min_count)
        .map(|(right, (_, sum))| (right, formula(params, sum, own, norm(right), unit)))
        .collect();
    row.sort_by(|a, b| (b.1 as f32).total_cmp(&(a.1 as f32)).then(a.0.cmp(&b.0)));
    row
}

/// The row that must come out, to the bit.
fn exact_row(graph: &Graph, params: &Params, node: u32) -> Row {
    let mut row = plain_row(graph, params, node, 0.5f64.powi(31));
    row.truncate(params.top_k);
    row.into_iter().map(|(right, score)| (right, score as f32)).collect()
}

fn assert_exact(graph: &Graph, params: &Params, nodes: &[u32]) {
    let graph = Arc::new(graph.clone());
    for (&node, row) in nodes.iter().zip(rows_of(&graph, params, nodes)) {
        assert_eq!(row, exact_row(&graph, params, node), "row {node} of {params:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 5000 } else { 500 }))]

    #[test]
    fn random_graphs_give_the_rows_of_a_plain_recomputation(
        graph in graphs::random(),
        params in any_params(),
    ) {
        let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
        assert_exact(&graph, &params, &nodes);
    }

    #[test]
    fn scores_follow_the_textbook(graph in graphs::random(), params in any_params()) {
        for (node, row) in (0..).zip(all_rows(&graph, &params)) {
            let expected = plain_row(&graph, &params, node, 0.0);
            prop_assert_eq!(row.len(), expected.len().min(params.top_k));
            let by_id: HashMap<u32, f64> = expected.iter().copied().collect();
            for (place, &(right, score)) in row.iter().enumerate() {
                for textbook in [by_id[&right], expected[place].1] {
                    prop_assert!((f64::from(score) / textbook - 1.0).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_which_are_computed_together(
        graph in graphs::random(),
        params in any_params(),
        cuts in prop::collection::vec(0..40usize, 0..6),
    ) {
        let graph = Arc::new(graph);
        let nodes: Vec<u32> = (0..graph.backward.nodes() as u32).collect();
        let source = source(&graph, &params);
        let whole = unpack(&source.rows(0, &nodes, &mut Scratch::default()));
        let cuts: BTreeSet<usize> = cuts.into_iter().map(|cut| cut.min(nodes.len())).collect();
        let mut ends: Vec<usize> = cuts.into_iter().chain([0, nodes.len()]).collect();
        ends.sort_unstable();
        let mut scratch = Scratch::default();
        // From the last block to the first, with the memory of the one before.
        let blocks = ends.windows(2).rev().map(|ends| {
            unpack(&source.rows(0, &nodes[ends[0]..ends[1]], &mut scratch))
        });
        let mut blocks: Vec<Vec<Row>> = blocks.collect();
        blocks.reverse();
        prop_assert_eq!(blocks.concat(), whole);
    }
}

#[test]
fn complete_bipartite_graphs_are_all_ties() {
    for (lefts, rights) in [(1, 2), (3, 7), (300, 5), (2, 300)] {
        let graph = graphs::complete(lefts, rights);
        let count = Params { measure: "count", ..COSINE };
        for (params, score) in [
            (COSINE, 1.0),
            (Params { measure: "jaccard", ..COSINE }, 1.0),
            (count, lefts as f32),
            (Params { shrink: f64::from(lefts), ..COSINE }, 0.5),
            (Params { discount: "inverse", ..COSINE }, 1.0),
        ] {
            for (node, row) in (0..).zip(all_rows(&graph, &params)) {
                let ids = (0..rights).filter(|&right| right != node).take(50);
                assert_eq!(row, ids.map(|id| (id, score)).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn paths_and_stars_have_closed_forms() {
    // Right n of a path is joined to lefts n and n + 1, the last to one only.
    let half = 0.5;
    let root = 0.5f32.sqrt();
    assert_eq!(
        all_rows(&graphs::path(4), &COSINE),
        [vec![(1, half)], vec![(0, half), (2, half)], vec![(3, root), (1, half)], vec![(2, root)],]
    );
    let jaccard = Params { measure: "jaccard", ..COSINE };
    assert_eq!(all_rows(&graphs::path(4), &jaccard)[2], [(3, 0.5), (1, 1.0 / 3.0)]);
    // The one left node of a star of 7 weighs 1/7 or 1/log2(8).
    for (discount, weight) in [("none", 1.0), ("inverse", 1.0 / 7.0), ("log", 1.0 / 3.0)] {
        let params = Params { measure: "count", discount, top_k: 1, ..COSINE };
        for (node, row) in (0..).zip(all_rows(&graphs::star(7), &params)) {
            assert_eq!((row.len(), row[0].0), (1, u32::from(node == 0)));
            assert!((row[0].1 - weight).abs() < 1e-7);
        }
    }
    assert_eq!(all_rows(&graphs::star(1), &COSINE), [vec![]]);
}

#[test]
fn cliques_that_share_nothing_do_not_meet() {
    let graph = graphs::two_cliques(4, 6);
    for (node, row) in (0..).zip(all_rows(&graph, &Params { min_count: 4, ..COSINE })) {
        let clique = if node < 6 { 0..6 } else { 6..12 };
        let ids: Vec<u32> = clique.filter(|&right| right != node).collect();
        assert_eq!(row, ids.into_iter().map(|id| (id, 1.0)).collect::<Vec<_>>());
    }
    assert!(all_rows(&graph, &Params { min_count: 5, ..COSINE }).iter().all(Vec::is_empty));
}

#[test]
fn counters_hold_degrees_around_their_widths() {
    for degree in [253, 254, 255, 256, 257, 65_533, 65_534, 65_535, 65_536, 65_537] {
        let edges = (0..degree).flat_map(|left| {
            let half = (left % 2 == 0).then_some((left, 2));
            [(left, 0), (left, 1)].into_iter().chain(half)
        });
        let graph = graphs::compact(&edges.collect::<Vec<_>>());
        let params = Params { measure: "count", ..COSINE };
        let half = degree.div_ceil(2) as f32;
        let all = degree as f32;
        let expected =
            [vec![(1, all), (2, half)], vec![(0, all), (2, half)], vec![(0, half), (1, half)]];
        assert_eq!(all_rows(&graph, &params), expected, "degree {degree}");
        let least = Params { min_count: u64::from(degree), ..params };
        assert_eq!(all_rows(&graph, &least)[0], [(1, all)], "degree {degree}");
        let none = Params { min_count: u64::from(degree) + 1, ..COSINE };
        assert_eq!(all_rows(&graph, &none)[0], [], "degree {degree}");
        let discounted = Params { discount: "log", min_count: u64::from(degree), ..COSINE };
        assert_eq!(all_rows(&graph, &discounted)[0], [(1, 1.0)], "degree {degree}");
    }
}

/// A heavy-tailed graph without isolated nodes: `edges` draws with a squared uniform on each side.
fn heavy_tailed(lefts: u32, rights: u32, edges: usize, seed: u64) -> Graph {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |nodes: u32| {
        let uniform: f64 = random.random();
        (uniform * uniform * f64::from(nodes)) as u32
    };
    let edges: Vec<_> = (0..edges).map(|_| (draw(lefts), draw(rights))).collect();
    graphs::compact(&edges)
}

#[test]
fn more_than_65_536_columns() {
    let graph = heavy_tailed(20_000, 150_000, 400_000, 1);
    let columns = graph.backward.nodes() as u32;
    assert!(columns > 100_000, "{columns}");
    let wedges = |node: u32| -> usize {
        graph.backward.neighbours(node).iter().map(|&left| graph.forward.degree(left)).sum()
    };
    let nodes: Vec<u32> = (0..columns).step_by(97).collect();
    // Both ways of accumulating are taken, marked blocks and all blocks.
    assert!(nodes.iter().any(|&node| wedges(node) > 4096));
    assert!(nodes.iter().any(|&node| wedges(node) < 256));
    assert_exact(&graph, &COSINE, &nodes);
    assert_exact(&graph, &Params { discount: "log", min_count: 2, ..COSINE }, &nodes);
    assert_exact(&graph, &Params { measure: "jaccard", shrink: 5.0, ..COSINE }, &nodes);
}

#[test]
fn so_many_columns_that_rows_list_theirs() {
    let graph = heavy_tailed(60_000, 600_000, 1_500_000, 3);
    let columns = graph.backward.nodes() as u32;
    assert!(columns > 300_000, "{columns}");
    let wedges = |node: u32| -> usize {
        graph.backward.neighbours(node).iter().map(|&left| graph.forward.degree(left)).sum()
    };
    let nodes: Vec<u32> = (0..columns).step_by(997).collect();
    // Rows with fewer columns than are kept, with more, and such that list none.
    for range in [1..40, 400..2000, 20_000..usize::MAX] {
        assert!(nodes.iter().any(|&node| range.contains(&wedges(node))), "{range:?}");
    }
    for params in [
        COSINE,
        Params { top_k: 5, min_count: 2, ..COSINE },
        Params { measure: "count", ..COSINE },
        Params { measure: "jaccard", shrink: 5.0, ..COSINE },
    ] {
        assert_exact(&graph, &params, &nodes);
    }
}

#[test]
fn dense_rows_of_every_counter_width() {
    // The hottest right nodes have thousands of left nodes, so that thresholds vary over a row.
    let graph = heavy_tailed(30_000, 3_000, 400_000, 2);
    let nodes: Vec<u32> = (0..3_000).step_by(19).collect();
    assert!(nodes.iter().any(|&node| graph.backward.degree(node) > 255));
    for params in [
        COSINE,
        Params { top_k: 1000, ..COSINE },
        Params { measure: "count", ..COSINE },
        Params { measure: "jaccard", shrink: 10.0, min_count: 3, ..COSINE },
        Params { discount: "inverse", shrink: 0.1, ..COSINE },
    ] {
        assert_exact(&graph, &params, &nodes);
    }
}

/// The training split of gowalla, if it is there.
fn gowalla() -> Option<Graph> {
    let folder = std::env::var_os("PINGRAPH_DATASETS").map(PathBuf::from);
    let path = folder.unwrap_or("../shared/datasets".into()).join("gowalla/train.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let lines = text.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()));
    let edges = lines.flat_map(|mut ids| {
        let user: u32 = ids.next().unwrap();
        ids.map(|item| (user, item)).collect::<Vec<(u32, u32)>>()
    });
    Some(graphs::compact(&edges.collect::<Vec<_>>()))
}

#[test]
fn gowalla_rows_equal_a_plain_recomputation() {
    let Some(graph) = gowalla() else { return };
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let columns = graph.backward.nodes() as u32;
    let mut nodes = BTreeSet::new();
    while nodes.len() < 1000 {
        nodes.insert(random.random_range(0..columns));
    }
    let nodes: Vec<u32> = nodes.into_iter().collect();
    assert_exact(&graph, &Params { measure: "count", top_k: 1000, ..COSINE }, &nodes);
    assert_exact(&graph, &COSINE, &nodes);
    assert_exact(&graph, &Params { discount: "log", ..COSINE }, &nodes[..100]);
}

#[test]
fn the_summary_names_the_best() {
    let graph = Arc::new(graphs::path(4));
    let feature = configure(&COSINE);
    let rows = source(&graph, &COSINE).rows(0, &[1, 2], &mut Scratch::default());
    assert_eq!(
        feature.explain_row(&graph, 0, &rows, 1),
        "pin 20: 2 related, best pin 30 (score 0.71, 1 user in common)"
    );
}

#[test]
fn bad_parameters_are_named() {
    let registry = Registry::default();
    let signal = registry.find("co_engagement").unwrap();
    for (text, named) in [
        ("top_k = 0", "top_k"),
        ("topk = 1001", "top_k"),
        ("shrink = -1.0", "shrink"),
        ("shrink = nan", "shrink"),
        ("min_count = 0", "min_count"),
        ("measure = \"dice\"", "dice"),
        ("tpo_k = 3", "tpo_k"),
    ] {
        let error = signal.configure("x", text.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(named), "{error}");
    }
    for text in ["", "k = 3", "topk = 1000\nshrink = 20", "user_discount = \"log\""] {
        assert!(signal.configure("x", text.parse().unwrap()).is_ok(), "{text}");
    }
}
