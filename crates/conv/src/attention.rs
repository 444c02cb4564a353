//! Attention of every pixel to every other.

use pulp::Simd;

use crate::{
    Algorithm, Conv, ConvSpec, Target,
    activation::exp,
    level::{Kernel, Level},
    panels::Panels,
    planes::{Channels, LANES, Lane, Planes, Scratch, Shape, View, ViewMut},
    product::{Finish, Input, Place, store, vectors},
};

/// Queries, keys and values by a 1×1 convolution, softmax(QᵀK/√d) over pixels for each head, and a 1×1 projection (Vaswani et al.
/// 2017, arXiv 1706.03762, equation 1).
#[derive(Debug, Clone)]
pub struct Attention {
    heads: usize,
    dim: usize,
    qkv: Conv,
    projection: Conv,
}

/// Weights `[output, input]` and biases of attention's convolutions.
#[derive(Debug, Clone, Copy)]
pub struct AttentionWeights<'a> {
    /// `[3 · channels, channels]`: head by head its query, key and value.
    pub qkv: [&'a [f32]; 2],
    /// `[channels, channels]`.
    pub projection: [&'a [f32]; 2],
}

impl Attention {
    /// Over `channels`, which `heads` divides; packed for the instructions of `level`.
    pub fn new(channels: &Channels, heads: usize, weights: AttentionWeights, level: Level) -> Attention {
        let dim = channels.count() / heads;
        assert_eq!(dim * heads, channels.count(), "heads");
        let conv = |[weight, bias]: [&[f32]; 2], maps| {
            Conv::new(ConvSpec::POINT, weight, bias, maps, Algorithm::Direct, level)
        };
        Attention {
            heads,
            dim,
            // Each head's query, key and value in blocks of its own.
            qkv: conv(weights.qkv, [channels, &Channels::groups(3 * heads, dim)]),
            projection: conv(weights.projection, [&Channels::groups(heads, dim), channels]),
        }
    }

    /// `residual` + attention of `x`, normalised before, into `out`; none has a border.
    pub fn run<'a, 'b>(
        &self,
        x: &Planes,
        residual: impl Into<View<'a>>,
        out: impl Into<ViewMut<'b>>,
        scratch: &mut Scratch,
    ) {
        let (images, shape) = (x.images(), x.shape());
        let mut qkv = scratch.take(images, self.qkv.shape(shape));
        self.qkv.run(x, Target::from(&mut qkv), None, scratch);
        let mut y = scratch.take(images, Shape::new(self.qkv.blocks() / 3, shape.height, shape.width));
        let mut room = std::mem::take(&mut scratch.attention);
        scratch.level.run(Work { attention: self, qkv: &qkv, y: &mut y, room: &mut room });
        scratch.attention = room;
        self.projection.run(&y, Target { out: out.into(), block: 0 }, Some(residual.into()), scratch);
        scratch.give(qkv);
        scratch.give(y);
    }
}

/// Lanes between the scores of one block of keys and the next: apart from a power of two, or all blocks of a query would want the same
/// lines of the first cache.
const GAP: usize = 5;

/// One head's keys and values as weights, and its scores.
#[derive(Debug, Default)]
pub(crate) struct Room {
    keys: Panels,
    values: Panels,
    /// `[block of keys][query]`, [`GAP`] lanes more from one block to the next.
    scores: Vec<Lane>,
    offsets: Vec<usize>,
}

struct Work<'a> {
    attention: &'a Attention,
    qkv: &'a Planes,
    y: &'a mut Planes,
    room: &'a mut Room,
}

impl Kernel for Work<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Work { attention: &Attention { heads, dim, .. }, qkv, y, room } = self;
        let pixels = qkv.shape().plane();
        let (blocks, keys) = (dim.div_ceil(LANES), pixels.div_ceil(LANES));
        let scale = (dim as f32).sqrt().recip();
        let Room { keys: key_panels, values, scores, offsets } = room;
        // As wide as leaves enough sums in registers.
        let widest = match V {
            1 => 4,
            2 => 1,
            _ => 2,
        };
        key_panels.reset(keys, blocks, widest);
        values.reset(blocks, keys, widest);
        let gap = pixels + GAP;
        scores.resize(keys * gap, Lane::ZERO);
        offsets.clear();
        offsets.extend((0..blocks).map(|block| block * pixels).chain((0..keys).map(|block| block * gap)));
        let plain = Finish { bias: &[], add: None, relu: false };
        for n in 0..qkv.images() {
            for head in 0..heads {
                let part = |k: usize| &qkv.image(n)[(head * 3 + k) * blocks * pixels..][..blocks * pixels];
                pack(key_panels, values, [part(1), part(2)], [dim, pixels], scale);
                for (block, panel) in key_panels.iter() {
                    let input = Input { x: part(0), base: 0, offsets: &offsets[..blocks] };
                    let place = Place { base: block * gap, plane: gap };
                    panel.line::<S, V, 1>(simd, pixels, input, scores, place, plain);
                }
                softmax::<S, V>(simd, scores, pixels, gap);
                let out = &mut y.image_mut(n)[head * blocks * pixels..][..blocks * pixels];
                for (block, panel) in values.iter() {
                    let input = Input { x: scores, base: 0, offsets: &offsets[blocks..] };
                    let place = Place { base: block * pixels, plane: pixels };
                    panel.line::<S, V, 1>(simd, pixels, input, out, place, plain);
                }
            }
        }
    }
}

/// Keys, scaled, as weights from dimensions to pixels; values as weights from pixels to dimensions.
#[inline(always)]
fn pack(keys: &mut Panels, values: &mut Panels, [k, v]: [&[Lane]; 2], [dim, pixels]: [usize; 2], scale: f32) {
    for block in 0..pixels.div_ceil(LANES) {
        let count = LANES.min(pixels - block * LANES);
        // To the end of the last block: behind the dimensions is whatever was there.
        for d in 0..dim.next_multiple_of(LANES) {
            let lane = keys.lane_mut(block, d / LANES, d % LANES);
            *lane = Lane::ZERO;
            if d >= dim {
                continue;
            }
            let from = &k[d / LANES * pixels + block * LANES..][..count];
            for (to, from) in lane.0.iter_mut().zip(from) {
                *to = from.0[d % LANES] * scale;
            }
        }
        for l in 0..LANES {
            for b in 0..dim.div_ceil(LANES) {
                let lane = if l < count { v[b * pixels + block * LANES + l] } else { Lane::ZERO };
                *values.lane_mut(b, block, l) = lane;
            }
        }
    }
}

/// Over the keys, for every query.
#[inline(always)]
fn softmax<S: Simd, const V: usize>(simd: S, scores: &mut [Lane], pixels: usize, gap: usize) {
    let keys = pixels.div_ceil(LANES);
    for query in 0..pixels {
        // Behind the last key there is nothing.
        for value in &mut scores[(keys - 1) * gap + query].0[pixels - (keys - 1) * LANES..] {
            *value = f32::NEG_INFINITY;
        }
        let mut most = vectors::<S, V>(&scores[query]);
        for block in 1..keys {
            let score = vectors::<S, V>(&scores[block * gap + query]);
            for v in 0..V {
                most[v] = simd.max_f32s(most[v], score[v]);
            }
        }
        let mut lane = Lane::ZERO;
        store::<S, V>(&mut lane, most);
        let most = lane.0.iter().fold(f32::NEG_INFINITY, |most, &value| most.max(value));
        let mut sums = Lane::ZERO;
        for block in 0..keys {
            let score = &mut scores[block * gap + query];
            for (value, sum) in score.0.iter_mut().zip(&mut sums.0) {
                // exp clamps, so that what is not there has to be said.
                let power = if *value == f32::NEG_INFINITY { 0.0 } else { exp(S::F32_LANES != 1, *value - most) };
                *value = power;
                *sum += power;
            }
        }
        let weight = sums.0.iter().sum::<f32>().recip();
        for block in 0..keys {
            for value in &mut scores[block * gap + query].0 {
                *value *= weight;
            }
        }
    }
}
