//! The U-Net of improved-diffusion (Nichol and Dhariwal 2021, arXiv 2102.09672), which the DEIS-SN authors use.

use std::f64::consts::LN_10;

use burn::{
    module::{Module, Param},
    nn::{
        GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig},
    },
    tensor::{
        Device, Tensor,
        activation::{silu, softmax},
        module::interpolate,
        ops::{InterpolateMode, InterpolateOptions},
    },
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Weights};

/// Groups of every group normalisation.
const GROUPS: usize = 32;

/// Shape of a [`UNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Factor of the pixel-unshuffle in front of the network and the shuffle behind it; 1 for none.
    #[serde(default = "one")]
    pub patch: usize,
    /// Channels of the images.
    #[serde(default = "three")]
    pub channels: usize,
    /// Channels of the first level; the others are multiples.
    pub model_channels: usize,
    /// Multiple of `model_channels` on each level.
    pub channel_mult: Vec<usize>,
    /// Residual blocks on each level.
    pub num_res_blocks: usize,
    /// Down-sampling factors, counted after `patch`, at which there is attention; the middle always has it.
    pub attention_ds: Vec<usize>,
    /// Attention heads.
    #[serde(default = "one")]
    pub num_heads: usize,
    /// Whether the time embedding scales and shifts the normalised features, or is added to them.
    pub scale_shift: bool,
    /// Dropout in training.
    #[serde(default)]
    pub dropout: f64,
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

impl UNetConfig {
    /// Checks that such a network can be built.
    ///
    /// # Errors
    /// Naming the field.
    pub fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Config(reason));
        let limits = [
            ("patch", self.patch, 16),
            ("channels", self.channels, 16),
            ("model_channels", self.model_channels, 4096),
            ("num_res_blocks", self.num_res_blocks, 64),
            ("num_heads", self.num_heads, 256),
        ];
        if let Some((name, value, limit)) = limits.into_iter().find(|&(_, value, limit)| value == 0 || value > limit) {
            return refuse(format!("{name} is {value}; expected 1 to {limit}"));
        }
        if self.channel_mult.is_empty()
            || self.channel_mult.len() > 8
            || self.channel_mult.iter().any(|&m| m == 0 || m > 64)
        {
            return refuse(format!("channel_mult is {:?}; expected 1 to 8 numbers from 1 to 64", self.channel_mult));
        }
        if !self.model_channels.is_multiple_of(GROUPS) {
            return refuse(format!("model_channels is {}; expected a multiple of {GROUPS}", self.model_channels));
        }
        if self.channel_mult.iter().any(|m| !(m * self.model_channels).is_multiple_of(self.num_heads)) {
            return refuse(format!("num_heads is {}, which does not divide the channels", self.num_heads));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("dropout is {}; expected 0 to 1", self.dropout));
        }
        Ok(())
    }

    /// What the image sides must be multiples of.
    pub fn side_multiple(&self) -> usize {
        self.patch << (self.channel_mult.len() - 1)
    }
}

/// The network: x `[batch, channels, height, width]`, timesteps → output of the shape of x.
#[derive(Module, Debug)]
pub struct UNet {
    time_embed: Vec<Linear>,
    input_blocks: Vec<Block>,
    middle_block: Block,
    output_blocks: Vec<Block>,
    out_norm: GroupNorm,
    out_conv: Conv2d,
    patch: usize,
    model_channels: usize,
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
}

#[derive(Module, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Conv1d,
    projection: Conv1d,
    heads: usize,
}

impl UNet {
    /// Builds the network of `config` from tensors with improved-diffusion's names.
    ///
    /// # Errors
    /// Where a tensor is missing or misshapen.
    pub fn new(config: &UNetConfig, weights: &mut Weights, device: &Device) -> Result<Self> {
        Builder { config, weights, device, embedding: 4 * config.model_channels }.unet()
    }

    /// Output for x at `timesteps` `[batch]`, or `[1]` where all images share one.
    pub fn forward(&self, x: Tensor<4>, timesteps: Tensor<1>) -> Tensor<4> {
        let embedding = self.time_embed[0].forward(timestep_embedding(timesteps, self.model_channels));
        let embedding = self.time_embed[1].forward(silu(embedding));
        // Every residual block begins with the same activation of the embedding.
        let embedding = silu(embedding);

        let mut x = pixel_unshuffle(x, self.patch);
        let mut skips = Vec::with_capacity(self.input_blocks.len());
        for block in &self.input_blocks {
            x = block.forward(x, &embedding);
            skips.push(x.clone());
        }
        x = self.middle_block.forward(x, &embedding);
        for (block, skip) in self.output_blocks.iter().zip(skips.into_iter().rev()) {
            x = block.forward(Tensor::cat(vec![x, skip], 1), &embedding);
        }
        let x = self.out_conv.forward(silu(self.out_norm.forward(x)));
        pixel_shuffle(x, self.patch)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        self.layers.iter().fold(x, |x, layer| layer.forward(x, embedding))
    }
}

impl Layer {
    fn forward(&self, x: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        match self {
            Layer::Conv(conv) | Layer::Down(conv) => conv.forward(x),
            Layer::Residual(residual) => residual.forward(x, embedding),
            Layer::Attention(attention) => attention.forward(x),
            Layer::Up(conv) => {
                let nearest = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
                conv.forward(interpolate(x, nearest))
            }
        }
    }
}

impl Residual {
    fn forward(&self, x: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        let h = self.in_conv.forward(silu(self.in_norm.forward(x.clone())));
        let embedding = self.embedding.forward(embedding.clone());
        let embedding: Tensor<4> = embedding.unsqueeze_dims(&[2, 3]);
        let h = if self.scale_shift {
            let [scale, shift] = halves(embedding);
            self.out_norm.forward(h) * (scale + 1.0) + shift
        } else {
            self.out_norm.forward(h + embedding)
        };
        let h = self.out_conv.forward(silu(h));
        match &self.skip {
            Some(skip) => skip.forward(x) + h,
            None => x + h,
        }
    }
}

impl Attention {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let (dim, positions) = (channels / self.heads, height * width);
        let y: Tensor<3> = x.clone().reshape([batch, channels, positions]);
        // Channels of qkv: per head the query, then the key, then the value.
        let qkv = self.qkv.forward(self.norm.forward(y)).reshape([batch * self.heads, 3, dim, positions]);
        let part =
            |k: usize| -> Tensor<3> { qkv.clone().narrow(1, k, 1).reshape([batch * self.heads, dim, positions]) };
        let scale = (dim as f64).powf(-0.25);
        let scores = (part(0) * scale).transpose().matmul(part(1) * scale);
        let y = part(2).matmul(softmax(scores, 2).transpose());
        let y = self.projection.forward(y.reshape([batch, channels, positions]));
        x + y.reshape([batch, channels, height, width])
    }
}

/// cos and sin of t at `dim`/2 frequencies from 1 down to 1/10000: `[batch, dim]`.
fn timestep_embedding(timesteps: Tensor<1>, dim: usize) -> Tensor<2> {
    let half = dim / 2;
    let frequency = |i: usize| (-4.0 * LN_10 * i as f64 / half as f64).exp() as f32;
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let frequencies = Tensor::<1>::from_floats(frequencies.as_slice(), &timesteps.device());
    let angles = timesteps.unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0);
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
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

/// Walks the architecture in the order of improved-diffusion's constructor.
struct Builder<'a> {
    config: &'a UNetConfig,
    weights: &'a mut Weights,
    device: &'a Device,
    embedding: usize,
}

impl Builder<'_> {
    fn unet(mut self) -> Result<UNet> {
        let config = self.config;
        let io = config.channels * config.patch * config.patch;
        let time_embed = vec![
            self.linear("time_embed.0", config.model_channels, self.embedding)?,
            self.linear("time_embed.2", self.embedding, self.embedding)?,
        ];

        let mut channels = config.model_channels * config.channel_mult[0];
        let stem = Layer::Conv(self.conv("input_blocks.0.0", io, channels, 3, 1)?);
        let (mut input_blocks, mut skips, mut ds) = (vec![Block { layers: vec![stem] }], vec![channels], 1);
        for (level, multiple) in config.channel_mult.iter().enumerate() {
            for _ in 0..config.num_res_blocks {
                let name = format!("input_blocks.{}", input_blocks.len());
                let layers = self.layers(&name, channels, multiple * config.model_channels, ds)?;
                channels = multiple * config.model_channels;
                input_blocks.push(Block { layers });
                skips.push(channels);
            }
            if level + 1 < config.channel_mult.len() {
                let name = format!("input_blocks.{}.0.op", input_blocks.len());
                let down = Layer::Down(self.conv(&name, channels, channels, 3, 2)?);
                input_blocks.push(Block { layers: vec![down] });
                skips.push(channels);
                ds *= 2;
            }
        }

        let middle = vec![
            Layer::Residual(self.residual("middle_block.0", channels, channels)?),
            Layer::Attention(self.attention("middle_block.1", channels)?),
            Layer::Residual(self.residual("middle_block.2", channels, channels)?),
        ];

        let mut output_blocks = Vec::new();
        for (level, multiple) in config.channel_mult.iter().enumerate().rev() {
            for i in 0..=config.num_res_blocks {
                let name = format!("output_blocks.{}", output_blocks.len());
                // One skip per input block: the stacks have the same height by construction.
                let skip = skips.pop().unwrap_or_default();
                let mut layers = self.layers(&name, channels + skip, multiple * config.model_channels, ds)?;
                channels = multiple * config.model_channels;
                if level > 0 && i == config.num_res_blocks {
                    let name = format!("{name}.{}.conv", layers.len());
                    layers.push(Layer::Up(self.conv(&name, channels, channels, 3, 1)?));
                    ds /= 2;
                }
                output_blocks.push(Block { layers });
            }
        }

        Ok(UNet {
            time_embed,
            input_blocks,
            middle_block: Block { layers: middle },
            output_blocks,
            out_norm: self.norm("out.0", channels)?,
            out_conv: self.conv("out.2", channels, io, 3, 1)?,
            patch: config.patch,
            model_channels: config.model_channels,
        })
    }

    /// A residual block, and attention where this level has it.
    fn layers(&mut self, name: &str, input: usize, output: usize, ds: usize) -> Result<Vec<Layer>> {
        let mut layers = vec![Layer::Residual(self.residual(&format!("{name}.0"), input, output)?)];
        if self.config.attention_ds.contains(&ds) {
            layers.push(Layer::Attention(self.attention(&format!("{name}.1"), output)?));
        }
        Ok(layers)
    }

    fn residual(&mut self, name: &str, input: usize, output: usize) -> Result<Residual> {
        let scale_shift = self.config.scale_shift;
        let embedded = if scale_shift { 2 * output } else { output };
        let skip = if input == output {
            None
        } else {
            Some(self.conv(&format!("{name}.skip_connection"), input, output, 1, 1)?)
        };
        Ok(Residual {
            in_norm: self.norm(&format!("{name}.in_layers.0"), input)?,
            in_conv: self.conv(&format!("{name}.in_layers.2"), input, output, 3, 1)?,
            embedding: self.linear(&format!("{name}.emb_layers.1"), self.embedding, embedded)?,
            out_norm: self.norm(&format!("{name}.out_layers.0"), output)?,
            out_conv: self.conv(&format!("{name}.out_layers.3"), output, output, 3, 1)?,
            skip,
            scale_shift,
        })
    }

    fn attention(&mut self, name: &str, channels: usize) -> Result<Attention> {
        Ok(Attention {
            norm: self.norm(&format!("{name}.norm"), channels)?,
            qkv: self.pointwise(&format!("{name}.qkv"), channels, 3 * channels)?,
            projection: self.pointwise(&format!("{name}.proj_out"), channels, channels)?,
            heads: self.config.num_heads,
        })
    }

    fn param<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>> {
        Ok(Param::from_tensor(self.weights.take(name, shape, self.device)?))
    }

    fn conv(&mut self, name: &str, input: usize, output: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
        let half = kernel / 2;
        let mut conv = Conv2dConfig::new([input, output], [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(half, half, half, half))
            .init(self.device);
        conv.weight = self.param(&format!("{name}.weight"), [output, input, kernel, kernel])?;
        conv.bias = Some(self.param(&format!("{name}.bias"), [output])?);
        Ok(conv)
    }

    fn pointwise(&mut self, name: &str, input: usize, output: usize) -> Result<Conv1d> {
        let mut conv = Conv1dConfig::new(input, output, 1).init(self.device);
        conv.weight = self.param(&format!("{name}.weight"), [output, input, 1])?;
        conv.bias = Some(self.param(&format!("{name}.bias"), [output])?);
        Ok(conv)
    }

    fn linear(&mut self, name: &str, input: usize, output: usize) -> Result<Linear> {
        let mut linear = LinearConfig::new(input, output).init(self.device);
        // PyTorch keeps [output, input], burn [input, output].
        let weight = self.weights.take(&format!("{name}.weight"), [output, input], self.device)?;
        linear.weight = Param::from_tensor(weight.transpose());
        linear.bias = Some(self.param(&format!("{name}.bias"), [output])?);
        Ok(linear)
    }

    fn norm(&mut self, name: &str, channels: usize) -> Result<GroupNorm> {
        let mut norm = GroupNormConfig::new(GROUPS, channels).init(self.device);
        norm.gamma = Some(self.param(&format!("{name}.weight"), [channels])?);
        norm.beta = Some(self.param(&format!("{name}.bias"), [channels])?);
        Ok(norm)
    }
}
