//! Factors of covariances.

use faer::{
    Accum, Mat, Par, Side,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        cholesky::{llt::factor as llt, llt_pivoting::factor as pivoted},
        matmul::matmul,
    },
};
use rayon::prelude::*;

use crate::{Error, Result};

/// Rows and columns of a product's tiles. Fixed, so that bits do not depend on the number of threads.
const TILE: usize = 256;

/// G `[dim, rank]` with G Gᵀ = covariance.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    matrix: Mat<f64>,
    /// Whether G is lower triangular, so that half of a product need not be computed.
    triangular: bool,
}

impl Factor {
    /// The cheapest factorisation that keeps rounding noise out: noise λ in a covariance would be √λ in a distance.
    ///
    /// # Errors
    /// Where the covariance is not positive semidefinite.
    pub(crate) fn of(covariance: &Mat<f64>) -> Result<Self> {
        let largest = (0..covariance.nrows()).map(|i| covariance[(i, i)].abs()).fold(0.0, f64::max);
        let noise = largest * covariance.nrows() as f64 * f64::EPSILON;
        if let Some(matrix) = cholesky(covariance, noise) {
            return Ok(Factor { matrix, triangular: true });
        }
        let matrix = match pivoted_cholesky(covariance, noise) {
            Some(matrix) => matrix,
            None => eigen(covariance)?,
        };
        Ok(Factor { matrix, triangular: false })
    }

    /// G.
    pub(crate) fn matrix(&self) -> &Mat<f64> {
        &self.matrix
    }

    /// G₁ᵀ G₂.
    pub(crate) fn cross(&self, other: &Factor) -> Mat<f64> {
        let mut product = Mat::zeros(self.matrix.ncols(), other.matrix.ncols());
        product.as_mut().par_col_chunks_mut(TILE).enumerate().for_each(|(index, mut part)| {
            let columns = index * TILE..index * TILE + part.ncols();
            for start in (0..part.nrows()).step_by(TILE) {
                let rows = start..(start + TILE).min(part.nrows());
                let first = self.first_row(rows.start).max(other.first_row(columns.start));
                let left = self.matrix.as_ref().get(first.., rows.clone()).transpose();
                let right = other.matrix.as_ref().get(first.., columns.clone());
                matmul(part.as_mut().get_mut(rows, ..), Accum::Replace, left, right, 1.0, Par::Seq);
            }
        });
        product
    }

    /// The first row that is not 0 in this column and all after it.
    fn first_row(&self, column: usize) -> usize {
        if self.triangular { column } else { 0 }
    }
}

/// L of a covariance whose pivots all lie above the noise.
fn cholesky(covariance: &Mat<f64>, noise: f64) -> Option<Mat<f64>> {
    let mut l = covariance.clone();
    let mut memory = MemBuffer::new(llt::cholesky_in_place_scratch::<f64>(l.nrows(), Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    llt::cholesky_in_place(l.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
    if (0..l.nrows()).any(|i| l[(i, i)].powi(2) <= noise) {
        return None;
    }
    for column in 1..l.ncols() {
        l.as_mut().get_mut(..column, column).fill(0.0);
    }
    Some(l)
}

/// Cholesky factorisation that takes the largest pivot next and ends where what is left of the diagonal is noise.
///
/// None where the rest of what is left is more than noise: the covariance is indefinite, or was stored with few digits. By
/// covariance = G Gᵀ + left, no eigenvalue lies further below 0 than those of what is left.
fn pivoted_cholesky(covariance: &Mat<f64>, noise: f64) -> Option<Mat<f64>> {
    let dim = covariance.nrows();
    let mut l = covariance.clone();
    let (mut order, mut inverse) = (vec![0_usize; dim], vec![0_usize; dim]);
    let scratch = pivoted::cholesky_in_place_scratch::<usize, f64>(dim, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let (info, _) =
        pivoted::cholesky_in_place(l.as_mut(), &mut order, &mut inverse, Par::Seq, stack, Default::default()).ok()?;
    let rank = info.rank;
    let below = l.as_ref().get(rank.., ..rank);
    let mut left = Mat::from_fn(dim - rank, dim - rank, |i, j| covariance[(order[rank + i], order[rank + j])]);
    matmul(left.as_mut(), Accum::Add, below, below.transpose(), -1.0, Par::Seq);
    if left.norm_max() > 2.0 * noise {
        return None;
    }
    Some(Mat::from_fn(dim, rank, |i, j| if j <= inverse[i] { l[(inverse[i], j)] } else { 0.0 }))
}

/// U Λ^½ over the eigenvalues that are not noise. Few digits may have made some a little negative; more is refused.
fn eigen(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    // faer reads its threads from a global. One thread: sums split over threads would differ between machines.
    faer::set_global_parallelism(Par::Seq);
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::Values("the eigendecomposition of the covariance did not converge".into()))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let largest = values.iter().fold(0.0, |max: f64, &value| max.max(value.abs()));
    if let Some(negative) = values.iter().find(|&&value| value < -1e-4 * largest) {
        return Err(Error::Values(format!("covariance is not positive semidefinite: eigenvalue {negative:e}")));
    }
    let noise = largest * covariance.nrows() as f64 * f64::EPSILON;
    let kept: Vec<usize> = (0..values.nrows()).filter(|&k| values[k] > noise).collect();
    Ok(Mat::from_fn(covariance.nrows(), kept.len(), |i, j| values[kept[j]].sqrt() * vectors[(i, kept[j])]))
}

/// Independent entries in ±½.
#[cfg(test)]
pub(crate) fn random(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut state = seed;
    Mat::from_fn(rows, columns, |_, _| {
        // Knuth's linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A covariance of rank `rank`.
    fn covariance(dim: usize, rank: usize) -> Mat<f64> {
        let x = random(dim, rank, rank as u64);
        &x * x.transpose()
    }

    fn apart(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
        (a - b).norm_max()
    }

    #[test]
    fn the_three_agree_where_they_apply() {
        let full = covariance(150, 300);
        let noise = 150.0 * f64::EPSILON * full.norm_max();
        let all = [cholesky(&full, noise), pivoted_cholesky(&full, noise), eigen(&full).ok()];
        for factor in all {
            let factor = factor.unwrap();
            assert_eq!(factor.ncols(), 150);
            assert!(apart(&(&factor * factor.transpose()), &full) < noise);
        }
        let low = covariance(150, 40);
        assert!(cholesky(&low, noise).is_none());
        for factor in [pivoted_cholesky(&low, noise), eigen(&low).ok()] {
            let factor = factor.unwrap();
            assert_eq!(factor.ncols(), 40);
            assert!(apart(&(&factor * factor.transpose()), &low) < noise);
        }
    }

    #[test]
    fn what_single_precision_left_is_taken_off_and_what_is_negative_is_refused() {
        let stored = covariance(100, 30);
        let stored = Mat::from_fn(100, 100, |i, j| f64::from(stored[(i, j)] as f32));
        let noise = 100.0 * f64::EPSILON * stored.norm_max();
        assert!(pivoted_cholesky(&stored, noise).is_none());
        let factor = Factor::of(&stored).unwrap().matrix;
        assert!(apart(&(&factor * factor.transpose()), &stored) < 1e-6 * stored.norm_max());
        let negative = Mat::from_fn(100, 100, |i, j| stored[(i, j)] - if i == j { 0.01 } else { 0.0 });
        assert!(Factor::of(&negative).unwrap_err().to_string().contains("semidefinite"));
        assert_eq!(Factor::of(&Mat::zeros(3, 3)).unwrap().matrix.ncols(), 0);
    }

    #[test]
    fn products_are_the_whole_ones() {
        let (a, b) = (Factor::of(&covariance(600, 700)).unwrap(), Factor::of(&covariance(600, 300)).unwrap());
        assert!(a.triangular && !b.triangular);
        for (left, right) in [(&a, &a), (&a, &b), (&b, &a), (&b, &b)] {
            let whole = left.matrix.transpose() * &right.matrix;
            assert!(apart(&left.cross(right), &whole) < 1e-12 * whole.norm_max());
        }
    }
}
