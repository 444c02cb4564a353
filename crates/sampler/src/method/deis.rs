//! Adams–Bashforth DEIS (Zhang and Chen 2023, arXiv 2204.13902, equations 14 and 15): an exponential integrator with the
//! noise prediction extrapolated by its Lagrange polynomial. On ε/r it is DEIS-SN (Xia et al. 2023, arXiv 2311.00157,
//! equations 9 to 11).

use super::{Lower, Made};
use crate::{
    flow::{Flow, Node, multistep},
    quadrature::gauss,
};

/// What the polynomials are in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Variable {
    /// τ: tAB-DEIS, which the paper's DEIS means.
    Time,
    /// ρ: ρAB-DEIS.
    Rho,
    /// ln ρ: the DEIS of diffusers.
    LogRho,
}

/// Widest panel in ln ρ over which e^w times a cubic is integrated by one Gauss rule.
const PANEL: f64 = 0.5;

/// y ← y + Σ_j ε_j ∫ ℓ_j dρ over the last `order` + 1 predictions.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize, variable: Variable) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let order = match variable {
            Variable::LogRho => super::lowered(order + 1, nodes, tau, Lower::AtZero) - 1,
            _ => order.min(nodes.len() - 1),
        };
        let newest: Vec<&Node> = nodes.iter().rev().take(order + 1).collect();
        let at = |node: &Node| match variable {
            Variable::Time => node.tau,
            Variable::Rho => node.rho,
            Variable::LogRho => node.rho.ln(),
        };
        let places: Vec<f64> = newest.iter().map(|node| at(node)).collect();
        let (from, to) = (newest[0], flow.rho(target));
        (0..newest.len()).fold(from.y.clone(), |y, j| {
            let basis = |place: f64| lagrange(&places, j, place);
            let c = match variable {
                Variable::Time => flow.integral(from.tau, target, basis),
                Variable::LogRho if order > 0 => logarithmic(from.rho.ln(), to.ln(), basis),
                _ => gauss(from.rho, to, basis),
            };
            y + &newest[j].n * c
        })
    })
}

/// ∫ f(ln ρ) dρ = ∫ e^w f(w) dw.
fn logarithmic(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    let panels = ((from - to) / PANEL).ceil().max(1.0);
    let edge = |i: f64| from + (to - from) * i / panels;
    (0..panels as usize).map(|i| gauss(edge(i as f64), edge(i as f64 + 1.0), |w| w.exp() * f(w))).sum()
}

/// ℓ_j(v): 1 at place j, 0 at the others.
fn lagrange(places: &[f64], j: usize, v: f64) -> f64 {
    let others = places.iter().enumerate().filter(|&(k, _)| k != j);
    others.map(|(_, &place)| (v - place) / (places[j] - place)).product()
}
