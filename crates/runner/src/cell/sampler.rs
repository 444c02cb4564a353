//! Samples from a model: noise in, images out, batch by batch.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_fid::Images;
use fewstep_model::Predictor;
use fewstep_sampler::{Plan, Schedule, integrate};

use super::{noise, pipeline, reuse::Reuse};
use crate::{
    experiment::CHANNELS,
    failure::{Failure, Result},
    interrupt,
};

/// A model on a device, and how to feed it.
pub struct Sampler {
    /// The model.
    pub predictor: Box<dyn Predictor>,
    /// τ → ᾱ.
    pub schedule: Schedule,
    /// Where the model is.
    pub device: Device,
    /// Whether that is this machine's cores: then batches run side by side, else one after another.
    pub cpu: bool,
    /// Height and width of the images.
    pub size: usize,
    /// Images that go through the model together.
    pub batch: usize,
    /// Evaluations of an image that a core makes in a second, roughly; infinite where it was not looked at.
    pub rate: f64,
    /// What cells need not evaluate again; without it each evaluates all of its own.
    pub reuse: Option<Reuse>,
}

/// Seconds that a batch may take on a core: what is kept when a run is ended, and what a kill loses, is of whole batches.
const SECONDS: f64 = 30.0;
/// Images of a batch at least, where they take no longer than [`LONGEST`]: of one alone a network reads all weights.
const FEWEST: usize = 4;
/// Seconds that so few may take on a core.
const LONGEST: f64 = 120.0;

impl Sampler {
    /// Numbers of one image.
    pub fn len(&self) -> usize {
        CHANNELS * self.size * self.size
    }

    /// How many batches run at a time.
    pub fn workers(&self) -> usize {
        if self.cpu { rayon::current_num_threads() } else { 1 }
    }

    /// Evaluations of an image that were asked for, made or known already: what NFE is counted from. A method pays for its first
    /// evaluation whether or not another of the sweep had the same.
    pub fn asked(&self) -> u64 {
        self.predictor.evaluated() + self.reused()
    }

    /// Those of them that were known already.
    pub fn reused(&self) -> u64 {
        self.reuse.as_ref().map_or(0, Reuse::reused)
    }

    /// x_T of images `range` of a cell with this seed, `[n, 3, size, size]`.
    pub fn noise(&self, seed: u64, range: Range<usize>) -> Tensor<4> {
        self.tensor(range, |k, len| noise::cell(seed, 0, k, len))
    }

    /// x_T of images `range` for collecting a normaliser; no cell starts from it.
    pub fn normaliser_noise(&self, seed: u64, range: Range<usize>) -> Tensor<4> {
        self.tensor(range, |k, len| noise::normaliser(seed, k, len))
    }

    /// x_T of the first `images` of the images that plans are fitted to, row-major; or of those for validation.
    pub fn fitting_noise(&self, seed: u64, images: usize, validation: bool) -> Vec<f32> {
        let image = |k: usize| -> Box<dyn Iterator<Item = f32>> {
            match validation {
                false => Box::new(noise::fitting(seed, k as u64, self.len())),
                true => Box::new(noise::validation(seed, k as u64, self.len())),
            }
        };
        (0..images).flat_map(image).collect()
    }

    /// x_T of the first `images` images of a cell, row-major.
    pub fn cell_noise(&self, seed: u64, images: usize) -> Vec<f32> {
        (0..images).flat_map(|k| noise::cell(seed, 0, k as u64, self.len())).collect()
    }

    /// ε of the first images of x `[n, …]` row-major at τ, batch by batch; `progress` hears of every evaluated image.
    pub fn evaluate(&self, x: &[f32], tau: f64, progress: impl Fn(u64) + Sync) -> Result<Vec<f32>> {
        let len = self.len();
        let mut all = Vec::with_capacity(x.len());
        let work = |range: Range<usize>| {
            let n = range.len() as u64;
            let part = self.given(&x[range.start * len..range.end * len]);
            let epsilon = values(self.predictor.epsilon_of(part, tau, range))?;
            progress(n);
            Ok(epsilon)
        };
        self.batches((x.len() / len, 1), work, |_, part| {
            all.extend(part);
            Ok(())
        })?;
        Ok(all)
    }

    /// x_T of images `range` for converged samples from other noise than any cell's.
    pub fn converged_noise(&self, seed: u64, range: Range<usize>) -> Tensor<4> {
        self.tensor(range, |k, len| noise::converged(seed, k, len))
    }

    fn tensor<I: Iterator<Item = f32>>(&self, range: Range<usize>, image: impl Fn(u64, usize) -> I) -> Tensor<4> {
        let shape = [range.len(), CHANNELS, self.size, self.size];
        let values: Vec<f32> = range.flat_map(|k| image(k as u64, self.len())).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// x_0 of images `range`, `[n, 3, size, size]` row-major; `observe` sees what every evaluation gave with the number of its step.
    ///
    /// # Errors
    /// Where a number of x_0 is not finite: [`Failure::Diverged`] names the first such image.
    pub fn run(
        &self,
        plan: &Plan,
        seed: u64,
        range: Range<usize>,
        observe: impl FnMut(usize, &Tensor<4>),
    ) -> Result<Vec<f32>> {
        let start = self.noise(seed, range.clone());
        let predict = |step, x, tau| match self.reuse.as_ref().filter(|_| step == 0 && plan.evaluates_x_t()) {
            Some(reuse) => self.first(reuse, x, tau, seed, range.clone()),
            None => Ok(self.predictor.epsilon_of(x, tau, range.clone())),
        };
        let x = self.integrated(plan, seed, start, range.clone(), predict, observe)?;
        self.finite(plan, seed, x, range.start, |image| self.noise(seed, image..image + 1))
    }

    /// x_0 from `start`, which is x_T of images `range`, with every evaluation made.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn run_from(
        &self,
        plan: &Plan,
        seed: u64,
        start: Tensor<4>,
        range: Range<usize>,
        observe: impl FnMut(usize, &Tensor<4>),
    ) -> Result<Vec<f32>> {
        let x = self.end(plan, seed, start.clone(), range.clone(), observe)?;
        self.finite(plan, seed, x, range.start, |image| start.narrow(0, image - range.start, 1))
    }

    /// Images of these numbers, `[n, 3, size, size]` row-major.
    pub fn given(&self, values: &[f32]) -> Tensor<4> {
        let shape = [values.len() / self.len(), CHANNELS, self.size, self.size];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device)
    }

    /// ε of a cell's noise x at τ_0, of images that it is not known of by the network.
    fn first(&self, reuse: &Reuse, x: Tensor<4>, tau: f64, seed: u64, range: Range<usize>) -> Result<Tensor<4>> {
        let (shape, known) = (x.dims(), reuse.first(seed, tau, range.clone()));
        let lacking = range.len() - known.len();
        reuse.count(known.len() as u64);
        let mut epsilon = known.concat();
        if lacking > 0 {
            let (rest, images) = (x.narrow(0, known.len(), lacking), range.end - lacking..range.end);
            let made = values(self.predictor.epsilon_of(rest, tau, images))?;
            reuse.keep(seed, tau, range.end - lacking, &made, self.len());
            epsilon.extend(made);
        }
        Ok(Tensor::from_data(TensorData::new(epsilon, shape), &self.device))
    }

    /// x_0 from `start`, finite or not, with every evaluation made.
    pub fn end(
        &self,
        plan: &Plan,
        seed: u64,
        start: Tensor<4>,
        range: Range<usize>,
        observe: impl FnMut(usize, &Tensor<4>),
    ) -> Result<Vec<f32>> {
        let predict = |_, x, tau| Ok(self.predictor.epsilon_of(x, tau, range.clone()));
        self.integrated(plan, seed, start, range.clone(), predict, observe)
    }

    /// x_0 with what `predict` says of a step's x and τ.
    fn integrated(
        &self,
        plan: &Plan,
        seed: u64,
        start: Tensor<4>,
        range: Range<usize>,
        predict: impl Fn(usize, Tensor<4>, f64) -> Result<Tensor<4>>,
        mut observe: impl FnMut(usize, &Tensor<4>),
    ) -> Result<Vec<f32>> {
        let mut steps = plan.evaluated().into_iter();
        let epsilon = |x, tau| {
            let step = steps.next().ok_or_else(|| Failure::run("an evaluation that the plan has not"))?;
            let epsilon = predict(step, x, tau)?;
            observe(step, &epsilon);
            Ok::<_, Failure>(epsilon)
        };
        let fresh = |step| self.tensor(range.clone(), |k, len| noise::cell(seed, step as u64 + 1, k, len));
        values(integrate(plan, &self.schedule, start, epsilon, fresh)?.x)
    }

    /// x of the images from `first` on where it is finite; `start` gives the x_T of an image that is not.
    fn finite(
        &self,
        plan: &Plan,
        seed: u64,
        x: Vec<f32>,
        first: usize,
        start: impl FnOnce(usize) -> Tensor<4>,
    ) -> Result<Vec<f32>> {
        let Some(at) = x.iter().position(|value| !value.is_finite()) else { return Ok(x) };
        let image = first + at / self.len();
        Err(self.diverged(plan, seed, start(image), image))
    }

    /// Says from which step on the image, whose x_T is `start`, is not finite, by running it alone.
    fn diverged(&self, plan: &Plan, seed: u64, start: Tensor<4>, image: usize) -> Failure {
        let range = image..image + 1;
        let (mut first, mut failed) = (None, None);
        let ran = self.end(plan, seed, start, range, |step, epsilon| {
            match values(epsilon.clone()) {
                Ok(epsilon) if epsilon.iter().all(|value| value.is_finite()) => {}
                // The state that this prediction is of is what the step before left.
                Ok(_) => first = first.or(Some(step.saturating_sub(1))),
                Err(error) => failed = Some(error),
            }
        });
        match (ran, failed) {
            (Err(error), _) | (_, Some(error)) => error,
            _ => Failure::Diverged {
                image,
                step: first.unwrap_or(plan.steps.len() - 1),
                method: plan.method.clone(),
                nfe: plan.nfe,
            },
        }
    }

    /// Images of a batch that give every core as many, or some would wait for the last: of 8 images on two cores, 4 and 4; and no more than
    /// a core evaluates so often in half a minute, or a few if they take no longer than two, by a rate of one or two images. On the CPU an image's bits do not depend on its batch; elsewhere they may, and the
    /// key has the batch that was asked for.
    fn share(&self, samples: usize, evaluations: usize) -> usize {
        let within = |seconds: f64| (seconds * self.rate / evaluations.max(1) as f64) as usize;
        let most = within(SECONDS);
        let least = FEWEST.min(within(LONGEST)).max(self.predictor.group());
        let count = samples.div_ceil(self.batch.min(most.max(least))).next_multiple_of(self.workers());
        samples.div_ceil(count.max(1)).max(1)
    }

    /// Runs `work` on every batch of `samples` images, each of so many evaluations, and `take` on its results in the images' order.
    ///
    /// # Errors
    /// The first in that order; [`Failure::Interrupted`] after the batches in hand.
    pub fn batches<R: Send>(
        &self,
        (samples, evaluations): (usize, usize),
        work: impl Fn(Range<usize>) -> Result<R> + Sync,
        take: impl FnMut(Range<usize>, R) -> Result<()>,
    ) -> Result<()> {
        self.batches_of((0..samples, evaluations), work, take)
    }

    /// The same, of the images of a range alone.
    ///
    /// # Errors
    /// As [`Sampler::batches`].
    pub fn batches_of<R: Send>(
        &self,
        (images, evaluations): (Range<usize>, usize),
        work: impl Fn(Range<usize>) -> Result<R> + Sync,
        mut take: impl FnMut(Range<usize>, R) -> Result<()>,
    ) -> Result<()> {
        let batch = if self.cpu { self.share(images.len(), evaluations) } else { self.batch };
        let end = images.end;
        let ranges = images.step_by(batch).map(|start| start..(start + batch).min(end));
        if self.cpu {
            return pipeline::in_order(ranges, self.workers() * 2, work, take);
        }
        for range in ranges {
            interrupt::check()?;
            take(range.clone(), work(range)?)?;
        }
        Ok(())
    }

    /// Part `index` of `count` of `samples` images; all parts are all images. Off the CPU a part is of whole batches, on which an
    /// image's bits may depend there.
    pub fn part(&self, samples: usize, index: usize, count: usize) -> Range<usize> {
        let unit = if self.cpu { 1 } else { self.batch };
        let units = samples.div_ceil(unit);
        let start = |index: usize| (units * index / count * unit).min(samples);
        start(index)..start(index + 1)
    }
}

/// A tensor's numbers on the host.
pub fn values<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    x.into_data().try_to_vec().map_err(|error| Failure::run(format!("values of a tensor: {error:?}")))
}

/// 8-bit images of x `[n, 3, size, size]`: round(255 · clamp(x/2 + ½, 0, 1)), half to even.
pub fn images_of(x: &[f32], size: usize) -> Result<Images> {
    Ok(Images::new(size, size, levels_of(x, size, |level| level.round_ties_even() as u8))?)
}

/// Each value of x `[n, 3, size, size]` as `of` its level 255 · clamp(x/2 + ½, 0, 1), `[n, size, size, 3]`.
pub fn levels_of<V>(x: &[f32], size: usize, of: impl Fn(f32) -> V) -> Vec<V> {
    let plane = size * size;
    let level = |x: f32| of(255.0 * (x / 2.0 + 0.5).clamp(0.0, 1.0));
    let of_image = |image: &[f32]| {
        let place = |i: usize| i % CHANNELS * plane + i / CHANNELS;
        (0..CHANNELS * plane).map(|i| level(image[place(i)])).collect::<Vec<V>>()
    };
    x.chunks(CHANNELS * plane).flat_map(of_image).collect()
}

#[cfg(test)]
pub(super) mod tests;
