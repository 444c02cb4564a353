//! Features of the network's own converged samples, which tell the sampler's error from the network's.
//!
//! As a set they are what a sampler of any method is to give, whatever the network is worth: `fid_solution` is the Fréchet distance to
//! converged samples from other noise, whose limit of many images is 0. Image by image they are what the same noise is to become:
//! `fid_paired` and `feature_rmse`. The samples are those whose Fréchet distances the solution's row of a table has, with
//! `floor` evaluations of the [`solution`]'s method.

use std::ops::Range;

use fewstep_fid::{Gaussian, Moments};

use super::{
    figures::Rows,
    kept::{Kept, Numbers},
    key::{self, Key},
    load::{Loaded, Space},
    parts::{Part, Parts, Widths},
    sampler::images_of,
    solution::{self, Solution},
};
use crate::{
    experiment::SolutionSpec,
    failure::{Failure, Result},
    progress::Progress,
    results::{Features, Noise},
};

/// Converged samples of one seed in a feature space.
pub struct Converged {
    /// The space.
    pub features: Features,
    /// Where they started.
    pub noise: Noise,
    /// `[samples, dim]` row-major.
    pub rows: Vec<f32>,
    /// Their moments.
    pub gaussian: Gaussian,
    /// Squared L2 distance of each of the first images' features to those with twice the evaluations; of the same noise only, and 0
    /// for a formula.
    pub check: Vec<f64>,
}

const NAME: &str = "converged";

/// The key of what [`Converged::find`] gives.
pub fn key(loaded: &Loaded, space: &Space, noise: Noise, seed: u64) -> Result<Key> {
    let plan = spec(loaded)?.floor.map(|nfe| solution::plan(loaded, nfe)).transpose()?;
    let (sampler, samples) = (&loaded.sampler, loaded.experiment.samples);
    let extractor = space.extractor.as_ref();
    key::converged(sampler, &loaded.canary, plan.as_ref(), (seed, noise), samples, extractor, &space.canary)
}

fn spec(loaded: &Loaded) -> Result<SolutionSpec> {
    loaded.experiment.solution.ok_or_else(|| Failure::request("converged samples need a [solution] table"))
}

/// Evaluations and features that finding them takes, `solution` apart; for the time left.
pub fn work(features: Features, noise: Noise, spec: &SolutionSpec, samples: usize) -> u64 {
    let sampled = if noise == Noise::Other { spec.floor.unwrap_or(0) } else { 0 };
    samples as u64 * (sampled as u64 + features.cost())
}

impl Converged {
    /// Converged samples of a seed, from where they are kept if they are; `same` are those of the seed's own noise.
    ///
    /// # Errors
    /// As sampling; where those of the own noise are asked for and not given.
    pub fn find(
        loaded: &Loaded,
        space: &Space,
        of: (Noise, u64),
        same: Option<&Solution>,
        kept: &Kept,
        progress: &Progress,
    ) -> Result<Self> {
        let (noise, seed) = of;
        let key = key(loaded, space, noise, seed)?;
        let (samples, dim) = (loaded.experiment.samples, space.extractor.dim());
        let numbers = match kept.read(NAME, &key, samples * dim) {
            Some(numbers) => {
                progress.skip(work(space.features, noise, &spec(loaded)?, samples));
                numbers
            }
            None => {
                let mut values = Vec::with_capacity(samples * dim);
                let parts = gather(loaded, space, of, same, 0..samples, kept, progress, |part| {
                    values.extend(part);
                    Ok(())
                })?;
                let check =
                    if noise == Noise::Same { checked(loaded, space, seed, same, &values)? } else { Vec::new() };
                let counted = same.filter(|_| noise == Noise::Same).map_or(0.0, |same| same.counted);
                let numbers = Numbers { counted, check, values, ..Numbers::default() };
                kept.write(NAME, &key, &numbers)?;
                parts.remove()?;
                numbers
            }
        };
        let mut moments = Moments::new(dim);
        moments.push(&numbers.values)?;
        let Numbers { values: rows, check, .. } = numbers;
        Ok(Converged { features: space.features, noise, rows, gaussian: moments.gaussian()?, check })
    }

    /// Keeps the features of some of the images as a part.
    ///
    /// # Errors
    /// As [`Converged::find`].
    pub fn part(
        loaded: &Loaded,
        space: &Space,
        of: (Noise, u64),
        same: Option<&Solution>,
        images: &Range<usize>,
        kept: &Kept,
        progress: &Progress,
    ) -> Result<()> {
        gather(loaded, space, of, same, images.clone(), kept, progress, |_| Ok(()))?.keep()
    }
}

/// Gives `take` the features of the 8-bit images of converged samples of a range, in order.
#[expect(clippy::too_many_arguments, reason = "of what, from where, to where, and who hears of it")]
fn gather(
    loaded: &Loaded,
    space: &Space,
    (noise, seed): (Noise, u64),
    same: Option<&Solution>,
    images: Range<usize>,
    kept: &Kept,
    progress: &Progress,
    mut take: impl FnMut(&[f32]) -> Result<()>,
) -> Result<Parts> {
    let sampler = &loaded.sampler;
    let spec = spec(loaded)?;
    let plan = spec.floor.map(|nfe| solution::plan(loaded, nfe)).transpose()?;
    if noise == Noise::Same && same.is_none() {
        return Err(Failure::run("converged samples of the same noise are missing"));
    }
    progress.say(match noise {
        Noise::Other => format!("converged samples from other noise, seed {seed}"),
        Noise::Same => format!("features of converged samples, seed {seed}"),
    });
    let x = |range: Range<usize>| match (noise, same, &plan) {
        (Noise::Same, Some(same), _) => Ok(same.of(&range, sampler.len()).to_vec()),
        (_, _, Some(plan)) => {
            let (start, n) = (sampler.converged_noise(seed, range.clone()), range.len() as u64);
            sampler.run_from(plan, seed, start, range, |_, _| progress.advance(n))
        }
        (_, _, None) => solution::formula(loaded, sampler.converged_noise(seed, range)),
    };
    let work_of = |images: Range<usize>| {
        let features = features(loaded, space, &x(images.clone())?)?;
        progress.advance(work(space.features, Noise::Same, &spec, images.len()));
        Ok(Part { images, rows: Rows { features: vec![(features, 0.0)], ..Rows::default() }, ..Part::default() })
    };
    let widths = Widths { spaces: vec![space.extractor.dim()], ..Widths::default() };
    let mut parts = kept.parts(key(loaded, space, noise, seed)?, widths);
    let known = |images| progress.skip(work(space.features, noise, &spec, images));
    let evaluations = if noise == Noise::Other { spec.floor.unwrap_or(0) } else { 0 };
    parts.each(sampler, (images, evaluations), known, work_of, |part| {
        part.rows.features.iter().try_for_each(|(features, _)| take(features))
    })?;
    Ok(parts)
}

/// Squared distances of the first features `rows` to those of samples with twice the evaluations.
fn checked(loaded: &Loaded, space: &Space, seed: u64, same: Option<&Solution>, rows: &[f32]) -> Result<Vec<f64>> {
    let (count, dim) = (same.map_or(0, |same| same.check.len()), space.extractor.dim());
    let Some(nfe) = spec(loaded)?.floor else { return Ok(vec![0.0; count]) };
    let (finer, mut check) = (solution::plan(loaded, 2 * nfe)?, Vec::with_capacity(count));
    let run = |range: Range<usize>| features(loaded, space, &loaded.sampler.run(&finer, seed, range, |_, _| {})?);
    loaded.sampler.batches((count, 2 * nfe), run, |range, finer| {
        let pairs = rows[range.start * dim..].chunks(dim).zip(finer.chunks(dim));
        check.extend(pairs.map(|(a, b)| squared_distance(a, b)));
        Ok(())
    })?;
    Ok(check)
}

/// Features of the 8-bit images of x.
fn features(loaded: &Loaded, space: &Space, x: &[f32]) -> Result<Vec<f32>> {
    Ok(space.extractor.features(&images_of(x, loaded.sampler.size)?)?)
}

/// ‖a − b‖².
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[cfg(test)]
mod tests;
