//! Columns of node keys: int64 or utf8.

use std::fmt;

/// The type of a side's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// 64-bit signed integers.
    Int64,
    /// UTF-8 text.
    Utf8,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyType::Int64 => "int64",
            KeyType::Utf8 => "utf8",
        })
    }
}

/// A column of keys. Text is one buffer with `len + 1` offsets, as Arrow lays it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Integer keys.
    Int64(Vec<i64>),
    /// Text keys: key `i` is `bytes[offsets[i]..offsets[i + 1]]`, valid UTF-8.
    Utf8 {
        /// `len + 1` ascending offsets, the first 0.
        offsets: Vec<u64>,
        /// All keys, end to end.
        bytes: Vec<u8>,
    },
}

/// One key, borrowed. The order is numeric for integers and by byte for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef<'a> {
    /// An integer key.
    Int64(i64),
    /// A text key.
    Utf8(&'a str),
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyRef::Int64(key) => write!(f, "{key}"),
            KeyRef::Utf8(key) => f.write_str(key),
        }
    }
}

impl Keys {
    /// An empty column of type `key_type`.
    pub fn new(key_type: KeyType) -> Keys {
        match key_type {
            KeyType::Int64 => Keys::Int64(Vec::new()),
            KeyType::Utf8 => Keys::Utf8 { offsets: vec![0], bytes: Vec::new() },
        }
    }

    /// The type of the keys.
    pub fn key_type(&self) -> KeyType {
        match self {
            Keys::Int64(_) => KeyType::Int64,
            Keys::Utf8 { .. } => KeyType::Utf8,
        }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        match self {
            Keys::Int64(keys) => keys.len(),
            Keys::Utf8 { offsets, .. } => offsets.len() - 1,
        }
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key `index`. Text that is not UTF-8 (which no source lets in) reads as empty.
    pub fn get(&self, index: usize) -> KeyRef<'_> {
        match self {
            Keys::Int64(keys) => KeyRef::Int64(keys[index]),
            Keys::Utf8 { offsets, bytes } => {
                let range = offsets[index] as usize..offsets[index + 1] as usize;
                KeyRef::Utf8(std::str::from_utf8(&bytes[range]).unwrap_or(""))
            }
        }
    }

    /// Appends `key`, whose type must be the column's; a key of the other type is not appended.
    pub fn push(&mut self, key: KeyRef<'_>) {
        match (self, key) {
            (Keys::Int64(keys), KeyRef::Int64(key)) => keys.push(key),
            (Keys::Utf8 { offsets, bytes }, KeyRef::Utf8(key)) => {
                bytes.extend_from_slice(key.as_bytes());
                offsets.push(bytes.len() as u64);
            }
            (column, key) => debug_assert!(false, "{key:?} in a column of {}", column.key_type()),
        }
    }

    /// The index of `key` in a column in ascending order.
    pub fn binary_search(&self, key: KeyRef<'_>) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(&key) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The keys at `indices`, in that order.
    pub fn take(&self, indices: &[u32]) -> Keys {
        match self {
            Keys::Int64(keys) => Keys::Int64(indices.iter().map(|&i| keys[i as usize]).collect()),
            Keys::Utf8 { .. } => {
                let mut out = Keys::new(KeyType::Utf8);
                for &index in indices {
                    out.push(self.get(index as usize));
                }
                out
            }
        }
    }
}
