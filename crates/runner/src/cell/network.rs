//! Loading what predicts the noise.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::Device;
use fewstep_model::{Checkpoint, Classes, Ideal, Levels, Mixture, Prediction, Predictor, UNetConfig};

use crate::{
    assets,
    experiment::{CHANNELS, IDEAL, ModelKind, ModelSpec},
    failure::{Failure, Result},
    files,
    source::{MEMORY, too_large},
};

/// The network of an experiment on `device`, compiled for this machine's cores where that is said; what was read goes into `assets`.
pub fn load(
    model: &ModelSpec,
    device: &Device,
    compiled: bool,
    assets: &mut BTreeMap<String, String>,
) -> Result<Box<dyn Predictor>> {
    let levels = {
        let schedule = model.schedule.clone();
        Levels { count: schedule.levels(), alpha_bar: Box::new(move |tau| schedule.alpha_bar(tau)) }
    };
    let size = model.size;
    match &model.kind {
        ModelKind::Mixture(components) => {
            assets.insert("model".into(), format!("{} Gaussian component(s)", components.len()));
            Ok(Box::new(Mixture::new(components.clone(), [CHANNELS, size, size], levels)?))
        }
        ModelKind::Ideal { data, images, crop } => {
            let set = assets::images_of_size(data, size, *crop)?;
            let count = images.unwrap_or(set.len());
            if count > set.len() {
                let (path, found) = (data.display(), set.len());
                return Err(Failure::Request(format!("{path}: {found} images; the experiment asks for {count}")));
            }
            if let Some(reason) = too_large(&[count, IDEAL, CHANNELS * size * size], MEMORY) {
                let path = data.display();
                return Err(Failure::Request(format!(
                    "{path}: {count} images of {size}x{size} {reason}; set images in [model]"
                )));
            }
            let images = set.read(0..count)?;
            assets.insert("model".into(), format!("ideal denoiser of {}", files::sha256(images.pixels())));
            Ok(Box::new(Ideal::new(images.pixels(), size, CHANNELS, levels)?))
        }
        ModelKind::UNet { weights, config, prediction, class } => {
            let checkpoint = checkpoint(model, weights, config.clone(), *prediction)?.of_classes(*class)?;
            assets.insert("model".into(), files::sha256_of(checkpoint.weights_file())?);
            assets.insert("model-weights".into(), checkpoint.selected.name().into());
            assets.insert("model-prediction".into(), checkpoint.conditioning.name());
            if let Some(class) = class {
                let name = match class {
                    Classes::One(class) => class.to_string(),
                    Classes::Cycle => "cycle".into(),
                };
                assets.insert("model-class".into(), name);
            }
            let network = checkpoint.build(levels, device)?;
            Ok(Box::new(if compiled { network.compiled() } else { network }))
        }
    }
}

/// A checkpoint that fits the experiment.
fn checkpoint(
    model: &ModelSpec,
    weights: &Path,
    config: Option<UNetConfig>,
    prediction: Option<Prediction>,
) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::read(weights, config, prediction)?;
    let (multiple, size) = (checkpoint.config.side_multiple(), model.size);
    if !size.is_multiple_of(multiple) || checkpoint.config.channels != CHANNELS {
        return Err(Failure::Request(format!(
            "{}: this network takes {} channels and sides that are multiples of {multiple}; the experiment has {CHANNELS} and size = {size}",
            weights.display(),
            checkpoint.config.channels
        )));
    }
    if let Some(made) = checkpoint.size.filter(|made| *made != size) {
        let path = weights.display();
        return Err(Failure::Request(format!(
            "{path}: made for images of {made} × {made}; the experiment's [model] has size = {size}; expected {made}"
        )));
    }
    let asked = &model.schedule_name;
    if let Some(trained) = checkpoint.schedule.as_ref().filter(|trained| *trained != asked) {
        let path = weights.display();
        return Err(Failure::Request(format!(
            "{path}: trained with schedule '{trained}'; the experiment's [model] has schedule = \"{asked}\""
        )));
    }
    let (first, greatest) = (model.schedule.rho(1.0), checkpoint.conditioning.greatest_level());
    if first > greatest * (1.0 + 1e-6) {
        let path = weights.display();
        return Err(Failure::Request(format!(
            "{path}: made for noise levels up to {greatest:.5}; schedule \"{asked}\" of the experiment's [model] begins at {first:.5}; expected another, such as \"edm\""
        )));
    }
    Ok(checkpoint)
}
