//! Pools of 3×3.

use pulp::Simd;

use crate::{
    level::Kernel,
    planes::{Lane, Planes, Scratch, Shape},
    product::{relu, store, vectors},
};

/// A pool of 3×3.
#[derive(Debug, Clone, Copy)]
pub enum Pool<'a> {
    /// Maximum, stride 2, no padding.
    MaxHalving,
    /// Maximum, stride 1, same size.
    Max,
    /// Mean of what is there, stride 1, same size; then a bias for each block, and negative numbers become zero.
    MeanBiasRelu(&'a [Lane]),
}

impl Pool<'_> {
    /// The size of what comes of `x`, without a border.
    pub fn shape(&self, x: Shape) -> Shape {
        match self {
            Pool::MaxHalving => Shape::new(x.blocks, (x.height - 3) / 2 + 1, (x.width - 3) / 2 + 1),
            _ => Shape::new(x.blocks, x.height, x.width),
        }
    }

    /// Pools `x` into `out` from `block` on.
    pub fn run(self, x: &Planes, out: &mut Planes, block: usize, scratch: &mut Scratch) {
        let (from, to) = (self.shape(x.shape()), out.shape());
        assert_eq!([from.height, from.width], [to.height, to.width], "shape");
        assert!(block + from.blocks <= to.blocks && x.images() == out.images(), "blocks");
        scratch.level.run(Work { pool: self, x, out, first: block });
    }
}

struct Work<'a> {
    pool: Pool<'a>,
    x: &'a Planes,
    out: &'a mut Planes,
    first: usize,
}

impl Kernel for Work<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Work { pool, x, out, first } = self;
        let (from, to) = (x.shape(), out.shape());
        // Of output row or column i: the first input, and how many there are.
        let halving = matches!(pool, Pool::MaxHalving);
        let window = |i: usize, size: usize| {
            if halving { (2 * i, 3) } else { (i.saturating_sub(1), (i + 2).min(size) - i.saturating_sub(1)) }
        };
        for n in 0..x.images() {
            let (image, out) = (x.image(n), out.image_mut(n));
            for block in 0..from.blocks {
                for y in 0..to.height {
                    let (top, rows) = window(y, from.height);
                    for column in 0..to.width {
                        let (left, columns) = window(column, from.width);
                        let at = from.at(block, top, left);
                        let mut sum = vectors::<S, V>(&image[at]);
                        for i in 0..rows {
                            for lane in &image[at + i * from.stride()..][..columns][usize::from(i == 0)..] {
                                let x = vectors::<S, V>(lane);
                                for v in 0..V {
                                    sum[v] = match pool {
                                        Pool::MeanBiasRelu(_) => simd.add_f32s(sum[v], x[v]),
                                        _ => simd.max_f32s(sum[v], x[v]),
                                    };
                                }
                            }
                        }
                        if let Pool::MeanBiasRelu(bias) = pool {
                            let bias = vectors::<S, V>(&bias[block]);
                            let weight = simd.splat_f32s(1.0 / (rows * columns) as f32);
                            for v in 0..V {
                                let mean = simd.add_f32s(simd.mul_f32s(sum[v], weight), bias[v]);
                                sum[v] = relu(simd, mean);
                            }
                        }
                        store::<S, V>(&mut out[to.at(first + block, y, column)], sum);
                    }
                }
            }
        }
    }
}
