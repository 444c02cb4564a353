//! What is measured of a cell's samples.

use serde::{Deserialize, Serialize};

/// A metric; lower is better for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Fréchet distance between FID-Inception features.
    #[default]
    Fid,
    /// Fréchet distance between pixels pooled to 8×8.
    FdPixel,
    /// Fréchet distance between samples as the sampler left them and an oracle's exact moments.
    FdData,
    /// Root-mean-square pixel distance to the many-step solution from the same noise.
    OdeRmse,
}

impl Metric {
    /// All metrics, in the order of the columns.
    pub const ALL: [Metric; 4] = [Metric::Fid, Metric::FdPixel, Metric::FdData, Metric::OdeRmse];

    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Fid => "fid",
            Metric::FdPixel => "fd_pixel",
            Metric::FdData => "fd_data",
            Metric::OdeRmse => "ode_rmse",
        }
    }

    /// The metric with this name.
    pub fn named(name: &str) -> Option<Self> {
        Metric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Title of charts and tables.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Fid => "FID (pytorch-fid's Inception, pool3)",
            Metric::FdPixel => "Fréchet distance of 8×8 pixels",
            Metric::FdData => "Fréchet distance to the data's exact moments",
            Metric::OdeRmse => "RMS distance to the ODE's solution",
        }
    }

    /// Whether it is one distance between two sets of images, biased upwards where these are small, and no mean over images.
    pub fn is_frechet(self) -> bool {
        self != Metric::OdeRmse
    }
}
