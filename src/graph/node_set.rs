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
        let bit = |(index, &degree): (usize, &u32)| u64::from(degree >= min) << index;
        let word = |block: &[u32]| block.iter().enumerate().map(bit).sum();
        NodeSet::counted(degrees.len(), degrees.chunks(64).map(word).collect())
    }

    /// The set of `words`: node `n` is a member if bit `n % 64` of word `n / 64` is set. `None` if
    /// they are not those of `nodes` nodes.
    pub fn from_words(nodes: usize, words: Vec<u64>) -> Option<NodeSet> {
        let beyond =
            words.last().is_some_and(|&last| !nodes.is_multiple_of(64) && last >> (nodes % 64) > 0);
        let fit = nodes <= u32::MAX as usize && words.len() == nodes.div_ceil(64) && !beyond;
        fit.then(|| NodeSet::counted(nodes, words))
    }

    /// The words of [`NodeSet::from_words`].
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The nodes that may be members.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    fn counted(nodes: usize, words: Vec<u64>) -> NodeSet {
        let (mut before, mut count) = (Vec::with_capacity(words.len()), 0u32);
        for word in &words {
            before.push(count);
            count += word.count_ones();
        }
        NodeSet { nodes, words, before, count: count as usize }
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
        assert_eq!(NodeSet::from_words(200, set.words().to_vec()), Some(set.clone()));
        assert_eq!(NodeSet::from_words(201, set.words().to_vec()).map(|s| s.count()), Some(133));
        assert_eq!(NodeSet::from_words(199, set.words().to_vec()), None);
        assert_eq!(NodeSet::from_words(193, set.words().to_vec()), None);
        assert_eq!(NodeSet::from_words(257, set.words().to_vec()), None);
        assert_eq!(NodeSet::from_degrees(&[], 1).rank(0), 0);
    }
}
