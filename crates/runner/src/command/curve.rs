//! `fewstep curve`: the normaliser r(τ) of an experiment's network, and its figure.

use super::{folders::run_folder, score_curve::score_curve};
use crate::{
    cell::{Loaded, normaliser},
    cli,
    experiment::{Experiment, NormaliserSource},
    failure::{Failure, Result},
    files, interrupt,
    lock::{self, Lock},
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
    let kept = folder.join("cells");
    interrupt::listen()?;
    // With a file of its own, what is collected is kept beside that until it is there.
    let (out, keep, _lock) = match &arguments.out {
        Some(out) => {
            let name = out.file_name().unwrap_or_default().to_string_lossy();
            let hidden = |ending: &str| out.with_file_name(format!(".{name}.{ending}"));
            files::check_writable(out)?;
            let wait = |holder: &str| eprintln!("{}: {holder} writes it; waiting for its end", out.display());
            (out.clone(), hidden("parts"), Lock::wait(&hidden("lock"), wait)?)
        }
        None => {
            std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
            (folder.join("normaliser.csv"), kept.clone(), lock::writing(&folder)?)
        }
    };
    let loaded = Loaded::network(experiment, arguments.device)?;
    let Some(found) = normaliser(&loaded, &kept, Some(&keep), false)? else { return Ok(()) };
    files::write(&out, found.csv.as_bytes())?;
    if keep != kept {
        files::remove_folder(&keep)?;
    }
    score_curve(&loaded, &found.normaliser, &out.with_extension(""))?;
    println!("{}", out.display());
    Ok(())
}
