//! One error type.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint is not what was expected.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The tensor or metadata entry, and what was expected.
        reason: String,
    },
    /// Training cannot go on.
    #[error("{0}")]
    Training(String),
    /// A configuration contradicts itself.
    #[error("model configuration: {0}")]
    Config(String),
}
