//! The Fréchet distance between two Gaussians.

use std::sync::OnceLock;

use faer::Mat;

use crate::{Error, Result, factor::Factor, nuclear_norm::nuclear_norm};

/// Mean and covariance, and a factor of the covariance computed once.
#[derive(Debug, Clone)]
pub struct Gaussian {
    mean: Vec<f64>,
    covariance: Mat<f64>,
    factor: OnceLock<Factor>,
}

impl Gaussian {
    /// `mean` `[dim]` and symmetric `covariance` `[dim, dim]`.
    ///
    /// # Errors
    /// Where the shapes disagree, a value is not finite, or the covariance is not symmetric.
    pub fn new(mean: Vec<f64>, covariance: Mat<f64>) -> Result<Self> {
        let dim = mean.len();
        if (covariance.nrows(), covariance.ncols()) != (dim, dim) {
            let (rows, columns) = (covariance.nrows(), covariance.ncols());
            return Err(Error::Values(format!("mean has {dim} entries but the covariance is {rows}x{columns}")));
        }
        let finite = mean.iter().all(|value| value.is_finite())
            && (0..dim).all(|j| covariance.col(j).iter().all(|value| value.is_finite()));
        if !finite {
            return Err(Error::Values("mean or covariance holds a value that is not finite".into()));
        }
        let largest = (0..dim).map(|i| covariance[(i, i)].abs()).fold(0.0, f64::max);
        for (i, j) in (0..dim).flat_map(|i| (0..i).map(move |j| (i, j))) {
            if (covariance[(i, j)] - covariance[(j, i)]).abs() > 1e-6 * largest {
                return Err(Error::Values(format!("covariance is not symmetric at ({i}, {j})")));
            }
        }
        Ok(Gaussian { mean, covariance, factor: Default::default() })
    }

    /// As [`Gaussian::new`], the covariance row after row.
    ///
    /// # Errors
    /// As there.
    pub fn from_rows(mean: Vec<f64>, covariance: &[f64]) -> Result<Self> {
        let dim = mean.len();
        if covariance.len() != dim * dim {
            return Err(Error::Values(format!("mean has {dim} entries but the covariance has {}", covariance.len())));
        }
        Gaussian::new(mean, Mat::from_fn(dim, dim, |i, j| covariance[i * dim + j]))
    }

    /// The mean, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, `[dim, dim]`.
    pub fn covariance(&self) -> &Mat<f64> {
        &self.covariance
    }

    /// Cached, since a sweep compares many Gaussians with one reference.
    pub(crate) fn factor(&self) -> Result<&Factor> {
        if let Some(factor) = self.factor.get() {
            return Ok(factor);
        }
        let factor = Factor::of(&self.covariance)?;
        Ok(self.factor.get_or_init(|| factor))
    }

    fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|i| self.covariance[(i, i)]).sum()
    }
}

/// ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Heusel et al. 2017, equation 6).
///
/// With Σ = G Gᵀ, tr (Σ₁Σ₂)^½ is the sum of the singular values of G₁ᵀG₂. Unlike the square root of a matrix
/// product this is never complex, needs no offset for rank-deficient covariances, and does not take square
/// roots of rounding noise: identical inputs give 0 to rounding.
///
/// # Errors
/// Where the dimensions differ or a covariance is not positive semidefinite.
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
    if a.mean.len() != b.mean.len() {
        let (a, b) = (a.mean.len(), b.mean.len());
        return Err(Error::Values(format!("features of {a} and of {b} numbers have no distance")));
    }
    let (fa, fb) = rayon::join(|| a.factor(), || b.factor());
    let coupled = nuclear_norm(fa?.cross(fb?))?;
    let shift: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b).powi(2)).sum();
    let distance = shift + a.trace() + b.trace() - 2.0 * coupled;
    if !distance.is_finite() {
        return Err(Error::Values("means or covariances are so large that their distance is not finite".into()));
    }
    // Rounding can leave −1e-13 where the answer is 0.
    Ok(distance.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::random;

    fn diagonal(mean: &[f64], variances: &[f64]) -> Gaussian {
        let n = mean.len();
        Gaussian::new(mean.to_vec(), Mat::from_fn(n, n, |i, j| if i == j { variances[i] } else { 0.0 })).unwrap()
    }

    /// A covariance of rank `rank` in `dim` dimensions.
    fn low_rank(dim: usize, rank: usize, seed: usize) -> Mat<f64> {
        let x = Mat::from_fn(dim, rank, |i, j| ((i * 31 + j * 17 + seed * 7) % 23) as f64 / 11.0 - 1.0);
        &x * x.transpose()
    }

    #[test]
    fn commuting_covariances_have_a_closed_form() {
        let (a, b) = (diagonal(&[0.0, 1.0, 2.0], &[1.0, 4.0, 0.0]), diagonal(&[1.0, 1.0, 0.0], &[9.0, 1.0, 0.25]));
        // ‖Δμ‖² = 5; Σ (√λ₁ − √λ₂)² = 4 + 1 + 0.25.
        assert!((frechet_distance(&a, &b).unwrap() - 10.25).abs() < 1e-14);
    }

    #[test]
    fn identical_inputs_give_zero_even_when_rank_deficient() {
        let (dim, rank) = (60, 9);
        let covariance = low_rank(dim, rank, 1);
        let a = Gaussian::new(vec![0.5; dim], covariance).unwrap();
        assert!(frechet_distance(&a, &a.clone()).unwrap() < 5e-15 * a.trace());
    }

    #[test]
    fn disjoint_supports_add_their_traces() {
        let (a, b) = (diagonal(&[0.0; 4], &[2.0, 3.0, 0.0, 0.0]), diagonal(&[0.0; 4], &[0.0, 0.0, 5.0, 7.0]));
        assert!((frechet_distance(&a, &b).unwrap() - 17.0).abs() < 2e-14);
        assert_eq!(frechet_distance(&diagonal(&[1.0], &[0.0]), &diagonal(&[3.0], &[0.0])).unwrap(), 4.0);
    }

    #[test]
    fn symmetric_in_its_arguments() {
        let a = Gaussian::new(vec![0.0; 20], low_rank(20, 20, 1)).unwrap();
        let b = Gaussian::new(vec![0.1; 20], low_rank(20, 5, 2)).unwrap();
        let (ab, ba) = (frechet_distance(&a, &b).unwrap(), frechet_distance(&b, &a).unwrap());
        assert!((ab - ba).abs() < 5e-15 * a.trace(), "{ab} {ba}");
        assert!(ab > 0.0);
    }

    /// Large enough that every step is split; of full rank, and of one that needs pivots.
    #[test]
    fn neither_the_number_of_threads_nor_their_order_changes_a_bit() {
        let dim = 700;
        let gaussian = |rank, seed| {
            let x = random(dim, rank, seed);
            Gaussian::new(vec![seed as f64; dim], &x * x.transpose()).unwrap()
        };
        let sets = [gaussian(900, 1), gaussian(800, 2), gaussian(300, 3)];
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let fresh = |set: &Gaussian| Gaussian::new(set.mean.clone(), set.covariance.clone()).unwrap();
            let distance = |a: usize, b: usize| frechet_distance(&fresh(&sets[a]), &fresh(&sets[b])).unwrap();
            pool.install(|| [distance(0, 1), distance(0, 2), distance(2, 1)].map(f64::to_bits))
        };
        let one = on(1);
        for threads in [2, 5, 5, 5, 16] {
            assert_eq!(on(threads), one, "{threads} threads");
        }
    }

    /// The straightforward way, by faer alone.
    #[test]
    fn distances_are_those_of_eigenvectors_and_singular_values() {
        let root = |covariance: &Mat<f64>| {
            let eigen = covariance.self_adjoint_eigen(faer::Side::Lower).unwrap();
            let (values, vectors) = (eigen.S().column_vector(), eigen.U());
            Mat::from_fn(values.nrows(), values.nrows(), |i, j| {
                vectors[(i, j)] * if values[j] > 1e-12 { values[j].sqrt() } else { 0.0 }
            })
        };
        for (dim, ranks) in [(60, [80, 90]), (200, [300, 250]), (200, [300, 150])] {
            let [a, b] = [(ranks[0], 1), (ranks[1], 2)].map(|(rank, seed)| {
                let x = random(dim, rank, seed);
                Gaussian::new(vec![0.0; dim], &x * x.transpose()).unwrap()
            });
            let cross = root(&a.covariance).transpose() * root(&b.covariance);
            let coupled: f64 = cross.singular_values().unwrap().iter().sum();
            let (expected, found) = (a.trace() + b.trace() - 2.0 * coupled, frechet_distance(&a, &b).unwrap());
            assert!((found - expected).abs() < 1e-14 * a.trace(), "{dim} {ranks:?}: {found} {expected}");
        }
    }

    #[test]
    fn what_is_too_large_for_a_distance_is_refused() {
        let large = diagonal(&[0.0; 3], &[1e308; 3]);
        assert!(frechet_distance(&large, &diagonal(&[0.0; 3], &[0.0; 3])).is_err());
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let negative = diagonal(&[0.0, 0.0], &[1.0, -1.0]);
        assert!(frechet_distance(&negative, &negative).unwrap_err().to_string().contains("semidefinite"));
        let skew = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { i as f64 });
        assert!(Gaussian::new(vec![0.0; 2], skew).unwrap_err().to_string().contains("symmetric"));
    }
}
