//! A trained U-Net as a noise predictor.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Levels, Predictor, Result, UNet, UNetConfig, Weights};

/// What a network's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The noise ε.
    Epsilon,
    /// The velocity v = √ᾱ ε − σ x₀ (Salimans and Ho 2022, arXiv 2202.00512).
    V,
}

/// A checkpoint, read but not yet on a device.
pub struct Checkpoint {
    /// The network's shape.
    pub config: UNetConfig,
    /// What it predicts.
    pub prediction: Prediction,
    weights: Weights,
}

impl Checkpoint {
    /// Reads safetensors with the key names of OpenAI's improved-diffusion.
    ///
    /// Where `config` or `prediction` is not given, the file's metadata must say it (`config`: JSON;
    /// `prediction`: `epsilon` or `v`).
    ///
    /// # Errors
    /// Where the file is damaged, or its shape or prediction is said nowhere.
    pub fn read(path: &Path, config: Option<UNetConfig>, prediction: Option<Prediction>) -> Result<Self> {
        let weights = Weights::read(path)?;
        let config = match (config, weights.metadata("config")) {
            (Some(config), _) => config,
            (None, Some(json)) => {
                serde_json::from_str(json).map_err(|error| weights.invalid(format!("metadata 'config': {error}")))?
            }
            (None, None) => {
                return Err(weights.invalid("no 'config' in the metadata; give a [model.config] table"));
            }
        };
        let prediction = match (prediction, weights.metadata("prediction")) {
            (Some(prediction), _) => prediction,
            (None, Some("epsilon")) => Prediction::Epsilon,
            (None, Some("v")) => Prediction::V,
            (None, Some(other)) => {
                return Err(weights.invalid(format!("metadata 'prediction' is '{other}'; expected epsilon or v")));
            }
            (None, None) => {
                return Err(weights.invalid("no 'prediction' in the metadata; set prediction = \"epsilon\" or \"v\""));
            }
        };
        config.check()?;
        Ok(Checkpoint { config, prediction, weights })
    }

    /// Builds the network on `device`.
    ///
    /// # Errors
    /// Where a tensor is missing, misshapen or left over; it is named.
    pub fn build(mut self, levels: Levels, device: &Device) -> Result<Network> {
        let unet = UNet::new(&self.config, &mut self.weights, device)?;
        self.weights.finish()?;
        Ok(Network { unet, prediction: self.prediction, levels, evaluated: AtomicU64::new(0) })
    }
}

/// A U-Net whose output is turned into ε.
pub struct Network {
    unet: UNet,
    prediction: Prediction,
    levels: Levels,
    evaluated: AtomicU64,
}

impl Predictor for Network {
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        self.evaluated.fetch_add(x.dims()[0] as u64, Ordering::Relaxed);
        let timestep = tau * self.levels.count as f64 - 1.0;
        let timestep = Tensor::from_floats([timestep as f32], &x.device());
        let output = self.unet.forward(x.clone(), timestep);
        match self.prediction {
            Prediction::Epsilon => output,
            Prediction::V => {
                let (signal, sigma) = self.levels.signal_and_noise(tau);
                output * signal + x * sigma
            }
        }
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }
}
