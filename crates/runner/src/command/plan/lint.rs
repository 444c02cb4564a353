//! `fewstep plan --lint`.

use fewstep_sampler::{
    Levels, PlanFile, Schedule,
    lint::{CONVENTION, EXACT, Lint, StepLint},
};

use serde::Serialize;

use crate::failure::{Failure, Result};

/// What is printed as JSON.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    lint: &'a Lint,
    /// Whose times are those of the levels.
    schedule: &'a str,
}

/// Says what the plan does, or prints it as JSON; `name` is what the schedule is called.
pub fn run(file: &PlanFile, schedule: &Schedule, name: &str, json: bool) -> Result<()> {
    let lint = Lint::of(file, schedule)?;
    if json {
        println!("{}", serde_json::to_string(&Said { lint: &lint, schedule: name }).map_err(Failure::run)?);
        return Ok(());
    }
    println!("{} with {} NFE in {} steps; in y = x/√ᾱ, where dy = ε dσ", lint.method, lint.nfe, lint.steps.len());
    let whose = if matches!(file.levels, Levels::Y { .. }) { ", which the file does not say" } else { "" };
    println!("times are those of schedule {name}{whose}");
    println!(
        "{:>4} {:>11} {:>9} {:>6} {:>10} {:>10} {:>12}",
        "step", "sigma", "tau", "order", "defect", "Σ|c|/|Σc|", "∂y_N/∂ε"
    );
    for (k, step) in lint.steps.iter().enumerate() {
        println!("{k:>4} {}", row(step));
    }
    println!(" end {:>11.6} {:>9.6}", lint.end_sigma, lint.end_tau);
    for note in notes(&lint) {
        println!("{note}");
    }
    Ok(())
}

fn row(step: &StepLint) -> String {
    let StepLint { sigma, tau, at, carried, order, defect, cancellation, sensitivity } = step;
    // A stage's own order is no flaw.
    let order = match order {
        _ if !carried => "stage".into(),
        Some(order) => order.to_string(),
        None => "none".into(),
    };
    let cancellation = cancellation.map_or("none".into(), |value| format!("{value:.4}"));
    let at = if at == sigma { String::new() } else { format!("  evaluated at {at:.6}") };
    format!("{sigma:>11.6} {tau:>9.6} {order:>6} {defect:>10.1e} {cancellation:>10} {sensitivity:>12.6}{at}")
}

fn notes(lint: &Lint) -> Vec<String> {
    let steps = |steps: &[usize]| steps.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let off = |value: f64| (value - 1.0).abs() < EXACT;
    let way = lint.constant.map_or("…".into(), |constant| format!("{constant:.6}"));
    let constant = match (off(lint.image), lint.constant.is_none_or(off)) {
        (true, _) if lint.constant.is_none() => "constant ε: the end is where the plan began".to_owned(),
        (true, true) => "constant ε: carried exactly to the end".to_owned(),
        (true, false) => {
            format!("constant ε: carried {way} times the way from the first level to the end")
        }
        (false, _) => format!(
            "constant ε: not carried; a constant image ends as {:.6} times itself, ε as {way} times the way",
            lint.image
        ),
    };
    let (least, usual) = (lint.order, lint.usual_order);
    let mut notes = vec![
        constant,
        format!(
            "order: most steps are exact for polynomials ε in σ of degree below {usual}, all for degree below {least}"
        ),
    ];
    if let Some(gaussian) = &lint.gaussian {
        let orders: Vec<String> = gaussian.adams_bashforth.iter().map(|error| format!("{error:.2e}")).collect();
        notes.push(format!(
            "Gaussian data: error {:.2e}{}; Adams–Bashforth of orders 1 to 4 on the same levels: {}",
            gaussian.error,
            gaussian
                .order
                .map_or_else(|| ", as of none of these orders alone".into(), |order| format!(", as of order {order}")),
            orders.join(", ")
        ));
    }
    // What is analytic has no error of a network.
    let evaluated = lint.steps.iter().enumerate().filter(|(k, _)| !lint.afs.contains(k));
    let sensitivity: Vec<(usize, f64)> = evaluated.map(|(k, step)| (k, step.sensitivity.abs())).collect();
    let largest = sensitivity.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    notes.push(format!(
        "errors: an error of 1 in every ε that the network gives moves y at the end by up to {:.4}, independent ones by {:.4}; most in step {}",
        sensitivity.iter().map(|(_, s)| s).sum::<f64>(),
        sensitivity.iter().map(|(_, s)| s * s).sum::<f64>().sqrt(),
        largest.map_or(0, |(k, _)| *k),
    ));
    if (lint.start - 1.0).abs() >= CONVENTION {
        notes.push(format!("start: the first state is {:.6} times what noise of its level would be", lint.start));
    }
    notes.push(match lint.end_sigma {
        0.0 => "end: no noise is left".into(),
        sigma => format!("end: noise of {sigma:.6} is left (τ = {:.6})", lint.end_tau),
    });
    let lists = [
        (&lint.afs, "analytic predictions, which cost no evaluation, in steps"),
        (&lint.scaled, "the network is given another multiple of the state than it was trained on, in steps"),
        (&lint.beyond, "more noise than the schedule has, shown as τ = 1, at levels"),
        (&lint.unused, "evaluations that nothing uses, in steps"),
        (&lint.short, "steps shorter than 1/T:"),
        (&lint.low, "evaluations below τ = 1/T, the least noise of training, in steps"),
    ];
    notes.extend(
        lists.into_iter().filter(|(list, _)| !list.is_empty()).map(|(list, what)| format!("{what} {}", steps(list))),
    );
    if lint.stochastic {
        notes.push("noise is drawn: no ODE is solved".into());
    }
    if lint.thresholded {
        notes.push("data predictions are thresholded: all of this is of the plan without that".into());
    }
    notes
}
