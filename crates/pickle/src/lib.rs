//! Pickles as data: every call, class and persistent object that a file asks for is kept as what it says, and nothing is executed.
//!
//! Python's pickle is a program for a machine with a stack and a memo (`pickletools` documents its operations). This machine runs
//! protocols 0 to 5 and makes of a pickle a list of [`Node`]s that refer to one another by number, so that sharing and cycles cost
//! nothing and nothing here recurses. What a file can make it do is bounded: see [`OPERATIONS`], [`DEPTH`] and [`NAME`]. Nodes borrow
//! their text from the file; what copies text counts it.
//!
//! [`examine()`] runs it over a file of PyTorch's ahead of a reader that believes more of what a file says.

mod examine;
mod machine;
mod names;
mod node;

pub use examine::examine;
pub use node::{Call, Id, Node, Pickle};

/// Operations of one pickle. Each makes at most one node and one reference, so that memory is bounded with them: a hundred
/// megabytes at most, whatever a file says.
pub const OPERATIONS: usize = 1 << 20;
/// Containers that are open at a time.
pub const DEPTH: usize = 1 << 12;

/// Bytes of a name: of a class, a module or a tensor.
pub const NAME: usize = 256;

/// Why a pickle cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {reason}")]
pub struct Fault {
    /// Where in the file.
    pub at: usize,
    /// What is there, and what was expected.
    pub reason: String,
}

impl Fault {
    /// With a reason in words.
    pub fn new(at: usize, reason: impl Into<String>) -> Fault {
        Fault { at, reason: reason.into() }
    }
}
