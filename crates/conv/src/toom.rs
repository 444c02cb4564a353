//! Convolutions along one direction, 1×n and n×1, with fewer multiplications: F(4, n) of Toom and Cook.
//!
//! Source: A. Lavin and S. Gray 2016, arXiv 1509.09308, section 4.1; the matrices by L. Toom's and S. Cook's construction from their
//! points. F(4, 7) needs ten products where the direct kernel needs 28, F(4, 3) six where it needs twelve. Relative rms in single
//! precision: 4e-6 of a layer for seven taps.

use pulp::Simd;

use crate::{
    conv::{ConvSpec, Target},
    frequencies::{Frequencies, Room},
    level::{Kernel, Level, fma},
    planes::{Channels, Lane, Scratch, View},
    product::{relu, vectors},
};

/// Outputs of a tile.
const SIDE: usize = 4;

/// Points of F(4, 3) and F(4, 7); the last is infinity.
const POINTS: [f64; 9] = [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 4.0, -0.25];

/// A convolution of stride 1 along one direction, with `A` = taps + 3 frequencies.
#[derive(Debug, Clone)]
pub(crate) struct Toom<const A: usize> {
    frequencies: Frequencies,
    /// Bᵀ and Aᵀ: powers of two and their sums, exact in single precision.
    input: [[f32; A]; A],
    output: [[f32; A]; SIDE],
}

impl<const A: usize> Toom<A> {
    /// `weight` `[output, input, taps]`, packed for `level`.
    pub fn new(weight: &[f32], channels: [&Channels; 2], level: Level) -> Toom<A> {
        let taps = A + 1 - SIDE;
        let points = &POINTS[..A - 1];
        let scale = |j: usize| -> f64 {
            points.iter().enumerate().filter(|(l, _)| *l != j).map(|(_, y)| points[j] - y).product()
        };
        let transform = |kernel: &[f32]| {
            let at = |j: usize| {
                let value = |x: f64| kernel.iter().rev().fold(0.0, |sum, &k| sum * x + f64::from(k));
                if j + 1 == A { kernel[taps - 1] } else { (value(points[j]) / scale(j)) as f32 }
            };
            (0..A).map(at).collect()
        };
        // Of the polynomial with all points but one as roots, or with all: coefficients, lowest first.
        let coefficients = |without: usize| {
            let roots = points.iter().enumerate().filter(|(l, _)| *l != without).map(|(_, root)| *root);
            let mut polynomial = vec![1.0];
            for root in roots {
                let mut longer = vec![0.0; polynomial.len() + 1];
                for (i, factor) in polynomial.iter().enumerate() {
                    longer[i + 1] += factor;
                    longer[i] -= root * factor;
                }
                polynomial = longer;
            }
            std::array::from_fn(|i| polynomial.get(i).map_or(0.0, |&value| value as f32))
        };
        let power = |i: usize, j: usize| match points.get(j) {
            Some(point) => point.powi(i as i32) as f32,
            None => f32::from(u8::from(i + 1 == SIDE)),
        };
        Toom {
            frequencies: Frequencies::new(weight, taps, channels, A, level, transform),
            input: std::array::from_fn(coefficients),
            output: std::array::from_fn(|i| std::array::from_fn(|j| power(i, j))),
        }
    }

    pub fn run(
        &self,
        x: View,
        target: Target,
        bias: &[Lane],
        add: Option<View>,
        spec: ConvSpec,
        scratch: &mut Scratch,
    ) {
        let to = target.out.shape();
        let across = spec.kernel[0] == 1;
        let grid = if across { [to.height, to.width.div_ceil(SIDE)] } else { [to.height.div_ceil(SIDE), to.width] };
        let level = scratch.level;
        let room = self.frequencies.room(x.images() * grid[0] * grid[1], scratch);
        level.run(Work { toom: self, x, target, bias, add, spec, across, grid, room });
    }
}

struct Work<'a, const A: usize> {
    toom: &'a Toom<A>,
    x: View<'a>,
    target: Target<'a>,
    bias: &'a [Lane],
    add: Option<View<'a>>,
    spec: ConvSpec,
    /// Whether the kernel lies in a row.
    across: bool,
    grid: [usize; 2],
    room: Room<'a>,
}

impl<const A: usize> Kernel for Work<'_, A> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let all = self.x.images() * self.grid[0] * self.grid[1];
        let mut first = 0;
        while first < all {
            let count = self.room.tiles.min(all - first);
            self.forward::<S, V>(simd, first, count);
            self.toom.frequencies.multiply::<S, V>(simd, count, &mut self.room);
            self.backward::<S, V>(simd, first, count);
            first += count;
        }
    }
}

impl<const A: usize> Work<'_, A> {
    /// A tile's image, and its first output's row and column.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [rows, columns] = self.grid;
        let (image, y, x) = (tile / (rows * columns), tile / columns % rows, tile % columns);
        if self.across { (image, y, x * SIDE) } else { (image, y * SIDE, x) }
    }

    /// Tiles to frequencies.
    #[inline(always)]
    fn forward<S: Simd, const V: usize>(&mut self, simd: S, first: usize, count: usize) {
        let (toom, x) = (self.toom, self.x);
        let (shape, room, gap) = (x.shape(), self.room.tiles, toom.frequencies.input_gap(&self.room));
        let rows = shape.height + 2 * shape.border[0];
        for tile in 0..count {
            let (image, y, column) = self.place(first + tile);
            let image = x.image(image);
            let [py, px] = self.spec.padding;
            let (y, column) = (y + shape.border[0] - py, column + shape.border[1] - px);
            let step = if self.across { 1 } else { shape.stride() };
            // A tile at the end may reach beyond what is there.
            let there = A.min(if self.across { shape.stride() - column } else { rows - y });
            for block in 0..toom.frequencies.input {
                let lanes = &image[block * shape.plane() + y * shape.stride() + column..];
                for v in 0..V {
                    let mut d = [simd.splat_f32s(0.0); A];
                    for (i, d) in d.iter_mut().enumerate().take(there) {
                        *d = vectors::<S, V>(&lanes[i * step])[v];
                    }
                    for (f, factors) in toom.input.iter().enumerate() {
                        let mut sum = simd.splat_f32s(0.0);
                        for i in 0..A {
                            sum = fma(simd, simd.splat_f32s(factors[i]), d[i], sum);
                        }
                        S::as_mut_simd_f32s(&mut self.room.inputs[f * gap + block * room + tile].0).0[v] = sum;
                    }
                }
            }
        }
    }

    /// Frequencies to outputs.
    #[inline(always)]
    fn backward<S: Simd, const V: usize>(&mut self, simd: S, first: usize, count: usize) {
        let toom = self.toom;
        let (to, room, gap) = (self.target.out.shape(), self.room.tiles, toom.frequencies.output_gap(&self.room));
        for tile in 0..count {
            let (image, y, column) = self.place(first + tile);
            let there = SIDE.min(if self.across { to.width - column } else { to.height - y });
            let out = self.target.out.image_mut(image);
            for block in 0..toom.frequencies.output {
                let m = &self.room.outputs[block * room + tile..];
                for v in 0..V {
                    let bias = vectors::<S, V>(&self.bias[block])[v];
                    for (i, factors) in toom.output.iter().enumerate().take(there) {
                        let mut value = bias;
                        for f in 0..A {
                            value = fma(simd, simd.splat_f32s(factors[f]), vectors::<S, V>(&m[f * gap])[v], value);
                        }
                        let (y, x) = if self.across { (y, column + i) } else { (y + i, column) };
                        if let Some(add) = self.add {
                            let lane = &add.image(image)[add.shape().at(block, y, x)];
                            value = simd.add_f32s(value, vectors::<S, V>(lane)[v]);
                        }
                        if self.spec.relu {
                            value = relu(simd, value);
                        }
                        S::as_mut_simd_f32s(&mut out[to.at(self.target.block + block, y, x)].0).0[v] = value;
                    }
                }
            }
        }
    }
}
