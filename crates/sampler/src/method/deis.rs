//! tAB-DEIS (Zhang and Chen 2023, arXiv 2204.13902, equations 14 and 15): an exponential integrator with the
//! noise prediction extrapolated by its Lagrange polynomial in τ.

use crate::{Coefficients, Request, Step, quadrature};

/// a = ψ(s, τ), c_j = ∫_τ^s ½ ψ(s,u) g²(u)/σ(u) ℓ_j(u) du over the last `order` + 1 evaluations.
pub(super) fn steps(request: &Request, tau: &[f64], order: usize) -> Vec<Step> {
    weighted_steps(request, tau, order, |_| 1.0)
}

/// The same with K = σ/r: the integrand times r(u), and the result over r(τ_j), so that it applies to ε itself.
pub(super) fn weighted_steps(request: &Request, tau: &[f64], order: usize, r: impl Fn(f64) -> f64) -> Vec<Step> {
    let step = |i: usize| {
        let nodes: Vec<f64> = (0..=order.min(i)).map(|j| tau[i - j]).collect();
        let c = (0..nodes.len())
            .map(|j| integral(request, tau[i], tau[i + 1], |u| r(u) * lagrange(&nodes, j, u)) / r(nodes[j]));
        let ratio = request.schedule.alpha_bar(tau[i + 1]) / request.schedule.alpha_bar(tau[i]);
        Step { a: ratio.sqrt(), c: c.collect() }
    };
    (0..tau.len() - 1).map(step).collect()
}

fn integral(request: &Request, from: f64, to: f64, n: impl Fn(f64) -> f64) -> f64 {
    match request.coefficients {
        Coefficients::Exact => quadrature::exact(request.schedule, quadrature::kinks(request.normaliser), from, to, n),
        Coefficients::Reference => quadrature::reference(request.schedule, from, to, n),
    }
}

/// ℓ_j(u): 1 at node j, 0 at the others.
fn lagrange(nodes: &[f64], j: usize, u: f64) -> f64 {
    let others = nodes.iter().enumerate().filter(|&(k, _)| k != j);
    others.map(|(_, &node)| (u - node) / (nodes[j] - node)).product()
}
