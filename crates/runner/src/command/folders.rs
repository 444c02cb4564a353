//! Where commands find and leave results.

use std::path::{Path, PathBuf};

use crate::cli::RUNS;

/// Where what is published lies.
pub const PUBLISHED: &str = "results";

/// The folder of runs of the experiment `name`.
pub fn run_folder(name: &str) -> PathBuf {
    Path::new(RUNS).join(name)
}

/// The folder of what is published of it.
pub fn published_folder(name: &str) -> PathBuf {
    Path::new(PUBLISHED).join(name)
}
