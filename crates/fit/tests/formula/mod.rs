//! Networks that are formulas.
#![allow(dead_code)]

use std::sync::Arc;

use fewstep_fit::{Constraint, Objective, Result, Rule, Target, Teacher};
use fewstep_sampler::{Grid, Method, Request, Schedule};

pub const SIDE: usize = 4;
pub const LEN: usize = 3 * SIDE * SIDE;
/// Mean and variance of Gaussian data.
// With a mean of 0 the state and its prediction would be the same but for a factor.
pub const MEAN: f64 = 0.2;
pub const VARIANCE: f64 = 0.25;

pub fn rule(history: usize, constraint: Constraint) -> Rule {
    Rule { history, states: 0, constraint, ridge: 0.0 }
}

pub fn noise(images: usize, phase: f32) -> Vec<f32> {
    (0..images * LEN).map(|i| 1.4 * (1.7 * i as f32 + phase).sin()).collect()
}

/// √ᾱ, σ and the variance of x.
pub fn levels(schedule: &Schedule, tau: f64) -> (f64, f64, f64) {
    let (signal, sigma) = (schedule.alpha_bar(tau).sqrt(), schedule.sigma(tau));
    (signal, sigma, signal * signal * VARIANCE + sigma * sigma)
}

/// ε of Gaussian data.
pub fn gaussian(schedule: &Schedule, x: &[f32], tau: f64) -> Result<Vec<f32>> {
    let (signal, sigma, variance) = levels(schedule, tau);
    Ok(x.iter().map(|x| (sigma * (f64::from(*x) - signal * MEAN) / variance) as f32).collect())
}

/// Its ODE's solution from x at `from`.
pub fn exact(schedule: &Schedule, x: &[f32], from: f64, tau: f64) -> Arc<[f32]> {
    let ((s, _, v), (to, _, w)) = (levels(schedule, from), levels(schedule, tau));
    x.iter().map(|x| (to * MEAN + (f64::from(*x) - s * MEAN) * (w / v).sqrt()) as f32).collect()
}

/// On the quadratic grid, its times times `from`.
pub fn exact_teacher(schedule: &Schedule, images: usize, points: usize, from: f64) -> Teacher {
    let tau: Vec<f64> = Grid::quadratic().times(points, schedule).unwrap().iter().map(|tau| from * tau).collect();
    let start = noise(images, 0.0);
    let x: Vec<Arc<[f32]>> = tau.iter().map(|&tau| exact(schedule, &start, from, tau)).collect();
    let epsilon = x.iter().zip(&tau[..points]).map(|(x, &tau)| gaussian(schedule, x, tau).unwrap().into()).collect();
    Teacher::new(schedule, LEN, tau, x, epsilon).unwrap()
}

/// Neither linear nor the same for all numbers.
pub fn bent(schedule: &Schedule, x: &[f32], tau: f64) -> Result<Vec<f32>> {
    let (signal, sigma, variance) = levels(schedule, tau);
    let bend = |(i, x): (usize, &f32)| {
        let x = f64::from(*x);
        (sigma * x / variance + 0.4 * signal * sigma * (2.0 * x + i as f64).sin()) as f32
    };
    Ok(x.iter().enumerate().map(bend).collect())
}

pub fn bent_teacher(schedule: &Schedule, images: usize, phase: f32) -> Teacher {
    let plan = Method::deis(2).plan(&Request::new(schedule, &Grid::quadratic(), 200)).unwrap();
    Teacher::run(schedule, &plan, noise(images, phase), LEN, 2, &|x, tau| bent(schedule, x, tau)).unwrap()
}

/// What is minimised, against the teacher's ends.
pub fn target(objective: Objective, teacher: &Teacher) -> Target {
    Target::new(objective, SIDE, LEN, teacher.end().to_vec())
}
