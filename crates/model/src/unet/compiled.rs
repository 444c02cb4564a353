//! The U-Net on the CPU kernels of `fewstep_conv`: the same network as [`UNet`], several times faster.
//!
//! Made of a loaded [`UNet`], so that whatever loads is compiled; tests hold the two to each other. Images go through in groups, a
//! task each: groups are there only so that weights are read from memory less often.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    nn::{self, Linear, conv::Conv2d},
    tensor::Tensor,
};
use fewstep_conv::{
    Algorithm, Attention, AttentionWeights, Channels, Conv, ConvSpec, GroupNorm, LANES, Lane, Level, Modulation,
    Planes, Scratch, Shape, Target, View, ViewMut, add_to_channels, copy, enlarge, from_pixels, halve, scale,
    to_pixels,
};
use rayon::prelude::*;

use super::{Embedding, Layer, Resampling, Residual, UNet};

/// Images that go through the network together, at most: so many that the weights of its smallest layers are worth reading.
const GROUP: usize = 16;
/// Bytes of activations that go through a layer's kernels together: several such planes stay in a second cache of 1 MiB.
const CACHED: usize = 256 << 10;
/// Pixels that go through together at least.
const PIXELS: usize = 256;
/// Timesteps whose embedding is kept.
const REMEMBERED: usize = 256;

/// A [`UNet`] for this machine's cores.
pub struct CompiledUNet {
    patch: usize,
    channels: usize,
    time: TimeEmbedding,
    input_blocks: Vec<Vec<Compiled>>,
    middle_block: Vec<Compiled>,
    output_blocks: Vec<Vec<Compiled>>,
    out_norm: GroupNorm,
    out_conv: Conv,
    level: Level,
    /// What tasks that are done have left for the next.
    scratch: Mutex<Vec<Scratch>>,
}

/// A layer; what it takes and gives has no border.
enum Compiled {
    Conv(Conv),
    Residual(Box<CompiledResidual>),
    Attention(Option<GroupNorm>, Box<Attention>, f32),
    Down(Conv),
    Up(Conv),
}

struct CompiledResidual {
    in_norm: GroupNorm,
    in_conv: Conv,
    /// Which of a timestep's projections is this block's.
    projection: usize,
    out_norm: GroupNorm,
    out_conv: Conv,
    skip: Option<Conv>,
    scale_shift: bool,
    resampling: Resampling,
    /// Of the sum.
    scale: f32,
}

impl CompiledUNet {
    /// Packs the weights of `unet` for the instructions of `level`.
    pub fn new(unet: &UNet, level: Level) -> CompiledUNet {
        let mut compiler = Compiler { projections: Vec::new() };
        let mut map = Channels::dense(unet.channels * unet.patch * unet.patch);
        let mut skips = Vec::new();
        let mut input_blocks = Vec::new();
        for block in &unet.input_blocks {
            input_blocks.push(compiler.block(&block.layers, &mut map));
            skips.push(map.clone());
        }
        let middle_block = compiler.block(&unet.middle_block.layers, &mut map);
        let mut output_blocks = Vec::new();
        for (block, skip) in unet.output_blocks.iter().zip(skips.iter().rev()) {
            map = map.followed_by(skip);
            output_blocks.push(compiler.block(&block.layers, &mut map));
        }
        let out_norm = norm(&unet.out_norm, &map, true);
        CompiledUNet {
            patch: unet.patch,
            channels: unet.channels,
            time: TimeEmbedding::new(unet, compiler.projections),
            input_blocks,
            middle_block,
            output_blocks,
            out_norm,
            out_conv: conv(&unet.out_conv, &mut map),
            level,
            scratch: Mutex::default(),
        }
    }

    /// Output for `x` `[images, channels, height, width]`, of the same shape, all at one timestep.
    pub fn forward(&self, x: &[f32], size: [usize; 2], timestep: f32) -> Vec<f32> {
        self.forward_of(x, size, timestep, &[])
    }

    /// As [`CompiledUNet::forward`], where the network has classes with that of every image; without any it is told of none.
    pub fn forward_of(&self, x: &[f32], [height, width]: [usize; 2], timestep: f32, classes: &[usize]) -> Vec<f32> {
        let (mut out, len) = (vec![0.0; x.len()], self.channels * height * width);
        assert!(len > 0 && x.len().is_multiple_of(len), "{} numbers are no images of {height}x{width}", x.len());
        let images = x.len() / len;
        assert!(classes.is_empty() || classes.len() == images, "{} classes of {images} images", classes.len());
        let projections: Vec<Projections> = match classes {
            [] => vec![self.time.at(timestep, None); images],
            classes => classes.iter().map(|&class| self.time.at(timestep, Some(class))).collect(),
        };
        let group = |((x, out), projections): ((&[f32], &mut [f32]), &Labelled)| {
            let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut scratch = kept.unwrap_or_else(|| Scratch::new(self.level));
            self.group(x, [height, width], projections, out, &mut scratch);
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        };
        if rayon::current_thread_index().is_some() {
            // One of many batches: the other threads have theirs, and waiting for them here would be counted as this one's time.
            x.chunks(GROUP * len).zip(out.chunks_mut(GROUP * len)).zip(projections.chunks(GROUP)).for_each(group);
        } else {
            // Every thread gets some.
            let count = images.div_ceil(rayon::current_num_threads()).min(GROUP);
            let pixels = x.par_chunks(count * len).zip(out.par_chunks_mut(count * len));
            pixels.zip(projections.par_chunks(count)).for_each(group);
        }
        out
    }

    fn group(&self, x: &[f32], size: [usize; 2], projections: &Labelled, out: &mut [f32], scratch: &mut Scratch) {
        let images = x.len() / (self.channels * size[0] * size[1]);
        let (patched, [height, width]) = (self.channels * self.patch * self.patch, size.map(|side| side / self.patch));
        let mut entry = scratch.take(images, Shape::new(patched.div_ceil(LANES), height, width));
        from_pixels(x, self.channels, self.patch, &mut entry);
        let mut skips = vec![entry];
        for block in &self.input_blocks {
            let next = chain(block, &[&skips[skips.len() - 1]], projections, scratch);
            skips.push(next);
        }
        let mut state = chain(&self.middle_block, &[&skips[skips.len() - 1]], projections, scratch);
        for block in &self.output_blocks {
            let Some(skip) = skips.pop() else { break };
            let next = chain(block, &[&state, &skip], projections, scratch);
            [skip, std::mem::replace(&mut state, next)].into_iter().for_each(|planes| scratch.give(planes));
        }
        let mut normed = scratch.take(images, state.shape().bordered([1, 1]));
        self.out_norm.run(&state, None, &mut normed, scratch);
        let last = convolve(&self.out_conv, &normed, [height, width], scratch);
        to_pixels(&last, self.channels, self.patch, out);
        skips.extend([state, normed, last]);
        skips.into_iter().for_each(|planes| scratch.give(planes));
    }
}

/// Layers one after another, the first on what `parts` are side by side.
fn chain(layers: &[Compiled], parts: &[&Planes], projections: &Labelled, scratch: &mut Scratch) -> Planes {
    let mut state: Option<Planes> = None;
    for layer in layers {
        let next = match &state {
            Some(state) => layer.run(&[state], projections, scratch),
            None => layer.run(parts, projections, scratch),
        };
        state.replace(next).into_iter().for_each(|before| scratch.give(before));
    }
    state.unwrap_or_else(|| side_by_side(parts, 0..parts[0].images(), scratch))
}

/// Some images of planes of one size, behind one another.
fn side_by_side(parts: &[&Planes], images: Range<usize>, scratch: &mut Scratch) -> Planes {
    let blocks = parts.iter().map(|part| part.shape().blocks).sum();
    let mut out = scratch.take(images.len(), Shape { blocks, ..parts[0].shape() });
    let mut block = 0;
    for part in parts {
        copy(part.some(images.clone()), &mut out, block);
        block += part.shape().blocks;
    }
    out
}

/// The images of a group, a few at a time: as many as stay in a core's cache from one kernel to the next, and enough that packed
/// weights are not read for a few pixels only.
fn some_at_a_time(images: usize, shape: Shape) -> impl Iterator<Item = Range<usize>> {
    let pixels = shape.height * shape.width;
    let bytes = shape.blocks * pixels * size_of::<Lane>();
    let count = (CACHED / bytes.max(1)).max(PIXELS / pixels.max(1)).clamp(1, images.max(1));
    (0..images).step_by(count).map(move |first| first..images.min(first + count))
}

/// A convolution into new planes of this height and width.
fn convolve<'a>(conv: &Conv, x: impl Into<View<'a>>, [height, width]: [usize; 2], scratch: &mut Scratch) -> Planes {
    let x = x.into();
    let mut out = scratch.take(x.images(), Shape::new(conv.blocks(), height, width));
    conv.run(x, Target::from(&mut out), None, scratch);
    out
}

impl Compiled {
    fn run(&self, parts: &[&Planes], projections: &Labelled, scratch: &mut Scratch) -> Planes {
        match (self, parts) {
            (Compiled::Residual(residual), _) => residual.run(parts, projections, scratch),
            (_, [x]) => self.on(x, scratch),
            _ => {
                let x = side_by_side(parts, 0..parts[0].images(), scratch);
                let out = self.on(&x, scratch);
                scratch.give(x);
                out
            }
        }
    }

    /// Of all but residual blocks.
    fn on(&self, x: &Planes, scratch: &mut Scratch) -> Planes {
        let Shape { blocks, height, width, .. } = x.shape();
        let ([rows, columns], blocks) = match self {
            Compiled::Conv(conv) => ([height, width], conv.blocks()),
            Compiled::Down(conv) => ([height / 2, width / 2], conv.blocks()),
            Compiled::Up(conv) => ([2 * height, 2 * width], conv.blocks()),
            Compiled::Residual(_) | Compiled::Attention(..) => ([height, width], blocks),
        };
        let mut out = scratch.take(x.images(), Shape::new(blocks, rows, columns));
        for images in some_at_a_time(x.images(), out.shape()) {
            let (count, from) = (images.len(), x.some(images.clone()));
            let mut padded =
                |height, width| scratch.take(count, Shape { height, width, ..from.shape() }.bordered([1, 1]));
            let target = Target { out: out.some_mut(images.clone()), block: 0 };
            let used = match self {
                // Where padding is on one side only, the other side's is not read.
                Compiled::Conv(conv) | Compiled::Down(conv) => {
                    let mut padded = padded(height, width);
                    copy(from, &mut padded, 0);
                    conv.run(&padded, target, None, scratch);
                    padded
                }
                Compiled::Up(conv) => {
                    let mut padded = padded(rows, columns);
                    enlarge(from, &mut padded);
                    conv.run(&padded, target, None, scratch);
                    padded
                }
                Compiled::Attention(norm, attention, factor) => {
                    let mut normed = scratch.take(count, from.shape());
                    match norm {
                        Some(norm) => norm.run(from, None, &mut normed, scratch),
                        None => copy(from, &mut normed, 0),
                    }
                    attention.run(&normed, from, target.out, scratch);
                    scale(out.some_mut(images), *factor);
                    normed
                }
                Compiled::Residual(_) => return out,
            };
            scratch.give(used);
        }
        out
    }
}

impl Resampling {
    /// Height and width of what comes of `x`.
    fn size(self, x: Shape) -> [usize; 2] {
        [x.height, x.width].map(|side| match self {
            Resampling::None => side,
            Resampling::Half => side / 2,
            Resampling::Double => 2 * side,
        })
    }
}

impl CompiledResidual {
    fn run(&self, parts: &[&Planes], projections: &Labelled, scratch: &mut Scratch) -> Planes {
        let (images, shape) = (parts[0].images(), parts[0].shape());
        let [height, width] = self.resampling.size(shape);
        let mut out = scratch.take(images, Shape::new(self.out_conv.blocks(), height, width));
        // By the larger of what comes in and what goes out.
        let largest = if self.resampling == Resampling::Half { shape } else { out.shape() };
        for images in some_at_a_time(images, largest) {
            let projections = &projections[images.clone()];
            match parts {
                [x] => self.some(x.some(images.clone()), out.some_mut(images.clone()), projections, scratch),
                _ => {
                    let x = side_by_side(parts, images.clone(), scratch);
                    self.some((&x).into(), out.some_mut(images.clone()), projections, scratch);
                    scratch.give(x);
                }
            }
            scale(out.some_mut(images), self.scale);
        }
        out
    }

    fn some(&self, x: View, out: ViewMut, projections: &Labelled, scratch: &mut Scratch) {
        let size = [out.shape().height, out.shape().width];
        let mut normed;
        if self.resampling == Resampling::None {
            normed = scratch.take(x.images(), x.shape().bordered([1, 1]));
            self.in_norm.run(x, None, &mut normed, scratch);
        } else {
            let mut whole = scratch.take(x.images(), x.shape());
            self.in_norm.run(x, None, &mut whole, scratch);
            normed = self.resampled((&whole).into(), [1, 1], scratch);
            scratch.give(whole);
        }
        let mut h = convolve(&self.in_conv, &normed, size, scratch);
        let modulation = if self.scale_shift {
            // Such networks have no classes: all images have the same.
            let projected = &projections[0][self.projection];
            Some(Modulation { scale: &projected.first, shift: &projected.second })
        } else {
            for (image, projected) in projections.iter().enumerate() {
                add_to_channels(&mut h, image, &projected[self.projection].first);
            }
            None
        };
        let mut active = scratch.take(x.images(), h.shape().bordered([1, 1]));
        self.out_norm.run(&h, modulation, &mut active, scratch);
        let carried = (self.resampling != Resampling::None).then(|| self.resampled(x, [0, 0], scratch));
        let x = carried.as_ref().map_or(x, View::from);
        let skip = self.skip.as_ref().map(|skip| convolve(skip, x, size, scratch));
        let added = skip.as_ref().map_or(x, View::from);
        self.out_conv.run(&active, Target { out, block: 0 }, Some(added), scratch);
        [normed, h, active].into_iter().chain(skip).chain(carried).for_each(|planes| scratch.give(planes));
    }

    /// `x` at the size that the block gives, with a border.
    fn resampled(&self, x: View, border: [usize; 2], scratch: &mut Scratch) -> Planes {
        let [height, width] = self.resampling.size(x.shape());
        let mut out = scratch.take(x.images(), Shape::new(x.shape().blocks, height, width).bordered(border));
        match self.resampling {
            Resampling::Half => halve(x, &mut out),
            _ => enlarge(x, &mut out),
        }
        out
    }
}

/// Packs a network's layers, following where its channels are.
struct Compiler {
    /// Of the residual blocks so far: their weights, and whether they scale and shift.
    projections: Vec<Projection>,
}

impl Compiler {
    fn block(&mut self, layers: &[Layer], map: &mut Channels) -> Vec<Compiled> {
        layers.iter().map(|layer| self.layer(layer, map)).collect()
    }

    fn layer(&mut self, layer: &Layer, map: &mut Channels) -> Compiled {
        match layer {
            Layer::Conv(layer) => Compiled::Conv(conv(layer, map)),
            Layer::Down(layer) | Layer::DownAfter(layer) => Compiled::Down(conv(layer, map)),
            Layer::Up(layer) => Compiled::Up(conv(layer, map)),
            Layer::Residual(residual) => Compiled::Residual(Box::new(self.residual(residual, map))),
            Layer::Attention(layer) => {
                let [qkv, projection] = [&layer.qkv, &layer.projection].map(|conv| {
                    [numbers(conv.weight.val()), conv.bias.as_ref().map(|b| numbers(b.val())).unwrap_or_default()]
                });
                let weights =
                    AttentionWeights { qkv: [&qkv[0], &qkv[1]], projection: [&projection[0], &projection[1]] };
                let attention = Box::new(Attention::new(map, layer.heads, weights));
                let norm = layer.norm.as_ref().map(|layer| norm(layer, map, false));
                Compiled::Attention(norm, attention, layer.scale as f32)
            }
        }
    }

    fn residual(&mut self, residual: &Residual, map: &mut Channels) -> CompiledResidual {
        let input = map.clone();
        let in_norm = norm(&residual.in_norm, &input, true);
        let in_conv = conv(&residual.in_conv, map);
        let out_norm = norm(&residual.out_norm, map, true);
        let out_conv = conv(&residual.out_conv, map);
        let skip = residual.skip.as_ref().map(|layer| conv(layer, &mut input.clone()));
        self.projections.push(Projection { linear: Dense::new(&residual.embedding), channels: map.clone() });
        CompiledResidual {
            in_norm,
            in_conv,
            projection: self.projections.len() - 1,
            out_norm,
            out_conv,
            skip,
            scale_shift: residual.scale_shift,
            resampling: residual.resampling(),
            scale: residual.scale as f32,
        }
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Packs a convolution of what `map` says into dense channels.
fn conv(layer: &Conv2d, map: &mut Channels) -> Conv {
    let weight = layer.weight.val();
    let [output, _, kh, kw] = weight.dims();
    let bias = layer.bias.as_ref().map_or_else(|| vec![0.0; output], |bias| numbers(bias.val()));
    let padding = match layer.padding {
        nn::PaddingConfig2d::Explicit(top, left, _, _) => [top, left],
        _ => [0, 0],
    };
    // Where padding is on the right and below only, none is in front here: kernels begin at the first pixel and end in the border.
    let spec = ConvSpec { kernel: [kh, kw], stride: layer.stride[0], padding, relu: false };
    let to = Channels::dense(output);
    let packed = Conv::new(spec, &numbers(weight), &bias, [map, &to], Algorithm::Fastest);
    *map = to;
    packed
}

fn norm(layer: &nn::GroupNorm, map: &Channels, silu: bool) -> GroupNorm {
    let [gamma, beta] = [(&layer.gamma, 1.0), (&layer.beta, 0.0)].map(|(parameter, none)| match parameter {
        Some(parameter) => numbers(parameter.val()),
        None => vec![none; map.count()],
    });
    GroupNorm::new(map, layer.num_groups, [&gamma, &beta], layer.epsilon, silu)
}

/// A linear layer, `[output][input]`.
struct Dense {
    rows: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn new(linear: &Linear) -> Dense {
        let bias = linear.bias.as_ref().map(|bias| numbers(bias.val())).unwrap_or_default();
        Dense { rows: numbers(linear.weight.val().transpose()), bias }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let row =
            |(row, bias): (&[f32], &f32)| row.iter().zip(x).map(|(w, x)| f64::from(w * x)).sum::<f64>() as f32 + bias;
        self.rows.chunks(x.len()).zip(&self.bias).map(row).collect()
    }
}

/// From the embedding of a timestep to what a residual block makes of it.
struct Projection {
    linear: Dense,
    channels: Channels,
}

/// Scale and shift, or what is added and nothing.
struct Projected {
    first: Vec<Lane>,
    second: Vec<Lane>,
}

/// What a timestep and a class become in each residual block.
type Projections = Arc<Vec<Projected>>;

/// Those of every image.
type Labelled = [Projections];

/// Bits of a timestep, and a class.
type Label = (u32, Option<usize>);

/// From a timestep and a class to what every residual block makes of them: the same for all images of a class, so computed once.
struct TimeEmbedding {
    embedding: Embedding,
    label: Option<Dense>,
    layers: Vec<Dense>,
    projections: Vec<Projection>,
    known: Mutex<HashMap<Label, Projections>>,
}

impl TimeEmbedding {
    fn new(unet: &UNet, projections: Vec<Projection>) -> TimeEmbedding {
        let layers = unet.time_embed.iter().map(Dense::new).collect();
        let label = unet.label.as_ref().map(Dense::new);
        TimeEmbedding { embedding: unet.embedding.clone(), label, layers, projections, known: Mutex::default() }
    }

    fn at(&self, timestep: f32, class: Option<usize>) -> Projections {
        let key = (timestep.to_bits(), class);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(projected) = known().get(&key) {
            return projected.clone();
        }
        let projected = Arc::new(self.project(timestep, class));
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, projected.clone());
        projected
    }

    fn project(&self, timestep: f32, class: Option<usize>) -> Vec<Projected> {
        let activate = |x: Vec<f32>| x.into_iter().map(|x| x / (1.0 + (-x).exp())).collect::<Vec<f32>>();
        let mut embedding = self.embedding.of(timestep);
        if let Some(label) = &self.label {
            let mut classes = vec![0.0; label.rows.len() / label.bias.len()];
            let one = (classes.len() as f32).sqrt();
            class.and_then(|class| classes.get_mut(class)).into_iter().for_each(|value| *value = one);
            embedding.iter_mut().zip(label.forward(&classes)).for_each(|(value, added)| *value += added);
        }
        let embedding = self.layers.iter().fold(embedding, |x, layer| activate(layer.forward(&x)));
        let project = |Projection { linear, channels }: &Projection| {
            let values = linear.forward(&embedding);
            let (first, second) = values.split_at(channels.count());
            Projected { first: channels.lanes(first), second: channels.lanes(second) }
        };
        self.projections.iter().map(project).collect()
    }
}
