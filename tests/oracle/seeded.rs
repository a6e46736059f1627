//! The `seeded` kernel and `personalized_pagerank` against power iteration over a list of edges.
//!
//! | family | what it would catch |
//! |---|---|
//! | random graphs | a wrong probability, a lost node, a seen node that is listed |
//! | truncated walks on random graphs | a sum that leaves its formula; a fit that does not help |
//! | closed forms | a factor that is wrong in both the kernel and its twin |
//! | blocks | lanes that read one another, sums whose order depends on the block |
//! | seeds | a sample that changes, an unknown key that stops a job |
//! | gowalla | what only real degree shapes bring out |

// A test that cannot be set up has nothing better to do than to panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use pingraph::graph::{Csr, Graph};
use pingraph::kernels::seeded::{
    Adjacency, BUCKETS, Bipartite, Components, Gammas, LEVELS, Method, SeededScratch, Tail, TopK,
    Walk, calibrate, top_k,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::graphs;

mod signal;

const WALK: Walk = Walk { restart: 0.15, top_k: 100, exclude_seen: false };

fn bipartite(graph: &Graph) -> Bipartite<'_> {
    Bipartite {
        left: Adjacency { offsets: &graph.forward.offsets, targets: &graph.forward.targets },
        right: Adjacency { offsets: &graph.backward.offsets, targets: &graph.backward.targets },
    }
}

fn run(graph: &Graph, walk: Walk, method: &Method, seeds: &[u32]) -> Vec<TopK> {
    let components = Components::new(bipartite(graph));
    top_k(bipartite(graph), &components, walk, method, seeds, &mut SeededScratch::default())
}

/// Stationary probabilities of all right nodes: `x <- restart e_s + (1 - restart) P x` over both
/// sides at once, by scattering along a list of edges, until nothing moves.
fn twin(graph: &Graph, restart: f64, seed: u32) -> Vec<f64> {
    let lefts = graph.forward.nodes();
    let nodes = lefts + graph.backward.nodes();
    let mut edges = Vec::new();
    let mut degree = vec![0.0; nodes];
    for left in 0..lefts {
        for &right in graph.forward.neighbours(left as u32) {
            edges.push((left, lefts + right as usize));
            degree[left] += 1.0;
            degree[lefts + right as usize] += 1.0;
        }
    }
    let mut mass = vec![0.0; nodes];
    mass[seed as usize] = 1.0;
    for _ in 0..2_000 {
        let mut next = vec![0.0; nodes];
        next[seed as usize] = restart;
        for &(a, b) in &edges {
            next[b] += (1.0 - restart) * mass[a] / degree[a];
            next[a] += (1.0 - restart) * mass[b] / degree[b];
        }
        let moved: f64 = mass.iter().zip(&next).map(|(a, b)| (a - b).abs()).sum();
        mass = next;
        if moved < 1e-14 {
            break;
        }
    }
    mass.split_off(lefts)
}

/// The same for `N` seeds of a large graph: what is on the right after 1, 3, 5, ... edges, until the
/// walks that have not restarted by then are fewer than 1e-9.
fn twins<const N: usize>(graph: &Graph, restart: f64, seeds: [u32; N]) -> Vec<[f64; N]> {
    let half_step = |from: &Csr, mass: &[[f64; N]], nodes: usize| {
        let mut next = vec![[0.0; N]; nodes];
        for (node, mass) in (0u32..).zip(mass) {
            let targets = from.neighbours(node);
            let share = mass.map(|mass| (1.0 - restart) * mass / targets.len() as f64);
            for &target in targets {
                next[target as usize].iter_mut().zip(&share).for_each(|(sum, s)| *sum += s);
            }
        }
        next
    };
    let (lefts, rights) = (graph.forward.nodes(), graph.backward.nodes());
    let mut left = vec![[0.0; N]; lefts];
    (0..N).for_each(|lane| left[seeds[lane] as usize][lane] = 1.0);
    let mut scores = vec![[0.0; N]; rights];
    let mut walking = 1.0f64;
    while walking > 1e-9 {
        let right = half_step(&graph.forward, &left, rights);
        for (sums, mass) in scores.iter_mut().zip(&right) {
            sums.iter_mut().zip(mass).for_each(|(sum, mass)| *sum += restart * mass);
        }
        left = half_step(&graph.backward, &right, lefts);
        walking *= (1.0 - restart) * (1.0 - restart);
    }
    scores
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
        for (&seed, found) in seeds.iter().zip(&run(&graph, walk, &Method::Exact, &seeds)) {
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
        let tail = Tail { half_steps: LEVELS[level], gammas: uneven([0.4, -0.05]) };
        for method in [Method::Exact, Method::Truncated { tail, exact_edges: 20 }] {
            let mut seeds: Vec<u32> = (0..graph.forward.nodes() as u32).collect();
            let alone: Vec<TopK> =
                seeds.iter().map(|&seed| run(&graph, walk, &method, &[seed]).remove(0)).collect();
            let count = seeds.len();
            seeds.rotate_left(rotation % count);
            let together = run(&graph, walk, &method, &seeds);
            for (seed, found) in seeds.iter().zip(&together) {
                prop_assert_eq!(found, &alone[*seed as usize], "seed {}", seed);
            }
        }
    }

    #[test]
    fn truncated_walks_follow_their_formula(
        graph in graphs::random(),
        exclude_seen: bool,
        level in 0usize..LEVELS.len(),
        gammas in prop::array::uniform2(0.0f64..0.5),
    ) {
        // Enough results for all right nodes, so that candidates do not matter here.
        let walk = Walk { exclude_seen, ..WALK };
        let tail = Tail { half_steps: LEVELS[level], gammas: uneven(gammas) };
        let seeds: Vec<u32> = (0..graph.forward.nodes() as u32).collect();
        let found = run(&graph, walk, &Method::Truncated { tail: tail.clone(), exact_edges: 0 }, &seeds);
        for (&seed, top) in seeds.iter().zip(&found) {
            let expected = formula(&graph, &tail, seed);
            let listed = ranked(&graph, walk, seed, &twin(&graph, walk.restart, seed));
            prop_assert_eq!(top.nodes.len(), listed.len());
            for (&node, &score) in top.nodes.iter().zip(&top.scores) {
                // Half-steps from the fourth on are rounded to eight bits.
                let own = expected[node as usize];
                let error = (f64::from(score) - own).abs();
                prop_assert!(error < 0.01 * own + 1e-6, "seed {seed}, {node}: {score}, {own}");
            }
        }
    }
}

/// Coefficients whose first differs from bucket to bucket.
fn uneven([last, before]: [f64; 2]) -> Arc<Gammas> {
    let of_bucket = std::array::from_fn(|bucket| [last * (1.0 + 0.1 * bucket as f64), before]);
    Arc::new([of_bucket; LEVELS.len()])
}

/// The score of each right node by the formula of truncated walks, from the distributions after
/// each number of edges, by scattering; for a restart of 0.15.
fn formula(graph: &Graph, tail: &Tail, seed: u32) -> Vec<f64> {
    let keep: f64 = 0.85;
    let components = Components::new(bipartite(graph));
    let edges = components.edges_around(seed) as f64;
    let degree = |right: usize| graph.backward.degree(right as u32) as f64;
    let mut left = vec![0.0; graph.forward.nodes()];
    left[seed as usize] = 1.0;
    let mut deviations: Vec<Vec<f64>> = Vec::new();
    for _ in (1..=tail.half_steps).step_by(2) {
        let mut right = vec![0.0; graph.backward.nodes()];
        for (node, mass) in (0u32..).zip(&left) {
            let targets = graph.forward.neighbours(node);
            targets.iter().for_each(|&p| right[p as usize] += mass / targets.len() as f64);
        }
        left.fill(0.0);
        for (node, mass) in (0u32..).zip(&right) {
            let targets = graph.backward.neighbours(node);
            targets.iter().for_each(|&u| left[u as usize] += mass / targets.len() as f64);
        }
        deviations.push((0..right.len()).map(|p| edges * right[p] / degree(p) - 1.0).collect());
    }
    let level = LEVELS.iter().position(|&t| t == tail.half_steps).unwrap();
    let power = keep.powi(tail.half_steps as i32);
    let score = |p: usize| {
        let mut sum = keep / (1.0 - keep * keep);
        for (step, values) in deviations.iter().enumerate() {
            sum += keep.powi(2 * step as i32 + 1) * values[p];
        }
        let steps = deviations.len();
        // Buckets are powers of two: degrees 1, 2 and 3, 4 to 7, and so on.
        let bucket = (degree(p).log2() as usize).min(BUCKETS - 1);
        let [last, before] = tail.gammas[level][bucket];
        sum += power * (last * deviations[steps - 1][p] + before * deviations[steps - 2][p]);
        0.15 * degree(p) / edges * sum
    };
    (0..graph.backward.nodes()).map(score).collect()
}

#[test]
fn truncated_walks_find_the_best() {
    // One small graph may mix slowly, so recall is claimed for 100 of them together.
    let mut runner = TestRunner::deterministic();
    let mut hits = [0; 2];
    let mut wanted = 0;
    for _ in 0..100 {
        let graph = graphs::random().new_tree(&mut runner).unwrap().current();
        let walk = Walk { top_k: 10, exclude_seen: true, ..WALK };
        let seeds: Vec<u32> = (0..graph.forward.nodes() as u32).collect();
        let components = Components::new(bipartite(&graph));
        let mut scratch = SeededScratch::default();
        let mut sums = vec![0.0; calibrate::FIT_SUMS];
        for &seed in &seeds {
            let one = calibrate::fit(bipartite(&graph), &components, walk, &[seed], &mut scratch);
            sums.iter_mut().zip(one).for_each(|(sum, term)| *sum += term);
        }
        let gammas = calibrate::solve(&sums);
        let found = [5, 11].map(|half_steps| {
            let tail = Tail { half_steps, gammas: gammas.clone() };
            run(&graph, walk, &Method::Truncated { tail, exact_edges: 0 }, &seeds)
        });
        for (index, &seed) in seeds.iter().enumerate() {
            let scores = twin(&graph, walk.restart, seed);
            let expected = ranked(&graph, walk, seed, &scores);
            // What ties with the last place, to what rounding can do, is as good.
            let last = expected.last().map_or(0.0, |&(score, _)| score) * (1.0 - 1e-4);
            wanted += expected.len();
            for (hits, found) in hits.iter_mut().zip(&found) {
                let nodes = &found[index].nodes;
                *hits += nodes.iter().filter(|&&node| scores[node as usize] >= last).count();
            }
        }
    }
    let [five, eleven] = hits.map(|hits| hits as f64 / wanted as f64);
    println!("recall {five:.4} with 5 half-steps, {eleven:.4} with 11");
    assert!(five >= 0.97 && eleven >= 0.995, "{five}, {eleven}");
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
    let tail = |half_steps| Tail { half_steps, gammas: uneven([0.0; 2]) };
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
            let found = run(&graph, WALK, &method, &[0, lefts - 1]);
            for top in &found {
                assert_eq!(top.nodes, (0..rights).collect::<Vec<_>>(), "ties go by id");
                for &score in &top.scores {
                    let expected = 0.85 / 1.85 / f64::from(rights);
                    assert!((f64::from(score) - expected).abs() < 1e-6, "{score} for {expected}");
                }
            }
            let unseen = Walk { exclude_seen: true, ..WALK };
            assert_eq!(run(&graph, unseen, &method, &[0]), [TopK::default()], "all are seen");
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
    let scores = by_id(&run(&graph, WALK, &Method::Exact, &[0])[0], 2);
    assert!((scores[0] - a).abs() < 1e-6 && (scores[1] - b).abs() < 1e-6, "{scores:?}");
    let unseen = Walk { exclude_seen: true, ..WALK };
    assert_eq!(run(&graph, unseen, &Method::Exact, &[0])[0].nodes, [1]);
    assert_eq!(run(&graph, unseen, &Method::Exact, &[1])[0].nodes, Vec::<u32>::new());
}

#[test]
fn a_walk_never_leaves_its_clique() {
    let graph = graphs::two_cliques(3, 4);
    for method in all_methods() {
        let found = run(&graph, WALK, &method, &[0, 5, 2]);
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
        let found = run(&graph, WALK, &Method::Exact, &[seed]).remove(0);
        assert_exact(&graph, WALK, seed, &found);
    }
    let graph = graphs::graph(3, 3, &[(1, 1)]);
    for method in all_methods() {
        let found = run(&graph, WALK, &method, &[0, 1, 2]);
        assert_eq!(found[0], TopK::default());
        assert_eq!(found[1].nodes, [1]);
        assert_eq!(found[2], TopK::default());
    }
}
