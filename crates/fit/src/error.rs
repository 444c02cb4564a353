//! What can go wrong.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why nothing was fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was asked for has no sense.
    #[error("{0}")]
    Request(String),
    /// The network's own.
    #[error("{0}")]
    Network(String),
    /// A number that is not finite: the network or the plan diverged.
    #[error("{0}")]
    Diverged(String),
}

impl From<fewstep_sampler::Error> for Error {
    fn from(error: fewstep_sampler::Error) -> Self {
        Error::Request(error.to_string())
    }
}
