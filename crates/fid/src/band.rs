//! Banded upper triangular matrices, and their reduction to bidiagonal ones.

use faer::{
    Accum, ColMut, Conj, Mat, MatMut, MatRef, Par,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        householder::{
            apply_block_householder_transpose_on_the_left_in_place_scratch as apply_scratch,
            apply_block_householder_transpose_on_the_left_in_place_with_conj as apply, make_householder_in_place,
        },
        matmul::matmul,
    },
};

/// Superdiagonals. Fewer make the reduction to a band slower, whose products become thin; more make this one slower.
pub(crate) const WIDTH: usize = 32;

/// Entries kept of a column: its band, and the bulges that are chased through it, above and below.
const HEIGHT: usize = 3 * WIDTH;

/// A square upper triangular matrix with [`WIDTH`] superdiagonals.
pub(crate) struct Band {
    size: usize,
    /// Column c holds rows c − 2·[`WIDTH`] to c + [`WIDTH`] − 1.
    columns: Vec<f64>,
    reflector: Mat<f64>,
    product: Mat<f64>,
}

/// Where an entry lies. Entries of one row lie [`HEIGHT`] − 1 apart.
fn at(row: usize, column: usize) -> usize {
    column * (HEIGHT - 1) + row + 2 * WIDTH
}

impl Band {
    /// The band of a matrix's upper part.
    pub(crate) fn of(matrix: MatRef<'_, f64>) -> Self {
        let size = matrix.ncols();
        let mut columns = vec![0.0; at(size, size) + HEIGHT];
        for column in 0..size {
            for row in column.saturating_sub(WIDTH)..=column {
                columns[at(row, column)] = matrix[(row, column)];
            }
        }
        Band { size, columns, reflector: Mat::zeros(WIDTH, 1), product: Mat::zeros(2 * WIDTH, 1) }
    }

    /// Diagonal and superdiagonal of a bidiagonal matrix with the same singular values.
    ///
    /// Row after row is cleared by a reflection of columns; the bulge it makes below the diagonal is cleared in its
    /// first column, which makes one to the right that is cleared in its first row, and so on to the end (Großer &
    /// Lang 1999, *Efficient parallel reduction to bidiagonal form*, section 3).
    pub(crate) fn into_bidiagonal(mut self) -> (Vec<f64>, Vec<f64>) {
        for first in 0..self.size {
            let (mut row, mut start) = (first, first + 1);
            while start + 1 < self.size {
                let end = (start + WIDTH).min(self.size);
                self.clear_row(row, start, end);
                self.clear_column(start, end);
                (row, start) = (start, end);
            }
        }
        let diagonal = (0..self.size).map(|i| self.columns[at(i, i)]).collect();
        let above = (1..self.size).map(|i| self.columns[at(i - 1, i)]).collect();
        (diagonal, above)
    }

    fn block(columns: &mut [f64], row: usize, column: usize, rows: usize, width: usize) -> MatMut<'_, f64> {
        MatMut::from_column_major_slice_with_stride_mut(&mut columns[at(row, column)..], rows, width, HEIGHT - 1)
    }

    /// Reflects columns `start..end` so that `row` keeps only the first of them.
    fn clear_row(&mut self, row: usize, start: usize, end: usize) {
        let (rows, width) = (end - row - 1, end - start);
        let mut reflector = self.reflector.as_mut().get_mut(..width, ..).col_mut(0);
        for column in 0..width {
            reflector[column] = std::mem::take(&mut self.columns[at(row, start + column)]);
        }
        let tau = reflect(reflector.as_mut());
        self.columns[at(row, start)] = std::mem::replace(&mut reflector[0], 1.0);
        let mut block = Band::block(&mut self.columns, row + 1, start, rows, width);
        let (reflector, mut product) = (reflector.as_ref().as_mat(), self.product.as_mut().get_mut(..rows, ..));
        matmul(product.as_mut(), Accum::Replace, block.as_ref(), reflector, -1.0 / tau, Par::Seq);
        matmul(block.as_mut(), Accum::Add, product.as_ref(), reflector.transpose(), 1.0, Par::Seq);
    }

    /// Reflects rows `start..end` so that column `start` keeps only the first of them.
    fn clear_column(&mut self, start: usize, end: usize) {
        let (rows, width) = (end - start, (end + WIDTH).min(self.size) - start);
        let block = Band::block(&mut self.columns, start, start, rows, width);
        let (mut first, rest) = block.split_at_col_mut(1);
        let tau = Mat::from_fn(1, 1, |_, _| reflect(first.as_mut().col_mut(0)));
        let mut memory = MemBuffer::new(apply_scratch::<f64>(rows, 1, width - 1));
        apply(first.as_ref(), tau.as_ref(), Conj::No, rest, Par::Seq, MemStack::new(&mut memory));
        first.get_mut(1.., ..).fill(0.0);
    }
}

/// Makes a column β and the rest of a vector v that begins with 1, and gives τ: (I − v vᵀ/τ) times the column is β e₁.
fn reflect(column: ColMut<'_, f64>) -> f64 {
    let (mut head, tail) = column.split_at_row_mut(1);
    make_householder_in_place(&mut head[0], tail).tau
}

#[cfg(test)]
mod tests {
    use super::*;

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
