//! `fewstep sample`: some samples of one cell, to look at.

use fewstep_sampler::Method;

use super::folders::run_folder;
use crate::{
    cell::{Loaded, images_of, normaliser},
    cli,
    experiment::{Experiment, MethodEntry},
    failure::{Failure, Result},
    progress::Progress,
    report::mosaic,
};

/// Samples and draws. Nothing but the picture is written: a normaliser that no sweep kept is collected for this once.
pub fn run(arguments: &cli::Sample) -> Result<()> {
    mosaic::check_png(&arguments.out)?;
    let mut experiment = Experiment::read(&arguments.experiment)?;
    let entry = entry(arguments, &experiment)?;
    if !(1..=10_000).contains(&arguments.samples) {
        return Err(Failure::Request(format!("--samples is {}; expected 1 to 10000", arguments.samples)));
    }
    if !entry.method.normalise {
        experiment.normaliser = None;
    }
    let clip = experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
    let kept = run_folder(&experiment.name).join("cells");
    let loaded = Loaded::network(experiment, arguments.device)?;
    // A request that cannot be planned is refused before a normaliser is collected for it.
    let plain = MethodEntry { method: Method::plain(entry.method.solver), ..entry.clone() };
    plain.plan(&loaded.sampler.schedule, arguments.nfe, None)?;
    let found = normaliser(&loaded, &kept, false, false)?;
    let clipped = found.map(|found| found.normaliser.with_clip(clip)).transpose()?;
    let plan = entry.plan(&loaded.sampler.schedule, arguments.nfe, clipped.as_ref())?;
    let progress = Progress::new((arguments.samples * plan.nfe) as u64, "evaluations");
    progress.say(entry.method.label());
    let mut x = Vec::new();
    let sampler = &loaded.sampler;
    let seed = loaded.experiment.seeds[0];
    sampler.batches(
        arguments.samples,
        |range| sampler.run(&plan, seed, range.clone(), |_, _| progress.advance(range.len() as u64)),
        |_, part| {
            x.extend(part);
            Ok(())
        },
    )?;
    progress.end();
    mosaic::write(&arguments.out, &images_of(&x, sampler.size)?)?;
    println!("{}", arguments.out.display());
    Ok(())
}

/// The experiment's method that is asked for.
fn entry(arguments: &cli::Sample, experiment: &Experiment) -> Result<MethodEntry> {
    let asked = |entry: &&MethodEntry| {
        entry.method.name() == arguments.method && arguments.order.is_none_or(|order| order == entry.method.order())
    };
    experiment.methods.iter().find(asked).cloned().ok_or_else(|| {
        let known: Vec<String> = experiment.methods.iter().map(|entry| entry.method.label()).collect();
        let order = arguments.order.map_or(String::new(), |order| format!(" of order {order}"));
        Failure::Request(format!(
            "{}: no method '{}'{order}; it has {}",
            arguments.experiment.display(),
            arguments.method,
            known.join(", ")
        ))
    })
}
