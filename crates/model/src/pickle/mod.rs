//! What pickles hold of networks: the machine that reads them is `fewstep-pickle`'s; tensors in them are here.

mod torch;

pub(crate) use fewstep_pickle::{Fault, Id, NAME, Node, Pickle, examine};
pub(crate) use torch::{PickledTensor, Tensors};

/// Whether a file that begins so is a pickle itself: not one of PyTorch's containers, which begin with an archive's bytes or with
/// the pickle of a certain number.
pub(crate) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..]) && !start[2..].starts_with(&[0x8a, 10, 0x6c, 0xfc, 0x9c])
}
