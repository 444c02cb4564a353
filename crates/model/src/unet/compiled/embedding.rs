//! What timesteps and classes become: the same for all images that have them, so computed once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use burn::nn::Linear;
use fewstep_conv::{Channels, Lane};

use super::{
    super::{Embedding, UNet},
    pack::numbers,
};

/// Timesteps and classes whose embedding is kept.
const REMEMBERED: usize = 256;

/// A linear layer, `[output][input]`.
pub(super) struct Dense {
    rows: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    pub fn new(linear: &Linear) -> Dense {
        let bias = linear.bias.as_ref().map(|bias| numbers(bias.val())).unwrap_or_default();
        Dense { rows: numbers(linear.weight.val().transpose()), bias }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let row =
            |(row, bias): (&[f32], &f32)| row.iter().zip(x).map(|(w, x)| f64::from(w * x)).sum::<f64>() as f32 + bias;
        self.rows.chunks(x.len()).zip(&self.bias).map(row).collect()
    }
}

/// From the embedding of a timestep to what a residual block makes of it.
pub(super) struct Projection {
    pub linear: Dense,
    pub channels: Channels,
}

/// Scale and shift, or what is added and nothing.
pub(super) struct Projected {
    pub first: Vec<Lane>,
    pub second: Vec<Lane>,
}

/// What a timestep and a class become in each residual block.
pub(super) type Projections = Arc<Vec<Projected>>;

/// Those of every image.
pub(super) type Labelled = [Projections];

/// Bits of a timestep, and a class.
type Label = (u32, Option<usize>);

/// From a timestep and a class to what every residual block makes of them: the same for all images of a class, so computed once.
pub(super) struct TimeEmbedding {
    embedding: Embedding,
    label: Option<Dense>,
    layers: Vec<Dense>,
    projections: Vec<Projection>,
    known: Mutex<HashMap<Label, Projections>>,
}

impl TimeEmbedding {
    pub fn new(unet: &UNet, projections: Vec<Projection>) -> TimeEmbedding {
        let layers = unet.time_embed.iter().map(Dense::new).collect();
        let label = unet.label.as_ref().map(Dense::new);
        TimeEmbedding { embedding: unet.embedding.clone(), label, layers, projections, known: Mutex::default() }
    }

    pub fn at(&self, timestep: f32, class: Option<usize>) -> Projections {
        let key = (timestep.to_bits(), class);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(projected) = known().get(&key) {
            return projected.clone();
        }
        let projected = Arc::new(self.project(timestep, class));
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, projected.clone());
        projected
    }

    fn project(&self, timestep: f32, class: Option<usize>) -> Vec<Projected> {
        let activate = |x: Vec<f32>| x.into_iter().map(|x| x / (1.0 + (-x).exp())).collect::<Vec<f32>>();
        let mut embedding = self.embedding.of(timestep);
        if let Some(label) = &self.label {
            let mut classes = vec![0.0; label.rows.len() / label.bias.len()];
            let one = (classes.len() as f32).sqrt();
            class.and_then(|class| classes.get_mut(class)).into_iter().for_each(|value| *value = one);
            embedding.iter_mut().zip(label.forward(&classes)).for_each(|(value, added)| *value += added);
        }
        let embedding = self.layers.iter().fold(embedding, |x, layer| activate(layer.forward(&x)));
        let project = |Projection { linear, channels }: &Projection| {
            let values = linear.forward(&embedding);
            let (first, second) = values.split_at(channels.count());
            Projected { first: channels.lanes(first), second: channels.lanes(second) }
        };
        self.projections.iter().map(project).collect()
    }
}
