//! Group normalisation with what follows it: scale, shift and activation.

use pulp::Simd;

use crate::{
    activation::silu,
    level::{Kernel, fma},
    planes::{Channels, LANES, Lane, Scratch, View, ViewMut},
    product::{store, vectors},
};

/// Group normalisation (Wu and He 2018, arXiv 1803.08494).
#[derive(Debug, Clone)]
pub struct GroupNorm {
    /// Position and group of every channel.
    channels: Vec<(usize, usize)>,
    groups: usize,
    gamma: Vec<Lane>,
    beta: Vec<Lane>,
    epsilon: f64,
    /// Whether SiLU follows.
    silu: bool,
}

/// What scales and shifts normalised channels: y · (1 + scale) + shift.
#[derive(Debug, Clone, Copy)]
pub struct Modulation<'a> {
    /// For each block.
    pub scale: &'a [Lane],
    /// For each block.
    pub shift: &'a [Lane],
}

impl GroupNorm {
    /// Of `channels` in equal groups; `gamma` and `beta` `[channels]`.
    pub fn new(channels: &Channels, groups: usize, [gamma, beta]: [&[f32]; 2], epsilon: f64, silu: bool) -> GroupNorm {
        let count = channels.count();
        assert!(groups > 0 && count.is_multiple_of(groups), "groups");
        assert!(gamma.len() == count && beta.len() == count, "gamma and beta");
        let of_group = count / groups;
        GroupNorm {
            channels: channels.positions().iter().enumerate().map(|(c, &position)| (position, c / of_group)).collect(),
            groups,
            gamma: channels.lanes(gamma),
            beta: channels.lanes(beta),
            epsilon,
            silu,
        }
    }

    /// Normalises `x` into `out`, of the same size.
    pub fn run<'a, 'b>(
        &self,
        x: impl Into<View<'a>>,
        modulation: Option<Modulation>,
        out: impl Into<ViewMut<'b>>,
        scratch: &mut Scratch,
    ) {
        let (x, out) = (x.into(), out.into());
        let (from, to) = (x.shape(), out.shape());
        assert_eq!([from.blocks, from.height, from.width], [to.blocks, to.height, to.width], "shape");
        assert!(from.blocks == self.gamma.len() && x.images() == out.images(), "blocks");
        scratch.level.run(Work { norm: self, x, modulation, out, room: &mut scratch.statistics });
    }

    /// From a sum for each lane to the mean over each group, for each lane of it.
    #[inline(always)]
    fn means(&self, sums: &[Lane], pixels: usize, out: &mut [Lane]) {
        let of_group = self.channels.len() / self.groups;
        let weight = 1.0 / (of_group * pixels) as f64;
        for group in self.channels.chunks(of_group) {
            let sum: f64 = group.iter().map(|(at, _)| f64::from(sums[at / LANES].0[at % LANES])).sum();
            group.iter().for_each(|(at, _)| out[at / LANES].0[at % LANES] = (sum * weight) as f32);
        }
    }
}

struct Work<'a> {
    norm: &'a GroupNorm,
    x: View<'a>,
    modulation: Option<Modulation<'a>>,
    out: ViewMut<'a>,
    room: &'a mut [Vec<Lane>; 3],
}

impl Kernel for Work<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Work { norm, x, modulation, mut out, room } = self;
        let (shape, to) = (x.shape(), out.shape());
        let (blocks, pixels) = (shape.blocks, shape.height * shape.width);
        // Nothing writes a mean where there is no channel.
        for lanes in &mut *room {
            lanes.clear();
            lanes.resize(blocks, Lane::ZERO);
        }
        let [sums, means, variances] = room;
        for n in 0..x.images() {
            let image = x.image(n);
            for (block, sum) in sums.iter_mut().enumerate() {
                store::<S, V>(sum, total::<S, V>(simd, image, shape, block, None));
            }
            norm.means(sums, pixels, means);
            for (block, sum) in sums.iter_mut().enumerate() {
                store::<S, V>(sum, total::<S, V>(simd, image, shape, block, Some(&means[block])));
            }
            norm.means(sums, pixels, variances);
            let out = out.image_mut(n);
            for block in 0..blocks {
                let (mut scale, mut shift) = (norm.gamma[block], norm.beta[block]);
                for l in 0..LANES {
                    let deviation = (f64::from(variances[block].0[l]) + norm.epsilon).sqrt();
                    scale.0[l] = (f64::from(scale.0[l]) / deviation) as f32;
                    if let Some(by) = modulation {
                        let factor = 1.0 + by.scale[block].0[l];
                        scale.0[l] *= factor;
                        shift.0[l] = shift.0[l] * factor + by.shift[block].0[l];
                    }
                }
                let [mean, scale, shift] =
                    [vectors::<S, V>(&means[block]), vectors::<S, V>(&scale), vectors::<S, V>(&shift)];
                for y in 0..shape.height {
                    let row = &image[shape.at(block, y, 0)..][..shape.width];
                    let out = &mut out[to.at(block, y, 0)..][..shape.width];
                    for (x, out) in row.iter().zip(&mut *out) {
                        let x = vectors::<S, V>(x);
                        let mut y = x;
                        for v in 0..V {
                            y[v] = fma(simd, simd.sub_f32s(x[v], mean[v]), scale[v], shift[v]);
                        }
                        store::<S, V>(out, y);
                    }
                    if norm.silu {
                        for lane in out {
                            for value in &mut lane.0 {
                                *value = silu(S::F32_LANES != 1, *value);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The sum over a block's pixels of x, or of (x − mean)²: row by row, so that no sum gets long.
#[inline(always)]
fn total<S: Simd, const V: usize>(
    simd: S,
    image: &[Lane],
    shape: crate::Shape,
    block: usize,
    mean: Option<&Lane>,
) -> [S::f32s; V] {
    let zero = [simd.splat_f32s(0.0); V];
    let mut sum = zero;
    for y in 0..shape.height {
        let row = &image[shape.at(block, y, 0)..][..shape.width];
        let mut of_row = zero;
        match mean {
            None => {
                for lane in row {
                    let x = vectors::<S, V>(lane);
                    for v in 0..V {
                        of_row[v] = simd.add_f32s(of_row[v], x[v]);
                    }
                }
            }
            Some(mean) => {
                let mean = vectors::<S, V>(mean);
                for lane in row {
                    let x = vectors::<S, V>(lane);
                    for v in 0..V {
                        let off = simd.sub_f32s(x[v], mean[v]);
                        of_row[v] = fma(simd, off, off, of_row[v]);
                    }
                }
            }
        }
        for v in 0..V {
            sum[v] = simd.add_f32s(sum[v], of_row[v]);
        }
    }
    sum
}
