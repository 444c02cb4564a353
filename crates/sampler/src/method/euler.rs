//! Euler's method on dx/dτ = f x + ½ g² ε/σ (Song et al. 2021, arXiv 2011.13456, equation 13).

use super::Made;
use crate::flow::{Flow, multistep};

/// x ← (1 + Δτ f) x + Δτ ½ g²/σ ε with Δτ = s − τ and f = −½ g².
pub(super) fn make(flow: Flow, tau: &[f64]) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let (step, half_g_squared) = (target - node.tau, 0.5 * flow.schedule.g_squared(node.tau));
        let x = &node.x * (1.0 - step * half_g_squared)
            + &node.epsilon * (step * half_g_squared / flow.schedule.sigma(node.tau));
        x * (1.0 / flow.alpha(target))
    })
}
