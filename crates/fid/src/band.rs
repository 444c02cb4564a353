//! Banded upper triangular matrices, and their reduction to bidiagonal ones.

use faer::{ColMut, MatRef, linalg::householder::make_householder_in_place};
use pulp::{Arch, Simd, WithSimd};

/// Superdiagonals. Fewer make the reduction to a band slower, whose products become thin; more make this one slower.
pub(crate) const WIDTH: usize = 32;

/// Entries kept of a column: its band, and the bulges that are chased through it, above and below.
const HEIGHT: usize = 3 * WIDTH;

/// A square upper triangular matrix with [`WIDTH`] superdiagonals.
///
/// Below and to the right follow zeros, so that every reflection has the same shape and none ends early.
pub(crate) struct Band {
    size: usize,
    /// Column c holds rows c − 2·[`WIDTH`] to c + [`WIDTH`] − 1.
    columns: Vec<f64>,
}

/// Where an entry lies. Entries of one row lie [`HEIGHT`] − 1 apart.
fn at(row: usize, column: usize) -> usize {
    column * (HEIGHT - 1) + row + 2 * WIDTH
}

impl Band {
    /// The band of a matrix's upper part.
    pub(crate) fn of(matrix: MatRef<'_, f64>) -> Self {
        let size = matrix.ncols();
        let mut columns = vec![0.0; (size + 2 * WIDTH) * HEIGHT];
        for column in 0..size {
            for row in column.saturating_sub(WIDTH)..=column {
                columns[at(row, column)] = matrix[(row, column)];
            }
        }
        Band { size, columns }
    }

    /// Diagonal and superdiagonal of a bidiagonal matrix with the same singular values.
    ///
    /// Row after row is cleared by a reflection of columns; the bulge it makes below the diagonal is cleared in its
    /// first column, which makes one to the right that is cleared in its first row, and so on to the end (Großer &
    /// Lang 1999, *Efficient parallel reduction to bidiagonal form*).
    pub(crate) fn into_bidiagonal(mut self) -> (Vec<f64>, Vec<f64>) {
        for first in 0..self.size {
            let mut row = first;
            for start in (first + 1..self.size - 1).step_by(WIDTH) {
                self.clear_row(row, start);
                self.clear_column(start);
                row = start;
            }
        }
        let diagonal = (0..self.size).map(|i| self.columns[at(i, i)]).collect();
        let above = (1..self.size).map(|i| self.columns[at(i - 1, i)]).collect();
        (diagonal, above)
    }

    /// Reflects [`WIDTH`] columns from `start` on, so that `row` keeps only the first of them.
    fn clear_row(&mut self, row: usize, start: usize) {
        let mut vector = std::array::from_fn(|k| self.columns[at(row, start + k)]);
        let (head, scale) = reflector(&mut vector);
        // Twice WIDTH rows, `row` among them; where it is the last of the upper ones, the others are 0 here.
        let block = &mut self.columns[at(start, start) - WIDTH..];
        Arch::new().dispatch(ReflectColumns { vector: &vector, scale, block });
        for k in 0..WIDTH {
            self.columns[at(row, start + k)] = if k == 0 { head } else { 0.0 };
        }
    }

    /// Reflects [`WIDTH`] rows from `start` on, so that column `start` keeps only the first of them.
    fn clear_column(&mut self, start: usize) {
        let (column, block) = self.columns[at(start, start)..].split_at_mut(HEIGHT - 1);
        let mut vector = std::array::from_fn(|k| column[k]);
        let (head, scale) = reflector(&mut vector);
        Arch::new().dispatch(ReflectRows { vector: &vector, scale, block });
        column[..WIDTH].fill(0.0);
        column[0] = head;
    }
}

/// Turns x into v, and gives β and s such that (I + s v vᵀ) x = β e₁.
fn reflector(vector: &mut [f64; WIDTH]) -> (f64, f64) {
    let (mut head, tail) = ColMut::from_slice_mut(vector).split_at_row_mut(1);
    let scale = -1.0 / make_householder_in_place(&mut head[0], tail).tau;
    (std::mem::replace(&mut vector[0], 1.0), scale)
}

/// A ← A + s (A v) vᵀ for [`WIDTH`] columns of 2·[`WIDTH`] rows, which begin [`HEIGHT`] − 1 apart.
struct ReflectColumns<'a> {
    vector: &'a [f64; WIDTH],
    scale: f64,
    block: &'a mut [f64],
}

impl WithSimd for ReflectColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const VECTORS: usize = 8;
        let entries = VECTORS * S::F64_LANES;
        for from in (0..2 * WIDTH).step_by(entries) {
            let mut sum = [simd.splat_f64s(0.0); VECTORS];
            for (k, &v) in self.vector.iter().enumerate() {
                let start = k * (HEIGHT - 1) + from;
                let (column, _) = S::as_simd_f64s(&self.block[start..start + entries]);
                let v = simd.splat_f64s(v);
                for (sum, &entry) in sum.iter_mut().zip(column) {
                    *sum = simd.mul_add_e_f64s(entry, v, *sum);
                }
            }
            for (k, &v) in self.vector.iter().enumerate() {
                let start = k * (HEIGHT - 1) + from;
                let (column, _) = S::as_mut_simd_f64s(&mut self.block[start..start + entries]);
                let v = simd.splat_f64s(self.scale * v);
                for (&sum, entry) in sum.iter().zip(column) {
                    *entry = simd.mul_add_e_f64s(sum, v, *entry);
                }
            }
        }
    }
}

/// A ← A + s v (vᵀ A) for 2·[`WIDTH`] − 1 columns of [`WIDTH`] rows, which begin [`HEIGHT`] − 1 apart.
struct ReflectRows<'a> {
    vector: &'a [f64; WIDTH],
    scale: f64,
    block: &'a mut [f64],
}

impl WithSimd for ReflectRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const SUMS: usize = 4;
        let (vector, _) = S::as_simd_f64s(self.vector);
        for column in self.block.chunks_mut(HEIGHT - 1).take(2 * WIDTH - 1) {
            let (column, _) = S::as_mut_simd_f64s(&mut column[..WIDTH]);
            let mut sums = [simd.splat_f64s(0.0); SUMS];
            for (column, vector) in column.chunks_exact(SUMS).zip(vector.chunks_exact(SUMS)) {
                for k in 0..SUMS {
                    sums[k] = simd.mul_add_e_f64s(column[k], vector[k], sums[k]);
                }
            }
            let sum = simd.add_f64s(simd.add_f64s(sums[0], sums[1]), simd.add_f64s(sums[2], sums[3]));
            let sum = simd.splat_f64s(self.scale * simd.reduce_sum_f64s(sum));
            for (entry, &v) in column.iter_mut().zip(vector) {
                *entry = simd.mul_add_e_f64s(v, sum, *entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn singular_values_stay() {
        for n in [1, 2, 3, WIDTH, WIDTH + 1, 3 * WIDTH + 5, 200] {
            let inside = |i: usize, j: usize| i <= j && j <= i + WIDTH;
            let entry = |i: usize, j: usize| ((i * 37 + j * 101 + i * j) % 29) as f64 - 14.0;
            let matrix = Mat::from_fn(n, n, |i, j| if inside(i, j) { entry(i, j) } else { 0.0 });
            let (diagonal, above) = Band::of(matrix.as_ref()).into_bidiagonal();
            let bidiagonal = Mat::from_fn(n, n, |i, j| match j.wrapping_sub(i) {
                0 => diagonal[i],
                1 => above[i],
                _ => 0.0,
            });
            let (expected, found) = (matrix.singular_values().unwrap(), bidiagonal.singular_values().unwrap());
            let apart = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 2e-14 * expected[0], "{n}: {apart:e}");
        }
    }
}
