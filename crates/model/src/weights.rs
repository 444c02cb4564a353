//! Named tensors of a checkpoint, whatever container they came in, each taken once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use pytorch_reader::{ByteOrder, DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};

use crate::{
    Error, Result,
    pickle::{PickledTensor, examine},
    predictor::Fingerprint,
    unet::Source,
};

/// No checkpoint of a network that this crate builds is larger.
const MAX_BYTES: u64 = 16 << 30;
/// Bytes of tensors for each of a PyTorch file: a view can stand for more numbers than there are, and an archive may be deflated.
const RATIO: u64 = 4;

/// The tensors of a checkpoint, with the file's metadata.
pub struct Weights {
    path: PathBuf,
    metadata: HashMap<String, String>,
    /// The file, where tensors are parts of it; empty for PyTorch's containers.
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Stored>,
    /// What the file calls a tensor that is looked for under another name.
    names: HashMap<String, String>,
    /// Of every tensor that was taken, by its name here: what a network is made of, whatever container it came in.
    taken: BTreeMap<String, String>,
    /// Bytes that tensors of PyTorch's containers may still have.
    left: u64,
}

/// A tensor in its file.
struct Stored {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    /// A part of [`Weights::bytes`].
    Safetensors(Dtype, Range<usize>),
    Torch(pytorch_reader::Tensor),
    Pickled(PickledTensor),
    Computed(Vec<f32>),
}

impl Weights {
    /// Reads safetensors, or one of PyTorch's containers (`.pt`, `.pth`, `.bin`; the archive of 1.6 and later or the
    /// older stream) without executing anything.
    ///
    /// # Errors
    /// Where the file is damaged or of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let magic = magic(path)?;
        // A safetensors file begins with a length of eight bytes and the brace of its header.
        let named = path.extension().is_some_and(|ending| ending == "safetensors");
        if named || magic.get(8) == Some(&b'{') { Self::safetensors(path) } else { Self::torch(path) }
    }

    fn safetensors(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
        let no_file = |error| invalid(format!("not a safetensors file: {error}"));
        let (start, header) = SafeTensors::read_metadata(&bytes).map_err(no_file)?;
        SafeTensors::deserialize(&bytes).map_err(no_file)?;
        let start = 8 + start;
        let stored = |info: &safetensors::tensor::TensorInfo| {
            let (from, to) = info.data_offsets;
            Stored { shape: info.shape.clone(), values: Values::Safetensors(info.dtype, start + from..start + to) }
        };
        let tensors = header.tensors().into_iter().map(|(name, info)| (name, stored(info))).collect();
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Weights { metadata, bytes, ..Weights::of(path, tensors) })
    }

    fn torch(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let neither = |reason: String| invalid(format!("neither safetensors nor a PyTorch checkpoint: {reason}"));
        examine(path).map_err(neither)?;
        let reader = PytorchReader::new(path).map_err(|error| neither(error.to_string()))?;
        if reader.metadata().byte_order == ByteOrder::BigEndian {
            return Err(invalid("big-endian tensors; expected little-endian ones".into()));
        }
        if reader.is_empty() {
            return Err(invalid("no tensors in this PyTorch file; expected a state dictionary".into()));
        }
        let stored =
            |tensor: pytorch_reader::Tensor| Stored { shape: tensor.shape().to_vec(), values: Values::Torch(tensor) };
        let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| (name, stored(tensor))).collect();
        let length = path.metadata().map_err(|error| invalid(error.to_string()))?.len();
        Ok(Weights { left: RATIO.saturating_mul(length), ..Weights::of(path, tensors) })
    }

    /// Tensors of a pickle, whose bytes are `bytes`.
    pub(crate) fn pickled(path: &Path, bytes: Vec<u8>, tensors: Vec<(String, PickledTensor)>) -> Self {
        let stored = |tensor: PickledTensor| Stored { shape: tensor.shape.clone(), values: Values::Pickled(tensor) };
        let tensors = tensors.into_iter().map(|(name, tensor)| (name, stored(tensor))).collect();
        Weights { bytes, ..Weights::of(path, tensors) }
    }

    fn of(path: &Path, tensors: BTreeMap<String, Stored>) -> Self {
        let (metadata, names, taken) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Weights { path: path.to_owned(), metadata, bytes: Vec::new(), tensors, names, taken, left: 0 }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An entry of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// What stands before `name` in this file: every prefix under which there is such a tensor.
    pub(crate) fn prefixes(&self, name: &str) -> BTreeSet<String> {
        let before = |key: &String| {
            let prefix = key.strip_suffix(name)?;
            (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_owned())
        };
        self.tensors.keys().filter_map(before).collect()
    }

    /// Keeps only what begins with `prefix`, without it, and nothing that begins with one of `others`.
    pub(crate) fn select(&mut self, prefix: &str, others: &BTreeSet<String>) {
        let longer =
            |key: &str| others.iter().any(|other| other.len() > prefix.len() && key.starts_with(other.as_str()));
        for (key, stored) in std::mem::take(&mut self.tensors) {
            if let Some(name) = key.strip_prefix(prefix)
                && !longer(&key)
            {
                if !prefix.is_empty() {
                    self.names.insert(name.to_owned(), key.clone());
                }
                self.tensors.insert(name.to_owned(), stored);
            }
        }
    }

    /// Has tensor `from` looked for as `to`; errors go on calling it what its file does.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let original = self.original(from);
        if let Some(stored) = self.tensors.remove(from) {
            self.tensors.insert(to.to_owned(), stored);
        }
        self.names.insert(to.to_owned(), original);
    }

    /// The same for the weight and bias of a layer.
    pub(crate) fn rename_layer(&mut self, from: &str, to: &str) {
        for part in ["weight", "bias"] {
            self.rename(&format!("{from}.{part}"), &format!("{to}.{part}"));
        }
    }

    /// The same for the layers of a block, by what each is called in `from` and in `to`.
    pub(crate) fn rename_layers(&mut self, from: &str, to: &str, layers: &[(&str, &str)]) {
        layers.iter().for_each(|(a, b)| self.rename_layer(&format!("{from}.{a}"), &format!("{to}.{b}")));
    }

    /// Puts a computed tensor in the place of those it was computed from.
    pub(crate) fn insert(&mut self, name: &str, original: &str, shape: Vec<usize>, values: Vec<f32>) {
        self.names.insert(name.to_owned(), original.to_owned());
        self.tensors.insert(name.to_owned(), Stored { shape, values: Values::Computed(values) });
    }

    /// The shape of tensor `name`.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// Leaves a tensor out that the network does not use here.
    pub(crate) fn forget(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// What the file calls `name`.
    fn original(&self, name: &str) -> String {
        self.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// An error about this checkpoint.
    pub fn invalid(&self, reason: impl ToString) -> Error {
        Error::Checkpoint { path: self.path.clone(), reason: reason.to_string() }
    }

    /// Takes the values of tensor `name`, row-major.
    ///
    /// # Errors
    /// Where it is missing, has another shape or type, or holds a value that is not finite.
    pub fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let original = self.original(name);
        let Some(stored) = self.tensors.remove(name) else {
            return Err(self.invalid(format!("tensor {original} is missing; expected shape {shape:?}")));
        };
        let other_type = |found: &dyn std::fmt::Debug| {
            self.invalid(format!("tensor {original} is {found:?}; expected F16, BF16, F32 or F64"))
        };
        let float = match &stored.values {
            Values::Safetensors(dtype, _) => Float::of_safetensors(*dtype).ok_or_else(|| other_type(dtype))?,
            Values::Torch(tensor) => Float::of_torch(tensor.dtype()).ok_or_else(|| other_type(&tensor.dtype()))?,
            Values::Pickled(_) | Values::Computed(_) => Float::F32, // checked when it was read
        };
        if stored.shape != shape {
            return Err(self.invalid(format!("tensor {original} has shape {:?}; expected {shape:?}", stored.shape)));
        }
        let values = match stored.values {
            Values::Safetensors(_, range) => float.decode(self.bytes.get(range).unwrap_or_default()),
            Values::Torch(tensor) => {
                let Some(left) = self.left.checked_sub(tensor.byte_len() as u64) else {
                    return Err(self.invalid(format!(
                        "tensor {original} has {} bytes, more than there can be in this file",
                        tensor.byte_len()
                    )));
                };
                self.left = left;
                let bytes = tensor.read().map_err(|error| self.invalid(format!("tensor {original}: {error}")))?;
                float.decode(&bytes)
            }
            Values::Pickled(tensor) => tensor.values(&self.bytes),
            Values::Computed(values) => values,
        };
        if values.len() != shape.iter().product::<usize>() {
            return Err(
                self.invalid(format!("tensor {original} holds {} values; its shape is {shape:?}", values.len()))
            );
        }
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.invalid(format!("tensor {original} holds {value}"))),
            None => {
                let shape = shape.iter().map(|&side| side as f64);
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.taken.insert(name.to_owned(), Fingerprint::default().numbers(shape).bytes(&bytes).finish());
                Ok(values)
            }
        }
    }

    /// Checks that every tensor was taken, and gives the hash of all of them: of names and values, not of how they are stored.
    ///
    /// # Errors
    /// Naming one that was not.
    pub fn finish(self) -> Result<String> {
        match self.tensors.keys().next() {
            Some(name) => {
                let (name, others) = (self.original(name), self.tensors.len() - 1);
                Err(self.invalid(format!("tensor {name} (and {others} more) is not part of the configured network")))
            }
            None => {
                let parts = self.taken.iter().flat_map(|(name, hash)| [name, hash]);
                Ok(parts.fold(Fingerprint::default(), |all, part| all.bytes(part.as_bytes())).finish())
            }
        }
    }
}

impl Source for Weights {
    fn take<const D: usize>(&mut self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        Ok(Tensor::from_data(TensorData::new(self.values(name, &shape)?, shape), device))
    }
}

/// The first bytes of a checkpoint.
///
/// # Errors
/// Where it cannot be read, or is too large.
pub(crate) fn magic(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let invalid = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| invalid(error.to_string()))?.len();
    if length > MAX_BYTES {
        return Err(invalid(format!("{length} bytes; expected at most {MAX_BYTES}")));
    }
    let mut magic = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut magic));
    read.map_err(|error| invalid(error.to_string()))?;
    Ok(magic)
}

/// Floating-point types of checkpoints, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    fn of_safetensors(dtype: Dtype) -> Option<Float> {
        Some(match dtype {
            Dtype::F16 => Float::F16,
            Dtype::BF16 => Float::Bf16,
            Dtype::F32 => Float::F32,
            Dtype::F64 => Float::F64,
            _ => return None,
        })
    }

    fn of_torch(dtype: DType) -> Option<Float> {
        Some(match dtype {
            DType::F16 => Float::F16,
            DType::BF16 => Float::Bf16,
            DType::F32 => Float::F32,
            DType::F64 => Float::F64,
            _ => return None,
        })
    }

    /// By the name of PyTorch's storages.
    pub(crate) fn of_storage(name: &str) -> Option<Float> {
        Some(match name {
            "HalfStorage" => Float::F16,
            "BFloat16Storage" => Float::Bf16,
            "FloatStorage" => Float::F32,
            "DoubleStorage" => Float::F64,
            _ => return None,
        })
    }

    /// Of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Float::F16 | Float::Bf16 => 2,
            Float::F32 => 4,
            Float::F64 => 8,
        }
    }

    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Float::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Float::Bf16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
            Float::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Float::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_floating_point_type_is_read() {
        let bytes: Vec<u8> = [1.5f64, -0.1].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(Float::F64.decode(&bytes), [1.5, -0.1]);
        let bytes: Vec<u8> = [1.5f32, -0.1].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(Float::F32.decode(&bytes), [1.5, -0.1]);
        // −0.1 rounds to −0.099976 in f16 and to −0.100098 in bf16.
        assert_eq!(Float::F16.decode(&[0x00, 0x3e, 0x66, 0xae]), [1.5, -0.099_975_586]);
        assert_eq!(Float::Bf16.decode(&[0xc0, 0x3f, 0xcd, 0xbd]), [1.5, -0.100_097_656]);
    }

    #[test]
    fn the_average_is_told_from_the_rest() {
        let path = std::env::temp_dir().join(format!("fewstep-weights-{}.safetensors", std::process::id()));
        let names = ["ema.a.weight", "model.a.weight", "ema.b", "optimizer.ema.b"];
        let values = [1.0f64, 2.0, 3.0, 4.0].map(f64::to_le_bytes);
        let view = |i: usize| safetensors::tensor::TensorView::new(Dtype::F64, vec![1], &values[i]).unwrap();
        let tensors: Vec<_> = names.iter().enumerate().map(|(i, name)| (*name, view(i))).collect();
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let mut weights = Weights::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let prefixes = weights.prefixes("a.weight");
        assert_eq!(prefixes.iter().collect::<Vec<_>>(), ["ema.", "model."]);
        weights.select("ema.", &prefixes);
        assert_eq!(weights.values("a.weight", &[1]).unwrap(), [1.0]);
        let missing = weights.values("c", &[1]).unwrap_err().to_string();
        assert!(missing.contains("tensor c is missing"), "{missing}");
        assert_eq!(weights.values("b", &[1]).unwrap(), [3.0]);
        weights.finish().unwrap();
    }
}
