//! Connected components, which a walk never leaves.
//!
//! Breadth-first search from each left node that no search has reached yet, so components are
//! numbered by their smallest left node. Cost: each edge twice.

use super::Bipartite;

/// The connected components of a bipartite graph and the nodes of each. Right nodes without an edge
/// are in none.
#[derive(Clone, Debug, Default)]
pub struct Components {
    left_of: Vec<u32>,
    right_of: Vec<u32>,
    lefts: Lists,
    rights: Lists,
    edges: Vec<u64>,
    right_degree: Vec<f32>,
}

/// Nodes by component, ascending in each.
#[derive(Clone, Debug, Default)]
struct Lists {
    offsets: Vec<u32>,
    nodes: Vec<u32>,
}

/// The component of a right node that has no edge.
const NONE: u32 = u32::MAX;

impl Components {
    /// The components of `graph`.
    pub fn new(graph: Bipartite<'_>) -> Components {
        let mut left_of = vec![NONE; graph.left.nodes()];
        let mut right_of = vec![NONE; graph.right.nodes()];
        let mut edges = Vec::new();
        let mut queue = Vec::new();
        for start in 0..graph.left.nodes() as u32 {
            if left_of[start as usize] != NONE {
                continue;
            }
            let label = edges.len() as u32;
            let mut count = 0;
            left_of[start as usize] = label;
            queue.push(start);
            while let Some(left) = queue.pop() {
                count += graph.left.degree(left) as u64;
                for &right in graph.left.neighbours(left) {
                    if right_of[right as usize] != NONE {
                        continue;
                    }
                    right_of[right as usize] = label;
                    for &next in graph.right.neighbours(right) {
                        if left_of[next as usize] == NONE {
                            left_of[next as usize] = label;
                            queue.push(next);
                        }
                    }
                }
            }
            edges.push(count);
        }
        let lefts = Lists::new(&left_of, edges.len());
        let rights = Lists::new(&right_of, edges.len());
        let rights_all = 0..graph.right.nodes() as u32;
        let right_degree = rights_all.map(|right| graph.right.degree(right) as f32).collect();
        Components { left_of, right_of, lefts, rights, edges, right_degree }
    }

    /// The component of `left`.
    pub fn of_left(&self, left: u32) -> u32 {
        self.left_of[left as usize]
    }

    /// The component of each right node; `u32::MAX` for one without an edge.
    pub(super) fn of_rights(&self) -> &[u32] {
        &self.right_of
    }

    /// The degree of each right node, exact up to 2^24.
    pub(super) fn right_degree(&self) -> &[f32] {
        &self.right_degree
    }

    /// The edges of the component of `left`.
    pub fn edges_around(&self, left: u32) -> u64 {
        self.edges[self.of_left(left) as usize]
    }

    /// The left nodes of the component of `left`, ascending.
    pub fn lefts_around(&self, left: u32) -> &[u32] {
        self.lefts.list(self.of_left(left))
    }

    /// The right nodes of the component of `left`, ascending.
    pub fn rights_around(&self, left: u32) -> &[u32] {
        self.rights.list(self.of_left(left))
    }

    /// The number of components.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether there is no component.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }
}

impl Lists {
    /// Groups nodes by `label`, below `count` or `NONE`, by a counting sort.
    fn new(labels: &[u32], count: usize) -> Lists {
        let mut offsets = vec![0u32; count + 1];
        for &label in labels.iter().filter(|&&label| label != NONE) {
            offsets[label as usize + 1] += 1;
        }
        for index in 0..count {
            offsets[index + 1] += offsets[index];
        }
        let mut next = offsets.clone();
        let mut nodes = vec![0; offsets[count] as usize];
        for (node, &label) in labels.iter().enumerate() {
            if label != NONE {
                nodes[next[label as usize] as usize] = node as u32;
                next[label as usize] += 1;
            }
        }
        Lists { offsets, nodes }
    }

    fn list(&self, label: u32) -> &[u32] {
        let label = label as usize;
        &self.nodes[self.offsets[label] as usize..self.offsets[label + 1] as usize]
    }
}
