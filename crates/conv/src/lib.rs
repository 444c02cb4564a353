//! Convolutional networks on this machine's cores, several times faster than through a general framework.
//!
//! Activations are kept in blocks of 16 channels ([`Planes`]), so that every operation is on whole vectors and a pixel's place is a
//! constant; weights are packed once ([`Conv`]); what follows a convolution is done where its sums are written. The crate knows
//! nothing of diffusion or of any network: these are the pieces. Everything goes by image, one task each, and every number is one
//! fixed chain of operations: results depend neither on batches nor on threads.

mod activation;
mod attention;
mod conv;
mod frequencies;
mod level;
mod norm;
mod panels;
mod pixels;
mod planes;
mod pool;
mod product;
mod toom;
mod winograd;

pub use attention::{Attention, AttentionWeights};
pub use conv::{Algorithm, Conv, ConvSpec, Target};
pub use level::Level;
pub use norm::{GroupNorm, Modulation};
pub use pixels::{add_to_channels, copy, enlarge, from_pixels, halve, scale, to_pixels};
pub use planes::{Channels, LANES, Lane, Planes, Scratch, Shape, View, ViewMut};
pub use pool::Pool;
