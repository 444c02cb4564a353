//! A trained U-Net as a noise predictor.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_conv::Level;
use serde::{Deserialize, Serialize};

use crate::{
    CompiledUNet, Levels, Predictor, Result, UNet, UNetConfig, Weights,
    layout::{self, Selected},
    predictor::Fingerprint,
};

/// What a network's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The noise ε.
    Epsilon,
    /// The data x₀.
    X0,
    /// The velocity v = √ᾱ ε − σ x₀ (Salimans and Ho 2022, arXiv 2202.00512).
    V,
}

impl Prediction {
    /// By its name in metadata and experiments.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Prediction::Epsilon, Prediction::X0, Prediction::V].into_iter().find(|kind| kind.name() == name)
    }

    /// The name in metadata and experiments.
    pub fn name(self) -> &'static str {
        match self {
            Prediction::Epsilon => "epsilon",
            Prediction::X0 => "x0",
            Prediction::V => "v",
        }
    }

    /// ε from what the network gave for x at a level √ᾱ, σ.
    fn to_epsilon(self, output: Tensor<4>, x: Tensor<4>, (signal, sigma): (f64, f64)) -> Tensor<4> {
        match self {
            Prediction::Epsilon => output,
            Prediction::X0 => (x - output * signal) / sigma,
            Prediction::V => output * signal + x * sigma,
        }
    }
}

/// A checkpoint, read but not yet on a device.
pub struct Checkpoint {
    /// The network's shape.
    pub config: UNetConfig,
    /// What it predicts.
    pub prediction: Prediction,
    /// The noise schedule that the checkpoint says it was trained with: `linear`, `scaled-linear`, `cosine`, or what its
    /// metadata say.
    pub schedule: Option<String>,
    /// Which of several sets of weights was taken.
    pub selected: Selected,
    weights: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint: safetensors or a PyTorch file with improved-diffusion's names, a diffusers `UNet2DModel` or
    /// pipeline folder, or the DEIS-SN authors' pipeline folder.
    ///
    /// Where `config` or `prediction` is not given, the checkpoint must say it: a safetensors file in its metadata
    /// (`config`: JSON; `prediction`: `epsilon`, `x0` or `v`), a folder in its `config.json` and the scheduler's.
    ///
    /// # Errors
    /// Where the checkpoint is damaged, or its shape or prediction is said nowhere.
    pub fn read(path: &Path, config: Option<UNetConfig>, prediction: Option<Prediction>) -> Result<Self> {
        let found = layout::open(path)?;
        let weights = found.weights;
        let Some(config) = (match (config, found.config) {
            (Some(_), Some(_)) if path.is_dir() => {
                return Err(weights.invalid("its folder has a config.json; leave [model.config] out"));
            }
            (given, found) => given.or(found),
        }) else {
            return Err(weights.invalid("no 'config' in the metadata; give a [model.config] table"));
        };
        let Some(prediction) = prediction.or(found.prediction) else {
            let expected = "set prediction = \"epsilon\", \"x0\" or \"v\"";
            return Err(weights.invalid(format!("no 'prediction' in the metadata; {expected}")));
        };
        config.check()?;
        Ok(Checkpoint { config, prediction, schedule: found.schedule, selected: found.selected, weights })
    }

    /// The file with the weights.
    pub fn weights_file(&self) -> &Path {
        self.weights.path()
    }

    /// Builds the network on `device`, its output as it is.
    ///
    /// # Errors
    /// Where a tensor is missing, misshapen or left over; it is named.
    pub fn unet(mut self, device: &Device) -> Result<UNet> {
        let unet = UNet::new(&self.config, &mut self.weights, device)?;
        self.weights.finish()?;
        Ok(unet)
    }

    /// Builds the network on `device`, its output turned into ε.
    ///
    /// # Errors
    /// As [`Checkpoint::unet`].
    pub fn build(mut self, levels: Levels, device: &Device) -> Result<Network> {
        let unet = UNet::new(&self.config, &mut self.weights, device)?;
        let tensors = self.weights.finish()?;
        let identity = identity(&self.config, self.prediction, &levels, &tensors);
        let evaluated = AtomicU64::new(0);
        Ok(Network { unet, compiled: None, prediction: self.prediction, levels, identity, evaluated })
    }
}

/// A U-Net whose output is turned into ε.
pub struct Network {
    pub(crate) unet: UNet,
    /// Does the same, faster, where the network is on this machine's cores.
    pub(crate) compiled: Option<CompiledUNet>,
    pub(crate) prediction: Prediction,
    pub(crate) levels: Levels,
    pub(crate) identity: String,
    pub(crate) evaluated: AtomicU64,
}

/// Of the tensors that the network was built of (a hash of them), and of everything that says what is computed with them.
/// Dropout is not: there is none outside training.
pub(crate) fn identity(config: &UNetConfig, prediction: Prediction, levels: &Levels, tensors: &str) -> String {
    let config = UNetConfig { dropout: 0.0, ..config.clone() };
    // A configuration of numbers always has a JSON form.
    let config = serde_json::to_string(&config).unwrap_or_default();
    let numbers = Fingerprint::default().bytes(config.as_bytes()).bytes(prediction.name().as_bytes());
    numbers.bytes(tensors.as_bytes()).numbers(levels.numbers()).finish()
}

impl Network {
    /// On kernels made for this machine's cores ([`CompiledUNet`]): several times faster than burn's, last digits apart.
    pub fn compiled(mut self) -> Self {
        self.compiled = Some(CompiledUNet::new(&self.unet, Level::best()));
        self
    }

    /// The network's output for x.
    fn output(&self, x: Tensor<4>, timestep: f32) -> Tensor<4> {
        let (device, dims) = (x.device(), x.dims());
        let size = [dims[2], dims[3]];
        match &self.compiled {
            Some(compiled) => {
                let data = x.into_data();
                let output = match data.as_slice::<f32>() {
                    Ok(values) => compiled.forward(values, size, timestep),
                    Err(_) => compiled.forward(&data.iter().collect::<Vec<f32>>(), size, timestep),
                };
                Tensor::from_data(TensorData::new(output, dims), &device)
            }
            None => self.unet.forward(x, Tensor::from_floats([timestep], &device)),
        }
    }
}

impl Predictor for Network {
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        self.evaluated.fetch_add(x.dims()[0] as u64, Ordering::Relaxed);
        let timestep = tau * self.levels.count as f64 - 1.0;
        let output = self.output(x.clone(), timestep as f32);
        self.prediction.to_epsilon(output, x, self.levels.signal_and_noise(tau))
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }
}
