//! `fewstep plan`: a method's coefficients.

use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, PlanFile, Request, Schedule};

use crate::{
    cli,
    failure::{Failure, Result},
};

/// Side of the images that `plan` takes for granted where a schedule depends on it: CIFAR-10's.
const SIZE: usize = 32;

/// Works the plan out and prints it.
pub fn run(arguments: &cli::Plan) -> Result<()> {
    let method = Method::new(&arguments.method, arguments.order)?;
    let grid: Grid = arguments.grid.parse()?;
    let Some(schedule) = Schedule::named(&arguments.schedule, SIZE) else {
        let known = Schedule::NAMES.join(", ");
        return Err(Failure::Request(format!("no schedule '{}'; expected {known}", arguments.schedule)));
    };
    let coefficients =
        [Coefficients::Exact, Coefficients::Reference].into_iter().find(|c| c.name() == arguments.coefficients);
    let coefficients = coefficients.ok_or_else(|| {
        Failure::Request(format!("no coefficients '{}'; expected exact or reference", arguments.coefficients))
    })?;
    let normaliser = match &arguments.normaliser {
        Some(path) => Some(Normaliser::read(path)?.with_clip(arguments.clip.unwrap_or(0))?),
        None if arguments.clip.is_some() => return Err(Failure::request("--clip needs --normaliser")),
        None => None,
    };
    let threshold = arguments.threshold.parse()?;
    let request = Request {
        coefficients,
        normaliser: normaliser.as_ref(),
        threshold,
        ..Request::new(&schedule, &grid, arguments.nfe)
    };
    let plan = method.plan(&request)?;
    if arguments.json {
        println!("{}", PlanFile::of(&plan, &arguments.schedule));
        return Ok(());
    }
    if arguments.order.is_none() && Method::recommended_order(&arguments.method).is_some() {
        eprintln!("no --order: {} is what its authors recommend (plan --help)", method.order());
    }
    println!("{} with {} NFE on the {} grid", method.label(), plan.nfe, plan.grid);
    if plan.nfe < arguments.nfe {
        println!("(asked for {}: this method cannot spend more of them here)", arguments.nfe);
    }
    println!("{:>4} {:>10} {:>10} {:>14}  c (newest first)", "step", "tau", "timestep", "a");
    let numbers = |values: &[f64]| values.iter().map(|c| format!("{c:.9}")).collect::<Vec<_>>().join(" ");
    for (i, step) in plan.steps.iter().enumerate() {
        let mut line = format!("{i:>4} {:>10.6} {:>10.3} {:>14.9}  ", plan.tau[i], plan.timestep[i], step.a);
        line.push_str(&numbers(&step.c));
        if !step.b.is_empty() {
            line.push_str(&format!("   earlier states {}", numbers(&step.b)));
        }
        if step.noise != 0.0 {
            line.push_str(&format!("   noise {:.9}", step.noise));
        }
        println!("{line}");
    }
    println!("{:>4} {:>10.6}", "end", plan.tau[plan.steps.len()]);
    Ok(())
}
