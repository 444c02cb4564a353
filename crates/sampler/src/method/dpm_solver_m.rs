//! DPM-Solver, multistep (the code of Lu et al., github.com/LuChengTHU/dpm-solver, `multistep_dpm_solver_second_update`
//! and `…_third_update` with `algorithm_type="dpmsolver"`): the noise predictions' form of DPM-Solver++(2M) and (3M)
//! (`dpm_solver_pp.rs`). Its order 3 leaves out the same factor 2, and is of order 2 as well.

use super::{Lower, Made};
use crate::flow::{Flow, Node, multistep};

/// y ← y − ρ_t (e^h − 1) ε, with ε extrapolated in λ through the last `order` predictions; orders are lowered
/// towards λ = ∞.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize, lower: Lower) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let order = super::lowered(order, nodes, tau, lower);
        let newest: Vec<&Node> = nodes.iter().rev().take(order).collect();
        let (node, rho) = (newest[0], flow.rho(target));
        let h = -rho.ln() - node.lambda();
        let y = node.y.clone() + &node.n * (rho - node.rho);
        // Differences of ε per difference of λ, in units of h.
        let r = |k: usize| (newest[k].lambda() - newest[k + 1].lambda()) / h;
        let slope = |k: usize| (&newest[k].n - &newest[k + 1].n) * (1.0 / r(k));
        match order {
            1 => y,
            2 => y - slope(0) * (0.5 * rho * h.exp_m1()),
            _ => {
                let (r0, r1) = (r(0), r(1));
                let d2 = (slope(0) - slope(1)) * (1.0 / (r0 + r1));
                let d1 = slope(0) + &d2 * r0;
                let phi_2 = h.exp_m1() / h - 1.0;
                let phi_3 = phi_2 / h - 0.5;
                y - d1 * (rho * phi_2) - d2 * (rho * phi_3)
            }
        }
    })
}
