//! The best of many non-negative scores: descending score, then ascending id.
//!
//! A score and an id make one integer key, greater for what comes first. Keys above the threshold go
//! to a buffer of four times the results; when it is full, the best are kept and the threshold
//! rises to the last of them. After the first few thousand nodes almost none passes.

/// The results of a seed, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopK {
    /// Right nodes.
    pub nodes: Vec<u32>,
    /// Their scores, parallel to `nodes`.
    pub scores: Vec<f32>,
}

/// Keeps the best of the scores it is shown. Scores that are not positive are ignored.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    wanted: usize,
    keys: Vec<u64>,
    threshold: u64,
}

impl Selector {
    /// Keeps the best `wanted`.
    pub(super) fn new(wanted: usize) -> Selector {
        // The key of a score of +0.0 is below 2^32, so that nothing but positive scores passes.
        let threshold = u64::from(u32::MAX);
        Selector { wanted, keys: Vec::with_capacity(4 * wanted + 16), threshold }
    }

    /// A score that every score still to be kept reaches; for skipping many at once.
    pub(super) fn least(&self) -> f32 {
        f32::from_bits((self.threshold >> 32) as u32)
    }

    /// Shows the score of `node`.
    #[inline]
    pub(super) fn offer(&mut self, node: u32, score: f32) {
        if score > 0.0 {
            let key = u64::from(score.to_bits()) << 32 | u64::from(!node);
            if key > self.threshold && self.wanted > 0 {
                self.keys.push(key);
                if self.keys.len() >= 4 * self.wanted {
                    self.shrink();
                }
            }
        }
    }

    /// Keeps the best and raises the threshold. It rises only when there are more than enough.
    fn shrink(&mut self) {
        if self.keys.len() > self.wanted {
            let last = self.wanted - 1;
            self.keys.select_nth_unstable_by(last, |a, b| b.cmp(a));
            self.keys.truncate(self.wanted);
            self.threshold = self.keys[last];
        }
    }

    /// The nodes kept, best first.
    pub(super) fn finish(mut self) -> TopK {
        self.shrink();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        TopK {
            nodes: self.keys.iter().map(|&key| !(key as u32)).collect(),
            scores: self.keys.iter().map(|&key| f32::from_bits((key >> 32) as u32)).collect(),
        }
    }
}
