//! Named tensors of a safetensors file, each taken once and none left over.

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// No file of a network that is here is larger: CLIP's ViT-L/14 with its text tower has 1.7 GB.
const MAX_BYTES: u64 = 8 << 30;

/// The file's bytes.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let length = path.metadata().map_err(Error::io(path))?.len();
    if length > MAX_BYTES {
        return Err(Error::invalid(path, format!("{length} bytes are no vision transformer's weights")));
    }
    std::fs::read(path).map_err(Error::io(path))
}

/// The tensors of a file.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    file: SafeTensors<'a>,
    taken: RefCell<(BTreeSet<String>, Sha256)>,
}

impl<'a> Tensors<'a> {
    /// Of the bytes of `path`.
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let no_file = |error| Error::invalid(path, format!("{error}; expected safetensors of DINOv2 or CLIP"));
        let file = SafeTensors::deserialize(bytes).map_err(no_file)?;
        Ok(Tensors { path, file, taken: RefCell::default() })
    }

    /// An error that names the file.
    pub fn invalid(&self, reason: impl ToString) -> Error {
        Error::invalid(self.path, reason)
    }

    /// The shape of a tensor, of as many dimensions as are expected of it.
    pub fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let tensor = self.file.tensor(name).map_err(|_| self.missing(name))?;
        if tensor.shape().contains(&0) {
            return Err(self.invalid(format!("tensor {name} is empty: its shape is {:?}", tensor.shape())));
        }
        tensor
            .shape()
            .try_into()
            .map_err(|_| self.invalid(format!("tensor {name} has shape {:?}; expected {D} dimensions", tensor.shape())))
    }

    /// Whether a tensor's name begins so.
    pub fn has(&self, prefix: &str) -> bool {
        self.file.names().iter().any(|name| name.starts_with(prefix))
    }

    fn missing(&self, name: &str) -> Error {
        self.invalid(format!("tensor {name} is missing"))
    }

    /// The values of a tensor of this shape, f32, f16 or bf16.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.file.tensor(name).map_err(|_| self.missing(name))?;
        if tensor.shape() != shape {
            return Err(self.invalid(format!("tensor {name} has shape {:?}; expected {shape:?}", tensor.shape())));
        }
        let halves = || tensor.data().as_chunks().0.iter().map(|&bytes| u16::from_le_bytes(bytes));
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F16 => halves().map(|bits| half::f16::from_bits(bits).to_f32()).collect(),
            Dtype::BF16 => halves().map(|bits| half::bf16::from_bits(bits).to_f32()).collect(),
            other => return Err(self.invalid(format!("tensor {name} is {other:?}; expected F32, F16 or BF16"))),
        };
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(self.invalid(format!("tensor {name} holds {value}")));
        }
        let mut taken = self.taken.borrow_mut();
        taken.0.insert(name.to_owned());
        values.iter().for_each(|value| taken.1.update(value.to_le_bytes()));
        Ok(values)
    }

    /// The SHA-256 of all values in the order in which they were taken; where something is left that `ignored` does not know, it is
    /// another network.
    pub fn finish(self, what: &str, ignored: impl Fn(&str) -> bool) -> Result<Sha256> {
        let (taken, hash) = self.taken.take();
        let left: BTreeSet<&str> = self.file.names().into_iter().collect();
        match left.into_iter().find(|name| !taken.contains(*name) && !ignored(name)) {
            Some(name) => Err(self.invalid(format!("tensor {name} is none of {what}'s"))),
            None => Ok(hash),
        }
    }
}
