//! `fewstep publish`: a finished run becomes what the repository publishes.

use std::path::{Path, PathBuf};

use super::folders::PUBLISHED;
use crate::{
    cli,
    failure::{Failure, Result},
    files, report,
    results::Folder,
};

/// Checks that the run is whole, by one build of a commit, and copies it into `results/`, whole or not at all.
pub fn run(arguments: &cli::Publish) -> Result<()> {
    let run = &arguments.run;
    let refuse = |reason: String| Err(Failure::Request(format!("{}: {reason}", run.display())));
    if !run.is_dir() {
        return refuse("no such folder".into());
    }
    let name = run.canonicalize().map_err(Failure::file(run))?;
    let name = name.file_name().map(PathBuf::from).unwrap_or_default();
    let to = arguments.to.clone().unwrap_or_else(|| Path::new(PUBLISHED).join(name));
    if to.canonicalize().ok() == run.canonicalize().ok() {
        return refuse("is what is published".into());
    }
    replaceable(run, &to)?;
    if let Some(reason) = unfit(run)?
        && !arguments.force
    {
        return refuse(format!("{reason}; --force publishes it all the same"));
    }
    if Folder::is_at(run) {
        // What is published is drawn from the cells that are published.
        report::write(run, &Folder::read(run)?)?;
    }
    replace(run, &to)?;
    println!("{}", to.display());
    Ok(())
}

/// Files of which each is all that a folder without cells has to show: measured orders, a training run.
const OTHERS: [&str; 2] = ["orders.csv", "loss.csv"];

fn holds_results(folder: &Path) -> bool {
    Folder::is_at(folder) || OTHERS.iter().any(|name| folder.join(name).is_file())
}

/// Nothing but a folder of results is ever replaced, and one with cells by nothing less.
fn replaceable(run: &Path, to: &Path) -> Result<()> {
    let refuse = |reason: &str| Err(Failure::Request(format!("{}: {reason}", to.display())));
    if !holds_results(run) {
        let path = run.display();
        return Err(Failure::Request(format!(
            "{path}: no cells.csv; expected a run of `fewstep sweep`, orders or train"
        )));
    }
    if to.exists() && !(to.is_dir() && holds_results(to)) {
        return refuse("is there and is no folder of results; it is left as it is");
    }
    let folders = to.read_dir().into_iter().flatten().flatten().any(|entry| entry.path().is_dir());
    if folders {
        return refuse("holds folders, as published results do not; it is left as it is");
    }
    if Folder::is_at(to) && !Folder::is_at(run) {
        return refuse("has cells and the run has none; it is left as it is");
    }
    Ok(())
}

/// Why a run is not to be published.
fn unfit(run: &Path) -> Result<Option<String>> {
    if !Folder::is_at(run) {
        return Ok(None);
    }
    let Folder { records, provenance, .. } = Folder::read(run)?;
    let (there, all, lacking) = (records.len(), provenance.cells, provenance.lacking);
    let mut builds: Vec<&str> = records.iter().map(|record| record.build.as_str()).collect();
    builds.sort_unstable();
    builds.dedup();
    Ok(if there < all || all == 0 || lacking > 0 {
        Some(format!("{there} of {all} cells are there, and {lacking} measurements of them are not"))
    } else if builds.len() != 1 || builds[0].contains(' ') {
        Some(format!("measured by several builds: {}", builds.join(", ")))
    } else if provenance.devices.len() != 1 {
        Some("measured on several devices".into())
    } else if builds[0].ends_with("-dirty") || builds[0] == "unknown" {
        Some(format!("measured by build {}, whose sources no commit has", builds[0]))
    } else {
        None
    })
}

/// What results are made of. State files, weights and what else lies in a run stay there.
const ENDINGS: [&str; 6] = ["csv", "parquet", "md", "toml", "svg", "png"];

/// Puts a copy of the files of `run` where `to` is. Until the new folder is whole the old one stays.
fn replace(run: &Path, to: &Path) -> Result<()> {
    let parent = files::parent(to);
    std::fs::create_dir_all(&parent).map_err(Failure::file(&parent))?;
    let work = tempfile::TempDir::new_in(&parent).map_err(Failure::file(&parent))?;
    let (new, old) = (work.path().join("new"), work.path().join("old"));
    std::fs::create_dir(&new).map_err(Failure::file(&new))?;
    for entry in run.read_dir().map_err(Failure::file(run))? {
        let path = entry.map_err(Failure::file(run))?.path();
        let published = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        if let (true, true, Some(name)) = (path.is_file(), published, path.file_name()) {
            files::write(&new.join(name), &std::fs::read(&path).map_err(Failure::file(&path))?)?;
        }
    }
    if to.exists() {
        std::fs::rename(to, &old).map_err(Failure::file(to))?;
    }
    if let Err(error) = std::fs::rename(&new, to) {
        // The old folder is better than none.
        _ = std::fs::rename(&old, to);
        return Err(Failure::file(to)(error));
    }
    Ok(())
}
