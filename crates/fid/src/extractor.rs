//! Feature extractors: images in, feature rows out.

use crate::{Error, Images, Result};

/// What a row of features means; statistics of two different identities are never compared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The feature space, for example `fid-inception-pool3`.
    pub extractor: String,
    /// SHA-256 of the weights' values in canonical order; empty where there are none.
    pub weights: String,
    /// How 8-bit images become the extractor's input.
    pub preparation: String,
}

/// Maps images to rows of features.
pub trait Extractor: Send + Sync {
    /// What the rows mean.
    fn identity(&self) -> Identity;

    /// Features per image.
    fn dim(&self) -> usize;

    /// Features of `images`, row-major `[images.len(), dim]`.
    ///
    /// A row depends on its own image alone, not on the others of the batch.
    fn features(&self, images: &Images) -> Result<Vec<f32>>;
}

/// Pixels average-pooled to 8×8 RGB: 192 numbers in [0, 1], in the order row, column, channel.
///
/// The feature space of `fd_pixel`; it needs no weights.
pub struct Pixel8;

const SIDE: usize = 8;

impl Extractor for Pixel8 {
    fn identity(&self) -> Identity {
        Identity {
            extractor: "pixel-8x8".into(),
            weights: String::new(),
            preparation: "average-pooled to 8x8 RGB, divided by 255".into(),
        }
    }

    fn dim(&self) -> usize {
        SIDE * SIDE * 3
    }

    fn features(&self, images: &Images) -> Result<Vec<f32>> {
        let (height, width) = (images.height(), images.width());
        if !height.is_multiple_of(SIDE) || !width.is_multiple_of(SIDE) {
            return Err(Error::Values(format!(
                "images are {width}x{height}; the pixel-8x8 features need sides that are multiples of {SIDE}"
            )));
        }
        let (cell_h, cell_w) = (height / SIDE, width / SIDE);
        let scale = 1.0 / (255.0 * (cell_h * cell_w) as f64);
        let pooled = images.iter().flat_map(|image| {
            (0..SIDE * SIDE * 3).map(move |feature| {
                let (row, column, channel) = (feature / (SIDE * 3), feature / 3 % SIDE, feature % 3);
                let sum: u32 = (row * cell_h..(row + 1) * cell_h)
                    .flat_map(|y| (column * cell_w..(column + 1) * cell_w).map(move |x| (y * width + x) * 3 + channel))
                    .map(|index| u32::from(image[index]))
                    .sum();
                (f64::from(sum) * scale) as f32
            })
        });
        Ok(pooled.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixel8_averages_cells() {
        // A 16x16 image whose red channel is 255 in the top-left 2x2 cell only, green everywhere 51.
        let pixels = (0..256).flat_map(|i| [if i / 16 < 2 && i % 16 < 2 { 255 } else { 0 }, 51, 0]).collect();
        let rows = Pixel8.features(&Images::new(16, 16, pixels).unwrap()).unwrap();
        assert_eq!(rows.len(), 192);
        assert_eq!(&rows[..6], &[1.0, 0.2, 0.0, 0.0, 0.2, 0.0]);
    }
}
