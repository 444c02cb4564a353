//! One error type.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no plan, or no normaliser.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not what was expected.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// A method was asked for something it cannot do.
    #[error("{0}")]
    Request(String),
}
