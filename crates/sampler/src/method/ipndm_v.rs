//! iPNDM_v, iPNDM with the weights of variable steps (github.com/zju-pi/diff-sampler, `ipndm_v_sampler`).
//!
//! It is meant to be Adams–Bashforth on the grid's own steps in ρ, which is ρAB-DEIS (`deis-rho`), and orders 1 and 2
//! are. It is kept as it is published and as its authors' tables have it. In the classical form, y + h Σ_j g_j β_j Φ_j
//! (Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section III.5), its g_2 β_2 is ½ − ½ c₂ β_2
//! where it should be ½ (1 − c₂) β_2: the same on equal steps, and of order 3 where neighbouring steps are alike. Order
//! 4 has in addition a + for a − in g_3 and another ratio of steps in its last weight: it is not Adams–Bashforth on
//! equal steps either, and on unequal ones its weights do not add up to 1, so that it is of order 2 (`fewstep orders`).

use super::Made;
use crate::flow::{Flow, Node, multistep};

/// y ← y + h_n Σ_j w_j ε_j.
pub(super) fn make(flow: Flow, tau: &[f64], order: usize) -> Made {
    multistep(flow, tau, |flow, nodes, target| {
        let newest: Vec<&Node> = nodes.iter().rev().take(order).collect();
        let step = flow.rho(target) - newest[0].rho;
        let earlier = newest.windows(2).map(|pair| pair[0].rho - pair[1].rho);
        let h: Vec<f64> = std::iter::once(step).chain(earlier).collect();
        newest.iter().zip(weights(&h)).fold(newest[0].y.clone(), |y, (node, weight)| y + &node.n * (step * weight))
    })
}

/// Weights of the last predictions, newest first, from h_n, h_{n−1}, …: as many of each.
fn weights(h: &[f64]) -> Vec<f64> {
    let mut w = vec![0.0; h.len()];
    w[0] = 1.0;
    if let [h0, h1, ..] = *h {
        let half = 0.5 * h0 / h1;
        w[0] += half;
        w[1] -= half;
    }
    if let [h0, h1, h2, ..] = *h {
        let (c2, beta_2) = (h0 / (3.0 * (h0 + h1)), h0 * (h0 + h1) / (h1 * (h1 + h2)));
        // g_2 β_2 would be ½ (1 − c_2) β_2.
        let second = 0.5 * (1.0 - c2 * beta_2);
        let a = h1 / h2;
        w[0] += second;
        w[1] -= (1.0 + a) * second;
        w[2] += a * second;
        if let [_, _, _, h3] = *h {
            let beta_3 = beta_2 * (h0 + h1 + h2) / (h1 + h2 + h3);
            // g_3 would be the difference of the two.
            let g_3 = 0.5 * (1.0 - c2) + (1.0 - h0 / (2.0 * (h0 + h1))) * h0 / (6.0 * (h0 + h1 + h2));
            let (third, b) = (g_3 * beta_3, h1 * (h1 + h2) / (h2 * (h2 + h3)));
            w[0] += third;
            w[1] -= (1.0 + a + b) * third;
            w[2] += (a + b * (1.0 + h2 / h3)) * third;
            // h_{n−2}/h_{n−3} would stand for a.
            w[3] -= b * a * third;
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ipndm_v_sampler` on equal steps: Adams–Bashforth's 55, −59, 37, −9 over 24, and (2, −6, 6, −2)/24; on unequal
    /// steps weights that do not add up to 1.
    #[test]
    fn order_4_is_as_published() {
        let expected = [57.0, -65.0, 43.0, -11.0].map(|weight: f64| weight / 24.0);
        for (weight, expected) in weights(&[0.7; 4]).iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-15, "{weight} {expected}");
        }
        assert!((weights(&[1.0, 2.0, 3.0]).iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((weights(&[1.0, 2.0, 3.0, 5.0]).iter().sum::<f64>() - 1.0).abs() > 1e-3);
    }
}
