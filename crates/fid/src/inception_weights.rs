//! The 94 convolutions of FID-Inception: their table, and reading their weights.

use std::{fs::File, io::Read, path::Path};

use pytorch_reader::PytorchReader;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Batch normalisation's ε in this network.
const EPSILON: f64 = 1e-3;
/// No weights file of this network is larger.
const MAX_BYTES: u64 = 512 << 20;

/// Outputs of the last layer.
pub(crate) const CLASSES: usize = 1008;
const LAST: &str = "fc.weight";

/// What a file of weights holds.
pub(crate) struct Weights {
    /// Of all convolutions, in the table's order.
    pub folded: Vec<Folded>,
    /// SHA-256 of the convolutions' stored values (f32 little-endian; weight, shift, mean and variance of each in the table's order), which is
    /// the same whatever file they came from. The last layer is not in it: no feature depends on it.
    pub hash: String,
    /// The last layer's weight, `[2048, 1008]`, where the file has it. Its bias is used by nothing here.
    pub last: Option<Vec<f32>>,
}

/// One convolution of the network.
pub(crate) struct Layer {
    /// pytorch-fid's module name.
    pub name: String,
    pub input: usize,
    pub output: usize,
    pub kernel: [usize; 2],
    pub stride: usize,
    pub padding: [usize; 2],
}

/// A convolution's weight `[output, input, kh, kw]` and bias `[output]`, batch normalisation folded in.
pub(crate) struct Folded {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// As stored: the convolution's weight, then batch normalisation's shift, mean and variance. Its scale is 1.
struct Stored {
    weight: Vec<f32>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

/// The table, in the order of pytorch-fid's state dictionary.
pub(crate) fn layers() -> Vec<Layer> {
    let mut table = Table(Vec::new());
    table.add("Conv2d_1a_3x3", 3, 32, [3, 3], 2, [0, 0]);
    table.add("Conv2d_2a_3x3", 32, 32, [3, 3], 1, [0, 0]);
    table.add("Conv2d_2b_3x3", 32, 64, [3, 3], 1, [1, 1]);
    table.add("Conv2d_3b_1x1", 64, 80, [1, 1], 1, [0, 0]);
    table.add("Conv2d_4a_3x3", 80, 192, [3, 3], 1, [0, 0]);
    table.block_a("Mixed_5b", 192, 32);
    table.block_a("Mixed_5c", 256, 64);
    table.block_a("Mixed_5d", 288, 64);
    table.block_b("Mixed_6a", 288);
    table.block_c("Mixed_6b", 768, 128);
    table.block_c("Mixed_6c", 768, 160);
    table.block_c("Mixed_6d", 768, 160);
    table.block_c("Mixed_6e", 768, 192);
    table.block_d("Mixed_7a", 768);
    table.block_e("Mixed_7b", 1280);
    table.block_e("Mixed_7c", 2048);
    table.0
}

struct Table(Vec<Layer>);

impl Table {
    fn add(&mut self, name: &str, input: usize, output: usize, kernel: [usize; 2], stride: usize, padding: [usize; 2]) {
        self.0.push(Layer { name: name.into(), input, output, kernel, stride, padding });
    }

    /// A convolution that keeps the size: stride 1, padding by half the kernel.
    fn same(&mut self, block: &str, name: &str, input: usize, output: usize, kernel: [usize; 2]) {
        self.add(&format!("{block}.{name}"), input, output, kernel, 1, [kernel[0] / 2, kernel[1] / 2]);
    }

    fn down(&mut self, block: &str, name: &str, input: usize, output: usize) {
        self.add(&format!("{block}.{name}"), input, output, [3, 3], 2, [0, 0]);
    }

    fn block_a(&mut self, block: &str, input: usize, pool: usize) {
        self.same(block, "branch1x1", input, 64, [1, 1]);
        self.same(block, "branch5x5_1", input, 48, [1, 1]);
        self.same(block, "branch5x5_2", 48, 64, [5, 5]);
        self.same(block, "branch3x3dbl_1", input, 64, [1, 1]);
        self.same(block, "branch3x3dbl_2", 64, 96, [3, 3]);
        self.same(block, "branch3x3dbl_3", 96, 96, [3, 3]);
        self.same(block, "branch_pool", input, pool, [1, 1]);
    }

    fn block_b(&mut self, block: &str, input: usize) {
        self.down(block, "branch3x3", input, 384);
        self.same(block, "branch3x3dbl_1", input, 64, [1, 1]);
        self.same(block, "branch3x3dbl_2", 64, 96, [3, 3]);
        self.down(block, "branch3x3dbl_3", 96, 96);
    }

    fn block_c(&mut self, block: &str, input: usize, inner: usize) {
        self.same(block, "branch1x1", input, 192, [1, 1]);
        self.same(block, "branch7x7_1", input, inner, [1, 1]);
        self.same(block, "branch7x7_2", inner, inner, [1, 7]);
        self.same(block, "branch7x7_3", inner, 192, [7, 1]);
        self.same(block, "branch7x7dbl_1", input, inner, [1, 1]);
        self.same(block, "branch7x7dbl_2", inner, inner, [7, 1]);
        self.same(block, "branch7x7dbl_3", inner, inner, [1, 7]);
        self.same(block, "branch7x7dbl_4", inner, inner, [7, 1]);
        self.same(block, "branch7x7dbl_5", inner, 192, [1, 7]);
        self.same(block, "branch_pool", input, 192, [1, 1]);
    }

    fn block_d(&mut self, block: &str, input: usize) {
        self.same(block, "branch3x3_1", input, 192, [1, 1]);
        self.down(block, "branch3x3_2", 192, 320);
        self.same(block, "branch7x7x3_1", input, 192, [1, 1]);
        self.same(block, "branch7x7x3_2", 192, 192, [1, 7]);
        self.same(block, "branch7x7x3_3", 192, 192, [7, 1]);
        self.down(block, "branch7x7x3_4", 192, 192);
    }

    fn block_e(&mut self, block: &str, input: usize) {
        self.same(block, "branch1x1", input, 320, [1, 1]);
        self.same(block, "branch3x3_1", input, 384, [1, 1]);
        self.same(block, "branch3x3_2a", 384, 384, [1, 3]);
        self.same(block, "branch3x3_2b", 384, 384, [3, 1]);
        self.same(block, "branch3x3dbl_1", input, 448, [1, 1]);
        self.same(block, "branch3x3dbl_2", 448, 384, [3, 3]);
        self.same(block, "branch3x3dbl_3a", 384, 384, [1, 3]);
        self.same(block, "branch3x3dbl_3b", 384, 384, [3, 1]);
        self.same(block, "branch_pool", input, 192, [1, 1]);
    }
}

/// Reads all layers.
pub(crate) fn read(path: &Path) -> Result<Weights> {
    let file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    if length > MAX_BYTES {
        return Err(Error::invalid(path, format!("{length} bytes are no FID-Inception weights (about 90 MB)")));
    }
    let mut source = Source::open(path, file)?;
    let mut hash = Sha256::new();
    let mut folded = Vec::new();
    for (index, layer) in layers().iter().enumerate() {
        let stored = source.layer(index, layer).map_err(|reason| Error::invalid(path, reason))?;
        for values in [&stored.weight, &stored.beta, &stored.mean, &stored.variance] {
            values.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        folded.push(fold(&layer.name, &stored).map_err(|reason| Error::invalid(path, reason))?);
    }
    let last = source.last().map_err(|reason| Error::invalid(path, reason))?;
    Ok(Weights { folded, hash: format!("{:x}", hash.finalize()), last })
}

fn fold(name: &str, stored: &Stored) -> std::result::Result<Folded, String> {
    for (part, values) in
        [("weight", &stored.weight), ("shift", &stored.beta), ("mean", &stored.mean), ("variance", &stored.variance)]
    {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(format!("{name}: {part} holds {value}"));
        }
    }
    if let Some(value) = stored.variance.iter().find(|&&value| value < 0.0) {
        return Err(format!("{name}: variance holds {value}"));
    }
    let scale: Vec<f64> = stored.variance.iter().map(|&v| 1.0 / (f64::from(v) + EPSILON).sqrt()).collect();
    let per_output = stored.weight.len() / scale.len();
    let weight = stored.weight.iter().enumerate().map(|(i, &w)| (f64::from(w) * scale[i / per_output]) as f32);
    let bias = (0..scale.len()).map(|i| (f64::from(stored.beta[i]) - f64::from(stored.mean[i]) * scale[i]) as f32);
    Ok(Folded { weight: weight.collect(), bias: bias.collect() })
}

/// Where the tensors come from.
enum Source {
    /// TorchScript: `…/data/0`, `…/data/1`, … hold weight, shift, mean and variance of each layer in order.
    TorchScript { archive: zip::ZipArchive<File>, folder: String },
    /// pytorch-fid's state dictionary.
    StateDict(PytorchReader),
    /// The same names in safetensors.
    Safetensors(Vec<u8>),
}

impl Source {
    fn open(path: &Path, mut file: File) -> Result<Source> {
        let mut magic = [0; 9];
        let got = file.read(&mut magic).map_err(Error::io(path))?;
        if got == 9 && magic[8] == b'{' {
            let bytes = std::fs::read(path).map_err(Error::io(path))?;
            SafeTensors::deserialize(&bytes).map_err(|error| Error::invalid(path, error))?;
            return Ok(Source::Safetensors(bytes));
        }
        if magic.starts_with(b"PK") {
            let archive = zip::ZipArchive::new(file).map_err(|error| Error::invalid(path, error))?;
            let scripted = archive.file_names().find(|name| name.ends_with("/code/__torch__/inceptionv3.py"));
            if let Some(folder) = scripted.and_then(|name| name.split('/').next()).map(str::to_owned) {
                return Ok(Source::TorchScript { archive, folder });
            }
        }
        let expected = "expected FID-Inception weights (TorchScript, pytorch-fid's .pth or safetensors)";
        let refuse = |reason: String| Error::invalid(path, format!("{expected}: {reason}"));
        fewstep_pickle::examine(path).map_err(refuse)?;
        PytorchReader::new(path).map(Source::StateDict).map_err(|error| refuse(error.to_string()))
    }

    fn layer(&mut self, index: usize, layer: &Layer) -> std::result::Result<Stored, String> {
        let Layer { name, input, output, kernel: [kh, kw], .. } = layer;
        let (outputs, count) = (vec![*output], output * input * kh * kw);
        if let Source::TorchScript { archive, folder } = self {
            let mut part =
                |offset: usize, count: usize| entry(archive, &format!("{folder}/data/{}", 4 * index + offset), count);
            return Ok(Stored {
                weight: part(0, count)?,
                beta: part(1, *output)?,
                mean: part(2, *output)?,
                variance: part(3, *output)?,
            });
        }
        // pytorch-fid stores a scale of ones; anything else is another network.
        if let Some(scale) = self.optional(&format!("{name}.bn.weight"), &outputs)?
            && scale.iter().any(|&value| value != 1.0)
        {
            return Err(format!("{name}.bn.weight is not 1 throughout: not the FID-Inception network"));
        }
        Ok(Stored {
            weight: self.named(&format!("{name}.conv.weight"), &[*output, *input, *kh, *kw])?,
            beta: self.named(&format!("{name}.bn.bias"), &outputs)?,
            mean: self.named(&format!("{name}.bn.running_mean"), &outputs)?,
            variance: self.named(&format!("{name}.bn.running_var"), &outputs)?,
        })
    }

    /// The last layer, turned to `[input, output]`: a feature's weights lie side by side.
    fn last(&self) -> std::result::Result<Option<Vec<f32>>, String> {
        let features = crate::inception::DIM;
        let Some(weight) = self.optional(LAST, &[CLASSES, features])? else { return Ok(None) };
        match weight.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("{LAST} holds {value}")),
            None => Ok(Some((0..weight.len()).map(|i| weight[i % CLASSES * features + i / CLASSES]).collect())),
        }
    }

    fn named(&self, key: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
        self.optional(key, shape)?.ok_or_else(|| format!("tensor {key} is missing"))
    }

    fn optional(&self, key: &str, shape: &[usize]) -> std::result::Result<Option<Vec<f32>>, String> {
        // The shape before the numbers: a view may stand for more of them than there are.
        let other = |found: &[usize]| format!("tensor {key} has shape {found:?}; expected f32 of shape {shape:?}");
        let bytes = match self {
            Source::TorchScript { .. } => return Ok(None),
            Source::StateDict(reader) => {
                let Some(tensor) = reader.get(key) else { return Ok(None) };
                if tensor.shape() != shape || tensor.dtype() != pytorch_reader::DType::F32 {
                    return Err(other(tensor.shape()));
                }
                tensor.read().map_err(|error| format!("tensor {key}: {error}"))?
            }
            Source::Safetensors(bytes) => {
                let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
                let Ok(tensor) = file.tensor(key) else { return Ok(None) };
                if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
                    return Err(other(tensor.shape()));
                }
                tensor.data().to_vec()
            }
        };
        Ok(Some(floats(&bytes)))
    }
}

fn entry(archive: &mut zip::ZipArchive<File>, name: &str, count: usize) -> std::result::Result<Vec<f32>, String> {
    let file = archive.by_name(name).map_err(|error| format!("entry {name}: {error}"))?;
    if file.size() != 4 * count as u64 {
        return Err(format!("entry {name} has {} bytes; expected {count} f32 values", file.size()));
    }
    let mut bytes = Vec::with_capacity(4 * count);
    file.take(4 * count as u64).read_to_end(&mut bytes).map_err(|error| format!("entry {name}: {error}"))?;
    Ok(floats(&bytes))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_94_layers_and_the_published_number_of_parameters() {
        let layers = layers();
        assert_eq!(layers.len(), 94);
        let weights: usize = layers.iter().map(|l| l.input * l.output * l.kernel[0] * l.kernel[1]).sum();
        // torchvision's Inception v3 without its classifier and auxiliary head: 21 785 568 with both scale and shift.
        let affine: usize = layers.iter().map(|l| 2 * l.output).sum();
        assert_eq!(weights + affine, 21_785_568);
    }
}
