//! Features of the network's own converged samples, which tell the sampler's error from the network's.
//!
//! As a set they are what a sampler of any method is to give, whatever the network is worth: `fid_solution` is the Fréchet distance to
//! converged samples from other noise, whose limit of many images is 0. Image by image they are what the same noise is to become:
//! `fid_paired` and `feature_rmse`. The samples are those whose Fréchet distances the solution's row of a table has, with
//! `floor` evaluations of the [`solution`]'s method.

use std::{ops::Range, path::Path};

use fewstep_fid::{Gaussian, Moments};

use super::{
    INCEPTION_COST,
    kept::{self, Numbers},
    key::{self, Key},
    load::{Loaded, Space},
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
    samples as u64 * (sampled as u64 + if features == Features::Inception { INCEPTION_COST } else { 0 })
}

impl Converged {
    /// Converged samples of a seed, from `folder` where they are there; `same` are those of the seed's own noise.
    ///
    /// # Errors
    /// As sampling; where those of the own noise are asked for and not given.
    pub fn find(
        loaded: &Loaded,
        space: &Space,
        (noise, seed): (Noise, u64),
        same: Option<&Solution>,
        (folder, fresh): (&Path, bool),
        progress: &Progress,
    ) -> Result<Self> {
        let key = key(loaded, space, noise, seed)?;
        let (samples, extractor) = (loaded.experiment.samples, space.extractor.as_ref());
        let len = samples * extractor.dim();
        let numbers = match if fresh { None } else { kept::read(folder, NAME, &key, len) } {
            Some(numbers) => {
                progress.skip(work(space.features, noise, &spec(loaded)?, samples));
                numbers
            }
            None => {
                let numbers = match noise {
                    Noise::Other => other(loaded, space, seed, progress)?,
                    Noise::Same => {
                        let same =
                            same.ok_or_else(|| Failure::run("converged samples of the same noise are missing"))?;
                        of_same(loaded, space, same, seed, progress)?
                    }
                };
                kept::write(folder, NAME, &key, &numbers)?;
                numbers
            }
        };
        let mut moments = Moments::new(extractor.dim());
        moments.push(&numbers.values)?;
        let Numbers { values: rows, check, .. } = numbers;
        Ok(Converged { features: space.features, noise, rows, gaussian: moments.gaussian()?, check })
    }
}

fn other(loaded: &Loaded, space: &Space, seed: u64, progress: &Progress) -> Result<Numbers> {
    let (sampler, samples) = (&loaded.sampler, loaded.experiment.samples);
    progress.say(format!("converged samples from other noise, seed {seed}"));
    let plan = spec(loaded)?.floor.map(|nfe| solution::plan(loaded, nfe)).transpose()?;
    let x = |range: Range<usize>| {
        let start = sampler.converged_noise(seed, range.clone());
        match &plan {
            Some(plan) => {
                let n = range.len() as u64;
                sampler.run_from(plan, seed, start, range, |_, _| progress.advance(n))
            }
            None => solution::formula(loaded, start),
        }
    };
    let values = features(loaded, space, samples, x, progress)?;
    Ok(Numbers { counted: 0.0, check: Vec::new(), values })
}

fn of_same(loaded: &Loaded, space: &Space, same: &Solution, seed: u64, progress: &Progress) -> Result<Numbers> {
    let (len, dim) = (loaded.sampler.len(), space.extractor.dim());
    progress.say(format!("features of converged samples, seed {seed}"));
    let kept = |range: Range<usize>| Ok(same.x.get(range.start * len..range.end * len).unwrap_or_default().to_vec());
    let values = features(loaded, space, loaded.experiment.samples, kept, progress)?;
    let checked = same.check.len();
    let check = match spec(loaded)?.floor {
        None => vec![0.0; checked],
        Some(nfe) => {
            let finer = solution::plan(loaded, 2 * nfe)?;
            let run = |range: Range<usize>| loaded.sampler.run(&finer, seed, range, |_, _| {});
            let finer = features(loaded, space, checked, run, progress)?;
            values.chunks(dim).zip(finer.chunks(dim)).map(|(a, b)| squared_distance(a, b)).collect()
        }
    };
    Ok(Numbers { counted: same.counted, check, values })
}

/// Features of the 8-bit images of `x` of a range, in order.
fn features(
    loaded: &Loaded,
    space: &Space,
    samples: usize,
    x: impl Fn(Range<usize>) -> Result<Vec<f32>> + Sync,
    progress: &Progress,
) -> Result<Vec<f32>> {
    let mut rows = Vec::with_capacity(samples * space.extractor.dim());
    let work = |range: Range<usize>| {
        let rows = space.extractor.features(&images_of(&x(range.clone())?, loaded.sampler.size)?)?;
        if space.features == Features::Inception {
            progress.advance(INCEPTION_COST * range.len() as u64);
        }
        Ok(rows)
    };
    loaded.sampler.batches(samples, work, |_, part| {
        rows.extend(part);
        Ok(())
    })?;
    Ok(rows)
}

/// ‖a − b‖².
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[cfg(test)]
mod tests;
