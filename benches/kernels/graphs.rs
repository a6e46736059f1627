//! Synthetic graphs, heavy-tailed on both sides.

use std::sync::Arc;

use pingraph::graph::{Csr, Dictionary, Graph};
use pingraph::model::{Keys, Side, SideNames};
use pingraph::signals::{Feature, Scratch, Step};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The graph of `edges` draws with a squared uniform on either side, repetitions removed. Every
/// node is kept, also one without edges.
pub fn synthetic(lefts: usize, rights: usize, edges: usize) -> Arc<Graph> {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut draw = |nodes: usize| {
        let uniform: f64 = random.random();
        (uniform * uniform * nodes as f64) as u32
    };
    let mut pairs: Vec<(u32, u32)> = (0..edges).map(|_| (draw(lefts), draw(rights))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut offsets = vec![0u64; lefts + 1];
    for &(left, _) in &pairs {
        offsets[left as usize + 1] += 1;
    }
    for index in 0..lefts {
        offsets[index + 1] += offsets[index];
    }
    let targets = pairs.into_iter().map(|(_, right)| right).collect();
    let forward = Csr { offsets, targets, weights: Vec::new() };
    let backward = forward.transpose(rights);
    let keys = |count: usize| Dictionary::from_sorted(Keys::Int64((0..count as i64).collect()));
    Arc::new(Graph {
        names: SideNames { left: "user".into(), right: "pin".into() },
        left: keys(lefts),
        right: keys(rights),
        forward,
        backward,
        events: None,
    })
}

/// Computes all rows of the first table of `feature`, whose rows are nodes of `side`, and gives how
/// many there are.
pub fn rows(feature: &dyn Feature, graph: &Arc<Graph>, side: Side) -> usize {
    let mut scratch = Scratch::default();
    let mut step = feature.start(Arc::clone(graph), &[]);
    let source = loop {
        match step {
            Step::Rows(source) => break source,
            Step::Round(stage) => {
                let parts = (0..stage.tasks()).map(|task| stage.run(task, &mut scratch)).collect();
                step = stage.next(parts);
            }
        }
    };
    let nodes =
        source.nodes(0).map_or_else(|| (0..graph.nodes(side) as u32).collect(), |n| n.to_vec());
    nodes.chunks(1000).map(|nodes| source.rows(0, nodes, &mut scratch).nodes.len()).sum()
}
