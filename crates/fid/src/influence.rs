//! What each image contributes to a Fréchet distance, from which its sampling error follows without drawing any sample again.
//!
//! To first order a distance F of n images moves with the mean of their influences, as a mean does: the standard error of F is that of
//! their mean, σ(IF)/√n, and two distances over the same images differ by the mean of the differences. It is the limit of the
//! bootstrap's (Efron 1982, *The Jackknife, the Bootstrap and Other Resampling Plans*, chapter 6: the infinitesimal jackknife), and needs
//! none of its resamples, whose distances are biased, as each holds only 63 % of the images. Of F = ‖μ − m‖² + tr Σ + tr R − 2 tr (ΣR)^½
//! to a Gaussian with moments m, R
//!
//! IF(x) = 2 (μ − m)·z + ‖z‖² − zᵀ T z less its mean, z = x − μ,
//!
//! with T the linear map from the one Gaussian to the other, T Σ T = R. What is of second order is left out: the bias, which
//! all methods of a table have alike, and where images are hardly more than dimensions up to a third of the error.

use faer::{Accum, Mat, MatRef, Par, Side, linalg::matmul::matmul};
use rayon::prelude::*;

use crate::{Error, Gaussian, Result};

/// Rows that a core takes in one go. Fixed, so that bits do not depend on the number of threads.
const ROWS: usize = 128;

/// The influence of every row, `[n, dim]` with the moments of `own`, on [`frechet_distance`](crate::frechet_distance) of `own` and `other`.
///
/// With R = H Hᵀ and the eigenvectors V and eigenvalues s² of Hᵀ Σ H, zᵀ T z = Σ_k (z·H V)_k²/s_k: no inverse of Σ is needed, which has
/// none where there are fewer images than dimensions.
///
/// # Errors
/// Where the dimensions differ, or a decomposition does not converge.
pub fn frechet_influence(rows: &[f32], own: &Gaussian, other: &Gaussian) -> Result<Vec<f64>> {
    let dim = own.mean().len();
    if other.mean().len() != dim || !rows.len().is_multiple_of(dim) {
        return Err(Error::Values(format!(
            "rows of {dim} features have no influence on a distance to {}",
            other.mean().len()
        )));
    }
    let (root, weights) = coupling(own, other)?;
    let shift: Vec<f64> = own.mean().iter().zip(other.mean()).map(|(a, b)| 2.0 * (a - b)).collect();
    let parts: Vec<Vec<f64>> = rows
        .par_chunks(ROWS * dim)
        .map(|part| {
            let z: Vec<f64> = part
                .chunks(dim)
                .flat_map(|row| row.iter().zip(own.mean()).map(|(x, mean)| f64::from(*x) - mean))
                .collect();
            let z = MatRef::from_row_major_slice(&z, part.len() / dim, dim);
            let mut mapped = Mat::zeros(z.nrows(), root.ncols());
            matmul(mapped.as_mut(), Accum::Replace, z, root.as_ref(), 1.0, Par::Seq);
            let of = |i: usize| {
                let linear: f64 = (0..dim).map(|j| z[(i, j)] * (shift[j] + z[(i, j)])).sum();
                let coupled: f64 = (0..root.ncols()).map(|k| mapped[(i, k)].powi(2) * weights[k]).sum();
                linear - coupled
            };
            (0..z.nrows()).map(of).collect()
        })
        .collect();
    let mut all = parts.concat();
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    all.iter_mut().for_each(|value| *value -= mean);
    Ok(all)
}

/// H V and 1/s, over the s that are not noise.
fn coupling(own: &Gaussian, other: &Gaussian) -> Result<(Mat<f64>, Vec<f64>)> {
    let factor = other.factor()?.matrix();
    let half = product(own.covariance().as_ref(), factor.as_ref());
    let mut inner = product(factor.transpose(), half.as_ref());
    for i in 0..inner.nrows() {
        for j in 0..i {
            inner[(i, j)] = inner[(j, i)];
        }
    }
    // As in `factor.rs`: faer reads its threads from a global, and sums split over threads would differ between machines.
    faer::set_global_parallelism(Par::Seq);
    let eigen = inner
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::Values("the eigendecomposition of the covariances' product did not converge".into()))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let largest = values.iter().fold(0.0, |max: f64, &value| max.max(value.abs()));
    let noise = largest * inner.nrows() as f64 * f64::EPSILON;
    let kept: Vec<usize> = (0..values.nrows()).filter(|&k| values[k] > noise).collect();
    let vectors = Mat::from_fn(inner.nrows(), kept.len(), |i, k| vectors[(i, kept[k])]);
    Ok((product(factor.as_ref(), vectors.as_ref()), kept.iter().map(|&k| values[k].sqrt().recip()).collect()))
}

/// A product whose columns are shared among the cores, each part's by one.
fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(left.nrows(), right.ncols());
    out.as_mut().par_col_chunks_mut(ROWS).enumerate().for_each(|(index, part)| {
        let columns = right.get(.., index * ROWS..index * ROWS + part.ncols());
        matmul(part, Accum::Replace, left, columns, 1.0, Par::Seq);
    });
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Moments, factor::random, frechet_distance};

    pub(crate) fn rows(n: usize, dim: usize, scale: f64, seed: u64) -> Vec<f32> {
        let x = random(dim, n, seed);
        let at = |i: usize, j: usize| scale * x[(j, i)] / (1.0 + j as f64) + 0.1 * x[(0, i)].powi(2) * (j % 3) as f64;
        (0..n).flat_map(|i| (0..dim).map(move |j| at(i, j) as f32)).collect()
    }

    pub(crate) fn gaussian(rows: &[f32], dim: usize) -> Gaussian {
        let mut moments = Moments::new(dim);
        moments.push(rows).unwrap();
        moments.gaussian().unwrap()
    }

    /// Distance of weighted rows, the textbook way; the covariance divides by n − 1 of equal weights.
    fn weighted(rows: &[f32], weights: &[f64], other: &Gaussian) -> f64 {
        let (dim, n) = (other.mean().len(), weights.len() as f64);
        let x = |i: usize, j: usize| f64::from(rows[i * dim + j]);
        let all = || weights.iter().enumerate();
        let mean: Vec<f64> = (0..dim).map(|j| all().map(|(i, w)| w * x(i, j)).sum()).collect();
        let covariance = Mat::from_fn(dim, dim, |j, k| {
            all().map(|(i, w)| w * (x(i, j) - mean[j]) * (x(i, k) - mean[k])).sum::<f64>() * n / (n - 1.0)
        });
        frechet_distance(&Gaussian::new(mean, covariance).unwrap(), other).unwrap()
    }

    /// The derivative of F by the weight of an image, w_k = (1 − h)/n and h more for image i, numerically.
    #[test]
    fn an_influence_is_the_derivative_by_the_images_weight() {
        for (n, dim) in [(40, 6), (5, 8)] {
            let (x, other) = (rows(n, dim, 2.0, 1), gaussian(&rows(50, dim, 3.0, 2), dim));
            let own = gaussian(&x, dim);
            let influence = frechet_influence(&x, &own, &other).unwrap();
            assert!(influence.iter().sum::<f64>().abs() < 1e-12);
            for (i, influence_of_image) in influence.iter().enumerate() {
                let at = |h: f64| {
                    let weight = |k: usize| (1.0 - h) / n as f64 + if k == i { h } else { 0.0 };
                    weighted(&x, &(0..n).map(weight).collect::<Vec<_>>(), &other)
                };
                // Fourth order of h.
                let h = 1e-3;
                let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                // n/(n − 1) of the covariance is in the numerical one alone.
                let expected = influence_of_image + correction(&x, &own, &other, i);
                assert!((slope - expected).abs() < 1e-6 * (1.0 + slope.abs()), "{n} {i}: {slope} {expected}");
            }
        }
    }

    /// What n/(n − 1) instead of 1 in front of image i's own share of the covariance adds, centred.
    fn correction(rows: &[f32], own: &Gaussian, other: &Gaussian, i: usize) -> f64 {
        let (dim, n) = (own.mean().len(), (rows.len() / own.mean().len()) as f64);
        let linear = |i: usize| -> f64 {
            (0..dim)
                .map(|j| 2.0 * (own.mean()[j] - other.mean()[j]) * (f64::from(rows[i * dim + j]) - own.mean()[j]))
                .sum()
        };
        let influence = frechet_influence(rows, own, other).unwrap();
        (influence[i] - linear(i)) / (n - 1.0)
    }

    /// Against the spread of distances of many draws, and of many resamples of one: the error that an influence gives is the bootstrap's.
    #[test]
    fn errors_are_those_of_repeated_draws_and_of_the_bootstrap() {
        let (n, dim) = (300, 12);
        let other = gaussian(&rows(4000, dim, 2.5, 1), dim);
        let spread = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
        };
        let error = |x: &[f32]| {
            let influence = frechet_influence(x, &gaussian(x, dim), &other).unwrap();
            spread(&influence) / (n as f64).sqrt()
        };
        // One stream: the generator's streams from neighbouring seeds are not independent.
        let stream = rows(200 * n, dim, 2.0, 2);
        let draws: Vec<Vec<f32>> = stream.chunks(n * dim).map(<[f32]>::to_vec).collect();
        let distance = |x: &[f32]| frechet_distance(&gaussian(x, dim), &other).unwrap();
        let found = draws.iter().map(|x| error(x)).sum::<f64>() / draws.len() as f64;
        let expected = spread(&draws.iter().map(|x| distance(x)).collect::<Vec<_>>());
        // The spread of 200 draws is itself known to 5 %.
        assert!((found / expected - 1.0).abs() < 0.15, "{found} {expected}");
        let picks = random(n, 200, 3);
        let resample = |draw: usize| {
            let pick = |i: usize| ((picks[(i, draw)] + 0.5) * n as f64) as usize;
            let x: Vec<f32> = (0..n).flat_map(|i| draws[0][pick(i) * dim..][..dim].to_vec()).collect();
            distance(&x)
        };
        let resampled = spread(&(0..200).map(resample).collect::<Vec<_>>());
        assert!((error(&draws[0]) / resampled - 1.0).abs() < 0.15, "{} {resampled}", error(&draws[0]));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (n, dim) = (400, 300);
        let (x, other) = (rows(n, dim, 2.0, 1), rows(500, dim, 3.0, 2));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| frechet_influence(&x, &gaussian(&x, dim), &gaussian(&other, dim)).unwrap())
        };
        let one = on(1);
        assert!(one == on(2) && one == on(5));
    }
}
