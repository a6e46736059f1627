//! Sets of nodes of one side, with ranks: who is kept, and under which dense id.

use super::Dictionary;
use crate::kernels::aggregate::EventTotals;

/// A set of nodes out of `0..nodes`: a bitmap with the count of members before each word, so that
/// the rank of a member costs one popcount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSet {
    nodes: usize,
    words: Vec<u64>,
    before: Vec<u32>,
    count: usize,
}

impl NodeSet {
    /// The nodes whose degree is at least `min`.
    pub fn from_degrees(degrees: &[u32], min: u32) -> NodeSet {
        let (mut words, mut before, mut count) = (Vec::new(), Vec::new(), 0u32);
        for block in degrees.chunks(64) {
            let bit = |(index, &degree): (usize, &u32)| u64::from(degree >= min) << index;
            let word: u64 = block.iter().enumerate().map(bit).sum();
            words.push(word);
            before.push(count);
            count += word.count_ones();
        }
        NodeSet { nodes: degrees.len(), words, before, count: count as usize }
    }

    /// Whether `node` is a member.
    #[inline]
    pub fn contains(&self, node: u32) -> bool {
        self.words[node as usize / 64] >> (node % 64) & 1 == 1
    }

    /// The number of members below `node`, which may be one past the last node.
    #[inline]
    pub fn rank(&self, node: u32) -> u32 {
        let word = node as usize / 64;
        match (self.words.get(word), self.before.get(word)) {
            (Some(&bits), Some(&before)) => {
                before + (bits & ((1u64 << (node % 64)) - 1)).count_ones()
            }
            _ => self.count as u32,
        }
    }

    /// The number of members.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether every node is a member.
    pub fn is_full(&self) -> bool {
        self.count == self.nodes
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.nodes as u32).filter(|&node| self.contains(node))
    }
}

impl Dictionary {
    /// The dictionary of the members of `kept`: their dense ids become ranks among members.
    pub fn retain(self, kept: &NodeSet) -> Dictionary {
        if kept.is_full() {
            return self;
        }
        let members: Vec<u32> = kept.iter().collect();
        Dictionary::from_sorted(self.keys().take(&members))
    }
}

impl EventTotals {
    /// The totals of the members of `left` and `right`. Events are not dropped with the other end
    /// of their pair: a kept node counts all its events.
    pub fn retain(mut self, left: &NodeSet, right: &NodeSet) -> EventTotals {
        for (side, kept) in [(&mut self.left, left), (&mut self.right, right)] {
            if !kept.is_full() {
                side.retain(|node| kept.contains(node));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_members() {
        let degrees: Vec<u32> = (0..200).map(|n| n % 3).collect();
        let set = NodeSet::from_degrees(&degrees, 1);
        let mut members = 0;
        for node in 0..200u32 {
            assert_eq!(set.rank(node), members);
            assert_eq!(set.contains(node), node % 3 >= 1);
            members += u32::from(set.contains(node));
        }
        assert_eq!((set.rank(200), set.count(), set.is_full()), (members, 133, false));
        assert!(NodeSet::from_degrees(&degrees, 0).is_full());
        assert_eq!(NodeSet::from_degrees(&[], 1).rank(0), 0);
    }
}
