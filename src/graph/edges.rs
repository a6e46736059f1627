//! From events to the edges of a range of left nodes.
//!
//! 1. Deal the events out to buckets that fit the cache ([`super::buckets`]).
//! 2. Sort each bucket's words by (left, right): the events of a pair are now neighbours.
//! 3. For each pair: add up its weights in fixed point, and find its latest event. The pair is
//!    absent if an event that removes is its latest, or as late as its latest.
//! 4. For each left node: keep the `left_degree_max` edges whose latest events are the most
//!    recent, those of lower right nodes where events are of one age. Without times all events
//!    are of one age.
//! 5. Totals count every event, whatever becomes of its edge.
//!
//! Pairs need no order by age: the least age is found in the pass that adds up. Cost: two passes
//! that deal out, one pass for each ten bits of a packed pair, and one pass over the pairs.

use std::ops::Range;

use super::buckets::{Buckets, Packing, Plan};
use super::{Csr, EdgeRules, EventRun, Shard};
use crate::kernels::aggregate::{BANDS, EventTotals, band};
use crate::kernels::radix::{self, Word};
use crate::model::{AgeAction, FIXED_ONE};

/// How many events ahead a right node's totals are prefetched.
const TOTALS_AHEAD: usize = 12;

/// The edges of the left nodes of `range`. If the rules ask for totals, those of `range` are
/// appended to the left nodes of `totals`, and its right nodes count on; the first range makes it.
/// So a worker builds its ranges one after the other, in ascending order, into one `totals`.
pub fn build_shard(
    runs: Vec<EventRun>,
    range: Range<u32>,
    right_nodes: usize,
    rules: &EdgeRules,
    totals: &mut Option<EventTotals>,
) -> Shard {
    let plan = Plan::new(&runs, &range, right_nodes);
    let events = plan.starts.last().copied().unwrap_or(0);
    if rules.totals && totals.is_none() {
        *totals = Some(EventTotals::new(rules.action_names(), rules.timed, 0, right_nodes));
    }
    let first_left = totals.as_mut().map_or(0, |totals| totals.extend_left(range.len()));
    let mut rows = Rows {
        rules,
        packing: plan.packing,
        totals: totals.as_mut(),
        first_left,
        csr: Csr {
            offsets: Vec::with_capacity(range.len() + 1),
            targets: Vec::with_capacity(events),
            weights: Vec::with_capacity(if rules.keep_weights { events } else { 0 }),
        },
        ages: Vec::new(),
        seen: Vec::new(),
    };
    rows.csr.offsets.push(0);
    if plan.packing.is_narrow() {
        rows.add_all(&plan, plan.deal::<u32>(runs, &range), range.len());
    } else {
        rows.add_all(&plan, plan.deal::<u64>(runs, &range), range.len());
    }
    rows.csr.targets.shrink_to_fit();
    rows.csr.weights.shrink_to_fit();
    Shard { range, csr: rows.csr }
}

/// The rows so far.
struct Rows<'a> {
    rules: &'a EdgeRules,
    packing: Packing,
    totals: Option<&'a mut EventTotals>,
    /// The range's first left node within the totals.
    first_left: u32,
    csr: Csr,
    /// Ages of the latest events of the last row's edges, if there is a cap.
    ages: Vec<u64>,
    /// Least age of each action in a pair, for distinct counts.
    seen: Vec<(u8, u64)>,
}

/// A bucket in order, with the columns beside it.
struct Bucket<'a, W> {
    words: &'a [W],
    age_action: &'a [u64],
    weight: &'a [i64],
    /// The first row's number within the range, and the number of rows.
    first_row: usize,
    rows: usize,
}

impl<W: Word> Bucket<'_, W> {
    /// The age and action of the event of `word`, and its weight.
    #[inline(always)]
    fn event(&self, packing: Packing, word: W) -> (AgeAction, i64) {
        let index = packing.index(word.bits());
        let age_action = self.age_action.get(index).copied().unwrap_or(0);
        (AgeAction(age_action), self.weight.get(index).copied().unwrap_or(FIXED_ONE))
    }
}

impl Rows<'_> {
    /// Adds all buckets in order.
    fn add_all<W: Word>(&mut self, plan: &Plan, mut buckets: Buckets<W>, rows: usize) {
        let mut spare = Vec::new();
        for (index, bounds) in plan.starts.windows(2).enumerate() {
            let events = bounds[0]..bounds[1];
            let words = &mut buckets.words[events.clone()];
            radix::sort(words, &mut spare, self.packing.key());
            let first_row = index << self.packing.row_bits;
            let bucket = Bucket {
                words,
                age_action: buckets.age_action.get(events.clone()).unwrap_or(&[]),
                weight: buckets.weight.get(events).unwrap_or(&[]),
                first_row,
                rows: (rows - first_row).min(1 << self.packing.row_bits),
            };
            let rules = self.rules;
            let removes = !bucket.age_action.is_empty() && rules.removes_any();
            let bare = !rules.keep_weights && !rules.totals && !removes;
            if bare && rules.left_degree_max.is_none() {
                self.add_distinct(&bucket);
            } else {
                self.add_pairs(&bucket);
            }
        }
    }

    /// Adds a bucket of which nothing matters but which pairs there are.
    fn add_distinct<W: Word>(&mut self, bucket: &Bucket<'_, W>) {
        let packing = self.packing;
        let mut degrees = vec![0u64; bucket.rows];
        let mut last = None;
        for &word in bucket.words {
            let word = word.bits();
            if last != Some(packing.pair(word)) {
                last = Some(packing.pair(word));
                self.csr.targets.push(packing.right(word));
                degrees[packing.row(word)] += 1;
            }
        }
        let mut end = self.csr.offsets.last().copied().unwrap_or(0);
        for degree in degrees {
            end += degree;
            self.csr.offsets.push(end);
        }
    }

    /// Adds a bucket pair by pair.
    fn add_pairs<W: Word>(&mut self, bucket: &Bucket<'_, W>) {
        let packing = self.packing;
        let (mut row, mut begin) = (0, 0);
        while let Some(&word) = bucket.words.get(begin) {
            let pair = packing.pair(word.bits());
            while row < packing.row(word.bits()) {
                self.end_row();
                row += 1;
            }
            let rest = &bucket.words[begin..];
            let len = rest.iter().take_while(|w| packing.pair(w.bits()) == pair).count();
            self.add_pair(bucket, begin..begin + len);
            begin += len;
        }
        while row < bucket.rows {
            self.end_row();
            row += 1;
        }
    }

    /// Adds the pair whose events are `events` of `bucket`.
    #[inline]
    fn add_pair<W: Word>(&mut self, bucket: &Bucket<'_, W>, events: Range<usize>) {
        let right = self.packing.right(bucket.words[events.start].bits());
        let weighs = self.rules.keep_weights || self.totals.is_some();
        let (mut sum, mut latest, mut removed) = (0i64, u64::MAX, u64::MAX);
        for at in events.clone() {
            let (age_action, own) = bucket.event(self.packing, bucket.words[at]);
            let age = self.rules.age(age_action);
            latest = latest.min(age);
            if self.rules.removes(age_action.action()) {
                removed = removed.min(age);
            }
            if weighs {
                let weight = self.rules.weight(age_action, own);
                sum = sum.saturating_add(weight);
                self.count(bucket, at, age_action, weight);
            }
        }
        if self.totals.is_some() {
            self.count_distinct(bucket, events.start);
        }
        if removed > latest {
            self.csr.targets.push(right);
            if self.rules.keep_weights {
                self.csr.weights.push(sum);
            }
            if self.rules.left_degree_max.is_some() {
                self.ages.push(latest);
            }
        }
    }

    /// Counts event `at` of `bucket` in the totals, if there are any.
    #[inline]
    fn count<W: Word>(&mut self, bucket: &Bucket<'_, W>, at: usize, event: AgeAction, weight: i64) {
        let Some(totals) = &mut self.totals else { return };
        if let Some(&word) = bucket.words.get(at + TOTALS_AHEAD) {
            let (event, _) = bucket.event(self.packing, word);
            let slot = slot(event.action(), self.rules.band(event));
            totals.right.prefetch(self.packing.right(word.bits()), slot);
        }
        let word = bucket.words[at].bits();
        let left = self.first_left + (bucket.first_row + self.packing.row(word)) as u32;
        let (action, age) = (event.action(), event.age_us());
        let slot = slot(action, self.rules.band(event));
        totals.left.event(left, slot, age, weight);
        totals.right.event(self.packing.right(word), slot, age, weight);
        match self.seen.iter_mut().find(|seen| seen.0 == action) {
            Some((_, least)) => *least = age.min(*least),
            None => self.seen.push((action, age)),
        }
    }

    /// Counts the pair of event `at` of `bucket` once for each action that was seen.
    fn count_distinct<W: Word>(&mut self, bucket: &Bucket<'_, W>, at: usize) {
        let Some(totals) = &mut self.totals else { return };
        let word = bucket.words[at].bits();
        let left = self.first_left + (bucket.first_row + self.packing.row(word)) as u32;
        for (action, age) in self.seen.drain(..) {
            let slot = slot(action, self.rules.band(AgeAction::new(age, action)));
            totals.left.distinct(left, slot);
            totals.right.distinct(self.packing.right(word), slot);
        }
    }

    /// Ends a row: caps it, and notes where it ends.
    fn end_row(&mut self) {
        if let Some(max) = self.rules.left_degree_max {
            if self.ages.len() > max as usize {
                self.cap(max as usize);
            }
            self.ages.clear();
        }
        self.csr.offsets.push(self.csr.targets.len() as u64);
    }

    /// Keeps the `max` most recent edges of the row under way, and their order.
    fn cap(&mut self, max: usize) {
        let begin = self.csr.targets.len() - self.ages.len();
        let mut recent: Vec<(u64, usize)> = self.ages.iter().copied().zip(0..).collect();
        if max > 0 {
            recent.select_nth_unstable(max - 1);
        }
        recent.truncate(max);
        let mut kept: Vec<usize> = recent.into_iter().map(|(_, place)| place).collect();
        kept.sort_unstable();
        for (to, from) in kept.into_iter().enumerate() {
            self.csr.targets[begin + to] = self.csr.targets[begin + from];
            if self.rules.keep_weights {
                self.csr.weights[begin + to] = self.csr.weights[begin + from];
            }
        }
        self.csr.targets.truncate(begin + max);
        if self.rules.keep_weights {
            self.csr.weights.truncate(begin + max);
        }
    }
}

/// The slot of an action and band.
#[inline(always)]
fn slot(action: u8, band: usize) -> usize {
    usize::from(action) * BANDS + band
}

impl EdgeRules {
    /// The age that counts: without times all events are of one age.
    #[inline(always)]
    fn age(&self, event: AgeAction) -> u64 {
        if self.timed { event.age_us() } else { 0 }
    }

    /// The band of the event; without times only the job's whole window is known to hold it.
    #[inline(always)]
    fn band(&self, event: AgeAction) -> usize {
        if self.timed { band(event.age_us()) } else { BANDS - 1 }
    }
}
