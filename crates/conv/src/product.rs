//! The one loop that everything else is made of: some pixels times packed weights.
//!
//! A tile is `MR` pixels of a row by `NB` blocks of outputs, all sums in registers. Each sum is one chain of additions over taps and
//! input channels in a fixed order, whatever the tile's size, so that neither batch, threads nor vector width change a bit.

use pulp::Simd;

use crate::{
    level::fma,
    planes::{LANES, Lane},
};

/// Pixels to multiply: tap and block k of output pixel p is `x[base + offsets[k] + p·STRIDE]`.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub x: &'a [Lane],
    pub base: usize,
    pub offsets: &'a [usize],
}

/// What becomes of the sums of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Added, for each block of the panel; nothing where empty.
    pub bias: &'a [Lane],
    /// Added pixel by pixel, with the place of its first.
    pub add: Option<(&'a [Lane], Place)>,
    /// Whether what is negative becomes zero.
    pub relu: bool,
}

/// Where a line of outputs is: `base + block·plane + p`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub base: usize,
    pub plane: usize,
}

/// 16 numbers as vectors.
#[inline(always)]
pub(crate) fn vectors<S: Simd, const V: usize>(lane: &Lane) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(&lane.0);
    std::array::from_fn(|i| vectors[i])
}

/// Vectors as 16 numbers.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(lane: &mut Lane, values: [S::f32s; V]) {
    let (vectors, _) = S::as_mut_simd_f32s(&mut lane.0);
    for (vector, value) in vectors.iter_mut().zip(values) {
        *vector = value;
    }
}

/// max(0, x), and what is not a number stays so: the maximum of instruction sets would make it 0.
#[inline(always)]
pub(crate) fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}

/// `n` outputs in a row, in tiles as equal as can be.
#[inline(always)]
pub(crate) fn line<S: Simd, const V: usize, const NB: usize, const STRIDE: usize>(
    simd: S,
    n: usize,
    input: Input,
    weights: &[Lane],
    out: &mut [Lane],
    place: Place,
    finish: Finish,
) {
    let most = widest(V, NB);
    let tiles = n.div_ceil(most);
    let mut p = 0;
    for left in (1..=tiles).rev() {
        let width = (n - p).div_ceil(left);
        macro_rules! of_width {
            ($($mr:literal)*) => {
                match width {
                    // What no tile is wider than is not compiled for it.
                    $($mr if $mr <= most => tile::<S, V, NB, STRIDE, $mr>(simd, p, input, weights, out, place, finish),)*
                    _ => {}
                }
            };
        }
        of_width!(1 2 3 4 5 6 7 8);
        p += width;
    }
}

/// Pixels of a tile: as many as leave registers for weights and a pixel.
const fn widest(vectors: usize, blocks: usize) -> usize {
    match (vectors, blocks) {
        (1, 4) => 6,
        (1, _) => 8,
        (2, 1) => 6,
        (2, 2) => 2,
        (4, 1) => 4,
        (4, 2) => 2,
        _ => 1,
    }
}

#[inline(always)]
fn tile<S: Simd, const V: usize, const NB: usize, const STRIDE: usize, const MR: usize>(
    simd: S,
    p: usize,
    input: Input,
    weights: &[Lane],
    out: &mut [Lane],
    place: Place,
    finish: Finish,
) {
    let mut sums = [[[simd.splat_f32s(0.0); V]; NB]; MR];
    let first = input.base + p * STRIDE;
    for (offset, block) in input.offsets.iter().zip(weights.chunks_exact(LANES * NB)) {
        let x = &input.x[first + offset..][..(MR - 1) * STRIDE + 1];
        for l in 0..LANES {
            let w: [[S::f32s; V]; NB] = std::array::from_fn(|j| vectors::<S, V>(&block[l * NB + j]));
            for i in 0..MR {
                let value = simd.splat_f32s(x[i * STRIDE].0[l]);
                for j in 0..NB {
                    for v in 0..V {
                        sums[i][j][v] = fma(simd, value, w[j][v], sums[i][j][v]);
                    }
                }
            }
        }
    }
    for j in 0..NB {
        let out = &mut out[place.base + j * place.plane + p..][..MR];
        let bias = finish.bias.get(j).map(vectors::<S, V>);
        let add = finish.add.map(|(x, place)| &x[place.base + j * place.plane + p..][..MR]);
        for i in 0..MR {
            let mut sum = sums[i][j];
            if let Some(bias) = bias {
                sum = std::array::from_fn(|v| simd.add_f32s(sum[v], bias[v]));
            }
            if let Some(add) = add {
                let add = vectors::<S, V>(&add[i]);
                sum = std::array::from_fn(|v| simd.add_f32s(sum[v], add[v]));
            }
            if finish.relu {
                for value in &mut sum {
                    *value = relu(simd, *value);
                }
            }
            store::<S, V>(&mut out[i], sum);
        }
    }
}
