//! `fewstep publish`: a finished run becomes what the repository publishes.

use std::path::{Path, PathBuf};

use crate::{
    cli,
    failure::{Failure, Result},
    files,
    results::Folder,
};

/// Checks that the run is whole, by one build of a commit, and copies it into `results/`, whole or not at all.
pub fn run(arguments: &cli::Publish) -> Result<()> {
    let run = &arguments.run;
    if !run.is_dir() {
        return Err(Failure::Request(format!("{}: no such folder", run.display())));
    }
    if let Some(reason) = unfit(run)?
        && !arguments.force
    {
        return Err(Failure::Request(format!("{}: {reason}; --force publishes it all the same", run.display())));
    }
    let name = run.canonicalize().map_err(Failure::file(run))?;
    let name = name.file_name().map(PathBuf::from).unwrap_or_default();
    let to = arguments.to.clone().unwrap_or_else(|| Path::new(super::PUBLISHED).join(name));
    if to.canonicalize().ok() == run.canonicalize().ok() {
        return Err(Failure::Request(format!("{}: is what is published", run.display())));
    }
    replace(run, &to)?;
    println!("{}", to.display());
    Ok(())
}

/// Why a run is not to be published; folders without cells (trained networks, orders) are whole as they are.
fn unfit(run: &Path) -> Result<Option<String>> {
    if !Folder::is_at(run) {
        return Ok(None);
    }
    let Folder { records, provenance, .. } = Folder::read(run)?;
    let (there, all) = (records.len(), provenance.cells);
    let builds: Vec<&str> = provenance.builds.keys().map(String::as_str).collect();
    Ok(if there < all || all == 0 {
        Some(format!("{there} of {all} cells are measured"))
    } else if builds.len() != 1 || builds[0].contains(" and ") {
        Some(format!("measured by several builds: {}", builds.join(", ")))
    } else if provenance.devices.len() != 1 {
        Some("measured on several devices".into())
    } else if builds[0].ends_with("-dirty") || builds[0] == "unknown" {
        Some(format!("measured by build {}, whose sources no commit has", builds[0]))
    } else {
        None
    })
}

/// What only the machine that runs needs.
fn is_private(name: &str) -> bool {
    name.ends_with(".safetensors") || name.starts_with('.')
}

/// Puts a copy of the files of `run` where `to` is. Until the new folder is whole the old one stays.
fn replace(run: &Path, to: &Path) -> Result<()> {
    let parent = files::parent(to);
    std::fs::create_dir_all(&parent).map_err(Failure::file(&parent))?;
    let work = tempfile::TempDir::new_in(&parent).map_err(Failure::file(&parent))?;
    let (new, old) = (work.path().join("new"), work.path().join("old"));
    std::fs::create_dir(&new).map_err(Failure::file(&new))?;
    for entry in run.read_dir().map_err(Failure::file(run))? {
        let entry = entry.map_err(Failure::file(run))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !is_private(&name) {
            let bytes = std::fs::read(entry.path()).map_err(Failure::file(&entry.path()))?;
            files::write(&new.join(name), &bytes)?;
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
