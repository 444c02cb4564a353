//! Plans as text.

use std::fmt::Write;

use fewstep_sampler::{Levels, PlanFile, Step};

use super::schedule;
use crate::failure::Result;

/// A plan, step by step; `asked` evaluations were asked for.
pub fn alone(file: &PlanFile, label: &str, asked: Option<usize>) {
    let (nfe, levels) = (file.nfe(), file.levels.values());
    let grid = if file.grid.is_empty() { String::new() } else { format!(" on the {} grid", file.grid) };
    println!("{label} with {nfe} NFE{grid}, in {}", variable(file));
    if asked.is_some_and(|asked| nfe < asked) {
        println!("(asked for {}: this method cannot spend more of them here)", asked.unwrap_or(nfe));
    }
    if let Some(start) = file.start {
        println!("the first state is {start:.9} times noise of variance 1");
    }
    let timesteps = file.timestep();
    println!("{:>4} {:>10} {:>10} {:>14}  c (newest first)", "step", file.levels.name(), "timestep", "a");
    for (i, step) in file.steps.iter().enumerate() {
        let timestep = timesteps.as_ref().map_or(String::new(), |timesteps| format!("{:.3}", timesteps[i]));
        println!("{i:>4} {} {timestep:>10} {:>14.9}  {}", level(levels[i]), step.a, rest(step));
    }
    println!("{:>4} {}", "end", level(levels[file.steps.len()]));
}

/// A level, in ten places.
fn level(level: f64) -> String {
    if level < 1000.0 { format!("{level:>10.6}") } else { format!("{level:>10.3}") }
}

/// Everything of a step but a.
fn rest(step: &Step) -> String {
    let mut text = numbers(&step.c);
    // Writing to a string cannot fail.
    if !step.b.is_empty() {
        _ = write!(text, "   earlier states {}", numbers(&step.b));
    }
    if step.noise != 0.0 {
        _ = write!(text, "   noise {:.9}", step.noise);
    }
    if let Some(at) = step.at {
        _ = write!(text, "   at {at:.9}");
    }
    if step.input != 1.0 {
        _ = write!(text, "   input {:.9}", step.input);
    }
    if let Some(w) = step.afs {
        _ = write!(text, "   AFS: no evaluation, {w} x_T");
    }
    text
}

fn numbers(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.9}")).collect::<Vec<_>>().join(" ")
}

fn variable(file: &PlanFile) -> String {
    match &file.levels {
        Levels::X { schedule, .. } => format!("x on schedule {schedule}"),
        Levels::Y { .. } => "y".into(),
    }
}

/// Two plans, a step of each under one another: in x where both are on one schedule, else in y.
pub fn side_by_side(a: &PlanFile, b: &PlanFile) -> Result<()> {
    let name = |file: &PlanFile| match &file.levels {
        Levels::X { schedule, .. } => Some(schedule.clone()),
        Levels::Y { .. } => None,
    };
    let same = name(a) == name(b);
    let converted = |file: &PlanFile| -> Result<PlanFile> {
        Ok(match name(file).filter(|_| !same) {
            Some(name) => file.in_y(&schedule(&name)?),
            None => file.clone(),
        })
    };
    let [a, b] = [converted(a)?, converted(b)?];
    for (letter, file) in [("A", &a), ("B", &b)] {
        println!(
            "{letter}: {} with {} NFE in {} steps, in {}",
            file.method,
            file.nfe(),
            file.steps.len(),
            variable(file)
        );
    }
    let mut worst: [f64; 3] = [0.0; 3];
    for i in 0..=a.steps.len().max(b.steps.len()) {
        for (letter, file) in [("A", &a), ("B", &b)] {
            let Some(&at) = file.levels.values().get(i) else { continue };
            let numbers = file.steps.get(i).map(|step| format!("{:>14.9}  {}", step.a, rest(step)));
            println!("{i:>4} {letter} {} {}", level(at), numbers.unwrap_or("end".into()));
        }
        let largest = difference(&a, &b, i);
        worst.iter_mut().zip(largest).for_each(|(worst, largest)| *worst = worst.max(largest));
    }
    match (a.steps.len() == b.steps.len(), worst) {
        (false, _) => println!("they have {} and {} steps", a.steps.len(), b.steps.len()),
        (true, [level, state, prediction]) => println!(
            "largest differences: {level:.2e} of a level, {state:.2e} of a factor of a state, {prediction:.2e} of a factor of ε"
        ),
    }
    Ok(())
}

/// Between the levels, the factors of states and those of predictions of step `i`, relative to the largest of both.
fn difference(a: &PlanFile, b: &PlanFile, i: usize) -> [f64; 3] {
    let apart = |a: &[f64], b: &[f64]| {
        let at = |values: &[f64], j: usize| values.get(j).copied().unwrap_or(0.0);
        let scale = a.iter().chain(b).fold(0.0, |scale: f64, value| scale.max(value.abs()));
        let pairs = (0..a.len().max(b.len())).map(|j| (at(a, j) - at(b, j)).abs());
        pairs.fold(0.0, f64::max) / if scale > 0.0 { scale } else { 1.0 }
    };
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
