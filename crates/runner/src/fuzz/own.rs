//! What the runner itself reads of files that others wrote.

use std::path::Path;

use super::targets::{ARRAY, LEAVES, TEXT, Target, text};
use crate::{
    command,
    experiment::Experiment,
    npz, report,
    results::{Folder, published},
};

/// All targets.
pub fn all() -> impl Iterator<Item = &'static Target> {
    OWN.iter().chain(&LEAVES)
}

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    all().find(|target| target.name == name)
}

static OWN: [Target; 12] = [
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
    // A folder of results that somebody sent: each of its files beside good ones.
    Target {
        name: "cells",
        file: "cells.csv",
        memory: FOLDER,
        seeds: &["results/plan-by-hand/cells.csv", "results/mixture/cells.csv"],
        read: results,
    },
    Target {
        name: "provenance",
        file: "provenance.toml",
        memory: FOLDER,
        seeds: &["results/plan-by-hand/provenance.toml"],
        read: results,
    },
    Target {
        name: "images-parquet",
        file: "images.parquet",
        memory: FOLDER,
        seeds: &["results/plan-by-hand/images.parquet"],
        read: results,
    },
    // Results without cells, by the table that tells of what kind they are.
    Target {
        name: "curves-csv",
        file: "curves.csv",
        memory: FOLDER,
        seeds: &["results/curves/curves.csv"],
        read: figures,
    },
    Target {
        name: "orders-csv",
        file: "orders.csv",
        memory: FOLDER,
        seeds: &["results/convergence/orders.csv"],
        read: figures,
    },
    Target { name: "peers-csv", file: "peers.csv", memory: FOLDER, seeds: &["results/bench/peers.csv"], read: figures },
    Target {
        name: "loss-csv",
        file: "loss.csv",
        memory: FOLDER,
        seeds: &["results/train-cifar10/loss.csv"],
        read: figures,
    },
    Target { name: "fit-csv", file: "fit.csv", memory: FOLDER, seeds: &["results/fit/fit.csv"], read: figures },
];

/// Tables of results, of which a page is made.
const FOLDER: (usize, usize) = (300 << 20, 1 << 14);
/// Good files of a folder, for the one that is not.
const GOOD: [(&str, &[u8]); 2] = [
    ("cells.csv", include_bytes!("../../../../results/plan-by-hand/cells.csv")),
    ("images.parquet", include_bytes!("../../../../results/plan-by-hand/images.parquet")),
];

/// Tables and a page of what was read.
fn results(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    for (name, bytes) in GOOD {
        if !path.ends_with(name) {
            std::fs::write(folder.join(name), bytes).map_err(text)?;
        }
    }
    let read = Folder::read(folder).map_err(text)?;
    assert!(!report::page::html(folder, &read).map_err(text)?.is_empty());
    Ok(())
}

/// A page of results without cells.
fn figures(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    // Bench's tables are of a machine.
    std::fs::write(folder.join("machine.toml"), include_bytes!("../../../../results/bench/machine.toml"))
        .map_err(text)?;
    let read = report::figures::of(folder).map_err(text)?;
    assert!(!report::figures::html(&read.ok_or("no results")?).map_err(text)?.is_empty());
    Ok(())
}

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
