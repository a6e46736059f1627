//! Compressed sparse rows: the adjacency of one side.

/// The adjacency of one side: node `n` is joined to
/// `targets[offsets[n]..offsets[n + 1]]`, in ascending order and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Csr {
    /// `nodes + 1` ascending offsets, the first 0.
    pub offsets: Vec<u64>,
    /// Dense ids of the other side: 4 bytes an edge.
    pub targets: Vec<u32>,
    /// Edge weights in fixed point, parallel to `targets`; empty unless a feature asked for them.
    pub weights: Vec<i64>,
}

impl Csr {
    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The number of neighbours of `node`.
    pub fn degree(&self, node: u32) -> usize {
        let node = node as usize;
        (self.offsets[node + 1] - self.offsets[node]) as usize
    }

    /// The neighbours of `node`, ascending.
    pub fn neighbours(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// The weights of `node`'s edges, parallel to [`Csr::neighbours`]; empty if none are kept.
    pub fn weights_of(&self, node: u32) -> &[i64] {
        if self.weights.is_empty() {
            return &[];
        }
        let node = node as usize;
        &self.weights[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// The adjacency of the other side, which has `other_nodes` nodes; weights go along.
    /// Counting sort, so each list is ascending again. Cost: two passes over the edges.
    pub fn transpose(&self, other_nodes: usize) -> Csr {
        let mut offsets = vec![0u64; other_nodes + 1];
        for &target in &self.targets {
            offsets[target as usize + 1] += 1;
        }
        for index in 0..other_nodes {
            offsets[index + 1] += offsets[index];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0u32; self.targets.len()];
        let mut weights = vec![0i64; self.weights.len()];
        for node in 0..self.nodes() as u32 {
            let begin = self.offsets[node as usize] as usize;
            for (index, &target) in self.neighbours(node).iter().enumerate() {
                let slot = &mut next[target as usize];
                targets[*slot as usize] = node;
                if let Some(weight) = weights.get_mut(*slot as usize) {
                    *weight = self.weights[begin + index];
                }
                *slot += 1;
            }
        }
        Csr { offsets, targets, weights }
    }
}
