//! From named tensors to a network.

use burn::{
    module::{Param, ParamId},
    nn::{
        GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor},
};

use super::{Attention, Block, Embedding, Form, Layer, Resampling, Residual, UNet, UNetConfig};
use crate::{Error, Result};

/// Where a network's tensors come from, by improved-diffusion's names and PyTorch's shapes.
pub trait Source {
    /// The tensor `name`.
    ///
    /// # Errors
    /// Where there is none of this shape.
    fn take<const D: usize>(&mut self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>>;
}

/// A parameter of a built network.
pub(crate) struct Parameter {
    pub id: ParamId,
    /// improved-diffusion's name.
    pub name: String,
    /// As PyTorch keeps it.
    pub shape: Vec<usize>,
    /// Whether burn keeps it transposed.
    pub transposed: bool,
}

/// Walks the architecture in the order of improved-diffusion's constructor.
pub(super) struct Builder<'a, S> {
    config: &'a UNetConfig,
    source: &'a mut S,
    device: &'a Device,
    parameters: Vec<Parameter>,
}

impl<'a, S: Source> Builder<'a, S> {
    pub(super) fn new(config: &'a UNetConfig, source: &'a mut S, device: &'a Device) -> Self {
        Builder { config, source, device, parameters: Vec::new() }
    }

    pub(super) fn unet(mut self) -> Result<(UNet, Vec<Parameter>)> {
        let config = self.config;
        let (inputs, embedding) = (config.channels * config.patch * config.patch, 4 * config.model_channels);
        let time_embed = vec![
            self.linear("time_embed.0", config.model_channels, embedding)?,
            self.linear("time_embed.2", embedding, embedding)?,
        ];

        let label = match config.classes {
            0 => None,
            classes => Some(self.linear("label_embed", classes, config.model_channels)?),
        };
        let plus = config.form == Form::DdpmPlusPlus;
        let mut channels = config.stem();
        let stem = Layer::Conv(self.conv("input_blocks.0.0", inputs, channels, 3, 1)?);
        let (mut input_blocks, mut skips, mut ds) = (vec![Block { layers: vec![stem] }], vec![channels], 1);
        for (level, multiple) in config.channel_mult.iter().enumerate() {
            for _ in 0..config.num_res_blocks {
                let name = format!("input_blocks.{}", input_blocks.len());
                let attention = config.attention_ds.contains(&ds);
                let layers = self.layers(&name, channels, multiple * config.model_channels, attention)?;
                channels = multiple * config.model_channels;
                input_blocks.push(Block { layers });
                skips.push(channels);
            }
            if level + 1 < config.channel_mult.len() {
                let name = format!("input_blocks.{}.0", input_blocks.len());
                let down = match (plus, config.pad_after) {
                    (true, _) => Layer::Residual(self.residual(&name, channels, channels, Resampling::Half)?),
                    (_, true) => Layer::DownAfter(self.conv(&format!("{name}.op"), channels, channels, 3, 2)?),
                    (_, false) => Layer::Down(self.conv(&format!("{name}.op"), channels, channels, 3, 2)?),
                };
                input_blocks.push(Block { layers: vec![down] });
                skips.push(channels);
                ds *= 2;
            }
        }

        let middle = vec![
            Layer::Residual(self.residual("middle_block.0", channels, channels, Resampling::None)?),
            Layer::Attention(self.attention("middle_block.1", channels, !config.bare_middle)?),
            Layer::Residual(self.residual("middle_block.2", channels, channels, Resampling::None)?),
        ];

        let mut output_blocks = Vec::new();
        for (level, multiple) in config.channel_mult.iter().enumerate().rev() {
            for i in 0..=config.num_res_blocks {
                let name = format!("output_blocks.{}", output_blocks.len());
                // One skip per input block: the stacks have the same height by construction.
                let skip = skips.pop().unwrap_or_default();
                let last = i == config.num_res_blocks;
                let attention = config.attention_ds.contains(&ds) && (last || !plus);
                let mut layers = self.layers(&name, channels + skip, multiple * config.model_channels, attention)?;
                channels = multiple * config.model_channels;
                if level > 0 && last {
                    let name = format!("{name}.{}", layers.len());
                    layers.push(if plus {
                        Layer::Residual(self.residual(&name, channels, channels, Resampling::Double)?)
                    } else {
                        Layer::Up(self.conv(&format!("{name}.conv"), channels, channels, 3, 1)?)
                    });
                    ds /= 2;
                }
                output_blocks.push(Block { layers });
            }
        }

        let unet = UNet {
            time_embed,
            label,
            input_blocks,
            middle_block: Block { layers: middle },
            output_blocks,
            out_norm: self.norm("out.0", channels)?,
            out_conv: self.conv("out.2", channels, config.outputs(), 3, 1)?,
            embedding: Embedding {
                width: config.model_channels,
                sin_first: config.sin_first,
                frequency_shift: config.frequency_shift,
            },
            patch: config.patch,
            channels: config.channels,
        };
        Ok((unet, self.parameters))
    }

    /// A residual block, and attention where it has it.
    fn layers(&mut self, name: &str, input: usize, output: usize, attention: bool) -> Result<Vec<Layer>> {
        let mut layers = vec![Layer::Residual(self.residual(&format!("{name}.0"), input, output, Resampling::None)?)];
        if attention {
            layers.push(Layer::Attention(self.attention(&format!("{name}.1"), output, true)?));
        }
        Ok(layers)
    }

    /// What sums of residuals are scaled by.
    fn scale(&self) -> f64 {
        match self.config.form {
            Form::Ddpm => 1.0,
            Form::DdpmPlusPlus => std::f64::consts::FRAC_1_SQRT_2,
        }
    }

    fn residual(&mut self, name: &str, input: usize, output: usize, resampling: Resampling) -> Result<Residual> {
        let scale_shift = self.config.scale_shift;
        let embedded = if scale_shift { 2 * output } else { output };
        let skip = if input == output && resampling == Resampling::None {
            None
        } else {
            Some(self.conv(&format!("{name}.skip_connection"), input, output, 1, 1)?)
        };
        Ok(Residual {
            in_norm: self.norm(&format!("{name}.in_layers.0"), input)?,
            in_conv: self.conv(&format!("{name}.in_layers.2"), input, output, 3, 1)?,
            embedding: self.linear(&format!("{name}.emb_layers.1"), 4 * self.config.model_channels, embedded)?,
            out_norm: self.norm(&format!("{name}.out_layers.0"), output)?,
            out_conv: self.conv(&format!("{name}.out_layers.3"), output, output, 3, 1)?,
            skip,
            scale_shift,
            doubles: resampling == Resampling::Double,
            halves: resampling == Resampling::Half,
            scale: self.scale(),
        })
    }

    fn attention(&mut self, name: &str, channels: usize, normalised: bool) -> Result<Attention> {
        Ok(Attention {
            norm: if normalised { Some(self.norm(&format!("{name}.norm"), channels)?) } else { None },
            qkv: self.pointwise(&format!("{name}.qkv"), channels, 3 * channels)?,
            projection: self.pointwise(&format!("{name}.proj_out"), channels, channels)?,
            heads: self.config.heads(channels),
            scale: self.scale(),
        })
    }

    fn param<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>> {
        let param = Param::from_tensor(self.source.take(name, shape, self.device)?);
        self.parameters.push(Parameter { id: param.id, name: name.into(), shape: shape.into(), transposed: false });
        Ok(param)
    }

    fn conv(&mut self, name: &str, input: usize, output: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
        // Where down-sampling pads on one side only, that is done before the convolution.
        let half = if stride == 2 && self.config.pad_after { 0 } else { kernel / 2 };
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
        let (name_of_weight, shape) = (format!("{name}.weight"), [output, input]);
        linear.weight = Param::from_tensor(self.source.take(&name_of_weight, shape, self.device)?.transpose());
        let id = linear.weight.id;
        self.parameters.push(Parameter { id, name: name_of_weight, shape: shape.into(), transposed: true });
        linear.bias = Some(self.param(&format!("{name}.bias"), [output])?);
        Ok(linear)
    }

    fn norm(&mut self, name: &str, channels: usize) -> Result<GroupNorm> {
        let groups = self.config.groups(channels);
        if !channels.is_multiple_of(groups) {
            return Err(Error::Config(format!("{channels} channels of {name} are no {groups} equal groups")));
        }
        let mut norm = GroupNormConfig::new(groups, channels).with_epsilon(self.config.norm_epsilon).init(self.device);
        norm.gamma = Some(self.param(&format!("{name}.weight"), [channels])?);
        norm.beta = Some(self.param(&format!("{name}.bias"), [channels])?);
        Ok(norm)
    }
}
