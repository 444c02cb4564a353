//! diffusers' `UNet2DModel`: the same network with other names, and query, key and value apart.

use serde_json::Value;

use super::{expect, flag, number, real};
use crate::{Result, UNetConfig, Weights};

/// The network of a `config.json`.
pub(super) fn config(json: &Value) -> std::result::Result<UNetConfig, String> {
    expect(
        json,
        &[
            ("center_input_sample", &[false.into()]),
            ("time_embedding_type", &["positional".into()]),
            ("time_embedding_dim", &[Value::Null]),
            ("mid_block_scale_factor", &[1.into(), 1.0.into()]),
            ("mid_block_type", &["UNetMidBlock2D".into()]),
            ("downsample_padding", &[0.into(), 1.into()]),
            ("downsample_type", &["conv".into()]),
            ("upsample_type", &["conv".into()]),
            ("act_fn", &["silu".into(), "swish".into()]),
            ("attn_norm_num_groups", &[Value::Null]),
            ("resnet_time_scale_shift", &["default".into(), "scale_shift".into()]),
            ("add_attention", &[true.into()]),
            ("class_embed_type", &[Value::Null]),
            ("num_class_embeds", &[Value::Null]),
        ],
    )?;
    let widths = numbers(json, "block_out_channels")?;
    let model_channels = *widths.first().ok_or("block_out_channels is empty")?;
    if model_channels == 0 || widths.iter().any(|width| !width.is_multiple_of(model_channels)) {
        return Err(format!("block_out_channels is {widths:?}; expected multiples of the first"));
    }
    let down = attention(json, "down_block_types", ["DownBlock2D", "AttnDownBlock2D"])?;
    let mut up = attention(json, "up_block_types", ["UpBlock2D", "AttnUpBlock2D"])?;
    up.reverse();
    if down != up || down.len() != widths.len() {
        return Err("down_block_types, up_block_types and block_out_channels do not mirror one another".into());
    }
    let channels = number(json, "in_channels", Some(3))?;
    let learn_sigma = match number(json, "out_channels", Some(channels))? {
        outputs if outputs == channels => false,
        outputs if Some(outputs) == channels.checked_mul(2) => true,
        outputs => return Err(format!("out_channels is {outputs}; expected in_channels, once or twice")),
    };
    let head_channels = match json.get("attention_head_dim") {
        Some(Value::Null) => None,
        _ => Some(number(json, "attention_head_dim", Some(8))?),
    };
    let scale_shift = json.get("resnet_time_scale_shift").is_some_and(|value| value == "scale_shift");
    Ok(UNetConfig {
        channels,
        model_channels,
        channel_mult: widths.iter().map(|width| width / model_channels).collect(),
        num_res_blocks: number(json, "layers_per_block", Some(2))?,
        // More levels than a number has bits are refused with the configuration.
        attention_ds: (0..down.len())
            .filter(|&level| down[level])
            .filter_map(|level| 1usize.checked_shl(level as u32))
            .collect(),
        num_heads: 1,
        head_channels,
        scale_shift,
        bare_middle: scale_shift,
        dropout: real(json, "dropout", 0.0)?,
        learn_sigma,
        norm_groups: number(json, "norm_num_groups", Some(32))?,
        norm_epsilon: real(json, "norm_eps", 1e-5)?,
        sin_first: !flag(json, "flip_sin_to_cos", true)?,
        frequency_shift: number(json, "freq_shift", Some(0))?,
        pad_after: number(json, "downsample_padding", Some(1))? == 0,
        ..UNetConfig::default()
    })
}

fn numbers(json: &Value, key: &str) -> std::result::Result<Vec<usize>, String> {
    let list = json.get(key).and_then(Value::as_array);
    let list = list.and_then(|list| list.iter().map(|n| n.as_u64().map(|n| n as usize)).collect::<Option<Vec<_>>>());
    list.ok_or_else(|| format!("{key} is {}; expected a list of whole numbers", json[key]))
}

/// Which levels have attention.
fn attention(json: &Value, key: &str, kinds: [&str; 2]) -> std::result::Result<Vec<bool>, String> {
    let wrong = || format!("{key} is {}; expected a list of {} and {}", json[key], kinds[0], kinds[1]);
    let kind = |value: &Value| kinds.iter().position(|kind| value == kind).map(|kind| kind == 1);
    let list = json.get(key).and_then(Value::as_array).ok_or_else(wrong)?;
    list.iter().map(kind).collect::<Option<_>>().ok_or_else(wrong)
}

/// Gives every tensor improved-diffusion's name, walking the architecture as its constructor does.
pub(super) fn rename(config: &UNetConfig, weights: &mut Weights) -> Result<()> {
    let mut names = Names { weights, config };
    for (from, to) in [
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
    ] {
        names.weights.rename_layer(from, to);
    }
    let levels = config.channel_mult.len();
    let mut block = 1;
    for level in 0..levels {
        for i in 0..config.num_res_blocks {
            names.block(&format!("down_blocks.{level}"), i, &format!("input_blocks.{block}"), level)?;
            block += 1;
        }
        if level + 1 < levels {
            names.weights.rename_layer(
                &format!("down_blocks.{level}.downsamplers.0.conv"),
                &format!("input_blocks.{block}.0.op"),
            );
            block += 1;
        }
    }
    names.residual("mid_block.resnets.0", "middle_block.0");
    names.attention("mid_block.attentions.0", "middle_block.1", levels - 1)?;
    names.residual("mid_block.resnets.1", "middle_block.2");
    let mut block = 0;
    for level in (0..levels).rev() {
        let up = format!("up_blocks.{}", levels - 1 - level);
        for i in 0..=config.num_res_blocks {
            let layers = names.block(&up, i, &format!("output_blocks.{block}"), level)?;
            if level > 0 && i == config.num_res_blocks {
                names
                    .weights
                    .rename_layer(&format!("{up}.upsamplers.0.conv"), &format!("output_blocks.{block}.{layers}.conv"));
            }
            block += 1;
        }
    }
    Ok(())
}

struct Names<'a> {
    weights: &'a mut Weights,
    config: &'a UNetConfig,
}

impl Names<'_> {
    fn residual(&mut self, from: &str, to: &str) {
        let layers = [
            ("norm1", "in_layers.0"),
            ("conv1", "in_layers.2"),
            ("time_emb_proj", "emb_layers.1"),
            ("norm2", "out_layers.0"),
            ("conv2", "out_layers.3"),
            ("conv_shortcut", "skip_connection"),
        ];
        self.weights.rename_layers(from, to, &layers);
    }

    /// A residual block, and attention where this level has it; how many layers that is.
    fn block(&mut self, from: &str, i: usize, to: &str, level: usize) -> Result<usize> {
        self.residual(&format!("{from}.resnets.{i}"), &format!("{to}.0"));
        if !self.config.attention_ds.contains(&(1 << level)) {
            return Ok(1);
        }
        self.attention(&format!("{from}.attentions.{i}"), &format!("{to}.1"), level)?;
        Ok(2)
    }

    /// Joins query, key and value: per head its query, key and value, as improved-diffusion has them.
    fn attention(&mut self, from: &str, to: &str, level: usize) -> Result<()> {
        let channels = self.config.model_channels * self.config.channel_mult[level];
        let width = channels / self.config.heads(channels);
        // The names before diffusers 0.12, which published checkpoints carry, and those since.
        let old = self.weights.contains(&format!("{from}.query.weight"));
        let (parts, projection) =
            if old { (["query", "key", "value"], "proj_attn") } else { (["to_q", "to_k", "to_v"], "to_out.0") };
        self.weights.rename_layer(&format!("{from}.group_norm"), &format!("{to}.norm")); // not there in a bare middle
        for (part, columns) in [("weight", channels), ("bias", 1)] {
            let shape: &[usize] = if part == "bias" { &[channels] } else { &[channels, channels] };
            let mut of_all = Vec::with_capacity(3);
            for name in parts {
                of_all.push(self.weights.values(&format!("{from}.{name}.{part}"), shape)?);
            }
            let mut joined = Vec::with_capacity(3 * channels * columns);
            for head in 0..channels / width {
                let rows = head * width * columns..(head + 1) * width * columns;
                of_all.iter().for_each(|values| joined.extend_from_slice(&values[rows.clone()]));
            }
            let shape = if part == "bias" { vec![3 * channels] } else { vec![3 * channels, channels, 1] };
            self.weights.insert(&format!("{to}.qkv.{part}"), &format!("{from}.{}.{part}", parts[0]), shape, joined);
        }
        // A linear layer over channels is a convolution of one position.
        let name = format!("{from}.{projection}");
        let weight = self.weights.values(&format!("{name}.weight"), &[channels, channels])?;
        let to = format!("{to}.proj_out");
        self.weights.insert(&format!("{to}.weight"), &format!("{name}.weight"), vec![channels, channels, 1], weight);
        self.weights.rename(&format!("{name}.bias"), &format!("{to}.bias"));
        Ok(())
    }
}
