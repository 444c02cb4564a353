//! What a method is once it is worked out: a table of numbers; and the files that hold one.

mod check;
mod convert;
mod file;
mod json;
mod on_grid;
mod read;
mod write;

pub(crate) use convert::ABOVE;
pub use file::{Levels, PlanFile};

use serde::{Deserialize, Serialize};

use crate::Threshold;

/// A method on a grid, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The method's name.
    pub method: String,
    /// The order in the method's name; 0 where there is none.
    pub order: usize,
    /// Number of network evaluations: as many as asked for, or as many of these as the method can spend. There are more
    /// steps where some have an analytic prediction ([`Step::afs`]).
    pub nfe: usize,
    /// The grid's name.
    pub grid: String,
    /// What is done to data predictions.
    pub threshold: Threshold,
    /// x_0 = start · x_T, which is noise of variance 1; 1 for every method here.
    pub start: f64,
    /// Of the states, stages within steps among them, and where the run ends: N + 1 times.
    pub tau: Vec<f64>,
    /// The network's timesteps, one a step.
    pub timestep: Vec<f64>,
    /// N steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Of each evaluation the step that it belongs to, ascending.
    pub fn evaluated(&self) -> Vec<usize> {
        (0..self.steps.len()).filter(|&k| self.steps[k].afs.is_none()).collect()
    }

    /// Whether the first step has an analytic prediction: AFS.
    pub fn is_afs(&self) -> bool {
        self.steps.iter().any(|step| step.afs.is_some())
    }

    /// Whether samples depend on noise besides x_T, so that they solve no ODE.
    pub fn is_stochastic(&self) -> bool {
        self.steps.iter().any(|step| step.noise != 0.0)
    }

    /// Whether the first evaluation is that of x_T itself, as it is for every method here without AFS.
    pub fn evaluates_x_t(&self) -> bool {
        self.start == 1.0 && self.steps.first().is_some_and(|step| step.afs.is_none() && step.input == 1.0)
    }

    /// Where step `k` evaluates.
    pub fn at(&self, k: usize) -> f64 {
        self.steps[k].at.unwrap_or(self.tau[k])
    }
}

/// x_{k+1} = a x_k + Σ_j b_j x_{k−1−j} + Σ_j c_j ε_{k−j} + noise · z, newest first, with ε_k = ε(input · x_k, at).
///
/// Multistep methods on ε need a and c alone. The last stage of a step that began n evaluations before has a = 0 and its
/// factor of the state in b_{n−1}. Methods on data predictions, which are states and predictions both, have several b. Only
/// plans from files have `at` or `input`.
///
/// Keys of what is kept are hashes of this as JSON: what has its default is left out of it.
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
    /// Level of the evaluation, where it is not that of the state: a time, or σ in a plan file of variable y.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Factor of the state that the network is given.
    #[serde(skip_serializing_if = "is_one")]
    pub input: f64,
    /// w where nothing is evaluated: ε_k is w · x_T then. With start = 1, w = 1 is the analytic first step (Dockhorn et al. 2022,
    /// arXiv 2210.05475, section 3.3): where there is next to nothing but noise, its prediction is the state itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afs: Option<f64>,
}

impl Default for Step {
    /// To 0, with an evaluation of the state.
    fn default() -> Self {
        Step { a: 0.0, b: Vec::new(), c: Vec::new(), noise: 0.0, at: None, input: 1.0, afs: None }
    }
}

/// For serde.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// For serde.
pub(crate) fn is_one(value: &f64) -> bool {
    *value == 1.0
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
