//! The noisy images of a step.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use rand_distr::{Distribution, StandardNormal};

use super::{TrainSpec, TrainingImages};
use crate::{Levels, Prediction};

/// Below the streams of single images: an epoch's order.
const EPOCHS: u64 = 1 << 62;

/// One image at one level of noise.
pub(super) struct Example {
    image: usize,
    flip: bool,
    /// 0 to T − 1.
    pub timestep: usize,
    signal: f64,
    sigma: f64,
    /// The noise's stream.
    stream: u64,
}

/// The examples of a step.
pub(super) struct Examples<'a> {
    images: TrainingImages<'a>,
    prediction: Prediction,
    seed: u64,
    pub list: Vec<Example>,
    pub size: usize,
    pub channels: usize,
}

impl<'a> Examples<'a> {
    pub(super) fn of_step(spec: &TrainSpec, images: TrainingImages<'a>, levels: &Levels, step: usize) -> Self {
        let count = images.pixels.len() / (images.size * images.size * images.channels);
        let batches = (count / spec.batch).max(1);
        let order = order(spec.seed, (step / batches) as u64, count);
        let example = |i: usize| {
            let stream = (step * spec.batch + i) as u64;
            let mut random = random(spec.seed, stream);
            let timestep = below(&mut random, levels.count);
            // The network's timestep is t = τT − 1.
            let (signal, sigma) = levels.signal_and_noise((timestep + 1) as f64 / levels.count as f64);
            let flip = random.next_u32() & 1 == 1 && spec.flip;
            let image = order[(step % batches * spec.batch + i) % count] as usize;
            Example { image, flip, timestep, signal, sigma, stream }
        };
        Examples {
            images,
            prediction: spec.prediction,
            seed: spec.seed,
            list: (0..spec.batch).map(example).collect(),
            size: images.size,
            channels: images.channels,
        }
    }

    /// Inputs and targets of some of the examples, each `[n, channels, size, size]`.
    pub(super) fn tensors(&self, part: &[Example]) -> (Vec<f32>, Vec<f32>) {
        let (size, channels) = (self.size, self.channels);
        let plane = size * size;
        let (mut x, mut target) =
            (Vec::with_capacity(part.len() * channels * plane), Vec::with_capacity(part.len() * channels * plane));
        for example in part {
            let start = example.image * plane * channels;
            let pixels = &self.images.pixels[start..start + plane * channels];
            let mut random = random(self.seed, example.stream);
            // Past what the example itself was drawn from.
            random.set_word_pos(64);
            let (signal, sigma) = (example.signal as f32, example.sigma as f32);
            for i in 0..channels * plane {
                let (channel, row, column) = (i / plane, i % plane / size, i % size);
                let column = if example.flip { size - 1 - column } else { column };
                let data = f32::from(pixels[(row * size + column) * channels + channel]) / 127.5 - 1.0;
                let noise: f32 = StandardNormal.sample(&mut random);
                x.push(signal * data + sigma * noise);
                target.push(match self.prediction {
                    Prediction::Epsilon => noise,
                    Prediction::X0 => data,
                    Prediction::V => signal * noise - sigma * data,
                });
            }
        }
        (x, target)
    }
}

fn random(seed: u64, stream: u64) -> ChaCha12Rng {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// A whole number below `limit`.
fn below(random: &mut ChaCha12Rng, limit: usize) -> usize {
    ((u128::from(random.next_u64()) * limit as u128) >> 64) as usize
}

/// An epoch's order of the images.
fn order(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let mut random = random(seed, EPOCHS + epoch);
    let mut order: Vec<u32> = (0..count as u32).collect();
    for i in (1..count).rev() {
        order.swap(i, below(&mut random, i + 1));
    }
    order
}
