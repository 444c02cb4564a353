//! Few-step samplers of the probability-flow ODE of a diffusion model, as tables of numbers.
//!
//! Time τ ∈ [0, 1] has the data at 0. With ᾱ(τ) from a [`Schedule`] and σ = √(1 − ᾱ) the ODE is
//! dx/dτ = f x + ½ g² ε/σ with f = ½ d ln ᾱ/dτ and g² = −d ln ᾱ/dτ. Every method here is a [`Plan`]: for each
//! step a number a and numbers c, so that x ← a x + Σ_j c_j ε_{−j} over the noise predictions, newest first (methods with
//! stages or data predictions add earlier states; see [`Step`]).
//! A [`Schedule`] knows nothing of steps, a [`Grid`] nothing of models, a [`Method`] nothing of tensors; only
//! [`integrate()`] touches them. A [`PlanFile`] is a plan that anyone may have written.
//!
//! ```
//! use fewstep_sampler::{Grid, Method, Request, Schedule};
//!
//! let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
//! let request = Request::new(&schedule, &grid, 10);
//! let plan = Method::deis(2).plan(&request)?;
//! assert_eq!(plan.steps.len(), 10);
//! # Ok::<(), fewstep_sampler::Error>(())
//! ```

pub mod convergence;
mod error;
mod flow;
mod grid;
mod integrate;
mod level;
mod linear;
pub mod lint;
mod method;
mod normaliser;
mod plan;
mod quadrature;
mod schedule;
mod step_bound;
mod threshold;

pub use error::{Error, Result};
pub use grid::Grid;
pub use integrate::{Solution, integrate};
use linear::Linear;
pub use method::{B, Lowered, MAX_ORDER, Method, MethodName, Predictor, Request, Solver, Tableau, Traits, Variable};
pub use normaliser::Normaliser;
pub use plan::{Coefficients, Levels, Plan, PlanFile, Step};
pub use schedule::Schedule;
pub use threshold::Threshold;
