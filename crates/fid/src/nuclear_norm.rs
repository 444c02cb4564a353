//! The sum of a matrix's singular values, on all cores and with the same bits on any number of them.

use faer::{
    Conj, Mat, MatMut, MatRef, Par,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        householder::{
            apply_block_householder_transpose_on_the_left_in_place_scratch as apply_scratch,
            apply_block_householder_transpose_on_the_left_in_place_with_conj as apply,
        },
        qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch},
    },
};
use rayon::prelude::*;

use crate::{
    Error, Result,
    band::{Band, WIDTH},
    bidiagonal::sum_of_singular_values,
};

/// Columns or rows that a core reflects in one go. Fixed: work is split by the matrix's size alone, and each part is done
/// by one thread, so that neither their number nor their order changes a bit.
const PART: usize = 128;

/// Sum of the singular values.
///
/// Two steps, since half of the usual reduction to bidiagonal form is products of matrix and vector that wait for
/// memory: to a band by products of matrices, then within the band, which fits the caches (Großer & Lang 1999, *Efficient
/// parallel reduction to bidiagonal form*). The values' errors are those of the usual reduction: a few roundings of the
/// largest.
///
/// # Errors
/// Where an intermediate result is not finite.
pub(crate) fn nuclear_norm(matrix: Mat<f64>) -> Result<f64> {
    let mut matrix = if matrix.nrows() < matrix.ncols() { matrix.transpose().to_owned() } else { matrix };
    reduce_to_band(matrix.as_mut());
    let (diagonal, above) = Band::of(matrix.as_ref()).into_bidiagonal();
    if diagonal.iter().chain(&above).any(|value| !value.is_finite()) {
        return Err(Error::Values("the singular values of the covariances' product overflow".into()));
    }
    Ok(sum_of_singular_values(&diagonal, &above))
}

/// Leaves an upper triangular band of [`WIDTH`] superdiagonals with the same singular values in the matrix, which has
/// at least as many rows as columns. Below the diagonal stays what is left of the reflections.
fn reduce_to_band(mut matrix: MatMut<'_, f64>) {
    let columns = matrix.ncols();
    for k in (0..columns).step_by(WIDTH) {
        let width = WIDTH.min(columns - k);
        let (mut panel, mut rest) = matrix.as_mut().get_mut(k.., k..).split_at_col_mut(width);
        let coefficients = factor(panel.as_mut());
        reflect(panel.as_ref(), &coefficients, rest.as_mut());
        // The same with the rows below it, transposed.
        let (mut top, bottom) = rest.split_at_row_mut(width);
        let mut panel = top.as_ref().transpose().to_owned();
        let coefficients = factor(panel.as_mut());
        for (i, j) in (0..top.ncols()).flat_map(|j| (0..width).map(move |i| (i, j))) {
            top[(i, j)] = if j <= i { panel[(j, i)] } else { 0.0 };
        }
        reflect(panel.as_ref().subcols(0, coefficients.ncols()), &coefficients, bottom.transpose_mut());
    }
}

/// QR factorisation in place; gives the coefficients of its reflections.
fn factor(panel: MatMut<'_, f64>) -> Mat<f64> {
    let (rows, columns) = panel.shape();
    let size = rows.min(columns);
    let mut coefficients = Mat::zeros(size, size);
    if size > 0 {
        let scratch = qr_in_place_scratch::<f64>(rows, columns, size, Par::Seq, Default::default());
        let stack = &mut MemBuffer::new(scratch);
        qr_in_place(panel, coefficients.as_mut(), Par::Seq, MemStack::new(stack), Default::default());
    }
    coefficients
}

/// Multiplies by the transposed Q of a factorised panel from the left.
fn reflect(panel: MatRef<'_, f64>, coefficients: &Mat<f64>, matrix: MatMut<'_, f64>) {
    if matrix.ncols() == 0 || panel.ncols() == 0 {
        return;
    }
    matrix.par_col_chunks_mut(PART).for_each(|part| {
        let mut memory = MemBuffer::new(apply_scratch::<f64>(panel.nrows(), panel.ncols(), part.ncols()));
        apply(panel, coefficients.as_ref(), Conj::No, part, Par::Seq, MemStack::new(&mut memory));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::random;

    #[test]
    fn sums_are_faers() {
        let sizes = [(1, 1), (2, 2), (5, 1), (1, 7), (32, 32), (33, 33), (40, 64), (150, 150), (300, 97), (65, 300)];
        for (rows, columns) in sizes {
            let matrix = random(rows, columns, 1);
            let expected: f64 = matrix.singular_values().unwrap().iter().sum();
            let found = nuclear_norm(matrix).unwrap();
            assert!((found - expected).abs() < 1e-14 * expected, "{rows}x{columns}: {found} {expected}");
        }
        assert_eq!(nuclear_norm(Mat::zeros(70, 40)).unwrap(), 0.0);
    }

    #[test]
    fn rank_deficient_matrices_have_no_more() {
        let (x, y) = (random(200, 40, 1), random(40, 170, 2));
        let product = &x * &y;
        let expected: f64 = product.singular_values().unwrap().iter().sum();
        let found = nuclear_norm(product).unwrap();
        assert!((found - expected).abs() < 1e-14 * expected, "{found} {expected}");
    }
}
