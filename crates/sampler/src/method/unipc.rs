//! UniPC on data predictions D (Zhao et al. 2023, arXiv 2302.04867, algorithms 1, UniC, and 2, UniP).

use super::{Lower, Made};
use crate::{
    Linear,
    flow::{Flow, Node, multistep},
};

/// The function B(h).
///
/// It divides the right sides of the weights' equations and multiplies the weighted sum, so that it cancels wherever two or
/// more differences of D are weighted. It is left where there is one, whose weight is set to ½: in predictors of order 2 and
/// correctors of order 1. So the two make other numbers in every step after the first of UniPC-1 and -2, but in UniPC-3 in
/// the second and third alone, and in the last but one where the grid ends at τ = 0; the last step there, to λ = ∞, is to D
/// with any B (`tests/identities.rs`).
///
/// B₁ is infinite in that last step. It weights no difference and needs no B, which is how bh1 has a plan here; that is this
/// project's reading. The authors' code asks for an end above 0, and diffusers' multiplies the infinite B₁ by 0, which is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum B {
    /// B₁(h) = h.
    H,
    /// B₂(h) = e^h − 1.
    Exp,
}

/// UniP-`order` from the corrected state; UniC corrects each state once its prediction is known, which costs no call. The
/// last orders are lowered to 1 towards λ = ∞ (the authors' `lower_order_final`), and at other ends too as `lower` says.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize, b: B, lower: Lower) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let corrected = corrected(&nodes[..nodes.len() - 1], &nodes[nodes.len() - 1], tau, order, b, lower);
        predicted(corrected, nodes, flow.rho(target), super::lowered(order, nodes, tau, lower), b)
    })
}

/// UniC: the state of `node`, which is what UniP made of the calls before it, as the corrector would have made it of them.
pub(super) fn corrected(earlier: &[Node], node: &Node, tau: &[f64], order: usize, b: B, lower: Lower) -> Linear {
    if earlier.is_empty() {
        return node.y.clone();
    }
    let order = super::lowered(order, earlier, tau, lower);
    node.y.clone() + residual(earlier, node.rho, order, b, None) - residual(earlier, node.rho, order, b, Some(node))
}

/// UniP from y: (ρ_t/ρ_s) y − (e^{−h} − 1) D_0 less the residual.
pub(super) fn predicted(y: Linear, nodes: &[Node], rho: f64, order: usize, b: B) -> Linear {
    let node = &nodes[nodes.len() - 1];
    let base = y * (rho / node.rho) - node.data() * (rho / node.rho - 1.0);
    base - residual(nodes, rho, order, b, None)
}

/// B(h) Σ_k w_k (D_k − D_0)/r_k over earlier predictions, and over the one at the end of the step for the corrector.
fn residual(nodes: &[Node], rho: f64, order: usize, b: B, end: Option<&Node>) -> Linear {
    // D is expanded in −h; with data predictions the paper's h changes sign.
    differences(nodes, rho, order, b, end, -1.0, Node::data)
}

/// The same for predictions of any kind, which are expanded in `sign` · h.
pub(super) fn differences(
    nodes: &[Node],
    rho: f64,
    order: usize,
    b: B,
    end: Option<&Node>,
    sign: f64,
    prediction: impl Fn(&Node) -> Linear,
) -> Linear {
    let node = &nodes[nodes.len() - 1];
    let h = -rho.ln() - node.lambda();
    let earlier = nodes.iter().rev().skip(1).take(order - 1);
    let points: Vec<(f64, &Node)> =
        earlier.map(|other| ((other.lambda() - node.lambda()) / h, other)).chain(end.map(|end| (1.0, end))).collect();
    let r: Vec<f64> = points.iter().map(|point| point.0).collect();
    let z = sign * h;
    let scale = match b {
        B::H => z,
        B::Exp => z.exp_m1(),
    };
    let weights = weights(&r, z, scale);
    points.iter().zip(weights).fold(prediction(node) * 0.0, |sum, ((r, point), weight)| {
        sum + (prediction(point) - prediction(node)) * (scale * weight / r)
    })
}

/// w with Σ_k w_k r_k^{i−1} = i! φ_{i+1}(z) z/B for i = 1 … number of points; ½ for one point, as the authors' code has it, which
/// is enough for its order.
fn weights(r: &[f64], z: f64, b: f64) -> Vec<f64> {
    if r.len() < 2 {
        return vec![0.5; r.len()];
    }
    let mut phi = z.exp_m1() / z - 1.0;
    let mut factorial = 1.0;
    let right = (1..=r.len()).map(|i| {
        let value = phi * factorial / b;
        factorial *= i as f64 + 1.0;
        phi = phi / z - 1.0 / factorial;
        value
    });
    vandermonde(r, right.collect())
}

/// Solves Σ_k w_k r_k^i = right_i for i = 0 … n − 1 by elimination (Björck and Pereyra 1970, dual system).
fn vandermonde(r: &[f64], mut right: Vec<f64>) -> Vec<f64> {
    let n = r.len();
    for (k, point) in r[..n - 1].iter().enumerate() {
        for i in (k + 1..n).rev() {
            right[i] -= point * right[i - 1];
        }
    }
    for k in (0..n - 1).rev() {
        for i in k + 1..n {
            right[i] /= r[i] - r[i - k - 1];
        }
        for i in k..n - 1 {
            right[i] -= right[i + 1];
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Coefficients, Grid, Schedule, Step, level::Level, method::dpm_solver_pp};

    /// UniPC's predictor of order 2 with B₂ is DPM-Solver++(2M).
    #[test]
    fn the_predictor_of_order_2_is_dpm_solver_pp_2m() {
        let schedule = Schedule::linear();
        for grid in Grid::examples().iter().filter(|grid| !grid.denoises()) {
            let tau = grid.times(9, &schedule).unwrap();
            let flow = || Flow::new(&schedule, Level::new(&schedule, None, Coefficients::Exact).unwrap(), false);
            let predictor = multistep(flow(), &tau, |flow, nodes, target| {
                let (y, order) =
                    (nodes[nodes.len() - 1].y.clone(), crate::method::lowered(2, nodes, &tau, Lower::AtZero));
                predicted(y, nodes, flow.rho(target), order, B::Exp)
            });
            let numbers = |steps: &[Step]| -> Vec<f64> {
                steps.iter().flat_map(|step| [vec![step.a], step.b.clone(), step.c.clone()].concat()).collect()
            };
            let (left, right) =
                (numbers(&predictor.1), numbers(&dpm_solver_pp::multi(flow(), &tau, 2, Lower::AtZero).1));
            assert!(left.len() == right.len() && left.len() > 30);
            for (l, r) in left.iter().zip(&right) {
                assert!((l - r).abs() <= 2e-15 * r.abs().max(1.0), "{grid}: {l} {r}");
            }
        }
    }

    #[test]
    fn the_vandermonde_system_is_solved() {
        let r = [-1.7, -0.6, 1.0];
        let w = vandermonde(&r, vec![0.3, -0.2, 0.9]);
        for (i, right) in [0.3, -0.2, 0.9].into_iter().enumerate() {
            let sum: f64 = r.iter().zip(&w).map(|(r, w)| w * r.powi(i as i32)).sum();
            assert!((sum - right).abs() < 2e-15, "{sum} {right}");
        }
    }
}
