//! Dropout whose masks depend on a seed alone.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Tensor, TensorData};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Drops activations with the same masks wherever and beside whatever else it runs, which the device's own generator,
/// shared by all threads, would not.
pub(crate) struct Dropout {
    probability: f64,
    random: Mutex<ChaCha8Rng>,
}

impl Dropout {
    /// Drops nothing.
    pub(crate) fn none() -> Self {
        Dropout::new(0.0, 0, 0)
    }

    /// Drops with `probability`, by the numbers of `seed` and `stream`.
    pub(crate) fn new(probability: f64, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Dropout { probability, random: Mutex::new(random) }
    }

    /// Zeroes activations and scales what is left by 1/(1 − p).
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.probability == 0.0 {
            return x;
        }
        let shape = x.dims();
        let kept = (1.0 / (1.0 - self.probability)) as f32;
        // A mask is sixteen random bits against a threshold: p to 1/65536.
        let threshold = (self.probability * 65536.0).round() as u32;
        let mut bytes = vec![0; 2 * shape.iter().product::<usize>()];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        let (bits, _) = bytes.as_chunks();
        let mask: Vec<f32> =
            bits.iter().map(|&bits| if u32::from(u16::from_le_bytes(bits)) < threshold { 0.0 } else { kept }).collect();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }
}
