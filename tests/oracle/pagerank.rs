//! `pagerank` against elimination on the linear equations that it solves, which shares no iteration
//! with it: it would catch a wrong base, a wrong side, lost damping, and a range of nodes put in
//! the wrong place. Closed forms and the stopping rule besides.

use std::sync::Arc;

use pingraph::graph::Graph;
use pingraph::model::{Column, Side};
use pingraph::signals::{RowSource, Scratch, Step};
use proptest::prelude::*;

use crate::graphs;
use crate::popularity::configure;

/// Runs the signal, a task at a time and the last task first.
fn finish(graph: &Arc<Graph>, params: &str) -> Arc<dyn RowSource> {
    let feature = configure("pagerank", params).unwrap();
    let mut scratch = Scratch::default();
    let mut step = feature.start(graph.clone(), &[]);
    loop {
        match step {
            Step::Rows(rows) => return rows,
            Step::Round(stage) => {
                let tasks = (0..stage.tasks()).rev();
                let mut parts: Vec<_> = tasks.map(|task| stage.run(task, &mut scratch)).collect();
                parts.reverse();
                step = stage.next(parts);
            }
        }
    }
}

/// The published values: left nodes, then right nodes.
fn values(graph: &Graph, source: &dyn RowSource) -> Vec<f64> {
    let mut all = Vec::new();
    for (table, side) in [Side::Left, Side::Right].into_iter().enumerate() {
        let nodes: Vec<u32> = (0..graph.nodes(side) as u32).collect();
        // In two blocks, as the engine may cut them.
        let (first, second) = nodes.split_at(nodes.len() / 3);
        for nodes in [first, second] {
            let rows = source.rows(table, nodes, &mut Scratch::default());
            let [Column::Float64(column)] = rows.columns.as_slice() else { panic!("{rows:?}") };
            all.extend_from_slice(column);
        }
    }
    all
}

/// The solution of `x(n) = (1 - damping) / nodes + damping * sum of x(m) / degree(m)` by Gaussian
/// elimination. The matrix is diagonally dominant by columns, so no pivoting is needed.
fn solved(graph: &Graph, damping: f64) -> Vec<f64> {
    let lefts = graph.nodes(Side::Left);
    let nodes = lefts + graph.nodes(Side::Right);
    let mut matrix = vec![vec![0.0f64; nodes + 1]; nodes];
    for (n, row) in matrix.iter_mut().enumerate() {
        (row[n], row[nodes]) = (1.0, (1.0 - damping) / nodes as f64);
    }
    for left in 0..lefts {
        let rights = graph.forward.neighbours(left as u32);
        for &right in rights {
            let (n, m) = (left, lefts + right as usize);
            matrix[m][n] -= damping / rights.len() as f64;
            matrix[n][m] -= damping / graph.backward.degree(right) as f64;
        }
    }
    for pivot in 0..nodes {
        for below in pivot + 1..nodes {
            let factor = matrix[below][pivot] / matrix[pivot][pivot];
            if factor != 0.0 {
                let (above, rest) = matrix.split_at_mut(below);
                let pairs = rest[0].iter_mut().zip(&above[pivot]).skip(pivot);
                pairs.for_each(|(value, from)| *value -= factor * from);
            }
        }
    }
    let mut solution = vec![0.0; nodes];
    for row in (0..nodes).rev() {
        let known: f64 = (row + 1..nodes).map(|n| matrix[row][n] * solution[n]).sum();
        solution[row] = (matrix[row][nodes] - known) / matrix[row][row];
    }
    solution
}

/// What rounding may do to all values together: every contribution is stored to the nearest of 2^32
/// parts of `1 / nodes`, once an edge and direction, and `damping` of it goes on; normalising may
/// double it.
fn rounding(graph: &Graph, damping: f64) -> f64 {
    let nodes = graph.nodes(Side::Left) + graph.nodes(Side::Right);
    let mean_degree = 2.0 * graph.edges() as f64 / nodes as f64;
    2.0 * f64::exp2(-33.0) * mean_degree * damping / (1.0 - damping) + 1e-12
}

fn assert_close(graph: &Graph, found: &[f64], expected: &[f64], damping: f64) {
    assert_eq!(found.len(), expected.len());
    let error: f64 = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).sum();
    assert!(error <= rounding(graph, damping), "off by {error}: {found:?}, not {expected:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "soak") { 1000 } else { 200 }))]

    #[test]
    fn values_solve_the_equations(graph in graphs::random(), damping in 0.05f64..0.95) {
        let graph = Arc::new(graph);
        let source = finish(&graph, &format!("damping = {damping}\niterations = 1000"));
        let found = values(&graph, &*source);
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_close(&graph, &found, &solved(&graph, damping), damping);
    }

    /// Odd and even numbers: the kernel computes two iterations a pass, and which of them is published
    /// depends on the number.
    #[test]
    fn iterations_are_applications_of_the_formula(
        graph in graphs::random(),
        iterations in 1usize..8,
    ) {
        let graph = Arc::new(graph);
        let found = values(&graph, &*finish(&graph, &format!("iterations = {iterations}")));
        let lefts = graph.nodes(Side::Left);
        let nodes = found.len() as f64;
        let mut expected = vec![1.0 / nodes; found.len()];
        for _ in 0..iterations {
            let mut next = vec![0.15 / nodes; found.len()];
            for left in 0..lefts {
                let rights = graph.forward.neighbours(left as u32);
                for &right in rights {
                    let (n, m) = (left, lefts + right as usize);
                    next[m] += 0.85 * expected[n] / rights.len() as f64;
                    next[n] += 0.85 * expected[m] / graph.backward.degree(right) as f64;
                }
            }
            expected = next;
        }
        assert_close(&graph, &found, &expected, 0.85);
    }
}

#[test]
fn complete_graphs_have_a_closed_form() {
    for (lefts, rights) in [(1u32, 1u32), (1, 9), (4, 3), (20, 5)] {
        let graph = Arc::new(graphs::complete(lefts, rights));
        let found = values(&graph, &*finish(&graph, "iterations = 1000"));
        // With L and R for the sums of the sides: L = 0.15 l / n + 0.85 R, and L + R = 1.
        let (l, n) = (f64::from(lefts), f64::from(lefts + rights));
        let left = (0.15 * l / n + 0.85) / 1.85;
        let mut expected = vec![left / l; lefts as usize];
        expected.resize((lefts + rights) as usize, (1.0 - left) / f64::from(rights));
        assert_close(&graph, &found, &expected, 0.85);
    }
}

#[test]
fn two_cliques_have_the_values_of_one_halved() {
    let one = Arc::new(graphs::complete(4, 6));
    let two = Arc::new(graphs::two_cliques(4, 6));
    let [one, found] = [&one, &two].map(|graph| values(graph, &*finish(graph, "iterations = 500")));
    let halved = |from: usize, count: usize| vec![one[from] / 2.0; 2 * count];
    assert_close(&two, &found, &[halved(0, 4), halved(4, 6)].concat(), 0.85);
}

#[test]
fn a_tolerance_ends_the_iterations_within_its_bound() {
    let graph = Arc::new(graphs::path(30));
    let note = |source: &dyn RowSource, name: &str| -> String {
        source.notes().into_iter().find(|(found, _)| found == name).unwrap().1
    };
    let exact = values(&graph, &*finish(&graph, "iterations = 1000"));
    let source = finish(&graph, "iterations = 1000\ntolerance = 1e-6");
    let iterations: u32 = note(&*source, "iterations").parse().unwrap();
    assert!((10..200).contains(&iterations), "{iterations}");
    assert!(note(&*source, "last_change_l1").parse::<f64>().unwrap() <= 1e-6);
    // What is left of a geometric series: the change times damping / (1 - damping).
    let found = values(&graph, &*source);
    let error: f64 = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum();
    assert!(error <= 1e-6 * 0.85 / 0.15 + rounding(&graph, 0.85), "{error}");
}

#[test]
fn an_empty_graph_has_no_rows() {
    let graph = Arc::new(graphs::compact(&[]));
    assert_eq!(values(&graph, &*finish(&graph, "")), Vec::<f64>::new());
}

#[test]
fn wrong_parameters_are_named() {
    let cases = [
        ("damping = 1.0", "damping"),
        ("damping = 0.0", "damping"),
        ("iterations = 0", "iterations"),
        ("iterations = 1001", "iterations"),
        ("tolerance = -1.0", "tolerance"),
        ("tolerance = nan", "tolerance"),
        ("side = 'top'", "top"),
        ("dampening = 0.8", "dampening"),
    ];
    for (params, word) in cases {
        let error = configure("pagerank", params).err().unwrap().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{params}: {error}");
    }
    for alias in ["alpha", "damping", "damping_factor"] {
        assert!(configure("pagerank", &format!("{alias} = 0.5")).is_ok(), "{alias}");
    }
}
