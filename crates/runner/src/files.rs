//! Files that appear whole or not at all, and are on disk before anything relies on them.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    failure::{Failure, Result},
    lock,
};

/// Writes `bytes` to `path` through a file beside it, which takes its place once it is on disk: neither a kill nor a power cut leaves
/// half of it. What a kill leaves of the file beside it, the next who writes `path` writes over.
///
/// # Errors
/// Where that is not possible; `path` is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    make_folder(&folder)?;
    let beside = beside(path);
    let mut file = lock::open(&beside, path)?;
    let written = file.set_len(0).and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| std::fs::rename(&beside, path)).and_then(|()| sync(&folder));
    placed.map_err(|error| {
        // A full disk has no room for what is of no use.
        let _ = std::fs::remove_file(&beside);
        Failure::file(path)(error)
    })
}

/// Sees to it that a file can be written at `path`, without writing it: said before anything is computed.
///
/// # Errors
/// Where it cannot.
pub fn check_writable(path: &Path) -> Result<()> {
    let (folder, beside) = (parent(path), beside(path));
    let held = lock::open(&beside, &folder)?;
    std::fs::remove_file(&beside).map_err(Failure::file(&folder))?;
    drop(held);
    Ok(())
}

/// Sees to it that there is a folder at `path`; each that is made for it is on disk in the one that it is in.
///
/// # Errors
/// Where there can be none.
pub fn make_folder(path: &Path) -> Result<()> {
    let lacks = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let made: Vec<&Path> = path.ancestors().take_while(lacks).collect();
    let make = || {
        std::fs::create_dir_all(path)?;
        made.iter().rev().try_for_each(|folder| sync(&parent(folder)))
    };
    make().map_err(Failure::file(path))
}

/// Where `path` is written before it is there.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// Sees to it that what was renamed in `folder` is on disk. Elsewhere than on Unix a folder is no file, and the system sees to it.
pub fn sync(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Sees to it that there is no file at `path`.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(path)(error)),
        _ => Ok(()),
    }
}

/// Sees to it that there is no folder at `path`, nor anything that was in it.
pub fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(path)(error)),
        _ => Ok(()),
    }
}

/// The folder that `path` is in.
pub fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Text of a file.
pub fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Failure::file(path))
}

/// TOML under its own hash, so that what is changed in it later is not believed.
pub fn seal(toml: &str) -> String {
    format!("sha256 = \"{}\"\n{toml}", sha256(toml.as_bytes()))
}

/// Whether it is under a hash, its own or not.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with("sha256 = ")
}

/// What was sealed; nothing where it is not as it was then.
pub fn unseal(text: &str) -> Option<&str> {
    text.split_once('\n').map(|(_, toml)| toml).filter(|toml| seal(toml) == text)
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// SHA-256 of a file's content.
pub fn sha256_of(path: &Path) -> Result<String> {
    Ok(sha256(&std::fs::read(path).map_err(Failure::file(path))?))
}
