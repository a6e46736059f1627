//! Events of one range of left nodes, packed into words and dealt out to buckets that fit the
//! cache, ready to be sorted by (left, right).
//!
//! A bucket holds the events of `2^row_bits` neighbouring left nodes, about [`BUCKET_EVENTS`] on
//! average. Within a bucket an event is one word:
//!
//! | bits, from the highest | what |
//! |---|---|
//! | `row_bits` | left node, from the bucket's first |
//! | `right_bits` | right node |
//! | `index_bits` | the event's place in the bucket, where its age and weight are; none if it has neither |
//!
//! Ages and weights are dealt out beside the words and are not moved again.

use std::ops::Range;

use super::pairs::{PairPacking, PairRun, Pairs, bits_below};
use crate::kernels::radix::PackedWord;

/// Events of a bucket: twice as many 8-byte words, and as many ages, fit a cache of 1 MiB.
const BUCKET_EVENTS: usize = 1 << 15;

/// Most buckets: each is one stream of writes, and more of them would thrash the TLB.
const BUCKETS_MAX: usize = 2048;

/// How words are packed. Bits are counted from the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packing {
    pub index_bits: u32,
    pub right_bits: u32,
    pub row_bits: u32,
}

impl Packing {
    /// The bits to sort by.
    pub fn key(self) -> Range<u32> {
        self.index_bits..self.index_bits + self.right_bits + self.row_bits
    }

    /// Whether a word fits 32 bits.
    pub fn is_narrow(self) -> bool {
        self.key().end <= 32
    }

    /// Left and right node together; equal for the events of one pair.
    #[inline(always)]
    pub fn pair(self, word: u64) -> u64 {
        word >> self.index_bits
    }

    /// The left node, from the bucket's first.
    #[inline(always)]
    pub fn row(self, word: u64) -> usize {
        (self.pair(word) >> self.right_bits) as usize
    }

    /// The right node.
    #[inline(always)]
    pub fn right(self, word: u64) -> u32 {
        (self.pair(word) & ((1 << self.right_bits) - 1)) as u32
    }

    /// The event's place in the bucket.
    #[inline(always)]
    pub fn index(self, word: u64) -> usize {
        (word & ((1 << self.index_bits) - 1)) as usize
    }
}

/// Events by bucket; the memory serves one range after the other.
#[derive(Default)]
pub(super) struct Buckets<W> {
    /// Packed events.
    pub words: Vec<W>,
    /// Ages and actions, or empty.
    pub age_action: Vec<u64>,
    /// Weights, or empty.
    pub weight: Vec<i64>,
    /// Memory to sort in.
    pub spare: Vec<W>,
}

/// Where each bucket begins, and how its words are packed.
pub(super) struct Plan {
    pub packing: Packing,
    /// One more than there are buckets.
    pub starts: Vec<usize>,
}

impl Plan {
    /// The plan for the events of `runs`, whose left nodes are in a range of `rows` nodes.
    pub fn new(runs: &[PairRun], rows: usize, pairs: PairPacking) -> Plan {
        let events: usize = runs.iter().map(|run| run.pairs.len()).sum();
        let indexed = runs.iter().any(|run| !run.age_action.is_empty() || !run.weight.is_empty());
        let right_bits = pairs.low_bits;
        let mut row_bits = 0;
        let wanted = (events / BUCKET_EVENTS).clamp(1, BUCKETS_MAX);
        while rows.div_ceil(1 << row_bits) > wanted {
            row_bits += 1;
        }
        loop {
            let mut starts = vec![0usize; rows.div_ceil(1 << row_bits) + 1];
            if let [_, all] = starts.as_mut_slice() {
                *all = events;
            } else {
                for run in runs {
                    run.pairs.for_each(|pair| starts[(pairs.node(pair) >> row_bits) + 1] += 1);
                }
            }
            let largest = starts.iter().copied().max().unwrap_or(0);
            let index_bits = if indexed { bits_below(largest) } else { 0 };
            // Smaller buckets need fewer bits; a single row always fits.
            if row_bits + right_bits + index_bits <= 64 || row_bits == 0 {
                for bucket in 1..starts.len() {
                    starts[bucket] += starts[bucket - 1];
                }
                return Plan { packing: Packing { index_bits, right_bits, row_bits }, starts };
            }
            row_bits = 64u32.saturating_sub(right_bits + index_bits).min(row_bits - 1);
        }
    }

    /// Deals out `runs` to `out`. Each is dropped as soon as it is done.
    pub fn deal<W: PackedWord>(&self, runs: Vec<PairRun>, out: &mut Buckets<W>) {
        out.words.clear();
        out.age_action.clear();
        out.weight.clear();
        if let [_, _] = self.starts.as_slice() {
            for run in runs {
                self.append(run, out);
            }
            return;
        }
        let events = self.starts.last().copied().unwrap_or(0);
        let any = |column: fn(&PairRun) -> bool| if runs.iter().any(column) { events } else { 0 };
        out.age_action.resize(any(|run| !run.age_action.is_empty()), 0);
        out.weight.resize(any(|run| !run.weight.is_empty()), 0);
        out.words.resize(events, W::default());
        let mut next = self.starts.clone();
        for run in runs {
            self.scatter(&run, &mut next, out);
        }
    }

    /// Appends `run` to the only bucket.
    fn append<W: PackedWord>(&self, run: PairRun, out: &mut Buckets<W>) {
        let index_bits = self.packing.index_bits;
        let index_mask = (1u64 << index_bits) - 1;
        let first = out.words.len() as u64;
        let word =
            |(pair, index): (u64, u64)| W::from_bits(pair << index_bits | index & index_mask);
        match run.pairs {
            Pairs::Narrow(pairs) => {
                out.words.extend(pairs.iter().map(|&pair| pair.into()).zip(first..).map(word));
            }
            Pairs::Wide(pairs) => {
                out.words.extend(pairs.iter().copied().zip(first..).map(word));
            }
        }
        out.age_action.extend_from_slice(&run.age_action);
        out.weight.extend_from_slice(&run.weight);
    }

    /// Deals out `run`, where `next` is the next free place of each bucket.
    fn scatter<W: PackedWord>(&self, run: &PairRun, next: &mut [usize], out: &mut Buckets<W>) {
        let Packing { index_bits, right_bits, row_bits } = self.packing;
        let index_mask = (1usize << index_bits) - 1;
        // A bucket of one bit less than 64 or more is the only one.
        let pair_mask = (1u64 << (right_bits + row_bits)) - 1;
        let mut at = 0;
        run.pairs.for_each(|pair| {
            let bucket = (pair >> (right_bits + row_bits)) as usize;
            let slot = next[bucket];
            next[bucket] += 1;
            let index = (slot - self.starts[bucket]) & index_mask;
            out.words[slot] = W::from_bits((pair & pair_mask) << index_bits | index as u64);
            if let Some(age_action) = out.age_action.get_mut(slot) {
                *age_action = run.age_action[at];
            }
            if let Some(weight) = out.weight.get_mut(slot) {
                *weight = run.weight[at];
            }
            at += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cells, Ranges};
    use super::*;

    #[test]
    fn a_packed_event_unpacks() {
        let packing = Packing { index_bits: 20, right_bits: 32, row_bits: 12 };
        let word = (4095u64 << 32 | u64::from(u32::MAX - 1)) << 20 | 77;
        assert_eq!(
            (packing.row(word), packing.right(word), packing.index(word)),
            (4095, u32::MAX - 1, 77)
        );
        let empty = Packing { index_bits: 0, right_bits: 0, row_bits: 0 };
        assert_eq!((empty.row(0), empty.right(0), empty.index(0)), (0, 0, 0));
    }

    #[test]
    fn events_find_their_ages_in_any_number_of_buckets() {
        for (events, rows, rights) in [(90u32, 7, 5), (100_000, 50_000, 1 << 32), (200_000, 1, 9)] {
            let pairs = PairPacking::new(&Ranges::by_load(&Cells::new(rows), &[], 1), rights);
            let word =
                |n: u32| pairs.pack(n.wrapping_mul(7919) % rows as u32, n % rights.min(9) as u32);
            let run = |numbers: Range<u32>| PairRun {
                pairs: Pairs::Wide(numbers.clone().map(word).collect()),
                age_action: numbers.map(u64::from).collect(),
                weight: Vec::new(),
            };
            let runs = vec![run(0..events / 3), run(events / 3..events)];
            let plan = Plan::new(&runs, rows, pairs);
            assert!(plan.packing.key().end <= 64);
            let mut out = Buckets::<u64>::default();
            plan.deal(runs, &mut out);
            let mut seen = 0;
            for (bucket, bounds) in plan.starts.windows(2).enumerate() {
                for &found in &out.words[bounds[0]..bounds[1]] {
                    let number = out.age_action[bounds[0] + plan.packing.index(found)] as u32;
                    let row = (bucket << plan.packing.row_bits) + plan.packing.row(found);
                    assert_eq!(pairs.pack(row as u32, plan.packing.right(found)), word(number));
                    seen += 1;
                }
            }
            assert_eq!(seen, events);
        }
    }
}
