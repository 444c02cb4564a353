//! `fewstep curve`: the normaliser r(τ) of an experiment's network, and its figure.

use fewstep_sampler::Normaliser;

use super::{folders::run_folder, score_curve::score_curve};
use crate::{
    cell::{Kept, Loaded, Places, normaliser},
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
    // What is drawn beside it is found wrong before anything is collected.
    experiment
        .normaliser
        .iter()
        .flat_map(|spec| &spec.published)
        .try_for_each(|path| Normaliser::read(path).map(drop))?;
    interrupt::listen()?;
    // With a file of its own, what is collected is kept beside that until it is there.
    let (out, keep, _lock) = match &arguments.out {
        Some(out) => {
            if out.is_dir() || out.file_name().is_none() {
                return Err(Failure::Request(format!("{}: a folder; expected the name of a file", out.display())));
            }
            if out.extension().is_some_and(|ending| ending == "svg" || ending == "png") {
                let message =
                    format!("{}: its chart would be written over it; expected a name that ends in .csv", out.display());
                return Err(Failure::Request(message));
            }
            let name = out.file_name().unwrap_or_default().to_string_lossy();
            files::make_folder(&files::parent(out))?;
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
    let all = Kept::at(kept.clone(), false).with_known(&loaded.sampler);
    let Some(found) = normaliser(&loaded, Places { keep: Some(&keep), ..Places::of(&all) }, false)? else {
        return Ok(());
    };
    files::write(&out, found.csv.as_bytes())?;
    score_curve(&loaded, &found.normaliser, &out.with_extension(""))?;
    if keep != kept {
        files::remove_folder(&keep)?;
    }
    println!("{}", out.display());
    Ok(())
}
