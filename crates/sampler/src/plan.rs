//! What a method is once it is worked out: a table of numbers.

use serde::{Deserialize, Serialize};

use crate::Threshold;

/// A method on a grid, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The method's name.
    pub method: String,
    /// The order in the method's name; 0 where there is none.
    pub order: usize,
    /// Number of network evaluations, N: as many as asked for, or as many of these as the method can spend.
    pub nfe: usize,
    /// The grid's name.
    pub grid: String,
    /// What is done to data predictions.
    #[serde(skip_serializing_if = "Threshold::is_none")]
    pub threshold: Threshold,
    /// Where the evaluations lie, stages within steps among them, and where the run ends: N + 1 times.
    pub tau: Vec<f64>,
    /// The network's timesteps at τ_0 … τ_{N−1}.
    pub timestep: Vec<f64>,
    /// N steps.
    pub steps: Vec<Step>,
}

/// x_{k+1} = a x_k + Σ_j b_j x_{k−1−j} + Σ_j c_j ε(x_{k−j}, τ_{k−j}) + noise · z, newest first.
///
/// Multistep methods on ε need a and c alone. The last stage of a step that began n evaluations before has a = 0 and its
/// factor of the state in b_{n−1}. Methods on data predictions, which are states and predictions both, have several b.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Factor of the newest state.
    pub a: f64,
    /// Factors of earlier states; empty for most methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub b: Vec<f64>,
    /// Factors of the raw noise predictions; any normalisation is folded in.
    pub c: Vec<f64>,
    /// Standard deviation of fresh noise.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// How the integrals of a plan are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coefficients {
    /// To 1e-10, piece by piece.
    Exact,
    /// As the authors' code: 10 000-point left Riemann sums, and their lookup of the normaliser.
    Reference,
}

impl Coefficients {
    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Coefficients::Exact => "exact",
            Coefficients::Reference => "reference",
        }
    }
}
