//! The distance between images.

/// Mean over the numbers of an image of their squared difference.
pub fn squared_error(x: &[f32], y: &[f32]) -> f64 {
    let sum: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
    sum / x.len() as f64
}
