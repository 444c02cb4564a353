//! `fewstep plan`: a method's coefficients, or a file's; what they do; and two plans side by side.

mod lint;
mod show;

use fewstep_sampler::{Coefficients, Grid, Levels, Method, Normaliser, PlanFile, Request, Schedule};

use crate::{
    cli,
    failure::{Failure, Result},
};

/// Side of the images that `plan` takes for granted where a schedule depends on it: CIFAR-10's.
const SIZE: usize = 32;

/// Works the plan out and prints it.
pub fn run(arguments: &cli::Plan) -> Result<()> {
    if let Some([a, b]) = arguments.diff.as_deref() {
        let [a, b] = [PlanFile::read(a)?, PlanFile::read(b)?];
        return show::side_by_side(&a, &b);
    }
    let (schedule, file, label) = match &arguments.file {
        Some(path) => {
            let file = PlanFile::read(path)?;
            let label = file.method.clone();
            (of_file(&file, &arguments.schedule)?, file, label)
        }
        None => of_method(arguments)?,
    };
    let file = in_variable(file, arguments, &schedule)?;
    match (arguments.lint, arguments.json) {
        (true, json) => lint::run(&file, &schedule, json),
        (false, true) => {
            println!("{file}");
            Ok(())
        }
        (false, false) => {
            show::alone(&file, &label, arguments.nfe);
            Ok(())
        }
    }
}

fn schedule(name: &str) -> Result<Schedule> {
    let known = || Schedule::NAMES.join(", ");
    Schedule::named(name, SIZE).ok_or_else(|| Failure::Request(format!("no schedule '{name}'; expected {}", known())))
}

/// The schedule that a file in x names; of one in y, what is asked for.
fn of_file(file: &PlanFile, asked: &str) -> Result<Schedule> {
    match &file.levels {
        Levels::X { schedule: name, .. } => schedule(name),
        Levels::Y { .. } => schedule(asked),
    }
}

/// In the variable that is asked for.
fn in_variable(file: PlanFile, arguments: &cli::Plan, schedule: &Schedule) -> Result<PlanFile> {
    let name = match &file.levels {
        Levels::X { schedule, .. } => schedule.clone(),
        Levels::Y { .. } => arguments.schedule.clone(),
    };
    match arguments.variable.as_deref() {
        Some("y") => Ok(file.in_y(schedule)),
        Some("x") => Ok(file.in_x(schedule, &name)?),
        _ => Ok(file),
    }
}

/// A method's plan, and what it is called.
fn of_method(arguments: &cli::Plan) -> Result<(Schedule, PlanFile, String)> {
    let (Some(name), Some(nfe)) = (&arguments.method, arguments.nfe) else {
        return Err(Failure::request("plan needs a file, or --method and --nfe"));
    };
    let method = Method::new(name, arguments.order)?;
    let grid: Grid = arguments.grid.parse()?;
    let schedule = schedule(&arguments.schedule)?;
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
    let request = Request {
        coefficients,
        normaliser: normaliser.as_ref(),
        threshold: arguments.threshold.parse()?,
        afs: arguments.afs,
        ..Request::new(&schedule, &grid, nfe)
    };
    let plan = method.plan(&request)?;
    if arguments.order.is_none() && Method::recommended_order(name).is_some() {
        eprintln!("no --order: {} is what its authors recommend (plan --help)", method.order());
    }
    let mut file = PlanFile::of(&plan, &arguments.schedule);
    let label = if arguments.afs { format!("{} AFS", method.label()) } else { method.label() };
    if arguments.afs {
        file.method = format!("{} AFS", file.method);
    }
    Ok((schedule, file, label))
}
