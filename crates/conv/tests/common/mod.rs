//! Numbers, the definitions that kernels are compared with, and the way into blocks and back.
#![allow(dead_code)]

use fewstep_conv::{Channels, ConvSpec, LANES, Planes, Shape};

/// Pseudo-random numbers in [−1, 1).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
        };
        (0..count).map(|_| next()).collect()
    }
}

/// NCHW numbers in blocks.
pub fn into_planes(x: &[f32], images: usize, channels: &Channels, [h, w]: [usize; 2], border: [usize; 2]) -> Planes {
    let shape = Shape::new(channels.blocks(), h, w).bordered(border);
    let mut planes = Planes::new(images, shape);
    for (n, image) in x.chunks(channels.count() * h * w).enumerate() {
        for (plane, &position) in image.chunks(h * w).zip(channels.positions()) {
            for (i, &value) in plane.iter().enumerate() {
                planes.image_mut(n)[shape.at(position / LANES, i / w, i % w)].0[position % LANES] = value;
            }
        }
    }
    planes
}

/// Blocks as NCHW numbers.
pub fn from_planes(planes: &Planes, channels: &Channels) -> Vec<f32> {
    let shape = planes.shape();
    let mut values = Vec::new();
    for n in 0..planes.images() {
        for &position in channels.positions() {
            for i in 0..shape.height * shape.width {
                let at = shape.at(position / LANES, i / shape.width, i % shape.width);
                values.push(planes.image(n)[at].0[position % LANES]);
            }
        }
    }
    values
}

/// The definition of a convolution, in double precision.
pub fn conv2d(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    [input, output]: [usize; 2],
    [h, w]: [usize; 2],
    spec: ConvSpec,
) -> Vec<f64> {
    let ([kh, kw], [py, px], s) = (spec.kernel, spec.padding, spec.stride);
    let (rows, columns) = ((h + 2 * py - kh) / s + 1, (w + 2 * px - kw) / s + 1);
    let mut out = Vec::new();
    for image in x.chunks(input * h * w) {
        for o in 0..output {
            for (y, column) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let mut sum = f64::from(bias[o]);
                for (i, a, b) in (0..input * kh * kw).map(|k| (k / (kh * kw), k / kw % kh, k % kw)) {
                    let (row, col) = (y * s + a, column * s + b);
                    if row >= py && row - py < h && col >= px && col - px < w {
                        let value = image[(i * h + row - py) * w + col - px];
                        sum += f64::from(weight[((o * input + i) * kh + a) * kw + b]) * f64::from(value);
                    }
                }
                out.push(if spec.relu { sum.max(0.0) } else { sum });
            }
        }
    }
    out
}

pub fn relative_rms(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - b)).sum();
    (off / expected.iter().map(|b| square(*b)).sum::<f64>()).sqrt()
}
