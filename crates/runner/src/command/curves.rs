//! `fewstep curves`: the score's curves of several networks, and of others' published ones, in one figure.

use std::path::Path;

use fewstep_sampler::{Grid, Normaliser, Schedule};

use crate::{
    cell::{Loaded, by_image, curve_plan},
    cli,
    device::DeviceName,
    experiment::{CollectSpec, Experiment, ModelKind, NormaliserSource},
    failure::{Failure, Result},
    files, lock,
    progress::Progress,
    report::{
        curves::{self, Measured, Spread},
        figures,
    },
    results::{BUILD, BURN, Folder, Provenance},
};

/// Measures every network, and writes the tables, the figure and their provenance.
pub fn run(arguments: &cli::Curves) -> Result<()> {
    // What cannot be read is said before anything is measured.
    let published = arguments.published.iter().map(|path| published(path)).collect::<Result<Vec<_>>>()?;
    let experiments = arguments.experiments.iter().map(|path| Experiment::read(path)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> =
        experiments.iter().map(name).chain(published.iter().map(|curve| curve.name.clone())).collect();
    if let Some(twice) = names.iter().enumerate().find_map(|(i, name)| names[..i].contains(name).then_some(name)) {
        return Err(Failure::Request(format!("two curves called {twice}; expected every network once")));
    }
    // Provenance and table of one kind of results are no other's.
    if Folder::is_at(&arguments.out) || figures::others(&arguments.out, curves::FILE).is_some() {
        let message = format!("{}: other results are there; expected a folder for the curves", arguments.out.display());
        return Err(Failure::Request(message));
    }
    files::make_folder(&arguments.out)?;
    let _lock = lock::writing(&arguments.out)?;
    let mut provenance = Provenance {
        experiment: "curves".into(),
        title: "The score's curves".into(),
        fewstep: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        builds: [(BUILD.to_owned(), experiments.len())].into(),
        ..Provenance::default()
    };
    let mut all: Vec<Measured> = Vec::new();
    for experiment in experiments {
        let name = name(&experiment);
        let (curve, loaded) = measure(experiment, name, arguments.images as usize, arguments.device)?;
        provenance.assets.insert(format!("network {}", curve.name), loaded.sampler.predictor.identity());
        *provenance.devices.entry(loaded.device).or_default() += 1;
        all.push(curve);
    }
    for (path, curve) in arguments.published.iter().zip(published) {
        provenance.assets.insert(format!("published {}", curve.name), files::sha256_of(path)?);
        all.push(curve);
    }
    print!("{}", curves::write(&arguments.out, &all)?);
    provenance.write(&arguments.out)?;
    figures::write(&arguments.out)?;
    println!("{}", arguments.out.display());
    Ok(())
}

/// What a network is called: its file, or the kind of oracle.
fn name(experiment: &Experiment) -> String {
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    match &experiment.model.kind {
        ModelKind::UNet { weights, .. } => stem(weights),
        ModelKind::Ideal { .. } | ModelKind::Mixture(_) => experiment.name.clone(),
    }
}

/// Where an experiment does not say how its curve is collected.
const EVALUATIONS: usize = 100;

fn measure(experiment: Experiment, name: String, images: usize, device: DeviceName) -> Result<(Measured, Loaded)> {
    let asked = experiment.normaliser.as_ref().and_then(|spec| match &spec.source {
        NormaliserSource::Collect(collect) => Some(collect.clone()),
        NormaliserSource::File(_) => None,
    });
    let grid = Grid::quadratic();
    let collect = asked.unwrap_or(CollectSpec { nfe: EVALUATIONS, samples: images, seed: 1, grid });
    let spec = CollectSpec { samples: images, ..collect };
    let loaded = Loaded::network(experiment, device)?;
    let plan = curve_plan(&loaded.sampler, &spec)?;
    let progress = Progress::new((spec.nfe * spec.samples) as u64, "evaluations");
    progress.say(&name);
    let mut means = by_image(&loaded.sampler, &spec, &plan, |n| progress.advance(n))?;
    progress.end();
    let mut tau = plan.tau[..spec.nfe].to_vec();
    tau.reverse();
    means.reverse();
    let r: Vec<f64> = means.iter().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect();
    if let Some(at) = r.iter().position(|r| !r.is_finite()) {
        return Err(Failure::run(format!("{name}: mean |ε| at τ = {} is {}", tau[at], r[at])));
    }
    let sigma = tau.iter().map(|&tau| loaded.sampler.schedule.sigma(tau)).collect();
    let source = format!("{images} images, {} NFE, {}", spec.nfe, spec.grid.name());
    Ok((Measured { name, source, tau, sigma, r, spread: Some(Spread::of(&means)) }, loaded))
}

/// A published file: its name, and the first words of its comments.
fn published(path: &Path) -> Result<Measured> {
    let normaliser = Normaliser::read(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let source = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or("published").to_owned();
    Ok(Measured::published(name, source, &normaliser, &Schedule::linear()))
}
