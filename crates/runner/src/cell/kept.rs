//! Numbers that are kept under a key, as many as no TOML should hold: a description, and single precision in a file beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::{
    failure::{Failure, Result},
    files,
};

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Evaluations an image that the network counted.
    pub counted: f64,
    /// Squared distance of each of the first images to what twice the evaluations give.
    pub check: Vec<f64>,
    /// Row-major, an image a row.
    pub values: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    key: String,
    counted: f64,
    check: Vec<f64>,
    /// Of the numbers' file.
    sha256: String,
}

/// What is kept in `folder` under this key, `len` numbers, whole and unchanged; else nothing.
pub fn read(folder: &Path, name: &str, key: &Key, len: usize) -> Option<Numbers> {
    let [description, numbers] = paths(folder, name, key);
    let kept: Description = toml::from_str(files::unseal(&std::fs::read_to_string(description).ok()?)?).ok()?;
    let bytes = std::fs::read(numbers).ok()?;
    let whole = kept.key == key.as_str() && bytes.len() == 4 * len && files::sha256(&bytes) == kept.sha256;
    let values = || bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    whole.then(|| Numbers { counted: kept.counted, check: kept.check, values: values() })
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
        sha256: files::sha256(&bytes),
    };
    let [description_path, numbers_path] = paths(folder, name, key);
    files::write(&numbers_path, &bytes)?;
    files::write(&description_path, files::seal(&toml::to_string(&description).map_err(Failure::run)?).as_bytes())
}

fn paths(folder: &Path, name: &str, key: &Key) -> [PathBuf; 2] {
    ["toml", "f32"].map(|ending| folder.join(format!("{name}-{}.{ending}", key.short())))
}
