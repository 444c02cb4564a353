//! Solutions and normalisers of any experiment, by their keys, in the user's cache: the next experiment of the same network finds
//! them, whatever else it asks for. A results folder has its own copy, and needs nothing from here.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{assets, files};

/// Where they are; empty for nowhere.
const CHOSEN: &str = "FEWSTEP_KNOWN";
/// In the cache.
const FOLDER: &str = "known";
/// What nobody asked for so long goes.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);
/// What is larger is kept in its results folder alone: features of many converged samples.
pub const MOST: usize = 64 << 20;
/// What files of it end with.
const ENDINGS: [&str; 3] = ["toml", "f32", "csv"];

/// The folder, rid of what is old; none where nothing is to be kept there, or cannot be.
pub fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os(CHOSEN) {
        Some(chosen) if chosen.is_empty() => return None,
        Some(chosen) => PathBuf::from(chosen),
        None => assets::cache().ok()?.join(FOLDER),
    };
    files::make_folder(&folder).ok()?;
    tidy(&folder, OLD);
    Some(folder)
}

fn tidy(folder: &Path, old: Duration) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let is_own = entry.path().extension().is_some_and(|ending| ENDINGS.iter().any(|own| ending == *own));
        let used = entry.metadata().and_then(|found| found.modified()).ok();
        let age = used.and_then(|time| time.elapsed().ok());
        if is_own && age.is_some_and(|age| age > old) {
            // It would be there the next time.
            let _ = files::remove(&entry.path());
        }
    }
}

/// That these were of use.
pub fn used(paths: &[PathBuf]) {
    for path in paths {
        // Else they go thirty days after they were written.
        let _ = std::fs::File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_goes_and_what_is_not_of_here_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let before = SystemTime::now() - Duration::from_secs(100);
        for name in ["solution-a.toml", "solution-b.f32", "normaliser-c.csv", "notes.txt"] {
            std::fs::write(at(name), "1").unwrap();
            std::fs::File::options().append(true).open(at(name)).unwrap().set_modified(before).unwrap();
        }
        used(&[at("solution-a.toml"), at("absent.toml")]);
        tidy(folder.path(), Duration::from_secs(50));
        let there = ["solution-a.toml", "solution-b.f32", "normaliser-c.csv", "notes.txt", "absent.toml"];
        assert_eq!(there.map(|name| at(name).exists()), [true, false, false, true, false]);
    }
}
