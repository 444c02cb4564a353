//! The `[model]` table.

use std::path::PathBuf;

use fewstep_model::{Classes, Component, Prediction, UNetConfig};
use fewstep_sampler::Schedule;
use serde::Deserialize;
use toml::Spanned;

use crate::{failure::Result, source::Source};

/// Channels of the images.
pub const CHANNELS: usize = 3;

/// The model of an experiment.
#[derive(Debug, Clone)]
pub struct ModelSpec {
    /// Height and width of the images.
    pub size: usize,
    /// What predicts the noise.
    pub kind: ModelKind,
    /// The noise schedule it was made for.
    pub schedule: Schedule,
    /// Its name.
    pub schedule_name: String,
}

/// What predicts the noise.
#[derive(Debug, Clone)]
pub enum ModelKind {
    /// A U-Net checkpoint.
    UNet {
        /// File or folder.
        weights: PathBuf,
        /// Where the checkpoint does not say.
        config: Option<UNetConfig>,
        /// Where the checkpoint does not say.
        prediction: Option<Prediction>,
        /// Where the network has classes.
        class: Option<Classes>,
    },
    /// Data that is a mixture of Gaussians, solved exactly.
    Mixture(Vec<Component>),
    /// The ideal denoiser of a set of images.
    Ideal {
        /// Folder, `.npz`, LMDB, or one of `fetch`'s.
        data: PathBuf,
        /// How many of its first images; all if none.
        images: Option<usize>,
        /// Whether their centre squares are resized.
        crop: bool,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    kind: Spanned<String>,
    size: Spanned<usize>,
    schedule: Option<Spanned<String>>,
    weights: Option<PathBuf>,
    config: Option<UNetConfig>,
    prediction: Option<Prediction>,
    class: Option<Spanned<RawClass>>,
    mean: Option<Spanned<Numbers>>,
    variance: Option<Spanned<Numbers>>,
    component: Option<Vec<RawComponent>>,
    data: Option<String>,
    images: Option<Spanned<usize>>,
    crop: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    weight: Option<f64>,
    mean: Spanned<Numbers>,
    variance: Spanned<Numbers>,
}

/// A class, or how images get theirs.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawClass {
    One(usize),
    Name(String),
}

/// One number for all pixels, one for each channel, or one for each pixel and channel.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(f64),
    Several(Vec<f64>),
}

/// Sides of the images.
const MAX_SIZE: usize = 1024;
/// Components of a mixture: each costs as much as one pass over the images.
const MAX_COMPONENTS: usize = 1024;

impl Source<'_> {
    pub(super) fn model(&self, raw: RawModel) -> Result<ModelSpec> {
        let size = self.within("size", &raw.size, 1..MAX_SIZE + 1)?;
        let schedule_name = raw.schedule.as_ref().map_or("linear", |name| name.get_ref()).to_owned();
        let Some(schedule) = Schedule::named(&schedule_name, size) else {
            let span = raw.schedule.map_or(0..0, |name| name.span());
            let known = Schedule::NAMES.join(", ");
            return Err(self.error(span, format!("no schedule '{schedule_name}'; expected {known}")));
        };
        let (span, kind) = (raw.kind.span(), raw.kind.get_ref().as_str());
        let given = [
            ("weights", raw.weights.is_some()),
            ("config", raw.config.is_some()),
            ("prediction", raw.prediction.is_some()),
            ("class", raw.class.is_some()),
            ("mean", raw.mean.is_some()),
            ("variance", raw.variance.is_some()),
            ("component", raw.component.is_some()),
            ("data", raw.data.is_some()),
            ("images", raw.images.is_some()),
            ("crop", raw.crop.is_some()),
        ];
        let allowed: &[&str] = match kind {
            "unet" => &["weights", "config", "prediction", "class"],
            "gaussian" => &["mean", "variance"],
            "mixture" => &["component"],
            "ideal" => &["data", "images", "crop"],
            other => {
                let message = format!("no model kind '{other}'; expected unet, gaussian, mixture or ideal");
                return Err(self.error(span, message));
            }
        };
        if let Some((other, _)) = given.iter().find(|(key, there)| *there && !allowed.contains(key)) {
            return Err(
                self.error(span, format!("model kind '{kind}' takes no {other}; expected {}", allowed.join(", ")))
            );
        }
        let missing = |key: &str| self.error(span.clone(), format!("model kind '{kind}' needs {key}"));
        let kind = match kind {
            "unet" => ModelKind::UNet {
                weights: self.beside(raw.weights.ok_or_else(|| missing("weights"))?),
                config: raw.config,
                prediction: raw.prediction,
                class: raw.class.map(|class| self.class(class)).transpose()?,
            },
            "ideal" => ModelKind::Ideal {
                data: self.data(&raw.data.ok_or_else(|| missing("data"))?),
                crop: raw.crop.unwrap_or(false),
                images: raw.images.map(|images| self.ideal_images(&images, size)).transpose()?,
            },
            "gaussian" => {
                let mean = raw.mean.ok_or_else(|| missing("mean"))?;
                let variance = raw.variance.ok_or_else(|| missing("variance"))?;
                ModelKind::Mixture(vec![self.component(RawComponent { weight: None, mean, variance }, size)?])
            }
            _ => {
                let components = raw.component.ok_or_else(|| missing("[[model.component]] tables"))?;
                if components.is_empty() || components.len() > MAX_COMPONENTS {
                    let message = format!("{} components; expected 1 to {MAX_COMPONENTS}", components.len());
                    return Err(self.error(span, message));
                }
                self.components_fit(span.clone(), components.len(), size)?;
                let components = components.into_iter().map(|component| self.component(component, size));
                ModelKind::Mixture(components.collect::<Result<_>>()?)
            }
        };
        Ok(ModelSpec { size, kind, schedule, schedule_name })
    }

    fn class(&self, raw: Spanned<RawClass>) -> Result<Classes> {
        match raw.get_ref() {
            RawClass::One(class) => Ok(Classes::One(*class)),
            RawClass::Name(name) if name == "cycle" => Ok(Classes::Cycle),
            RawClass::Name(name) => {
                Err(self.error(raw.span(), format!("class is \"{name}\"; expected a number from 0 or \"cycle\"")))
            }
        }
    }

    fn component(&self, raw: RawComponent, size: usize) -> Result<Component> {
        let weight = raw.weight.unwrap_or(1.0);
        if !(weight.is_finite() && weight > 0.0) {
            return Err(self.error(raw.mean.span(), format!("weight is {weight}; expected a positive number")));
        }
        let mean = self.numbers("mean", &raw.mean, size, |mean| mean.is_finite(), "a finite number")?;
        let positive = |variance: f64| variance.is_finite() && variance > 0.0;
        let variance = self.numbers("variance", &raw.variance, size, positive, "a positive number")?;
        Ok(Component { weight, mean, variance })
    }

    fn numbers(
        &self,
        name: &str,
        raw: &Spanned<Numbers>,
        size: usize,
        good: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<Vec<f64>> {
        let (plane, len) = (size * size, CHANNELS * size * size);
        let values = match raw.get_ref() {
            Numbers::One(value) => vec![*value; len],
            Numbers::Several(values) if values.len() == len => values.clone(),
            Numbers::Several(values) if values.len() == CHANNELS => {
                values.iter().flat_map(|&value| std::iter::repeat_n(value, plane)).collect()
            }
            Numbers::Several(values) => {
                let message = format!("{name} has {} numbers; expected 1, {CHANNELS} or {len}", values.len());
                return Err(self.error(raw.span(), message));
            }
        };
        match values.iter().find(|&&value| !good(value)) {
            Some(value) => Err(self.error(raw.span(), format!("{name} is {value}; expected {expected}"))),
            None => Ok(values),
        }
    }
}
