//! A network's own trajectories, known at every level between their points.

use std::sync::Arc;

use fewstep_sampler::{Plan, Schedule};

use crate::{Error, Result, vectors::combine};

/// ε(x, τ) of all images: `[n, …]` row-major in and out.
pub type Epsilon<'a> = dyn Fn(&[f32], f64) -> Result<Vec<f32>> + Sync + 'a;

/// States and predictions of many images along a run with many evaluations.
///
/// Between two points it is the cubic with the states and slopes of both: in y = x/√ᾱ and ρ the slope is the prediction, dy/dρ = ε.
#[derive(Debug, Clone)]
pub struct Teacher {
    schedule: Schedule,
    /// Numbers of an image.
    pub len: usize,
    /// Of the points, from 1 to the end.
    pub tau: Vec<f64>,
    /// Of the points; the first is x_T, the last x_0.
    pub x: Vec<Arc<[f32]>>,
    /// Of all points but the last.
    pub epsilon: Vec<Arc<[f32]>>,
}

impl Teacher {
    /// From what was kept of a run.
    ///
    /// # Errors
    /// Where lengths do not fit, levels do not descend or numbers are not finite.
    pub fn new(
        schedule: &Schedule,
        len: usize,
        tau: Vec<f64>,
        x: Vec<Arc<[f32]>>,
        epsilon: Vec<Arc<[f32]>>,
    ) -> Result<Self> {
        let fits = tau.len() >= 2 && x.len() == tau.len() && epsilon.len() + 1 == tau.len();
        let numbers = x.first().map_or(0, |x| x.len());
        let same = x.iter().chain(&epsilon).all(|values| values.len() == numbers);
        if !fits
            || !same
            || len == 0
            || numbers == 0
            || !numbers.is_multiple_of(len)
            || tau.windows(2).any(|pair| pair[1] >= pair[0])
        {
            return Err(Error::Request(
                "trajectories whose levels, states and predictions do not fit each other".into(),
            ));
        }
        for (k, values) in x.iter().chain(&epsilon).enumerate() {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let (image, point) = (at / len, k % tau.len());
                return Err(Error::Diverged(format!(
                    "image {image} of the trajectories to fit to is not finite at point {point}"
                )));
            }
        }
        Ok(Teacher { schedule: schedule.clone(), len, tau, x, epsilon })
    }

    /// The points that are kept of a run of so many steps: every `stride`-th from the end back, and the first.
    pub fn points(steps: usize, stride: usize) -> Vec<usize> {
        (0..=steps).filter(|&k| (steps - k).is_multiple_of(stride) || k == 0).collect()
    }

    /// Runs `plan`, which has an evaluation at every level and no others, from x_T and keeps [`points`](Self::points) of it.
    ///
    /// # Errors
    /// The network's, or where it diverges.
    pub fn run(
        schedule: &Schedule,
        plan: &Plan,
        start: Vec<f32>,
        len: usize,
        stride: usize,
        network: &Epsilon,
    ) -> Result<Self> {
        let steps = plan.steps.len();
        let kept = Teacher::points(steps, stride);
        let (mut tau, mut kept_x, mut kept_epsilon) = (Vec::new(), Vec::new(), Vec::new());
        let mut x: Arc<[f32]> = start.into();
        let mut history: Vec<Arc<[f32]>> = Vec::new();
        for (k, step) in plan.steps.iter().enumerate() {
            let epsilon: Arc<[f32]> = network(&x, plan.tau[k])?.into();
            if kept.contains(&k) {
                tau.push(plan.tau[k]);
                kept_x.push(x.clone());
                kept_epsilon.push(epsilon.clone());
            }
            history.insert(0, epsilon);
            history.truncate(step.c.len() + 1);
            let terms: Vec<(f64, &[f32])> = std::iter::once((step.a, &*x))
                .chain(step.c.iter().copied().zip(history.iter().map(|e| &**e)))
                .collect();
            x = combine(&terms).into();
        }
        tau.push(plan.tau[steps]);
        kept_x.push(x);
        Teacher::new(schedule, len, tau, kept_x, kept_epsilon)
    }

    /// Images.
    pub fn images(&self) -> usize {
        self.x[0].len() / self.len
    }

    /// The states at τ.
    pub fn at(&self, tau: f64) -> Arc<[f32]> {
        let last = self.tau.len() - 1;
        let next = self.tau.partition_point(|&other| other > tau).min(last);
        if self.tau[next] == tau || next == 0 {
            return self.x[next].clone();
        }
        let (i, alpha) = (next - 1, |tau: f64| self.schedule.alpha_bar(tau).sqrt());
        let (left, right) = (self.schedule.rho(self.tau[i]), self.schedule.rho(self.tau[next]));
        let (h, t) = (right - left, (self.schedule.rho(tau) - left) / (right - left));
        let to = alpha(tau);
        let [y0, y1] = [i, next].map(|point| to / alpha(self.tau[point]));
        let mut terms = Vec::new();
        if next == last {
            // There is no prediction at the end: the parabola.
            terms.extend([(y0 * (1.0 - t * t), &*self.x[i]), (y1 * t * t, &*self.x[next])]);
            terms.push((to * h * t * (1.0 - t), &*self.epsilon[i]));
        } else {
            let u = 1.0 - t;
            terms.extend([(y0 * u * u * (1.0 + 2.0 * t), &*self.x[i]), (y1 * t * t * (3.0 - 2.0 * t), &*self.x[next])]);
            terms.extend([(to * h * t * u * u, &*self.epsilon[i]), (-to * h * t * t * u, &*self.epsilon[next])]);
        }
        combine(&terms).into()
    }

    /// x_T.
    pub fn start(&self) -> &Arc<[f32]> {
        &self.x[0]
    }

    /// x_0.
    pub fn end(&self) -> &Arc<[f32]> {
        &self.x[self.x.len() - 1]
    }

    /// τ → ᾱ.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}
