//! Euler's and Heun's methods in EDM's variables (Karras et al. 2022, arXiv 2206.00364, algorithm 1).

use super::Made;
use crate::flow::{Flow, multistep, singlestep};

/// y ← y + (ρ_s − ρ_τ) d with d = (y − D)/ρ_τ, D the denoised image.
pub(super) fn euler(flow: Flow, tau: &[f64]) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let d = (node.y.clone() - node.data()) * (1.0 / node.rho);
        node.y.clone() + d * (flow.rho(target) - node.rho)
    })
}

/// The same, and where ρ_s is not 0 again with the mean of the slopes at both ends.
pub(super) fn heun(flow: Flow, tau: &[f64]) -> Made {
    singlestep(flow, tau, |flow, node, target| {
        let h = flow.rho(target) - node.rho;
        let d = (node.y.clone() - node.data()) * (1.0 / node.rho);
        let y = node.y.clone() + &d * h;
        if target == 0.0 {
            return y;
        }
        let next = flow.evaluate(&y, target);
        let d_next = (next.y.clone() - next.data()) * (1.0 / next.rho);
        node.y.clone() + (d + d_next) * (0.5 * h)
    })
}
