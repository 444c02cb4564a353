//! Numbers that are kept under a key, as many as no TOML should hold: a description, and single precision in a file beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    key::Key,
    known,
    parts::{Parts, Widths},
    sampler::Sampler,
};
use crate::{
    failure::{Failure, Result},
    files,
};

/// Where things are kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The folder.
    pub folder: PathBuf,
    /// Where the shards of a sweep kept theirs, which are then all that there is.
    pub shards: Vec<PathBuf>,
    /// Whether nothing of an earlier run is of use.
    pub fresh: bool,
    /// Where other experiments' are found, and these kept for others too ([`known`]).
    pub known: Option<PathBuf>,
}

impl Kept {
    /// In this folder.
    pub fn at(folder: PathBuf, fresh: bool) -> Self {
        Kept { folder, shards: Vec::new(), fresh, known: None }
    }

    /// And what is known of other experiments.
    ///
    /// Of the CPU alone: on GPUs last digits may depend on the batch, which is in no key.
    pub fn with_known(self, sampler: &Sampler) -> Self {
        let asked = sampler.cpu && !self.fresh;
        Kept { known: asked.then(known::folder).flatten(), ..self }
    }

    /// [`read`], where an earlier run's is of use. Another experiment's is copied.
    pub fn read(&self, name: &str, key: &Key, len: usize) -> Option<Numbers> {
        let own = if self.fresh { None } else { read(&self.folder, name, key, len) };
        own.or_else(|| {
            let known = self.known.as_ref()?;
            let numbers = read(known, name, key, len)?;
            known::used(&paths(known, name, key));
            // Where it cannot be written it is found there again.
            let _ = write(&self.folder, name, key, &numbers);
            Some(numbers)
        })
    }

    /// [`write()`].
    ///
    /// # Errors
    /// As there; not where others cannot have it.
    pub fn write(&self, name: &str, key: &Key, numbers: &Numbers) -> Result<()> {
        let small = |_: &&PathBuf| numbers.values.len() <= known::MOST / size_of::<f32>();
        write(&self.folder, name, key, numbers)?;
        if let Some(known) = self.known.as_ref().filter(small) {
            let _ = write(known, name, key, numbers);
        }
        Ok(())
    }

    /// The parts of what has this key.
    pub fn parts(&self, key: Key, widths: Widths) -> Parts {
        Parts::new(key, &self.folder, &self.shards, widths)
    }
}

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Evaluations an image that the network counted.
    pub counted: f64,
    /// Squared distance of each of the first images to what twice the evaluations give.
    pub check: Vec<f64>,
    /// Row-major, an image a row.
    pub values: Vec<f32>,
    /// What it took, of what is timed.
    pub seconds: Vec<f64>,
    /// What there is to say where there are no numbers.
    pub note: String,
}

#[derive(Serialize, Deserialize)]
struct Description {
    key: String,
    counted: f64,
    check: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seconds: Vec<f64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    /// Of the numbers' file.
    sha256: String,
}

/// What is kept in `folder` under this key, `len` numbers, whole and unchanged; else nothing.
pub fn read(folder: &Path, name: &str, key: &Key, len: usize) -> Option<Numbers> {
    let numbers = read_any(folder, name, key)?;
    (numbers.values.len() == len).then_some(numbers)
}

/// The same, of as many numbers as there are.
pub fn read_any(folder: &Path, name: &str, key: &Key) -> Option<Numbers> {
    let [description, numbers] = paths(folder, name, key);
    let kept: Description = toml::from_str(files::unseal(&std::fs::read_to_string(description).ok()?)?).ok()?;
    let bytes = std::fs::read(numbers).ok()?;
    let (chunks, rest) = bytes.as_chunks();
    let whole = kept.key == key.as_str() && rest.is_empty() && files::sha256(&bytes) == kept.sha256;
    let values = || chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let Description { counted, check, seconds, note, .. } = kept;
    whole.then(|| Numbers { counted, check, values: values(), seconds, note })
}

/// Keeps them. The numbers first: what says that they are there is written when they are.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(folder: &Path, name: &str, key: &Key, numbers: &Numbers) -> Result<()> {
    let bytes: Vec<u8> = numbers.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let description = Description {
        key: key.as_str().to_owned(),
        counted: numbers.counted,
        check: numbers.check.clone(),
        seconds: numbers.seconds.clone(),
        note: numbers.note.clone(),
        sha256: files::sha256(&bytes),
    };
    let [description_path, numbers_path] = paths(folder, name, key);
    files::write(&numbers_path, &bytes)?;
    files::write(&description_path, files::seal(&toml::to_string(&description).map_err(Failure::run)?).as_bytes())
}

fn paths(folder: &Path, name: &str, key: &Key) -> [PathBuf; 2] {
    ["toml", "f32"].map(|ending| folder.join(format!("{name}-{}.{ending}", key.short())))
}
