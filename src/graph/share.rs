//! One worker's share of the events, from the reader to the ranges of left nodes.
//!
//! 1. [`Share::push`] gives each key a local id and keeps ids, ages and weights by block.
//! 2. [`Share::take_keys`] hands out the distinct keys of a side, ascending. Only they are sorted
//!    and exchanged, never the events.
//! 3. With the ranks of its keys in the dictionaries of all workers, [`Share::left_load`] counts
//!    events a cell, and [`Share::partition`] hands out the events by range of left nodes, with
//!    global ranks for local ids. Each block is dropped as soon as it is handed out.

use super::interner::{Interner, Sorted};
use super::pairs::{Dealer, PairPacking, PairRun, PairWord};
use super::{Cells, Ranges};
use crate::model::{EventBatch, KeyType, Keys, Side};

/// The columns of the events of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLayout {
    /// Type of the left keys.
    pub left: KeyType,
    /// Type of the right keys.
    pub right: KeyType,
    /// Whether batches have ages and actions.
    pub age_action: bool,
    /// Whether batches have weights.
    pub weight: bool,
}

/// One worker's share of the events.
pub struct Share {
    layout: EventLayout,
    left: SideKeys,
    right: SideKeys,
    blocks: Vec<LocalEvents>,
    events: usize,
}

/// Events with local ids.
struct LocalEvents {
    left: Vec<u32>,
    right: Vec<u32>,
    age_action: Vec<u64>,
    weight: Vec<i64>,
}

/// The keys of a side: first open, then sorted.
enum SideKeys {
    Open(Interner),
    Taken { rank: Vec<u32>, count: Vec<u32> },
}

impl SideKeys {
    fn intern(&mut self, keys: &Keys) -> Vec<u32> {
        match self {
            SideKeys::Open(interner) => interner.intern(keys),
            SideKeys::Taken { .. } => {
                debug_assert!(false, "events after the keys were taken");
                Vec::new()
            }
        }
    }

    fn take(&mut self) -> Keys {
        match std::mem::replace(self, SideKeys::Taken { rank: Vec::new(), count: Vec::new() }) {
            SideKeys::Open(interner) => {
                let Sorted { keys, rank, count } = interner.into_sorted();
                *self = SideKeys::Taken { rank, count };
                keys
            }
            taken => {
                debug_assert!(false, "the keys of a side are taken once");
                *self = taken;
                Keys::Int64(Vec::new())
            }
        }
    }

    /// Global rank by local id, given the global rank of each of the sorted keys.
    fn global(&self, ranks: &[u32]) -> Vec<u32> {
        match self {
            SideKeys::Open(_) => Vec::new(),
            SideKeys::Taken { rank, .. } => rank.iter().map(|&r| ranks[r as usize]).collect(),
        }
    }

    /// Occurrences by rank within the share.
    fn counts(&self) -> &[u32] {
        match self {
            SideKeys::Open(_) => &[],
            SideKeys::Taken { count, .. } => count,
        }
    }
}

impl Share {
    /// A share without events.
    pub fn new(layout: EventLayout) -> Share {
        let side = |key_type| SideKeys::Open(Interner::new(key_type));
        Share {
            layout,
            left: side(layout.left),
            right: side(layout.right),
            blocks: Vec::new(),
            events: 0,
        }
    }

    /// Adds the events of `batch`, whose columns must be as in the layout.
    pub fn push(&mut self, batch: EventBatch) {
        debug_assert_eq!(batch.age_action.len(), batch.len() * usize::from(self.layout.age_action));
        debug_assert_eq!(batch.weight.len(), batch.len() * usize::from(self.layout.weight));
        if batch.is_empty() {
            return;
        }
        self.events += batch.len();
        self.blocks.push(LocalEvents {
            left: self.left.intern(&batch.left),
            right: self.right.intern(&batch.right),
            age_action: batch.age_action,
            weight: batch.weight,
        });
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The distinct keys of `side`, ascending. To be called once a side, after the last
    /// [`Share::push`]: the hash table is dropped.
    pub fn take_keys(&mut self, side: Side) -> Keys {
        match side {
            Side::Left => self.left.take(),
            Side::Right => self.right.take(),
        }
    }

    /// Events for each of `cells` of the left nodes, where `left_ranks[i]` is the global rank of
    /// the share's key `i` (see [`super::ranks`]). For balance only.
    pub fn left_load(&self, left_ranks: &[u32], cells: &Cells) -> Vec<u64> {
        let mut load = vec![0; cells.len()];
        for (&rank, &count) in left_ranks.iter().zip(self.left.counts()) {
            load[cells.of(rank)] += u64::from(count);
        }
        load
    }

    /// The events by range of left nodes, with global ranks, given the global rank of each of the
    /// share's left and right keys and how pairs are packed. The runs of each range, in the order
    /// of `ranges`.
    pub fn partition(
        self,
        left_ranks: &[u32],
        right_ranks: &[u32],
        ranges: &Ranges,
        packing: PairPacking,
    ) -> Vec<Vec<PairRun>> {
        let ranks = (self.left.global(left_ranks), self.right.global(right_ranks));
        if packing.is_narrow() {
            self.deal::<u32>(&ranks, ranges, packing)
        } else {
            self.deal::<u64>(&ranks, ranges, packing)
        }
    }

    fn deal<W: PairWord>(
        self,
        (left_ranks, right_ranks): &(Vec<u32>, Vec<u32>),
        ranges: &Ranges,
        packing: PairPacking,
    ) -> Vec<Vec<PairRun>> {
        let mut dealer = Dealer::<W>::new(ranges.len(), self.layout.age_action, self.layout.weight);
        let first: Vec<u32> = (0..ranges.len()).map(|index| ranges.range(index).start).collect();
        for mut block in self.blocks {
            // Two loops of nothing else, so that many of these loads are under way at a time.
            block.left.iter_mut().for_each(|id| *id = left_ranks[*id as usize]);
            block.right.iter_mut().for_each(|id| *id = right_ranks[*id as usize]);
            for (at, (&left, &right)) in block.left.iter().zip(&block.right).enumerate() {
                let range = ranges.of(left);
                let pair = packing.pack(left - first[range], right);
                dealer.push(range, pair, block.age_action.get(at), block.weight.get(at));
            }
        }
        dealer.finish()
    }
}
