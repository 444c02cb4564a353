//! Where results came from: `provenance.toml`.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::{
    failure::{Failure, Result},
    files,
};

/// The commit that the sources of this program were last changed at, with `-dirty` where they differ from it: fixed when the
/// program is built (`build.rs`).
pub const BUILD: &str = env!("FEWSTEP_BUILD");

/// The version that the workspace pins.
pub const BURN: &str = "0.22.1";

/// What the results of an experiment depend on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Experiment's name.
    pub experiment: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file.
    pub experiment_sha256: String,
    /// Version of the program that wrote the tables.
    pub fewstep: String,
    /// Version of burn.
    pub burn: String,
    /// How many cells the experiment has.
    pub cells: usize,
    /// How many measurements of them are not there yet.
    pub lacking: usize,
    /// What a reader should know that no figure shows: sentences without their points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<String>,
    /// How many of them were measured by which build.
    pub builds: BTreeMap<String, usize>,
    /// The one build of a training run, which has no cells.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub build: String,
    /// How many of them were measured on which device.
    pub devices: BTreeMap<String, usize>,
    /// Hash of what the network is: parameters, shape, prediction, schedule.
    pub network: String,
    /// Hash of what the program did with it on a small sample, by part.
    pub canary: BTreeMap<String, String>,
    /// Features of a Fréchet metric's space.
    pub dimensions: BTreeMap<String, usize>,
    /// What was read: schedule, weights, statistics, normaliser.
    pub assets: BTreeMap<String, String>,
    /// SHA-256 of the tables that were written with this, so that what is changed in them later is noticed.
    pub files: BTreeMap<String, String>,
}

/// How a caution begins that names metrics, and methods that were fitted to what these look at.
pub const FITTED_TO: &str = "fitted to or chosen by what ";

/// Its name.
pub const FILE: &str = "provenance.toml";

/// What the normaliser is called among the assets.
pub const NORMALISER_ASSET: &str = "normaliser";

/// What the vision transformer whose features are measured in is called among the assets.
pub const VIT_ASSET: &str = "fd_vit-extractor";

/// How many of `records` have which build or device.
pub fn count(records: &[Record], of: fn(&Record) -> &String) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    records.iter().for_each(|record| *counts.entry(of(record).clone()).or_default() += 1);
    counts
}

impl Provenance {
    /// Writes `provenance.toml` into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(Failure::run)?;
        files::write(&folder.join(FILE), text.as_bytes())
    }

    /// Reads it; nothing is known of a folder without one.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Provenance::default());
        }
        toml::from_str(&files::text(&path)?)
            .map_err(|error| Failure::Request(format!("{}: {}", path.display(), error.message())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which version is used is said in one place, and repeated for provenance.
    #[test]
    fn the_version_of_burn_is_the_workspaces() {
        let root = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..");
        let manifest: toml::Table = files::text(&root.join("Cargo.toml")).unwrap().parse().unwrap();
        let pinned = manifest["workspace"]["dependencies"]["burn"]["version"].as_str().unwrap();
        assert_eq!(pinned, format!("={BURN}"));
    }
}
