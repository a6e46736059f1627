//! The keys of one side, in ascending order: the dense id of a node is the rank of its key.

use crate::model::{KeyRef, Keys};

/// Distinct keys in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    keys: Keys,
}

impl Dictionary {
    /// A dictionary of `keys`, which are distinct and ascending.
    pub fn from_sorted(keys: Keys) -> Dictionary {
        debug_assert!((1..keys.len()).all(|i| keys.get(i - 1) < keys.get(i)));
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
