//! What a training run leaves on disk: averaged weights to sample from, and its whole state to go on from.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use burn::{
    optim::{AdamWState, AdaptiveMomentumState},
    tensor::{Device, Tensor, TensorData},
};
use half::f16;
use safetensors::{Dtype, tensor::TensorView};

use super::{Slot, TrainSpec, Trainer, Values, host};
use crate::{
    Error, Result, UNet, Weights,
    unet::{Parameter, Source},
};
use burn::module::Module;

/// Shape and values of a tensor, row-major.
type Stored = (Vec<usize>, Vec<f32>);

/// In the metadata of a state file.
const KIND: &str = "fewstep training state";

impl Trainer {
    /// The averaged weights as a checkpoint that this crate and others read: safetensors, improved-diffusion's names,
    /// configuration and prediction in the metadata; rounded to f16 if `half`.
    ///
    /// # Errors
    /// Where a tensor cannot be read back.
    pub fn checkpoint(&self, half: bool) -> Result<Vec<u8>> {
        let mut metadata = self.metadata()?;
        metadata.insert("images".into(), (self.step * self.spec.batch).to_string());
        metadata.insert("weights".into(), format!("average of decay {}", self.spec.ema));
        let tensors = self.slots.iter().map(|slot| Ok((slot.parameter.name.clone(), slot.stored(slot.ema.clone())?)));
        serialize(tensors.collect::<Result<Vec<_>>>()?, metadata, half)
    }

    /// Everything that the next steps depend on. `run` says which run it is, for [`Trainer::resume`].
    ///
    /// # Errors
    /// Where a tensor cannot be read back.
    pub fn state(&self, run: &str) -> Result<Vec<u8>> {
        let mut metadata = self.metadata()?;
        metadata.insert("kind".into(), KIND.into());
        metadata.insert("run".into(), run.into());
        let mut values = Values(Vec::new());
        self.unet.visit(&mut values);
        let mut tensors = Vec::new();
        for (slot, (_, value)) in self.slots.iter().zip(values.0) {
            let name = &slot.parameter.name;
            tensors.push((format!("raw.{name}"), slot.stored(value)?));
            tensors.push((format!("ema.{name}"), slot.stored(slot.ema.clone())?));
            if let Some(adam) = &slot.adam {
                tensors.push((format!("adam_m.{name}"), slot.stored(adam.momentum.moment_1.clone())?));
                tensors.push((format!("adam_v.{name}"), slot.stored(adam.momentum.moment_2.clone())?));
            }
        }
        serialize(tensors, metadata, false)
    }

    /// Goes on from a state that [`Trainer::state`] wrote.
    ///
    /// # Errors
    /// Where the file is damaged, or belongs to another run.
    pub fn resume(path: &Path, run: &str, spec: TrainSpec, device: &Device, parallel: bool) -> Result<Self> {
        let mut weights = Weights::read(path)?;
        if weights.metadata("kind") != Some(KIND) {
            return Err(weights.invalid("not a training state; expected the state.safetensors of a run"));
        }
        let found = weights.metadata("run").unwrap_or_default().to_owned();
        if found != run {
            let expected = "remove it or use --fresh to begin again";
            return Err(weights.invalid(format!("the state of another run ({found}, not {run}); {expected}")));
        }
        let step = weights.metadata("step").and_then(|step| step.parse().ok());
        let Some(step) = step else { return Err(weights.invalid("metadata 'step' is not a number")) };
        spec.config.check()?;
        let (unet, parameters) =
            UNet::with_parameters(&spec.config, &mut Part { weights: &mut weights, prefix: "raw" }, device)?;
        let mut trainer = Trainer::assemble(spec, device, parallel, unet, parameters)?;
        trainer.step = step;
        for slot in &mut trainer.slots {
            slot.ema = slot.parameter.flat(&mut weights, "ema", device)?;
            if step > 0 {
                let moment_1 = slot.parameter.flat(&mut weights, "adam_m", device)?;
                let moment_2 = slot.parameter.flat(&mut weights, "adam_v", device)?;
                slot.adam = Some(AdamWState::new(AdaptiveMomentumState::new(step, moment_1, moment_2)));
            }
        }
        weights.finish()?;
        Ok(trainer)
    }

    fn metadata(&self) -> Result<HashMap<String, String>> {
        let config = serde_json::to_string(&self.spec.config).map_err(|error| Error::Training(error.to_string()))?;
        Ok(HashMap::from([
            ("config".into(), config),
            ("prediction".into(), self.spec.prediction.name().into()),
            ("step".into(), self.step.to_string()),
        ]))
    }
}

impl Slot {
    /// The values of this parameter's tensor as PyTorch keeps it.
    fn stored(&self, flat: Tensor<1>) -> Result<Stored> {
        let shape = &self.parameter.shape;
        let flat = match shape.as_slice() {
            &[rows, columns] if self.parameter.transposed => {
                flat.reshape([columns, rows]).transpose().reshape([rows * columns])
            }
            _ => flat,
        };
        Ok((shape.clone(), host(flat)?))
    }
}

impl Parameter {
    /// Reads a tensor of this parameter's shape as burn keeps it, flat.
    fn flat(&self, weights: &mut Weights, prefix: &str, device: &Device) -> Result<Tensor<1>> {
        let values = weights.values(&format!("{prefix}.{}", self.name), &self.shape)?;
        let count = values.len();
        let tensor = Tensor::<1>::from_data(TensorData::new(values, [count]), device);
        Ok(match self.shape.as_slice() {
            &[rows, columns] if self.transposed => tensor.reshape([rows, columns]).transpose().reshape([count]),
            _ => tensor,
        })
    }
}

/// Tensors that stand under a prefix.
struct Part<'a> {
    weights: &'a mut Weights,
    prefix: &'static str,
}

impl Source for Part<'_> {
    fn take<const D: usize>(&mut self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        self.weights.take(&format!("{}.{name}", self.prefix), shape, device)
    }
}

fn serialize(tensors: Vec<(String, Stored)>, metadata: HashMap<String, String>, half: bool) -> Result<Vec<u8>> {
    let failed = |error: safetensors::SafeTensorError| Error::Training(error.to_string());
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, (shape, values))| {
            let bytes = if half {
                values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
            } else {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            };
            (name, shape, bytes)
        })
        .collect();
    let dtype = if half { Dtype::F16 } else { Dtype::F32 };
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    ordered(safetensors::serialize(views, Some(metadata)).map_err(failed)?)
}

/// The same file with its header's names in their order: the metadata come in another every time, and one run has one file.
fn ordered(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let failed = || Error::Training("a header of safetensors that cannot be put in order".into());
    let length = bytes.first_chunk().map(|&length| u64::from_le_bytes(length) as usize).ok_or_else(failed)?;
    let header = bytes.get_mut(8..8 + length).ok_or_else(failed)?;
    let names: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).map_err(|_| failed())?;
    let mut text = serde_json::to_vec(&names).map_err(|_| failed())?;
    // It is padded with spaces, and has the same letters.
    text.resize(length.max(text.len()), b' ');
    if text.len() != length {
        return Err(failed());
    }
    header.copy_from_slice(&text);
    Ok(bytes)
}
