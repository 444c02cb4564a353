//! What the runner itself reads of files that others wrote.

use std::path::Path;

use super::targets::{ARRAY, LEAVES, TEXT, Target, text};
use crate::{command, experiment::Experiment, npz, report, results::published};

/// All targets.
pub fn all() -> impl Iterator<Item = &'static Target> {
    OWN.iter().chain(&LEAVES)
}

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    all().find(|target| target.name == name)
}

static OWN: [Target; 4] = [
    // A mixture's means and variances may take as much as thousands of numbers for each that is written.
    Target {
        name: "experiment",
        file: "a.toml",
        memory: (64 << 20, 1 << 14),
        seeds: &["experiments"],
        read: experiment,
    },
    Target {
        name: "training",
        file: "a.toml",
        memory: TEXT,
        seeds: &["experiments/train-cifar10.toml", "experiments/authors-church64.toml"],
        read: |path| command::check_training(path).map_err(text),
    },
    Target { name: "published", file: "a.toml", memory: TEXT, seeds: &["experiments/published"], read: published },
    Target {
        name: "noise-npz",
        file: "a.npz",
        memory: ARRAY,
        seeds: &[],
        read: |path| npz::read(path, [3, 2, 2]).map(drop).map_err(text),
    },
];

fn experiment(path: &Path) -> Result<(), String> {
    let experiment = Experiment::read(path).map_err(text)?;
    for (entry, nfe, _) in experiment.cells() {
        assert!(entry.has(nfe) && !entry.name().is_empty() && !entry.label().is_empty());
    }
    Ok(())
}

fn published(path: &Path) -> Result<(), String> {
    let rows = published::read(path).map_err(text)?;
    assert!(!report::published::table(&rows).is_empty());
    Ok(())
}
