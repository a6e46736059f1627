//! Pairs on their way to the owner of a range: packed into words, dealt out in runs.
//!
//! A pair is one word: the node of the range, from the range's first, above; the node of the other
//! side below. Where the widest range leaves room the words have 32 bits, which halves what moves.
//!
//! A [`Dealer`] fills one run of [`RUN_PAIRS`] for each range at a time. Runs are short, so that
//! they take the memory of the blocks that are dealt out instead of new pages from the system. That
//! memory has left the caches, and stores wait for it in order, so each push asks for the line
//! that the range will fill next.

use super::Ranges;
use crate::kernels::prefetch::prefetch;
use crate::kernels::radix::PackedWord;

/// Pairs of a run at most.
const RUN_PAIRS: usize = 2048;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Packed pairs; [`PairPacking`] says how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// 32 bits each.
    Narrow(Vec<u32>),
    /// 64 bits each.
    Wide(Vec<u64>),
}

/// Some pairs of one range, column by column: events on their way to the owner of their left
/// node, or edges on their way to the owner of their right node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRun {
    /// Both nodes of each pair.
    pub pairs: Pairs,
    /// Ages and actions; empty for edges, and if the job needs neither.
    pub age_action: Vec<u64>,
    /// Weights in fixed point; empty if there are none.
    pub weight: Vec<i64>,
}

/// How the pairs of some ranges are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairPacking {
    /// Bits of the node of the other side.
    pub(super) low_bits: u32,
    narrow: bool,
}

/// The bits that hold the numbers below `count`.
pub(super) fn bits_below(count: usize) -> u32 {
    count.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

impl PairPacking {
    /// The packing of pairs of a node in one of `ranges` and one of `others` nodes.
    pub fn new(ranges: &Ranges, others: usize) -> PairPacking {
        let widest = (0..ranges.len()).map(|index| ranges.range(index).len()).max().unwrap_or(0);
        let low_bits = bits_below(others);
        PairPacking { low_bits, narrow: bits_below(widest) + low_bits <= u32::BITS }
    }

    /// Whether a pair has 32 bits.
    pub(super) fn is_narrow(self) -> bool {
        self.narrow
    }

    #[inline(always)]
    pub(super) fn pack(self, node: u32, other: u32) -> u64 {
        u64::from(node) << self.low_bits | u64::from(other)
    }

    /// The node of the range, from its first.
    #[inline(always)]
    pub(super) fn node(self, pair: u64) -> usize {
        (pair >> self.low_bits) as usize
    }

    /// The node of the other side.
    #[inline(always)]
    pub(super) fn other(self, pair: u64) -> u32 {
        (pair & ((1 << self.low_bits) - 1)) as u32
    }
}

impl Pairs {
    /// The number of pairs.
    pub fn len(&self) -> usize {
        match self {
            Pairs::Narrow(words) => words.len(),
            Pairs::Wide(words) => words.len(),
        }
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with the words in order.
    #[inline(always)]
    pub(super) fn for_each(&self, mut each: impl FnMut(u64)) {
        match self {
            Pairs::Narrow(words) => words.iter().for_each(|&word| each(word.into())),
            Pairs::Wide(words) => words.iter().for_each(|&word| each(word)),
        }
    }
}

/// Appends `value`, and asks for the line after its own.
#[inline(always)]
fn push_ahead<T>(values: &mut Vec<T>, value: T) {
    prefetch(values, values.len() + LINE / size_of::<T>());
    values.push(value);
}

/// A word that pairs are packed into.
pub(super) trait PairWord: PackedWord {
    fn wrap(words: Vec<Self>) -> Pairs;
}

impl PairWord for u32 {
    fn wrap(words: Vec<u32>) -> Pairs {
        Pairs::Narrow(words)
    }
}

impl PairWord for u64 {
    fn wrap(words: Vec<u64>) -> Pairs {
        Pairs::Wide(words)
    }
}

/// Deals out pairs to ranges.
pub(super) struct Dealer<W> {
    open: Vec<Open<W>>,
    done: Vec<Vec<PairRun>>,
    age_action: bool,
    weight: bool,
}

/// The run of a range that is being filled.
#[derive(Clone)]
struct Open<W> {
    words: Vec<W>,
    age_action: Vec<u64>,
    weight: Vec<i64>,
}

impl<W: PairWord> Open<W> {
    fn close(mut self) -> PairRun {
        self.words.shrink_to_fit();
        self.age_action.shrink_to_fit();
        self.weight.shrink_to_fit();
        PairRun { pairs: W::wrap(self.words), age_action: self.age_action, weight: self.weight }
    }
}

impl<W: PairWord> Dealer<W> {
    /// A dealer for `ranges` ranges; the flags say which columns there are.
    pub fn new(ranges: usize, age_action: bool, weight: bool) -> Dealer<W> {
        let empty = Open { words: Vec::new(), age_action: Vec::new(), weight: Vec::new() };
        Dealer { open: vec![empty; ranges], done: vec![Vec::new(); ranges], age_action, weight }
    }

    /// Adds a pair to range `range`, with what its columns hold.
    #[inline(always)]
    pub fn push(
        &mut self,
        range: usize,
        pair: u64,
        age_action: Option<&u64>,
        weight: Option<&i64>,
    ) {
        if self.open[range].words.len() == self.open[range].words.capacity() {
            self.renew(range);
        }
        let open = &mut self.open[range];
        push_ahead(&mut open.words, W::from_bits(pair));
        if let Some(&age_action) = age_action {
            push_ahead(&mut open.age_action, age_action);
        }
        if let Some(&weight) = weight {
            push_ahead(&mut open.weight, weight);
        }
    }

    /// Starts the next run of range `range`.
    #[cold]
    fn renew(&mut self, range: usize) {
        let room = |wanted| if wanted { RUN_PAIRS } else { 0 };
        let fresh = Open {
            words: Vec::with_capacity(RUN_PAIRS),
            age_action: Vec::with_capacity(room(self.age_action)),
            weight: Vec::with_capacity(room(self.weight)),
        };
        let full = std::mem::replace(&mut self.open[range], fresh);
        if !full.words.is_empty() {
            self.done[range].push(full.close());
        }
    }

    /// The runs of each range, in the order in which pairs came.
    pub fn finish(self) -> Vec<Vec<PairRun>> {
        let mut done = self.done;
        for (runs, open) in done.iter_mut().zip(self.open) {
            if !open.words.is_empty() {
                runs.push(open.close());
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cells;
    use super::*;

    #[test]
    fn pairs_come_out_by_range_in_order_at_either_width() {
        let nodes = 5000usize;
        let ranges = Ranges::by_load(&Cells::new(nodes), &vec![1; 1000], 3);
        for others in [1usize, 77, 1 << 20, 1 << 31] {
            let packing = PairPacking::new(&ranges, others);
            assert_eq!(packing.is_narrow(), others <= 1 << 20);
            let pairs: Vec<(u32, u32)> = (0..20_000usize)
                .map(|n| ((n * 7919 % nodes) as u32, (n * 104_729 % others) as u32))
                .collect();
            let found = if packing.is_narrow() {
                deal::<u32>(&pairs, &ranges, packing)
            } else {
                deal::<u64>(&pairs, &ranges, packing)
            };
            for (index, runs) in found.iter().enumerate() {
                let mut got = Vec::new();
                for run in runs {
                    assert!(run.pairs.len() <= RUN_PAIRS && !run.pairs.is_empty());
                    assert_eq!(run.pairs.len(), run.age_action.len());
                    assert!(run.weight.is_empty());
                    run.pairs.for_each(|pair| {
                        let node = ranges.range(index).start + packing.node(pair) as u32;
                        got.push((node, packing.other(pair)));
                    });
                }
                let of_range = |pair: &&(u32, u32)| ranges.of(pair.0) == index;
                let expected: Vec<_> = pairs.iter().filter(of_range).copied().collect();
                assert_eq!(got, expected);
            }
        }
    }

    fn deal<W: PairWord>(
        pairs: &[(u32, u32)],
        ranges: &Ranges,
        packing: PairPacking,
    ) -> Vec<Vec<PairRun>> {
        let mut dealer = Dealer::<W>::new(ranges.len(), true, false);
        for &(node, other) in pairs {
            let range = ranges.of(node);
            let pair = packing.pack(node - ranges.range(range).start, other);
            dealer.push(range, pair, Some(&u64::from(other)), None);
        }
        dealer.finish()
    }

    #[test]
    fn bits_hold_all_numbers_below() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(bits_below), [0, 0, 1, 2, 2, 3]);
    }
}
