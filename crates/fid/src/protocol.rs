//! How images become what the network sees. One network, three conventions that figures of different papers were measured by: an FID of one
//! is no FID of another.

use crate::Identity;

/// A convention: how an 8-bit image is resized to 299×299, and to what range its values are brought.
///
/// | name | resizing | values | who has it |
/// |---|---|---|---|
/// | `pytorch-fid` | bilinear between pixel centres, no antialiasing | x/255 · 2 − 1 | pytorch-fid 0.3 |
/// | `tensorflow` | bilinear of TensorFlow 1: output i is at i·size/299, no antialiasing | (x − 128)/128 | the graph `inception-2015-12-05` itself, torch-fidelity, NVIDIA's and OpenAI's evaluators |
/// | `clean` | Pillow's bicubic in floating point, antialiased where it shrinks, clipped to 0–255 | (x − 128)/128 | clean-fid's `mode="clean"` |
///
/// Source of the last: G. Parmar, R. Zhang, J.-Y. Zhu, *On Aliased Resizing and Surprising Subtleties in GAN Evaluation*, arXiv 2104.11222.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// pytorch-fid's.
    #[default]
    PytorchFid,
    /// That of the TensorFlow graph.
    Tensorflow,
    /// clean-fid's.
    Clean,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::PytorchFid, Protocol::Tensorflow, Protocol::Clean];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::PytorchFid => "pytorch-fid",
            Protocol::Tensorflow => "tensorflow",
            Protocol::Clean => "clean",
        }
    }

    /// The protocol of this name.
    pub fn named(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// That of features with this identity; none where they have none, as pixels.
    pub fn of(identity: &Identity) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.preparation() == identity.preparation)
    }

    /// In words, as statistics keep it.
    pub(crate) fn preparation(self) -> &'static str {
        match self {
            Protocol::PytorchFid => "RGB / 255, bilinear to 299x299 (corners not aligned, no antialiasing), 2x - 1",
            Protocol::Tensorflow => "RGB, bilinear to 299x299 (TensorFlow 1, no antialiasing), (x - 128) / 128",
            Protocol::Clean => "RGB, bicubic to 299x299 (Pillow, antialiased), clipped to 0-255, (x - 128) / 128",
        }
    }
}
