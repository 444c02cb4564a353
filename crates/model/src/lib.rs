//! Noise predictors: (x, τ) → ε.
//!
//! A [`Predictor`] maps x `[batch, channels, height, width]` and a time τ to the noise prediction of the same shape, and
//! counts what it evaluates. [`Network`] is the U-Net of improved-diffusion, DDPM and DDPM++ ([`UNet`]) with its output
//! turned into ε ([`Conditioning`]), read from a [`Checkpoint`] or trained by a [`Trainer`]; [`Mixture`] and [`Ideal`] are exact.

mod conditioning;
mod error;
mod layout;
mod network;
mod oracle;
mod pickle;
mod predictor;
mod train;
mod unet;
mod weights;

pub use conditioning::Conditioning;
pub use error::{Error, Result};
pub use layout::Selected;
pub use network::{Checkpoint, Classes, Network, Prediction};
pub use oracle::{Component, Ideal, Mixture};
pub use predictor::{DataMoments, Levels, Predictor};
pub use train::{Rate, Step, TrainSpec, Trainer, TrainingImages};
pub use unet::{CompiledUNet, Form, UNet, UNetConfig};
pub use weights::Weights;
