//! The one place where plans meet tensors.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::{Plan, Schedule, Threshold};

/// Where a run ended.
#[derive(Debug, Clone)]
pub struct Solution<const D: usize> {
    /// x at the end of the grid, of the shape of the start.
    pub x: Tensor<D>,
    /// How often the noise predictor was called.
    pub evaluations: usize,
}

/// Runs `plan` from `start`, x_T: x ← a x + Σ_j b_j x_{−1−j} + Σ_j c_j ε_{−j} + noise · z, beginning at plan.start · x_T.
///
/// `epsilon` is the noise predictor (x, τ) → ε, of the same shape as x. Its error ends the run. `noise` gives z for the step
/// with this number; deterministic plans never ask. `schedule` is the one that the plan was made for. Nothing outlives the
/// call.
///
/// # Errors
/// The predictor's own.
pub fn integrate<const D: usize, E>(
    plan: &Plan,
    schedule: &Schedule,
    start: Tensor<D>,
    mut epsilon: impl FnMut(Tensor<D>, f64) -> Result<Tensor<D>, E>,
    mut noise: impl FnMut(usize) -> Tensor<D>,
) -> Result<Solution<D>, E> {
    let (states, predictions) = (longest(plan, |step| step.b.len()), longest(plan, |step| step.c.len()));
    let scaled = |x: &Tensor<D>, factor: f64| if factor == 1.0 { x.clone() } else { x.clone() * factor };
    let (mut x, mut older, mut history) = (scaled(&start, plan.start), VecDeque::new(), VecDeque::new());
    for (k, step) in plan.steps.iter().enumerate() {
        let (seen, tau) = (scaled(&x, step.input), plan.at(k));
        let mut predicted = match step.afs {
            None => epsilon(seen.clone(), tau)?,
            Some(w) => scaled(&start, w),
        };
        if plan.threshold != Threshold::None {
            predicted = plan.threshold.apply(seen, predicted, schedule.alpha_bar(tau));
        }
        history.push_front(predicted);
        history.truncate(predictions);
        let terms = step.b.iter().zip(&older).chain(step.c.iter().zip(&history)).filter(|(factor, _)| **factor != 0.0);
        let mut next = terms.fold(x.clone() * step.a, |sum, (&factor, term)| sum + term.clone() * factor);
        if step.noise != 0.0 {
            next = next + noise(k) * step.noise;
        }
        older.push_front(std::mem::replace(&mut x, next));
        older.truncate(states);
    }
    Ok(Solution { x, evaluations: plan.evaluated().len() })
}

fn longest(plan: &Plan, length: impl Fn(&crate::Step) -> usize) -> usize {
    plan.steps.iter().map(length).max().unwrap_or(0)
}
