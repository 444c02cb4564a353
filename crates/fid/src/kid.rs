//! The kernel Inception distance: unbiased at any number of images, where the Fréchet distance is not.
//!
//! Bińkowski et al. 2018, *Demystifying MMD GANs*, arXiv 1801.01401, section 4: the squared maximum mean discrepancy with the kernel
//! k(x, y) = (x·y/d + 1)³, by its unbiased estimator
//!
//! Σ_{i≠j} k(x_i, x_j)/(n(n−1)) + Σ_{i≠j} k(y_i, y_j)/(n(n−1)) − 2 Σ_{ij} k(x_i, y_j)/n²
//!
//! over subsets of n images of both, averaged, as torch-fidelity does by default with 100 subsets of 1000. Only which subsets those are is
//! this project's own; `tests/measures.rs` holds the estimator to torch-fidelity's.

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;

use crate::{Error, Result};

/// Which subsets are averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subsets {
    /// How many.
    pub count: usize,
    /// Images of each.
    pub size: usize,
    /// Of the generator that draws them.
    pub seed: u64,
}

/// torch-fidelity's number and size.
impl Default for Subsets {
    fn default() -> Self {
        Subsets { count: 100, size: 1000, seed: 0 }
    }
}

/// A mean over subsets, and their spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kid {
    /// The mean; below 0 by chance.
    pub mean: f64,
    /// Standard deviation of the subsets, dividing by their number: that of one subset, not of the mean, as they overlap.
    pub spread: f64,
}

/// KID of rows `[n, dim]` and `[m, dim]`.
///
/// # Errors
/// Where a set is smaller than a subset, or a subset smaller than 2.
pub fn kernel_distance(x: &[f32], y: &[f32], dim: usize, subsets: Subsets) -> Result<Kid> {
    let Subsets { count, size, seed } = subsets;
    let least = x.len().min(y.len()) / dim.max(1);
    if size < 2 || count == 0 || size > least {
        return Err(Error::Values(format!(
            "KID of {count} subsets of {size} images; expected at least one of 2 to {least}, the images of the smaller set"
        )));
    }
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let drawn: Vec<[Vec<usize>; 2]> =
        (0..count).map(|_| [x, y].map(|rows| subset(&mut random, rows.len() / dim, size))).collect();
    let distance = |[of_x, of_y]: &[Vec<usize>; 2]| discrepancy(&pick(x, dim, of_x), &pick(y, dim, of_y), size, dim);
    let all: Vec<f64> = drawn.par_iter().map(distance).collect();
    let mean = all.iter().sum::<f64>() / count as f64;
    let spread = (all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
    Ok(Kid { mean, spread })
}

/// `size` of `n` numbers without repetition: the beginning of a shuffle (Fisher and Yates).
fn subset(random: &mut ChaCha12Rng, n: usize, size: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    for i in 0..size {
        // A remainder of 64 bits favours no image by more than n/2⁶⁴.
        let other = i + (random.next_u64() % (n - i) as u64) as usize;
        all.swap(i, other);
    }
    all.truncate(size);
    all
}

fn pick(rows: &[f32], dim: usize, which: &[usize]) -> Vec<f64> {
    which.iter().flat_map(|&i| rows[i * dim..(i + 1) * dim].iter().map(|value| f64::from(*value))).collect()
}

/// The estimator, of `n` rows each.
fn discrepancy(x: &[f64], y: &[f64], n: usize, dim: usize) -> f64 {
    let [x, y] = [x, y].map(|rows| MatRef::from_row_major_slice(rows, n, dim));
    let of = n as f64;
    let within = |rows| {
        let (all, diagonal) = kernel_sums(rows, rows);
        (all - diagonal) / (of * (of - 1.0))
    };
    within(x) + within(y) - 2.0 * kernel_sums(x, y).0 / (of * of)
}

/// Σ k over all pairs, and over pairs of the same number.
fn kernel_sums(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> (f64, f64) {
    let mut products = Mat::zeros(x.nrows(), y.nrows());
    matmul(products.as_mut(), Accum::Replace, x, y.transpose(), 1.0 / x.ncols() as f64, Par::Seq);
    let kernel = |i: usize, j: usize| (products[(i, j)] + 1.0).powi(3);
    let column = |j: usize| (0..products.nrows()).map(|i| kernel(i, j)).sum::<f64>();
    ((0..products.ncols()).map(column).sum(), (0..products.nrows().min(products.ncols())).map(|i| kernel(i, i)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x = {0, 1}, y = {1, 3} in one dimension: k = (xy + 1)³ is 1 between the x, 64 between the y, and of x and y 1, 1, 8, 64:
    /// 1 + 64 − 2·74/4 = 28.
    #[test]
    fn two_rows_by_hand() {
        let subsets = Subsets { count: 3, size: 2, seed: 7 };
        let found = kernel_distance(&[0.0, 1.0], &[1.0, 3.0], 1, subsets).unwrap();
        assert!((found.mean - 28.0).abs() < 1e-12 && found.spread < 1e-12, "{found:?}");
    }

    #[test]
    fn subsets_are_drawn_by_their_seed_alone_and_are_sets() {
        let rows = |scale: f32| -> Vec<f32> { (0..300).map(|i| (i as f32 * scale).sin()).collect() };
        let (x, y) = (rows(0.7), rows(1.3));
        let of = |seed| kernel_distance(&x, &y, 3, Subsets { count: 20, size: 30, seed }).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        // Both know the same mean, to its error.
        assert!((of(1).mean - of(2).mean).abs() < 3.0 * of(1).spread, "{:?} {:?}", of(1), of(2));
        let mut drawn = subset(&mut ChaCha12Rng::seed_from_u64(3), 50, 50);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..50).collect::<Vec<_>>());
        let error = kernel_distance(&x, &y, 3, Subsets { size: 101, ..Subsets::default() }).unwrap_err().to_string();
        assert!(error.contains("of 101 images; expected at least one of 2 to 100"), "{error}");
    }
}
