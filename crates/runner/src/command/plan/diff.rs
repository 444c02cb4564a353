//! `fewstep plan --diff`: two plans, and whether they are the same.

use fewstep_sampler::{Levels, PlanFile, Step};

use super::{
    named,
    show::{level, rest, variable},
};
use crate::failure::Result;

/// Two plans, a step of each under one another: in x where both are on one schedule and y is not asked for, else in y.
pub fn side_by_side(a: &PlanFile, b: &PlanFile, in_y: bool) -> Result<()> {
    let name = |file: &PlanFile| match &file.levels {
        Levels::X { schedule, .. } => Some(schedule.clone()),
        Levels::Y { .. } => None,
    };
    let keep = name(a) == name(b) && !in_y;
    let converted = |file: &PlanFile| -> Result<PlanFile> {
        Ok(match name(file).filter(|_| !keep) {
            Some(name) => file.in_y(&named(&name, super::SIZE)?),
            None => file.clone(),
        })
    };
    let [a, b] = [converted(a)?, converted(b)?];
    for (letter, file) in [("A", &a), ("B", &b)] {
        let (nfe, steps, start) = (file.nfe(), file.steps.len(), start(file));
        println!(
            "{letter}: {} with {nfe} NFE in {steps} steps, in {}, from {start:.9} x_T, threshold {}",
            file.method,
            variable(file),
            file.threshold
        );
    }
    for i in 0..=a.steps.len().max(b.steps.len()) {
        for (letter, file) in [("A", &a), ("B", &b)] {
            let Some(&at) = file.levels.values().get(i) else { continue };
            let numbers = file.steps.get(i).map(|step| format!("{:>14.9}  {}", step.a, rest(step)));
            println!("{i:>4} {letter} {} {}", level(at), numbers.unwrap_or("end".into()));
        }
    }
    differences(&a, &b).iter().for_each(|difference| println!("{difference}"));
    Ok(())
}

/// What differs, a line each; the last one is of the numbers.
fn differences(a: &PlanFile, b: &PlanFile) -> Vec<String> {
    let mut said = Vec::new();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            said.push(format!("they differ in {what}: A {a}, B {b}"));
        }
    };
    let afs = |file: &PlanFile| {
        let steps = (0..file.steps.len()).filter(|&k| file.steps[k].afs.is_some());
        let steps: Vec<String> = steps.map(|k| k.to_string()).collect();
        if steps.is_empty() { "none".into() } else { format!("in {}", steps.join(", ")) }
    };
    differ("evaluations", a.nfe().to_string(), b.nfe().to_string());
    differ("analytic predictions", afs(a), afs(b));
    differ("threshold", a.threshold.to_string(), b.threshold.to_string());
    differ("steps", a.steps.len().to_string(), b.steps.len().to_string());
    if a.steps.len() != b.steps.len() {
        return said;
    }
    let mut worst = [0.0, apart(&[start(a)], &[start(b)]), 0.0];
    for i in 0..=a.steps.len() {
        worst
            .iter_mut()
            .zip(largest(a, b, i))
            .for_each(|(worst, largest): (&mut f64, f64)| *worst = worst.max(largest));
    }
    let [level, state, prediction] = worst;
    said.push(format!(
        "largest differences: {level:.2e} of a level, {state:.2e} of a factor of a state, {prediction:.2e} of a factor of ε"
    ));
    said
}

/// The factor of x_T that is the first state.
fn start(file: &PlanFile) -> f64 {
    file.start.unwrap_or(file.usual_start())
}

/// The largest difference, relative to the largest of both.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let at = |values: &[f64], j: usize| values.get(j).copied().unwrap_or(0.0);
    let scale = a.iter().chain(b).fold(0.0, |scale: f64, value| scale.max(value.abs()));
    let pairs = (0..a.len().max(b.len())).map(|j| (at(a, j) - at(b, j)).abs());
    pairs.fold(0.0, f64::max) / if scale > 0.0 { scale } else { 1.0 }
}

/// Between the levels, the factors of states and those of predictions of step `i`.
fn largest(a: &PlanFile, b: &PlanFile, i: usize) -> [f64; 3] {
    let empty = Step::default();
    let [one, other] = [a, b].map(|file| file.steps.get(i).unwrap_or(&empty));
    let states = |step: &Step| [&[step.a][..], &step.b, &[step.input, step.noise]].concat();
    let levels = |file: &PlanFile| {
        let own = file.levels.values().get(i).copied().unwrap_or(0.0);
        [own, file.steps.get(i).and_then(|step| step.at).unwrap_or(own)]
    };
    let predictions = |step: &Step| [&[step.afs.unwrap_or(0.0)][..], &step.c].concat();
    [apart(&levels(a), &levels(b)), apart(&states(one), &states(other)), apart(&predictions(one), &predictions(other))]
}
