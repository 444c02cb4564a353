//! `fewstep orders 'mine-{nfe}.json'`: how plan files converge, from the files that there are.

use std::{fmt::Write, path::Path};

use fewstep_sampler::{
    PlanFile,
    lint::{Gaussian, Lint},
};

use crate::{
    command::plan::schedule_of,
    experiment::NFE,
    failure::{Failure, Result},
};

/// The most that is looked for.
const MAX_NFE: usize = 1000;

/// Errors on Gaussian data, evaluations ascending, and between each two the order of convergence.
pub fn run(pattern: &str) -> Result<()> {
    if !pattern.contains(NFE) {
        return Err(Failure::Request(format!(
            "{pattern}: expected {NFE} in the name, and a file for each of several numbers of evaluations"
        )));
    }
    let path = |nfe: usize| pattern.replace(NFE, &nfe.to_string());
    let there = (1..=MAX_NFE).map(|nfe| (nfe, path(nfe))).filter(|(_, path)| Path::new(path).exists());
    let (mut errors, mut schedule) = (Vec::new(), None);
    for (nfe, path) in there {
        let (gaussian, named) = of_file(Path::new(&path), nfe)?;
        let first = schedule.get_or_insert_with(|| named.clone());
        if *first != named {
            let message =
                format!("{path}: schedule '{named}'; the files before have '{first}', and an order is of one");
            return Err(Failure::Request(message));
        }
        errors.push((nfe, gaussian));
    }
    let Some(schedule) = schedule.filter(|_| errors.len() > 1) else {
        let found = errors.len();
        let message = format!(
            "{pattern}: {found} files, with numbers from 1 to {MAX_NFE} as they are; an order is between two at least"
        );
        return Err(Failure::Request(message));
    };
    print!("{}", table(pattern, &schedule, &errors));
    Ok(())
}

/// With the schedule that its levels are of.
fn of_file(path: &Path, nfe: usize) -> Result<(Gaussian, String)> {
    let file = PlanFile::read(path)?;
    let refuse = |reason: String| Failure::Request(format!("{}: {reason}", path.display()));
    if file.nfe() != nfe {
        return Err(refuse(format!("{} evaluations; its name says {nfe}", file.nfe())));
    }
    let (schedule, name) = schedule_of(&file)?;
    let gaussian = Lint::of(&file, &schedule)?.gaussian;
    Ok((gaussian.ok_or_else(|| refuse("noise in its steps, and no ODE that it solves".into()))?, name))
}

/// Of each file its error and that of Adams–Bashforth methods on its levels, and the slopes since the file before.
fn table(pattern: &str, schedule: &str, errors: &[(usize, Gaussian)]) -> String {
    let mut text = format!(
        "# Convergence of {pattern}, schedule {schedule}\n\nError at the end on Gaussian data, in units of the data, and the order since the row before: \
         log(error before/error) / log(NFE/NFE before). Beside it Adams–Bashforth in σ of orders 1 (DDIM) to 4 on the same levels.\n\n\
         | NFE | error | order | AB-1 | order | AB-2 | order | AB-3 | order | AB-4 | order |\n|---:|{}\n",
        "---:|".repeat(10)
    );
    for (i, (nfe, found)) in errors.iter().enumerate() {
        _ = write!(text, "| {nfe} |");
        let before = i.checked_sub(1).map(|before| &errors[before]);
        let columns = |gaussian: &Gaussian| [&[gaussian.error], &gaussian.adams_bashforth[..]].concat();
        for (column, error) in columns(found).iter().enumerate() {
            let order = before
                .map(|(fewer, gaussian)| (columns(gaussian)[column] / error).ln() / (*nfe as f64 / *fewer as f64).ln());
            let order = order.filter(|order| order.is_finite()).map_or(String::new(), |order| format!("{order:.2}"));
            _ = write!(text, " {error:.2e} | {order} |");
        }
        text.push('\n');
    }
    text
}
