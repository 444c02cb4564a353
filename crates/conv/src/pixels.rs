//! In and out, copies, and enlarging.

use crate::planes::{LANES, Lane, Planes, View, ViewMut};

/// `x` `[images, channels, height · patch, width · patch]` into `out`, patch by patch: channel c, row i and column j of a patch
/// become channel (c · patch + i) · patch + j. What is left of the last block becomes zero.
pub fn from_pixels(x: &[f32], channels: usize, patch: usize, out: &mut Planes) {
    let (shape, count) = (out.shape(), channels * patch * patch);
    assert!(count <= shape.blocks * LANES, "blocks");
    // Planes hold whatever was there: an image that was not finite, times weights of zero, would not be zero.
    for block in count / LANES..shape.blocks {
        for (n, y) in (0..out.images()).flat_map(|n| (0..shape.height).map(move |y| (n, y))) {
            out.image_mut(n)[shape.at(block, y, 0)..][..shape.width].fill(Lane::ZERO);
        }
    }
    each(channels, patch, out.shape(), |pixel, at, position| {
        for n in 0..out.images() {
            let len = x.len() / out.images();
            out.image_mut(n)[at].0[position] = x[n * len + pixel];
        }
    });
}

/// The inverse of [`from_pixels`], of the first `channels`.
pub fn to_pixels(from: &Planes, channels: usize, patch: usize, x: &mut [f32]) {
    each(channels, patch, from.shape(), |pixel, at, position| {
        for n in 0..from.images() {
            let len = x.len() / from.images();
            x[n * len + pixel] = from.image(n)[at].0[position];
        }
    });
}

/// Every number of an image: where it is among pixels, and lane and position in blocks.
fn each(channels: usize, patch: usize, shape: crate::Shape, mut visit: impl FnMut(usize, usize, usize)) {
    let (rows, columns) = (shape.height * patch, shape.width * patch);
    for pixel in 0..channels * rows * columns {
        let (c, y, x) = (pixel / (rows * columns), pixel / columns % rows, pixel % columns);
        let channel = (c * patch + y % patch) * patch + x % patch;
        visit(pixel, shape.at(channel / LANES, y / patch, x / patch), channel % LANES);
    }
}

/// Copies `x` into `out`, of the same size but for blocks and border, from `block` on.
pub fn copy<'a>(x: impl Into<View<'a>>, out: &mut Planes, block: usize) {
    let x = x.into();
    let (from, to) = (x.shape(), out.shape());
    assert_eq!([from.height, from.width], [to.height, to.width], "shape");
    assert!(block + from.blocks <= to.blocks && x.images() == out.images(), "blocks");
    for n in 0..x.images() {
        for (b, y) in (0..from.blocks).flat_map(|b| (0..from.height).map(move |y| (b, y))) {
            let row = &x.image(n)[from.at(b, y, 0)..][..from.width];
            out.image_mut(n)[to.at(block + b, y, 0)..][..from.width].copy_from_slice(row);
        }
    }
}

/// Every pixel of `x` four times, in a square.
pub fn enlarge<'a>(x: impl Into<View<'a>>, out: &mut Planes) {
    let x = x.into();
    let (from, to) = (x.shape(), out.shape());
    assert_eq!([from.blocks, 2 * from.height, 2 * from.width], [to.blocks, to.height, to.width], "shape");
    for n in 0..x.images() {
        for (b, y) in (0..to.blocks).flat_map(|b| (0..to.height).map(move |y| (b, y))) {
            let row = &x.image(n)[from.at(b, y / 2, 0)..][..from.width];
            let out = &mut out.image_mut(n)[to.at(b, y, 0)..][..to.width];
            for (pair, lane) in out.chunks_exact_mut(2).zip(row) {
                pair.fill(*lane);
            }
        }
    }
}

/// The mean of every square of four pixels of `x`.
pub fn halve<'a>(x: impl Into<View<'a>>, out: &mut Planes) {
    let x = x.into();
    let (from, to) = (x.shape(), out.shape());
    assert_eq!([from.blocks, from.height, from.width], [to.blocks, 2 * to.height, 2 * to.width], "shape");
    for n in 0..x.images() {
        for (b, y) in (0..to.blocks).flat_map(|b| (0..to.height).map(move |y| (b, y))) {
            let [upper, lower] = [0, 1].map(|row| &x.image(n)[from.at(b, 2 * y + row, 0)..][..from.width]);
            let out = &mut out.image_mut(n)[to.at(b, y, 0)..][..to.width];
            for ((lane, upper), lower) in out.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
                for (i, value) in lane.0.iter_mut().enumerate() {
                    *value = 0.25 * ((upper[0].0[i] + upper[1].0[i]) + (lower[0].0[i] + lower[1].0[i]));
                }
            }
        }
    }
}

/// Multiplies everything by `factor`.
pub fn scale<'a>(x: impl Into<ViewMut<'a>>, factor: f32) {
    if factor == 1.0 {
        return;
    }
    let mut x = x.into();
    for n in 0..x.images() {
        x.image_mut(n).iter_mut().flat_map(|lane| &mut lane.0).for_each(|value| *value *= factor);
    }
}

/// Adds a number for each channel to all pixels of one image.
pub fn add_to_channels(x: &mut Planes, image: usize, lanes: &[Lane]) {
    let plane = x.shape().plane();
    assert_eq!(x.shape().border, [0, 0], "border");
    for (block, added) in x.image_mut(image).chunks_mut(plane).zip(lanes) {
        for lane in block {
            lane.0.iter_mut().zip(&added.0).for_each(|(value, added)| *value += added);
        }
    }
}
