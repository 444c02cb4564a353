//! Training a U-Net as Ho et al. (2020, arXiv 2006.11239, algorithm 1) and Nichol and Dhariwal (2021) do: the mean
//! squared error of its prediction at a random τ, AdamW, and an exponential moving average of the weights.
//!
//! Everything random depends on (seed, step) and everything summed is summed in one order, so that a run that is killed
//! and resumed ends with the same bytes, whatever the number of threads.

mod initial;
mod noise;
mod state;

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    optim::{AdamW, AdamWConfig, AdamWState, Optimizer},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use rayon::prelude::*;

use crate::{
    Conditioning, Error, Levels, Network, Prediction, Result, UNet, UNetConfig, network,
    predictor::Fingerprint,
    unet::{Dropout, Parameter},
};
use initial::Initial;
use noise::{Example, Examples};

/// How the learning rate goes on after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// It stays.
    Constant,
    /// It falls as half a cosine to a fiftieth at the last step.
    Cosine,
}

/// A training run.
#[derive(Debug, Clone)]
pub struct TrainSpec {
    /// The network.
    pub config: UNetConfig,
    /// What it learns to predict.
    pub prediction: Prediction,
    /// Optimiser steps.
    pub steps: usize,
    /// Images of a step.
    pub batch: usize,
    /// Images that go through the network together; on CPU these parts of a batch run side by side.
    pub part: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises.
    pub warm_up: usize,
    /// What follows.
    pub rate: Rate,
    /// AdamW's β₁ and β₂.
    pub betas: [f32; 2],
    /// AdamW's decay of weights.
    pub weight_decay: f32,
    /// Largest norm of the gradient of all parameters together; none for no clipping.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average; lower in the first steps, min(decay, (1 + n)/(10 + n)).
    pub ema: f64,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Seed of everything random.
    pub seed: u64,
}

impl TrainSpec {
    /// Learning rate of step `n`, counted from 0.
    pub fn learning_rate(&self, n: usize) -> f64 {
        let rising = ((n + 1) as f64 / self.warm_up.max(1) as f64).min(1.0);
        let progress = n as f64 / self.steps.max(1) as f64;
        let falling = match self.rate {
            Rate::Constant => 1.0,
            Rate::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.02),
        };
        self.learning_rate * rising * falling
    }
}

/// The images of a training run, 8-bit.
#[derive(Debug, Clone, Copy)]
pub struct TrainingImages<'a> {
    /// `[count, height, width, channels]`.
    pub pixels: &'a [u8],
    /// Height and width.
    pub size: usize,
    /// Channels.
    pub channels: usize,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done, this one included.
    pub step: usize,
    /// Mean squared error before it.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// A network in training.
pub struct Trainer {
    spec: TrainSpec,
    device: Device,
    /// Whether parts of a batch run side by side.
    parallel: bool,
    /// Without autodiff; each part of a batch attaches a copy.
    unet: UNet,
    /// In the order in which a visitor sees the parameters.
    slots: Vec<Slot>,
    optimizer: AdamW,
    step: usize,
}

/// A parameter's state, flat and as burn keeps it.
struct Slot {
    parameter: Parameter,
    adam: Option<AdamWState<1>>,
    ema: Tensor<1>,
}

impl Trainer {
    /// A network with random weights, as PyTorch and improved-diffusion begin; `parallel` on CPU.
    ///
    /// # Errors
    /// Where the configuration contradicts itself.
    pub fn new(spec: TrainSpec, device: &Device, parallel: bool) -> Result<Self> {
        spec.config.check()?;
        if spec.config.classes > 0 {
            return Err(Error::Config("classes is not 0: training knows no classes".into()));
        }
        let mut source = Initial::new(spec.seed);
        let (unet, parameters) = UNet::with_parameters(&spec.config, &mut source, device)?;
        Trainer::assemble(spec, device, parallel, unet, parameters)
    }

    fn assemble(
        spec: TrainSpec,
        device: &Device,
        parallel: bool,
        unet: UNet,
        parameters: Vec<Parameter>,
    ) -> Result<Self> {
        let mut by_id: HashMap<ParamId, Parameter> =
            parameters.into_iter().map(|parameter| (parameter.id, parameter)).collect();
        let mut values = Values(Vec::new());
        unet.visit(&mut values);
        // A linear layer is built as a transposed view, and a view multiplies with other last bits than what replaces it
        // in the first update: a resumed run must not see the difference.
        let unet = unet.map(&mut Replace(values.0.iter().cloned().collect()));
        let slot = |(id, ema)| {
            let parameter = by_id.remove(&id)?;
            Some(Slot { parameter, adam: None, ema })
        };
        let slots: Option<Vec<Slot>> = values.0.into_iter().map(slot).collect();
        let Some(slots) = slots else { return Err(Error::Config("a parameter has no name".into())) };
        let optimizer = AdamWConfig::new()
            .with_beta_1(spec.betas[0])
            .with_beta_2(spec.betas[1])
            .with_epsilon(1e-8)
            .with_weight_decay(spec.weight_decay)
            .build();
        Ok(Trainer { spec, device: device.clone(), parallel, unet, slots, optimizer, step: 0 })
    }

    /// Steps done.
    pub fn step_count(&self) -> usize {
        self.step
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.slots.iter().map(|slot| slot.parameter.shape.iter().product::<usize>()).sum()
    }

    /// One step of the optimiser on the images that are next.
    ///
    /// # Errors
    /// Where the loss is not finite any more; nothing has changed then.
    pub fn step(&mut self, images: TrainingImages<'_>, levels: &Levels) -> Result<Step> {
        let examples = Examples::of_step(&self.spec, images, levels, self.step);
        let parts: Vec<(usize, &[Example])> = examples.list.chunks(self.spec.part).enumerate().collect();
        let work = |&(i, part): &(usize, &[Example])| self.gradients(&examples, part, i);
        let parts: Vec<Result<(f64, Vec<Tensor<1>>)>> =
            if self.parallel { parts.par_iter().map(work).collect() } else { parts.iter().map(work).collect() };
        let (mut loss, mut gradients) = (0.0, Vec::new());
        for part in parts {
            let (part_loss, part_gradients) = part?;
            loss += part_loss;
            gradients = if gradients.is_empty() {
                part_gradients
            } else {
                gradients.into_iter().zip(part_gradients).map(|(sum, part): (Tensor<1>, _)| sum + part).collect()
            };
        }
        let norms: Vec<Tensor<1>> = gradients.iter().map(|gradient| gradient.clone().square().sum()).collect();
        let squares: Vec<f32> = host(Tensor::cat(norms, 0))?;
        let gradient_norm = squares.iter().map(|&square| f64::from(square)).sum::<f64>().sqrt();
        if !loss.is_finite() || !gradient_norm.is_finite() {
            let reason = format!("step {}: the loss is {loss} and the gradient's norm {gradient_norm}", self.step + 1);
            return Err(Error::Training(format!("{reason}; a lower learning_rate or a clip_norm may help")));
        }
        let scale = self.spec.clip_norm.map_or(1.0, |limit| (limit / gradient_norm).min(1.0));
        let learning_rate = self.spec.learning_rate(self.step);
        self.update(gradients, scale, learning_rate);
        self.step += 1;
        Ok(Step { step: self.step, loss, gradient_norm, learning_rate })
    }

    /// Loss and gradients of one part of the batch, each already divided by the whole batch's numbers.
    fn gradients(&self, examples: &Examples, part: &[Example], index: usize) -> Result<(f64, Vec<Tensor<1>>)> {
        let unet = self.unet.clone().map(&mut Attach);
        let device = self.device.clone().autodiff();
        let shape = [part.len(), examples.channels, examples.size, examples.size];
        let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), &device);
        let (x, target) = examples.tensors(part);
        let timesteps: Vec<f32> = part.iter().map(|example| example.timestep as f32).collect();
        let stream = ((self.step as u64) << 16) | index as u64;
        let dropout = Dropout::new(self.spec.config.dropout, self.spec.seed, stream);
        let timesteps = Tensor::<1>::from_floats(timesteps.as_slice(), &device);
        let y = unet.forward_with(tensor(x), timesteps, &[], &dropout);
        let count = (examples.list.len() * shape[1..].iter().product::<usize>()) as f64;
        let loss = (y - tensor(target)).square().sum() / count;
        let mut collect = Collect { gradients: loss.backward(), flat: Vec::with_capacity(self.slots.len()) };
        unet.visit(&mut collect);
        let loss: Vec<f32> = host(loss.inner())?;
        Ok((loss.iter().map(|&loss| f64::from(loss)).sum(), collect.flat))
    }

    fn update(&mut self, gradients: Vec<Tensor<1>>, scale: f64, learning_rate: f64) {
        let mut values = Values(Vec::new());
        self.unet.visit(&mut values);
        let n = self.step as f64;
        let decay = self.spec.ema.min((1.0 + n) / (10.0 + n));
        let optimizer = &self.optimizer;
        let one = |(slot, ((id, value), gradient)): (&mut Slot, ((ParamId, Tensor<1>), Tensor<1>))| {
            let gradient = if scale < 1.0 { gradient * scale } else { gradient };
            let (value, adam) = optimizer.step(learning_rate, value, gradient, slot.adam.take());
            slot.adam = adam;
            slot.ema = slot.ema.clone() * decay + value.clone() * (1.0 - decay);
            (id, value)
        };
        let work: Vec<_> = self.slots.iter_mut().zip(values.0.into_iter().zip(gradients)).collect();
        let updated: HashMap<ParamId, Tensor<1>> =
            if self.parallel { work.into_par_iter().map(one).collect() } else { work.into_iter().map(one).collect() };
        self.unet = self.unet.clone().map(&mut Replace(updated));
    }

    /// The network with the averaged weights, to sample from.
    pub fn averaged(&self, levels: Levels) -> Network {
        let values = self.slots.iter().map(|slot| (slot.parameter.id, slot.ema.clone())).collect();
        let unet = self.unet.clone().map(&mut Replace(values));
        let tensors = self.slots.iter().fold(Fingerprint::default(), |all, slot| {
            all.bytes(slot.parameter.name.as_bytes()).bytes(slot.ema.to_data().as_bytes())
        });
        let conditioning = Conditioning::Time(self.spec.prediction);
        let identity = network::identity(&self.spec.config, conditioning, &levels, &tensors.finish(), None);
        Network::new(unet, conditioning, None, levels, identity)
    }
}

/// A tensor's numbers on the host.
fn host(tensor: Tensor<1>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec().map_err(|error| Error::Training(format!("values of a tensor: {error:?}")))
}

/// Collects the parameters, flat.
struct Values(Vec<(ParamId, Tensor<1>)>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push((param.id, param.val().reshape([-1])));
    }
}

/// Collects the gradients, flat, in the same order.
struct Collect {
    gradients: Gradients,
    flat: Vec<Tensor<1>>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let gradient = value.grad_remove(&mut self.gradients);
        // A parameter that the loss does not depend on has no gradient.
        self.flat.push(gradient.unwrap_or_else(|| value.inner().zeros_like()).reshape([-1]));
    }
}

/// Makes every parameter the leaf of a graph of its own, so that parts of a batch share none.
struct Attach;

impl ModuleMapper for Attach {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, _) = param.consume();
        Param::initialized(id, value.inner().autodiff().require_grad())
    }
}

/// Gives parameters other values.
struct Replace(HashMap<ParamId, Tensor<1>>);

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, _) = param.consume();
        let value = match self.0.remove(&id) {
            Some(flat) => flat.reshape(value.dims()),
            None => value,
        };
        Param::initialized(id, value)
    }
}
