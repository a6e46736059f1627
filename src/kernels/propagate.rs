//! propagate: pull iteration over the whole graph, one float64 a node.
//!
//! Representation: the CSR of each side; one contribution `c(n) = x(n) / degree(n)` a node.
//! Formula: `y(n) = base + damping * sum of c(m) over the neighbours m of n`.
//!
//! 1. [`contributions`] divides each value by its node's degree.
//! 2. [`pull`] sums the contributions of each node's neighbours, for any range of nodes.
//! 3. The caller puts the ranges together and decides whether to go on.
//!
//! A node's sum runs over its whole adjacency in ascending id in four lanes (element `i` goes to
//! lane `i mod 4`, lanes are added as `(0 + 1) + (2 + 3)`): a fixed order, whatever the range, and
//! four additions in flight where one chain would wait for each. Cost: one gather an edge.
//!
//! Accuracy: values and sums are 64-bit floats; contributions are stored as 32-bit floats, since the
//! gathers then stay in the second-level cache twice as long. Each is off by at most 2^-24 of itself
//! and a round passes on `damping` of what it gets, so the errors of all values together are at most
//! `2^-24 * damping / (1 - damping)`, 3.4e-7 of the total for a damping of 0.85.
//!
//! Reference: Page, Brin, Motwani, Winograd, "The PageRank Citation Ranking", 1999; pull iteration
//! as in Beamer, Asanovic, Patterson, "The GAP Benchmark Suite", 2015.

use std::ops::Range;

/// `values[n] / degree(n)` for every node; 0 for a node without edges.
pub fn contributions(offsets: &[u64], values: &[f64]) -> Vec<f32> {
    let degrees = offsets.windows(2).map(|pair| pair[1] - pair[0]);
    values
        .iter()
        .zip(degrees)
        .map(|(value, degree)| if degree == 0 { 0.0 } else { (value / degree as f64) as f32 })
        .collect()
}

/// `base + damping * sum of contributions[m] over the neighbours m of n` for the nodes `n` of
/// `range`, whose adjacency is `offsets` and `targets`.
pub fn pull(
    offsets: &[u64],
    targets: &[u32],
    contributions: &[f32],
    range: Range<usize>,
    base: f64,
    damping: f64,
) -> Vec<f64> {
    range
        .map(|node| {
            let neighbours = &targets[offsets[node] as usize..offsets[node + 1] as usize];
            base + damping * sum(neighbours, contributions)
        })
        .collect()
}

/// The sum of `values` at `indices`, in four lanes.
fn sum(indices: &[u32], values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 4];
    let mut chunks = indices.chunks_exact(4);
    for chunk in &mut chunks {
        for (lane, &index) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(values[index as usize]);
        }
    }
    for (lane, &index) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += f64::from(values[index as usize]);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}
