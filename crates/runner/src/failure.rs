//! Why a command failed, and whose turn it is.

use std::{fmt, io::ErrorKind, path::Path, process::ExitCode};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failed command.
#[derive(Debug)]
pub enum Failure {
    /// The request was wrong: arguments, experiment, input files, places to write. Exit status 2.
    Request(String),
    /// The run failed. Exit status 1.
    Run(String),
    /// A sample is not finite. Of a cell that is a result; of what other figures stand on, a failed run.
    Diverged {
        /// The first such image.
        image: usize,
        /// The step that left it so, from 0.
        step: usize,
        /// What was run.
        method: String,
        /// With so many evaluations.
        nfe: usize,
    },
    /// This signal asked for an end: what is finished is kept. Exit status 128 and its number.
    Interrupted(u8),
}

impl Failure {
    /// A wrong request.
    pub fn request(message: impl ToString) -> Self {
        Failure::Request(message.to_string())
    }

    /// A failed run.
    pub fn run(message: impl ToString) -> Self {
        Failure::Run(message.to_string())
    }

    /// For `map_err`: a file that could not be read or written.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| {
            let message = format!("{}: {error}", path.display());
            if comes_again(error.kind()) { Failure::Request(message) } else { Failure::Run(message) }
        }
    }

    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Request(_) => ExitCode::from(2),
            Failure::Run(_) | Failure::Diverged { .. } => ExitCode::FAILURE,
            Failure::Interrupted(signal) => ExitCode::from(128 + signal),
        }
    }
}

/// Whether the same request will meet it again. What a full disk, a device or a network did is no fault of it, and may be over the next time.
fn comes_again(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotSeekable
            | ErrorKind::Unsupported
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Request(message) | Failure::Run(message) => formatter.write_str(message),
            Failure::Diverged { image, step, method, nfe } => {
                write!(formatter, "image {image} of {method} at {nfe} NFE is not finite from step {step} on")
            }
            Failure::Interrupted(signal) => {
                write!(
                    formatter,
                    "ended by signal {signal}; what is finished is kept, and the same command, without --fresh, goes on from there"
                )
            }
        }
    }
}

impl From<fewstep_fid::Error> for Failure {
    fn from(error: fewstep_fid::Error) -> Self {
        match error {
            fewstep_fid::Error::Values(message) => Failure::Run(message),
            fewstep_fid::Error::Io { path, source } => Failure::file(&path)(source),
            other => Failure::request(other),
        }
    }
}

impl From<fewstep_model::Error> for Failure {
    fn from(error: fewstep_model::Error) -> Self {
        match error {
            fewstep_model::Error::Training(message) => Failure::Run(message),
            other => Failure::request(other),
        }
    }
}

impl From<fewstep_sampler::Error> for Failure {
    fn from(error: fewstep_sampler::Error) -> Self {
        Failure::request(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn is_request(error: io::Error) -> bool {
        matches!(Failure::file(Path::new("a"))(error), Failure::Request(message) if message.starts_with("a: "))
    }

    #[test]
    fn what_may_pass_is_no_wrong_request() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::IsADirectory,
            ErrorKind::NotADirectory,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidData,
        ] {
            assert!(is_request(kind.into()), "{kind:?}");
        }
        for kind in [
            ErrorKind::StorageFull,
            ErrorKind::QuotaExceeded,
            ErrorKind::Interrupted,
            ErrorKind::TimedOut,
            ErrorKind::StaleNetworkFileHandle,
            ErrorKind::NetworkDown,
            ErrorKind::ResourceBusy,
            ErrorKind::Other,
        ] {
            assert!(!is_request(kind.into()), "{kind:?}");
        }
        // EIO, which has no kind of its own.
        assert!(cfg!(not(unix)) || !is_request(io::Error::from_raw_os_error(5)));
        let of_images =
            |kind: ErrorKind| Failure::from(fewstep_fid::Error::Io { path: "a".into(), source: kind.into() });
        assert!(matches!(of_images(ErrorKind::TimedOut), Failure::Run(_)));
        assert!(matches!(of_images(ErrorKind::NotFound), Failure::Request(_)));
    }
}
