//! Rows of weighted sums.
//!
//! 1. The weights of the row's left nodes are scaled to the counters' width and rounded to integers, the *steps*. How
//!    far a sum of steps may be from its scaled sum of weights is known from the steps: by no
//!    more than all that was rounded up or down, and by no larger part than the worst of them.
//! 2. The narrowest counters whose error is small select the candidates. They are a few more than without
//!    weights.
//! 3. The exact sums of the candidates alone are added up ([`super::sums`]).

use super::counters::{Counter, Counters};
use super::rank::Ranking;
use super::select::{Rounding, Row, Selection};
use super::sums::Sums;
use super::{TwoHop, Walk, Workspace};

/// Steps of 8 and of 16 bits are taken if the candidates' bound is then lowered by no more than this part: from
/// there on more candidates cost more than wider counters. From 0.2 to 0.5 the first makes little difference.
const SPREAD_MAX: [f32; 2] = [0.3, 0.1];

/// The scaled weights of a row.
#[derive(Debug, Default)]
pub struct Steps {
    /// The weights of the row's left nodes.
    weights: Vec<u32>,
    /// The same, scaled and rounded.
    steps: Vec<u32>,
}

impl Steps {
    /// Scales the weights, of sum `norm`, so that the steps add up to `largest` at most if each takes up to
    /// `slack` more than its share. None if they add up to more.
    fn scale(&mut self, norm: u64, largest: u64, slack: f64) -> Option<Rounding> {
        let room = largest as f64 - slack * self.weights.len() as f64;
        let scale = (room / norm as f64).clamp(0.0, 1.0);
        let (mut under, mut over, mut low, mut high) = (0.0f64, 0.0f64, 1.0f64, 1.0f64);
        self.steps.clear();
        let mut total = 0;
        for &weight in &self.weights {
            let share = f64::from(weight) * scale;
            let step = (share + 0.5).floor().max(1.0);
            under += (share - step).max(0.0);
            over += (step - share).max(0.0);
            low = low.min(step / share);
            high = high.max(step / share);
            total += step as u64;
            self.steps.push(step as u32);
        }
        let [scale, under, over, low, high] =
            [scale, under, over, low, high].map(|number| number as f32);
        (room > 0.0 && total <= largest).then_some(Rounding { scale, under, over, low, high })
    }
}

impl Rounding {
    /// By what part the bound is lowered for a typical column, an eighth of the largest counter.
    fn spread(&self, largest: u64) -> f32 {
        let typical = largest as f32 / 8.0;
        (1.0 - self.low / self.high).min((self.under + self.over) / typical)
    }
}

/// What a row of weighted sums works in besides its counters.
struct Tools<'a> {
    steps: &'a Steps,
    counts: &'a mut (Counters<u8>, Counters<u32>),
    sums: &'a mut Sums,
    ranking: &'a mut Ranking,
}

impl TwoHop {
    /// A row of weighted sums, in the narrowest counters that do.
    pub(super) fn weighted_row(
        &self,
        walk: Walk<'_>,
        workspace: &mut Workspace,
        out: &mut Vec<(f32, u32)>,
    ) {
        let Workspace { narrow, middle, wide, counts, steps, sums, ranking, .. } = workspace;
        steps.weights.clear();
        steps.weights.extend(walk.lefts.iter().map(|&left| self.weights[left as usize]));
        let norm = self.norms.columns[self.columns[walk.node as usize] as usize].norm;
        let [most_8, most_16] = SPREAD_MAX;
        let narrow_steps = steps.scale(norm, u8::LARGEST, 0.5);
        if let Some(rounding) = narrow_steps.filter(|it| it.spread(u8::LARGEST) <= most_8) {
            let tools = Tools { steps, counts, sums, ranking };
            return self.weighted_row_in(walk, rounding, narrow, tools, out);
        }
        let middle_steps = steps.scale(norm, u16::LARGEST, 0.5);
        if let Some(rounding) = middle_steps.filter(|it| it.spread(u16::LARGEST) <= most_16) {
            let tools = Tools { steps, counts, sums, ranking };
            return self.weighted_row_in(walk, rounding, middle, tools, out);
        }
        // With so much slack they always fit.
        let rounding = steps.scale(norm, u32::LARGEST, 1.0).unwrap_or(Rounding::NONE);
        let tools = Tools { steps, counts, sums, ranking };
        self.weighted_row_in(walk, rounding, wide, tools, out);
    }

    /// A row of weighted sums with counters of type `T`.
    fn weighted_row_in<T: Counter>(
        &self,
        walk: Walk<'_>,
        rounding: Rounding,
        (counters, selection): &mut (Counters<T>, Selection<T>),
        Tools { steps: Steps { weights, steps }, counts, sums, ranking }: Tools<'_>,
        out: &mut Vec<(f32, u32)>,
    ) {
        self.add(walk, counters, |index| T::at_most(u64::from(steps[index])));
        if self.min_count > 1 {
            if walk.lefts.len() as u64 <= u8::LARGEST {
                self.drop_rare(walk, counters, &mut counts.0);
            } else {
                self.drop_rare(walk, counters, &mut counts.1);
            }
        }
        let row = Row { rounding, ..self.selection_row(walk, 1) };
        let candidates = selection.candidates(counters, row);
        let columns = candidates.iter().map(|&(column, _)| column);
        let width = self.columns.len();
        let exact = sums.of(&self.lists, walk.lefts, weights, width, columns.clone());
        ranking.rank(columns, exact.iter().copied(), row, out);
        counters.clear();
    }

    /// Sets to zero the counters of columns with fewer than `min_count` left nodes in common.
    fn drop_rare<T: Counter, C: Counter>(
        &self,
        walk: Walk<'_>,
        counters: &mut Counters<T>,
        counts: &mut Counters<C>,
    ) {
        self.add(walk, counts, |_| C::small(true));
        counters.reset_below(counts, self.min_count);
        counts.clear();
    }
}
