//! From a loaded U-Net's layers to packed ones.

use burn::{
    nn::{self, conv::Conv2d},
    tensor::Tensor,
};
use fewstep_conv::{Algorithm, Attention, AttentionWeights, Channels, Conv, ConvSpec, GroupNorm, Level};

use super::{
    super::{Layer, Residual},
    embedding::{Dense, Projection},
    layer::{Compiled, CompiledResidual},
};

/// Packs a network's layers, following where its channels are.
pub(super) struct Compiler {
    /// The instructions to pack for.
    pub level: Level,
    /// Of the residual blocks so far: their weights, and whether they scale and shift.
    pub projections: Vec<Projection>,
}

impl Compiler {
    pub fn block(&mut self, layers: &[Layer], map: &mut Channels) -> Vec<Compiled> {
        layers.iter().map(|layer| self.layer(layer, map)).collect()
    }

    fn layer(&mut self, layer: &Layer, map: &mut Channels) -> Compiled {
        match layer {
            Layer::Conv(layer) => Compiled::Conv(conv(layer, map, self.level)),
            Layer::Down(layer) | Layer::DownAfter(layer) => Compiled::Down(conv(layer, map, self.level)),
            Layer::Up(layer) => Compiled::Up(conv(layer, map, self.level)),
            Layer::Residual(residual) => Compiled::Residual(Box::new(self.residual(residual, map))),
            Layer::Attention(layer) => {
                let [qkv, projection] = [&layer.qkv, &layer.projection].map(|conv| {
                    [numbers(conv.weight.val()), conv.bias.as_ref().map(|b| numbers(b.val())).unwrap_or_default()]
                });
                let weights =
                    AttentionWeights { qkv: [&qkv[0], &qkv[1]], projection: [&projection[0], &projection[1]] };
                let attention = Box::new(Attention::new(map, layer.heads, weights, self.level));
                let norm = layer.norm.as_ref().map(|layer| norm(layer, map, false));
                Compiled::Attention(norm, attention, layer.scale as f32)
            }
        }
    }

    fn residual(&mut self, residual: &Residual, map: &mut Channels) -> CompiledResidual {
        let input = map.clone();
        let in_norm = norm(&residual.in_norm, &input, true);
        let in_conv = conv(&residual.in_conv, map, self.level);
        let out_norm = norm(&residual.out_norm, map, true);
        let out_conv = conv(&residual.out_conv, map, self.level);
        let skip = residual.skip.as_ref().map(|layer| conv(layer, &mut input.clone(), self.level));
        self.projections.push(Projection { linear: Dense::new(&residual.embedding), channels: map.clone() });
        CompiledResidual {
            in_norm,
            in_conv,
            projection: self.projections.len() - 1,
            out_norm,
            out_conv,
            skip,
            scale_shift: residual.scale_shift,
            resampling: residual.resampling(),
            scale: residual.scale as f32,
        }
    }
}

pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Packs a convolution of what `map` says into dense channels.
pub(super) fn conv(layer: &Conv2d, map: &mut Channels, level: Level) -> Conv {
    let weight = layer.weight.val();
    let [output, _, kh, kw] = weight.dims();
    let bias = layer.bias.as_ref().map_or_else(|| vec![0.0; output], |bias| numbers(bias.val()));
    let padding = match layer.padding {
        nn::PaddingConfig2d::Explicit(top, left, _, _) => [top, left],
        _ => [0, 0],
    };
    // Where padding is on the right and below only, none is in front here: kernels begin at the first pixel and end in the border.
    let spec = ConvSpec { kernel: [kh, kw], stride: layer.stride[0], padding, relu: false };
    let to = Channels::dense(output);
    let packed = Conv::new(spec, &numbers(weight), &bias, [map, &to], Algorithm::Fastest, level);
    *map = to;
    packed
}

pub(super) fn norm(layer: &nn::GroupNorm, map: &Channels, silu: bool) -> GroupNorm {
    let [gamma, beta] = [(&layer.gamma, 1.0), (&layer.beta, 0.0)].map(|(parameter, none)| match parameter {
        Some(parameter) => numbers(parameter.val()),
        None => vec![none; map.count()],
    });
    GroupNorm::new(map, layer.num_groups, [&gamma, &beta], layer.epsilon, silu)
}
