//! The DEIS-SN authors' pipeline folder: OpenAI's U-Net, tensor names included, in a diffusers folder, with the
//! arguments of its constructor as `config.json`.

use serde_json::Value;

use super::{expect, flag, number, real};
use crate::UNetConfig;

/// The network of a `config.json`.
pub(super) fn config(json: &Value) -> Result<UNetConfig, String> {
    expect(
        json,
        &[
            ("conv_resample", &[true.into()]),
            ("dims", &[2.into()]),
            ("num_classes", &[Value::Null]),
            ("num_heads_upsample", &[(-1).into(), number(json, "num_heads", Some(1))?.into()]),
            ("resblock_updown", &[false.into()]),
            ("time_embedding_type", &["positional".into()]),
            ("use_new_attention_order", &[false.into()]),
        ],
    )?;
    let (size, channels) = (number(json, "sample_size", None)?, number(json, "in_channels", Some(3))?);
    let learn_sigma = match number(json, "out_channels", Some(channels))? {
        outputs if outputs == channels => false,
        outputs if Some(outputs) == channels.checked_mul(2) => true,
        outputs => return Err(format!("out_channels is {outputs}; expected in_channels, once or twice")),
    };
    let resolutions = list(json, "attention_resolutions")?;
    if let Some(resolution) = resolutions.iter().find(|&&r| r == 0 || !size.is_multiple_of(r)) {
        return Err(format!("attention_resolutions has {resolution}, which does not divide sample_size {size}"));
    }
    let head_channels = match json.get("num_head_channels").map_or(Some(-1), Value::as_i64) {
        Some(-1) => None,
        _ => Some(number(json, "num_head_channels", None)?),
    };
    let channel_mult = list(json, "channel_mult")?;
    let channel_mult = if channel_mult.is_empty() { default_multiples(size)? } else { channel_mult };
    Ok(UNetConfig {
        channels,
        model_channels: number(json, "model_channels", None)?,
        channel_mult,
        num_res_blocks: number(json, "num_res_blocks", None)?,
        attention_ds: resolutions.iter().map(|resolution| size / resolution).collect(),
        num_heads: number(json, "num_heads", Some(1))?,
        head_channels,
        scale_shift: flag(json, "use_scale_shift_norm", false)?,
        dropout: real(json, "dropout", 0.0)?,
        learn_sigma,
        ..UNetConfig::default()
    })
}

/// What the authors' constructor takes for an empty `channel_mult`.
fn default_multiples(size: usize) -> Result<Vec<usize>, String> {
    Ok(match size {
        256 => vec![1, 1, 2, 2, 4, 4],
        128 => vec![1, 1, 2, 3, 4],
        64 => vec![1, 2, 3, 4],
        32 => vec![1, 2, 2, 2],
        16 => vec![1, 2, 4],
        _ => return Err(format!("channel_mult is empty and has no default for sample_size {size}")),
    })
}

/// Numbers with commas between them, as the authors write lists; or a list.
fn list(json: &Value, key: &str) -> Result<Vec<usize>, String> {
    let wrong = || format!("{key} is {}; expected numbers with commas between them", json[key]);
    match json.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| part.parse().map_err(|_| wrong())).collect()
        }
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_u64().map(|n| n as usize).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}
