//! Least squares with constants that are not negative.

use super::Point;

/// Sweeps over the constants; it converges long before.
const SWEEPS: usize = 100_000;

/// The constants that make the sums of squared relative errors of `points` least, by coordinate descent:
/// each constant in turn is set to its best value, or 0.
pub fn nonnegative(points: &[&Point]) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = points
        .iter()
        .map(|point| point.counts.iter().map(|(_, count)| count / point.ns).collect())
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    let mut constants = vec![0.0f64; width];
    let mut rest = vec![1.0f64; rows.len()];
    for _ in 0..SWEEPS {
        for column in 0..width {
            let squares: f64 = rows.iter().map(|row| row[column] * row[column]).sum();
            if squares > 0.0 {
                let slope: f64 = rows.iter().zip(&rest).map(|(row, rest)| row[column] * rest).sum();
                let next = (constants[column] + slope / squares).max(0.0);
                let step = next - constants[column];
                constants[column] = next;
                for (rest, row) in rest.iter_mut().zip(&rows) {
                    *rest -= step * row[column];
                }
            }
        }
    }
    constants
}
