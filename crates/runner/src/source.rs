//! A TOML file that people write: read with messages that name file, line and column.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::{
    failure::{Failure, Result},
    files,
};

/// Most memory that one thing of a run may take.
pub const MEMORY: u64 = 32 << 30;

/// What to say where these numbers, multiplied, are more than `most` bytes.
pub fn too_large(numbers: &[usize], most: u64) -> Option<String> {
    let bytes = numbers.iter().fold(1u64, |bytes, &number| bytes.saturating_mul(number as u64));
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    (bytes > most).then(|| format!("would take {} of memory; expected at most {}", gigabytes(bytes), gigabytes(most)))
}

/// The file, for messages with line and column.
pub struct Source<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// An error at a place in the file.
    pub fn error(&self, span: Range<usize>, message: impl std::fmt::Display) -> Failure {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        Failure::Request(format!("{}:{line}:{column}: {message}", self.path.display()))
    }

    /// A whole number within limits.
    pub fn within(&self, name: &str, value: &Spanned<usize>, limits: Range<usize>) -> Result<usize> {
        let number = *value.get_ref();
        if limits.contains(&number) {
            return Ok(number);
        }
        let message = format!("{name} is {number}; expected {} to {}", limits.start, limits.end - 1);
        Err(self.error(value.span(), message))
    }

    /// Refuses what would take more than `most` bytes of memory; `numbers` are multiplied.
    pub fn memory(&self, span: Range<usize>, what: impl fmt::Display, numbers: &[usize], most: u64) -> Result<()> {
        match too_large(numbers, most) {
            Some(reason) => Err(self.error(span, format!("{what} {reason}"))),
            None => Ok(()),
        }
    }

    /// Paths in an experiment are relative to its file.
    pub fn beside(&self, path: PathBuf) -> PathBuf {
        files::parent(self.path).join(path)
    }

    /// Images that a file names: `cifar10:train` and the like as they are, paths relative to the file.
    pub fn data(&self, name: &str) -> PathBuf {
        if name.starts_with("cifar10:") { name.into() } else { self.beside(name.into()) }
    }

    /// Parses the file; the rest of the checks are its reader's.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(self.text)
            .map_err(|error| self.error(error.span().unwrap_or(0..0), error.message().replace('\n', " ")))
    }

    /// The file's stem: the name of its results.
    pub fn name(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }
}
