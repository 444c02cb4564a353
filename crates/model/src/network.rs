//! A trained U-Net as a noise predictor.

use std::{
    ops::Range,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::{Device, Int, Tensor, TensorData};
use fewstep_conv::Level;
use serde::{Deserialize, Serialize};

use crate::{
    CompiledUNet, Conditioning, Error, Levels, Predictor, Result, UNet, UNetConfig, Weights,
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
    pub(crate) fn to_epsilon(self, output: Tensor<4>, x: Tensor<4>, (signal, sigma): (f64, f64)) -> Tensor<4> {
        match self {
            Prediction::Epsilon => output,
            Prediction::X0 => (x - output * signal) / sigma,
            Prediction::V => output * signal + x * sigma,
        }
    }
}

/// Which classes a network with class labels is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// This one.
    One(usize),
    /// Image k of a cell is of class k modulo their number: each as often as any other.
    Cycle,
}

impl Classes {
    /// Of the images with these numbers.
    fn of(self, images: Range<usize>, count: usize) -> Vec<usize> {
        images
            .map(|image| match self {
                Classes::One(class) => class,
                Classes::Cycle => image % count,
            })
            .collect()
    }
}

/// A checkpoint, read but not yet on a device.
pub struct Checkpoint {
    /// The network's shape.
    pub config: UNetConfig,
    /// How it becomes a noise predictor.
    pub conditioning: Conditioning,
    /// The noise schedule that the checkpoint says it was trained with: `linear`, `scaled-linear`, `cosine`, or what its
    /// metadata say.
    pub schedule: Option<String>,
    /// Which of several sets of weights was taken.
    pub selected: Selected,
    /// Side in pixels of the images that the checkpoint was made for, where it says it: EDM's `.pkl` do.
    pub size: Option<usize>,
    classes: Option<Classes>,
    weights: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint: safetensors or a PyTorch file with improved-diffusion's names, a diffusers `UNet2DModel` or
    /// pipeline folder, the DEIS-SN authors' pipeline folder, or EDM's `.pkl`.
    ///
    /// Where `config` or `prediction` is not given, the checkpoint must say it: a safetensors file in its metadata
    /// (`config`: JSON; `prediction`: `epsilon`, `x0` or `v`), a folder in its `config.json` and the scheduler's, a `.pkl` in its objects.
    ///
    /// # Errors
    /// Where the checkpoint is damaged, or its shape or prediction is said nowhere.
    pub fn read(path: &Path, config: Option<UNetConfig>, prediction: Option<Prediction>) -> Result<Self> {
        let found = layout::open(path)?;
        let weights = found.weights;
        if let Some(conditioning @ (Conditioning::Edm { .. } | Conditioning::Vp { .. })) = found.conditioning
            && (config.is_some() || prediction.is_some())
        {
            let given = if config.is_some() { "config" } else { "prediction" };
            let reason = format!("the file says what its network is ({}); leave {given} out", conditioning.name());
            return Err(weights.invalid(reason));
        }
        let Some(config) = (match (config, found.config) {
            (Some(_), Some(_)) if path.is_dir() => {
                return Err(weights.invalid("its folder has a config.json; leave [model.config] out"));
            }
            (given, found) => given.or(found),
        }) else {
            return Err(weights.invalid("no 'config' in the metadata; give a [model.config] table"));
        };
        let Some(conditioning) = prediction.map(Conditioning::Time).or(found.conditioning) else {
            let expected = "set prediction = \"epsilon\", \"x0\" or \"v\"";
            return Err(weights.invalid(format!("no 'prediction' in the metadata; {expected}")));
        };
        config.check()?;
        let (schedule, selected, size) = (found.schedule, found.selected, found.size);
        Ok(Checkpoint { config, conditioning, schedule, selected, size, classes: None, weights })
    }

    /// The same, asked for these classes.
    ///
    /// # Errors
    /// Where the network has no classes and some are asked for, has classes and none is, or has not this one.
    pub fn of_classes(mut self, classes: Option<Classes>) -> Result<Self> {
        let count = self.config.classes;
        let expected = match (classes, count) {
            (Some(_), 0) => "this network has no classes; leave class out".to_owned(),
            (Some(Classes::One(class)), count) if class >= count => {
                format!("class is {class}; expected 0 to {} or \"cycle\"", count - 1)
            }
            (None, 1..) => format!("this network has {count} classes; set class = 0 to {} or \"cycle\"", count - 1),
            _ => {
                self.classes = classes;
                return Ok(self);
            }
        };
        Err(self.weights.invalid(expected))
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
        if self.config.classes > 0 && self.classes.is_none() {
            return Err(Error::Config(format!("a network of {} classes, and none is asked for", self.config.classes)));
        }
        let unet = UNet::new(&self.config, &mut self.weights, device)?;
        let tensors = self.weights.finish()?;
        let identity = identity(&self.config, self.conditioning, &levels, &tensors, self.classes);
        let labels = self.classes.map(|classes| (classes, self.config.classes));
        Ok(Network::new(unet, self.conditioning, labels, levels, identity))
    }
}

/// A U-Net whose output is turned into ε.
pub struct Network {
    unet: UNet,
    /// Does the same, faster, where the network is on this machine's cores.
    compiled: Option<CompiledUNet>,
    conditioning: Conditioning,
    /// With how many there are.
    classes: Option<(Classes, usize)>,
    levels: Levels,
    identity: String,
    evaluated: AtomicU64,
}

/// Of the tensors that the network was built of (a hash of them), and of everything that says what is computed with them.
/// Dropout is not: there is none outside training.
pub(crate) fn identity(
    config: &UNetConfig,
    conditioning: Conditioning,
    levels: &Levels,
    tensors: &str,
    classes: Option<Classes>,
) -> String {
    let config = UNetConfig { dropout: 0.0, ..config.clone() };
    // A configuration of numbers always has a JSON form.
    let config = serde_json::to_string(&config).unwrap_or_default();
    let numbers = Fingerprint::default().bytes(config.as_bytes()).bytes(conditioning.name().as_bytes());
    let numbers = numbers.bytes(tensors.as_bytes()).numbers(levels.numbers());
    match classes {
        Some(classes) => numbers.bytes(format!("{classes:?}").as_bytes()).finish(),
        None => numbers.finish(),
    }
}

impl Network {
    pub(crate) fn new(
        unet: UNet,
        conditioning: Conditioning,
        classes: Option<(Classes, usize)>,
        levels: Levels,
        identity: String,
    ) -> Self {
        Network { unet, compiled: None, conditioning, classes, levels, identity, evaluated: AtomicU64::new(0) }
    }

    /// On kernels made for this machine's cores ([`CompiledUNet`]): several times faster than burn's, last digits apart.
    pub fn compiled(mut self) -> Self {
        self.compiled = Some(CompiledUNet::new(&self.unet, Level::best()));
        self
    }

    /// The network's output for x, at one label, of these classes.
    fn output(&self, x: Tensor<4>, label: f32, classes: &[usize]) -> Tensor<4> {
        let (device, dims) = (x.device(), x.dims());
        let size = [dims[2], dims[3]];
        match &self.compiled {
            Some(compiled) => {
                let data = x.into_data();
                let output = match data.as_slice::<f32>() {
                    Ok(values) => compiled.forward_of(values, size, label, classes),
                    Err(_) => compiled.forward_of(&data.iter().collect::<Vec<f32>>(), size, label, classes),
                };
                Tensor::from_data(TensorData::new(output, dims), &device)
            }
            None => self.plain(x, Tensor::from_floats([label], &device), classes),
        }
    }

    /// The same in burn's operations, class by class: then an image's bits do not depend on which others are beside it.
    fn plain(&self, x: Tensor<4>, label: Tensor<1>, classes: &[usize]) -> Tensor<4> {
        let mut distinct = classes.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 2 {
            return self.unet.forward_of(x, label, &distinct);
        }
        let device = x.device();
        let pick = |x: Tensor<4>, order: &[usize]| {
            let order: Vec<i64> = order.iter().map(|&image| image as i64).collect();
            x.select(0, Tensor::<1, Int>::from_data(TensorData::from(order.as_slice()), &device))
        };
        // Images by class, and where each is then.
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by_key(|&image| classes[image]);
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &image)| places[image] = place);
        let of_class =
            |images: &[usize]| self.unet.forward_of(pick(x.clone(), images), label.clone(), &[classes[images[0]]]);
        let parts = order.chunk_by(|&a, &b| classes[a] == classes[b]).map(of_class).collect();
        pick(Tensor::cat(parts, 0), &places)
    }
}

impl Predictor for Network {
    fn epsilon(&self, x: Tensor<4>, tau: f64) -> Tensor<4> {
        let images = x.dims()[0];
        self.epsilon_of(x, tau, 0..images)
    }

    fn epsilon_of(&self, x: Tensor<4>, tau: f64, images: Range<usize>) -> Tensor<4> {
        self.evaluated.fetch_add(x.dims()[0] as u64, Ordering::Relaxed);
        let classes = self.classes.map_or_else(Vec::new, |(classes, count)| classes.of(images, count));
        self.conditioning.epsilon(&self.levels, x, tau, |x, label| self.output(x, label, &classes))
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }
}
