//! The adjacency lists that two_hop walks, with columns relabelled by norm.
//!
//! # Representation
//!
//! Column `r` is the node of rank `r` when the right nodes are put in descending order of norm
//! (then ascending dense id), but for the order within tiles of 512: neighbouring columns have about equal norms,
//! which the selection relies on, and norms rise with degrees about, so that most
//! edges lead to low columns. The list of a left node is a run of 32-bit words:
//!
//! 1. the *near* columns, those below [`NEAR`], as 16-bit numbers, two a word, the last word padded
//!    with 0;
//! 2. the *far* columns less [`NEAR`], one a word.
//!
//! Where a list begins and how many near columns it has is one 64-bit number, so that a walk knows
//! the length of a list before its memory has arrived.
//!
//! A graph with up to 65,536 columns so takes 2 bytes an edge, one with 150,000 about 2.5: the walk
//! is bound by the memory that it reads. A near column also needs no bounds check.
//!
//! # Cost
//!
//! One pass over the edges, in independent ranges of left nodes, then one copy.

use std::ops::Range;

use super::counters::GROUPS;
use crate::kernels::prefetch::prefetch;

/// Columns below this are stored in 16 bits.
pub const NEAR: usize = 1 << 16;

/// Words of a cache line of 64 bytes.
const LINE: usize = 16;

/// How many lists ahead of the one in work memory is asked for.
const AHEAD: usize = 6;

/// How many lists ahead their beginnings are asked for.
const FAR_AHEAD: usize = 14;

/// Low bits of a [`Lists::heads`] that hold the number of near columns, 0 to [`NEAR`].
const COUNT_BITS: u32 = 17;

/// Cache lines asked for of each list; the hardware foresees the rest.
const LINES: usize = 4;

/// Rows of a tile.
const TILE_ROWS: usize = 8;

/// Columns of a tile, within which they stand column by column: the selection looks at vectors of [`GROUPS`]
/// counters and reads the hits of eight of them group by group, and so gets those of
/// equal degree in ascending order of their ids.
const TILE: usize = TILE_ROWS * GROUPS;

/// The right nodes by descending norm, then ascending dense id, but for the order within tiles, given the
/// `norms` by dense id: the dense id of each column.
pub fn columns_by_norm(norms: &[u64]) -> Vec<u32> {
    let mut keys: Vec<(u64, u32)> =
        (0u32..).zip(norms).map(|(node, norm)| (u64::MAX - norm, node)).collect();
    keys.sort_unstable();
    let mut nodes: Vec<u32> = keys.iter().map(|&(_, node)| node).collect();
    for (nodes, keys) in nodes.chunks_exact_mut(TILE).zip(keys.chunks_exact(TILE)) {
        for (rank, &(_, node)) in keys.iter().enumerate() {
            nodes[rank % TILE_ROWS * GROUPS + rank / TILE_ROWS] = node;
        }
    }
    nodes
}

/// The inverse of [`columns_by_norm`]: the column of each dense id.
pub fn column_of_node(nodes: &[u32]) -> Vec<u32> {
    let mut columns = vec![0; nodes.len()];
    for (column, &node) in (0u32..).zip(nodes) {
        columns[node as usize] = column;
    }
    columns
}

/// The lists of the left nodes in `range`, as words, after the number of near columns of each.
/// `offsets` and `targets` are the left adjacency, `columns` gives the column of each right node.
pub fn relabel(offsets: &[u64], targets: &[u32], columns: &[u32], range: Range<usize>) -> Vec<u32> {
    let edges = (offsets[range.end] - offsets[range.start]) as usize;
    let mut words = Vec::with_capacity(edges + 2 * range.len());
    words.resize(range.len(), 0);
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for (index, left) in range.enumerate() {
        let list = &targets[offsets[left] as usize..offsets[left + 1] as usize];
        near.resize(list.len(), 0u16);
        far.resize(list.len(), 0u32);
        // Both are written and only the right one is kept: a branch would be mispredicted.
        let (mut nears, mut fars) = (0, 0);
        for &target in list {
            let column = columns[target as usize] as usize;
            near[nears] = column as u16;
            far[fars] = column.wrapping_sub(NEAR) as u32;
            nears += usize::from(column < NEAR);
            fars += usize::from(column >= NEAR);
        }
        words[index] = nears as u32;
        words.extend(near[..nears].chunks(2).map(pair));
        words.extend_from_slice(&far[..fars]);
    }
    words.shrink_to_fit();
    words
}

/// One or two 16-bit numbers as a word that reads back as the same numbers.
fn pair(numbers: &[u16]) -> u32 {
    bytemuck::cast([numbers[0], numbers.get(1).copied().unwrap_or(0)])
}

/// The relabelled lists of all left nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Where each list begins in `words`, above the number of its near columns; and the end.
    heads: Vec<u64>,
    words: Vec<u32>,
}

impl Lists {
    /// Joins the results of [`relabel`] over consecutive `ranges`. `offsets` is that of the left
    /// adjacency. Each part is freed as soon as it is copied.
    pub fn join(offsets: &[u64], ranges: &[Range<usize>], parts: Vec<Vec<u32>>) -> Lists {
        let total: usize = parts.iter().map(Vec::len).sum();
        let mut words = Vec::with_capacity(total - (offsets.len() - 1).min(total));
        let mut heads = Vec::with_capacity(offsets.len());
        let mut begin = 0;
        for (range, part) in ranges.iter().zip(parts) {
            let (counts, lists) = part.split_at(range.len());
            for (left, &nears) in range.clone().zip(counts) {
                heads.push(begin << COUNT_BITS | u64::from(nears));
                let fars = offsets[left + 1] - offsets[left] - u64::from(nears);
                begin += u64::from(nears.div_ceil(2)) + fars;
            }
            words.extend_from_slice(lists);
        }
        heads.push(begin << COUNT_BITS);
        Lists { heads, words }
    }

    /// The columns of `left`: the near ones, and the far ones less [`NEAR`].
    #[inline(always)]
    pub fn columns(&self, left: u32) -> (&[u16], &[u32]) {
        let (head, next) = (self.heads[left as usize], self.heads[left as usize + 1]);
        let nears = (head & ((1 << COUNT_BITS) - 1)) as usize;
        let list = &self.words[(head >> COUNT_BITS) as usize..(next >> COUNT_BITS) as usize];
        let (near, far) = list.split_at(nears.div_ceil(2));
        (&bytemuck::cast_slice(near)[..nears], far)
    }

    /// Asks for the memory of the list that is [`AHEAD`] places after `index` in `lefts`.
    #[inline(always)]
    pub fn prefetch_ahead(&self, lefts: &[u32], index: usize) {
        if let Some(&left) = lefts.get(index + FAR_AHEAD) {
            prefetch(&self.heads, left as usize);
        }
        if let Some(&left) = lefts.get(index + AHEAD) {
            let begin = (self.heads[left as usize] >> COUNT_BITS) as usize;
            for line in 0..LINES {
                prefetch(&self.words, begin + line * LINE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_ranks_of_norm_then_id() {
        let nodes = columns_by_norm(&[1, 3, 1, 3]);
        assert_eq!(nodes, [1, 3, 0, 2]);
        assert_eq!(column_of_node(&nodes), [2, 0, 3, 1]);
    }

    #[test]
    fn near_and_far_columns_come_back_from_any_split() {
        let columns: Vec<u32> = (0..200_000).rev().collect();
        let targets = [5, 70_000, 134_463, 134_464, 199_999, 0, 1];
        let offsets = [0, 3, 3, 6, 7];
        let whole = relabel(&offsets, &targets, &columns, 0..4);
        let ranges = [0..1, 1..3, 3..4];
        let parts = ranges.clone().map(|range| relabel(&offsets, &targets, &columns, range));
        let lists = Lists::join(&offsets, &ranges, parts.into());
        assert_eq!(lists, Lists::join(&offsets, std::slice::from_ref(&(0..4)), vec![whole]));
        let list = |left| {
            let (near, far) = lists.columns(left);
            let near = near.iter().map(|&c| c as usize);
            near.chain(far.iter().map(|&c| c as usize + NEAR)).collect::<Vec<_>>()
        };
        assert_eq!(list(0), [199_994, 129_999, 65_536]);
        assert!(list(1).is_empty());
        assert_eq!(list(2), [65_535, 0, 199_999]);
        assert_eq!(list(3), [199_998]);
    }
}
