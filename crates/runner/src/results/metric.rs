//! What is measured of a cell's samples.

use fewstep_fid::Protocol;
use serde::{Deserialize, Serialize};

/// A metric; lower is better for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Fréchet distance between FID-Inception features of the samples and of the data.
    #[default]
    Fid,
    /// The same in the limit of many images, by a line through the distances of fewer.
    FidInfinity,
    /// The same to the network's own converged samples from other noise: the sampler's error alone, 0 in the limit of many images.
    FidSolution,
    /// The same to the network's own converged samples from the same noise.
    FidPaired,
    /// Root-mean-square L2 distance of each image's FID-Inception features to those of its own converged sample.
    FeatureRmse,
    /// Fréchet distance between pixels pooled to 8×8.
    FdPixel,
    /// The same to the network's own converged samples from other noise.
    FdPixelSolution,
    /// Fréchet distance between features of a vision transformer, which the experiment names, of the samples and of the data.
    FdVit,
    /// The same to the network's own converged samples from other noise.
    FdVitSolution,
    /// The same to the network's own converged samples from the same noise.
    FdVitPaired,
    /// Fréchet distance between samples as the sampler left them and an oracle's exact moments.
    FdData,
    /// Root-mean-square pixel distance to the many-step solution from the same noise.
    OdeRmse,
}

/// A space of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Features {
    /// FID-Inception's pool3.
    Inception,
    /// Pixels pooled to 8×8.
    Pixels,
    /// A vision transformer's.
    Vit,
}

/// Where the network's converged samples come from that a metric compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noise {
    /// The cell's own x_T, image by image.
    Same,
    /// Noise that no cell has.
    Other,
}

impl Features {
    /// All, in the order in which they are opened.
    pub const ALL: [Features; 3] = [Features::Inception, Features::Pixels, Features::Vit];

    /// Evaluations of a small U-Net that an image's features cost as much as: for the time left only.
    pub fn cost(self) -> u64 {
        match self {
            Features::Inception => 25,
            Features::Vit => 350,
            Features::Pixels => 0,
        }
    }
}

impl Metric {
    /// All metrics, in the order of the columns.
    pub const ALL: [Metric; 12] = [
        Metric::Fid,
        Metric::FidInfinity,
        Metric::FidSolution,
        Metric::FidPaired,
        Metric::FeatureRmse,
        Metric::FdPixel,
        Metric::FdPixelSolution,
        Metric::FdVit,
        Metric::FdVitSolution,
        Metric::FdVitPaired,
        Metric::FdData,
        Metric::OdeRmse,
    ];

    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Fid => "fid",
            Metric::FidInfinity => "fid_infinity",
            Metric::FidSolution => "fid_solution",
            Metric::FidPaired => "fid_paired",
            Metric::FeatureRmse => "feature_rmse",
            Metric::FdPixel => "fd_pixel",
            Metric::FdPixelSolution => "fd_pixel_solution",
            Metric::FdVit => "fd_vit",
            Metric::FdVitSolution => "fd_vit_solution",
            Metric::FdVitPaired => "fd_vit_paired",
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
            Metric::FidInfinity => "FID∞: FID in the limit of many images",
            Metric::FidSolution => "FID to the network's converged samples from other noise",
            Metric::FidPaired => "FID to the network's converged samples from the same noise",
            Metric::FeatureRmse => "RMS distance of Inception features to the same image's converged sample",
            Metric::FdPixel => "Fréchet distance of 8×8 pixels",
            Metric::FdPixelSolution => {
                "Fréchet distance of 8×8 pixels to the network's converged samples from other noise"
            }
            Metric::FdVit => "Fréchet distance of vision-transformer features",
            Metric::FdVitSolution => {
                "Fréchet distance of vision-transformer features to the network's converged samples from other noise"
            }
            Metric::FdVitPaired => {
                "Fréchet distance of vision-transformer features to the network's converged samples from the same noise"
            }
            Metric::FdData => "Fréchet distance to the data's exact moments",
            Metric::OdeRmse => "RMS distance to the ODE's solution",
        }
    }

    /// The title where images were shown to Inception by the protocol of this name. Titles without one mean pytorch-fid's.
    pub fn title_by(self, protocol: &str) -> String {
        if self.features() != Some(Features::Inception) || protocol.is_empty() || protocol == Protocol::default().name()
        {
            return self.title().to_owned();
        }
        match self {
            Metric::Fid => format!("FID (Inception's pool3, protocol {protocol})"),
            other => format!("{} (protocol {protocol})", other.title()),
        }
    }

    /// Whether it is one distance between two sets of images, biased upwards where these are small, and no mean over images. What its images
    /// are kept with is each one's influence on it then, and else each one's square.
    pub fn is_frechet(self) -> bool {
        !matches!(self, Metric::OdeRmse | Metric::FeatureRmse)
    }

    /// Whether it is a distance to data that has the network's own error in it.
    pub fn is_of_data(self) -> bool {
        matches!(self, Metric::Fid | Metric::FidInfinity | Metric::FdPixel | Metric::FdVit)
    }

    /// The features that it is measured in, of 8-bit images; none where it is measured of samples as the sampler left them.
    pub fn features(self) -> Option<Features> {
        match self {
            Metric::Fid | Metric::FidInfinity | Metric::FidSolution | Metric::FidPaired | Metric::FeatureRmse => {
                Some(Features::Inception)
            }
            Metric::FdPixel | Metric::FdPixelSolution => Some(Features::Pixels),
            Metric::FdVit | Metric::FdVitSolution | Metric::FdVitPaired => Some(Features::Vit),
            Metric::FdData | Metric::OdeRmse => None,
        }
    }

    /// The noise of the converged samples whose features it is measured from; none where it is measured from anything else.
    pub fn noise(self) -> Option<Noise> {
        match self {
            Metric::FidSolution | Metric::FdPixelSolution | Metric::FdVitSolution => Some(Noise::Other),
            Metric::FidPaired | Metric::FeatureRmse | Metric::FdVitPaired => Some(Noise::Same),
            Metric::Fid | Metric::FidInfinity | Metric::FdPixel | Metric::FdVit | Metric::FdData | Metric::OdeRmse => {
                None
            }
        }
    }

    /// Whether it is measured from what many steps give.
    pub fn needs_solution(self) -> bool {
        self == Metric::OdeRmse || self.noise().is_some()
    }

    /// Whether it compares each image with what the ODE makes of its own noise, which a method with noise in its steps does not solve.
    pub fn is_paired(self) -> bool {
        self == Metric::OdeRmse || self.noise() == Some(Noise::Same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_name_another_protocol_where_it_matters() {
        assert_eq!(Metric::Fid.title_by("clean"), "FID (Inception's pool3, protocol clean)");
        assert!(Metric::FidPaired.title_by("tensorflow").ends_with(" from the same noise (protocol tensorflow)"));
        for (metric, protocol) in [(Metric::Fid, ""), (Metric::Fid, "pytorch-fid"), (Metric::FdPixel, "clean")] {
            assert_eq!(metric.title_by(protocol), metric.title());
        }
    }
}
