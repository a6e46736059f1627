//! propagate: pull iteration over the whole graph, two float64 a node.
//!
//! Representation: the CSR of each side; contributions `c(n) = x(n) / degree(n)` of each node, in fixed
//! point: unsigned 32-bit numbers of units (see [`Unit`]). A pass over the edges serves [`LANES`]
//! vectors at once, whose contributions lie side by side: an index that has been read and a
//! line that has been fetched are used twice.
//! Formula: `y(n) = base + damping * sum of c(m) over the neighbours m of n`, for each lane.
//!
//! 1. [`contributions`] divides each value by its node's degree.
//! 2. [`pull`] sums the contributions of each node's neighbours, for any range of nodes. It does not
//!    loop over rows: it writes the running sums of a block of edges, [`BLOCK`] at a time, and a row's
//!    sum is the difference of two of them. Rows are short and of all lengths, and a branch at the
//!    end of each would be mispredicted; so the gathers never wait for one.
//! 3. The caller puts the ranges together and decides whether to go on.
//!
//! Sums are integers modulo 2^64 and exact, so their order is free, which the differences rest on. A
//! row's own sum is below 2^63: a node has fewer than 2^31 neighbours.
//! Cost: one gather an edge, and a store to the first-level cache.
//!
//! Accuracy: a contribution is off by at most half a unit, 2^-33 / nodes. A round passes on
//! `damping` of what it gets, so the errors of all values together are at most
//! `2^-33 * mean degree * damping / (1 - damping)` of the total: 3.3e-8 for a mean degree of 50 and
//! a damping of 0.85.
//!
//! Reference: Page, Brin, Motwani, Winograd, "The PageRank Citation Ranking", 1999; pull iteration
//! as in Beamer, Asanovic, Patterson, "The GAP Benchmark Suite", 2015.

use std::ops::Range;

/// Vectors that a pass serves.
pub const LANES: usize = 2;

/// Edges whose running sums are held at once: 16 KiB of them, half a first-level cache.
const BLOCK: usize = 1024;

/// Edges that are added up side by side.
const GROUP: usize = 4;

/// The unit of contributions: the largest contribution that a graph of so many nodes can have, in
/// 2^32 - 1 parts.
///
/// That is `1 / nodes` where the values begin at `1 / nodes` each and a round computes
/// `x(n) = (1 - damping) / nodes + damping * sum of c(m)`: if all `c(m)` are at most `1 / nodes`, then
/// `c(n) = x(n) / degree(n) <= (1 - damping) / nodes + damping * (mean of c(m)) <= 1 / nodes`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit(f64);

impl Unit {
    /// The unit for a graph of `nodes` nodes, both sides together.
    pub fn for_nodes(nodes: usize) -> Unit {
        Unit(1.0 / (nodes as f64 * f64::from(u32::MAX)))
    }
}

/// `values[n] / degree(n)` in `unit`s for every node, to the nearest; 0 for a node without edges.
pub fn contributions(offsets: &[u64], values: &[[f64; LANES]], unit: Unit) -> Vec<[u32; LANES]> {
    let degrees = offsets.windows(2).map(|pair| pair[1] - pair[0]);
    let contribution = |(lanes, degree): (&[f64; LANES], u64)| match degree {
        0 => [0; LANES],
        // The conversion saturates, so a value past the bound by a rounding error stays at it.
        _ => {
            let units = 1.0 / (degree.cast_signed() as f64 * unit.0);
            lanes.map(|value| (value * units + 0.5) as u32)
        }
    };
    values.iter().zip(degrees).map(contribution).collect()
}

/// `base + damping * sum of contributions[m] over the neighbours m of n` for the nodes `n` of
/// `range`, whose adjacency is `offsets` and `targets`.
pub fn pull(
    (offsets, targets): (&[u64], &[u32]),
    (contributions, unit): (&[[u32; LANES]], Unit),
    range: Range<usize>,
    base: f64,
    damping: f64,
) -> Vec<[f64; LANES]> {
    let factor = damping * unit.0;
    let first = offsets[range.start];
    let edges = &targets[first as usize..offsets[range.end] as usize];
    let mut ends = &offsets[range.start + 1..=range.end];
    let mut out = Vec::with_capacity(ends.len());
    // sums[i] is the running sum before edge i of the block; sums[BLOCK] is carried over.
    let mut sums = [[0u64; LANES]; BLOCK + 1];
    let mut row_begin = [0u64; LANES];
    let mut block_begin = first;
    // The empty block at the end is for ranges without edges.
    for block in edges.chunks(BLOCK).chain([[].as_slice()]) {
        running_sums(block, contributions, &mut sums);
        let in_block =
            ends.iter().take_while(|&end| end - block_begin <= block.len() as u64).count();
        let (ending, later) = ends.split_at(in_block);
        out.extend(ending.iter().map(|end| {
            let sum = sums[(end - block_begin) as usize];
            let begin = std::mem::replace(&mut row_begin, sum);
            let row = |lane: usize| sum[lane].wrapping_sub(begin[lane]).cast_signed() as f64;
            std::array::from_fn(|lane| base + factor * row(lane))
        }));
        ends = later;
        block_begin += block.len() as u64;
    }
    out
}

/// Writes the running sums of `block`, going on from the last entry of `sums`.
#[inline(always)]
fn running_sums(
    block: &[u32],
    contributions: &[[u32; LANES]],
    sums: &mut [[u64; LANES]; BLOCK + 1],
) {
    let mut sum = sums[BLOCK];
    sums[0] = sum;
    let (groups, rest) = block.as_chunks::<GROUP>();
    let (slots, _) = sums[1..].as_chunks_mut::<GROUP>();
    for (group, slot) in groups.iter().zip(slots) {
        // The sums within a group do not wait for the sum of all groups before.
        let [a, b, c, d] = group.map(|index| contributions[index as usize].map(u64::from));
        let (ab, cd) = (add(a, b), add(c, d));
        *slot = [a, ab, add(ab, c), add(ab, cd)].map(|part| add(sum, part));
        sum = slot[GROUP - 1];
    }
    for (slot, &index) in sums[1 + groups.len() * GROUP..].iter_mut().zip(rest) {
        sum = add(sum, contributions[index as usize].map(u64::from));
        *slot = sum;
    }
    sums[BLOCK] = sum;
}

#[inline(always)]
fn add(a: [u64; LANES], b: [u64; LANES]) -> [u64; LANES] {
    std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plain loop over rows, for rows of all lengths and any range.
        #[test]
        fn equals_the_plain_loop(
            degrees in prop::collection::vec(prop_oneof![4 => 0..9usize, 1 => 900..5000usize], 1..12),
            seed in any::<u32>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let word = |n: u32| (n ^ seed).wrapping_mul(0x9E37_79B9);
            let contributions: Vec<_> = (0..97).map(|n| [word(n), !word(n)]).collect();
            let mut offsets = vec![0u64];
            for &degree in &degrees {
                offsets.push(offsets[offsets.len() - 1] + degree as u64);
            }
            let edges = offsets[degrees.len()] as u32;
            let targets: Vec<u32> = (0..edges).map(|e| e.wrapping_mul(seed | 1) % 97).collect();
            let unit = Unit::for_nodes(1000);
            let range = cut.index(degrees.len())..degrees.len();
            let from = (contributions.as_slice(), unit);
            let rows = pull((&offsets, &targets), from, range.clone(), 0.25, 0.5);
            prop_assert_eq!(rows.len(), range.len());
            for (node, row) in range.zip(rows) {
                let neighbours = &targets[offsets[node] as usize..offsets[node + 1] as usize];
                for lane in 0..LANES {
                    let terms = neighbours.iter().map(|&n| u64::from(contributions[n as usize][lane]));
                    prop_assert_eq!(row[lane], 0.25 + 0.5 * unit.0 * terms.sum::<u64>() as f64);
                }
            }
        }
    }

    #[test]
    fn the_largest_contribution_fits() {
        let unit = Unit::for_nodes(2);
        let values = [[0.5, 0.5 + 1e-12], [0.25, 0.125], [0.5, 0.5]];
        let expected = [[u32::MAX; 2], [1 << 31, 1 << 30], [0; 2]];
        assert_eq!(contributions(&[0, 1, 2, 2], &values, unit), expected);
    }
}
