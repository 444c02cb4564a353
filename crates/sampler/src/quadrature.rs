//! Integrals over one step.

use crate::Schedule;

/// Points of the authors' Riemann sum.
const REFERENCE_POINTS: usize = 10_000;

/// Nodes and weights of the 8-point Gauss–Legendre rule on [−1, 1] (positive half; the rule is symmetric).
/// Abramowitz and Stegun, table 25.4.
const GAUSS: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// ∫ f over [low, high] by the 8-point rule: exact for polynomials up to degree 15.
pub(crate) fn gauss(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
    half * GAUSS.iter().map(|&(node, weight)| weight * (f(middle + half * node) + f(middle - half * node))).sum::<f64>()
}

/// Ascending times from `to` to `from` between which the schedule and a function with kinks at `extra` are smooth.
pub(crate) fn edges(schedule: &Schedule, extra: &[f64], from: f64, to: f64) -> Vec<f64> {
    let mut edges: Vec<f64> =
        schedule.knots().chain(extra.iter().copied()).filter(|&u| to < u && u < from).chain([to, from]).collect();
    edges.sort_by(f64::total_cmp);
    edges
}

/// ∫ n(τ) dρ from τ = `low` to `high`, between which the integrand is smooth.
pub(crate) fn smooth(schedule: &Schedule, low: f64, high: f64, n: impl Fn(f64) -> f64) -> f64 {
    gauss(schedule.rho(low), schedule.rho(high), |rho| n(schedule.tau_of_rho_near(rho, low)))
}

/// ∫ n(τ) dρ between two times for a piecewise smooth n, to 1e-10.
///
/// In ρ = σ/√ᾱ there is no square-root singularity at τ = 0 and nothing left of the schedule but τ(ρ), which is smooth
/// between the schedule's knots. `extra` holds further kinks of n.
pub(crate) fn exact(schedule: &Schedule, extra: &[f64], from: f64, to: f64, n: impl Fn(f64) -> f64) -> f64 {
    let edges = edges(schedule, extra, from, to);
    -edges.windows(2).map(|pair| smooth(schedule, pair[0], pair[1], &n)).sum::<f64>()
}

/// The same integral as the authors' code computes it, as ½ ψ g² n/σ dτ: a left sum from τ towards s, the end point
/// left out.
pub(crate) fn reference(schedule: &Schedule, from: f64, to: f64, n: impl Fn(f64) -> f64) -> f64 {
    let du = (to - from) / REFERENCE_POINTS as f64;
    let alpha_bar = schedule.alpha_bar(to);
    let integrand = |u: f64| {
        let psi = (alpha_bar / schedule.alpha_bar(u)).sqrt();
        0.5 * psi * schedule.g_squared_above(u) / schedule.sigma(u) * n(u)
    };
    let sum = (0..REFERENCE_POINTS).map(|m| integrand(from + du * m as f64)).sum::<f64>() * du;
    sum / alpha_bar.sqrt()
}
