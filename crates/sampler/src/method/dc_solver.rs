//! DC-Solver (Zhao et al. 2024, arXiv 2409.03755; their `dynamic_compensation`): UniPC-3 with its data predictions
//! compensated, at one given ratio for all steps. (The authors search a ratio a step on a network's trajectories.)

use super::{B, Lower, Made, unipc};
use crate::{
    Linear,
    flow::{Flow, Node, multistep},
};

/// Of the predictor, and K + 1 of the compensation's K = 2.
pub(super) const ORDER: usize = 3;

/// UniPC with the newest data prediction replaced by the value that the polynomial in τ through the last three,
/// compensated ones among them, has at `ratio` of the way from the one before. Ratio 1 is UniPC-3; B(h) is the authors'
/// default, h.
pub(super) fn make(flow: Flow, tau: &[f64], ratio: f64) -> Made {
    let mut compensated: Vec<Node> = Vec::new();
    multistep(flow, tau, |flow, nodes, target| {
        let node = &nodes[nodes.len() - 1];
        let y = unipc::corrected(&compensated, node, tau, ORDER, B::H, Lower::AtZero);
        let n = if compensated.len() + 1 < ORDER { node.n.clone() } else { replaced(&compensated, node, ratio) };
        compensated.push(node.predicting(n));
        let order = super::lowered(ORDER, &compensated, tau, Lower::AtZero);
        unipc::predicted(y, &compensated, flow.rho(target), order, B::H)
    })
}

/// n with which `node`'s data prediction is D at the compensated time.
fn replaced(earlier: &[Node], node: &Node, ratio: f64) -> Linear {
    let last = [&earlier[earlier.len() - 2], &earlier[earlier.len() - 1], node];
    let at = node.tau * ratio + last[1].tau * (1.0 - ratio);
    let d = (0..ORDER).fold(node.data() * 0.0, |sum, j| {
        let others = (0..ORDER).filter(|&k| k != j);
        let basis: f64 = others.map(|k| (at - last[k].tau) / (last[j].tau - last[k].tau)).product();
        sum + last[j].data() * basis
    });
    (node.y.clone() - d) * (1.0 / node.rho)
}
