//! Integrals over one step.

use crate::{Normaliser, Schedule};

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

/// ∫_τ^s ½ ψ(s,u) g²(u)/σ(u) n(u) du for a smooth n, to 1e-10.
///
/// In ρ = σ/√ᾱ the integral is √ᾱ(s) ∫ n dρ: no square-root singularity at τ = 0 and nothing left of the
/// schedule but u(ρ), which is smooth between the schedule's knots. `extra` holds further kinks of n.
pub(crate) fn exact(schedule: &Schedule, extra: &[f64], from: f64, to: f64, n: impl Fn(f64) -> f64) -> f64 {
    let mut edges: Vec<f64> =
        schedule.knots().chain(extra.iter().copied()).filter(|&u| to < u && u < from).chain([to, from]).collect();
    edges.sort_by(f64::total_cmp);
    let rho: Vec<f64> = edges.iter().map(|&u| schedule.rho(u)).collect();
    let piece = |low: f64, high: f64| {
        let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
        let at = |node: f64| n(schedule.tau_of_rho(middle + half * node));
        half * GAUSS.iter().map(|&(node, weight)| weight * (at(node) + at(-node))).sum::<f64>()
    };
    let integral: f64 = rho.windows(2).map(|pair| piece(pair[0], pair[1])).sum();
    -schedule.alpha_bar(to).sqrt() * integral
}

/// The same integral as the authors' code computes it: a left sum from τ towards s, the end point left out.
pub(crate) fn reference(schedule: &Schedule, from: f64, to: f64, n: impl Fn(f64) -> f64) -> f64 {
    let du = (to - from) / REFERENCE_POINTS as f64;
    let alpha_bar = schedule.alpha_bar(to);
    let integrand = |u: f64| {
        let psi = (alpha_bar / schedule.alpha_bar(u)).sqrt();
        0.5 * psi * schedule.g_squared_above(u) / schedule.sigma(u) * n(u)
    };
    (0..REFERENCE_POINTS).map(|m| integrand(from + du * m as f64)).sum::<f64>() * du
}

/// Kinks of a normaliser that is linear between its points.
pub(crate) fn kinks(normaliser: Option<&Normaliser>) -> &[f64] {
    normaliser.map_or(&[], Normaliser::tau)
}
