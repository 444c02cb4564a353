//! Mean and covariance of a stream of feature rows, in f64.

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};

use crate::{Error, Result, frechet::Gaussian};

/// Rows that are summed in one go. Fixed, so that the result does not depend on how the rows arrived.
const BLOCK: usize = 256;

/// Streaming first and second moments of rows of `dim` features.
///
/// Rows are centred block by block and the blocks merged with the pairwise update of Chan, Golub and LeVeque
/// (1979), so nothing cancels as the stream grows. Pushing the same rows in other portions gives the same bits.
#[derive(Debug, Clone)]
pub struct Moments {
    dim: usize,
    count: u64,
    mean: Vec<f64>,
    /// Σ (x − mean)(x − mean)ᵀ over the merged rows.
    scatter: Mat<f64>,
    pending: Vec<f64>,
}

impl Moments {
    /// No rows yet.
    pub fn new(dim: usize) -> Self {
        Moments { dim, count: 0, mean: vec![0.0; dim], scatter: Mat::zeros(dim, dim), pending: Vec::new() }
    }

    /// Rows so far.
    pub fn count(&self) -> u64 {
        self.count + (self.pending.len() / self.dim) as u64
    }

    /// Adds rows, row-major `[n, dim]`.
    ///
    /// # Errors
    /// Where the length is no multiple of `dim`, or a value is not finite.
    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        if !rows.len().is_multiple_of(self.dim) {
            return Err(Error::Values(format!("{} values are no rows of {} features", rows.len(), self.dim)));
        }
        if let Some(index) = rows.iter().position(|value| !value.is_finite()) {
            let (row, feature) = (self.count() + (index / self.dim) as u64, index % self.dim);
            return Err(Error::Values(format!(
                "feature {feature} of image {row} is {}, not a finite number",
                rows[index]
            )));
        }
        for row in rows.chunks(self.dim) {
            self.pending.extend(row.iter().map(|&value| f64::from(value)));
            if self.pending.len() == BLOCK * self.dim {
                self.flush();
            }
        }
        Ok(())
    }

    /// Adds another stream's rows after this one's.
    ///
    /// # Errors
    /// Where the dimensions differ.
    pub fn merge(&mut self, mut other: Moments) -> Result<()> {
        if self.dim != other.dim {
            return Err(Error::Values(format!(
                "moments of {} and of {} features cannot be merged",
                self.dim, other.dim
            )));
        }
        self.flush();
        other.flush();
        self.absorb(other.count, &other.mean, other.scatter.as_ref());
        Ok(())
    }

    /// The Gaussian with these moments; the covariance is the unbiased one (n − 1).
    ///
    /// # Errors
    /// With fewer than two rows.
    pub fn gaussian(&self) -> Result<Gaussian> {
        let mut all = self.clone();
        all.flush();
        if all.count < 2 {
            return Err(Error::Values(format!("a covariance needs at least 2 images, got {}", all.count)));
        }
        let scale = 1.0 / (all.count - 1) as f64;
        // The two triangles of a product can differ in the last bit; one of them is the covariance.
        let covariance = Mat::from_fn(all.dim, all.dim, |i, j| all.scatter[(i.min(j), i.max(j))] * scale);
        Gaussian::new(all.mean, covariance)
    }

    fn flush(&mut self) {
        let rows = self.pending.len() / self.dim;
        if rows == 0 {
            return;
        }
        let mut block = std::mem::take(&mut self.pending);
        let mut mean = vec![0.0; self.dim];
        for row in block.chunks(self.dim) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|sum| *sum /= rows as f64);
        for row in block.chunks_mut(self.dim) {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
        let centred = MatRef::from_row_major_slice(&block, rows, self.dim);
        let mut scatter = Mat::zeros(self.dim, self.dim);
        // One thread: a split over rows would change the last bits with the number of threads.
        matmul(scatter.as_mut(), Accum::Replace, centred.transpose(), centred, 1.0, Par::Seq);
        self.absorb(rows as u64, &mean, scatter.as_ref());
    }

    fn absorb(&mut self, count: u64, mean: &[f64], scatter: MatRef<'_, f64>) {
        if count == 0 {
            return;
        }
        let (n, m) = (self.count as f64, count as f64);
        let delta: Vec<f64> = mean.iter().zip(&self.mean).map(|(new, old)| new - old).collect();
        let weight = n * m / (n + m);
        for j in 0..self.dim {
            for i in 0..self.dim {
                self.scatter[(i, j)] += scatter[(i, j)] + weight * delta[i] * delta[j];
            }
        }
        self.mean.iter_mut().zip(&delta).for_each(|(mean, delta)| *mean += delta * m / (n + m));
        self.count += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, dim: usize) -> Vec<f32> {
        (0..n * dim).map(|i| ((i * 2_654_435_761) % 1000) as f32 / 500.0 + (i % dim) as f32).collect()
    }

    /// Two-pass mean and unbiased covariance, the textbook way.
    fn two_pass(rows: &[f32], dim: usize) -> (Vec<f64>, Vec<f64>) {
        let n = rows.len() / dim;
        let mean: Vec<f64> =
            (0..dim).map(|j| (0..n).map(|i| f64::from(rows[i * dim + j])).sum::<f64>() / n as f64).collect();
        let mut cov = vec![0.0; dim * dim];
        for (i, j) in (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j))) {
            cov[i * dim + j] = (0..n)
                .map(|k| (f64::from(rows[k * dim + i]) - mean[i]) * (f64::from(rows[k * dim + j]) - mean[j]))
                .sum::<f64>()
                / (n - 1) as f64;
        }
        (mean, cov)
    }

    #[test]
    fn streaming_equals_two_passes() {
        let (dim, data) = (7, rows(1000, 7));
        let mut moments = Moments::new(dim);
        moments.push(&data).unwrap();
        let gaussian = moments.gaussian().unwrap();
        let (mean, cov) = two_pass(&data, dim);
        for i in 0..dim {
            assert!((gaussian.mean()[i] - mean[i]).abs() < 1e-12);
            for j in 0..dim {
                assert!((gaussian.covariance()[(i, j)] - cov[i * dim + j]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn portions_do_not_change_a_bit_and_merging_agrees() {
        let (dim, data) = (5, rows(700, 5));
        let mut whole = Moments::new(dim);
        whole.push(&data).unwrap();
        let mut portions = Moments::new(dim);
        data.chunks(dim * 33).for_each(|part| portions.push(part).unwrap());
        let (a, b) = (whole.gaussian().unwrap(), portions.gaussian().unwrap());
        assert_eq!(a.mean(), b.mean());
        assert_eq!(a.covariance(), b.covariance());

        let (mut left, mut right) = (Moments::new(dim), Moments::new(dim));
        left.push(&data[..dim * 123]).unwrap();
        right.push(&data[dim * 123..]).unwrap();
        left.merge(right).unwrap();
        assert_eq!(left.count(), 700);
        let merged = left.gaussian().unwrap();
        for (i, j) in (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j))) {
            assert!((merged.covariance()[(i, j)] - a.covariance()[(i, j)]).abs() < 1e-12);
        }
    }

    #[test]
    fn non_finite_rows_are_named() {
        let mut moments = Moments::new(2);
        moments.push(&[0.0, 1.0]).unwrap();
        let error = moments.push(&[0.0, 1.0, f32::NAN, 0.0]).unwrap_err().to_string();
        assert!(error.contains("feature 0 of image 2"), "{error}");
    }
}
