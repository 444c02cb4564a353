//! The figure of a loaded experiment's normaliser.

use std::path::Path;

use fewstep_sampler::Normaliser;

use crate::{
    cell::Loaded,
    experiment::NormaliserSource,
    failure::Result,
    report::score_curve::{self, ScoreCurve},
};

/// A normaliser's files in a folder of results.
pub const NORMALISER: [&str; 3] = ["normaliser.csv", "normaliser.svg", "normaliser.png"];

/// Draws the normaliser of a loaded experiment.
pub fn score_curve(loaded: &Loaded, normaliser: &Normaliser, stem: &Path) -> Result<()> {
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
        errors: normaliser.errors().to_vec(),
        sigma: normaliser.tau().iter().map(|&tau| loaded.sampler.schedule.sigma(tau)).collect(),
        used: normaliser.tau().iter().map(|&tau| used.at(tau)).collect(),
        published: published.collect::<Result<_>>()?,
    };
    score_curve::write(stem, &curve)
}
