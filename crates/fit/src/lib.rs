//! Plans computed for a network: least squares on its own trajectories, with forward passes alone.
//!
//! A method is a table of numbers: x_{k+1} = a x_k + Σ_j b_j x_{k−1−j} + Σ_j c_j ε_{k−j}. Which numbers are best for a network is
//! asked of the network: a [`Teacher`] is its trajectories from some noise with many evaluations, and a [`Problem`]
//! solves for the numbers of few. `docs/fit.md` says how, and what of it is whose.
//!
//! [`vectors`] sums over images, [`solve`] and [`rule`] make a step's factors of such sums, [`student`] runs and fits plans,
//! [`path`], [`search`] and [`joint`] find levels and all numbers together, [`stages`] puts them in a row, and [`trials`] let a run that was ended go on.

mod canary;
pub mod curve;
mod error;
pub mod joint;
pub mod objective;
pub mod path;
pub mod rule;
pub mod search;
pub mod solve;
pub mod stages;
pub mod student;
pub mod teacher;
pub mod trials;
pub mod vectors;

pub use canary::canary;
pub use curve::{Curve, Normalised};
pub use error::{Error, Result};
pub use objective::{Bands, Features, Objective, Target};
pub use path::Points;
pub use rule::{Constraint, Rule};
pub use stages::{Errors, Held, METHOD, Outcome, Problem, Spec, Stage};
pub use student::{Levels, Student};
pub use teacher::{Epsilon, Teacher};
pub use trials::{Journal, Trial, Trials};
