//! The K best columns of a row, found by summaries instead of a heap.
//!
//! 1. *Maxima.* The counters of a block are 32 strided groups; one vertical vector
//!    maximum over the block gives the maximum of each group.
//! 2. *Bound.* The columns of a block have about equal norms, so one integer threshold a block
//!    stands for a score, for its largest norm. A score that at least K groups reach is a lower
//!    bound on the K-th best. Bisection with interpolation finds one that few more than K reach.
//! 3. *Candidates.* Only groups whose maximum reaches the bound, for the block's smallest norm, are read.
//! 4. *Rank.* The candidates' exact scores are sorted.
//!
//! The counters may be scaled and rounded ([`Row::scale`], [`Row::loss`]); the candidates' exact sums are then
//! had before step 4.
//!
//! Steps 2 and 3 use f32 with a margin far above its error, so the candidates always hold every
//! column of the K best, and the result depends on step 4 alone.

use super::counters::{BLOCK, Counter, Counters, GROUPS};
use super::score::Scoring;

/// Probes of the bisection at most. Each halves the uncertainty; more cost more than the candidates
/// they save.
const PROBES: usize = 8;

/// Relative margin between the bound and what the candidates must reach: ten times the error of the
/// thresholds.
pub const MARGIN: f32 = 1e-4;

/// Half the groups of a block.
const HALF: usize = GROUPS / 2;

/// Loss of rounded counters above which every column is a candidate.
pub const LOSS_MAX: f32 = 0.5;

/// Columns are counted one by one instead of by groups if there are fewer groups than this for each column
/// wanted: a group that holds several of the best would make the bound too low.
const CROWDED: usize = 32;

/// The norms of the columns, and of the blocks of columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Norms {
    /// Norm of each column, in units.
    pub columns: Vec<u64>,
    /// [`Scoring::gauge`] of the smallest norm of each block.
    pub least: Vec<f32>,
    /// [`Scoring::gauge`] of the largest norm of each block.
    pub most: Vec<f32>,
}

impl Norms {
    /// The norms `columns`, in units, for `scoring`.
    pub fn new(columns: Vec<u64>, scoring: &Scoring) -> Norms {
        let blocks = columns.chunks(BLOCK);
        let least = blocks.clone().map(|block| block.iter().min().copied().unwrap_or(0));
        let most = blocks.map(|block| block.iter().max().copied().unwrap_or(0));
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
}

/// The row that is selected from.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// How pairs are scored.
    pub scoring: &'a Scoring,
    /// The columns' norms.
    pub norms: &'a Norms,
    /// The dense id of each column.
    pub nodes: &'a [u32],
    /// The row's own norm, in units.
    pub norm: u64,
    /// The smallest counter that is kept, at least 1.
    pub least: u64,
    /// What a counter is to its overlap in units: 1 unless weights were scaled to fit.
    pub scale: f32,
    /// By what part of itself a counter may fall short of its scaled overlap, which it never
    /// exceeds: 0 unless weights were rounded down. From [`LOSS_MAX`] on nothing is relied upon.
    pub loss: f32,
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
        self.summarise(counters, row);
        let bound = self.bound(counters, row);
        self.collect(counters, row, bound);
        &self.candidates
    }

    /// Step 1.
    fn summarise(&mut self, counters: &Counters<T>, row: Row<'_>) {
        self.maxima.clear();
        self.least.clear();
        self.most.clear();
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
            self.least.push(row.norms.least[block as usize]);
            self.most.push(row.norms.most[block as usize]);
        }
    }

    /// Step 2: a score that at least `top_k` columns reach, or 0.
    fn bound(&mut self, counters: &Counters<T>, row: Row<'_>) -> f32 {
        let wanted = row.top_k;
        let groups = self.maxima.len() * GROUPS;
        let by_columns = wanted.saturating_mul(CROWDED) > groups;
        let fewest = if by_columns { wanted + wanted / 4 } else { 4 * wanted };
        if row.wedges <= fewest as u64 || row.loss > LOSS_MAX || (groups < wanted && !by_columns) {
            return 0.0;
        }
        let enough = wanted + wanted / 8 + 4;
        let aim = (wanted + wanted / 16 + 2) as f32;
        let scale = row.scoring.gauge(row.norm).max(1.0);
        let mut probe = if self.guess > 0.0 { self.guess / scale } else { 1.0 };
        // Scores with the number of groups that reach them, from either side.
        let (mut low, mut high) = ((0.0f32, 0), (f32::MAX, 0));
        for _ in 0..PROBES {
            let reached = if by_columns {
                self.columns_reached(counters, row, probe)
            } else {
                self.groups_reached(row, probe)
            };
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

    /// How many groups hold a column that surely scores `score` or more.
    fn groups_reached(&mut self, row: Row<'_>, score: f32) -> usize {
        row.scoring.overlaps(score, row.norm, &self.most, &mut self.overlaps);
        self.set_thresholds(row, row.scale);
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

    /// How many columns surely score `score` or more.
    fn columns_reached(&mut self, counters: &Counters<T>, row: Row<'_>, score: f32) -> usize {
        row.scoring.overlaps(score, row.norm, &self.most, &mut self.overlaps);
        self.set_thresholds(row, row.scale);
        let mut reached = 0;
        for (&block, &threshold) in counters.blocks().iter().zip(&self.thresholds) {
            for rows in counters.block(block).as_chunks::<GROUPS>().0.chunks(8) {
                reached += hits_of(rows, threshold)
                    .iter()
                    .map(|hits| hits.count_ones() as usize)
                    .sum::<usize>();
            }
        }
        reached
    }

    /// Sets `thresholds` from `overlaps` times `scale`.
    fn set_thresholds(&mut self, row: Row<'_>, scale: f32) {
        let least = T::at_most(row.least);
        self.thresholds.clear();
        self.thresholds
            .extend(self.overlaps.iter().map(|&real| T::reaching(real * scale).max(least)));
    }

    /// Step 3.
    fn collect(&mut self, counters: &Counters<T>, row: Row<'_>, bound: f32) {
        self.candidates.clear();
        let score = bound * (1.0 - MARGIN);
        row.scoring.overlaps(score, row.norm, &self.least, &mut self.overlaps);
        self.set_thresholds(row, row.scale * (1.0 - row.loss.min(1.0)));
        let blocks = counters.blocks().iter().zip(&self.thresholds);
        for ((&block, &threshold), maxima) in blocks.zip(&self.maxima) {
            // A byte for each group, 1 if it is hit; eight of them at a time.
            let hits = maxima.map(|maximum| u8::from(maximum >= threshold));
            let hits: [u64; GROUPS / 8] = bytemuck::cast(hits);
            if hits.iter().fold(0, |any, word| any | word) == 0 {
                continue;
            }
            collect_block(counters.block(block), block, threshold, &mut self.candidates);
        }
    }
}

/// Adds the columns of `block` whose counters reach `threshold`.
#[inline(always)]
fn collect_block<T: Counter>(
    values: &[T],
    block: u32,
    threshold: T,
    candidates: &mut Vec<(u32, T)>,
) {
    let rows = values.as_chunks::<GROUPS>().0;
    for (upper, rows) in rows.chunks(8).enumerate() {
        for (word, &hits) in hits_of(rows, threshold).iter().enumerate() {
            let mut hits = u64::from_le(hits);
            while hits != 0 {
                let bit = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let within = (upper * 8 + 7 - bit % 8) * GROUPS + word * 8 + bit / 8;
                let column = block as usize * BLOCK + within;
                candidates.push((column as u32, values[within & (BLOCK - 1)]));
            }
        }
    }
}

/// Which of eight `rows` of counters reach `threshold`: a byte for each group, whose topmost bit stands for
/// the first row. Not inlined: seeing what becomes of the bytes, the compiler would take them apart.
#[inline(never)]
fn hits_of<T: Counter>(rows: &[[T; GROUPS]], threshold: T) -> [u64; GROUPS / 8] {
    let mut hits = [[0u8; HALF]; GROUPS / HALF];
    for (half, hits) in hits.iter_mut().enumerate() {
        let mut bits = [0u8; HALF];
        for values in rows {
            let values = &values.as_chunks::<HALF>().0[half];
            bits = std::array::from_fn(|group| {
                bits[group] + bits[group] + u8::from(values[group] >= threshold)
            });
        }
        *hits = bits;
    }
    bytemuck::cast(hits)
}
