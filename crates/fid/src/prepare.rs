//! From an image of any size, values 0 to 255, to the 299×299 values of a [`Protocol`].

use crate::{Protocol, inception::SIDE};

/// What a protocol does to images of one size.
pub(crate) struct Preparation {
    protocol: Protocol,
    size: [usize; 2],
    /// Of rows, and of columns.
    taps: [Taps; 2],
}

/// What each of the 299 outputs along one side is a sum of.
pub(crate) struct Taps {
    /// Of each output the first input, and the weights from there on.
    all: Vec<(usize, Vec<f64>)>,
    inputs: usize,
}

/// Buffers of one image.
#[derive(Default)]
pub(crate) struct Prepared {
    /// The source's rows, each as wide as the network sees it.
    wide: Vec<f32>,
    /// `[row][column][channel]`, 299×299×3.
    pub large: Vec<f32>,
}

impl Preparation {
    /// Of images `[height, width]`.
    pub fn new(protocol: Protocol, size: [usize; 2]) -> Preparation {
        Preparation { protocol, size, taps: size.map(|count| Taps::new(protocol, count)) }
    }

    /// `image` `[height, width, 3]`, of bytes or of values that are not whole, to what the network sees.
    pub fn run<V: Copy + Into<f32>>(&self, image: &[V], Prepared { wide, large }: &mut Prepared) {
        if self.protocol == Protocol::PytorchFid {
            return enlarge(image, self.size, wide, large);
        }
        let ([rows, columns], width) = (&self.taps, self.size[1]);
        wide.clear();
        for row in image.chunks(width * 3) {
            for (first, weights) in &columns.all {
                let pixels = row[first * 3..].as_chunks::<3>().0;
                wide.extend((0..3).map(|c| {
                    let value = |pixel: &[V; 3]| f64::from(pixel[c].into());
                    weights.iter().zip(pixels).map(|(weight, pixel)| weight * value(pixel)).sum::<f64>() as f32
                }));
            }
        }
        large.clear();
        let mut sum = vec![0f64; SIDE * 3];
        for (first, weights) in &rows.all {
            sum.fill(0.0);
            for (weight, row) in weights.iter().zip(wide[first * SIDE * 3..].chunks(SIDE * 3)) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * f64::from(*value));
            }
            // A bicubic overshoots, and clean-fid clips it; a bilinear stays within.
            large.extend(sum.iter().map(|&value| ((value as f32).clamp(0.0, 255.0) - 128.0) / 128.0));
        }
    }
}

impl Taps {
    /// Those of a protocol from `inputs` pixels.
    pub fn new(protocol: Protocol, inputs: usize) -> Taps {
        let of: fn(usize, usize) -> (usize, Vec<f64>) = match protocol {
            Protocol::PytorchFid => |i, inputs| {
                let (first, second, weight) = between(i, inputs);
                pair(first, second, weight)
            },
            Protocol::Tensorflow => |i, inputs| {
                // In single precision, as TensorFlow computes it.
                let at = i as f32 * (inputs as f32 / SIDE as f32);
                let first = (at as usize).min(inputs - 1);
                pair(first, (first + 1).min(inputs - 1), at - first as f32)
            },
            Protocol::Clean => bicubic,
        };
        Taps { all: (0..SIDE).map(|i| of(i, inputs)).collect(), inputs }
    }

    /// As a matrix `[299, inputs]`.
    pub fn matrix(&self) -> Vec<f32> {
        let mut matrix = vec![0.0; SIDE * self.inputs];
        for ((first, weights), row) in self.all.iter().zip(matrix.chunks_mut(self.inputs)) {
            row[*first..].iter_mut().zip(weights).for_each(|(entry, &weight)| *entry = weight as f32);
        }
        matrix
    }
}

/// Two neighbours of which the second has this share; one where they are the same, at the edge.
fn pair(first: usize, second: usize, share: f32) -> (usize, Vec<f64>) {
    let share = f64::from(share);
    (first, if first == second { vec![1.0] } else { vec![1.0 - share, share] })
}

/// Pillow's bicubic (a = −1/2) of output `i`: stretched over as many inputs as an output is wide where it shrinks, and of sum 1 where it is cut
/// off at an edge. In double precision, as Pillow computes it; a crate that resizes gives no weights, which the network on a GPU needs.
fn bicubic(i: usize, inputs: usize) -> (usize, Vec<f64>) {
    let scale = inputs as f64 / SIDE as f64;
    let stretch = scale.max(1.0);
    let centre = (i as f64 + 0.5) * scale;
    let first = (centre - 2.0 * stretch + 0.5).max(0.0) as usize;
    let end = ((centre + 2.0 * stretch + 0.5) as usize).min(inputs);
    let weights: Vec<f64> = (first..end).map(|x| cubic((x as f64 - centre + 0.5) / stretch)).collect();
    let sum: f64 = weights.iter().sum();
    (first, weights.into_iter().map(|weight| weight / sum).collect())
}

/// R. Keys, *Cubic convolution interpolation for digital image processing*, 1981, equation 15, where a = −1/2.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// RGB to what pytorch-fid's network sees: divided by 255, bilinear to 299×299 without aligned corners, 2x − 1;
/// `[row][column][channel]`. Apart from the others, in single precision: figures that are published depend on its last bits.
fn enlarge<V: Copy + Into<f32>>(image: &[V], [height, width]: [usize; 2], wide: &mut Vec<f32>, large: &mut Vec<f32>) {
    wide.clear();
    for row in image.chunks(width * 3) {
        for x in 0..SIDE {
            let (left, right, weight) = between(x, width);
            wide.extend((0..3).map(|c| {
                let value = |column: usize| row[column * 3 + c].into() / 255.0;
                value(left) * (1.0 - weight) + value(right) * weight
            }));
        }
    }
    large.clear();
    for y in 0..SIDE {
        let (above, below, weight) = between(y, height);
        let row = |y: usize| &wide[y * SIDE * 3..][..SIDE * 3];
        let mix = |(above, below): (&f32, &f32)| 2.0 * (above * (1.0 - weight) + below * weight) - 1.0;
        large.extend(row(above).iter().zip(row(below)).map(mix));
    }
}

/// The two of `count` that output `i` lies between, and the second's share.
fn between(i: usize, count: usize) -> (usize, usize, f32) {
    let at = ((i as f32 + 0.5) * (count as f32 / SIDE as f32) - 0.5).max(0.0);
    let first = (at as usize).min(count - 1);
    (first, (first + 1).min(count - 1), at - first as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some values of what the packages show the network of images by a formula, small ones and one that shrinks: pytorch-fid 0.3.0's interpolation,
    /// torch-fidelity 0.4.0's and clean-fid 0.1.35's (`tests/golden/make_protocols.py`). Of the compiled network's taps, and of the plain one's matrices.
    #[test]
    fn the_network_sees_what_the_packages_show_it() {
        let all: serde_json::Value = serde_json::from_str(include_str!("../tests/golden/protocols.json")).unwrap();
        let cases = all["prepared"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for (case, protocol) in cases.iter().flat_map(|case| Protocol::ALL.map(|protocol| (case, protocol))) {
            let number = |name: &str| case[name].as_u64().unwrap() as usize;
            let (height, width, every) = (number("height"), number("width"), number("every"));
            let image: Vec<u8> = (0..height * width * 3).map(|i| (i * 7919 % 251) as u8).collect();
            let mut prepared = Prepared::default();
            Preparation::new(protocol, [height, width]).run(&image, &mut prepared);
            assert_eq!(prepared.large.len(), SIDE * SIDE * 3);
            let expected = case[protocol.name()].as_array().unwrap();
            assert_eq!(expected.len(), prepared.large.len().div_ceil(every));
            let found = prepared.large.iter().step_by(every);
            let difference =
                |(found, expected): (&f32, &serde_json::Value)| (f64::from(*found) - expected.as_f64().unwrap()).abs();
            let largest = found.zip(expected).map(difference).fold(0.0, f64::max);
            println!("{height}x{width}, {}: {largest:e}", protocol.name());
            // Single precision of values up to 1.
            assert!(largest < 1e-6, "{height}x{width}, {}: {largest:e}", protocol.name());
        }
    }

    #[test]
    fn every_output_is_a_mean_of_its_inputs() {
        for (protocol, inputs) in Protocol::ALL.into_iter().flat_map(|p| [1, 2, 31, 299, 1000].map(|n| (p, n))) {
            let taps = Taps::new(protocol, inputs);
            for (first, weights) in &taps.all {
                assert!(!weights.is_empty() && first + weights.len() <= inputs, "{protocol:?} of {inputs}");
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{protocol:?} of {inputs}");
            }
            assert_eq!(taps.matrix().len(), SIDE * inputs);
        }
    }
}
