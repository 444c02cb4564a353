//! The training file: what there may be in it, and what it means.

use std::path::{Path, PathBuf};

use fewstep_model::{Prediction, Rate, TrainSpec, UNetConfig};
use serde::Deserialize;
use toml::Spanned;

use super::memory::Numbers;
use crate::{experiment::CHANNELS, failure::Result, files, source::Source};

/// A training file, checked.
pub struct Training {
    /// The file's, without its ending.
    pub name: String,
    /// For people.
    pub title: String,
    /// Of the file's text.
    pub hash: String,
    /// Images to learn from.
    pub data: PathBuf,
    /// Their height and width.
    pub size: usize,
    /// Whether other sizes are cut and resized.
    pub crop: bool,
    /// What the trainer does.
    pub spec: TrainSpec,
    /// What is written on the way.
    pub output: Output,
}

/// What is written on the way.
pub struct Output {
    /// Steps between states on disk.
    pub every: usize,
    /// Images of a sample grid.
    pub samples: usize,
    /// Evaluations for them.
    pub nfe: usize,
    /// Whether weights are rounded to f16.
    pub half: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: Option<String>,
    #[serde(default)]
    seed: u64,
    data: String,
    size: Spanned<usize>,
    #[serde(default)]
    crop: bool,
    prediction: Prediction,
    model: Spanned<UNetConfig>,
    training: RawTraining,
    #[serde(default)]
    output: RawOutput,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraining {
    steps: Spanned<usize>,
    batch: Spanned<usize>,
    part: Option<Spanned<usize>>,
    learning_rate: Spanned<f64>,
    #[serde(default)]
    warm_up: usize,
    rate: RawRate,
    #[serde(default = "betas")]
    betas: Spanned<[f32; 2]>,
    weight_decay: Option<Spanned<f64>>,
    clip_norm: Option<Spanned<f64>>,
    ema: Spanned<f64>,
    #[serde(default)]
    flip: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRate {
    Constant,
    Cosine,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    every: Option<Spanned<usize>>,
    samples: Option<Spanned<usize>>,
    nfe: Option<Spanned<usize>>,
    #[serde(default)]
    half: bool,
}

fn betas() -> Spanned<[f32; 2]> {
    Spanned::new(0..0, [0.9, 0.999])
}

/// Images that go through the network together on CPU, where parts of a batch run side by side.
pub const PART: usize = 16;
/// A sample grid is of at most so many images.
const MAX_SAMPLES: usize = 1024;

impl Training {
    /// Reads and checks it.
    ///
    /// # Errors
    /// Naming the line, what is there, and what was expected.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::text(path)?;
        let source = Source { path, text: &text };
        let raw: Raw = source.parse()?;
        let size = source.within("size", &raw.size, 1..1025)?;
        let config = raw.model.get_ref().clone();
        config.check().map_err(|error| source.error(raw.model.span(), error))?;
        let multiple = config.side_multiple();
        if config.channels != CHANNELS || config.learn_sigma || !size.is_multiple_of(multiple) {
            let expected = format!("{CHANNELS} channels, no learn_sigma, and a size that is a multiple of {multiple}");
            return Err(
                source.error(raw.model.span(), format!("cannot train this network at {size}: expected {expected}"))
            );
        }
        let training = raw.training;
        let number = |name: &str, value: &Spanned<f64>, good: fn(f64) -> bool, expected: &str| {
            let number = *value.get_ref();
            if good(number) {
                Ok(number)
            } else {
                Err(source.error(value.span(), format!("{name} is {number}; {expected}")))
            }
        };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let betas = *training.betas.get_ref();
        if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(source.error(training.betas.span(), format!("betas are {betas:?}; expected 0 to below 1")));
        }
        let steps = source.within("steps", &training.steps, 1..100_000_001)?;
        let batch = source.within("batch", &training.batch, 1..65_537)?;
        let part = training.part.as_ref().map_or(Ok(PART), |part| source.within("part", part, 1..65_537))?;
        let of_part = training.part.as_ref().unwrap_or(&training.batch).span();
        let numbers = Numbers::of(&config, size);
        source.weights_fit(raw.model.span(), &config, &numbers)?;
        source.step_fits([training.batch.span(), of_part], [batch, part, size], &numbers)?;
        let clip = training.clip_norm.as_ref().map(|clip| number("clip_norm", clip, positive, "expected above 0"));
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let decay = training
            .weight_decay
            .as_ref()
            .map(|decay| number("weight_decay", decay, not_negative, "expected 0 or more"));
        let spec = TrainSpec {
            config,
            prediction: raw.prediction,
            steps,
            batch,
            part,
            learning_rate: number("learning_rate", &training.learning_rate, positive, "expected above 0")?,
            warm_up: training.warm_up,
            rate: match training.rate {
                RawRate::Constant => Rate::Constant,
                RawRate::Cosine => Rate::Cosine,
            },
            betas,
            weight_decay: decay.transpose()?.unwrap_or(0.0) as f32,
            clip_norm: clip.transpose()?,
            ema: number("ema", &training.ema, |ema| (0.0..1.0).contains(&ema), "expected 0 to below 1")?,
            flip: training.flip,
            seed: raw.seed,
        };
        let optional = |name: &str, value: &Option<Spanned<usize>>, default: usize, limit: usize| {
            value.as_ref().map_or(Ok(default), |value| source.within(name, value, 1..limit + 1))
        };
        let output = Output {
            every: optional("every", &raw.output.every, 500, steps.max(500))?,
            samples: optional("samples", &raw.output.samples, 36, MAX_SAMPLES)?,
            nfe: optional("nfe", &raw.output.nfe, 20, 1000)?,
            half: raw.output.half,
        };
        let data = source.data(&raw.data);
        let name = source.name();
        let title = raw.title.unwrap_or_else(|| name.clone());
        Ok(Training { name, title, hash: files::sha256(text.as_bytes()), data, size, crop: raw.crop, spec, output })
    }
}

/// Whether a training file can be read.
#[cfg(test)]
pub fn check(path: &Path) -> Result<()> {
    Training::read(path).map(drop)
}
