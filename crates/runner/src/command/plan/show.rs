//! A plan as text.

use std::fmt::Write;

use fewstep_sampler::{Levels, PlanFile, Step};

/// A plan, step by step; `asked` evaluations were asked for, and the levels are `believed` to be the grid's.
pub fn alone(file: &PlanFile, label: &str, (asked, believed): (Option<usize>, bool)) {
    let (nfe, levels) = (file.nfe(), file.levels.values());
    let grid = match (file.grid.as_str(), believed) {
        ("", _) => String::new(),
        (grid, true) => format!(" on the {grid} grid"),
        (grid, false) => format!(" on levels of its own, which it calls {grid}"),
    };
    println!("{label} with {nfe} NFE{grid}, in {}", variable(file));
    if asked.is_some_and(|asked| nfe < asked) {
        println!("(asked for {}: this method cannot spend more of them here)", asked.unwrap_or(nfe));
    }
    if !file.threshold.is_none() {
        println!("data predictions are thresholded: {}", file.threshold);
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
pub(super) fn level(level: f64) -> String {
    if level < 1000.0 { format!("{level:>10.6}") } else { format!("{level:>10.3}") }
}

/// Everything of a step but a.
pub(super) fn rest(step: &Step) -> String {
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

pub(super) fn variable(file: &PlanFile) -> String {
    match &file.levels {
        Levels::X { schedule, .. } => format!("x on schedule {schedule}"),
        Levels::Y { .. } => "y".into(),
    }
}
