//! Collecting the normaliser: mean over pixels and images of |ε(x_τ, τ)| along a run with many evaluations.

use std::ops::Range;

use fewstep_sampler::{Method, Normaliser, Plan, Request};

use super::{
    figures::Rows,
    parts::{Part, Parts},
    sampler::{Sampler, values},
};
use crate::{
    experiment::CollectSpec,
    failure::{Failure, Result},
};

/// The method of long runs.
pub fn long_run() -> Method {
    Method::deis(2)
}

/// [`long_run`] where `spec` says.
pub fn plan(sampler: &Sampler, spec: &CollectSpec) -> Result<Plan> {
    Ok(long_run().plan(&Request::new(&sampler.schedule, &spec.grid, spec.nfe))?)
}

/// Runs `plan` as `spec` says and averages; `progress` hears of every evaluated image, `known` of every evaluation that `parts` had. The
/// parts' images have [`Widths::x`](super::parts::Widths::x) numbers, as many as the plan has evaluations.
pub fn collect(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    parts: Option<&mut Parts>,
    progress: impl Fn(u64) + Sync,
    known: impl Fn(u64),
) -> Result<Normaliser> {
    let (means, errors) = sums(spec, |take| match parts {
        Some(parts) => {
            let known = |images| known((images * spec.nfe) as u64);
            let work = |images| part(sampler, spec, plan, &progress, images);
            parts.each(sampler, (0..spec.samples, spec.nfe), known, work, |part| {
                take(&part.rows.x);
                Ok(())
            })?;
            Ok(())
        }
        None => each(sampler, spec, plan, &progress, take),
    })?;
    if let Some(step) = means.iter().position(|mean| !mean.is_finite()) {
        return Err(Failure::run(format!("normaliser: mean |ε| at τ = {} is {}", plan.tau[step], means[step])));
    }
    let ascending = |values: &[f64]| -> Vec<f64> { values[..spec.nfe].iter().rev().copied().collect() };
    let curve = Normaliser::new(ascending(&plan.tau), ascending(&means)).map_err(Failure::run)?;
    // Of one image none is known.
    if errors.is_empty() { Ok(curve) } else { curve.with_errors(ascending(&errors)).map_err(Failure::run) }
}

/// mean |ε| at every evaluation of `plan`.
pub fn means(sampler: &Sampler, spec: &CollectSpec, plan: &Plan, progress: impl Fn(u64) + Sync) -> Result<Vec<f64>> {
    Ok(sums(spec, |take| each(sampler, spec, plan, &progress, take))?.0)
}

/// mean |ε| of every image at every evaluation of `plan`: a list of images for each evaluation.
pub fn by_image(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: impl Fn(u64) + Sync,
) -> Result<Vec<Vec<f64>>> {
    let mut means = vec![Vec::with_capacity(spec.samples); spec.nfe];
    each(sampler, spec, plan, &progress, &mut |images| {
        for image in images.chunks(spec.nfe) {
            means.iter_mut().zip(image).for_each(|(means, &mean)| means.push(f64::from(mean)));
        }
    })?;
    Ok(means)
}

/// Takes mean |ε| of images, `[images, evaluations]`.
type Take<'a> = &'a mut dyn FnMut(&[f32]);

/// The mean over images of what `run` gives, and its standard error where there are two or more.
fn sums(spec: &CollectSpec, run: impl FnOnce(Take) -> Result<()>) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut sums, mut squares) = (vec![0.0; spec.nfe], vec![0.0; spec.nfe]);
    // Image by image, so that the batch size does not change the last bits.
    run(&mut |images| {
        for image in images.chunks(spec.nfe) {
            for ((sum, square), &mean) in sums.iter_mut().zip(&mut squares).zip(image) {
                *sum += f64::from(mean);
                *square += f64::from(mean).powi(2);
            }
        }
    })?;
    let n = spec.samples as f64;
    sums.iter_mut().for_each(|sum| *sum /= n);
    let error = |(square, mean): (&f64, &f64)| ((square / n - mean * mean).max(0.0) / (n - 1.0)).sqrt();
    let errors = if spec.samples > 1 { squares.iter().zip(&sums).map(error).collect() } else { Vec::new() };
    Ok((sums, errors))
}

/// Gives `take` the images in their order.
fn each(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: &(impl Fn(u64) + Sync),
    take: Take,
) -> Result<()> {
    let work = |images| part(sampler, spec, plan, progress, images);
    sampler.batches((spec.samples, spec.nfe), work, |_, part| {
        take(&part.rows.x);
        Ok(())
    })
}

/// mean |ε| of some of the images at every evaluation.
fn part(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: &(impl Fn(u64) + Sync),
    images: Range<usize>,
) -> Result<Part> {
    let mut means = Vec::with_capacity(spec.nfe);
    let (n, start) = (images.len(), sampler.normaliser_noise(spec.seed, images.clone()));
    sampler.end(plan, spec.seed, start, images.clone(), |_, epsilon| {
        means.push(epsilon.clone().abs().reshape([n, sampler.len()]).mean_dim(1));
        progress(n as u64);
    })?;
    let means = means.into_iter().map(values).collect::<Result<Vec<Vec<f32>>>>()?;
    let x = (0..n).flat_map(|image| means.iter().map(move |means| means[image])).collect();
    let evaluated = (spec.nfe * n) as u64;
    Ok(Part { images, rows: Rows { x, ..Rows::default() }, evaluated, ..Part::default() })
}

#[cfg(test)]
mod tests;
