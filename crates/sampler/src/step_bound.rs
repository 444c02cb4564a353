//! Optimised time steps (Xue et al. 2024, arXiv 2402.17376; their code is github.com/scxue/DM-NonUniform): the grid
//! with the least bound on the error that a data prediction's errors make in the result, which knows no network.
//!
//! The bound is for exponential Adams–Bashforth on data predictions D in λ = −ln ρ, of order 1, 2, 3, …, 3, 2, 1: step
//! s adds Σ_j J_j D_j with J_j = ∫ e^λ ℓ_j(λ) dλ over it, in units of α/σ. With an error of σ_j^p/α_j in D_j, and the
//! errors of different steps taken by themselves, it is Σ_s √(Σ_j (J_j σ_j^p/α_j)²): their code with `truncNum` at the
//! number of steps. It has one minimum, found from every start that was tried.
//!
//! Their file has `truncNum` = 3, and a remark to use 0 over 7 NFE: from that step on, what several steps weight the same
//! D_j with is added first, and may cancel. That is the same up to 4 steps and moves λ by up to 0.12 at 5 and 6; from 7 on
//! it has several minima, and what their minimiser returns depends on where it starts (at 8 steps, bounds of 29.1, 30.3
//! and 36.6 from three starts; with 0 the best that were found bunch steps up where they cancel). So it is not offered.

/// Of steps' logarithms, for central differences.
const DIFFERENCE: f64 = 1e-5;
/// λ are rounded to this, so that the last digits of exp and ln do not show in plans.
const DIGITS: f64 = 1e6;
/// Steps of the minimisation; some tens are needed.
const MOST: usize = 1000;

/// λ_0 = `from` < λ_1 < … < λ_N = `to` with the least bound.
pub(crate) fn lambdas(from: f64, to: f64, steps: usize, power: f64) -> Vec<f64> {
    // From equal steps.
    least(from, to, vec![0.0; steps - 1], power)
}

/// The same from steps with these logarithms, in units of the last one.
fn least(from: f64, to: f64, start: Vec<f64>, power: f64) -> Vec<f64> {
    let steps = start.len() + 1;
    let spread = |logs: &[f64]| {
        // Any logarithms of steps are a grid: they are scaled to fill the whole. The last one is 0.
        let sizes: Vec<f64> = logs.iter().map(|log| log.exp()).chain([1.0]).collect();
        let whole: f64 = sizes.iter().sum();
        let reached = sizes.iter().scan(0.0, |reached, size| {
            *reached += size;
            Some(from + (to - from) * *reached / whole)
        });
        std::iter::once(from).chain(reached).collect::<Vec<f64>>()
    };
    let logs = minimise(|logs| bound(&spread(logs), power).ln(), start);
    let mut lambdas = spread(&logs);
    for lambda in &mut lambdas[1..steps] {
        *lambda = (*lambda * DIGITS).round() / DIGITS;
    }
    lambdas[steps] = to;
    lambdas
}

/// Σ_s √(Σ_j (J_j σ_j^p/α_j)²).
fn bound(lambda: &[f64], power: f64) -> f64 {
    let steps = lambda.len() - 1;
    let error = |j: usize| {
        let (alpha, sigma) =
            (1.0 / (1.0 + (-2.0 * lambda[j]).exp()).sqrt(), 1.0 / (1.0 + (2.0 * lambda[j]).exp()).sqrt());
        sigma.powf(power) / alpha
    };
    let step = |s: usize| {
        let order = 3.min(s + 1).min(steps - s);
        let weights = weights(&lambda[s + 1 - order..=s + 1]);
        (0..order).map(|j| (weights[j] * error(s + 1 - order + j)).powi(2)).sum::<f64>().sqrt()
    };
    (0..steps).map(step).sum()
}

/// J of the predictions at all of `lambda` but the last, over the interval between its last two.
fn weights(lambda: &[f64]) -> Vec<f64> {
    let last = lambda.len() - 2;
    let h = lambda[last + 1] - lambda[last];
    // ∫_0^h e^u u^k du.
    let m0 = h.exp_m1();
    let m1 = h.exp() * h - m0;
    let m2 = h.exp() * h * h - 2.0 * m1;
    let scale = lambda[last].exp();
    let places: Vec<f64> = lambda[..=last].iter().map(|other| other - lambda[last]).collect();
    let weight = |j: usize| {
        let others: Vec<f64> = (0..=last).filter(|&k| k != j).map(|k| places[k]).collect();
        let divisor: f64 = others.iter().map(|other| places[j] - other).product();
        let integral = match others[..] {
            [] => m0,
            [r] => m1 - r * m0,
            [r, q] => m2 - (r + q) * m1 + r * q * m0,
            _ => f64::NAN,
        };
        scale * integral / divisor
    };
    (0..=last).map(weight).collect()
}

/// Where a smooth f is least, from x: BFGS (Nocedal and Wright, Numerical Optimization, algorithm 6.1) with halved steps.
fn minimise(f: impl Fn(&[f64]) -> f64, mut x: Vec<f64>) -> Vec<f64> {
    let n = x.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let along = |x: &[f64], step: f64, p: &[f64]| -> Vec<f64> { x.iter().zip(p).map(|(x, p)| x + step * p).collect() };
    let gradient = |x: &[f64]| -> Vec<f64> {
        let slope = |i: usize| {
            let mut unit = vec![0.0; n];
            unit[i] = 1.0;
            (f(&along(x, DIFFERENCE, &unit)) - f(&along(x, -DIFFERENCE, &unit))) / (2.0 * DIFFERENCE)
        };
        (0..n).map(slope).collect()
    };
    let mut inverse: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let (mut value, mut g) = (f(&x), gradient(&x));
    for _ in 0..MOST {
        let p: Vec<f64> = inverse.iter().map(|row| -dot(row, &g)).collect();
        let mut step = 1.0;
        let (next, reached) = loop {
            let next = along(&x, step, &p);
            let reached = f(&next);
            if reached <= value + 1e-4 * step * dot(&g, &p) {
                break (next, reached);
            }
            step *= 0.5;
            if step < 1e-6 {
                return x;
            }
        };
        let g_next = gradient(&next);
        let s: Vec<f64> = p.iter().map(|p| step * p).collect();
        let y = along(&g_next, -1.0, &g);
        let sy = dot(&s, &y);
        if sy > 0.0 {
            // H ← (I − s yᵀ/sᵀy) H (I − y sᵀ/sᵀy) + s sᵀ/sᵀy.
            let hy: Vec<f64> = inverse.iter().map(|row| dot(row, &y)).collect();
            let scale = (1.0 + dot(&y, &hy) / sy) / sy;
            for i in 0..n {
                for j in 0..n {
                    inverse[i][j] += scale * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy;
                }
            }
        }
        let small = s.iter().all(|s| s.abs() < 1e-9);
        (x, value, g) = (next, reached, g_next);
        if small {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_has_one_minimum() {
        let (from, to) = (-5.0, 4.5);
        for steps in [2, 5, 8, 15] {
            let grid = lambdas(from, to, steps, 1.0);
            for start in [|i: usize| 1.5 - 0.2 * i as f64, |i: usize| [0.7, -0.8][i % 2]] {
                let other = least(from, to, (1..steps).map(start).collect(), 1.0);
                for (a, b) in grid.iter().zip(&other) {
                    assert!((a - b).abs() < 2.5e-6, "{steps}: {grid:?} {other:?}");
                }
            }
            // And it is one: moving a point either way is worse.
            for i in 1..steps {
                for shift in [-1e-3, 1e-3] {
                    let mut moved = grid.clone();
                    moved[i] += shift;
                    assert!(bound(&moved, 1.0) > bound(&grid, 1.0), "{steps}: {i}");
                }
            }
        }
    }

    /// J of order p integrate e^λ times a polynomial of degree p − 1 exactly: ∫ e^λ λ = e^λ (λ − 1), ∫ e^λ λ² = e^λ (λ² − 2 λ + 2).
    #[test]
    fn weights_are_exact_for_polynomials() {
        let lambda = [-0.3, 0.1, 0.8, 1.5];
        let integrals: [fn(f64) -> f64; 3] =
            [|l| l.exp(), |l| l.exp() * (l - 1.0), |l| l.exp() * (l * l - 2.0 * l + 2.0)];
        for order in 1..=3 {
            let places = &lambda[3 - order..];
            for (power, integral) in integrals[..order].iter().enumerate() {
                let terms = weights(places).into_iter().zip(places);
                let found: f64 = terms.map(|(weight, place)| weight * place.powi(power as i32)).sum();
                let expected = integral(lambda[3]) - integral(lambda[2]);
                assert!((found / expected - 1.0).abs() < 1e-13, "{order}, {power}: {found} {expected}");
            }
        }
    }
}
