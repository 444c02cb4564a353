//! `fewstep sample`: some samples of one cell, to look at or to hold against another program's.

use std::path::Path;

use super::{folders::run_folder, selection::named};
use crate::{
    cell::{Kept, Loaded, Places, images_of, normaliser},
    cli,
    experiment::{CHANNELS, Experiment, MethodEntry},
    failure::{Failure, Result},
    npz,
    progress::Progress,
    report::mosaic,
    source::{MEMORY, too_large},
};

/// Images where nothing is said.
const SAMPLES: usize = 64;

/// Samples, and draws or writes numbers. Nothing but what is asked for is written: a normaliser that no sweep kept is collected for
/// this once.
pub fn run(arguments: &cli::Sample) -> Result<()> {
    let numbers = is_npz(&arguments.out);
    if !numbers {
        mosaic::check_png(&arguments.out)?;
    }
    if let Some(path) = arguments.save_noise.as_ref().filter(|path| !is_npz(path)) {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .npz", path.display())));
    }
    let mut experiment = Experiment::read(&arguments.experiment)?;
    let entry = entry(arguments, &experiment)?;
    let size = experiment.model.size;
    let shape = [CHANNELS, size, size];
    let given = arguments.noise.as_deref().map(|path| npz::read(path, shape)).transpose()?;
    let most = given.as_ref().map_or(10_000, |(n, _)| *n);
    let samples = arguments.samples.unwrap_or(given.as_ref().map_or(SAMPLES, |_| most));
    if !(1..=most).contains(&samples) {
        return Err(Failure::Request(format!("--samples is {samples}; expected 1 to {most}")));
    }
    if !numbers {
        mosaic::fits(samples, size)?;
    }
    if let Some(reason) = too_large(&[samples, 8, CHANNELS, size, size], MEMORY) {
        return Err(Failure::Request(format!(
            "--samples is {samples}: so many of {size}x{size}, with their noise, {reason}"
        )));
    }
    if !entry.normalises() {
        experiment.normaliser = None;
    }
    let clip = experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
    let kept = run_folder(&experiment.name).join("cells");
    let loaded = Loaded::network(experiment, arguments.device)?;
    let sampler = &loaded.sampler;
    // A request that cannot be planned is refused before a normaliser is collected for it.
    entry.unnormalised().plan(&sampler.schedule, arguments.nfe, None)?;
    let kept = Kept::at(kept, false).with_known(sampler);
    let found = normaliser(&loaded, Places { keep: None, ..Places::of(&kept) }, false)?;
    let clipped = found.map(|found| found.normaliser.with_clip(clip)).transpose()?;
    let plan = entry.plan(&sampler.schedule, arguments.nfe, clipped.as_ref())?;
    let progress = Progress::new((samples * plan.nfe) as u64, "evaluations");
    eprintln!("{samples} samples of {} at {} NFE", described(&entry), plan.nfe);
    progress.say(entry.label());
    let (mut x, mut noise) = (Vec::new(), Vec::new());
    let seed = loaded.experiment.seeds[0];
    let work = |range: std::ops::Range<usize>| {
        let n = range.len() as u64;
        let start = match &given {
            Some((_, values)) => sampler.given(&values[range.start * sampler.len()..range.end * sampler.len()]),
            None => sampler.noise(seed, range.clone()),
        };
        let x = sampler.run_from(&plan, seed, start.clone(), range, |_, _| progress.advance(n))?;
        Ok((crate::cell::values(start)?, x))
    };
    sampler.batches((samples, plan.nfe), work, |_, (start, part)| {
        noise.extend(start);
        x.extend(part);
        Ok(())
    })?;
    progress.end();
    if let Some(path) = &arguments.save_noise {
        npz::write(path, [samples, CHANNELS, size, size], &noise)?;
        println!("{}", path.display());
    }
    match numbers {
        true => npz::write(&arguments.out, [samples, CHANNELS, size, size], &x)?,
        false => mosaic::write(&arguments.out, &images_of(&x, size)?)?,
    }
    println!("{}", arguments.out.display());
    Ok(())
}

fn is_npz(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "npz")
}

/// The experiment's method that is asked for, which must be one.
fn entry(arguments: &cli::Sample, experiment: &Experiment) -> Result<MethodEntry> {
    let is = |key, asked: &Option<String>, own: String| asked.as_ref().is_none_or(|asked| named(key, asked) == own);
    let asked = |entry: &&MethodEntry| {
        entry.name() == arguments.method
            && arguments.order.is_none_or(|order| order == entry.order())
            && is("grid", &arguments.grid, entry.grid())
            && is("coefficients", &arguments.coefficients, entry.coefficients().into())
            && is("threshold", &arguments.threshold, entry.threshold.to_string())
    };
    let refuse = |reason: String, entries: &[MethodEntry]| {
        let mut known: Vec<String> = entries.iter().map(described).collect();
        known.dedup();
        let (path, method) = (arguments.experiment.display(), &arguments.method);
        Err(Failure::Request(format!("{path}: {reason} '{method}'{}; it has {}", more(arguments), known.join("; "))))
    };
    let found: Vec<MethodEntry> = experiment.methods.iter().filter(asked).cloned().collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => refuse("no method".into(), &experiment.methods),
        several => refuse(format!("{} methods are", several.len()), several),
    }
}

/// What is asked for besides the name, as it is written.
fn more(arguments: &cli::Sample) -> String {
    let order = arguments.order.map(|order| order.to_string());
    let asked = [
        ("order", &order),
        ("grid", &arguments.grid),
        ("coefficients", &arguments.coefficients),
        ("threshold", &arguments.threshold),
    ];
    let said = asked.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?)));
    said.collect()
}

/// A method as this command asks for it.
fn described(entry: &MethodEntry) -> String {
    let order = match entry.order() {
        0 => String::new(),
        order => format!(" --order {order}"),
    };
    let (grid, coefficients) = (entry.grid(), entry.coefficients());
    format!("{}{order} --grid {grid} --coefficients {coefficients} --threshold {}", entry.name(), entry.threshold)
}
