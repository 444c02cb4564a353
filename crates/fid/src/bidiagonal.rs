//! The sum of the singular values of a bidiagonal matrix, by bisection: unlike QR iterations, every value can be found
//! by itself, on any core and in any lane of a vector.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Values that are bisected together: vectors enough to hide a division's latency.
const LANES: usize = 32;

/// Pivots below this, of a matrix whose largest entry is 1, count as negative: this moves no value by more than 2e-20.
const TINY: f64 = 1e-40;

/// Halvings of [0, 2], to the last bit of 1.
const HALVINGS: usize = 54;

/// Sum of the singular values of the upper bidiagonal matrix with this diagonal and superdiagonal.
pub(crate) fn sum_of_singular_values(diagonal: &[f64], above: &[f64]) -> f64 {
    let scale = diagonal.iter().chain(above).fold(0.0, |max: f64, value| max.max(value.abs()));
    if scale == 0.0 {
        return 0.0;
    }
    let square = |value: &f64| (value / scale).powi(2);
    let squares: Vec<(f64, f64)> =
        diagonal.iter().map(square).zip(above.iter().map(square).chain(std::iter::once(0.0))).collect();
    let starts: Vec<usize> = (0..squares.len()).step_by(LANES).collect();
    let sums: Vec<f64> = starts
        .into_par_iter()
        .map(|first| values(&squares, first).iter().take(squares.len() - first).sum::<f64>())
        .collect();
    scale * sums.iter().sum::<f64>()
}

/// The singular values from the one with index `first` on, ascending; rows sum to at most 2, and so none is larger.
fn values(squares: &[(f64, f64)], first: usize) -> [f64; LANES] {
    let (mut low, mut high) = ([0.0; LANES], [2.0; LANES]);
    let middle = |low: &[f64; LANES], high: &[f64; LANES]| std::array::from_fn(|lane| (low[lane] + high[lane]) / 2.0);
    for _ in 0..HALVINGS {
        let bounds: [f64; LANES] = middle(&low, &high);
        let mut counts = [0.0; LANES];
        Arch::new().dispatch(Count { squares, shifts: &bounds.map(|bound| bound * bound), counts: &mut counts });
        for (lane, &bound) in bounds.iter().enumerate() {
            let end = if counts[lane] > (first + lane) as f64 { &mut high[lane] } else { &mut low[lane] };
            *end = bound;
        }
    }
    middle(&low, &high)
}

/// Counts the singular values of B whose squares lie below each shift: the negative pivots of BᵀB − shift, by the
/// stationary qd transform (Dhillon & Parlett 2004, *Multiple representations to compute orthogonal eigenvectors of
/// symmetric tridiagonal matrices*), which never forms BᵀB and so loses no small value.
struct Count<'a> {
    /// (bᵢᵢ², bᵢᵢ₊₁²)
    squares: &'a [(f64, f64)],
    shifts: &'a [f64; LANES],
    counts: &'a mut [f64; LANES],
}

impl WithSimd for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const VECTORS: usize = 4;
        let (shifts, _) = S::as_simd_f64s(self.shifts);
        let (counts, _) = S::as_mut_simd_f64s(self.counts);
        let [zero, one, tiny, minus_tiny] = [0.0, 1.0, TINY, -TINY].map(|value| simd.splat_f64s(value));
        for (shifts, counts) in shifts.chunks_exact(VECTORS).zip(counts.chunks_exact_mut(VECTORS)) {
            let shift: [S::f64s; VECTORS] = std::array::from_fn(|v| shifts[v]);
            let (mut t, mut count) = (shift.map(|shift| simd.neg_f64s(shift)), [zero; VECTORS]);
            for &(diagonal, above) in self.squares {
                let (diagonal, above) = (simd.splat_f64s(diagonal), simd.splat_f64s(above));
                for v in 0..VECTORS {
                    let pivot = simd.add_f64s(diagonal, t[v]);
                    let small = simd.less_than_f64s(simd.abs_f64s(pivot), tiny);
                    let pivot = simd.select_f64s(small, minus_tiny, pivot);
                    let negative = simd.select_f64s(simd.less_than_f64s(pivot, zero), one, zero);
                    count[v] = simd.add_f64s(count[v], negative);
                    t[v] = simd.sub_f64s(simd.mul_f64s(t[v], simd.div_f64s(above, pivot)), shift[v]);
                }
            }
            counts.copy_from_slice(&count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn sums_are_faers() {
        for n in [1, 2, 31, 32, 33, 100] {
            let diagonal: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 11) as f64 - 5.0).collect();
            let above: Vec<f64> = (1..n).map(|i| ((i * 5) % 7) as f64 / 3.0 - 1.0).collect();
            let dense = Mat::from_fn(n, n, |i, j| match j.wrapping_sub(i) {
                0 => diagonal[i],
                1 => above[i],
                _ => 0.0,
            });
            let expected: f64 = dense.singular_values().unwrap().iter().sum();
            let found = sum_of_singular_values(&diagonal, &above);
            assert!((found - expected).abs() < 1e-14 * expected, "{n}: {found} {expected}");
        }
    }

    #[test]
    fn small_and_vanishing_values_are_not_lost() {
        let (diagonal, above) = ([1.0, 1e-9, 0.0, 1e-12], [0.0; 3]);
        let found = sum_of_singular_values(&diagonal, &above);
        assert!((found - (1.0 + 1e-9 + 1e-12)).abs() < 3e-16, "{found}");
        assert_eq!(sum_of_singular_values(&[0.0, 0.0], &[0.0]), 0.0);
        assert!((sum_of_singular_values(&[0.0, 0.0], &[3e200]) / 3e200 - 1.0).abs() < 3e-16);
    }
}
