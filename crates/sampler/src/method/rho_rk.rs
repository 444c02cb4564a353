//! ρRK-DEIS (Zhang and Chen 2023, arXiv 2204.13902, proposition 3 and section 4): classical Runge–Kutta methods on
//! dy/dρ = ε.

use super::Made;
use crate::flow::{Flow, singlestep};

/// Which Runge–Kutta method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tableau {
    /// The midpoint rule.
    Midpoint,
    /// Heun's second-order method.
    Heun,
    /// Kutta's third-order method.
    Kutta,
    /// The classical fourth-order method.
    Classical,
}

/// A stage: how far along the step it lies, and the weights of the slopes before it.
type Stage = (f64, &'static [f64]);

impl Tableau {
    /// The stages after the first, and the weights of all slopes at the end.
    fn table(self) -> (&'static [Stage], &'static [f64]) {
        match self {
            Tableau::Midpoint => (&[(0.5, &[0.5])], &[0.0, 1.0]),
            Tableau::Heun => (&[(1.0, &[1.0])], &[0.5, 0.5]),
            Tableau::Kutta => (&[(0.5, &[0.5]), (1.0, &[-1.0, 2.0])], &[1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0]),
            Tableau::Classical => (
                &[(0.5, &[0.5]), (0.5, &[0.0, 0.5]), (1.0, &[0.0, 0.0, 1.0])],
                &[1.0 / 6.0, 2.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0],
            ),
        }
    }

    /// Calls a step.
    pub(super) fn stages(self) -> usize {
        self.table().1.len()
    }

    /// Whether a stage lies at the end of the step.
    pub(super) fn reaches_the_end(self) -> bool {
        self.table().0.iter().any(|stage| stage.0 == 1.0)
    }
}

/// y ← y + h Σ b_i ε_i with h = ρ_s − ρ_τ and stages at ρ_τ + c_i h. At τ = 0 there is no noise to predict: a step there
/// with a stage at its end is DDIM's.
pub(super) fn make(flow: Flow, tau: &[f64], tableau: Tableau) -> Made {
    let (stages, weights) = tableau.table();
    singlestep(flow, tau, |flow, node, target| {
        let h = flow.rho(target) - node.rho;
        if target == 0.0 && tableau.reaches_the_end() {
            return node.y.clone() + &node.n * h;
        }
        let mut slopes = vec![node.n.clone()];
        let combine = |slopes: &[crate::Linear], weights: &[f64]| {
            slopes.iter().zip(weights).fold(node.y.clone(), |y, (slope, weight)| y + slope * (h * weight))
        };
        for &(c, a) in stages {
            let tau = if c == 1.0 { target } else { flow.tau(node.rho + c * h) };
            let y = combine(&slopes, a);
            slopes.push(flow.evaluate(&y, tau).n);
        }
        combine(&slopes, weights)
    })
}
