//! Files that appear whole or not at all.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};

/// Writes `bytes` to `path` through a temporary file beside it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(Failure::file(path))?;
    file.write_all(bytes).map_err(Failure::file(path))?;
    publish(file, path)
}

/// Puts a finished temporary file in its place, readable as other files are.
pub fn publish(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(Failure::file(path))?;
    }
    file.persist(path).map_err(|error| Failure::file(path)(error.error))?;
    Ok(())
}

/// Sees to it that there is no file at `path`.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
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
