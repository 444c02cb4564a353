//! Solutions, normalisers and features of converged samples of any experiment, by their keys, in the user's cache: the next
//! experiment of the same network finds them, whatever else it asks for. A results folder has its own copy, and needs nothing from
//! here; what cannot be read or written here is as if it were not there.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::key::Key;
use crate::{assets, files};

/// Where they are; empty for nowhere.
const CHOSEN: &str = "FEWSTEP_KNOWN";
/// In the cache.
const FOLDER: &str = "known";
/// What nobody asked for so long goes.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);
/// What is larger is kept in its results folder alone: features of many converged samples.
pub const MOST: usize = 64 << 20;
/// What files of it are called before their keys, and end with.
const NAMES: [&str; 3] = ["solution", "converged", "normaliser"];
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
        let used = entry.metadata().and_then(|found| found.modified()).ok();
        let age = used.and_then(|time| time.elapsed().ok());
        if entry.file_name().to_str().is_some_and(is_own) && age.is_some_and(|age| age > old) {
            // It would be there the next time.
            let _ = files::remove(&entry.path());
        }
    }
}

fn is_own(file: &str) -> bool {
    let parts = file.split_once('.').and_then(|(stem, ending)| Some((stem.split_once('-')?, ending)));
    parts.is_some_and(|((name, key), ending)| NAMES.contains(&name) && Key::is_short(key) && ENDINGS.contains(&ending))
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
        let of = |name: &str, ending: &str| format!("{name}-0123456789abcdef.{ending}");
        let own = [of("solution", "toml"), of("solution", "f32"), of("normaliser", "csv"), of("converged", "f32")];
        // An experiment, a cell, a table.
        let others =
            ["solution.toml", "ddim-0-quadratic-exact-none-5-seed-3.toml", "normaliser.csv", "solution-mine.toml"];
        for name in own.iter().map(String::as_str).chain(others) {
            std::fs::write(at(name), "1").unwrap();
            std::fs::File::options().append(true).open(at(name)).unwrap().set_modified(before).unwrap();
        }
        used(&[at(&own[0]), at("absent.toml")]);
        tidy(folder.path(), Duration::from_secs(50));
        assert_eq!(own.map(|name| at(&name).exists()), [true, false, false, false]);
        assert_eq!(others.map(|name| at(name).exists()), [true; 4]);
        assert!(!at("absent.toml").exists());
    }
}
