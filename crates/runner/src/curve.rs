//! Collecting the normaliser: mean over pixels and images of |ε(x_τ, τ)| along a run with many evaluations.

use fewstep_sampler::{Method, Normaliser, Request};
use indicatif::ProgressBar;

use crate::{
    experiment::CollectSpec,
    failure::{Failure, Result},
    sampling::{Sampler, values},
};

/// The method of long runs, whose own error is far below what they are used for.
pub fn long_run() -> Method {
    Method::deis(2)
}

/// Runs [`long_run`] as `spec` says and averages.
pub fn collect(sampler: &Sampler, spec: &CollectSpec, bar: &ProgressBar) -> Result<Normaliser> {
    let plan = long_run().plan(&Request::new(&sampler.schedule, &spec.grid, spec.nfe))?;
    let mut sums = vec![0.0; spec.nfe];
    sampler.batches(
        spec.samples,
        |range| {
            let mut means = Vec::with_capacity(spec.nfe);
            sampler.run(&plan, spec.seed, range.clone(), |_, epsilon| {
                let n = range.len();
                means.push(epsilon.clone().abs().reshape([n, sampler.len()]).mean_dim(1));
                bar.inc(n as u64);
            })?;
            means.into_iter().map(values).collect::<Result<Vec<Vec<f32>>>>()
        },
        |_, means| {
            for (sum, means) in sums.iter_mut().zip(means) {
                // Image by image, so that the batch size does not change the last bits.
                means.iter().for_each(|&mean| *sum += f64::from(mean));
            }
            Ok(())
        },
    )?;
    let ascending = |values: &[f64]| -> Vec<f64> { values[..spec.nfe].iter().rev().copied().collect() };
    sums.iter_mut().for_each(|sum| *sum /= spec.samples as f64);
    Normaliser::new(ascending(&plan.tau), ascending(&sums)).map_err(Failure::run)
}
