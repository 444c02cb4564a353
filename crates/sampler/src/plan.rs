//! What a method is once it is worked out: a table of numbers.

use serde::{Deserialize, Serialize};

/// A method on a grid, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The method's name.
    pub method: String,
    /// Degree of the extrapolation; 0 where there is none.
    pub order: usize,
    /// Number of network evaluations.
    pub nfe: usize,
    /// The grid's name.
    pub grid: String,
    /// τ_0 = 1 > … > τ_N = 0.
    pub tau: Vec<f64>,
    /// The network's timesteps at τ_0 … τ_{N−1}.
    pub timestep: Vec<f64>,
    /// N steps.
    pub steps: Vec<Step>,
}

/// x_{i+1} = a x_i + Σ_j c_j ε(x_{i−j}, τ_{i−j}), newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Factor of the state.
    pub a: f64,
    /// Factors of the raw noise predictions; any normalisation is folded in.
    pub c: Vec<f64>,
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
