//! Noise predictors: (x, τ) → ε.
//!
//! A [`Predictor`] maps x `[batch, channels, height, width]` and a time τ to the noise prediction of the same
//! shape, and counts what it evaluates. [`Network`] is the U-Net of improved-diffusion ([`UNet`]) with its kind
//! of prediction turned into ε; [`Gaussian`] is the exact predictor of Gaussian data.

mod error;
mod gaussian;
mod layout;
mod network;
mod predictor;
mod train;
mod unet;
mod weights;

pub use error::{Error, Result};
pub use gaussian::Gaussian;
pub use layout::Selected;
pub use network::{Checkpoint, Network, Prediction};
pub use predictor::{Levels, Predictor};
pub use train::{Rate, Step, TrainSpec, Trainer, TrainingImages};
pub use unet::{UNet, UNetConfig};
pub use weights::Weights;
