//! The U-Net of improved-diffusion (Nichol and Dhariwal 2021, arXiv 2102.09672), which the DEIS-SN authors use, and of
//! DDPM (Ho et al. 2020, arXiv 2006.11239) as diffusers keeps it, which differs in a few constants, and that of DDPM++ as EDM
//! keeps it ([`Form`]).

mod build;
mod compiled;
mod config;
mod dropout;

use std::f64::consts::LN_10;

use burn::{
    module::Module,
    nn::{
        GroupNorm, Linear,
        conv::{Conv1d, Conv2d},
    },
    tensor::{
        Device, Tensor, TensorData,
        activation::{silu, softmax},
        module::{avg_pool2d, interpolate},
        ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions, PadMode},
    },
};

use crate::{Result, Weights};
use build::Builder;
pub(crate) use build::{Parameter, Source};
pub use compiled::CompiledUNet;
pub use config::{Form, UNetConfig};
pub(crate) use dropout::Dropout;

/// The network: x `[batch, channels, height, width]`, timesteps → output of the shape of x.
#[derive(Module, Debug)]
pub struct UNet {
    time_embed: Vec<Linear>,
    /// From √n times the one of n classes to what is added to the embedding of the time.
    label: Option<Linear>,
    input_blocks: Vec<Block>,
    middle_block: Block,
    output_blocks: Vec<Block>,
    out_norm: GroupNorm,
    out_conv: Conv2d,
    embedding: Embedding,
    patch: usize,
    channels: usize,
}

/// cos and sin of the timestep at falling frequencies.
#[derive(Module, Debug)]
struct Embedding {
    width: usize,
    sin_first: bool,
    frequency_shift: usize,
}

/// Layers that run one after another.
#[derive(Module, Debug)]
struct Block {
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // a handful of layers, built once
enum Layer {
    Conv(Conv2d),
    Residual(Residual),
    Attention(Attention),
    Down(Conv2d),
    /// Padded on the right and below only.
    DownAfter(Conv2d),
    Up(Conv2d),
}

#[derive(Module, Debug)]
struct Residual {
    in_norm: GroupNorm,
    in_conv: Conv2d,
    embedding: Linear,
    out_norm: GroupNorm,
    out_conv: Conv2d,
    skip: Option<Conv2d>,
    scale_shift: bool,
    /// Whether its input becomes twice as large, or half.
    doubles: bool,
    halves: bool,
    /// Of the sum.
    scale: f64,
}

/// What a residual block does to the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resampling {
    None,
    Half,
    Double,
}

#[derive(Module, Debug)]
struct Attention {
    norm: Option<GroupNorm>,
    qkv: Conv1d,
    projection: Conv1d,
    heads: usize,
    /// Of the sum.
    scale: f64,
}

impl UNet {
    /// Builds the network of `config` from tensors with improved-diffusion's names.
    ///
    /// # Errors
    /// Where a tensor is missing or misshapen.
    pub fn new(config: &UNetConfig, weights: &mut Weights, device: &Device) -> Result<Self> {
        Ok(Builder::new(config, weights, device).unet()?.0)
    }

    /// Builds the network of `config` from any source of tensors, with the list of its parameters.
    pub(crate) fn with_parameters(
        config: &UNetConfig,
        source: &mut impl Source,
        device: &Device,
    ) -> Result<(Self, Vec<Parameter>)> {
        Builder::new(config, source, device).unet()
    }

    /// Output for x at `timesteps` `[batch]`, or `[1]` where all images share one.
    pub fn forward(&self, x: Tensor<4>, timesteps: Tensor<1>) -> Tensor<4> {
        self.forward_of(x, timesteps, &[])
    }

    /// As [`UNet::forward`], where the network has classes with that of every image, or one that all share; without any it is told
    /// of none.
    pub fn forward_of(&self, x: Tensor<4>, timesteps: Tensor<1>, classes: &[usize]) -> Tensor<4> {
        self.forward_with(x, timesteps, classes, &Dropout::none())
    }

    /// As [`UNet::forward_of`], with activations dropped.
    pub(crate) fn forward_with(
        &self,
        x: Tensor<4>,
        timesteps: Tensor<1>,
        classes: &[usize],
        dropout: &Dropout,
    ) -> Tensor<4> {
        let embedding = self.embedding.forward(timesteps);
        let embedding = match &self.label {
            Some(label) => embedding + label.forward(one_hot(label.weight.dims()[0], classes, &x.device())),
            None => embedding,
        };
        let embedding = self.time_embed[0].forward(embedding);
        let embedding = self.time_embed[1].forward(silu(embedding));
        // Every residual block begins with the same activation of the embedding.
        let context = Context { embedding: silu(embedding), dropout };

        let mut x = pixel_unshuffle(x, self.patch);
        let mut skips = Vec::with_capacity(self.input_blocks.len());
        for block in &self.input_blocks {
            x = block.forward(x, &context);
            skips.push(x.clone());
        }
        x = self.middle_block.forward(x, &context);
        for (block, skip) in self.output_blocks.iter().zip(skips.into_iter().rev()) {
            x = block.forward(Tensor::cat(vec![x, skip], 1), &context);
        }
        let x = self.out_conv.forward(silu(self.out_norm.forward(x)));
        // A learned variance lies behind the prediction.
        pixel_shuffle(x, self.patch).narrow(1, 0, self.channels)
    }
}

/// What every layer sees beside its input.
struct Context<'a> {
    embedding: Tensor<2>,
    dropout: &'a Dropout,
}

impl Block {
    fn forward(&self, x: Tensor<4>, context: &Context<'_>) -> Tensor<4> {
        self.layers.iter().fold(x, |x, layer| layer.forward(x, context))
    }
}

impl Layer {
    fn forward(&self, x: Tensor<4>, context: &Context<'_>) -> Tensor<4> {
        match self {
            Layer::Conv(conv) | Layer::Down(conv) => conv.forward(x),
            Layer::DownAfter(conv) => conv.forward(x.pad([(0, 1), (0, 1)], PadMode::Constant(0.0))),
            Layer::Residual(residual) => residual.forward(x, context),
            Layer::Attention(attention) => attention.forward(x),
            Layer::Up(conv) => conv.forward(enlarge(x)),
        }
    }
}

impl Residual {
    fn forward(&self, x: Tensor<4>, context: &Context<'_>) -> Tensor<4> {
        let h = self.in_conv.forward(self.resample(silu(self.in_norm.forward(x.clone()))));
        let embedding = self.embedding.forward(context.embedding.clone());
        let embedding: Tensor<4> = embedding.unsqueeze_dims(&[2, 3]);
        let h = if self.scale_shift {
            let [scale, shift] = halves(embedding);
            self.out_norm.forward(h) * (scale + 1.0) + shift
        } else {
            self.out_norm.forward(h + embedding)
        };
        let h = self.out_conv.forward(context.dropout.forward(silu(h)));
        let x = match &self.skip {
            Some(skip) => skip.forward(self.resample(x)),
            None => x,
        };
        scaled(x + h, self.scale)
    }

    fn resample(&self, x: Tensor<4>) -> Tensor<4> {
        match self.resampling() {
            Resampling::None => x,
            Resampling::Half => avg_pool2d(x, AvgPoolOptions::new([2, 2]).with_stride([2, 2])),
            Resampling::Double => enlarge(x),
        }
    }

    fn resampling(&self) -> Resampling {
        match (self.doubles, self.halves) {
            (true, _) => Resampling::Double,
            (_, true) => Resampling::Half,
            _ => Resampling::None,
        }
    }
}

impl Attention {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let (dim, positions) = (channels / self.heads, height * width);
        let y: Tensor<3> = x.clone().reshape([batch, channels, positions]);
        // Channels of qkv: per head the query, then the key, then the value.
        let y = self.norm.as_ref().map_or(y.clone(), |norm| norm.forward(y));
        let qkv = self.qkv.forward(y).reshape([batch * self.heads, 3, dim, positions]);
        let part =
            |k: usize| -> Tensor<3> { qkv.clone().narrow(1, k, 1).reshape([batch * self.heads, dim, positions]) };
        let scale = (dim as f64).powf(-0.25);
        let scores = (part(0) * scale).transpose().matmul(part(1) * scale);
        let y = part(2).matmul(softmax(scores, 2).transpose());
        let y = self.projection.forward(y.reshape([batch, channels, positions]));
        scaled(x + y.reshape([batch, channels, height, width]), self.scale)
    }
}

impl Embedding {
    /// `[batch]` → `[batch, width]`.
    fn forward(&self, timesteps: Tensor<1>) -> Tensor<2> {
        let frequencies = Tensor::<1>::from_floats(self.frequencies().as_slice(), &timesteps.device());
        let angles = timesteps.unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0);
        let (cos, sin) = (angles.clone().cos(), angles.sin());
        Tensor::cat(if self.sin_first { vec![sin, cos] } else { vec![cos, sin] }, 1)
    }

    /// Of one timestep.
    fn of(&self, timestep: f32) -> Vec<f32> {
        let angles: Vec<f32> = self.frequencies().into_iter().map(|frequency| timestep * frequency).collect();
        let functions: [fn(f32) -> f32; 2] = if self.sin_first { [f32::sin, f32::cos] } else { [f32::cos, f32::sin] };
        functions.iter().flat_map(|function| angles.iter().map(|&angle| function(angle))).collect()
    }

    fn frequencies(&self) -> Vec<f32> {
        let half = self.width / 2;
        let span = (half - self.frequency_shift) as f64;
        (0..half).map(|i| (-4.0 * LN_10 * i as f64 / span).exp() as f32).collect()
    }
}

/// x times `scale`, which for most networks is 1.
fn scaled(x: Tensor<4>, scale: f64) -> Tensor<4> {
    if scale == 1.0 { x } else { x * scale }
}

/// Every pixel four times, in a square.
fn enlarge(x: Tensor<4>) -> Tensor<4> {
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}

/// √n at the class of every image and 0 elsewhere, `[images, n]`; one row of zeros for no classes.
fn one_hot(n: usize, classes: &[usize], device: &Device) -> Tensor<2> {
    let rows = classes.len().max(1);
    let mut values = vec![0.0; rows * n];
    classes.iter().enumerate().for_each(|(row, class)| values[row * n + class] = (n as f32).sqrt());
    Tensor::from_data(TensorData::new(values, [rows, n]), device)
}

fn halves(x: Tensor<4>) -> [Tensor<4>; 2] {
    let channels = x.dims()[1] / 2;
    [x.clone().narrow(1, 0, channels), x.narrow(1, channels, channels)]
}

/// `[b, c, h·r, w·r]` → `[b, c·r², h, w]`.
fn pixel_unshuffle(x: Tensor<4>, r: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let (h, w) = (height / r, width / r);
    x.reshape([batch, channels, h, r, w, r]).permute([0, 1, 3, 5, 2, 4]).reshape([batch, channels * r * r, h, w])
}

/// The inverse of [`pixel_unshuffle`].
fn pixel_shuffle(x: Tensor<4>, r: usize) -> Tensor<4> {
    let [batch, channels, h, w] = x.dims();
    let channels = channels / (r * r);
    x.reshape([batch, channels, r, r, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([batch, channels, h * r, w * r])
}
