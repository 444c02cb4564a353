//! `fewstep curve`: the normaliser r(τ) of an experiment's network, and its figure.

use super::{folders::run_folder, score_curve::score_curve};
use crate::{
    cell::{Loaded, normaliser},
    cli,
    experiment::{Experiment, NormaliserSource},
    failure::{Failure, Result},
    files, interrupt, lock,
};

/// Collects the curve, or takes what a sweep of the same network kept, and writes it with its figure.
pub fn run(arguments: &cli::Curve) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    let collects =
        experiment.normaliser.as_ref().is_some_and(|spec| matches!(spec.source, NormaliserSource::Collect(_)));
    if !collects {
        let path = arguments.experiment.display();
        return Err(Failure::Request(format!("{path}: no [normaliser.collect] table says how to collect a curve")));
    }
    let folder = run_folder(&experiment.name);
    let out = arguments.out.clone().unwrap_or_else(|| folder.join("normaliser.csv"));
    let loaded = Loaded::network(experiment, arguments.device)?;
    // Only a folder that is written to anyway keeps what was collected.
    let own = arguments.out.is_none();
    if own {
        std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    }
    let _lock = own.then(|| lock::writing(&folder)).transpose()?;
    interrupt::listen()?;
    let Some(found) = normaliser(&loaded, &folder.join("cells"), own, false)? else { return Ok(()) };
    files::write(&out, found.csv.as_bytes())?;
    score_curve(&loaded, &found.normaliser, &out.with_extension(""))?;
    println!("{}", out.display());
    Ok(())
}
