//! Ancestral sampling (Ho et al. 2020, arXiv 2006.11239, equations 6, 7 and 15) on a subset of the times.

use super::Made;
use crate::flow::{Flow, multistep};

/// x ← μ̃(x, x̂₀) + √β̃ z, with β = 1 − ᾱ_τ/ᾱ_s over the step.
pub(super) fn make(flow: Flow, tau: &[f64]) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let (from, to) = (flow.schedule.alpha_bar(node.tau), flow.schedule.alpha_bar(target));
        let beta = 1.0 - from / to;
        let mean = node.data() * (to.sqrt() * beta / (1.0 - from))
            + &node.x * ((1.0 - beta).sqrt() * (1.0 - to) / (1.0 - from));
        let variance = beta * (1.0 - to) / (1.0 - from);
        (mean + super::fresh_noise(variance.sqrt())) * (1.0 / to.sqrt())
    })
}
