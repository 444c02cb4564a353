//! What `fewstep fid` keeps on the way, which has no file of its own to keep it beside: features of a large folder take an hour.

use std::{path::PathBuf, time::Duration};

use crate::{
    assets,
    cell::{Key, Parts, Widths},
    failure::Result,
    files,
    lock::{self, Lock},
};

/// In the cache.
const FOLDER: &str = "fid";
/// What nobody went on with for so long goes.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The parts of the sets of images of one run.
pub struct Kept {
    folder: PathBuf,
    parts: Vec<Parts>,
    _lock: Lock,
}

impl Kept {
    /// None where no cache can be written to, or another run keeps its own there: then nothing is kept.
    pub fn open() -> Option<Self> {
        let folder = assets::cache().ok()?.join(FOLDER);
        files::make_folder(&folder).ok()?;
        let lock = Lock::take(&lock::of(&folder)).ok()??;
        for entry in Parts::folder(&folder).read_dir().into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > OLD) {
                // It would be there the next time.
                let _ = files::remove_folder(&entry.path());
            }
        }
        Some(Kept { folder, parts: Vec::new(), _lock: lock })
    }

    /// The parts of what has this key.
    pub fn parts(&mut self, key: &Key, widths: Widths) -> &mut Parts {
        self.parts.push(Parts::new(key.clone(), &self.folder, &[], widths));
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// All is there, and said.
    pub fn end(self) -> Result<()> {
        self.parts.iter().try_for_each(Parts::remove)
    }
}
