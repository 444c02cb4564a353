//! The ideal denoiser of a finite set of images: what a network would learn that fitted its training data perfectly.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Tensor, TensorData, s};

use crate::{Error, Levels, Predictor, Result, predictor::Fingerprint};

/// Images that are compared with at a time: few enough that they stay in a core's cache between the two products.
const BLOCK: usize = 128;
/// Samples that go through the products together, the last ones filled up: the last bits of a product depend on its
/// size, and a sample's must not depend on its batch.
const GROUP: usize = 64;

/// Data that is exactly `images`, each as likely: E[x₀ | x] = Σ softmax_i(−‖x − √ᾱ y_i‖²/(2σ²)) y_i (Karras et al. 2022,
/// arXiv 2206.00364, equation 57, in this schedule's variables), and ε = (x − √ᾱ E[x₀ | x])/σ.
///
/// Images stay 8-bit in memory and are compared block by block with a running log-sum-exp, so that memory beyond them
/// depends on the batch alone, and so that nothing overflows as τ → 0.
pub struct Ideal {
    /// `[count, channels · height · width]`, channel planes one after another as in tensors.
    pixels: Vec<u8>,
    len: usize,
    /// ½‖y_i‖², in single precision as the products are, summed in double.
    half_squares: Vec<f32>,
    levels: Levels,
    evaluated: AtomicU64,
}

impl Ideal {
    /// From 8-bit images, `[count, height, width, channels]`.
    ///
    /// # Errors
    /// Where the bytes are not a whole number of images, or none.
    pub fn new(pixels: &[u8], size: usize, channels: usize, levels: Levels) -> Result<Self> {
        let (plane, len) = (size * size, size * size * channels);
        if len == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(len) {
            let reason = format!("{} bytes are no images of {size}x{size} with {channels} channels", pixels.len());
            return Err(Error::Config(reason));
        }
        let planar = |image: &[u8]| (0..len).map(|i| image[i % plane * channels + i / plane]).collect::<Vec<u8>>();
        let pixels: Vec<u8> = pixels.chunks(len).flat_map(planar).collect();
        let half_square = |image: &[u8]| 0.5 * image.iter().map(|&v| f64::from(level(v)).powi(2)).sum::<f64>();
        let half_squares = pixels.chunks(len).map(|image| half_square(image) as f32).collect();
        Ok(Ideal { pixels, len, half_squares, levels, evaluated: AtomicU64::new(0) })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.half_squares.len()
    }

    /// E[x₀ | x] for groups of x, each `[GROUP, len]`.
    fn denoise(&self, groups: &[Tensor<2>], signal: f64, sigma: f64) -> Vec<Tensor<2>> {
        // −‖x − √ᾱ y‖²/(2σ²) without its ‖x‖², which all images share.
        let queries: Vec<_> = groups.iter().map(|x| x.clone() * (signal / (sigma * sigma))).collect();
        let bias = -(signal * signal) / (sigma * sigma);
        let mut running: Vec<Option<Running>> = groups.iter().map(|_| None).collect();
        for (images, half_squares) in self.pixels.chunks(BLOCK * self.len).zip(self.half_squares.chunks(BLOCK)) {
            let (count, Some(device)) = (half_squares.len(), groups.first().map(Tensor::device)) else { break };
            let values: Vec<f32> = images.iter().map(|&value| level(value)).collect();
            let block = Tensor::<2>::from_data(TensorData::new(values, [count, self.len]), &device);
            let squares = Tensor::<1>::from_floats(half_squares, &device).reshape([1, count]);
            for (queries, running) in queries.iter().zip(&mut running) {
                let logits = queries.clone().matmul(block.clone().transpose()) + squares.clone() * bias;
                *running = Some(match running.take() {
                    None => Running::begin(logits, block.clone()),
                    Some(before) => before.add(logits, block.clone()),
                });
            }
        }
        running.into_iter().flatten().map(|running| running.mean / running.sum).collect()
    }
}

/// A softmax's weighted sum over the blocks so far, relative to the highest logit so far.
struct Running {
    highest: Tensor<2>,
    sum: Tensor<2>,
    mean: Tensor<2>,
}

impl Running {
    fn begin(logits: Tensor<2>, block: Tensor<2>) -> Self {
        let highest = logits.clone().max_dim(1);
        let weights = (logits - highest.clone()).exp();
        Running { highest, sum: weights.clone().sum_dim(1), mean: weights.matmul(block) }
    }

    fn add(self, logits: Tensor<2>, block: Tensor<2>) -> Self {
        let highest = logits.clone().max_dim(1).max_pair(self.highest.clone());
        let weights = (logits - highest.clone()).exp();
        let faded = (self.highest - highest.clone()).exp();
        let sum = self.sum * faded.clone() + weights.clone().sum_dim(1);
        Running { highest, sum, mean: self.mean * faded + weights.matmul(block) }
    }
}

/// A pixel in [−1, 1].
fn level(value: u8) -> f32 {
    f32::from(value) / 127.5 - 1.0
}

impl Predictor for Ideal {
    fn group(&self) -> usize {
        GROUP
    }

    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        let shape = x.dims();
        let images = shape[0];
        self.evaluated.fetch_add(images as u64, Ordering::Relaxed);
        let (signal, sigma) = self.levels.signal_and_noise(tau);
        let flat: Tensor<2> = x.reshape([images, self.len]);
        let device: Device = flat.device();
        let starts = (0..images).step_by(GROUP);
        let parts: Vec<Tensor<2>> =
            starts.map(|start| flat.clone().slice(s![start..(start + GROUP).min(images)])).collect();
        let filled = |part: &Tensor<2>| match part.dims()[0] {
            GROUP => part.clone(),
            count => Tensor::cat(vec![part.clone(), Tensor::zeros([GROUP - count, self.len], &device)], 0),
        };
        let groups: Vec<Tensor<2>> = parts.iter().map(filled).collect();
        let epsilon = parts.into_iter().zip(self.denoise(&groups, signal, sigma)).map(|(part, denoised)| {
            let count = part.dims()[0];
            (part - denoised.slice(s![0..count]) * signal) / sigma
        });
        Tensor::cat(epsilon.collect(), 0).reshape(shape)
    }

    fn identity(&self) -> String {
        let begin = Fingerprint::default().bytes(b"ideal").numbers([self.len as f64].into_iter());
        begin.bytes(&self.pixels).numbers(self.levels.numbers()).finish()
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }
}
