//! Collecting the normaliser: mean over pixels and images of |ε(x_τ, τ)| along a run with many evaluations.

use fewstep_sampler::{Method, Normaliser, Plan, Request};

use super::sampler::{Sampler, values};
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

/// Runs `plan` as `spec` says and averages; `progress` hears of every evaluated image.
pub fn collect(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: impl Fn(u64) + Sync,
) -> Result<Normaliser> {
    let means = means(sampler, spec, plan, progress)?;
    if let Some(step) = means.iter().position(|mean| !mean.is_finite()) {
        return Err(Failure::run(format!("normaliser: mean |ε| at τ = {} is {}", plan.tau[step], means[step])));
    }
    let ascending = |values: &[f64]| -> Vec<f64> { values[..spec.nfe].iter().rev().copied().collect() };
    Normaliser::new(ascending(&plan.tau), ascending(&means)).map_err(Failure::run)
}

/// mean |ε| at every evaluation of `plan`.
pub fn means(sampler: &Sampler, spec: &CollectSpec, plan: &Plan, progress: impl Fn(u64) + Sync) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; spec.nfe];
    // Image by image, so that the batch size does not change the last bits.
    each(sampler, spec, plan, progress, |step, mean| sums[step] += f64::from(mean))?;
    sums.iter_mut().for_each(|sum| *sum /= spec.samples as f64);
    Ok(sums)
}

/// mean |ε| of every image at every evaluation of `plan`: a list of images for each evaluation.
pub fn by_image(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: impl Fn(u64) + Sync,
) -> Result<Vec<Vec<f64>>> {
    let mut means = vec![Vec::with_capacity(spec.samples); spec.nfe];
    each(sampler, spec, plan, progress, |step, mean| means[step].push(f64::from(mean)))?;
    Ok(means)
}

/// Gives `take` the number of every evaluation and an image's mean |ε| there, the images of an evaluation in their order.
fn each(
    sampler: &Sampler,
    spec: &CollectSpec,
    plan: &Plan,
    progress: impl Fn(u64) + Sync,
    mut take: impl FnMut(usize, f32),
) -> Result<()> {
    sampler.batches(
        (spec.samples, spec.nfe),
        |range| {
            let mut means = Vec::with_capacity(spec.nfe);
            let start = sampler.normaliser_noise(spec.seed, range.clone());
            sampler.end(plan, spec.seed, start, range.clone(), |_, epsilon| {
                let n = range.len();
                means.push(epsilon.clone().abs().reshape([n, sampler.len()]).mean_dim(1));
                progress(n as u64);
            })?;
            means.into_iter().map(values).collect::<Result<Vec<Vec<f32>>>>()
        },
        |_, means| {
            for (step, means) in means.iter().enumerate() {
                means.iter().for_each(|&mean| take(step, mean));
            }
            Ok(())
        },
    )
}
