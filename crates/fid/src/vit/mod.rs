//! Features of vision transformers: the class token of DINOv2, and CLIP's image embedding.
//!
//! Sources: DINOv2 is of M. Oquab et al., arXiv 2304.07193, and as a space for Fréchet distances of G. Stein et al., *Exposing flaws of
//! generative model evaluation metrics*, arXiv 2306.04675 (FD-DINOv2; the preparation is its code's, dgm-eval). CLIP is of A. Radford et
//! al., arXiv 2103.00020, and as such a space of T. Kynkäänniemi et al., arXiv 2203.06026 (FD-CLIP). The projected embedding is taken, as
//! there and in CMMD (S. Jayasumana et al., arXiv 2401.09603): it is what training compared with texts. `tests/vit.rs` holds small
//! networks of random weights to the original libraries; no pretrained weights have been run here.

mod config;
mod network;
mod positions;
mod prepare;
mod resize;
mod tensors;

use std::path::Path;

use burn::tensor::Device;
use rayon::prelude::*;
use sha2::Digest;

use self::{
    config::{Config, Family},
    network::Network,
    tensors::Tensors,
};
use crate::{Error, Extractor, Identity, Images, Result};

/// A vision transformer.
pub struct Vit {
    network: Network,
    weights: String,
    parallel: bool,
}

impl Vit {
    /// Reads safetensors with the names of Hugging Face's transformers, and `config.json` beside it: `Dinov2Model`, or `CLIPModel` and
    /// `CLIPVisionModelWithProjection`.
    ///
    /// `cpu` says that `device` computes on this machine's cores; images then go through the network one by one, spread over the rayon
    /// pool, so that no batch changes a bit.
    ///
    /// # Errors
    /// Where a file cannot be read, or a tensor is missing, misshapen, not finite, or not of such a network; file and tensor are named.
    pub fn open(path: &Path, device: &Device, cpu: bool) -> Result<Self> {
        let bytes = tensors::bytes(path)?;
        let tensors = Tensors::new(path, &bytes)?;
        let config = Config::read(&path.with_file_name("config.json"))?;
        let network = Network::read(&tensors, config, device)?;
        let (what, ignored): (_, fn(&str) -> bool) = match network.family() {
            // Of its training alone.
            Family::Dinov2 => ("DINOv2", |name| name == "embeddings.mask_token"),
            // The text tower, and numbers 0, 1, 2 … that older files have.
            Family::Clip => ("CLIP", |name| {
                let others = ["text_model.", "text_projection."];
                let single = ["logit_scale", "vision_model.embeddings.position_ids"];
                single.contains(&name) || others.iter().any(|other| name.starts_with(other))
            }),
        };
        let mut hash = tensors.finish(what, ignored)?;
        let shape = serde_json::to_string(&network.shape()).map_err(|error| Error::invalid(path, error))?;
        hash.update(shape.as_bytes());
        Ok(Vit { network, weights: format!("{:x}", hash.finalize()), parallel: cpu })
    }

    /// What a Fréchet distance in this space is called.
    pub fn distance(&self) -> &'static str {
        match self.network.family() {
            Family::Dinov2 => "FD-DINOv2",
            Family::Clip => "FD-CLIP",
        }
    }

    fn rows(&self, images: &[&[u8]], size: [usize; 2]) -> Result<Vec<f32>> {
        let Network { preparation, patch, .. } = &self.network;
        let patches: Vec<f32> = images.iter().flat_map(|image| preparation.patches(image, size, *patch)).collect();
        let features = self.network.forward(patches, images.len());
        features.into_data().try_to_vec().map_err(|error| Error::Values(format!("features are not f32: {error:?}")))
    }
}

impl Extractor for Vit {
    fn identity(&self) -> Identity {
        let Network { width, layers, patch, stored, preparation, .. } = &self.network;
        let size = match (width, layers) {
            (384, 12) => "s".into(),
            (768, 12) => "b".into(),
            (1024, 24) => "l".into(),
            _ => format!("{width}x{layers}-"),
        };
        let (family, what) = match self.network.family() {
            Family::Dinov2 => ("dinov2", "class-token"),
            Family::Clip => ("clip", "image-embedding"),
        };
        let grid = preparation.side / patch;
        let interpolated = format!("; positions bicubic from {stored}x{stored} to {grid}x{grid}, offset 0.1");
        let positions = if *stored == grid { "" } else { &interpolated };
        Identity {
            extractor: format!("{family}-vit-{size}{patch}-{what}"),
            weights: self.weights.clone(),
            preparation: format!("{}{positions}", preparation.describe()),
        }
    }

    fn dim(&self) -> usize {
        self.network.dim
    }

    fn features(&self, images: &Images) -> Result<Vec<f32>> {
        let (size, all) = ([images.height(), images.width()], images.iter().collect::<Vec<_>>());
        if all.is_empty() {
            return Ok(Vec::new());
        }
        if !self.parallel {
            return self.rows(&all, size);
        }
        let rows: Vec<_> = all.par_iter().map(|image| self.rows(&[image], size)).collect::<Result<_>>()?;
        Ok(rows.concat())
    }
}

/// `tests/golden/vit/golden.json`.
#[cfg(test)]
fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/golden/vit/golden.json")).unwrap()
}

/// The image of `make_vit.py`.
#[cfg(test)]
fn pixels([height, width]: [usize; 2]) -> Vec<u8> {
    let value = |y: usize, x: usize, channel: usize| ((5 * x + 3 * y + 70 * channel + x * y % 23 * 4) % 256) as u8;
    (0..height * width * 3).map(|at| value(at / 3 / width, at / 3 % width, at % 3)).collect()
}
