//! The Fréchet distance in the limit of many images.

use crate::{Error, Gaussian, Moments, Result, frechet_distance};

/// Parts that the images are split into: a whole, halves, thirds, quarters.
const PARTS: usize = 4;

/// A line through distances of fewer and fewer images, at its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The distance that the line gives for 1/n = 0.
    pub value: f64,
    /// Standard error of that by how far the points lie from the line; the images' own error, which all points have in
    /// common, is in none of it.
    pub fit: f64,
}

/// FID∞ of rows `[n, dim]` to `other`: the intercept of F = F∞ + c/n through the mean distances of all, of the two halves, the three thirds
/// and the four quarters of the rows in their order, by least squares (Chong & Forsyth 2020, *Effectively Unbiased FID and
/// Inception Score and where to find them*, arXiv 1911.07023, section 4; they draw subsets of 5 000 to 50 000 images).
///
/// The bias is 1/n only where images are many more than dimensions: with fewer than ten each the limit is too high, and `fit` says little.
///
/// # Errors
/// With fewer than two rows a part, and as [`frechet_distance`].
pub fn frechet_limit(rows: &[f32], other: &Gaussian) -> Result<Limit> {
    let dim = other.mean().len();
    let n = rows.len() / dim;
    if n < 2 * PARTS {
        return Err(Error::Values(format!("the limit of many images needs at least {} of them, got {n}", 2 * PARTS)));
    }
    let mut points = Vec::new();
    for parts in 1..=PARTS {
        let size = n / parts;
        let mut sum = 0.0;
        for part in rows.chunks_exact(size * dim).take(parts) {
            let mut moments = Moments::new(dim);
            moments.push(part)?;
            sum += frechet_distance(&moments.gaussian()?, other)?;
        }
        points.push(((size as f64).recip(), sum / parts as f64));
    }
    Ok(intercept(&points))
}

/// Of the least-squares line, with its standard error.
fn intercept(points: &[(f64, f64)]) -> Limit {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let residual: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    Limit { value: y - slope * x, fit: (residual / (n - 2.0) * (1.0 / n + x * x / spread)).sqrt() }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::factor::random;

    /// y = 3 + 2x but for the last point, 1 too high: by NumPy's polyfit(x, y, 1, cov=True) the intercept is 2.5, its error √(3.15/2).
    #[test]
    fn an_intercept_and_its_error_by_hand() {
        let line = [(1.0, 5.0), (2.0, 7.0), (3.0, 9.0), (4.0, 11.0)];
        assert!((intercept(&line).value - 3.0).abs() < 1e-14 && intercept(&line).fit < 1e-14);
        let off = intercept(&[line[0], line[1], line[2], (4.0, 12.0)]);
        // Residuals 0.2, −0.1, −0.4, 0.3: Σ = 0.3, over 2, times 1/4 + 6.25/5.
        assert!((off.value - 2.5).abs() < 1e-14, "{off:?}");
        assert!((off.fit - (0.3f64 / 2.0 * 1.5).sqrt()).abs() < 1e-14, "{off:?}");
    }

    /// Uniform numbers against their own moments: the limit is 0, which no distance of 400 images is.
    #[test]
    fn the_bias_of_few_images_is_taken_off() {
        let (n, dim) = (400, 16);
        let exact = Gaussian::new(vec![0.0; dim], Mat::from_fn(dim, dim, |i, j| if i == j { 1.0 / 12.0 } else { 0.0 }));
        let exact = exact.unwrap();
        let (mut limits, mut plain) = (Vec::new(), Vec::new());
        let x = random(dim, 40 * n, 1);
        for draw in 0..40 {
            let rows: Vec<f32> = (0..n * dim).map(|i| x[(i % dim, draw * n + i / dim)] as f32).collect();
            let mut moments = Moments::new(dim);
            moments.push(&rows).unwrap();
            plain.push(frechet_distance(&moments.gaussian().unwrap(), &exact).unwrap());
            limits.push(frechet_limit(&rows, &exact).unwrap());
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let values: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
        let spread = (values.iter().map(|v| (v - mean(&values)).powi(2)).sum::<f64>() / 39.0).sqrt();
        let error = spread / 40f64.sqrt();
        assert!(
            mean(&plain) > 10.0 * error && mean(&values).abs() < 4.0 * error,
            "{} {} {error}",
            mean(&plain),
            mean(&values)
        );
        assert!(frechet_limit(&[0.0; 7 * 16], &exact).unwrap_err().to_string().contains("at least 8"));
    }
}
