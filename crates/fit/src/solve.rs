//! Small least-squares problems, from inner products.

use faer::{Mat, Side};

use crate::{Error, Result, vectors::Gram};

/// What is free of a step's factors f = M p + f_0: p.
#[derive(Debug, Clone)]
pub struct Freedom {
    /// M, row by row: a row for each factor.
    pub matrix: Vec<Vec<f64>>,
    /// f_0.
    pub offset: Vec<f64>,
}

/// The factors that make the smallest error.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// One for each vector.
    pub factors: Vec<f64>,
    /// Σ (target − Σ f v)².
    pub squared: f64,
    /// Of the normal equations, with unknowns scaled to the same size: how much rounding is amplified.
    pub condition: f64,
}

impl Freedom {
    /// Everything.
    pub fn all(factors: usize) -> Self {
        let row = |i: usize| (0..factors).map(|j| f64::from(u8::from(i == j))).collect();
        Freedom { matrix: (0..factors).map(row).collect(), offset: vec![0.0; factors] }
    }

    fn unknowns(&self) -> usize {
        self.matrix.first().map_or(0, Vec::len)
    }
}

/// Minimises |t − Σ_i f_i v_i|² + ridge · Σ p², p in units in which each unknown's own vector has length 1; the Gram matrix is of the
/// vectors, and behind them of the target t.
///
/// Eigenvectors along which the vectors are the same to rounding carry nothing: the fit of least norm among those alike.
///
/// # Errors
/// Where a number is not finite.
pub fn least_squares(gram: &Gram, freedom: &Freedom, ridge: f64) -> Result<Fitted> {
    let (count, unknowns) = (freedom.offset.len(), freedom.unknowns());
    let product = |row: &dyn Fn(usize) -> f64, j: usize| -> f64 { (0..count).map(|i| row(i) * gram.at(i, j)).sum() };
    // t − Σ f_0 v, against each vector.
    let left: Vec<f64> = (0..count).map(|j| gram.at(count, j) - product(&|i| freedom.offset[i], j)).collect();
    let mut normal = Mat::<f64>::zeros(unknowns, unknowns);
    let column = |p: usize| move |i: usize| freedom.matrix[i][p];
    for p in 0..unknowns {
        for q in 0..unknowns {
            normal[(p, q)] = (0..count).map(|j| product(&column(p), j) * freedom.matrix[j][q]).sum();
        }
    }
    let right: Vec<f64> = (0..unknowns).map(|p| (0..count).map(|i| freedom.matrix[i][p] * left[i]).sum()).collect();
    let (p, condition) = symmetric(&normal, &right, ridge)?;
    let factors: Vec<f64> = (0..count)
        .map(|i| freedom.offset[i] + freedom.matrix[i].iter().zip(&p).map(|(m, p)| m * p).sum::<f64>())
        .collect();
    let linear: f64 = factors.iter().enumerate().map(|(i, f)| f * gram.at(count, i)).sum();
    let quadratic: f64 = factors.iter().enumerate().map(|(j, f)| f * product(&|i| factors[i], j)).sum();
    let squared = (gram.at(count, count) - 2.0 * linear + quadratic).max(0.0);
    Ok(Fitted { factors, squared, condition })
}

/// (A + ridge · diag A) p = b for symmetric positive semidefinite A, and the condition number of A with a diagonal of 1.
///
/// # Errors
/// Where a number is not finite.
pub fn symmetric(a: &Mat<f64>, b: &[f64], ridge: f64) -> Result<(Vec<f64>, f64)> {
    let n = b.len();
    let scale: Vec<f64> = (0..n).map(|i| if a[(i, i)] > 0.0 { a[(i, i)].sqrt().recip() } else { 0.0 }).collect();
    let scaled = Mat::from_fn(n, n, |i, j| scale[i] * a[(i, j)] * scale[j]);
    let finite = |value: &f64| value.is_finite();
    if !(0..n).all(|i| (0..n).all(|j| scaled[(i, j)].is_finite())) || !b.iter().all(finite) {
        return Err(Error::Diverged("a least-squares problem with numbers that are not finite".into()));
    }
    // faer reads its threads from a global, and sums split over threads would differ between machines.
    faer::set_global_parallelism(faer::Par::Seq);
    let eigen = scaled
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| Error::Diverged(format!("eigenvalues of a least-squares problem: {error:?}")))?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let largest = (0..n).map(|i| values[i]).fold(0.0, f64::max);
    let smallest = (0..n).map(|i| values[i]).fold(f64::INFINITY, f64::min);
    // Below this an eigenvalue is rounding of the sums.
    let noise = largest * n as f64 * ROUNDING;
    let mut p = vec![0.0; n];
    for k in (0..n).filter(|&k| values[k] > noise) {
        let along: f64 = (0..n).map(|i| vectors[(i, k)] * scale[i] * b[i]).sum();
        for (i, p) in p.iter_mut().enumerate() {
            *p += scale[i] * vectors[(i, k)] * along / (values[k] + ridge);
        }
    }
    Ok((p, largest / smallest.max(largest * f64::EPSILON)))
}

/// Sums of some hundred thousand products of single-precision numbers in double precision are off by less, relatively.
const ROUNDING: f64 = 1e-14;

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> [Vec<f32>; 3] {
        let of = |f: f32| (0..40).map(|i| (i as f32 * f).sin()).collect();
        [of(0.3), of(0.7), of(1.1)]
    }

    #[test]
    fn a_target_in_the_span_is_found() {
        let [u, v, w] = vectors();
        let target: Vec<f32> = (0..40).map(|i| 0.5 * u[i] - 2.0 * v[i]).collect();
        let gram = Gram::of(&[&u, &v, &w, &target], 40);
        let fitted = least_squares(&gram, &Freedom::all(3), 0.0).unwrap();
        for (found, expected) in fitted.factors.iter().zip([0.5, -2.0, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
        assert!(fitted.squared < 1e-10 && fitted.condition < 10.0);
    }

    /// With f_0 + f_1 = 3 and f_2 = 0, against the solution by hand.
    #[test]
    fn constraints_hold_exactly() {
        let [u, v, w] = vectors();
        let gram = Gram::of(&[&u, &v, &w], 40);
        let freedom = Freedom { matrix: vec![vec![-1.0], vec![1.0]], offset: vec![3.0, 0.0] };
        let fitted = least_squares(&gram, &freedom, 0.0).unwrap();
        // d/dp |w − 3u − p (v − u)|² = 0.
        let dot = |i, j| gram.at(i, j);
        let p = (dot(2, 1) - dot(2, 0) - 3.0 * (dot(0, 1) - dot(0, 0))) / (dot(1, 1) - 2.0 * dot(0, 1) + dot(0, 0));
        assert!((fitted.factors[1] - p).abs() < 1e-12 && (fitted.factors[0] + fitted.factors[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_same_vector_twice_shares_its_factor() {
        let [u, v, _] = vectors();
        let gram = Gram::of(&[&u, &u, &v], 40);
        let fitted = least_squares(&gram, &Freedom::all(2), 0.0).unwrap();
        assert!((fitted.factors[0] - fitted.factors[1]).abs() < 1e-9 && fitted.condition > 1e14);
    }
}
