//! The exact noise predictor of Gaussian data.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;

use crate::{Levels, Predictor};

/// Data whose pixels are independent N(mean, variance): ε = σ (x − √ᾱ m)/(ᾱ v + σ²).
pub struct Gaussian {
    mean: f64,
    variance: f64,
    levels: Levels,
    evaluated: AtomicU64,
}

impl Gaussian {
    /// Predictor for pixels distributed as N(`mean`, `variance`).
    pub fn new(mean: f64, variance: f64, levels: Levels) -> Self {
        Gaussian { mean, variance, levels, evaluated: AtomicU64::new(0) }
    }
}

impl Predictor for Gaussian {
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        self.evaluated.fetch_add(x.dims()[0] as u64, Ordering::Relaxed);
        let (signal, sigma) = self.levels.signal_and_noise(tau);
        (x - signal * self.mean) * (sigma / (signal * signal * self.variance + sigma * sigma))
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }
}
