//! The keys of one side, in ascending order: the dense id of a node is the rank of its key.

use std::sync::Arc;

use crate::model::{KeyRef, Keys};

/// Distinct keys in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    /// Shared, since several stages hold the same keys.
    keys: Arc<Keys>,
}

impl Dictionary {
    /// A dictionary of `keys`, which are distinct and ascending.
    pub fn from_sorted(keys: Keys) -> Dictionary {
        debug_assert!((1..keys.len()).all(|i| keys.get(i - 1) < keys.get(i)));
        Dictionary::from_shared(Arc::new(keys))
    }

    /// The dictionary of `keys`, as [`Dictionary::from_sorted`], without a copy.
    pub fn from_shared(keys: Arc<Keys>) -> Dictionary {
        Dictionary { keys }
    }

    /// The keys, by dense id.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of `node`.
    pub fn key(&self, node: u32) -> KeyRef<'_> {
        self.keys.get(node as usize)
    }

    /// The dense id of `key`.
    pub fn id(&self, key: KeyRef<'_>) -> Option<u32> {
        self.keys.binary_search(key).map(|id| id as u32)
    }
}

/// The union of `parts`, each ascending, all of one type. Cost: each key is moved once for each
/// halving of the number of parts.
pub fn merge_keys(parts: Vec<Keys>) -> Keys {
    let mut parts = parts;
    while parts.len() > 1 {
        let mut halves = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(first) = rest.next() {
            halves.push(match rest.next() {
                Some(second) => union(first, second),
                None => first,
            });
        }
        parts = halves;
    }
    parts.pop().unwrap_or(Keys::Int64(Vec::new()))
}

/// The union of two ascending columns.
fn union(first: Keys, second: Keys) -> Keys {
    if first.is_empty() {
        return second;
    }
    if let (Keys::Int64(first), Keys::Int64(second)) = (&first, &second) {
        return Keys::Int64(union_of_ints(first, second));
    }
    let mut out = Keys::new(first.key_type());
    let (mut i, mut j) = (0, 0);
    while i < first.len() && j < second.len() {
        let (a, b) = (first.get(i), second.get(j));
        out.push(a.min(b));
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    (i..first.len()).for_each(|i| out.push(first.get(i)));
    (j..second.len()).for_each(|j| out.push(second.get(j)));
    out
}

/// The union of two ascending columns of integers.
fn union_of_ints(first: &[i64], second: &[i64]) -> Vec<i64> {
    let mut out = Vec::with_capacity(first.len() + second.len());
    let (mut i, mut j) = (0, 0);
    // Which of two keys is less cannot be predicted, so no branch depends on it.
    while let (Some(&a), Some(&b)) = (first.get(i), second.get(j)) {
        out.push(a.min(b));
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    out.extend_from_slice(&first[i..]);
    out.extend_from_slice(&second[j..]);
    out.shrink_to_fit();
    out
}

/// The rank in `dictionary` of each of `keys`, which are ascending and all in it. Cost: one walk
/// along both.
pub fn ranks(keys: &Keys, dictionary: &Dictionary) -> Vec<u32> {
    let mut rank = 0;
    if let (Keys::Int64(keys), Keys::Int64(all)) = (keys, dictionary.keys()) {
        let rank_of = |key| {
            while all.get(rank).is_some_and(|other| other < key) {
                rank += 1;
            }
            rank as u32
        };
        return keys.iter().map(rank_of).collect();
    }
    let mut out = Vec::with_capacity(keys.len());
    for index in 0..keys.len() {
        while rank < dictionary.len() && dictionary.keys.get(rank) < keys.get(index) {
            rank += 1;
        }
        out.push(rank as u32);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_keys_are_the_union_and_ranks_find_them() {
        let text = |keys: &[&str]| {
            let mut out = Keys::new(crate::model::KeyType::Utf8);
            keys.iter().for_each(|key| out.push(KeyRef::Utf8(key)));
            out
        };
        let parts = vec![text(&["a", "c"]), text(&["b", "c", "d"]), text(&[]), text(&["a", "e"])];
        let dictionary = Dictionary::from_sorted(merge_keys(parts.clone()));
        assert_eq!(dictionary.keys(), &text(&["a", "b", "c", "d", "e"]));
        assert_eq!(ranks(&parts[1], &dictionary), [1, 2, 3]);
        assert_eq!(ranks(&parts[3], &dictionary), [0, 4]);
        let ints = merge_keys(vec![Keys::Int64(vec![-5, 3]), Keys::Int64(vec![-7, 3])]);
        assert_eq!(ints, Keys::Int64(vec![-7, -5, 3]));
        assert!(merge_keys(Vec::new()).is_empty());
    }
}
