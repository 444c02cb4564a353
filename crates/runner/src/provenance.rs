//! Where results came from: `provenance.toml`.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    files,
};

/// What the results of an experiment depend on.
#[derive(Serialize)]
pub struct Provenance {
    /// Experiment's name.
    pub experiment: String,
    /// SHA-256 of its file.
    pub experiment_sha256: String,
    /// Where it was computed.
    pub device: String,
    /// Version of this program.
    pub fewstep: &'static str,
    /// SHA-256 of the sources that decide the figures.
    pub code: &'static str,
    /// Version of burn.
    pub burn: &'static str,
    /// How many cells were measured at which commit of the experiment's repository ([`commit`]).
    pub commits: BTreeMap<String, usize>,
    /// SHA-256 of what was read: weights, statistics, normaliser.
    pub assets: BTreeMap<String, String>,
}

/// SHA-256 of the sources that decide what a cell's figures are; `build.rs` lists them.
pub const CODE: &str = env!("FEWSTEP_CODE");

/// The version that the workspace pins.
pub const BURN: &str = "0.22.1";

impl Provenance {
    /// Writes `provenance.toml` into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(Failure::run)?;
        files::write(&folder.join("provenance.toml"), text.as_bytes())
    }
}

/// The commit of the repository around `path`, with `-dirty` where files differ from it; `unknown` without one.
pub fn commit(path: &Path) -> String {
    let folder = files::parent(path);
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return "unknown".into() };
    // Results are what a run writes; they do not make the code that wrote them another.
    match git(&["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}
