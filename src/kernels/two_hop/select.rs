//! The K best columns of a row, found by summaries instead of a heap.
//!
//! 1. *Maxima.* The counters of a block are 64 strided groups; one vertical vector
//!    maximum over the block gives the maximum of each group.
//! 2. *Bound.* The columns of a block have about equal norms, so one integer threshold a block
//!    stands for a score, for its largest norm. A score that at least K groups reach is a lower
//!    bound on the K-th best. Bisection with interpolation finds one that few more than K reach.
//! 3. *Candidates.* Only blocks with a group whose maximum reaches the bound, for the block's smallest norm, are
//!    read ([`super::hits`]).
//! 4. *Rank.* The candidates' exact scores are sorted ([`super::rank`]).
//!
//! If K is a large part of the groups, there is no step 1, and step 2 counts columns: a probe then
//! reads all counters, but groups with several of the best no longer make the bound too low.
//!
//! The counters may be scaled and rounded ([`Rounding`]); the candidates' exact sums are then had before
//! step 4.
//!
//! Steps 2 and 3 use f32 with a margin far above its error, so the candidates always hold every
//! column of the K best, and the result depends on step 4 alone.

use super::counters::{BLOCK, Counter, Counters, GROUPS};
use super::hits::{self, HALF};
use super::score::Scoring;

/// Probes of the bisection at most. Each halves the uncertainty; more cost more than the candidates
/// they save.
const PROBES: usize = 8;

/// Relative margin between the bound and what the candidates must reach: ten times the error of the
/// thresholds.
pub const MARGIN: f32 = 1e-4;

/// Columns are counted one by one instead of by groups if there are fewer groups than this for each column
/// wanted: a group that holds several of the best would make the bound too low.
const CROWDED: usize = 32;

/// A column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// Its norm, in units.
    pub norm: u64,
    /// Its dense id.
    pub node: u32,
}

/// The columns, and the norms of the blocks of columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Norms {
    /// The columns.
    pub columns: Vec<Column>,
    /// [`Scoring::gauge`] of the smallest norm of each block.
    pub least: Vec<f32>,
    /// [`Scoring::gauge`] of the largest norm of each block.
    pub most: Vec<f32>,
}

impl Norms {
    /// The norms of `columns` for `scoring`.
    pub fn new(columns: Vec<Column>, scoring: &Scoring) -> Norms {
        let blocks = columns.chunks(BLOCK).map(|block| block.iter().map(|column| column.norm));
        let least = blocks.clone().map(|norms| norms.min().unwrap_or(0));
        let most = blocks.map(|norms| norms.max().unwrap_or(0));
        let gauges = |norms: &mut dyn Iterator<Item = u64>| {
            norms.map(|norm| scoring.gauge(norm)).collect::<Vec<f32>>()
        };
        let least = gauges(&mut { least });
        let most = gauges(&mut { most });
        Norms { columns, least, most }
    }
}

/// What the selection keeps between rows.
#[derive(Debug, Default)]
pub struct Selection<T> {
    /// Maxima of the groups of each touched block.
    maxima: Vec<[T; GROUPS]>,
    /// Gauges of each touched block.
    least: Vec<f32>,
    most: Vec<f32>,
    /// The overlaps that the probed score needs, as real numbers, for each touched block.
    overlaps: Vec<f32>,
    /// The same as integers.
    thresholds: Vec<T>,
    /// Candidates: column and counter.
    candidates: Vec<(u32, T)>,
    /// The bound of the row before over its scale: where the next search begins. It changes how
    /// long a search takes, never what is selected.
    guess: f32,
    /// Whether columns are counted instead of groups.
    crowded: bool,
}

/// What a counter `c` tells of its overlap `n` in units: with `s = n * scale`, it is from
/// `max(s - under, s * low)` to `min(s + over, s * high)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    /// What a counter is to its overlap.
    pub scale: f32,
    /// By how much a counter may be too small.
    pub under: f32,
    /// By how much a counter may be too large.
    pub over: f32,
    /// What part of itself a counter is at least.
    pub low: f32,
    /// What multiple of itself a counter is at most.
    pub high: f32,
}

impl Rounding {
    /// Counters that are their overlaps.
    pub const NONE: Rounding = Rounding { scale: 1.0, under: 0.0, over: 0.0, low: 1.0, high: 1.0 };

    /// What a counter must reach for its overlap to be surely as large as `real`.
    #[inline(always)]
    fn surely(self, real: f32) -> f32 {
        let scaled = real * self.scale;
        (scaled + self.over).min(scaled * self.high)
    }

    /// What the counter of an overlap as large as `real` surely reaches.
    #[inline(always)]
    fn at_least(self, real: f32) -> f32 {
        let scaled = real * self.scale;
        (scaled - self.under).max(scaled * self.low)
    }
}

/// The row that is selected from.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// How pairs are scored.
    pub scoring: &'a Scoring,
    /// The columns' norms.
    pub norms: &'a Norms,
    /// The row's own norm, in units.
    pub norm: u64,
    /// The smallest counter that is kept, at least 1.
    pub least: u64,
    /// What the counters stand for.
    pub rounding: Rounding,
    /// How many are kept.
    pub top_k: usize,
    /// The row's wedges, which its columns cannot outnumber.
    pub wedges: u64,
}

/// A score between two that `low.1` and `high.1` groups reach, that about `aim` should reach. Kept
/// off the ends, so that the interval always shrinks.
fn between(low: (f32, usize), high: (f32, usize), aim: f32) -> f32 {
    let (most, least) = (low.1 as f32, high.1 as f32);
    let part = (most - aim) / (most - least).max(1.0);
    low.0 + (high.0 - low.0) * part.clamp(0.1, 0.9)
}

impl<T: Counter> Selection<T> {
    /// Columns of `counters`, with their counters, that include the K best: steps 1 to 3.
    pub fn candidates(&mut self, counters: &Counters<T>, row: Row<'_>) -> &[(u32, T)] {
        let blocks = counters.blocks();
        self.crowded = row.top_k.saturating_mul(CROWDED) > blocks.len() * GROUPS;
        self.maxima.clear();
        if !self.crowded {
            self.summarise(counters);
        }
        let gauges = |of: &[f32], out: &mut Vec<f32>| {
            out.clear();
            out.extend(blocks.iter().map(|&block| of[block as usize]));
        };
        gauges(&row.norms.least, &mut self.least);
        gauges(&row.norms.most, &mut self.most);
        let bound = self.bound(counters, row);
        self.collect(counters, row, bound);
        &self.candidates
    }

    /// Step 1.
    fn summarise(&mut self, counters: &Counters<T>) {
        for &block in counters.blocks() {
            let mut maxima = [T::default(); GROUPS];
            let values = counters.block(block).as_chunks::<GROUPS>().0;
            // Half the groups at a time, so that their maxima stay in registers.
            for (half, maxima) in maxima.as_chunks_mut::<HALF>().0.iter_mut().enumerate() {
                let mut best = [T::default(); HALF];
                for values in values {
                    let values = &values.as_chunks::<HALF>().0[half];
                    best = std::array::from_fn(|group| best[group].max(values[group]));
                }
                *maxima = best;
            }
            self.maxima.push(maxima);
        }
    }

    /// Step 2: a score that at least `top_k` columns reach, or 0.
    fn bound(&mut self, counters: &Counters<T>, row: Row<'_>) -> f32 {
        let wanted = row.top_k;
        let fewest = if self.crowded { wanted + wanted / 4 } else { 4 * wanted };
        if row.wedges <= fewest as u64 {
            return 0.0;
        }
        let enough = wanted + wanted / 8 + 4;
        let aim = (wanted + wanted / 16 + 2) as f32;
        let scale = row.scoring.gauge(row.norm).max(1.0);
        let mut probe = if self.guess > 0.0 { self.guess / scale } else { 1.0 };
        // Scores with the number of groups that reach them, from either side.
        let (mut low, mut high) = ((0.0f32, 0), (f32::MAX, 0));
        for _ in 0..PROBES {
            let reached = self.reached(counters, row, probe);
            if reached >= wanted {
                low = (probe, reached);
                if reached <= enough {
                    break;
                }
            } else {
                high = (probe, reached);
            }
            // The number falls about as a power of the score, with an exponent around -3.
            let part = aim / reached.max(1) as f32;
            probe = match (low.0 > 0.0, high.0 < f32::MAX) {
                (true, true) => between(low, high, aim),
                (true, false) => low.0 / libm::cbrtf(part).clamp(0.3, 0.95),
                (false, _) => high.0 / libm::cbrtf(part).clamp(1.05, 3.0),
            };
        }
        if low.0 > 0.0 {
            self.guess = low.0 * scale;
        }
        low.0
    }

    /// How many columns surely score `score` or more, or how many groups hold one.
    fn reached(&mut self, counters: &Counters<T>, row: Row<'_>, score: f32) -> usize {
        row.scoring.overlaps(score, row.norm, &self.most, &mut self.overlaps);
        self.set_thresholds(row, |real| row.rounding.surely(real));
        if self.crowded {
            let blocks = counters.blocks().iter().zip(&self.thresholds);
            return blocks
                .map(|(&block, &threshold)| hits::count(counters.block(block), threshold))
                .sum();
        }
        let mut reached = 0;
        // A counter of 8 bits holds the sum over 255 blocks.
        for (maxima, thresholds) in self.maxima.chunks(255).zip(self.thresholds.chunks(255)) {
            let mut sums = [T::default(); GROUPS];
            for (maxima, &threshold) in maxima.iter().zip(thresholds) {
                for (sum, &maximum) in sums.iter_mut().zip(maxima) {
                    *sum = sum.plus(T::small(maximum >= threshold));
                }
            }
            reached += sums.iter().map(|sum| sum.wide() as usize).sum::<usize>();
        }
        reached
    }

    /// Sets `thresholds` to what `counter` makes of `overlaps`.
    fn set_thresholds(&mut self, row: Row<'_>, counter: impl Fn(f32) -> f32) {
        let least = T::at_most(row.least);
        self.thresholds.clear();
        let reaching = |&real: &f32| T::reaching(counter(real)).max(least);
        self.thresholds.extend(self.overlaps.iter().map(reaching));
    }

    /// Step 3.
    fn collect(&mut self, counters: &Counters<T>, row: Row<'_>, bound: f32) {
        self.candidates.clear();
        let score = bound * (1.0 - MARGIN);
        row.scoring.overlaps(score, row.norm, &self.least, &mut self.overlaps);
        self.set_thresholds(row, |real| row.rounding.at_least(real));
        let mut words = [(0, 0); hits::WORDS_MAX];
        let blocks = counters.blocks().iter().zip(&self.thresholds);
        for (index, (&block, &threshold)) in blocks.enumerate() {
            let hit = |maxima: &[T; GROUPS]| {
                maxima.iter().fold(false, |any, &maximum| any | (maximum >= threshold))
            };
            if self.maxima.get(index).is_none_or(hit) {
                let values = counters.block(block);
                let columns = &row.norms.columns;
                hits::collect(values, block, threshold, columns, &mut words, &mut self.candidates);
            }
        }
    }
}
