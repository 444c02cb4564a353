//! EDM's files (Karras et al. 2022, arXiv 2206.00364; `edm-cifar10-32x32-uncond-vp.pkl` among them): a pickle of the network's own
//! objects, with the configuration in them. Their code would be executed by Python; here it is not even read.

mod names;
mod objects;

use std::path::Path;

use serde_json::Value;

use super::{Found, Selected, expect, invalid, number, real};
use crate::{
    Conditioning, Result, UNetConfig, Weights,
    pickle::{Id, Pickle},
    unet::Form,
};
use objects::{module_of, object};

/// Groups of every group normalisation, where there are four channels for each.
const GROUPS: usize = 32;

/// Where a file that is called as one of EDM's networks comes from.
pub(super) fn source(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let known = name.starts_with("edm-") && name.ends_with(".pkl");
    known.then_some(
        "NVIDIA has it under this name among the pre-trained models of its project NVlabs/edm (see the README there)",
    )
}

/// Opens the pickle at `path`.
///
/// # Errors
/// Where it is damaged, or holds no network that this crate builds.
pub(super) fn open(path: &Path) -> Result<Found> {
    let bytes = std::fs::read(path).map_err(|error| invalid(path, error))?;
    let (network, tensors) = {
        let pickle = Pickle::read(&bytes, 0).map_err(|fault| invalid(path, format!("not a pickle: {fault}")))?;
        let network = network(&pickle).map_err(|reason| invalid(path, reason))?;
        let tensors = objects::tensors(&bytes, &pickle, network.model).map_err(|reason| invalid(path, reason))?;
        (network, tensors)
    };
    let Network { config, conditioning, selected, size, .. } = network;
    config.check().map_err(|error| invalid(path, error))?;
    let mut weights = Weights::pickled(path, bytes, tensors);
    names::rename(&config, size, &mut weights)?;
    Ok(Found {
        weights,
        config: Some(config),
        conditioning: Some(conditioning),
        schedule: None,
        selected,
        size: Some(size),
    })
}

struct Network {
    /// The object inside the preconditioning.
    model: Id,
    config: UNetConfig,
    conditioning: Conditioning,
    selected: Selected,
    /// Side of the images, which is in the names of its parts.
    size: usize,
}

fn network(pickle: &Pickle) -> std::result::Result<Network, String> {
    // A file of the training's end, or a network alone.
    let (outer, selected) = match pickle.get(pickle.root(), "ema") {
        Some(ema) => (ema, Selected::Ema),
        None => (pickle.root(), Selected::Only),
    };
    let expected = "expected an EDM network, or a dictionary with one as 'ema'";
    let outer = object(pickle, outer)?.ok_or_else(|| format!("no network in this pickle; {expected}"))?;
    let real_of = |key: &str, default: Option<f64>| {
        let number = pickle.get(outer.state, key).and_then(|id| pickle.real(id)).or(default);
        number.ok_or_else(|| format!("{} has no {key}; expected a number", outer.class))
    };
    let conditioning = match outer.class {
        "EDMPrecond" => Conditioning::Edm {
            sigma_data: real_of("sigma_data", None)?,
            sigma_max: real_of("sigma_max", Some(f64::INFINITY))?,
        },
        "VPPrecond" => Conditioning::Vp {
            beta_d: real_of("beta_d", None)?,
            beta_min: real_of("beta_min", None)?,
            steps: real_of("M", None)?,
        },
        other => return Err(format!("the network is a {other}; expected EDMPrecond or VPPrecond")),
    };
    sensible(conditioning)?;
    let model = module_of(pickle, outer.state, "model").ok_or("no 'model' in the network")?;
    let inner = object(pickle, model)?.ok_or("'model' is no network")?;
    if inner.class != "SongUNet" {
        return Err(format!("the network inside is a {}; expected SongUNet", inner.class));
    }
    let arguments = pickle.get(inner.state, "_init_kwargs").and_then(|id| pickle.json(id));
    let arguments = arguments.filter(Value::is_object).ok_or("SongUNet without its configuration, '_init_kwargs'")?;
    Ok(Network {
        model,
        config: config(&arguments)?,
        conditioning,
        selected,
        size: number(&arguments, "img_resolution", None)?,
    })
}

/// What is no number would be one of nothing.
fn sensible(conditioning: Conditioning) -> std::result::Result<(), String> {
    let numbers = match conditioning {
        Conditioning::Edm { sigma_data, sigma_max } => {
            [("sigma_data", sigma_data), ("sigma_max", sigma_max.min(1e9)), ("", 1.0)]
        }
        Conditioning::Vp { beta_d, beta_min, steps } => [("beta_d", beta_d), ("beta_min", beta_min), ("M", steps)],
        Conditioning::Time(_) => return Ok(()),
    };
    match numbers.into_iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
        Some((name, value)) => Err(format!("{name} is {value}; expected a positive number")),
        None => Ok(()),
    }
}

/// The network of SongUNet's arguments, with its constructor's defaults: DDPM++, not NCSN++.
fn config(json: &Value) -> std::result::Result<UNetConfig, String> {
    expect(
        json,
        &[
            ("embedding_type", &["positional".into()]),
            ("encoder_type", &["standard".into()]),
            ("decoder_type", &["standard".into()]),
            ("channel_mult_noise", &[1.into()]),
            ("channel_mult_emb", &[4.into()]),
            ("resample_filter", &[Value::from(vec![1, 1])]),
        ],
    )
    .map_err(|reason| format!("{reason} (DDPM++)"))?;
    let (size, channels) = (number(json, "img_resolution", None)?, number(json, "in_channels", None)?);
    if number(json, "out_channels", None)? != channels {
        return Err(format!("out_channels is {}; expected in_channels, {channels}", json["out_channels"]));
    }
    let channel_mult = list(json, "channel_mult", &[1, 2, 2, 2])?;
    let resolutions = list(json, "attn_resolutions", &[16])?;
    let attention = (0..channel_mult.len().min(8)).filter(|level| resolutions.contains(&(size >> level)));
    Ok(UNetConfig {
        form: Form::DdpmPlusPlus,
        channels,
        classes: number(json, "label_dim", Some(0))?,
        model_channels: number(json, "model_channels", Some(128))?,
        attention_ds: attention.map(|level| 1 << level).collect(),
        channel_mult,
        num_res_blocks: number(json, "num_blocks", Some(4))?,
        num_heads: 1,
        scale_shift: false,
        dropout: real(json, "dropout", 0.1)?,
        norm_groups: GROUPS,
        norm_epsilon: 1e-6,
        sin_first: true,
        frequency_shift: 1,
        ..UNetConfig::default()
    })
}

fn list(json: &Value, key: &str, default: &[usize]) -> std::result::Result<Vec<usize>, String> {
    let Some(value) = json.get(key) else { return Ok(default.to_vec()) };
    let numbers = value.as_array().map(|list| list.iter().map(|n| n.as_u64().map(|n| n as usize)));
    let numbers = numbers.and_then(Iterator::collect::<Option<Vec<usize>>>);
    numbers.ok_or_else(|| format!("{key} is {value}; expected a list of whole numbers"))
}
