//! `fewstep publish`: a finished run becomes what the repository publishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{folders::PUBLISHED, score_curve::NORMALISER};
use crate::{
    cli,
    failure::{Failure, Result},
    files,
    lock::{self, Lock},
    report,
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
    // Where there is no folder for it nothing was ever published, and what is refused makes none.
    let publishing = files::parent(&to).is_dir().then(|| hold(&to)).transpose()?;
    if publishing.is_some() {
        recover(&to)?;
    }
    replaceable(run, &to)?;
    let _lock = lock::writing(run)?;
    if let Some(reason) = unfit(run, &to)?
        && !arguments.force
    {
        return refuse(format!("{reason}; --force publishes it all the same"));
    }
    let names = contents(run)?;
    files::make_folder(&files::parent(&to))?;
    let _publishing = publishing.map_or_else(|| hold(&to), Ok)?;
    replace(run, &names, &to)?;
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

/// The lock of what is published at `to`, once nobody else publishes there.
fn hold(to: &Path) -> Result<Lock> {
    let wait = |holder: &str| eprintln!("{}: {holder} publishes there; waiting for its end", to.display());
    Lock::wait(&beside(to, "lock"), wait)
}

/// What is beside `to` while it is replaced: by one name, so that the next who publishes finds what a kill left.
fn beside(to: &Path, what: &str) -> PathBuf {
    to.with_file_name(format!(".{}.{what}", to.file_name().unwrap_or_default().to_string_lossy()))
}

/// The folder that the one to come is made in, and the one that was is kept in until the new one is in its place.
fn work(to: &Path) -> PathBuf {
    beside(to, "part")
}

/// Both in it.
const NEW: &str = "new";
const OLD: &str = "old";

/// Puts back what was published where a kill came between the two renames, and removes whatever else it left.
fn recover(to: &Path) -> Result<()> {
    let old = work(to).join(OLD);
    if old.exists() && !to.exists() {
        let put = std::fs::rename(&old, to).and_then(|()| files::sync(&files::parent(to)));
        put.map_err(Failure::file(to))?;
    }
    files::remove_folder(&work(to))
}

/// Puts a copy of the files `names` of `run` where `to` is. Until the new folder is whole the old one stays.
fn replace(run: &Path, names: &[PathBuf], to: &Path) -> Result<()> {
    let new = work(to).join(NEW);
    files::make_folder(&new)?;
    let copy = |name: &PathBuf| {
        let path = run.join(name);
        files::write(&new.join(name), &std::fs::read(&path).map_err(Failure::file(&path))?)
    };
    let put = names.iter().try_for_each(copy).and_then(|()| swap(to, |from, to| std::fs::rename(from, to)));
    // What could not be put back stays for the next time.
    if !work(to).join(OLD).exists() {
        _ = std::fs::remove_dir_all(work(to));
    }
    put
}

/// Puts what is made where `to` is. What was there is deleted only when the new folder is in its place, and that on disk.
fn swap(to: &Path, rename: impl Fn(&Path, &Path) -> std::io::Result<()>) -> Result<()> {
    let (new, old, parent) = (work(to).join(NEW), work(to).join(OLD), files::parent(to));
    let replaces = to.exists();
    let moved = if replaces { rename(to, &old).and_then(|()| files::sync(&work(to))) } else { Ok(()) };
    let put = moved.and_then(|()| rename(&new, to));
    if put.is_err() && old.exists() && rename(&old, to).is_err() {
        let message = format!(
            "{}: cannot be put in its place; what was published is in {}, from where the next `fewstep publish` puts it back",
            to.display(),
            old.display()
        );
        return Err(Failure::Run(message));
    }
    let put = put.and_then(|()| files::sync(&parent)).map_err(Failure::file(to));
    if put.is_ok() { files::remove_folder(&old) } else { put }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs, io};

    use tempfile::TempDir;

    use super::*;

    fn write(folder: &Path, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("cells.csv"), text).unwrap();
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path.join("cells.csv")).unwrap_or_default()
    }

    /// Something published, something to replace it, and what is in the place of it after renames of which those fail.
    fn after(failing: &[usize]) -> (TempDir, Result<()>) {
        let folder = TempDir::new().unwrap();
        let to = folder.path().join("published");
        write(&to, "old");
        write(&work(&to).join(NEW), "new");
        let count = Cell::new(0);
        let result = swap(&to, |from, to| {
            count.set(count.get() + 1);
            if failing.contains(&count.get()) { Err(io::Error::other("no")) } else { fs::rename(from, to) }
        });
        (folder, result)
    }

    #[test]
    fn what_is_published_survives_whatever_fails() {
        for (failing, expected) in [(&[][..], "new"), (&[1], "old"), (&[2], "old")] {
            let (folder, result) = after(failing);
            let to = folder.path().join("published");
            assert_eq!(read(&to), expected, "{failing:?}");
            assert_eq!(result.is_ok(), failing.is_empty());
            assert!(!work(&to).join(OLD).exists(), "{failing:?}");
        }
        // Not even put back: it is where the message says, until the next time.
        let (folder, result) = after(&[2, 3]);
        let to = folder.path().join("published");
        let message = result.unwrap_err().to_string();
        let (_, place) = message.split_once("what was published is in ").unwrap();
        let (place, _) = place.split_once(", from where").unwrap();
        assert_eq!(read(Path::new(place)), "old");
        recover(&to).unwrap();
        assert_eq!((read(&to).as_str(), folder.path().read_dir().unwrap().count()), ("old", 1));
    }

    /// Wherever it came: before the first rename, between the two, and after them.
    #[test]
    fn what_a_kill_left_is_put_right() {
        for (there, expected) in [
            (["published", ".published.part/new"], "published"),
            ([".published.part/old", ".published.part/new"], ".published.part/old"),
            (["published", ".published.part/old"], "published"),
        ] {
            let folder = TempDir::new().unwrap();
            there.iter().for_each(|name| write(&folder.path().join(name), name));
            let to = folder.path().join("published");
            recover(&to).unwrap();
            assert_eq!((read(&to).as_str(), folder.path().read_dir().unwrap().count()), (expected, 1), "{there:?}");
        }
    }

    #[test]
    fn a_copy_leaves_nothing_beside_it() {
        let folder = TempDir::new().unwrap();
        let (run, to) = (folder.path().join("run"), folder.path().join("results/run"));
        write(&run, "new");
        replace(&run, &["cells.csv".into()], &to).unwrap();
        assert_eq!((read(&to).as_str(), folder.path().join("results").read_dir().unwrap().count()), ("new", 1));
        assert!(replace(&run, &["cells.csv".into(), "absent.csv".into()], &to).is_err());
        assert_eq!((read(&to).as_str(), folder.path().join("results").read_dir().unwrap().count()), ("new", 1));
    }
}
