//! The commands, a file each.

mod compare;
mod curve;
mod documents;
mod fetch;
mod fid;
mod help;
mod orders;
mod plan;
mod publish;
mod report;
mod sample;
mod selection;
mod stats;
mod sweep;
mod train;

use std::path::{Path, PathBuf};

use fewstep_sampler::Normaliser;

pub use help::with_lists;

use crate::{
    cell::Loaded,
    cli::{Command, RUNS},
    experiment::NormaliserSource,
    failure::Result,
    report::score_curve::{self, ScoreCurve},
};

/// Runs a command.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Curve(arguments) => curve::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Fid(arguments) => fid::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Fetch { assets } => fetch::run(&assets),
        Command::Orders { out } => orders::run(&out),
        Command::Report(arguments) => report::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Documents(arguments) => documents::run(&arguments),
    }
}

/// Where what is published lies.
const PUBLISHED: &str = "results";

/// The folder of runs of the experiment `name`.
fn run_folder(name: &str) -> PathBuf {
    Path::new(RUNS).join(name)
}

/// The folder of what is published of it.
fn published_folder(name: &str) -> PathBuf {
    Path::new(PUBLISHED).join(name)
}

/// Draws the normaliser of a loaded experiment.
fn score_curve(loaded: &Loaded, normaliser: &Normaliser, stem: &Path) -> Result<()> {
    let Some(spec) = &loaded.experiment.normaliser else { return Ok(()) };
    let used = normaliser.clone().with_clip(spec.clip)?;
    let published = spec.published.iter().map(|path| {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let curve = Normaliser::read(path)?;
        Ok((name, curve.tau().iter().copied().zip(curve.values().iter().copied()).collect()))
    });
    let source = match &spec.source {
        NormaliserSource::File(file) => {
            file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        NormaliserSource::Collect(collect) => format!("{} images, {} NFE", collect.samples, collect.nfe),
    };
    let curve = ScoreCurve {
        title: format!("Mean absolute score, {} ({source})", loaded.experiment.name),
        tau: normaliser.tau().to_vec(),
        r: normaliser.values().to_vec(),
        errors: Vec::new(),
        sigma: normaliser.tau().iter().map(|&tau| loaded.sampler.schedule.sigma(tau)).collect(),
        used: normaliser.tau().iter().map(|&tau| used.at(tau)).collect(),
        published: published.collect::<Result<_>>()?,
    };
    score_curve::write(stem, &curve)
}
