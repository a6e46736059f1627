//! Graphs for tests: random ones, and those whose results are known in closed form.

use std::collections::BTreeSet;

use pingraph::graph::{Csr, Dictionary, Graph};
use pingraph::model::{Keys, SideNames};
use proptest::prelude::*;

/// The graph of `edges` with `lefts` and `rights` nodes; the key of node `n` is `10 * n`.
pub fn graph(lefts: usize, rights: usize, edges: &[(u32, u32)]) -> Graph {
    let edges: BTreeSet<(u32, u32)> = edges.iter().copied().collect();
    let mut offsets = vec![0u64; lefts + 1];
    for &(left, _) in &edges {
        offsets[left as usize + 1] += 1;
    }
    for index in 0..lefts {
        offsets[index + 1] += offsets[index];
    }
    let targets = edges.iter().map(|&(_, right)| right).collect();
    let forward = Csr { offsets, targets, weights: Vec::new() };
    let backward = forward.transpose(rights);
    let keys = |count: usize| {
        Dictionary::from_sorted(Keys::Int64((0..count as i64).map(|n| 10 * n).collect()))
    };
    Graph {
        names: SideNames { left: "user".into(), right: "pin".into() },
        left: keys(lefts),
        right: keys(rights),
        forward,
        backward,
        events: None,
    }
}

/// The same graph without nodes that have no edge, as the engine would build it.
pub fn compact(edges: &[(u32, u32)]) -> Graph {
    let lefts: Vec<u32> = edges.iter().map(|e| e.0).collect::<BTreeSet<_>>().into_iter().collect();
    let rights: Vec<u32> = edges.iter().map(|e| e.1).collect::<BTreeSet<_>>().into_iter().collect();
    let dense: Vec<(u32, u32)> = edges
        .iter()
        .map(|&(l, r)| {
            let left = lefts.binary_search(&l).unwrap_or(0) as u32;
            (left, rights.binary_search(&r).unwrap_or(0) as u32)
        })
        .collect();
    graph(lefts.len(), rights.len(), &dense)
}

/// Random graphs of up to 60 x 40 nodes, some with a hub on either side, without isolated nodes.
pub fn random() -> impl Strategy<Value = Graph> {
    let edges = prop::collection::vec((0..60u32, 0..40u32), 1..400);
    (edges, any::<bool>(), any::<bool>()).prop_map(|(mut edges, left_hub, right_hub)| {
        if left_hub {
            edges.extend((0..40).map(|right| (7, right)));
        }
        if right_hub {
            edges.extend((0..60).map(|left| (left, 3)));
        }
        compact(&edges)
    })
}

/// Every left node joined to every right node.
pub fn complete(lefts: u32, rights: u32) -> Graph {
    let edges: Vec<_> = (0..lefts).flat_map(|l| (0..rights).map(move |r| (l, r))).collect();
    compact(&edges)
}

/// One left node joined to `rights` right nodes.
pub fn star(rights: u32) -> Graph {
    complete(1, rights)
}

/// The path left 0, right 0, left 1, right 1, ... with `lefts` left and `lefts` right nodes.
pub fn path(lefts: u32) -> Graph {
    let edges: Vec<_> = (0..lefts).map(|n| (n, n)).chain((1..lefts).map(|n| (n, n - 1))).collect();
    compact(&edges)
}

/// Two complete graphs of `lefts` x `rights` that share nothing.
pub fn two_cliques(lefts: u32, rights: u32) -> Graph {
    let one = (0..lefts).flat_map(|l| (0..rights).map(move |r| (l, r)));
    let two = (0..lefts).flat_map(|l| (0..rights).map(move |r| (l + lefts, r + rights)));
    compact(&one.chain(two).collect::<Vec<_>>())
}

/// Graphs whose degrees are known by heart, each with those of its left and of its right nodes.
pub fn of_known_degrees() -> Vec<(&'static str, Graph, Vec<u32>, Vec<u32>)> {
    let same = |count: usize, degree: u32| vec![degree; count];
    vec![
        ("one edge", complete(1, 1), same(1, 1), same(1, 1)),
        ("complete", complete(7, 4), same(7, 4), same(4, 7)),
        ("star", star(9), same(1, 9), same(9, 1)),
        ("star around a right node", complete(9, 1), same(9, 1), same(1, 9)),
        // Both ends have one neighbour: the first left node and the last right node.
        ("path", path(6), [same(1, 1), same(5, 2)].concat(), [same(5, 2), same(1, 1)].concat()),
        ("two cliques", two_cliques(3, 5), same(6, 5), same(10, 3)),
    ]
}
