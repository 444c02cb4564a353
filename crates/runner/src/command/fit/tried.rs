//! Trials of a search on their way into a file beside the one that ends it.

use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
};

use fewstep_fit::Trial;

use crate::{
    cell::{Clock, Key},
    failure::Result,
    files,
};

/// The trials of a search: in their file by the clock, and whatever ends the search.
pub struct Tried {
    clock: Cell<Clock>,
    unkept: RefCell<Option<Unkept>>,
}

/// Since the file was last written.
struct Unkept {
    path: PathBuf,
    key: Key,
    all: Vec<Trial>,
}

impl Tried {
    /// Of a search that begins.
    ///
    /// # Errors
    /// Where it is not known how often to keep them.
    pub fn nothing() -> Result<Self> {
        Ok(Tried { clock: Cell::new(Clock::start()?), unkept: RefCell::default() })
    }

    /// All trials of the search that ends with the file at `path`.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn hear(&self, path: &Path, key: &Key, all: &[Trial]) -> Result<()> {
        self.unkept.replace(Some(Unkept { path: path.to_owned(), key: key.clone(), all: all.to_vec() }));
        if self.clock.get().is_due() { self.keep() } else { Ok(()) }
    }

    /// To the last bit, and never half.
    fn keep(&self) -> Result<()> {
        let Some(Unkept { path, key, all }) = self.unkept.take() else { return Ok(()) };
        let numbers =
            |of: &[f64]| of.iter().map(|value| format!("{:x}", value.to_bits())).collect::<Vec<_>>().join(" ");
        let mut text = format!("{}\n", key.as_str());
        all.iter().for_each(|Trial { at, found }| text += &format!("{} : {}\n", numbers(at), numbers(found)));
        let mut clock = self.clock.get();
        clock.keep(|| files::write(&file(&path), text.as_bytes()))?;
        self.clock.set(clock);
        Ok(())
    }

    /// The file at `path` is there: nothing of its trials is needed any more.
    ///
    /// # Errors
    /// Where they cannot be removed.
    pub fn done(&self, path: &Path) -> Result<()> {
        self.unkept.take();
        files::remove(&file(path))
    }
}

impl Drop for Tried {
    /// A run that is asked to end does so within a trial. What ended it is said, whatever else there is to say.
    fn drop(&mut self) {
        let _ = self.keep();
    }
}

/// Those that an ended search left under the same key, as far as they can be read.
pub fn read(path: &Path, key: &Key, fresh: bool) -> Vec<Trial> {
    let text = std::fs::read_to_string(file(path)).unwrap_or_default();
    let mut lines = text.lines();
    if fresh || lines.next() != Some(key.as_str()) {
        return Vec::new();
    }
    let numbers = |text: &str| {
        let bits = text.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok().map(f64::from_bits));
        bits.collect::<Option<Vec<f64>>>()
    };
    let trial = |line: &str| {
        let (at, found) = line.split_once(':')?;
        Some(Trial { at: numbers(at)?, found: numbers(found)? })
    };
    lines.map_while(trial).collect()
}

/// Beside the file that ends a search: what it tried so far.
fn file(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.trials"))
}

#[cfg(test)]
mod tests {
    use fewstep_fid::{Pixel8, Precision};

    use super::*;
    use crate::cell::statistics_key;

    #[test]
    fn trials_come_back_to_the_last_bit_and_under_their_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fitted-5-grid.json");
        let all = [
            Trial { at: vec![1.0, 0.1 + 0.2, 1e-300], found: vec![f64::INFINITY] },
            Trial { at: vec![-0.0], found: Vec::new() },
        ];
        let [key, other] = ["1", "2"].map(|set| statistics_key(&Pixel8, set, Precision::F64).unwrap());
        let tried = Tried::nothing().unwrap();
        tried.hear(&path, &key, &all).unwrap();
        assert!(!file(&path).exists(), "not so soon after");
        // A run that ends has them in their file, as one that is long enough has.
        drop(tried);
        assert_eq!(read(&path, &key, false), all);
        assert!(read(&path, &other, false).is_empty() && read(&path, &key, true).is_empty());
        // What a damaged line says, and all after it, is not taken.
        let text = std::fs::read_to_string(file(&path)).unwrap().replace(" : \n", " : x\n");
        std::fs::write(file(&path), text).unwrap();
        assert_eq!(read(&path, &key, false), all[..1]);
        // Of a search that is done nothing is left, dropped or not.
        let tried = Tried::nothing().unwrap();
        tried.hear(&path, &key, &all).unwrap();
        tried.done(&path).unwrap();
        drop(tried);
        assert!(!file(&path).exists());
    }
}
