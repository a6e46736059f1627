//! Scores of a pair from its overlap, and how large an overlap a score needs.
//!
//! `n` is the (discounted) number of left nodes in common, `a` and `b` those of the two right
//! nodes alone:
//!
//! | measure | score |
//! |---|---|
//! | count | `n` |
//! | cosine | `n / sqrt(a b)` |
//! | jaccard | `n / (a + b - n)` |
//!
//! each times `n / (n + shrink)`. Overlaps and norms are integers in units of [`Scoring::unit`], so
//! that equal sums are equal bits. The cosine is computed as `sqrt(n n / (a b))`: a quotient of
//! integers, rounded once, so that two pairs of equal cosine get the same number. Scores are
//! computed in f64 and published, and compared, as f32.

/// How alike two right nodes are, from the left nodes they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The (discounted) number of left nodes in common.
    Count,
    /// Over the geometric mean of the two nodes' own numbers.
    Cosine,
    /// Over the number of left nodes that have either.
    Jaccard,
}

/// A measure with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// The measure.
    pub measure: Measure,
    /// Pulls scores that rest on few left nodes towards zero, at least 0.
    pub shrink: f64,
    /// What an overlap or norm of 1 stands for: 1 for plain counts, 2^-31 for discounted ones.
    pub unit: f64,
}

impl Scoring {
    /// The score of an `overlap` of two nodes of norms `a` and `b`, all in units. Symmetric in `a`
    /// and `b`.
    pub fn score(&self, overlap: u64, a: u64, b: u64) -> f32 {
        let mut score = Vec::with_capacity(1);
        self.scores(&[overlap as f64], a as f64, &[b as f64], &mut score);
        score[0]
    }

    /// [`Scoring::score`] of each of `overlaps` of a row of norm `a` and columns of `norms`, into `out`.
    pub fn scores(&self, overlaps: &[f64], a: f64, norms: &[f64], out: &mut Vec<f32>) {
        let pairs = overlaps.iter().copied().zip(norms.iter().copied());
        out.clear();
        match self.measure {
            Measure::Count => self.shrink(pairs.map(|(n, _)| (n, n * self.unit)), out),
            Measure::Cosine => {
                self.shrink(pairs.map(|(n, b)| (n, ((n * n) / (a * b)).sqrt())), out);
            }
            Measure::Jaccard => self.shrink(pairs.map(|(n, b)| (n, n / (a + b - n))), out),
        }
    }

    /// Appends the scores, shrunk, of overlaps with their scores before.
    #[inline(always)]
    fn shrink(&self, scores: impl Iterator<Item = (f64, f64)>, out: &mut Vec<f32>) {
        if self.shrink > 0.0 {
            out.extend(scores.map(|(n, score)| {
                let n = n * self.unit;
                (score * (n / (n + self.shrink))) as f32
            }));
        } else {
            out.extend(scores.map(|(_, score)| score as f32));
        }
    }

    /// What [`Scoring::overlap`] needs to know of a column of norm `norm`. It never falls when
    /// the norm grows.
    pub fn gauge(&self, norm: u64) -> f32 {
        match self.measure {
            Measure::Count => 0.0,
            Measure::Cosine => (norm as f64).sqrt() as f32,
            Measure::Jaccard => norm as f32,
        }
    }

    /// The score of a small `overlap`, 1 or more, of a row and a column of the given gauges, to within
    /// 1e-6 of itself.
    #[inline(always)]
    pub fn at_gauges(&self, overlap: u8, row: f32, column: f32) -> f32 {
        let n = f32::from(overlap);
        let score = match self.measure {
            Measure::Count => n * self.unit as f32,
            Measure::Cosine => n / (row * column),
            Measure::Jaccard => n / (row + column - n),
        };
        let n = n * self.unit as f32;
        score * (n / (n + self.shrink as f32))
    }

    /// The least overlaps, in units, that score `score` in a row of norm `row` with columns of the
    /// given `gauges`; not rounded to integers, to within 1e-6 of themselves. They never fall when
    /// a gauge grows.
    pub fn overlaps(&self, score: f32, row: u64, gauges: &[f32], out: &mut Vec<f32>) {
        out.clear();
        let row_gauge = self.gauge(row);
        let shrink = (self.shrink / self.unit) as f32;
        match self.measure {
            Measure::Count => {
                let n = shrunk(score / self.unit as f32, shrink);
                out.resize(gauges.len(), n);
            }
            Measure::Cosine if shrink == 0.0 => {
                let factor = score * row_gauge;
                out.extend(gauges.iter().map(|gauge| factor * gauge));
            }
            Measure::Cosine => {
                let factor = score * row_gauge;
                out.extend(gauges.iter().map(|gauge| shrunk(factor * gauge, shrink)));
            }
            Measure::Jaccard if shrink == 0.0 => {
                let factor = score / (1.0 + score);
                out.extend(gauges.iter().map(|gauge| factor * (row_gauge + gauge)));
            }
            Measure::Jaccard => {
                out.extend(gauges.iter().map(|gauge| jaccard(score, row_gauge + gauge, shrink)));
            }
        }
    }
}

/// The `n` with `n * n / (n + shrink) = x`.
fn shrunk(x: f32, shrink: f32) -> f32 {
    0.5 * (x + (x * x + 4.0 * x * shrink).sqrt())
}

/// The `n` with `n / (both - n) * n / (n + shrink) = score`: the positive root of
/// `(1 + score) n^2 - score (both - shrink) n - score both shrink`.
fn jaccard(score: f32, both: f32, shrink: f32) -> f32 {
    let (a, b, c) = (1.0 + score, score * (both - shrink), score * both * shrink);
    let root = (b * b + 4.0 * a * c).sqrt();
    // The form of the root that does not cancel.
    if b >= 0.0 { (b + root) / (2.0 * a) } else { 2.0 * c / (root - b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_needed_is_the_inverse_of_the_score() {
        for measure in [Measure::Count, Measure::Cosine, Measure::Jaccard] {
            for (shrink, unit) in [(0.0, 1.0), (10.0, 1.0), (1e9, 1.0), (0.5, 0.5f64.powi(31))] {
                let scoring = Scoring { measure, shrink, unit };
                let units = |n: f64| (n / unit) as u64;
                for (n, a, b) in [(1.0, 1.0, 9.0), (7.0, 100.0, 31.0), (9e4, 1e5, 2e6)] {
                    let (n, a, b) = (units(n), units(a), units(b));
                    let mut needed = Vec::new();
                    let score = scoring.score(n, a, b);
                    scoring.overlaps(score, a, &[scoring.gauge(b)], &mut needed);
                    if let Ok(n) = u8::try_from(n) {
                        let near = scoring.at_gauges(n, scoring.gauge(a), scoring.gauge(b));
                        assert!(
                            (near / score - 1.0).abs() < 1e-6,
                            "{scoring:?} {n} {a} {b}: {near}"
                        );
                    }
                    let error = f64::from(needed[0]) / n as f64 - 1.0;
                    assert!(error.abs() < 1e-6, "{scoring:?} {n} {a} {b}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn equal_cosines_are_equal_bits() {
        let scoring = Scoring { measure: Measure::Cosine, shrink: 0.0, unit: 1.0 };
        for d in 1..2000 {
            assert_eq!(scoring.score(1, 7, d), scoring.score(3, 7, 9 * d));
            assert_eq!(scoring.score(5, d, 7), scoring.score(5, 7, d));
        }
    }
}
