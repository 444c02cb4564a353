//! Data that is a mixture of Gaussians with diagonal covariances; one Gaussian among them.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use crate::{DataMoments, Error, Levels, Predictor, Result, predictor::Fingerprint};

/// One Gaussian of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// How much of the data it is, relative to the others.
    pub weight: f64,
    /// Means of the numbers of a sample, `[channels, height, width]` row-major.
    pub mean: Vec<f64>,
    /// Their variances.
    pub variance: Vec<f64>,
}

/// Samples from Σ w_k N(m_k, diag v_k). At τ they are Σ w_k N(√ᾱ m_k, diag s_k) with s_k = ᾱ v_k + σ², so that
/// ε = −σ ∇ log p = σ Σ γ_k (x − √ᾱ m_k)/s_k, where γ_k is the probability of component k given x.
pub struct Mixture {
    components: Vec<Component>,
    shape: [usize; 3],
    levels: Levels,
    evaluated: AtomicU64,
}

impl Mixture {
    /// Data of `shape` = `[channels, height, width]`.
    ///
    /// # Errors
    /// Where a component has another number of means or variances, or weights and variances are not positive.
    pub fn new(mut components: Vec<Component>, shape: [usize; 3], levels: Levels) -> Result<Self> {
        let len: usize = shape.iter().product();
        let refuse = |k: usize, reason: String| Err(Error::Config(format!("component {k}: {reason}")));
        for (k, component) in components.iter().enumerate() {
            for (name, values) in [("mean", &component.mean), ("variance", &component.variance)] {
                if values.len() != len {
                    return refuse(k, format!("{name} has {} numbers; expected {len}", values.len()));
                }
            }
            if !component.mean.iter().all(|mean| mean.is_finite()) {
                return refuse(k, "mean is not finite".into());
            }
            if !component.variance.iter().all(|variance| variance.is_finite() && *variance > 0.0) {
                return refuse(k, "variance is not positive".into());
            }
            if !(component.weight.is_finite() && component.weight > 0.0) {
                return refuse(k, format!("weight is {}; expected a positive number", component.weight));
            }
        }
        let total: f64 = components.iter().map(|component| component.weight).sum();
        if components.is_empty() {
            return Err(Error::Config("a mixture of no components".into()));
        }
        components.iter_mut().for_each(|component| component.weight /= total);
        Ok(Mixture { components, shape, levels, evaluated: AtomicU64::new(0) })
    }

    /// A row of numbers as a sample's tensor, `[1, channels, height, width]`.
    fn tensor(&self, values: impl Iterator<Item = f64>, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.shape;
        let values: Vec<f32> = values.map(|value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, [1, channels, height, width]), device)
    }
}

impl Predictor for Mixture {
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        let (images, device) = (x.dims()[0], x.device());
        self.evaluated.fetch_add(images as u64, Ordering::Relaxed);
        let (signal, sigma) = self.levels.signal_and_noise(tau);
        let (mut logits, mut terms) = (Vec::new(), Vec::new());
        for Component { weight, mean, variance } in &self.components {
            let spread = |v: &f64| signal * signal * v + sigma * sigma;
            let distance = x.clone() - self.tensor(mean.iter().map(|m| signal * m), &device);
            let scaled = distance.clone() * self.tensor(variance.iter().map(|v| 1.0 / spread(v)), &device);
            let squares: Tensor<2> = (distance * scaled.clone()).reshape([images, mean.len()]).sum_dim(1);
            let constant = weight.ln() - 0.5 * variance.iter().map(|v| spread(v).ln()).sum::<f64>();
            logits.push(squares * -0.5 + constant);
            terms.push(scaled * sigma);
        }
        let shares = softmax(Tensor::cat(logits, 1), 1);
        let share = |k: usize| shares.clone().narrow(1, k, 1).reshape([images, 1, 1, 1]);
        let mut weighted = terms.into_iter().enumerate().map(|(k, term)| term * share(k));
        // A mixture has at least one component.
        let first = weighted.next().unwrap_or_else(|| x.zeros_like());
        weighted.fold(first, |sum, term| sum + term)
    }

    fn identity(&self) -> String {
        let shape = self.shape.iter().map(|&side| side as f64);
        let begin = Fingerprint::default().bytes(b"mixture").numbers(shape).numbers(self.levels.numbers());
        let component = |all: Fingerprint, Component { weight, mean, variance }: &Component| {
            all.numbers([*weight].into_iter()).numbers(mean.iter().copied()).numbers(variance.iter().copied())
        };
        self.components.iter().fold(begin, component).finish()
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }

    /// For one Gaussian: the flow keeps (x − √ᾱ m)/√s, so x₀ = m + √v (x_T − √ᾱ_T m)/√s_T.
    fn solution(&self, x: Tensor<4>) -> Option<Tensor<4>> {
        let [Component { mean, variance, .. }] = self.components.as_slice() else { return None };
        let (signal, sigma) = self.levels.signal_and_noise(1.0);
        let device = x.device();
        let ratio = |v: &f64| (v / (signal * signal * v + sigma * sigma)).sqrt();
        let offset = mean.iter().zip(variance).map(|(m, v)| m - ratio(v) * signal * m);
        Some(x * self.tensor(variance.iter().map(ratio), &device) + self.tensor(offset, &device))
    }

    fn moments(&self) -> Option<DataMoments> {
        let len = self.shape.iter().product();
        let mut mean = vec![0.0; len];
        for component in &self.components {
            mean.iter_mut().zip(&component.mean).for_each(|(sum, m)| *sum += component.weight * m);
        }
        let mut covariance = vec![0.0; len * len];
        for component in &self.components {
            let distance: Vec<f64> = component.mean.iter().zip(&mean).map(|(m, mean)| m - mean).collect();
            for (i, row) in covariance.chunks_mut(len).enumerate() {
                row.iter_mut().zip(&distance).for_each(|(c, d)| *c += component.weight * distance[i] * d);
                row[i] += component.weight * component.variance[i];
            }
        }
        Some(DataMoments { mean, covariance })
    }
}
