//! The one place where plans meet tensors.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::Plan;

/// Where a run ended.
#[derive(Debug, Clone)]
pub struct Solution<const D: usize> {
    /// x at τ = 0, of the shape of the start.
    pub x: Tensor<D>,
    /// How often the noise predictor was called.
    pub evaluations: usize,
}

/// Runs `plan` from x_T: x ← a x + Σ_j c_j ε_{−j}.
///
/// `epsilon` is the noise predictor (x, τ) → ε, of the same shape as x. Its error ends the run. Nothing outlives
/// the call.
///
/// # Errors
/// The predictor's own.
pub fn integrate<const D: usize, E>(
    plan: &Plan,
    start: Tensor<D>,
    mut epsilon: impl FnMut(Tensor<D>, f64) -> Result<Tensor<D>, E>,
) -> Result<Solution<D>, E> {
    let mut x = start;
    let mut history = VecDeque::new();
    let mut evaluations = 0;
    for (step, &tau) in plan.steps.iter().zip(&plan.tau) {
        history.push_front(epsilon(x.clone(), tau)?);
        evaluations += 1;
        history.truncate(step.c.len());
        x = step.c.iter().zip(&history).fold(x * step.a, |x, (&c, epsilon)| x + epsilon.clone() * c);
    }
    Ok(Solution { x, evaluations })
}
