//! DPM-Solver++ 2M, 3M and 2S, on data predictions D (Lu et al. 2022, arXiv 2211.01095, algorithms 1 and 2; 3M: the authors'
//! `multistep_dpm_solver_third_update`).
//!
//! 3M as published, and as diffusers and k-diffusion have it, is of order 2: with D₂ = h² D″/2 the exact integral is
//! D₁ φ₂ − 2 D₂ φ₃, and the factor 2 is not there (the authors' singlestep update has it, in its D₂). It is kept as it is used.

use super::{Lower, Made, dpm_solver};
use crate::{
    Linear,
    flow::{Flow, Node, multistep, singlestep},
};

/// y ← (ρ_t/ρ_s) y − (e^{−h} − 1) D, with D extrapolated in λ through the last `order` data predictions. A step to λ = ∞,
/// or to any end as `lower` says, is of order 1, and the one before it at most of order 2 (the authors' `lower_order_final`).
pub(super) fn multi(flow: Flow, tau: &[f64], order: usize, lower: Lower) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let order = super::lowered(order, nodes, tau, lower);
        let newest: Vec<&Node> = nodes.iter().rev().take(order).collect();
        let (node, rho) = (newest[0], flow.rho(target));
        let h = -rho.ln() - node.lambda();
        let y = first(node, rho, node.data());
        // Differences of D per difference of λ, in units of h.
        let r = |k: usize| (newest[k].lambda() - newest[k + 1].lambda()) / h;
        let slope = |k: usize| (newest[k].data() - newest[k + 1].data()) * (1.0 / r(k));
        match order {
            1 => y,
            2 => y - slope(0) * (0.5 * (-h).exp_m1()),
            _ => {
                let (r0, r1) = (r(0), r(1));
                let curvature = (slope(0) - slope(1)) * (1.0 / (r0 + r1));
                let d1 = slope(0) + &curvature * r0;
                let phi_1 = (-h).exp_m1();
                let phi_2 = phi_1 / h + 1.0;
                let phi_3 = phi_2 / h - 0.5;
                y + d1 * phi_2 - curvature * phi_3
            }
        }
    })
}

/// Steps over two intervals with a call in the middle of λ, D = D_s + (D_u − D_s)/(2r) with r = ½.
pub(super) fn single(flow: Flow, tau: &[f64]) -> Made {
    let mut orders = dpm_solver::orders(2, tau).into_iter();
    let outer = dpm_solver::outer(tau, &dpm_solver::orders(2, tau));
    singlestep(flow, &outer, |flow, node, target| {
        let rho = flow.rho(target);
        if orders.next() != Some(2) {
            return first(node, rho, node.data());
        }
        let middle = (node.rho * rho).sqrt();
        let u = flow.evaluate(&first(node, middle, node.data()), flow.tau(middle));
        first(node, rho, u.data())
    })
}

/// (ρ_t/ρ_s) y − (e^{−h} − 1) D with e^{−h} = ρ_t/ρ_s.
fn first(node: &Node, rho: f64, data: Linear) -> Linear {
    &node.y * (rho / node.rho) - data * (rho / node.rho - 1.0)
}
