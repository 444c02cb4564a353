//! The Fréchet Inception distance as pytorch-fid computes it: `tests/golden.rs` holds features to 1e-4 of its, and FIDs to 3e-4.
//!
//! Images become feature rows ([`Inception`], [`Vit`], [`Pixel8`]), rows become streaming moments ([`Moments`]),
//! and two sets of moments give one distance ([`frechet_distance`]). [`Statistics`] are moments with their
//! origin: which extractor, which weights, which images. An extractor knows nothing of distances, and a
//! distance nothing of images.
//!
//! One network has three [`Protocol`]s of preparing images. Beside the Fréchet distance of its pool3 features there are that of its [`Spatial`]
//! ones (sFID), the [`kernel_distance`] (KID), [`manifold()`] measures and the [`inception_score`].
//!
//! Source: M. Heusel et al., *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
//! Equilibrium*, arXiv 1706.08500, equation 6; the network and the default protocol are those of pytorch-fid 0.3.

mod band;
mod bidiagonal;
mod bootstrap;
mod compiled;
mod crop;
mod decode;
mod error;
mod extractor;
mod factor;
mod frechet;
mod images;
mod inception;
mod inception_weights;
mod influence;
mod jpeg;
mod kid;
mod limit;
mod lmdb;
mod manifold;
mod moments;
pub mod npy;
mod nuclear_norm;
mod prepare;
mod protocol;
mod score;
mod statistics;
mod tiff;
mod vit;

pub use bootstrap::{Bootstrap, Resamples, frechet_bootstrap};
pub use decode::decode_image;
pub use error::{Error, Result};
pub use extractor::{Extractor, Identity, Pixel8};
pub use frechet::{Gaussian, frechet_distance};
pub use images::{ImageSet, Images, Split};
pub use inception::{Inception, Spatial};
pub use influence::frechet_influence;
pub use kid::{Kid, Subsets, kernel_distance};
pub use limit::{Limit, frechet_limit};
pub use manifold::{Manifold, manifold};
pub use moments::Moments;
pub use protocol::Protocol;
pub use score::{InceptionScore, inception_score};
pub use statistics::{Precision, Statistics, StoredRows};
pub use vit::Vit;
