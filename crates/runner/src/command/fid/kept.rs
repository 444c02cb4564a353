//! What `fewstep fid` keeps on the way, which has no file of its own to keep it beside: features of a large folder take an hour.

use std::{path::PathBuf, time::Duration};

use crate::{
    assets,
    cell::{Key, Parts, Widths},
    files,
    lock::Lock,
};

/// In the cache.
const FOLDER: &str = "fid";
/// What nobody went on with for so long goes.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The parts of the sets of images of one run.
pub struct Kept {
    folder: PathBuf,
    all: Vec<(Parts, Lock)>,
}

impl Kept {
    /// None where no cache can be written to: then nothing is kept. `batch` is the batch's size where last digits may depend on it.
    pub fn open(batch: Option<u16>) -> Option<Self> {
        let name = batch.map_or(FOLDER.to_owned(), |batch| format!("{FOLDER}-batch-{batch}"));
        let folder = assets::cache().ok()?.join(name);
        files::make_folder(&folder).ok()?;
        for entry in Parts::folder(&folder).read_dir().into_iter().flatten().flatten() {
            let is_own = entry.file_name().to_str().is_some_and(Key::is_short);
            let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
            if is_own && age.is_some_and(|age| age > OLD) {
                // It would be there the next time.
                let _ = files::remove_folder(&entry.path());
            }
        }
        Some(Kept { folder, all: Vec::new() })
    }

    /// The parts of what has this key; none where another run keeps these, or nothing can be kept.
    pub fn parts(&mut self, key: &Key, widths: Widths) -> Option<&mut Parts> {
        // Of two sets that are one the first run over it had it all.
        if let Some(known) = self.all.iter().position(|(parts, _)| parts.is_of(key)) {
            return Some(&mut self.all[known].0);
        }
        match Lock::take(&self.folder.join(format!("{}.lock", key.short()))) {
            Ok(Some(lock)) => {
                self.all.push((Parts::new(key.clone(), &self.folder, &[], widths).where_possible(), lock))
            }
            Ok(None) => {
                eprintln!("{}: another fewstep fid is at these images; nothing is kept here", self.folder.display())
            }
            Err(failure) => eprintln!("{failure}; nothing is kept on the way"),
        }
        let last = self.all.iter().position(|(parts, _)| parts.is_of(key))?;
        Some(&mut self.all[last].0)
    }

    /// All is there, and said: nothing of it is needed any more.
    pub fn end(self) {
        for failure in self.all.iter().filter_map(|(parts, _)| parts.remove().err()) {
            eprintln!("{failure}");
        }
        // Where nothing else is in it.
        let _ = std::fs::remove_dir(Parts::folder(&self.folder));
    }
}
