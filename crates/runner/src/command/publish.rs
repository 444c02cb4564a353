//! `fewstep publish`: a finished run becomes what the repository publishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{folders::PUBLISHED, score_curve::NORMALISER};
use crate::{
    cli,
    failure::{Failure, Result},
    files, lock, report,
    results::{Folder, NORMALISER_ASSET, Provenance, count},
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
    let _lock = lock::writing(run)?;
    if let Some(reason) = unfit(run, &to)?
        && !arguments.force
    {
        return refuse(format!("{reason}; --force publishes it all the same"));
    }
    replace(run, &contents(run)?, &to)?;
    println!("{}", to.display());
    Ok(())
}

fn holds_results(folder: &Path) -> bool {
    Folder::is_at(folder) || report::figures::is_at(folder)
}

/// Nothing but a folder of results is ever replaced, and one with cells by nothing less.
fn replaceable(run: &Path, to: &Path) -> Result<()> {
    let refuse = |reason: &str| Err(Failure::Request(format!("{}: {reason}", to.display())));
    if !holds_results(run) {
        let path = run.display();
        return Err(Failure::Request(format!(
            "{path}: no cells.csv; expected a run of `fewstep sweep`, orders, curves, train or fit"
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

/// Why a run is not to be published in `to`.
fn unfit(run: &Path, to: &Path) -> Result<Option<String>> {
    if !Folder::is_at(run) {
        let provenance = Provenance::read(run)?;
        let builds = provenance.builds.keys().chain(Some(&provenance.build).filter(|build| !build.is_empty()));
        return Ok(several_or_none(&builds.map(String::as_str).collect::<Vec<_>>()));
    }
    let folder = Folder::read(run)?;
    let (there, all, lacking) = (folder.records.len(), folder.provenance.cells, folder.provenance.lacking);
    if there < all || all == 0 || lacking > 0 {
        return Ok(Some(format!("{there} of {all} cells are there, and {lacking} measurements of them are not")));
    }
    // Cells that are published already stay so where others are added to them (`sweep --take`).
    let published = if Folder::is_at(to) { Provenance::read(to)?.builds } else { BTreeMap::new() };
    let published: BTreeSet<&str> = published.keys().flat_map(|builds| builds.split(" and ")).collect();
    let mut all: Vec<&str> = folder.provenance.builds.keys().flat_map(|builds| builds.split(" and ")).collect();
    all.sort_unstable();
    all.dedup();
    let new: Vec<&str> = all.iter().copied().filter(|build| all.len() == 1 || !published.contains(build)).collect();
    let builds = if new.is_empty() && !all.is_empty() { None } else { several_or_none(&new) };
    let devices = folder.provenance.devices.len();
    let devices = (devices != 1).then(|| "measured on several devices".to_owned());
    Ok(altered(run, &folder)?.or(builds).or(devices))
}

/// What of a run's cells is not as it was measured.
fn altered(run: &Path, folder: &Folder) -> Result<Option<String>> {
    let Folder { records, provenance, .. } = folder;
    if let Some(name) = folder.changed(run)? {
        return Ok(Some(format!("{name} is not what was measured: provenance.toml has another hash of it")));
    }
    let (builds, devices) = (count(records, |record| &record.build), count(records, |record| &record.device));
    if (builds, devices) != (provenance.builds.clone(), provenance.devices.clone()) {
        return Ok(Some("cells.csv has other builds or devices than provenance.toml".into()));
    }
    let Some(written) = provenance.assets.get(NORMALISER_ASSET) else { return Ok(None) };
    let path = run.join(NORMALISER[0]);
    let same = path.is_file() && files::sha256_of(&path)? == *written;
    Ok((!same).then(|| format!("{} is not the one that its cells were measured with", NORMALISER[0])))
}

/// Why what these builds measured is not to be published: anybody must be able to build the one that did.
fn several_or_none(builds: &[&str]) -> Option<String> {
    match builds {
        [] => Some("measured by a build that provenance.toml does not name".into()),
        [one] if one.ends_with("-dirty") || one.is_empty() || *one == "unknown" => {
            Some(format!("measured by build {one}, whose sources no commit has"))
        }
        [one] if !one.contains(' ') => None,
        several => Some(format!("measured by several builds: {}", several.join(", "))),
    }
}

/// What results without cells are made of. State files, weights and what else lies in a run stay there.
const ENDINGS: [&str; 5] = ["csv", "md", "toml", "svg", "png"];

/// The files to publish: of a run with cells those that were made of these cells, and of no earlier ones.
fn contents(run: &Path) -> Result<Vec<PathBuf>> {
    let mut names: Vec<PathBuf> = Vec::new();
    if Folder::is_at(run) {
        // What is published is drawn from the cells that are published.
        let folder = Folder::read(run)?;
        let drawn = report::write(run, &folder)?;
        let normaliser = NORMALISER.iter().filter(|_| folder.provenance.assets.contains_key(NORMALISER_ASSET));
        let others = Folder::FILES.iter().chain([&report::SAMPLES]).chain(normaliser).map(PathBuf::from);
        names.extend(drawn.into_iter().map(PathBuf::from).chain(others));
        names.retain(|name| run.join(name).is_file());
        return Ok(names);
    }
    for entry in run.read_dir().map_err(Failure::file(run))? {
        let path = entry.map_err(Failure::file(run))?.path();
        let published = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        names.extend(path.file_name().filter(|_| published && path.is_file()).map(PathBuf::from));
    }
    Ok(names)
}

/// Puts a copy of the files `names` of `run` where `to` is. Until the new folder is whole the old one stays.
fn replace(run: &Path, names: &[PathBuf], to: &Path) -> Result<()> {
    let parent = files::parent(to);
    std::fs::create_dir_all(&parent).map_err(Failure::file(&parent))?;
    let work = TempDir::new_in(&parent).map_err(Failure::file(&parent))?;
    let new = work.path().join(NEW);
    std::fs::create_dir(&new).map_err(Failure::file(&new))?;
    for name in names {
        let path = run.join(name);
        files::write(&new.join(name), &std::fs::read(&path).map_err(Failure::file(&path))?)?;
    }
    swap(work, to, |from, to| std::fs::rename(from, to))
}

/// The folder to come, in the one that it is made in, and the folder that was.
const NEW: &str = "new";
const OLD: &str = "old";

/// Puts what is in `work` where `to` is. What was there is deleted only when the new folder is in its place.
fn swap(work: TempDir, to: &Path, rename: impl Fn(&Path, &Path) -> std::io::Result<()>) -> Result<()> {
    if !to.exists() {
        return rename(&work.path().join(NEW), to).map_err(Failure::file(to));
    }
    // From here on it holds what was published, and is not to go away by itself.
    let work = work.keep();
    let old = work.join(OLD);
    let put = rename(to, &old).and_then(|()| rename(&work.join(NEW), to));
    if put.is_err() && old.exists() && rename(&old, to).is_err() {
        let message =
            format!("{}: cannot be put in its place; what was published is in {}", to.display(), old.display());
        return Err(Failure::Run(message));
    }
    // What is left over is in nobody's way.
    _ = std::fs::remove_dir_all(&work);
    put.map_err(Failure::file(to))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs, io};

    use super::*;

    /// Something published, something to replace it, and what is in the place of it after renames of which those fail.
    fn after(failing: &[usize]) -> (TempDir, Result<()>) {
        let folder = TempDir::new().unwrap();
        let to = folder.path().join("published");
        fs::create_dir(&to).unwrap();
        fs::write(to.join("cells.csv"), "old").unwrap();
        let work = TempDir::new_in(folder.path()).unwrap();
        fs::create_dir(work.path().join(NEW)).unwrap();
        fs::write(work.path().join(NEW).join("cells.csv"), "new").unwrap();
        let count = Cell::new(0);
        let result = swap(work, &to, |from, to| {
            count.set(count.get() + 1);
            if failing.contains(&count.get()) { Err(io::Error::other("no")) } else { fs::rename(from, to) }
        });
        (folder, result)
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path.join("cells.csv")).unwrap_or_default()
    }

    #[test]
    fn what_is_published_survives_whatever_fails() {
        for (failing, expected) in [(&[][..], "new"), (&[1], "old"), (&[2], "old")] {
            let (folder, result) = after(failing);
            assert_eq!(read(&folder.path().join("published")), expected, "{failing:?}");
            assert_eq!(result.is_ok(), failing.is_empty());
            assert_eq!(folder.path().read_dir().unwrap().count(), 1, "{failing:?}");
        }
        // Not even put back: it is where the message says.
        let (folder, result) = after(&[2, 3]);
        let message = result.unwrap_err().to_string();
        let (_, place) = message.split_once("what was published is in ").unwrap();
        assert_eq!(read(Path::new(place)), "old");
        assert!(Path::new(place).starts_with(folder.path()));
    }
}
