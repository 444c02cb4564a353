//! Features of samples that are not rounded to 8 bits, for an objective in them.

use std::sync::Arc;

use fewstep_fid::Extractor;
use fewstep_fit::{Error, Features, Objective};

use crate::{
    cell::{Loaded, inception, levels_of},
    device::DeviceName,
    failure::{Failure, Result},
    files,
};

/// The network, and what it is and does: part of the keys of what is fitted with it.
pub struct Network {
    pub features: Arc<Features>,
    pub canary: String,
}

impl Network {
    /// Of an objective in features; nothing of the others.
    pub fn open(objective: Objective, loaded: &Loaded, device: DeviceName) -> Result<Option<Self>> {
        if objective != Objective::Inception {
            return Ok(None);
        }
        let network = inception(&loaded.sampler.device, device, loaded.experiment.protocol)?;
        let identity = serde_json::to_string(&network.identity()).map_err(Failure::run)?;
        let size = loaded.sampler.size;
        let (batch, len) = (loaded.sampler.batch, loaded.sampler.len());
        let features = move |x: &[f32]| {
            let of = |part: &[f32]| {
                let levels = levels_of(part, size, |level| level);
                network.features_of_values(&levels, [size; 2]).map_err(|error| Error::Network(error.to_string()))
            };
            let mut all = x.chunks(batch * len).map(of).collect::<fewstep_fit::Result<Vec<_>>>()?.concat();
            // Levels end at 0 and 255: what is infinite would look as if it were an image.
            let dim = network.dim();
            for (features, x) in all.chunks_mut(dim).zip(x.chunks(len)) {
                if x.iter().any(|value| !value.is_finite()) {
                    features.fill(f32::NAN);
                }
            }
            Ok(all)
        };
        let wave: Vec<f32> = (0..loaded.sampler.len()).map(|i| (0.37 * i as f32).sin()).collect();
        let bytes: Vec<u8> = features(&wave)?.iter().flat_map(|value| value.to_le_bytes()).collect();
        let canary = files::sha256(&[identity.as_bytes(), &bytes].concat());
        Ok(Some(Network { features: Arc::new(features), canary }))
    }
}
