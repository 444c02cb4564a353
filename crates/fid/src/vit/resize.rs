//! Pillow's antialiased bicubic resize of 8-bit images, to the last bit.
//!
//! A Catmull–Rom kernel (a = −1/2), as wide as the larger of the two samplings' steps, in fixed point of 22 bits, columns first,
//! rounded to 8 bits in between (`Resample.c` of Pillow up to 12; 13 takes rows first of some images, and differs there). The crate
//! `image` has the kernel too, but in floating point and rows first, without the rounding in between: other pixels.

use std::ops::Range;

/// Bits behind the point: eight of the pixel and two of overshoot are left of 32.
const BITS: u32 = 22;
/// The kernel is 0 from here on.
const SUPPORT: f64 = 2.0;

/// What an output pixel is a sum of: from an input pixel on, each times its weight.
struct Taps {
    first: usize,
    weights: Vec<i64>,
}

/// (a + 2)|x|³ − (a + 3)x² + 1 up to 1, a|x|³ − 5ax² + 8a|x| − 4a up to 2, with a = −1/2.
fn kernel(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        _ => 0.0,
    }
}

/// The taps of outputs `window` of a line that goes from `input` pixels to `output`.
fn taps(input: usize, output: usize, window: Range<usize>) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let of = |index: usize| {
        let centre = (index as f64 + 0.5) * scale;
        // Both are cut towards 0 where they are positive, and clamped where they are not.
        let first = (centre - SUPPORT * stretch + 0.5).max(0.0) as usize;
        let end = ((centre + SUPPORT * stretch + 0.5) as usize).min(input);
        let weights: Vec<f64> = (first..end).map(|at| kernel((at as f64 - centre + 0.5) * (1.0 / stretch))).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / sum * f64::from(1 << BITS)).round() as i64;
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    window.map(of).collect()
}

/// To 8 bits, a half upwards.
fn pixel(sum: i64) -> u8 {
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

/// The part `rows`×`columns` of an RGB image `[height, width, 3]` resized to `to`, height and width.
pub(super) fn bicubic(
    image: &[u8],
    [height, width]: [usize; 2],
    to: [usize; 2],
    [rows, columns]: [Range<usize>; 2],
) -> Vec<u8> {
    let (down, across) = (taps(height, to[0], rows), taps(width, to[1], columns));
    // Only the lines that some output needs.
    let first = down.iter().map(|taps| taps.first).min().unwrap_or(0);
    let end = down.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
    let stride = across.len() * 3;
    let mut lines = Vec::with_capacity((end - first) * stride);
    for line in image.chunks_exact(width * 3).take(end).skip(first) {
        for Taps { first, weights } in &across {
            for channel in 0..3 {
                let values = line[first * 3 + channel..].iter().step_by(3);
                lines.push(pixel(weights.iter().zip(values).map(|(weight, &value)| weight * i64::from(value)).sum()));
            }
        }
    }
    let mut resized = Vec::with_capacity(down.len() * stride);
    for Taps { first: from, weights } in &down {
        let lines = &lines[(from - first) * stride..];
        for at in 0..stride {
            let values = lines[at..].iter().step_by(stride);
            resized.push(pixel(weights.iter().zip(values).map(|(weight, &value)| weight * i64::from(value)).sum()));
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::{super::golden, *};

    #[test]
    fn pixels_are_pillows_to_the_last_bit() {
        let golden = golden();
        let cases = golden["resized"].as_array().unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let size = |key: &str| [0, 1].map(|i| case[key][i].as_u64().unwrap() as usize);
            let (from, to) = (size("from"), size("to"));
            let image = super::super::pixels(from);
            let whole = bicubic(&image, from, to, [0..to[0], 0..to[1]]);
            assert_eq!(format!("{:x}", Sha256::digest(&whole)), case["sha256"].as_str().unwrap(), "{case}");
            // A part is that part of the whole.
            let (rows, columns) = (to[0] / 3..to[0] / 2 + 1, to[1] / 4..to[1] / 2 + 1);
            let part = bicubic(&image, from, to, [rows.clone(), columns.clone()]);
            let cut = rows.flat_map(|y| whole[(y * to[1] + columns.start) * 3..(y * to[1] + columns.end) * 3].to_vec());
            assert_eq!(part, cut.collect::<Vec<u8>>(), "{case}");
        }
    }
}
