//! Cuts of the nodes `0..nodes` of one side: [`Cells`] of equal width, in which load is counted,
//! and [`Ranges`] of whole cells, which are what workers own.

use std::ops::Range;

/// The most cells of a cut: few enough that counting in them costs nothing and the boundary of a
/// range is off by at most a thousandth of the nodes.
pub const CELLS_MAX: usize = 1024;

/// `0..nodes` in at most [`CELLS_MAX`] cells whose width is a power of two. The cut depends on the
/// number of nodes only.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cells {
    nodes: usize,
    shift: u32,
}

impl Cells {
    /// The cells of `0..nodes`.
    pub fn new(nodes: usize) -> Cells {
        let mut shift = 0;
        while nodes.saturating_sub(1) >> shift >= CELLS_MAX {
            shift += 1;
        }
        Cells { nodes, shift }
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The number of cells.
    pub fn len(&self) -> usize {
        self.nodes.div_ceil(1 << self.shift)
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.nodes == 0
    }

    /// The cell of `node`.
    pub fn of(&self, node: u32) -> usize {
        node as usize >> self.shift
    }

    /// The first node of cell `cell`, or the number of nodes past the last cell.
    pub fn first(&self, cell: usize) -> u32 {
        (cell << self.shift).min(self.nodes) as u32
    }
}

/// Contiguous ranges that together are `0..nodes`, in ascending order. Some may be empty.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ranges {
    cells: Cells,
    /// The range of each cell.
    owner: Vec<u32>,
    /// `len + 1` ascending nodes, the first 0.
    bounds: Vec<u32>,
}

impl Ranges {
    /// Exactly `pieces` ranges (at least one) of about equal load, where `load[c]` is the load of
    /// cell `c`. Piece `i` ends with the first cell at which the load so far reaches `i + 1`
    /// shares, so the cut is the same whoever computes it.
    pub fn by_load(cells: &Cells, load: &[u64], pieces: usize) -> Ranges {
        let pieces = pieces.max(1);
        let total: u128 = load.iter().map(|&l| u128::from(l)).sum();
        let (mut bounds, mut owner) = (vec![0], Vec::with_capacity(cells.len()));
        let mut done = 0u128;
        for cell in 0..cells.len() {
            owner.push(bounds.len() as u32 - 1);
            done += u128::from(load.get(cell).copied().unwrap_or(0));
            while bounds.len() < pieces && done * pieces as u128 >= bounds.len() as u128 * total {
                bounds.push(cells.first(cell + 1));
            }
        }
        bounds.resize(pieces, cells.nodes as u32);
        bounds.push(cells.nodes as u32);
        Ranges { cells: cells.clone(), owner, bounds }
    }

    /// One range that holds all of `0..nodes`.
    pub fn whole(nodes: usize) -> Ranges {
        Ranges::by_load(&Cells::new(nodes), &[], 1)
    }

    /// The number of ranges.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Range `index`.
    pub fn range(&self, index: usize) -> Range<u32> {
        self.bounds[index]..self.bounds[index + 1]
    }

    /// The index of the range that holds `node`.
    #[inline]
    pub fn of(&self, node: u32) -> usize {
        self.owner[self.cells.of(node)] as usize
    }

    /// The cells that the ranges are made of.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_tile_the_nodes_and_agree_with_of() {
        for nodes in [0usize, 1, 5, 1023, 1024, 1025, 5000] {
            let cells = Cells::new(nodes);
            assert!(cells.len() <= CELLS_MAX);
            for pieces in 1..7 {
                let hub: Vec<u64> = (0..cells.len()).map(|c| 1 + 5000 * (c == 3) as u64).collect();
                for load in [vec![1; cells.len()], hub, vec![0; cells.len()]] {
                    let ranges = Ranges::by_load(&cells, &load, pieces);
                    assert_eq!(ranges.len(), pieces);
                    let mut next = 0;
                    for index in 0..pieces {
                        let range = ranges.range(index);
                        assert_eq!(range.start, next);
                        next = range.end;
                        assert!(range.into_iter().all(|node| ranges.of(node) == index));
                    }
                    assert_eq!(next as usize, nodes);
                }
            }
        }
    }

    #[test]
    fn equal_load_gives_equal_ranges() {
        let cells = Cells::new(1000);
        let ranges = Ranges::by_load(&cells, &vec![7; 1000], 4);
        let widths: Vec<usize> = (0..4).map(|i| ranges.range(i).len()).collect();
        assert_eq!(widths, [250; 4]);
    }
}
