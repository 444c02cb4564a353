//! What a sampler sees of a model.

use burn::tensor::Tensor;

/// A noise predictor.
pub trait Predictor: Send + Sync {
    /// ε(x, τ) for x `[batch, channels, height, width]`; the same shape.
    ///
    /// An image's prediction depends on that image alone, to the bit on CPU, whatever the batch.
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4>;

    /// Images evaluated so far: what NFE is counted from.
    fn evaluated(&self) -> u64;

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
}
