//! PFDiff (Wang et al. 2025, arXiv 2408.08822; their `denoising_PFDiff_k_l.py`) on DDIM.

use super::Made;
use crate::flow::{Flow, multistep};

/// Intervals that `calls` calls are enough for: one for the first, and k + 1 for each other.
pub(super) fn intervals(calls: usize, k: usize) -> usize {
    calls.saturating_sub(1) * (k + 1) + usize::from(calls > 0)
}

/// PFDiff-k_l: from a grid point, the past prediction leads to a springboard l intervals ahead; the prediction there,
/// of the future as it is seen from that point, leads from the point itself over k + 1 intervals.
pub(super) fn make(flow: Flow, tau: &[f64], k: usize, l: usize) -> Made {
    let rho: Vec<f64> = tau.iter().map(|&tau| flow.rho(tau)).collect();
    let last = tau.len() - 1;
    // The first call lies at the start, and the springboards l after 1, k + 2, 2 k + 3, …
    let springboards = (1..last).step_by(k + 1).map(|point| tau[point + l]);
    let calls: Vec<f64> = [tau[0]].into_iter().chain(springboards).chain([tau[last]]).collect();
    multistep(flow, &calls, |_, nodes, _| {
        let (node, call) = (&nodes[nodes.len() - 1], nodes.len() - 1);
        // The grid point that this call leads on from, and the one that it leads to.
        let from = if call == 0 { 0 } else { 1 + (call - 1) * (k + 1) };
        let to = 1 + call * (k + 1);
        let back = match call {
            0 => node.y.clone(),
            _ => node.y.clone() - &nodes[call - 1].n * (rho[from + l] - rho[from]),
        };
        let springboard = if to == last { 0.0 } else { rho[to + l] - rho[to] };
        back + &node.n * (rho[to] - rho[from] + springboard)
    })
}
