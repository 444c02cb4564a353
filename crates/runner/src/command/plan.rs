//! `fewstep plan`: a method's coefficients, or a file's; what they do; and two plans side by side.

mod diff;
mod lint;
mod show;

use fewstep_sampler::{Coefficients, Grid, Levels, Method, Normaliser, Plan, PlanFile, Request, Schedule};

use crate::{
    cli,
    failure::{Failure, Result},
};

/// Side of the images where nothing is said: CIFAR-10's.
const SIZE: u16 = 32;
/// The schedule where nothing is said.
const SCHEDULE: &str = "linear";
/// The schedule that depends on the size of images, so that a file in x cannot name it.
const SIZED: &str = "simple-diffusion";

/// Works the plan out and prints it.
pub fn run(arguments: &cli::Plan) -> Result<()> {
    if let Some([a, b]) = arguments.diff.as_deref() {
        let in_y = match arguments.variable.as_deref() {
            Some("x") => {
                return Err(Failure::request("--diff shows x where both files are in x; expected --variable y"));
            }
            variable => variable.is_some(),
        };
        let [a, b] = [PlanFile::read(a)?, PlanFile::read(b)?];
        return diff::side_by_side(&a, &b, in_y);
    }
    let size = arguments.size.unwrap_or(SIZE);
    let (name, schedule, file, label) = match &arguments.file {
        Some(path) => {
            let file = PlanFile::read(path)?;
            let label = file.method.clone();
            let name = of_file(&file, arguments.schedule.as_deref())?;
            let schedule = named(&name, size)?;
            let in_y = matches!(file.levels, Levels::Y { .. });
            if in_y && arguments.schedule.is_some() && !arguments.lint && arguments.variable.as_deref() != Some("x") {
                let message = "--schedule has no meaning for a file in y; expected --lint or --variable x beside it";
                return Err(Failure::request(message));
            }
            (name, schedule, file, label)
        }
        None => {
            let name = arguments.schedule.clone().unwrap_or(SCHEDULE.into());
            let schedule = named(&name, size)?;
            let (file, label) = of_method(arguments, &schedule, &name)?;
            (name, schedule, file, label)
        }
    };
    if arguments.size.is_some() && name != SIZED {
        return Err(Failure::Request(format!("--size is for schedule {SIZED}; '{name}' is the same for every size")));
    }
    let file = match variable(arguments, &name)? {
        Some("y") => file.in_y(&schedule),
        Some(_) => file.in_x(&schedule, &name)?,
        None => file,
    };
    match (arguments.lint, arguments.json) {
        (true, json) => lint::run(&file, &schedule, &name, json),
        (false, true) => {
            println!("{file}");
            Ok(())
        }
        (false, false) => {
            // A file may call its levels what it likes.
            let is_its = |plan: Plan| file.grid.parse::<Grid>().is_ok_and(|grid| plan.is_on(&grid, &schedule));
            let believed = arguments.file.is_none() || file.plan(&schedule, &name).is_ok_and(is_its);
            show::alone(&file, &label, (arguments.nfe, believed));
            Ok(())
        }
    }
}

/// The schedule of a file that says one, and else the usual one, with its name.
pub(super) fn schedule_of(file: &PlanFile) -> Result<(Schedule, String)> {
    let name = of_file(file, None)?;
    Ok((named(&name, SIZE)?, name))
}

fn named(name: &str, size: u16) -> Result<Schedule> {
    let known = || Schedule::NAMES.join(", ");
    let schedule = Schedule::named(name, size.into());
    schedule.ok_or_else(|| Failure::Request(format!("no schedule '{name}'; expected {}", known())))
}

/// The schedule that a file in x names; of one in y, what is asked for.
fn of_file(file: &PlanFile, asked: Option<&str>) -> Result<String> {
    match (&file.levels, asked) {
        (Levels::X { schedule, .. }, Some(asked)) if schedule != asked => {
            Err(Failure::Request(format!("--schedule is {asked}; the file is in x on schedule '{schedule}'")))
        }
        (Levels::X { schedule, .. }, _) => Ok(schedule.clone()),
        (Levels::Y { .. }, asked) => Ok(asked.unwrap_or(SCHEDULE).into()),
    }
}

/// The variable to print in, where that is not the plan's own: a file in x cannot say which of its schedules simple diffusion means.
fn variable<'a>(arguments: &'a cli::Plan, schedule: &str) -> Result<Option<&'a str>> {
    let asked = arguments.variable.as_deref();
    if schedule != SIZED || !arguments.json || arguments.lint {
        return Ok(asked);
    }
    match asked {
        Some("x") => Err(Failure::Request(format!(
            "schedule '{SIZED}' depends on the size of images, and no file in x is on it; expected --variable y"
        ))),
        _ => Ok(Some("y")),
    }
}

/// A method's plan, and what it is called.
fn of_method(arguments: &cli::Plan, schedule: &Schedule, schedule_name: &str) -> Result<(PlanFile, String)> {
    let (Some(name), Some(nfe)) = (&arguments.method, arguments.nfe) else {
        return Err(Failure::request("plan needs a file, or --method and --nfe"));
    };
    let method = Method::new(name, arguments.order)?;
    let grid: Grid = arguments.grid.parse()?;
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
        ..Request::new(schedule, &grid, nfe)
    };
    let plan = method.plan(&request)?;
    if arguments.order.is_none() && Method::recommended_order(name).is_some() {
        eprintln!("no --order: {} is what its authors recommend (plan --help)", method.order());
    }
    let mut file = PlanFile::of(&plan, schedule_name);
    let label = if arguments.afs { format!("{} AFS", method.label()) } else { method.label() };
    if arguments.afs {
        file.method = format!("{} AFS", file.method);
    }
    Ok((file, label))
}
