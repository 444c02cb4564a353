//! DPM-Solver 1, 2 and 3, singlestep (Lu et al. 2022, arXiv 2206.00927, equation 3.7 and algorithms 1 and 2).

use super::Made;
use crate::{
    Linear,
    flow::{Flow, Node, singlestep},
};

/// Steps over the grid's points by [`orders`]; a step of order p spans p intervals and makes p calls.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize) -> Made {
    let orders = orders(order, tau);
    let outer = outer(tau, &orders);
    let mut orders = orders.into_iter();
    singlestep(flow, &outer, |flow, node, target| match orders.next() {
        Some(3) => third(flow, node, target),
        Some(2) => second(flow, node, target),
        _ => first(node, flow.rho(target)),
    })
}

/// Orders that make as many calls as there are intervals (the paper's DPM-Solver-fast): 3 … 3 2 1, 3 … 3 1 or 3 … 3 2; 2 … 2 or 2 … 2 1.
/// Where the last one would reach λ = ∞, it is 1.
pub(super) fn orders(order: usize, tau: &[f64]) -> Vec<usize> {
    let calls = tau.len() - 1;
    let infinite = tau[calls] == 0.0;
    let tail: &[usize] = match (order, calls % order, infinite) {
        (3, 0, _) => &[2, 1],
        (3, 2, true) => &[1, 1],
        (2, 0, true) => &[1, 1],
        (_, 0, _) => &[],
        (_, 1, _) => &[1],
        _ => &[2],
    };
    let full = (calls - tail.iter().sum::<usize>()) / order;
    std::iter::repeat_n(order, full).chain(tail.iter().copied()).collect()
}

/// The grid's points between steps of these orders.
pub(super) fn outer(tau: &[f64], orders: &[usize]) -> Vec<f64> {
    let reached = orders.iter().scan(0, |reached, order| {
        *reached += order;
        Some(tau[*reached])
    });
    std::iter::once(tau[0]).chain(reached).collect()
}

/// y − ρ_t (e^h − 1) ε, which is y + (ρ_s − ρ_t) ε (equation 3.7).
fn first(node: &Node, rho: f64) -> Linear {
    node.y.clone() + &node.n * (rho - node.rho)
}

/// Algorithm 1, r₁ = ½.
fn second(flow: &mut Flow, node: &Node, target: f64) -> Linear {
    let rho = flow.rho(target);
    let h = -rho.ln() - node.lambda();
    let u = call(flow, node, 0.5 * h, |_| Vec::new());
    first(node, rho) - (&u.n - &node.n) * (rho * h.exp_m1())
}

/// Algorithm 2, r₁ = ⅓ and r₂ = ⅔.
fn third(flow: &mut Flow, node: &Node, target: f64) -> Linear {
    let (r1, r2) = (1.0 / 3.0, 2.0 / 3.0);
    let rho = flow.rho(target);
    let h = -rho.ln() - node.lambda();
    let u1 = call(flow, node, r1 * h, |_| Vec::new());
    let d1 = &u1.n - &node.n;
    let u2 = call(flow, node, r2 * h, |rho| vec![&d1 * (rho * r2 / r1 * ((r2 * h).exp_m1() / (r2 * h) - 1.0))]);
    let d2 = &u2.n - &node.n;
    first(node, rho) - d2 * (rho / r2 * (h.exp_m1() / h - 1.0))
}

/// A call a way of `h` in λ from `node`, at the first-order step there less `corrections` for its ρ.
fn call(flow: &mut Flow, node: &Node, h: f64, corrections: impl Fn(f64) -> Vec<Linear>) -> Node {
    let tau = flow.tau((-node.lambda() - h).exp());
    let rho = flow.rho(tau);
    let y = corrections(rho).into_iter().fold(first(node, rho), |y, correction| y - correction);
    flow.evaluate(&y, tau)
}
