//! From events to the edges of a range of left nodes.
//!
//! 1. Deal the events out to buckets that fit the cache ([`super::buckets`]): one, unless the range
//!    has far more events than others.
//! 2. Sort each bucket's words by (left, right): the events of a pair are now neighbours.
//! 3. For each pair: add up its weights in fixed point, and find its latest event. The pair is
//!    absent if an event that removes is its latest, or as late as its latest.
//! 4. For each left node: keep the `left_degree_max` edges whose latest events are the most
//!    recent, those of lower right nodes where events are of one age. Without times all events
//!    are of one age.
//! 5. Totals count every event, whatever becomes of its edge.
//!
//! Pairs need no order by age: the least age is found in the pass that adds up. Where nothing but
//! the cap depends on ages, only those of nodes beyond the cap are looked at. Cost: one pass that
//! deals out, one pass for each ten bits of a packed pair, and one pass over the pairs.

use std::ops::Range;

use super::buckets::{Buckets, Packing, Plan};
use super::pairs::{PairPacking, PairRun};
use super::{Csr, EdgeRules, Shard};
use crate::kernels::aggregate::{BANDS, EventTotals, band};
use crate::kernels::radix::{self, Word};
use crate::model::{AgeAction, FIXED_ONE};

/// How many events ahead a right node's totals are prefetched.
const TOTALS_AHEAD: usize = 12;

/// Builds the edges of neighbouring ranges of left nodes, in ascending order, into one shard. If
/// the rules ask for totals, those of the ranges' left nodes are appended one after the other, and
/// those of right nodes count on.
pub struct LeftShard {
    range: Range<u32>,
    pairs: PairPacking,
    rows: Rows,
    narrow: Buckets<u32>,
    wide: Buckets<u64>,
}

impl LeftShard {
    /// A shard whose first node is `first`, with room for `events` edges.
    pub fn new(
        first: u32,
        events: usize,
        pairs: PairPacking,
        right_nodes: usize,
        rules: &EdgeRules,
    ) -> LeftShard {
        let totals = || EventTotals::new(rules.action_names(), rules.timed, 0, right_nodes);
        let rows = Rows {
            totals: rules.totals.then(totals),
            first_left: 0,
            packing: Packing::default(),
            csr: Csr {
                offsets: vec![0],
                targets: Vec::with_capacity(events),
                weights: Vec::with_capacity(if rules.keep_weights { events } else { 0 }),
            },
            ages: Vec::new(),
            ends: Vec::new(),
            seen: Vec::new(),
            rules: rules.clone(),
        };
        let (narrow, wide) = Default::default();
        LeftShard { range: first..first, pairs, rows, narrow, wide }
    }

    /// Adds the edges of `range`, whose events are `runs`.
    pub fn add(&mut self, runs: Vec<PairRun>, range: Range<u32>) {
        debug_assert_eq!(range.start, self.range.end, "ranges must be contiguous");
        self.range.end = range.end;
        let plan = Plan::new(&runs, range.len(), self.pairs);
        let rows = &mut self.rows;
        rows.packing = plan.packing;
        rows.first_left = rows.totals.as_mut().map_or(0, |totals| totals.extend_left(range.len()));
        if plan.packing.is_narrow() {
            plan.deal(runs, &mut self.narrow);
            rows.add_all(&plan, &mut self.narrow, range.len());
        } else {
            plan.deal(runs, &mut self.wide);
            rows.add_all(&plan, &mut self.wide, range.len());
        }
    }

    /// The shard of all ranges, and the totals if the rules ask for them.
    pub fn finish(self) -> (Shard, Option<EventTotals>) {
        let Rows { mut csr, totals, .. } = self.rows;
        csr.targets.shrink_to_fit();
        csr.weights.shrink_to_fit();
        (Shard { range: self.range, csr }, totals)
    }
}

/// The rows so far.
struct Rows {
    rules: EdgeRules,
    packing: Packing,
    totals: Option<EventTotals>,
    /// The range's first left node within the totals.
    first_left: u32,
    csr: Csr,
    /// Ages of the latest events of the last row's edges, if there is a cap.
    ages: Vec<u64>,
    /// Where each row of a bucket ends.
    ends: Vec<usize>,
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

impl Rows {
    /// Adds all buckets in order.
    fn add_all<W: Word>(&mut self, plan: &Plan, buckets: &mut Buckets<W>, rows: usize) {
        let removes = !buckets.age_action.is_empty() && self.rules.removes_any();
        let bare = !self.rules.keep_weights && !self.rules.totals && !removes;
        for (index, bounds) in plan.starts.windows(2).enumerate() {
            let events = bounds[0]..bounds[1];
            let words = &mut buckets.words[events.clone()];
            radix::sort(words, &mut buckets.spare, self.packing.key());
            let first_row = index << self.packing.row_bits;
            let bucket = Bucket {
                words,
                age_action: buckets.age_action.get(events.clone()).unwrap_or(&[]),
                weight: buckets.weight.get(events).unwrap_or(&[]),
                first_row,
                rows: (rows - first_row).min(1 << self.packing.row_bits),
            };
            if bare {
                self.add_distinct(&bucket);
            } else {
                self.add_pairs(&bucket);
            }
        }
    }

    /// Adds a bucket of which nothing matters but which pairs there are, and ages where a row is
    /// longer than the cap.
    fn add_distinct<W: Word>(&mut self, bucket: &Bucket<'_, W>) {
        let packing = self.packing;
        let begin = self.csr.targets.len();
        self.ends.clear();
        self.ends.resize(bucket.rows, begin);
        self.csr.targets.resize(begin + bucket.words.len(), 0);
        let mut end = begin;
        // Differs from the first pair; whether a pair repeats the last one cannot be predicted, so
        // that no branch depends on it.
        let mut last = !bucket.words.first().map_or(0, |word| packing.pair(word.bits()));
        for word in bucket.words {
            let word = word.bits();
            let pair = packing.pair(word);
            end += usize::from(pair != last);
            last = pair;
            self.csr.targets[end - 1] = packing.right(word);
            self.ends[packing.row(word)] = end;
        }
        self.csr.targets.truncate(end);
        let (mut end, mut longest) = (begin, 0);
        for row_end in &mut self.ends {
            *row_end = end.max(*row_end);
            longest = longest.max(*row_end - end);
            end = *row_end;
        }
        match self.rules.left_degree_max {
            Some(max) if longest > max as usize => self.cap_rows(bucket, begin, max as usize),
            _ => self.csr.offsets.extend(self.ends.iter().map(|&end| end as u64)),
        }
    }

    /// Caps the rows of `bucket`, which stand from `begin` and end where [`Rows::ends`] says.
    fn cap_rows<W: Word>(&mut self, bucket: &Bucket<'_, W>, begin: usize, max: usize) {
        let packing = self.packing;
        let targets = &mut self.csr.targets;
        let (mut words, mut from, mut to) = (bucket.words, begin, begin);
        for (row, &end) in self.ends.iter().enumerate() {
            let of_row = words.partition_point(|word| packing.row(word.bits()) <= row);
            let (events, rest) = words.split_at(of_row);
            words = rest;
            targets.copy_within(from..end, to);
            let mut len = end - from;
            from = end;
            if len > max {
                self.ages.clear();
                for pair in events.chunk_by(|a, b| packing.pair(a.bits()) == packing.pair(b.bits()))
                {
                    let age = |word: &W| self.rules.age(bucket.event(packing, *word).0);
                    self.ages.push(pair.iter().map(age).min().unwrap_or(u64::MAX));
                }
                len = cap(&mut targets[to..to + len], &mut [], &self.ages, max);
            }
            to += len;
            self.csr.offsets.push(to as u64);
        }
        targets.truncate(to);
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
                let begin = self.csr.targets.len() - self.ages.len();
                let targets = &mut self.csr.targets[begin..];
                let weights = self.csr.weights.get_mut(begin..).unwrap_or_default();
                let len = cap(targets, weights, &self.ages, max as usize);
                self.csr.targets.truncate(begin + len);
                self.csr.weights.truncate(begin + len);
            }
            self.ages.clear();
        }
        self.csr.offsets.push(self.csr.targets.len() as u64);
    }
}

/// Moves the `max` most recent edges of a row to its front, in their order; gives their number.
/// `ages` are those of the edges' latest events; `weights` may be empty.
fn cap(targets: &mut [u32], weights: &mut [i64], ages: &[u64], max: usize) -> usize {
    let mut recent: Vec<(u64, usize)> = ages.iter().copied().zip(0..).collect();
    if max > 0 {
        recent.select_nth_unstable(max - 1);
    }
    recent.truncate(max);
    let mut kept: Vec<usize> = recent.into_iter().map(|(_, place)| place).collect();
    kept.sort_unstable();
    for (to, &from) in kept.iter().enumerate() {
        targets[to] = targets[from];
        if !weights.is_empty() {
            weights[to] = weights[from];
        }
    }
    kept.len()
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
