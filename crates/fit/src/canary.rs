//! What the code of a fit does, on a formula.

use std::sync::Arc;

use fewstep_sampler::{Grid, Method, Plan, Request, Schedule};

use crate::{
    Error, Result, curve,
    objective::{Features, Objective, Target},
    path::Points,
    rule::{Constraint, Rule},
    stages::{Held, Problem, Spec, Stage},
    student::Levels,
    teacher::Teacher,
};

/// Plans that all stages make of a network that is a formula: different ones where any of the code that makes them does anything
/// else.
///
/// # Errors
/// None that is known.
pub fn canary() -> Result<Vec<Plan>> {
    let schedule = Schedule::linear();
    let images = 2;
    let network = |x: &[f32], tau: f64| -> Result<Vec<f32>> {
        let (signal, sigma) = (schedule.alpha_bar(tau).sqrt() as f32, schedule.sigma(tau) as f32);
        let gain = sigma / (0.3 * signal * signal + sigma * sigma);
        Ok(x.iter().enumerate().map(|(i, x)| gain * x + 0.05 * signal * (2.0 * x + i as f32).sin()).collect())
    };
    let dense = Method::deis(2).plan(&Request::new(&schedule, &Grid::quadratic(), 24))?;
    let run = |side: usize, phase: f32| {
        let noise = (0..images * 3 * side * side).map(|i| 1.3 * (1.7 * i as f32 + phase).sin()).collect::<Vec<f32>>();
        Teacher::run(&schedule, &dense, noise, 3 * side * side, 1, &network)
    };
    let mut plans = Vec::new();
    // Of pools there are 8 by 8.
    for (objective, constraint, states, side) in [
        (Objective::Bands, Constraint::Free, 0, 4),
        (Objective::Rms, Constraint::Consistent, 1, 4),
        (Objective::Spectrum, Constraint::Unit, 0, 4),
        (Objective::White, Constraint::Unit, 2, 4),
        (Objective::Pooled, Constraint::Free, 1, 16),
        (Objective::Inception, Constraint::Free, 0, 4),
    ] {
        let (teacher, other) = (run(side, 0.0)?, run(side, 0.5)?);
        let (points, len) = (Points::of(&teacher), 3 * side * side);
        let features: Arc<Features> = Arc::new(|x| Ok(x.iter().map(|x| x.tanh()).collect()));
        let target =
            |teacher: &Teacher| Target::new(objective, side, len, teacher.end().to_vec()).with_features(&features);
        let validation = Held { start: other.start().clone(), target: target(&other)? };
        let target = target(&teacher)?;
        let problem =
            Problem { teacher: &teacher, points: &points, target: &target, validation: &validation, network: &network };
        let rule = Rule { history: 2, states, constraint, ridge: 1e-9 };
        let spec = Spec {
            rule,
            ridges: Vec::new(),
            grid: Grid::quadratic(),
            grids: vec![Grid::trailing()],
            stages: Stage::ALL.into(),
            rounds: 2,
        };
        problem.fit(&spec, 3, &(), |outcome| {
            plans.push(outcome.plan);
            Ok::<(), Error>(())
        })?;
    }
    let numbers = Levels { tau: curve::canary(&schedule)?, at: Vec::new() };
    plans.push(numbers.plan(&[], &schedule, "curve"));
    let (levels, steps) = Points::of(&run(4, 0.0)?).olss(3)?;
    plans.push(levels.plan(&steps, &schedule, "olss"));
    Ok(plans)
}
