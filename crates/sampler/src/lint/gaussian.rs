//! A plan on Gaussian data, beside Adams–Bashforth methods on the same levels.

use serde::Serialize;

use super::CONVENTION;
use crate::{PlanFile, quadrature::gauss};

/// Mean and variance of the data, several so that no error is small by chance.
const DATA: [(f64, f64); 3] = [(0.3, 0.25), (-0.5, 0.05), (0.1, 0.7)];
/// x_T.
const STARTS: [f64; 3] = [1.3, 0.4, -0.9];

/// Root mean square of y_N − y(σ_N) over three data sets of one Gaussian number and three starts, in units of the data. With data
/// N(m, v), ε(y, σ) = σ (y − m)/(v + σ²) and the ODE's solution is y(σ) = m + (y_0 − m) √((v + σ²)/(v + σ_0²)).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gaussian {
    /// Of the plan.
    pub error: f64,
    /// Of ρAB-DEIS of order 0 to 3, Adams–Bashforth in σ of orders 1 (DDIM) to 4, from the same state over the plan's distinct
    /// levels.
    pub adams_bashforth: [f64; 4],
    /// That of these whose error is nearest, as a factor: the order with which the plan solves a Gaussian's ODE at its number of evaluations. None where
    /// it is not nearer than half the way to the next.
    pub order: Option<usize>,
}

impl Gaussian {
    /// Of a plan in y without noise.
    pub(super) fn of(y: &PlanFile) -> Self {
        let sigma = y.levels.values();
        // Two conventions are in use; what is neither starts elsewhere than the solution does.
        let (usual, start) = (y.usual_start(), y.start.unwrap_or(y.usual_start()));
        let true_start = if (start / usual - 1.0).abs() < CONVENTION { start } else { usual };
        let mut levels = sigma.to_vec();
        levels.dedup();
        let rms = |end: &dyn Fn(f64, f64, f64) -> f64| {
            let runs = DATA.iter().flat_map(|&(m, v)| STARTS.map(|x| (m, v, x)));
            let squared = runs.map(|(m, v, x)| {
                let variance = |sigma: f64| v + sigma * sigma;
                let scale = (variance(sigma[sigma.len() - 1]) / variance(sigma[0])).sqrt();
                (end(m, v, x) - (m + (true_start * x - m) * scale)).powi(2)
            });
            (squared.sum::<f64>() / (DATA.len() * STARTS.len()) as f64).sqrt()
        };
        let adams_bashforth = [1, 2, 3, 4].map(|order| {
            rms(&|m, v, x| adams_bashforth(&levels, order, true_start * x, |y, sigma| epsilon(m, v, y, sigma)))
        });
        let error = rms(&|m, v, x| run(y, start, x, |y, sigma| epsilon(m, v, y, sigma)));
        Gaussian { error, adams_bashforth, order: nearest(error, &adams_bashforth) }
    }
}

/// Of the orders from 1 on, the one whose error is nearest to `error` in logarithms, where it is nearer than half the way to the next one's.
fn nearest(error: f64, errors: &[f64]) -> Option<usize> {
    let log = |error: f64| error.max(f64::MIN_POSITIVE).ln();
    let mut all: Vec<(f64, usize)> = (1..=errors.len()).map(|p| ((log(error) - log(errors[p - 1])).abs(), p)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let way = |pair: &[(f64, usize)]| (log(errors[pair[0].1 - 1]) - log(errors[pair[1].1 - 1])).abs();
    let clear = all.windows(2).next().is_some_and(|pair| pair[0].0 < 0.5 * way(pair));
    clear.then_some(all[0].1)
}

fn epsilon(m: f64, v: f64, y: f64, sigma: f64) -> f64 {
    sigma * (y - m) / (v + sigma * sigma)
}

/// y_N.
fn run(plan: &PlanFile, start: f64, x: f64, epsilon: impl Fn(f64, f64) -> f64) -> f64 {
    let sigma = plan.levels.values();
    let (mut states, mut predictions) = (vec![start * x], Vec::new());
    for (k, step) in plan.steps.iter().enumerate() {
        let at = step.at.unwrap_or(sigma[k]);
        predictions.push(step.afs.map_or_else(|| epsilon(step.input * states[k], at), |w| w * x));
        let sum = |factors: &[f64], terms: &[f64]| -> f64 {
            factors.iter().zip(terms.iter().rev()).map(|(factor, term)| factor * term).sum()
        };
        states.push(step.a * states[k] + sum(&step.b, &states[..k]) + sum(&step.c, &predictions));
    }
    states[plan.steps.len()]
}

/// y ← y + ∫ P dσ with P the polynomial through the last `order` predictions.
fn adams_bashforth(levels: &[f64], order: usize, mut y: f64, epsilon: impl Fn(f64, f64) -> f64) -> f64 {
    let mut nodes: Vec<(f64, f64)> = Vec::new();
    for pair in levels.windows(2) {
        nodes.push((pair[0], epsilon(y, pair[0])));
        let last = &nodes[nodes.len().saturating_sub(order)..];
        y += gauss(pair[0], pair[1], |sigma| {
            let basis = |j: usize| -> f64 {
                let others = last.iter().enumerate().filter(|(i, _)| *i != j);
                others.map(|(_, (place, _))| (sigma - place) / (last[j].0 - place)).product()
            };
            (0..last.len()).map(|j| last[j].1 * basis(j)).sum()
        });
    }
    y
}
