//! Checkpoint layouts: where a network's tensors and its configuration lie.
//!
//! Every layout ends in tensors with improved-diffusion's names and a [`UNetConfig`]; what the file calls a tensor stays
//! in error messages.

mod authors;
mod diffusers;
mod edm;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Conditioning, Error, Prediction, Result, UNetConfig, Weights, pickle, weights};

/// A checkpoint as it was found.
pub(crate) struct Found {
    pub weights: Weights,
    pub config: Option<UNetConfig>,
    pub conditioning: Option<Conditioning>,
    /// The noise schedule that it says it was trained with, by [`Checkpoint::schedule`](crate::Checkpoint)'s names.
    pub schedule: Option<String>,
    /// Which of several sets of weights in the file was taken.
    pub selected: Selected,
    /// Side in pixels of the images that it says it was made for.
    pub size: Option<usize>,
}

/// Which weights of a file were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// The file holds one set and does not say which.
    Only,
    /// The exponential moving average, beside raw weights or labelled as such.
    Ema,
    /// Those labelled otherwise; there is no average in the file.
    Raw,
}

impl Selected {
    /// The name in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Selected::Only => "as stored",
            Selected::Ema => "ema",
            Selected::Raw => "raw",
        }
    }
}

/// Opens a file of weights, a model's folder or a pipeline's.
///
/// # Errors
/// Where something is missing, damaged, or made for what this crate does not build.
pub(crate) fn open(path: &Path) -> Result<Found> {
    if path.is_dir() {
        folder(path)
    } else if let Some(source) = edm::source(path).filter(|_| !path.exists()) {
        Err(invalid(path, format!("No such file; {source}")))
    } else if pickle::is_pickle(&weights::magic(path)?) {
        edm::open(path)
    } else {
        file(path)
    }
}

fn file(path: &Path) -> Result<Found> {
    let mut weights = Weights::read(path)?;
    let selected = match select(&mut weights, "time_embed.0.weight")? {
        // As `fewstep train` writes of its own: "average of decay 0.999".
        Selected::Only
            if ["weights", "training"].iter().any(|key| weights.metadata(key).is_some_and(says_averaged)) =>
        {
            Selected::Ema
        }
        selected => selected,
    };
    let config = match weights.metadata("config") {
        Some(json) => {
            let parsed = serde_json::from_str(json);
            Some(parsed.map_err(|error| weights.invalid(format!("metadata 'config': {error}")))?)
        }
        None => None,
    };
    let conditioning =
        match weights.metadata("prediction") {
            None => None,
            Some(name) => Some(Prediction::named(name).map(Conditioning::Time).ok_or_else(|| {
                weights.invalid(format!("metadata 'prediction' is '{name}'; expected epsilon, x0 or v"))
            })?),
        };
    // Such as "linear 1e-4..0.02 T=1000".
    let schedule = weights.metadata("schedule").and_then(|text| text.split_whitespace().next()).map(str::to_owned);
    Ok(Found { weights, config, conditioning, schedule, selected, size: None })
}

/// Whether a text says that weights are averaged, in the words of the files that are known: "average of decay 0.999", "EMA 0.9995".
fn says_averaged(text: &str) -> bool {
    let number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    ["average of decay ", "EMA "].iter().any(|words| text.split_once(words).is_some_and(|(_, rest)| number(rest)))
}

fn folder(path: &Path) -> Result<Found> {
    let folder = network_folder(path)?;
    let config_path = folder.join("config.json");
    let json: Value = read_json(&config_path)?;
    let weights_path = ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists());
    let Some(weights_path) = weights_path else {
        return Err(invalid(&folder, "no diffusion_pytorch_model.safetensors or .bin in this folder"));
    };
    let mut weights = Weights::read(&weights_path)?;
    let class = json.get("_class_name").and_then(Value::as_str).unwrap_or_default();
    let openai = class == "UNetModel" || (class.is_empty() && json.get("model_channels").is_some());
    let known = if openai { "time_embed.0.weight" } else { "time_embedding.linear_1.weight" };
    let mut selected = select(&mut weights, known)?;
    let config = if openai {
        authors::config(&json)
    } else if class == "UNet2DModel" || class.is_empty() {
        diffusers::config(&json)
    } else {
        Err(format!("_class_name is '{class}'; expected UNet2DModel or the DEIS-SN authors' UNetModel"))
    };
    let config = config.map_err(|reason| invalid(&config_path, reason))?;
    config.check().map_err(|error| invalid(&config_path, error))?;
    if !openai {
        diffusers::rename(&config, &mut weights)?;
    }
    if selected == Selected::Only && folder.ends_with("unet_ema") {
        selected = Selected::Ema;
    }
    let (prediction, schedule) = scheduler(&folder)?;
    let conditioning = Some(Conditioning::Time(prediction));
    Ok(Found { weights, config: Some(config), conditioning, schedule, selected, size: None })
}

/// The folder with the network's `config.json`: `path` itself, or a part of a pipeline.
fn network_folder(path: &Path) -> Result<PathBuf> {
    let candidates = [path.to_owned(), path.join("unet_ema"), path.join("unet")];
    let found = candidates.into_iter().find(|folder| folder.join("config.json").exists());
    found.ok_or_else(|| invalid(path, "no config.json in this folder, in unet_ema/ or in unet/"))
}

/// Schedules and what diffusers calls them.
const SCHEDULES: [(&str, &str); 3] =
    [("linear", "linear"), ("scaled-linear", "scaled_linear"), ("cosine", "squaredcos_cap_v2")];

/// First and last β of a schedule that has them.
fn betas(schedule: &str) -> Option<(f64, f64)> {
    match schedule {
        "linear" => Some((1e-4, 0.02)),
        "scaled-linear" => Some((8.5e-4, 0.012)),
        _ => None,
    }
}

/// What the scheduler beside a network says of its prediction and its noise schedule; diffusers' default prediction without
/// one.
///
/// # Errors
/// Where the network was made for a noise schedule that has no name here.
fn scheduler(folder: &Path) -> Result<(Prediction, Option<String>)> {
    let candidates = [folder.join("scheduler_config.json"), folder.join("../scheduler/scheduler_config.json")];
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        return Ok((Prediction::Epsilon, None));
    };
    let json: Value = read_json(&path)?;
    expect(&json, &[("num_train_timesteps", &[Value::from(1000)])]).map_err(|reason| invalid(&path, reason))?;
    let named = json.get("beta_schedule").and_then(Value::as_str).unwrap_or("linear");
    let Some((schedule, _)) = SCHEDULES.into_iter().find(|(_, theirs)| *theirs == named) else {
        let known = SCHEDULES.map(|(_, theirs)| theirs).join(", ");
        return Err(invalid(&path, format!("beta_schedule is '{named}'; expected {known}")));
    };
    if let Some((first, last)) = betas(schedule) {
        let ends = [("beta_start", &[Value::from(first)][..]), ("beta_end", &[Value::from(last)])];
        expect(&json, &ends).map_err(|reason| invalid(&path, reason))?;
    }
    let prediction = match json.get("prediction_type").and_then(Value::as_str) {
        None | Some("epsilon") => Ok(Prediction::Epsilon),
        Some("sample") => Ok(Prediction::X0),
        Some("v_prediction") => Ok(Prediction::V),
        Some(other) => {
            Err(invalid(&path, format!("prediction_type is '{other}'; expected epsilon, sample or v_prediction")))
        }
    }?;
    Ok((prediction, Some(schedule.to_owned())))
}

/// Finds the network among what a file holds by one of its tensors, `known`, and takes the moving average where there
/// are several: `ema.…` beside `model.…`, say, and an optimiser's state beside both.
fn select(weights: &mut Weights, known: &str) -> Result<Selected> {
    let prefixes = weights.prefixes(known);
    let is_ema = |prefix: &&String| {
        prefix.split(['.', '_']).any(|part| ["ema", "average", "averaged"].contains(&part.to_lowercase().as_str()))
    };
    let (ema, raw): (Vec<_>, Vec<_>) = prefixes.iter().partition(is_ema);
    let (prefix, selected) = match (ema.as_slice(), raw.as_slice()) {
        ([prefix], _) => (prefix, Selected::Ema),
        // The builder says what is missing.
        ([], []) => return Ok(Selected::Only),
        ([], [prefix]) if prefix.is_empty() => (prefix, Selected::Only),
        ([], [prefix]) => (prefix, Selected::Raw),
        (several, _) if several.len() > 1 => return Err(ambiguous(weights, several)),
        (_, several) => return Err(ambiguous(weights, several)),
    };
    weights.select(prefix, &prefixes);
    Ok(selected)
}

fn ambiguous(weights: &Weights, prefixes: &[&String]) -> Error {
    weights.invalid(format!("several networks in this file, under {prefixes:?}; expected one, or one averaged"))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| invalid(path, error))?;
    serde_json::from_str(&text).map_err(|error| invalid(path, format!("not a configuration: {error}")))
}

fn invalid(path: &Path, reason: impl ToString) -> Error {
    Error::Checkpoint { path: path.to_owned(), reason: reason.to_string() }
}

/// Refuses values of a configuration under which the network would be another than the one built here.
fn expect(json: &Value, expected: &[(&str, &[Value])]) -> std::result::Result<(), String> {
    for (key, allowed) in expected {
        if let Some(value) = json.get(key)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            return Err(format!("{key} is {value}; expected {}", allowed.join(" or ")));
        }
    }
    Ok(())
}

/// A positive whole number of a configuration, or `default` where it is not there.
fn number(json: &Value, key: &str, default: Option<usize>) -> std::result::Result<usize, String> {
    match json.get(key) {
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| format!("{key} is {value}; expected a whole number"))
        }
        None => default.ok_or_else(|| format!("{key} is missing; expected a whole number")),
    }
}

/// A number of a configuration, or `default`.
fn real(json: &Value, key: &str, default: f64) -> std::result::Result<f64, String> {
    let value = json.get(key).map(|value| value.as_f64().ok_or_else(|| format!("{key} is {value}; expected a number")));
    value.unwrap_or(Ok(default))
}

/// true or false of a configuration, or `default`.
fn flag(json: &Value, key: &str, default: bool) -> std::result::Result<bool, String> {
    let value =
        json.get(key).map(|value| value.as_bool().ok_or_else(|| format!("{key} is {value}; expected true or false")));
    value.unwrap_or(Ok(default))
}
