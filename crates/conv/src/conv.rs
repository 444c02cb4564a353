//! Convolutions: a direct kernel for any shape; for stride 1 Winograd's for 3×3, and Toom and Cook's for 1×7, 7×1, 1×3 and 3×1.

use pulp::Simd;

use crate::{
    level::{Kernel, Level},
    panels::Panels,
    planes::{Channels, LANES, Lane, Planes, Scratch, Shape, View, ViewMut},
    product::{Finish, Input, Place},
    toom::Toom,
    winograd::Winograd,
};

/// What a convolution is, its weights apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSpec {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Of both directions; from 3 on outputs are computed one by one.
    pub stride: usize,
    /// Zeros above and on the left; as many below and on the right as the outputs need.
    pub padding: [usize; 2],
    /// Whether negative outputs become zero.
    pub relu: bool,
}

impl ConvSpec {
    /// 1×1.
    pub const POINT: ConvSpec = ConvSpec { kernel: [1, 1], stride: 1, padding: [0, 0], relu: false };

    /// Of stride 1 that keeps the size.
    pub const fn same(kernel: [usize; 2]) -> ConvSpec {
        ConvSpec { kernel, stride: 1, padding: [kernel[0] / 2, kernel[1] / 2], relu: false }
    }
}

/// Pixels of a 1×1 convolution that are read together: few enough that with all their channels they stay in the second cache.
const PIECE: usize = 64;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Fewer multiplications where there is a kernel for it.
    Fastest,
    /// The direct kernel.
    Direct,
}

/// A convolution with its weights packed.
#[derive(Debug, Clone)]
pub struct Conv {
    spec: ConvSpec,
    input: usize,
    output: usize,
    bias: Vec<Lane>,
    kernel: Weights,
}

#[derive(Debug, Clone)]
enum Weights {
    Direct(Panels),
    Winograd(Winograd),
    Seven(Box<Toom<10>>),
    Three(Box<Toom<6>>),
}

/// Where a convolution writes.
pub struct Target<'a> {
    /// Into these planes.
    pub out: ViewMut<'a>,
    /// From this block on.
    pub block: usize,
}

impl<'a> From<&'a mut Planes> for Target<'a> {
    fn from(out: &'a mut Planes) -> Target<'a> {
        Target { out: out.into(), block: 0 }
    }
}

impl Conv {
    /// `weight` `[output, input, kh, kw]`, `bias` `[output]`; packed for the instructions of `level`. Others give the same numbers, but not
    /// as fast.
    pub fn new(
        spec: ConvSpec,
        weight: &[f32],
        bias: &[f32],
        [input, output]: [&Channels; 2],
        algorithm: Algorithm,
        level: Level,
    ) -> Conv {
        assert_eq!(weight.len(), output.count() * input.count() * spec.kernel[0] * spec.kernel[1], "weight");
        assert_eq!(bias.len(), output.count(), "bias");
        assert!(spec.stride > 0, "stride");
        let channels = [input, output];
        let kernel = match (algorithm, spec.stride, spec.kernel) {
            (Algorithm::Fastest, 1, [3, 3]) => Weights::Winograd(Winograd::new(weight, channels, level)),
            (Algorithm::Fastest, 1, [1, 7] | [7, 1]) => Weights::Seven(Box::new(Toom::new(weight, channels, level))),
            (Algorithm::Fastest, 1, [1, 3] | [3, 1]) => Weights::Three(Box::new(Toom::new(weight, channels, level))),
            _ => Weights::Direct(direct(weight, spec.kernel, channels, level)),
        };
        Conv { spec, input: input.blocks(), output: output.blocks(), bias: output.lanes(bias), kernel }
    }

    /// Output blocks.
    pub fn blocks(&self) -> usize {
        self.output
    }

    /// The size of what comes of `x`, without a border.
    pub fn shape(&self, x: Shape) -> Shape {
        // One side's padding is as large as the other's but where a stride leaves a rest.
        let side = |size: usize, axis: usize| {
            (size + 2 * self.spec.padding[axis] - self.spec.kernel[axis]) / self.spec.stride + 1
        };
        Shape::new(self.output, side(x.height, 0), side(x.width, 1))
    }

    /// Convolves `x`, whose border is at least the padding, into `target`, whose size says how many outputs there are; `add`,
    /// without a border and of the outputs' shape, is added.
    pub fn run<'a>(&self, x: impl Into<View<'a>>, target: Target, add: Option<View>, scratch: &mut Scratch) {
        let x = x.into();
        let (from, to) = (x.shape(), target.out.shape());
        assert_eq!(from.blocks, self.input, "input blocks");
        assert!(target.block + self.output <= to.blocks && x.images() == target.out.images(), "output");
        assert!((0..2).all(|axis| from.border[axis] >= self.spec.padding[axis]), "border");
        for (axis, (size, outputs)) in [(from.height, to.height), (from.width, to.width)].into_iter().enumerate() {
            let (border, padding) = (from.border[axis], self.spec.padding[axis]);
            let read = outputs.saturating_sub(1) * self.spec.stride + border - padding + self.spec.kernel[axis];
            assert!(read <= size + 2 * border, "outputs that reach beyond the input");
        }
        if let Some(add) = add {
            assert_eq!(add.shape(), Shape::new(self.output, to.height, to.width), "what is added");
            assert_eq!(add.images(), x.images(), "what is added");
        }
        match &self.kernel {
            Weights::Winograd(winograd) => winograd.run(x, target, &self.bias, add, self.spec, scratch),
            Weights::Seven(toom) => toom.run(x, target, &self.bias, add, self.spec, scratch),
            Weights::Three(toom) => toom.run(x, target, &self.bias, add, self.spec, scratch),
            Weights::Direct(panels) => {
                let mut offsets = std::mem::take(&mut scratch.offsets);
                offsets.clear();
                let [kh, kw] = self.spec.kernel;
                let (stride, plane) = (from.stride(), from.plane());
                offsets
                    .extend((0..self.input * kh * kw).map(|k| k / (kh * kw) * plane + k / kw % kh * stride + k % kw));
                scratch.level.run(Direct { conv: self, panels, x, target, add, offsets: &offsets });
                scratch.offsets = offsets;
            }
        }
    }
}

/// Steps: input block, then row and column of the kernel.
fn direct(weight: &[f32], [kh, kw]: [usize; 2], [input, output]: [&Channels; 2], level: Level) -> Panels {
    let taps = kh * kw;
    let mut panels = Panels::new(output.blocks(), input.blocks() * taps, level.blocks(2));
    let rows = weight.chunks(input.count() * taps);
    for (row, &o) in rows.zip(output.positions()) {
        for (kernel, &i) in row.chunks(taps).zip(input.positions()) {
            for (tap, &weight) in kernel.iter().enumerate() {
                panels.set(o, i / LANES * taps + tap, i % LANES, weight);
            }
        }
    }
    panels
}

struct Direct<'a> {
    conv: &'a Conv,
    panels: &'a Panels,
    x: View<'a>,
    target: Target<'a>,
    add: Option<View<'a>>,
    offsets: &'a [usize],
}

impl Kernel for Direct<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        match self.conv.spec.stride {
            2 => self.strided::<S, V, 2>(simd),
            // Larger ones too: one output has no stride.
            _ => self.strided::<S, V, 1>(simd),
        }
    }
}

impl Direct<'_> {
    /// In lines where `STRIDE` is the convolution's, or else output by output.
    #[inline(always)]
    fn strided<S: Simd, const V: usize, const STRIDE: usize>(self, simd: S) {
        let Direct { conv, panels, x, target: Target { mut out, block: first }, add, offsets } = self;
        let (from, to) = (x.shape(), out.shape());
        let ConvSpec { stride, padding: [py, px], .. } = conv.spec;
        // Without borders and strides all rows are one, and are computed piece by piece: a piece is read once for every panel.
        let flat = stride == 1 && from.border == [0, 0] && to.border == [0, 0] && conv.spec.kernel == [1, 1];
        let (rows, width) = if flat { (1, to.height * to.width) } else { (to.height, to.width) };
        let line = if stride == STRIDE { width } else { 1 };
        let piece = if flat { PIECE } else { line };
        for image in 0..x.images() {
            let input = x.image(image);
            let out = out.image_mut(image);
            let mut start = 0;
            while start < width {
                let n = piece.min(width - start);
                for (block, panel) in panels.iter() {
                    for y in 0..rows {
                        let base = (y * stride + from.border[0] - py) * from.stride() + from.border[1] - px;
                        let input = Input { x: input, base: base + start * stride, offsets };
                        let added = match add {
                            Some(add) => {
                                let (shape, lanes) = (add.shape(), add.image(image));
                                Some((lanes, Place { base: shape.at(block, y, start), plane: shape.plane() }))
                            }
                            None => None,
                        };
                        let finish = Finish { bias: &conv.bias[block..], add: added, relu: conv.spec.relu };
                        let place = Place { base: to.at(first + block, y, start), plane: to.plane() };
                        panel.line::<S, V, STRIDE>(simd, n, input, out, place, finish);
                    }
                }
                start += n;
            }
        }
    }
}
