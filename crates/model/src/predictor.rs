//! What a sampler sees of a model.

use std::ops::Range;

use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

/// A noise predictor.
pub trait Predictor: Send + Sync {
    /// ε(x, τ) for x `[batch, channels, height, width]`; the same shape.
    ///
    /// An image's prediction depends on that image alone, to the bit on CPU, whatever the batch.
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4>;

    /// ε(x, τ) of a cell's images with these numbers: for a predictor to which that says more of an image, such as its class.
    fn epsilon_of(&self, x: Tensor<4>, tau: f64, _images: Range<usize>) -> Tensor<4> {
        self.epsilon(x, tau)
    }

    /// A hash of every number that predictions depend on besides the code that makes them: parameters, shape, kind of
    /// prediction, noise schedule, size of the images.
    fn identity(&self) -> String;

    /// Images evaluated so far: what NFE is counted from.
    fn evaluated(&self) -> u64;

    /// Images that cost about as much as one: smaller batches are no shorter.
    fn group(&self) -> usize {
        1
    }

    /// The exact solution at τ = 0 of the probability-flow ODE from x at τ = 1, where there is a formula for it.
    fn solution(&self, _x: Tensor<4>) -> Option<Tensor<4>> {
        None
    }

    /// Exact moments of the data, where they are known.
    fn moments(&self) -> Option<DataMoments> {
        None
    }
}

/// Mean and covariance of data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataMoments {
    /// `[channels · height · width]`.
    pub mean: Vec<f64>,
    /// Square, row-major.
    pub covariance: Vec<f64>,
}

/// What a predictor needs of the noise schedule it was made for.
pub struct Levels {
    /// T: the network's timestep is t = τT − 1.
    pub count: usize,
    /// ᾱ(τ).
    pub alpha_bar: Box<dyn Fn(f64) -> f64 + Send + Sync>,
}

impl Levels {
    /// √ᾱ and σ at τ.
    pub(crate) fn signal_and_noise(&self, tau: f64) -> (f64, f64) {
        let alpha_bar = (self.alpha_bar)(tau);
        (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt())
    }

    /// ᾱ at every knot and between them: two schedules of one name and other numbers differ here.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        (0..=2 * self.count).map(|k| (self.alpha_bar)(k as f64 / (2 * self.count) as f64))
    }
}

/// SHA-256 of texts and numbers, each with its length, so that no two lists of them run into one.
#[derive(Clone, Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// With `bytes` behind what there is.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// With numbers.
    pub(crate) fn numbers(self, numbers: impl Iterator<Item = f64>) -> Self {
        self.bytes(&numbers.flat_map(f64::to_le_bytes).collect::<Vec<u8>>())
    }

    /// In hexadecimal.
    pub(crate) fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}
