//! Rows that touch few of very many columns: every step works on the list of the columns touched, and
//! none on all columns.
//!
//! 1. The walk notes each column the first time that it is touched ([`Counters::add_listing`]).
//! 2. A touched column's score is at least that of the largest norm of its block, which costs one
//!    division and no look at the column's own norm. The K-th best of these is a lower bound on the
//!    K-th best score.
//! 3. Candidates are the columns whose counters reach what the bound needs for the smallest norm of their
//!    block.
//!
//! As in [`super::select`], the candidates hold every column of the K best, whatever the rounding of steps
//! 2 and 3.

use super::counters::{BLOCK, Counter, Counters};
use super::select::{MARGIN, Row};

/// What the selection keeps between rows.
#[derive(Debug, Default)]
pub struct Sparse {
    /// The columns touched; the walk writes one more than there are.
    pub touched: Vec<u32>,
    /// Lower bounds of their scores.
    scores: Vec<f32>,
    /// The overlap that the bound needs, for each block.
    overlaps: Vec<f32>,
    thresholds: Vec<u8>,
    candidates: Vec<(u32, u8)>,
}

impl Sparse {
    /// Columns of `counters`, with their counters, that include the K best.
    pub fn candidates(&mut self, counters: &Counters<u8>, row: Row<'_>) -> &[(u32, u8)] {
        let bound = if self.touched.len() > row.top_k { self.bound(counters, row) } else { 0.0 };
        let score = bound * (1.0 - MARGIN);
        row.scoring.overlaps(score, row.norm, &row.norms.least, &mut self.overlaps);
        let least = u8::at_most(row.least);
        self.thresholds.clear();
        self.thresholds.extend(self.overlaps.iter().map(|&real| u8::reaching(real).max(least)));
        self.candidates.clear();
        for &column in &self.touched {
            let value = counters.value(column);
            if value >= self.thresholds[column as usize / BLOCK] {
                self.candidates.push((column, value));
            }
        }
        &self.candidates
    }

    /// A score that at least `top_k` of the touched columns reach, or 0 if so many do not count.
    fn bound(&mut self, counters: &Counters<u8>, row: Row<'_>) -> f32 {
        let least = u8::at_most(row.least);
        let row_gauge = row.scoring.gauge(row.norm);
        self.scores.clear();
        self.scores.extend(self.touched.iter().map(|&column| {
            let value = counters.value(column);
            let gauge = row.norms.most[column as usize / BLOCK];
            if value < least { 0.0 } else { row.scoring.at_gauges(value, row_gauge, gauge) }
        }));
        let (_, &mut bound, _) =
            self.scores.select_nth_unstable_by(row.top_k - 1, |a, b| b.total_cmp(a));
        bound
    }
}
