//! `config.json`, for what the shapes of tensors do not say.

use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// No `config.json` is larger.
const MAX_BYTES: u64 = 1 << 20;

/// Whose network it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    /// Oquab et al., arXiv 2304.07193.
    Dinov2,
    /// The image tower of Radford et al., arXiv 2103.00020.
    Clip,
}

/// Between the two layers of a block's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Activation {
    /// x Φ(x).
    Gelu,
    /// x / (1 + exp(−1.702 x)), OpenAI's.
    QuickGelu,
}

/// What no tensor's shape says.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Config {
    pub family: Family,
    pub heads: usize,
    pub activation: Activation,
    /// Added to the variance in layer normalisation.
    pub epsilon: f64,
    /// That of the tokens, as the file says it, to find a file of another network.
    #[serde(skip)]
    pub width: Option<usize>,
}

impl Config {
    /// Reads the file. What it leaves out is transformers' default, as it is for transformers.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::invalid(
                path,
                "is not there; expected beside the weights: it says how many heads there are",
            ));
        }
        let length = path.metadata().map_err(Error::io(path))?.len();
        if length > MAX_BYTES {
            return Err(Error::invalid(path, format!("{length} bytes are no config.json")));
        }
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let invalid = |reason: String| Error::invalid(path, reason);
        let all: Value = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let kind = all["model_type"].as_str().unwrap_or_default();
        let (family, own) = match kind {
            "dinov2" => (Family::Dinov2, &all),
            "clip" => (Family::Clip, &all["vision_config"]),
            "clip_vision_model" => (Family::Clip, &all),
            other => {
                let expected = "expected dinov2, clip or clip_vision_model";
                return Err(invalid(format!("model_type is '{other}'; {expected}")));
            }
        };
        if own["use_swiglu_ffn"].as_bool() == Some(true) {
            let message =
                "use_swiglu_ffn is true, as in DINOv2's giant, which is not here; expected small, base or large";
            return Err(invalid(message.into()));
        }
        let (activation, epsilon) = match family {
            Family::Dinov2 => ("gelu", 1e-6),
            Family::Clip => ("quick_gelu", 1e-5),
        };
        let activation = match own["hidden_act"].as_str().unwrap_or(activation) {
            "gelu" => Activation::Gelu,
            "quick_gelu" => Activation::QuickGelu,
            other => return Err(invalid(format!("hidden_act is '{other}'; expected gelu or quick_gelu"))),
        };
        let whole = |key: &str| match &own[key] {
            Value::Null => Ok(None),
            value => match value.as_u64().filter(|number| (1..=1 << 16).contains(number)) {
                Some(number) => Ok(Some(number as usize)),
                None => Err(invalid(format!("{key} is {value}; expected a whole number from 1 on"))),
            },
        };
        let epsilon = match &own["layer_norm_eps"] {
            Value::Null => epsilon,
            value => value
                .as_f64()
                .filter(|number| *number > 0.0 && *number < 1.0)
                .ok_or_else(|| invalid(format!("layer_norm_eps is {value}; expected a number between 0 and 1")))?,
        };
        let (heads, width) = (whole("num_attention_heads")?.unwrap_or(12), whole("hidden_size")?);
        Ok(Config { family, heads, activation, epsilon, width })
    }
}
