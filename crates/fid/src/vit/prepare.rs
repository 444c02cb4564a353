//! From 8-bit images to the patches that a vision transformer sees.

use super::resize::bicubic;

/// How an image becomes the network's input, a square of `side` pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Preparation {
    /// Of the square.
    pub side: usize,
    /// Whether the longer side is cut off; else it is shrunk more than the shorter.
    pub crop: bool,
    /// Of each channel, of values from 0 to 1.
    pub mean: [f32; 3],
    /// Likewise.
    pub deviation: [f32; 3],
}

/// Side of what DINOv2 sees here, as in dgm-eval.
const DINOV2_SIDE: usize = 224;

impl Preparation {
    /// That of dgm-eval (Stein et al. 2023): the whole image, whatever its shape, and ImageNet's mean and deviation.
    pub fn dinov2() -> Self {
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        Preparation { side: DINOV2_SIDE, crop: false, mean, deviation }
    }

    /// That of OpenAI's CLIP: the centre, and its own data's mean and deviation.
    pub fn clip(side: usize) -> Self {
        let mean = [0.481_454_66, 0.457_827_5, 0.408_210_73];
        let deviation = [0.268_629_54, 0.261_302_6, 0.275_777_1];
        Preparation { side, crop: true, mean, deviation }
    }

    /// In words, for [`crate::Identity::preparation`].
    pub fn describe(&self) -> String {
        let Preparation { side, crop, mean, deviation } = self;
        let resized = if *crop {
            format!("the shorter side to {side}, then the centre {side}x{side}")
        } else {
            format!("{side}x{side}, whatever the shape")
        };
        format!(
            "bicubic as Pillow's (antialiased, 8 bits) to {resized}; (RGB / 255 - mean) / deviation with mean {mean:?} and deviation {deviation:?}"
        )
    }

    /// Patches of `patch`×`patch` pixels, line by line: `[(side / patch)², 3 · patch²]`, a patch in the order channel, row, column.
    pub fn patches(&self, image: &[u8], [height, width]: [usize; 2], patch: usize) -> Vec<f32> {
        let side = self.side;
        let to = if self.crop {
            let shorter = height.min(width);
            [height, width].map(|of| side * of / shorter)
        } else {
            [side; 2]
        };
        let windows = to.map(|of| (of - side) / 2..(of - side) / 2 + side);
        let pixels = bicubic(image, [height, width], to, windows);
        let grid = side / patch;
        let mut patches = Vec::with_capacity(3 * side * side);
        for (y, x) in (0..grid * grid).map(|at| (at / grid * patch, at % grid * patch)) {
            for channel in 0..3 {
                let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
                let normal = |value: u8| (f32::from(value) / 255.0 - mean) / deviation;
                for row in y..y + patch {
                    let line = &pixels[(row * side + x) * 3..(row * side + x + patch) * 3];
                    patches.extend(line.iter().skip(channel).step_by(3).map(|&value| normal(value)));
                }
            }
        }
        patches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_hold_channels_then_rows_and_the_centre_is_taken() {
        // 4 high, 8 wide, of side 4: columns 2 to 5, nothing resized. Red is the column, green the row.
        let image: Vec<u8> = (0..32).flat_map(|i| [i % 8, i / 8, 255]).map(|value: u8| value).collect();
        let plain = Preparation { side: 4, crop: true, mean: [0.0; 3], deviation: [1.0 / 255.0; 3] };
        let patches = plain.patches(&image, [4, 8], 2);
        assert_eq!(patches.len(), 48);
        // The second patch: rows 0 and 1, columns 4 and 5.
        let near = |found: &[f32], expected: &[f32]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
        };
        near(&patches[12..24], &[4.0, 5.0, 4.0, 5.0, 0.0, 0.0, 1.0, 1.0, 255.0, 255.0, 255.0, 255.0]);
    }
}
