//! DDIM (Song et al. 2021, arXiv 2010.02502, equation 12).

use super::Made;
use crate::flow::{Flow, multistep};

/// With η = 0: y ← y + (ρ_s − ρ_τ) ε.
pub(super) fn make(flow: Flow, tau: &[f64]) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        node.y.clone() + &node.n * (flow.rho(target) - node.rho)
    })
}

/// x ← √ᾱ_s x̂₀ + √(1 − ᾱ_s − σ²) ε + σ z with σ² = η² (1 − ᾱ_s)/(1 − ᾱ_τ) (1 − ᾱ_τ/ᾱ_s) (equation 16).
pub(super) fn make_stochastic(flow: Flow, tau: &[f64], eta: f64) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let (from, to) = (flow.schedule.alpha_bar(node.tau), flow.schedule.alpha_bar(target));
        let sigma = eta * ((1.0 - to) / (1.0 - from) * (1.0 - from / to)).sqrt();
        let x = node.data() * to.sqrt()
            + &node.epsilon * (1.0 - to - sigma * sigma).max(0.0).sqrt()
            + super::fresh_noise(sigma);
        x * (1.0 / to.sqrt())
    })
}
