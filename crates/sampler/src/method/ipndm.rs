//! iPNDM (Zhang and Chen 2023, arXiv 2204.13902, its improvement of PNDM: the linear multistep formula of Liu et al. 2022,
//! arXiv 2202.09778, warmed up by its lower orders): DDIM's step with the noise prediction of classical Adams–Bashforth.

use super::Made;
use crate::flow::{Flow, multistep};

/// Weights of the last predictions, newest first: Adams–Bashforth on equal steps.
const WEIGHTS: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// y ← y + (ρ_s − ρ_τ) Σ_j w_j ε_j.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let step = flow.rho(target) - node.rho;
        let weights = WEIGHTS[order.min(nodes.len()) - 1];
        nodes.iter().rev().zip(weights).fold(node.y.clone(), |y, (node, weight)| y + &node.n * (step * weight))
    })
}
