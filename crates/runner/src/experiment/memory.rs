//! What an experiment would take of memory, said before anything of it is taken: a few characters can ask for a hundred gigabytes.

use std::ops::Range;

use toml::Spanned;

use super::{CHANNELS, ModelKind, ModelSpec};
use crate::{
    failure::Result,
    results::Features,
    source::{MEMORY, Source},
};

/// Bytes of a solution, which is kept in memory.
const SOLUTION: u64 = 4 << 30;
/// Bytes that an ideal denoiser takes for each of 8 bits: as they are read, and as they are compared with.
pub const IDEAL: usize = 2;
/// Bytes of a number in single precision.
const SINGLE: usize = 4;
/// Features of an image: pooled pixels; Inception's, of which transformers have no more.
const PIXELS: usize = 192;
const INCEPTION: usize = 2048;

/// Numbers of an image.
fn numbers(size: usize) -> usize {
    CHANNELS * size * size
}

impl Source<'_> {
    /// A batch, of which a mixture has as many terms as components at once.
    pub(super) fn batch_fits(&self, raw: Option<&Spanned<usize>>, batch: usize, model: &ModelSpec) -> Result<()> {
        let (terms, of) = match &model.kind {
            ModelKind::Mixture(components) if components.len() > 1 => {
                (components.len(), format!(" with {} components", components.len()))
            }
            _ => (1, String::new()),
        };
        let what = format!("batch is {batch}; so many images of {0}x{0}{of}", model.size);
        self.memory(raw.map_or(0..0, Spanned::span), what, &[batch, terms, SINGLE, numbers(model.size)], MEMORY)
    }

    /// The images of the solution that are compared.
    pub(super) fn solution_fits(&self, span: Range<usize>, samples: usize, size: usize) -> Result<()> {
        let what = format!("samples in [solution] is {samples}; so many images of {size}x{size}");
        self.memory(span, what, &[samples, SINGLE, numbers(size)], SOLUTION)
    }

    /// The converged samples that a metric is paired with.
    pub(super) fn converged_fit(&self, span: Range<usize>, metric: &str, samples: usize, size: usize) -> Result<()> {
        let what = format!("metric '{metric}' needs converged samples; {samples} images of {size}x{size}");
        self.memory(span, what, &[samples, SINGLE, numbers(size)], SOLUTION)
    }

    /// Features of all images of a cell, from which the error of a distance follows.
    pub(super) fn features_fit(&self, span: Range<usize>, metric: &str, samples: usize, of: Features) -> Result<()> {
        let what =
            format!("metric '{metric}' keeps the features of {samples} images and of their converged samples, which");
        let dim = if of == Features::Pixels { PIXELS } else { INCEPTION };
        // Those of converged samples, of the same and of other noise, beside a cell's own.
        self.memory(span, what, &[samples, 3 * SINGLE, dim], MEMORY)
    }

    /// Means and variances of a mixture.
    pub(super) fn components_fit(&self, span: Range<usize>, components: usize, size: usize) -> Result<()> {
        let what = format!("{components} [[model.component]] tables of {size}x{size}");
        self.memory(span, what, &[components, 2 * size_of::<f64>(), numbers(size)], MEMORY)
    }

    /// Images of an ideal denoiser.
    pub(super) fn ideal_images(&self, raw: &Spanned<usize>, size: usize) -> Result<usize> {
        let images = self.within("images", raw, 1..10_000_001)?;
        let what = format!("images in [model] is {images}; so many of {size}x{size}");
        self.memory(raw.span(), what, &[images, IDEAL, numbers(size)], MEMORY)?;
        Ok(images)
    }
}
