//! What can be said of a plan from its numbers: what a reader of other people's tables wants to know.
//!
//! All of it in y = x/√ᾱ, where the ODE is dy/dσ = ε with σ = ρ, whatever variable the plan came in. A state is *carried* where a
//! later state that is carried is made of it; the last one is. The others are stages, which are seen by the network alone.

mod gaussian;

pub use gaussian::Gaussian;

use serde::Serialize;

use crate::{Levels, PlanFile, Result, Schedule, Step, Threshold, plan::ABOVE};

/// Relative defect up to which a step is exact: plans that went through x and single precision are off by as much.
pub const EXACT: f64 = 1e-6;
/// Highest order that is looked for.
const MAX_ORDER: usize = 6;
/// For levels in rounded arithmetic.
const ROUNDING: f64 = 1e-9;
/// How far a state's scale may be from the usual one for a plan to be judged from its own: EDM's σ_0 for √(1 + σ_0²), of σ_0 from 16 on.
pub const CONVENTION: f64 = 2e-3;

/// What a plan does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lint {
    /// Its name.
    pub method: String,
    /// Evaluations.
    pub nfe: usize,
    /// Steps whose prediction is analytic.
    pub afs: Vec<usize>,
    /// Whether it draws noise; then it solves no ODE.
    pub stochastic: bool,
    /// Whether data predictions are thresholded: all that is said here is of the plan without.
    pub thresholded: bool,
    /// The steps.
    pub steps: Vec<StepLint>,
    /// σ at the end.
    pub end_sigma: f64,
    /// τ at the end.
    pub end_tau: f64,
    /// What becomes of a constant image: 1 where it is carried exactly.
    pub image: f64,
    /// ∂y_N/∂ε if all ε are the same, as a part of σ_N − σ_0: 1 where a constant ε is carried exactly; none where σ_N is σ_0.
    pub constant: Option<f64>,
    /// The least order of the steps to carried states.
    pub order: usize,
    /// The order that most of the steps to carried states have at least: methods begin with lower ones, and end with them at σ = 0.
    pub usual_order: usize,
    /// The first state over x_T, as a part of what it is where a file says nothing: 1 there, and nearly 1 where σ_0 is taken for
    /// √(1 + σ_0²).
    pub start: f64,
    /// Steps whose network is given another multiple of the state than it was trained on.
    pub scaled: Vec<usize>,
    /// Levels above the schedule's largest, which have no time there.
    pub beyond: Vec<usize>,
    /// Evaluations of which nothing of the result depends on.
    pub unused: Vec<usize>,
    /// Steps shorter than 1/T.
    pub short: Vec<usize>,
    /// Evaluations below τ = 1/T, the least noise that a network is trained with.
    pub low: Vec<usize>,
    /// Errors on Gaussian data; none where there is noise.
    pub gaussian: Option<Gaussian>,
}

/// What one step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepLint {
    /// σ of the state.
    pub sigma: f64,
    /// τ of the state.
    pub tau: f64,
    /// σ of the evaluation.
    pub at: f64,
    /// Whether the state that it makes is carried.
    pub carried: bool,
    /// p where the step is exact for every ε that is a polynomial in σ of degree below p, from exact states; 0 where not even a
    /// constant image is kept. At most 6; none where the step does nothing.
    pub order: Option<usize>,
    /// Σ c and the state's part against the step, for constant ε: 0 where it is carried exactly, relative to the step.
    pub defect: f64,
    /// Σ|c|/|Σc|: 1 where nothing cancels; errors of ε grow with it. None where Σc is 0.
    pub cancellation: Option<f64>,
    /// ∂y_N/∂ε_k with every other ε as it is.
    pub sensitivity: f64,
}

impl Lint {
    /// Of a plan; `schedule` is that of a file in x, and gives times to one in y.
    ///
    /// # Errors
    /// Where the file is no plan.
    pub fn of(file: &PlanFile, schedule: &Schedule) -> Result<Self> {
        file.check()?;
        let y = file.in_y(schedule);
        let (sigma, steps) = (y.levels.values(), &y.steps);
        let n = steps.len();
        let time = |sigma: f64| if sigma < schedule.rho(1.0) { schedule.tau_of_rho(sigma) } else { 1.0 };
        let tau: Vec<f64> = match &file.levels {
            Levels::X { tau, .. } => tau.clone(),
            Levels::Y { sigma } => sigma.iter().map(|&sigma| time(sigma)).collect(),
        };
        let at: Vec<f64> = steps.iter().zip(sigma).map(|(step, &sigma)| step.at.unwrap_or(sigma)).collect();
        let carried = carried(steps);
        let (image, sensitivity) = adjoint(steps);
        let all: Vec<StepLint> = (0..n)
            .map(|k| StepLint {
                sigma: sigma[k],
                tau: tau[k],
                at: at[k],
                carried: carried[k + 1],
                order: order(k, &steps[k], sigma, &at),
                defect: defect(k, &steps[k], sigma, &at, 1),
                cancellation: cancellation(&steps[k].c),
                sensitivity: sensitivity[k],
            })
            .collect();
        let orders: Vec<usize> = all.iter().filter(|step| step.carried).filter_map(|step| step.order).collect();
        let least = orders.iter().copied().min().unwrap_or(0);
        let usual = |order: &usize| 2 * orders.iter().filter(|other| *other >= order).count() > orders.len();
        let step = 1.0 / schedule.levels() as f64;
        let is_short = |&k: &usize| {
            let length = tau[k] - tau[k + 1];
            length > ROUNDING && length < step * (1.0 - ROUNDING)
        };
        let evaluates = |k: &usize| steps[*k].afs.is_none();
        let live = live(steps);
        Ok(Lint {
            method: file.method.clone(),
            nfe: file.nfe(),
            afs: (0..n).filter(|k| !evaluates(k)).collect(),
            stochastic: steps.iter().any(|step| step.noise != 0.0),
            thresholded: file.threshold != Threshold::None,
            end_sigma: sigma[n],
            end_tau: tau[n],
            image,
            constant: quotient(sensitivity.iter().sum(), sigma[n] - sigma[0]),
            order: least,
            usual_order: orders.iter().copied().filter(usual).max().unwrap_or(0),
            start: y.start.map_or(1.0, |start| start / y.usual_start()),
            scaled: (0..n).filter(|&k| evaluates(&k) && (steps[k].input - 1.0).abs() > EXACT).collect(),
            beyond: (0..=n).filter(|&k| sigma[k] > schedule.rho(1.0) * (1.0 + ABOVE)).collect(),
            unused: (0..n).filter(|k| evaluates(k) && !live[*k]).collect(),
            short: (0..n).filter(is_short).collect(),
            low: (0..n).filter(evaluates).filter(|&k| time(at[k]) < step * (1.0 - ROUNDING)).collect(),
            gaussian: steps.iter().all(|step| step.noise == 0.0).then(|| Gaussian::of(&y)),
            steps: all,
        })
    }
}

/// Which of the N + 1 states are made into the last one.
fn carried(steps: &[Step]) -> Vec<bool> {
    let mut carried = vec![false; steps.len() + 1];
    carried[steps.len()] = true;
    for (k, step) in steps.iter().enumerate().rev() {
        if carried[k + 1] {
            carried[k] |= step.a != 0.0;
            for (j, _) in step.b.iter().enumerate().filter(|(_, b)| **b != 0.0) {
                carried[k - 1 - j] = true;
            }
        }
    }
    carried
}

/// Of which predictions the last state depends, through what the network sees of states too.
fn live(steps: &[Step]) -> Vec<bool> {
    let n = steps.len();
    let (mut states, mut predictions) = (vec![false; n + 1], vec![false; n]);
    states[n] = true;
    for (k, step) in steps.iter().enumerate().rev() {
        if states[k + 1] {
            states[k] |= step.a != 0.0;
            step.b.iter().enumerate().filter(|(_, b)| **b != 0.0).for_each(|(j, _)| states[k - 1 - j] = true);
            step.c.iter().enumerate().filter(|(_, c)| **c != 0.0).for_each(|(j, _)| predictions[k - j] = true);
        }
        // Of later steps all are looked at: nothing later makes ε_k live.
        states[k] |= predictions[k] && step.afs.is_none();
    }
    predictions
}

/// ∂y_N/∂y_0 and ∂y_N/∂ε_k of the sums alone.
fn adjoint(steps: &[Step]) -> (f64, Vec<f64>) {
    let n = steps.len();
    let (mut states, mut predictions) = (vec![0.0; n + 1], vec![0.0; n]);
    states[n] = 1.0;
    for (k, step) in steps.iter().enumerate().rev() {
        let of = states[k + 1];
        states[k] += step.a * of;
        step.b.iter().enumerate().for_each(|(j, b)| states[k - 1 - j] += b * of);
        step.c.iter().enumerate().for_each(|(j, c)| predictions[k - j] += c * of);
    }
    (states[0], predictions)
}

/// How far step `k` is from ∫ ε dσ for ε = u^{q−1} with u = (σ − σ_k)/H, relative to its largest term; for q = 0, from keeping a
/// constant image. H is how far back the step looks.
fn defect(k: usize, step: &Step, sigma: &[f64], at: &[f64], q: usize) -> f64 {
    let places = (0..step.c.len()).map(|j| at[k - j]).chain([sigma[k + 1]]);
    let reach = places.fold(0.0, |reach: f64, place| reach.max((place - sigma[k]).abs()));
    let reach = if reach > 0.0 { reach } else { 1.0 };
    let u = |level: f64| (level - sigma[k]) / reach;
    let y = |level: f64| match q {
        0 => 1.0,
        q => reach * u(level).powi(q as i32) / q as f64,
    };
    let epsilon = |level: f64| match q {
        0 => 0.0,
        q => u(level).powi(q as i32 - 1),
    };
    let states =
        std::iter::once(step.a * y(sigma[k])).chain(step.b.iter().enumerate().map(|(j, b)| b * y(sigma[k - 1 - j])));
    let predictions = step.c.iter().enumerate().map(|(j, c)| c * epsilon(at[k - j]));
    let terms: Vec<f64> = states.chain(predictions).chain([-y(sigma[k + 1])]).collect();
    let scale = terms.iter().fold(0.0, |scale: f64, term| scale.max(term.abs()));
    if scale > 0.0 { terms.iter().sum::<f64>() / scale } else { 0.0 }
}

fn order(k: usize, step: &Step, sigma: &[f64], at: &[f64]) -> Option<usize> {
    if sigma[k + 1] == sigma[k] && step.a == 1.0 && step.b.iter().chain(&step.c).all(|factor| *factor == 0.0) {
        return None;
    }
    let exact = |q: &usize| defect(k, step, sigma, at, *q).abs() < EXACT;
    // q = 0 and 1 make order 1.
    Some((0..=MAX_ORDER).take_while(exact).count().saturating_sub(1))
}

fn cancellation(c: &[f64]) -> Option<f64> {
    quotient(c.iter().map(|c| c.abs()).sum(), c.iter().sum::<f64>().abs())
}

/// None of nothing.
fn quotient(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|quotient| quotient.is_finite())
}
