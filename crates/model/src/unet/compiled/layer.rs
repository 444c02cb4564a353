//! The layers of a [`CompiledUNet`](super::CompiledUNet), and how they go through images a few at a time.

use std::ops::Range;

use fewstep_conv::{
    Attention, Conv, GroupNorm, Lane, Modulation, Planes, Scratch, Shape, Target, View, ViewMut, add_to_channels, copy,
    enlarge, halve, scale,
};

use super::{super::Resampling, embedding::Labelled};

/// Bytes of activations that go through a layer's kernels together: several such planes stay in a second cache of 1 MiB.
const CACHED: usize = 256 << 10;
/// Pixels that go through together at least.
const PIXELS: usize = 256;

/// A layer; what it takes and gives has no border.
pub(super) enum Compiled {
    Conv(Conv),
    Residual(Box<CompiledResidual>),
    Attention(Option<GroupNorm>, Box<Attention>, f32),
    Down(Conv),
    Up(Conv),
}

pub(super) struct CompiledResidual {
    pub in_norm: GroupNorm,
    pub in_conv: Conv,
    /// Which of a timestep's projections is this block's.
    pub projection: usize,
    pub out_norm: GroupNorm,
    pub out_conv: Conv,
    pub skip: Option<Conv>,
    pub scale_shift: bool,
    pub resampling: Resampling,
    /// Of the sum.
    pub scale: f32,
}

impl Compiled {
    /// The layer on what `parts`, of one size, are side by side.
    pub fn run(&self, parts: &[&Planes], projections: &Labelled, scratch: &mut Scratch) -> Planes {
        let (images, blocks) = (parts[0].images(), parts.iter().map(|part| part.shape().blocks).sum());
        let from = Shape { blocks, ..parts[0].shape() };
        let to = self.shape(from);
        let mut out = scratch.take(images, to);
        let larger =
            Shape { blocks: to.blocks, height: from.height.max(to.height), width: from.width.max(to.width), ..to };
        for images in some_at_a_time(images, larger) {
            let joined = (parts.len() > 1).then(|| side_by_side(parts, images.clone(), scratch));
            let x = joined.as_ref().map_or_else(|| parts[0].some(images.clone()), View::from);
            self.on(x, out.some_mut(images.clone()), &projections[images], scratch);
            joined.into_iter().for_each(|planes| scratch.give(planes));
        }
        out
    }

    /// Of what comes of `x`.
    fn shape(&self, x: Shape) -> Shape {
        let Shape { blocks, height, width, .. } = x;
        match self {
            Compiled::Conv(conv) => Shape::new(conv.blocks(), height, width),
            Compiled::Down(conv) => Shape::new(conv.blocks(), height / 2, width / 2),
            Compiled::Up(conv) => Shape::new(conv.blocks(), 2 * height, 2 * width),
            Compiled::Attention(..) => Shape::new(blocks, height, width),
            Compiled::Residual(residual) => {
                let [height, width] = residual.resampling.size(x);
                Shape::new(residual.out_conv.blocks(), height, width)
            }
        }
    }

    fn on(&self, x: View, mut out: ViewMut, projections: &Labelled, scratch: &mut Scratch) {
        let used = match self {
            // Where padding is on one side only, the other side's is not read.
            Compiled::Conv(conv) | Compiled::Down(conv) => {
                let mut padded = scratch.take(x.images(), x.shape().bordered([1, 1]));
                copy(x, &mut padded, 0);
                conv.run(&padded, Target { out, block: 0 }, None, scratch);
                padded
            }
            Compiled::Up(conv) => {
                let size = Shape { height: out.shape().height, width: out.shape().width, ..x.shape() };
                let mut padded = scratch.take(x.images(), size.bordered([1, 1]));
                enlarge(x, &mut padded);
                conv.run(&padded, Target { out, block: 0 }, None, scratch);
                padded
            }
            Compiled::Attention(norm, attention, factor) => {
                let mut normed = scratch.take(x.images(), x.shape());
                match norm {
                    Some(norm) => norm.run(x, None, &mut normed, scratch),
                    None => copy(x, &mut normed, 0),
                }
                attention.run(&normed, x, out.reborrow(), scratch);
                scale(out, *factor);
                normed
            }
            Compiled::Residual(residual) => return residual.run(x, out, projections, scratch),
        };
        scratch.give(used);
    }
}

/// Some images of planes of one size, behind one another.
pub(super) fn side_by_side(parts: &[&Planes], images: Range<usize>, scratch: &mut Scratch) -> Planes {
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
pub(super) fn convolve<'a>(
    conv: &Conv,
    x: impl Into<View<'a>>,
    [height, width]: [usize; 2],
    scratch: &mut Scratch,
) -> Planes {
    let x = x.into();
    let mut out = scratch.take(x.images(), Shape::new(conv.blocks(), height, width));
    conv.run(x, Target::from(&mut out), None, scratch);
    out
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
    fn run(&self, x: View, mut out: ViewMut, projections: &Labelled, scratch: &mut Scratch) {
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
        self.out_conv.run(&active, Target { out: out.reborrow(), block: 0 }, Some(added), scratch);
        scale(out, self.scale);
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
