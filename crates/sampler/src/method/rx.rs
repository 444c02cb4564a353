//! RX-DPM (Choi, Kang and Han 2025, arXiv 2504.01855) on DDIM, which is Euler's method in (y, ρ): their RX-Euler
//! (`rx_euler_sampler`).

use super::Made;
use crate::{
    Linear,
    flow::{Flow, Node, singlestep},
};

/// Blocks of k steps of DDIM, ŷ_k, and one step over the whole block with the prediction at its start, ŷ_1. Their
/// errors are as Σ (h_i/H)² to 1, with H = Σ h_i, so that y ← (ŷ_k − S ŷ_1)/(1 − S) with S = Σ (h_i/H)² is free of what
/// they have in common. Steps that are left over are DDIM's (the authors' `skip_last`).
pub(super) fn make(flow: Flow, tau: &[f64], k: usize) -> Made {
    let steps = tau.len() - 1;
    let whole = steps / k * k;
    let starts: Vec<usize> = (0..whole).step_by(k).chain(whole..=steps).collect();
    let outer: Vec<f64> = starts.iter().map(|&start| tau[start]).collect();
    let mut blocks = starts.windows(2);
    singlestep(flow, &outer, |flow, node, target| match blocks.next() {
        Some(&[first, last]) if last - first > 1 => block(flow, node, &tau[first..=last]),
        _ => node.y.clone() + &node.n * (flow.rho(target) - node.rho),
    })
}

fn block(flow: &mut Flow, start: &Node, tau: &[f64]) -> Linear {
    let rho: Vec<f64> = tau.iter().map(|&tau| flow.rho(tau)).collect();
    let whole = rho[rho.len() - 1] - rho[0];
    let (mut fine, mut s) = (start.y.clone(), 0.0);
    let mut n = start.n.clone();
    for i in 1..tau.len() {
        let h = rho[i] - rho[i - 1];
        fine = fine + n.clone() * h;
        s += (h / whole).powi(2);
        if i + 1 < tau.len() {
            n = flow.evaluate(&fine, tau[i]).n;
        }
    }
    let coarse = start.y.clone() + &start.n * whole;
    (fine - coarse * s) * (1.0 / (1.0 - s))
}
