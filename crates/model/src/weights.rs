//! Named tensors of a checkpoint, each taken once.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{Error, Result};

/// The tensors of a safetensors file, as f32, with its metadata.
pub struct Weights {
    path: PathBuf,
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// Reads a safetensors file of f16, bf16, f32 or f64 tensors.
    ///
    /// # Errors
    /// Where the file is damaged, or a tensor has another type or holds a value that is not finite.
    pub fn read(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
        let no_file = |error| invalid(format!("not a safetensors file: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(no_file)?;
        let file = SafeTensors::deserialize(&bytes).map_err(no_file)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let values = floats(&view).ok_or_else(|| {
                invalid(format!("tensor {name} is {:?}; expected F16, BF16, F32 or F64", view.dtype()))
            })?;
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(invalid(format!("tensor {name} holds {value}")));
            }
            tensors.insert(name.to_owned(), (view.shape().to_vec(), values));
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Weights { path: path.to_owned(), metadata, tensors })
    }

    /// An entry of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// An error about this checkpoint.
    pub fn invalid(&self, reason: impl ToString) -> Error {
        Error::Checkpoint { path: self.path.clone(), reason: reason.to_string() }
    }

    /// Takes tensor `name`.
    ///
    /// # Errors
    /// Where it is missing or has another shape.
    pub fn take<const D: usize>(&mut self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        let Some((found, values)) = self.tensors.remove(name) else {
            return Err(self.invalid(format!("tensor {name} is missing; expected shape {shape:?}")));
        };
        if found != shape {
            return Err(self.invalid(format!("tensor {name} has shape {found:?}; expected {shape:?}")));
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Checks that every tensor was taken.
    ///
    /// # Errors
    /// Naming one that was not.
    pub fn finish(self) -> Result<()> {
        match self.tensors.keys().next() {
            Some(name) => {
                let others = self.tensors.len() - 1;
                Err(self.invalid(format!("tensor {name} (and {others} more) is not part of the configured network")))
            }
            None => Ok(()),
        }
    }
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::BF16 => data.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::F64 => data
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
            .collect(),
        _ => return None,
    })
}
