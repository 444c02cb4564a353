//! Measured orders of convergence, in double precision, where the ODE's solution is known.
//!
//! Data is one Gaussian number, N(m, v). At τ it is N(√ᾱ m, s) with s = ᾱ v + σ², so that ε = σ (x − √ᾱ m)/s, and the flow
//! keeps (x − √ᾱ m)/√s. Methods run from τ = 0.6 to 0.2 on the continuous schedule, where all is smooth; multistep methods
//! start from exact history, so that what is measured is their own order and not their start's.

use crate::{Coefficients, Grid, Method, Normaliser, Plan, Predictor, Request, Result, Schedule, Solver, level::Level};

/// Where runs start and end.
const SPAN: (f64, f64) = (0.6, 0.2);
/// Predictions that the longest multistep method looks back on.
const HISTORY: usize = 4;

/// A data set of one Gaussian number, and a start.
struct Problem {
    m: f64,
    v: f64,
    /// x at τ = 1.
    start: f64,
}

/// Several, so that no method's error is small by chance.
const PROBLEMS: [Problem; 3] = [
    Problem { m: 0.3, v: 0.25, start: 1.3 },
    Problem { m: -0.5, v: 0.05, start: 0.4 },
    Problem { m: 0.1, v: 0.7, start: -0.9 },
];

/// How far a run of about `intervals` evaluations ends from the solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Evaluations spent.
    pub nfe: usize,
    /// Root mean square of x − x(τ) at the end, over the problems.
    pub error: f64,
}

/// Error of `method` with `nfe` evaluations. Normalised methods are given r(τ) = 0.5 + 0.3 τ.
///
/// Grids are even in τ; for iPNDM, corrected or not, whose weights are those of equal steps, in ρ (normalised: s).
///
/// # Errors
/// Where there are too few evaluations for a step.
pub fn measure(method: Method, nfe: usize) -> Result<Measured> {
    let schedule = Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 };
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let normaliser = Normaliser::new(tau.clone(), tau.iter().map(|tau| 0.5 + 0.3 * tau).collect())?;
    let level = Level::new(&schedule, method.normalise.then_some(&normaliser), Coefficients::Exact)?;
    let steps = method.solver.intervals(nfe, false);
    let between = |(from, to): (f64, f64), i: usize| from + (to - from) * i as f64 / steps as f64;
    let time = |i: usize| match method.solver {
        Solver::Ipndm { .. } | Solver::UniC { predictor: Predictor::Ipndm, .. } => {
            level.tau(between((level.at(SPAN.0), level.at(SPAN.1)), i))
        }
        _ => between(SPAN, i),
    };
    let grid = Grid::list((0..=steps).map(time).collect())?;
    let plan = method.plan(&Request { normaliser: Some(&normaliser), ..Request::new(&schedule, &grid, nfe) })?;
    let known = if method.solver.is_multistep() { HISTORY } else { 0 };
    let squared = |problem: &Problem| {
        let end = problem.solution(&schedule, plan.tau[plan.steps.len()]);
        (problem.run(&plan, &schedule, known) - end).powi(2)
    };
    let mean = PROBLEMS.iter().map(squared).sum::<f64>() / PROBLEMS.len() as f64;
    Ok(Measured { nfe: plan.nfe, error: mean.sqrt() })
}

/// The order p that two measurements show, where the error falls as nfe^−p.
pub fn order(coarse: Measured, fine: Measured) -> f64 {
    (coarse.error / fine.error).ln() / (fine.nfe as f64 / coarse.nfe as f64).ln()
}

impl Problem {
    /// x at the end of `plan`, its first `known` states replaced by the solution.
    fn run(&self, plan: &Plan, schedule: &Schedule, known: usize) -> f64 {
        let (mut x, mut epsilon) = (vec![self.solution(schedule, plan.tau[0])], Vec::new());
        for (k, step) in plan.steps.iter().enumerate() {
            epsilon.push(self.epsilon(schedule, x[k], plan.tau[k]));
            let sum = |factors: &[f64], terms: &[f64]| -> f64 {
                factors.iter().zip(terms.iter().rev()).map(|(factor, term)| factor * term).sum()
            };
            let next = step.a * x[k] + sum(&step.b, &x[..k]) + sum(&step.c, &epsilon);
            x.push(if k < known { self.solution(schedule, plan.tau[k + 1]) } else { next });
        }
        x[plan.steps.len()]
    }

    fn epsilon(&self, schedule: &Schedule, x: f64, tau: f64) -> f64 {
        schedule.sigma(tau) * (x - self.mean(schedule, tau)) / self.variance(schedule, tau)
    }

    fn solution(&self, schedule: &Schedule, tau: f64) -> f64 {
        let scale = (self.variance(schedule, tau) / self.variance(schedule, 1.0)).sqrt();
        self.mean(schedule, tau) + scale * (self.start - self.mean(schedule, 1.0))
    }

    fn mean(&self, schedule: &Schedule, tau: f64) -> f64 {
        schedule.alpha_bar(tau).sqrt() * self.m
    }

    fn variance(&self, schedule: &Schedule, tau: f64) -> f64 {
        let alpha_bar = schedule.alpha_bar(tau);
        alpha_bar * self.v + 1.0 - alpha_bar
    }
}
