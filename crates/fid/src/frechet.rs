//! The Fréchet distance between two Gaussians.

use faer::{Mat, Par, Side};

use crate::{Error, Result};

/// Mean and covariance, and a factor of the covariance computed once.
#[derive(Debug, Clone)]
pub struct Gaussian {
    mean: Vec<f64>,
    covariance: Mat<f64>,
    /// F `[rank, dim]` with FᵀF = covariance.
    factor: std::sync::OnceLock<Mat<f64>>,
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

    /// F = Λ^½ Uᵀ over the eigenvalues that are not rounding noise; cached, since a sweep compares many
    /// Gaussians with one reference.
    fn factor(&self) -> Result<&Mat<f64>> {
        if let Some(factor) = self.factor.get() {
            return Ok(factor);
        }
        let dim = self.mean.len();
        let eigen = self
            .covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::Values("the eigendecomposition of the covariance did not converge".into()))?;
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        let largest = values.iter().fold(0.0, |max: f64, &value| max.max(value.abs()));
        if let Some(negative) = values.iter().find(|&&value| value < -1e-4 * largest) {
            return Err(Error::Values(format!("covariance is not positive semidefinite: eigenvalue {negative:e}")));
        }
        let noise = largest * dim as f64 * f64::EPSILON;
        let kept: Vec<usize> = (0..dim).filter(|&k| values[k] > noise).collect();
        let factor = Mat::from_fn(kept.len(), dim, |row, j| values[kept[row]].sqrt() * vectors[(j, kept[row])]);
        Ok(self.factor.get_or_init(|| factor))
    }

    fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|i| self.covariance[(i, i)]).sum()
    }
}

/// ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½ (Heusel et al. 2017, equation 6).
///
/// With Σ = FᵀF, tr (Σ₁Σ₂)^½ is the sum of the singular values of F₁F₂ᵀ. Unlike the square root of a matrix
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
    // faer reads its threads from a global. One thread each: sums split over threads would differ between machines.
    faer::set_global_parallelism(Par::Seq);
    let (fa, fb) = rayon::join(|| a.factor(), || b.factor());
    let cross = fa? * fb?.transpose();
    let coupled: f64 = if cross.nrows() == 0 || cross.ncols() == 0 {
        0.0
    } else {
        cross
            .singular_values()
            .map_err(|_| Error::Values("the singular values of the covariances' product did not converge".into()))?
            .iter()
            .sum()
    };
    let shift: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b).powi(2)).sum();
    // Rounding can leave −1e-13 where the answer is 0.
    Ok((shift + a.trace() + b.trace() - 2.0 * coupled).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_is_no_covariance_is_refused() {
        let negative = diagonal(&[0.0, 0.0], &[1.0, -1.0]);
        assert!(frechet_distance(&negative, &negative).unwrap_err().to_string().contains("semidefinite"));
        let skew = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { i as f64 });
        assert!(Gaussian::new(vec![0.0; 2], skew).unwrap_err().to_string().contains("symmetric"));
    }
}
