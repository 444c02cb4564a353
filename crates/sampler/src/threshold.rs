//! Thresholding of data predictions: what keeps x̂₀ within the data's range.

use std::{fmt, str::FromStr};

use burn::tensor::Tensor;
use serde::{Serialize, Serializer};

use crate::Error;

/// What is done to x̂₀ = (x − σ ε)/√ᾱ before a method sees it; ε follows x̂₀.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Nothing.
    None,
    /// Clipped to [−1, 1].
    Clip,
    /// Clipped to [−s, s] and divided by s, with s ≥ 1 that percentile of an image's |x̂₀|, linear between ranks (Saharia et
    /// al. 2022, arXiv 2205.11487, section 2.3).
    Dynamic(f64),
}

/// The percentile of Saharia et al.
const PERCENTILE: f64 = 0.995;

impl Threshold {
    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Threshold::None
    }

    /// ε for x `[batch, …]` whose x̂₀ is thresholded, at a time with this ᾱ.
    pub fn apply<const D: usize>(self, x: Tensor<D>, epsilon: Tensor<D>, alpha_bar: f64) -> Tensor<D> {
        let (alpha, sigma) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        let data = || (x.clone() - epsilon.clone() * sigma) / alpha;
        let kept = match self {
            Threshold::None => return epsilon,
            Threshold::Clip => data().clamp(-1.0, 1.0),
            Threshold::Dynamic(percentile) => {
                let data = data();
                let shape = data.dims();
                let rows: Tensor<2> = data.clone().flatten(1, D - 1);
                let [images, len] = rows.dims();
                let rank = percentile * (len - 1) as f64;
                let (below, fraction) = (rank as usize, rank.fract());
                let sorted = rows.clone().abs().sort(1);
                let at = |rank: usize| sorted.clone().narrow(1, rank.min(len - 1), 1);
                let s = (at(below) * (1.0 - fraction) + at(below + 1) * fraction).clamp_min(1.0).expand([images, len]);
                let clipped = rows.min_pair(s.clone()).max_pair(-s.clone());
                (clipped / s).reshape(shape)
            }
        };
        (x - kept * alpha) / sigma
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::None => f.write_str("none"),
            Threshold::Clip => f.write_str("clip"),
            Threshold::Dynamic(percentile) => write!(f, "dynamic-{percentile}"),
        }
    }
}

impl FromStr for Threshold {
    type Err = Error;

    /// `none`, `clip`, `dynamic` or `dynamic-PERCENTILE`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let percentile = |text: &str| text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
        match text {
            "none" => Some(Threshold::None),
            "clip" => Some(Threshold::Clip),
            "dynamic" => Some(Threshold::Dynamic(PERCENTILE)),
            _ => text.strip_prefix("dynamic-").and_then(percentile).map(Threshold::Dynamic),
        }
        .ok_or_else(|| {
            Error::Request(format!(
                "no threshold '{text}'; expected none, clip, dynamic or dynamic-P with P from 0 to 1"
            ))
        })
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
