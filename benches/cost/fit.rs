//! Least squares with constants that are not negative.

use super::Point;

/// What the graphs of folders weigh, beside 1 of the built-in ones: these are extreme, to tell the constants
/// apart, and jobs run on graphs such as those.
const FOLDER_WEIGHT: f64 = 3.0;

/// Sweeps over the constants; it converges long before.
const SWEEPS: usize = 100_000;

/// The constants that make the sums of squared relative errors of `points` least, by coordinate descent:
/// each constant in turn is set to its best value, or 0.
pub fn nonnegative(points: &[&Point]) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = points
        .iter()
        .map(|point| {
            let scale = weight(point) / point.ns;
            point.counts.iter().map(|(_, count)| count * scale).collect()
        })
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    let mut constants = vec![0.0f64; width];
    let mut rest: Vec<f64> = points.iter().map(|point| weight(point)).collect();
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

fn weight(point: &Point) -> f64 {
    if point.built_in { 1.0 } else { FOLDER_WEIGHT }
}
