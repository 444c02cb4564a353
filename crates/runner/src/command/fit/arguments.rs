//! What `fewstep fit` is asked for.

use fewstep_fit::Stage;
use serde::Deserialize;

use crate::{
    cli,
    experiment::{Experiment, FitSpec, MAX_HISTORY, MAX_IMAGES, MAX_ROUNDS},
    failure::{Failure, Result},
};

/// The most evaluations of a plan that is fitted: unknowns grow with it, and the time of the joint stage with its square.
const MOST: usize = 50;

/// The experiment's `[fit]` table, with what the arguments say instead.
pub fn chosen(arguments: &cli::Fit, experiment: &Experiment) -> Result<FitSpec> {
    let mut fit = experiment.fit.clone();
    let within = |name: &str, value: Option<usize>, most: usize, to: &mut usize| {
        let least = usize::from(name != "states");
        match value {
            Some(value) if !(least..=most).contains(&value) => {
                Err(Failure::Request(format!("--{name} is {value}; expected {least} to {most}")))
            }
            value => {
                *to = value.unwrap_or(*to);
                Ok(())
            }
        }
    };
    within("images", arguments.images, MAX_IMAGES, &mut fit.images)?;
    within("validation", arguments.validation, MAX_IMAGES, &mut fit.validation)?;
    within("history", arguments.history, MAX_HISTORY, &mut fit.spec.rule.history)?;
    within("states", arguments.states, MAX_HISTORY, &mut fit.spec.rule.states)?;
    within("rounds", arguments.rounds, MAX_ROUNDS, &mut fit.spec.rounds)?;
    fn named<T: for<'a> Deserialize<'a>>(name: &str, value: &str, known: &[&str]) -> Result<T> {
        let read = serde_json::from_value(serde_json::Value::String(value.to_owned()));
        read.map_err(|_| Failure::Request(format!("--{name}: no '{value}'; expected {}", known.join(", "))))
    }
    if let Some(name) = &arguments.constraint {
        fit.spec.rule.constraint = named("constraint", name, &fewstep_fit::Constraint::ALL.map(|one| one.name()))?;
    }
    if let Some(name) = &arguments.objective {
        fit.objective = named("objective", name, &fewstep_fit::Objective::ALL.map(|one| one.name()))?;
    }
    if let Some(grid) = &arguments.grid {
        fit.spec.grid = grid.parse()?;
    }
    if let Some(stages) = &arguments.stages {
        let names = Stage::ALL.map(Stage::name);
        fit.spec.stages = stages.iter().map(|name| named("stages", name, &names)).collect::<Result<Vec<Stage>>>()?;
        if fit.spec.stages.windows(2).any(|pair| pair[1] <= pair[0]) {
            let order = names.join(", ");
            return Err(Failure::Request(format!(
                "--stages: expected stages in this order, each at most once: {order}"
            )));
        }
    }
    Ok(fit)
}

/// The numbers of evaluations, ascending, each once.
pub fn numbers(asked: &[usize]) -> Result<Vec<usize>> {
    let mut nfes = asked.to_vec();
    nfes.sort_unstable();
    nfes.dedup();
    match nfes.iter().find(|nfe| !(1..=MOST).contains(*nfe)) {
        Some(nfe) => Err(Failure::Request(format!("--nfe has {nfe}; expected 1 to {MOST}"))),
        None => Ok(nfes),
    }
}
