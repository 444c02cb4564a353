//! What the code does, on a small sample: part of every key, so that a change that moves a figure is noticed, whether it is in
//! these sources, a dependency, the processor's instructions or a driver, and one that moves none costs nothing.

use std::collections::BTreeMap;

use fewstep_fid::{Extractor, Gaussian, Moments, frechet_distance};
use fewstep_sampler::{Grid, Plan, Step, Threshold};

use super::{
    curve,
    distance::squared_error,
    noise,
    sampler::{Sampler, images_of, values},
};
use crate::{
    experiment::{CHANNELS, CollectSpec},
    failure::Result,
    files,
    results::Metric,
};

/// Hashes of what the parts of the program gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Canary {
    /// Noise, network, integrator, thresholds, rounding to 8 bits, and the exact solution where there is one.
    pub sampling: String,
    /// What plan files and AFS have besides; empty where no method has it.
    pub extended: String,
    /// Collecting a normaliser.
    pub curve: String,
    /// Measuring, by metric.
    pub metrics: BTreeMap<Metric, String>,
}

impl Canary {
    /// Of all parts.
    pub fn hash(&self) -> String {
        let parts: Vec<String> = self.parts().into_iter().map(|(name, hash)| format!("{name} {hash}")).collect();
        files::sha256(parts.join("\n").as_bytes())
    }

    /// For provenance.
    pub fn parts(&self) -> BTreeMap<String, String> {
        let metrics = self.metrics.iter().map(|(metric, hash)| (metric.name().to_owned(), hash.clone()));
        let own = [("sampling", &self.sampling), ("extended", &self.extended), ("curve", &self.curve)];
        own.into_iter()
            .map(|(name, hash)| (name.to_owned(), hash.clone()))
            .chain(metrics)
            .filter(|(_, hash)| !hash.is_empty())
            .collect()
    }
}

/// Seed of the canary's noise.
const SEED: u64 = 0;

/// Three steps that use everything a plan can say, then one with each threshold.
fn plans() -> [Plan; 3] {
    let step = |a, b: &[f64], c: &[f64], noise| {
        let (b, c) = (b.to_vec(), c.to_vec());
        Step { a, b, c, noise, ..Step::default() }
    };
    let plan = |threshold, tau: &[f64], steps: Vec<Step>| Plan {
        method: "canary".into(),
        order: 0,
        nfe: steps.len(),
        grid: String::new(),
        threshold,
        start: 1.0,
        tau: tau.to_vec(),
        timestep: Vec::new(),
        steps,
    };
    let all = vec![
        step(0.9, &[], &[-0.2], 0.0),
        step(0.7, &[0.2], &[-0.3, 0.1], 0.05),
        step(0.6, &[0.3, -0.1], &[-0.2, 0.1, -0.05], 0.0),
    ];
    let one = || vec![step(1.3, &[], &[-0.9], 0.0)];
    [
        plan(Threshold::None, &[1.0, 0.55, 0.2, 0.0], all),
        plan(Threshold::Clip, &[0.3, 0.0], one()),
        plan(Threshold::Dynamic(0.9), &[0.3, 0.0], one()),
    ]
}

/// Of sampling.
pub fn sampling(sampler: &Sampler) -> Result<String> {
    let mut bytes = Vec::new();
    for (plan, images) in plans().into_iter().zip([2, 1, 1]) {
        // Finite or not: what a network gives is what it does.
        let x = sampler.end(&plan, SEED, sampler.noise(SEED, 0..images), 0..images, |_, _| {})?;
        bytes.extend(x.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(images_of(&x, sampler.size)?.pixels());
    }
    if let Some(exact) = sampler.predictor.solution(sampler.noise(SEED, 0..1)) {
        bytes.extend(values(exact)?.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(files::sha256(&bytes))
}

/// Of a plan with everything that only plan files and AFS have, thresholds on top.
pub fn extended(sampler: &Sampler) -> Result<String> {
    let steps = vec![
        Step { a: 0.9, c: vec![-0.2], input: 0.95, afs: Some(0.9), ..Step::default() },
        Step { a: 0.7, b: vec![0.2], c: vec![-0.3, 0.1], at: Some(0.5), input: 1.1, ..Step::default() },
    ];
    let [mut plan, ..] = plans();
    (plan.nfe, plan.start, plan.threshold) = (1, 1.05, Threshold::Clip);
    (plan.tau, plan.steps) = (vec![1.0, 0.55, 0.2], steps);
    let x = sampler.end(&plan, SEED, sampler.noise(SEED, 0..1), 0..1, |_, _| {})?;
    Ok(files::sha256(&x.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()))
}

/// Of collecting a normaliser: two evaluations of two images.
pub fn curve(sampler: &Sampler) -> Result<String> {
    let few = CollectSpec { nfe: 2, samples: 2, seed: SEED, grid: Grid::quadratic() };
    let sums = curve::means(sampler, &few, &curve::plan(sampler, &few)?, |_| {})?;
    Ok(files::sha256(&sums.iter().flat_map(|sum| sum.to_le_bytes()).collect::<Vec<u8>>()))
}

/// Numbers of the canary's features: more than a tile of a product, and than a core reflects in one go.
const DIM: usize = 288;

/// Of moments and the distances between them: more rows than are summed at a time; and all ways to factor a covariance, of full rank,
/// of fewer rows than numbers, and rounded to single precision as in a compact file.
pub fn frechet() -> Result<String> {
    let gaussian = |image: u64, rows: usize, scale: f32| {
        let rows: Vec<f32> =
            noise::cell(SEED, 0, image, rows * DIM).enumerate().map(|(i, z)| z * scale + (i % DIM) as f32).collect();
        let mut moments = Moments::new(DIM);
        moments.push(&rows)?;
        moments.gaussian()
    };
    let (full, few) = (gaussian(0, 600, 1.0)?, gaussian(1, 200, 1.5)?);
    let covariance = few.covariance();
    let rounded: Vec<f64> = (0..DIM * DIM).map(|i| f64::from(covariance[(i / DIM, i % DIM)] as f32)).collect();
    let rounded = Gaussian::from_rows(few.mean().to_vec(), &rounded)?;
    let distances = [&few, &rounded].map(|other| frechet_distance(&full, other));
    let bytes = distances.into_iter().map(|distance| Ok(distance?.to_le_bytes())).collect::<Result<Vec<_>>>()?;
    Ok(files::sha256(&bytes.concat()))
}

/// Of a Fréchet distance in a feature space.
pub fn space(extractor: &dyn Extractor, size: usize) -> Result<String> {
    Ok(files::sha256(format!("{} {}", features(extractor, size)?, frechet()?).as_bytes()))
}

/// Of a distance between the features of two images.
pub fn paired(extractor: &dyn Extractor, size: usize) -> Result<String> {
    Ok(files::sha256(format!("{} {}", features(extractor, size)?, distance()).as_bytes()))
}

/// Of one image's features, `size`×`size`.
fn features(extractor: &dyn Extractor, size: usize) -> Result<String> {
    let x: Vec<f32> = noise::cell(SEED, 0, 0, CHANNELS * size * size).collect();
    let features = extractor.features(&images_of(&x, size)?)?;
    Ok(files::sha256(&features.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()))
}

/// Of the distance between images.
pub fn distance() -> String {
    let numbers = |image: u64| noise::cell(SEED, 0, image, 64).collect::<Vec<f32>>();
    files::sha256(&squared_error(&numbers(0), &numbers(1)).to_le_bytes())
}
