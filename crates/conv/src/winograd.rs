//! Winograd's convolution F(4×4, 3×3): a quarter of the multiplications.
//!
//! Source: A. Lavin and S. Gray 2016, *Fast Algorithms for Convolutional Neural Networks*, arXiv 1509.09308, with the points 0, ±1,
//! ±2. A tile of 6×6 inputs becomes 36 frequencies, each frequency is a product over channels, and 36 frequencies become 4×4 outputs.
//! Single precision loses a little: relative rms up to 3e-6 of a layer, where the direct kernel's is up to 6e-7.

use pulp::Simd;

use crate::{
    conv::{ConvSpec, Target},
    frequencies::{Frequencies, Room},
    level::{Kernel, Level, fma},
    planes::{Channels, Lane, Scratch, Shape, View},
    product::{relu, vectors},
};

/// Outputs of a tile in each direction.
const SIDE: usize = 4;
/// Inputs.
const REACH: usize = 6;

/// G: what the kernel's three numbers are at each point.
const KERNEL: [[f64; 3]; REACH] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// A 3×3 convolution of stride 1, its weights transformed.
#[derive(Debug, Clone)]
pub(crate) struct Winograd(Frequencies);

impl Winograd {
    /// `weight` `[output, input, 3, 3]`, packed for `level`.
    pub fn new(weight: &[f32], channels: [&Channels; 2], level: Level) -> Winograd {
        Winograd(Frequencies::new(weight, 9, channels, REACH * REACH, level, transformed))
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
        let grid = [to.height.div_ceil(SIDE), to.width.div_ceil(SIDE)];
        let level = scratch.level;
        let room = self.0.room(x.images() * grid[0] * grid[1], scratch);
        level.run(Work { frequencies: &self.0, x, target, bias, add, spec, grid, room });
    }
}

/// G g Gᵀ, computed in double precision.
fn transformed(kernel: &[f32]) -> Vec<f32> {
    let at = |f: usize| {
        let (rows, columns) = (KERNEL[f / REACH], KERNEL[f % REACH]);
        (0..9).map(|tap| rows[tap / 3] * f64::from(kernel[tap]) * columns[tap % 3]).sum::<f64>() as f32
    };
    (0..REACH * REACH).map(at).collect()
}

struct Work<'a> {
    frequencies: &'a Frequencies,
    x: View<'a>,
    target: Target<'a>,
    bias: &'a [Lane],
    add: Option<View<'a>>,
    spec: ConvSpec,
    grid: [usize; 2],
    room: Room<'a>,
}

/// A tile's image, and its first output's row and column.
fn place(tile: usize, [rows, columns]: [usize; 2]) -> (usize, usize, usize) {
    let of_image = tile % (rows * columns);
    (tile / (rows * columns), of_image / columns * SIDE, of_image % columns * SIDE)
}

impl Kernel for Work<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let all = self.x.images() * self.grid[0] * self.grid[1];
        let mut first = 0;
        while first < all {
            let count = self.room.tiles.min(all - first);
            self.forward::<S, V>(simd, first, count);
            self.frequencies.multiply::<S, V>(simd, count, &mut self.room);
            self.backward::<S, V>(simd, first, count);
            first += count;
        }
    }
}

impl Work<'_> {
    /// Tiles to frequencies.
    #[inline(always)]
    fn forward<S: Simd, const V: usize>(&mut self, simd: S, first: usize, count: usize) {
        let Work { frequencies, x, spec, grid, .. } = *self;
        let (shape, room) = (x.shape(), self.room.tiles);
        let gap = frequencies.input_gap(&self.room);
        let rows = shape.height + 2 * shape.border[0];
        for tile in 0..count {
            let (image, y, column) = place(first + tile, grid);
            let image = x.image(image);
            let (y, column) = (y + shape.border[0] - spec.padding[0], column + shape.border[1] - spec.padding[1]);
            // A tile at the end may reach beyond what is there.
            let whole = y + REACH <= rows && column + REACH <= shape.stride();
            for block in 0..frequencies.input {
                let at = block * shape.plane() + y * shape.stride() + column;
                let to = block * room + tile;
                if whole {
                    let row = |i: usize| &image[at + i * shape.stride()..][..REACH];
                    spread::<S, V>(simd, std::array::from_fn(row), self.room.inputs, to, gap);
                } else {
                    let mut edge = [[Lane::ZERO; REACH]; REACH];
                    let width = REACH.min(shape.stride() - column);
                    for (i, row) in edge.iter_mut().enumerate().take(rows - y) {
                        row[..width].copy_from_slice(&image[at + i * shape.stride()..][..width]);
                    }
                    spread::<S, V>(simd, edge.each_ref().map(|row| &row[..]), self.room.inputs, to, gap);
                }
            }
        }
    }

    /// Frequencies to outputs.
    #[inline(always)]
    fn backward<S: Simd, const V: usize>(&mut self, simd: S, first: usize, count: usize) {
        let Work { frequencies, grid, spec, .. } = *self;
        let (to, room): (Shape, usize) = (self.target.out.shape(), self.room.tiles);
        let gap = frequencies.output_gap(&self.room);
        for tile in 0..count {
            let (image, y, column) = place(first + tile, grid);
            let (rows, columns) = (SIDE.min(to.height - y), SIDE.min(to.width - column));
            let out = self.target.out.image_mut(image);
            let add = self.add.map(|add| (add.image(image), add.shape()));
            for block in 0..frequencies.output {
                for v in 0..V {
                    let m = &self.room.outputs[block * room + tile..];
                    let d = [
                        column_transform::<S, V>(simd, m, 0, gap, v),
                        column_transform::<S, V>(simd, m, 1, gap, v),
                        column_transform::<S, V>(simd, m, 2, gap, v),
                        column_transform::<S, V>(simd, m, 3, gap, v),
                        column_transform::<S, V>(simd, m, 4, gap, v),
                        column_transform::<S, V>(simd, m, 5, gap, v),
                    ];
                    let bias = vectors::<S, V>(&self.bias[block])[v];
                    for i in 0..rows {
                        let row = output_transform(simd, [d[0][i], d[1][i], d[2][i], d[3][i], d[4][i], d[5][i]]);
                        let at = to.at(self.target.block + block, y + i, column);
                        for (j, value) in row.into_iter().enumerate().take(columns) {
                            let mut value = simd.add_f32s(value, bias);
                            if let Some((add, shape)) = add {
                                let lane = &add[shape.at(block, y + i, column + j)];
                                value = simd.add_f32s(value, vectors::<S, V>(lane)[v]);
                            }
                            if spec.relu {
                                value = relu(simd, value);
                            }
                            S::as_mut_simd_f32s(&mut out[at + j].0).0[v] = value;
                        }
                    }
                }
            }
        }
    }
}

/// A tile's frequencies into `inputs`, from `to` on every `gap`.
#[inline(always)]
fn spread<S: Simd, const V: usize>(simd: S, rows: [&[Lane]; REACH], inputs: &mut [Lane], to: usize, gap: usize) {
    for v in 0..V {
        // Spelled out: arrays that are filled in a loop are cleared before, and closures may be compiled without the instructions.
        let [a, b, c, d, e, f] = rows;
        let d = [
            row_transform::<S, V>(simd, a, v),
            row_transform::<S, V>(simd, b, v),
            row_transform::<S, V>(simd, c, v),
            row_transform::<S, V>(simd, d, v),
            row_transform::<S, V>(simd, e, v),
            row_transform::<S, V>(simd, f, v),
        ];
        for j in 0..REACH {
            let column = input_transform(simd, [d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j]]);
            for (i, value) in column.into_iter().enumerate() {
                let lane = &mut inputs[(i * REACH + j) * gap + to];
                S::as_mut_simd_f32s(&mut lane.0).0[v] = value;
            }
        }
    }
}

/// Bᵀ of a row of lanes.
#[inline(always)]
fn row_transform<S: Simd, const V: usize>(simd: S, row: &[Lane], v: usize) -> [S::f32s; REACH] {
    let at = |j: usize| vectors::<S, V>(&row[j])[v];
    input_transform(simd, [at(0), at(1), at(2), at(3), at(4), at(5)])
}

/// Aᵀ of column `j` of frequencies.
#[inline(always)]
fn column_transform<S: Simd, const V: usize>(simd: S, m: &[Lane], j: usize, gap: usize, v: usize) -> [S::f32s; SIDE] {
    let at = |i: usize| vectors::<S, V>(&m[(i * REACH + j) * gap])[v];
    output_transform(simd, [at(0), at(1), at(2), at(3), at(4), at(5)])
}

/// Bᵀ d.
#[inline(always)]
fn input_transform<S: Simd>(simd: S, d: [S::f32s; REACH]) -> [S::f32s; REACH] {
    let times = |factor: f32, a, b| fma(simd, simd.splat_f32s(factor), a, b);
    let (even, odd) = (times(-4.0, d[2], d[4]), times(-4.0, d[1], d[3]));
    let (wide, twice) = (simd.sub_f32s(d[4], d[2]), simd.sub_f32s(d[3], d[1]));
    let twice = simd.add_f32s(twice, twice);
    [
        times(4.0, d[0], times(-5.0, d[2], d[4])),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(wide, twice),
        simd.sub_f32s(wide, twice),
        times(4.0, d[1], times(-5.0, d[3], d[5])),
    ]
}

/// Aᵀ m.
#[inline(always)]
fn output_transform<S: Simd>(simd: S, m: [S::f32s; REACH]) -> [S::f32s; SIDE] {
    let times = |factor: f32, a, b| fma(simd, simd.splat_f32s(factor), a, b);
    let (p, q) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (r, s) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(simd.add_f32s(m[0], p), r),
        times(2.0, s, q),
        times(4.0, r, p),
        simd.add_f32s(times(8.0, s, q), m[5]),
    ]
}
