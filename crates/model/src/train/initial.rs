//! Random weights to begin with.

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{Result, unet::Source};

/// PyTorch's defaults: weights and biases uniform within 1/√fan-in, norms 1 and 0; and improved-diffusion's zeros, so
/// that every residual branch and the output begin as nothing.
pub(super) struct Initial {
    random: ChaCha12Rng,
    /// Of the weight that came last: its bias follows it. None for a norm.
    fan_in: Option<usize>,
}

impl Initial {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        // Apart from the streams that steps use.
        random.set_stream(u64::MAX);
        Initial { random, fan_in: None }
    }
}

impl Source for Initial {
    fn take<const D: usize>(&mut self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        let weight = name.ends_with(".weight");
        if weight {
            self.fan_in = (D > 1).then(|| shape[1..].iter().product());
        }
        let zero =
            [".out_layers.3.", ".proj_out."].iter().any(|part| name.contains(part)) || name.starts_with("out.2.");
        let count = shape.iter().product();
        let values: Vec<f32> = match self.fan_in {
            _ if zero => vec![0.0; count],
            None => vec![if weight { 1.0 } else { 0.0 }; count],
            Some(fan_in) => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                let uniform = |bits: u32| ((f64::from(bits) + 0.5) / 2f64.powi(31) - 1.0) * bound;
                (0..count).map(|_| uniform(self.random.next_u32()) as f32).collect()
            }
        };
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}
