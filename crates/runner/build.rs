//! Hashes the sources that decide what a cell's figures are, so that cells of other code are never taken for this code's.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// Beside this crate: what samples, predicts and measures. Of a method a cell keeps the numbers themselves, so that a new method
/// or grid leaves others' cells as they are. Tables, charts and arguments change no figure.
const SOURCES: [&str; 8] = [
    "../model/src",
    "../sampler/src/integrate.rs",
    "../sampler/src/threshold.rs",
    "../fid/src",
    "src/curve.rs",
    "src/measure.rs",
    "src/noise.rs",
    "src/sampling.rs",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(&root.join(source), &mut files)?;
    }
    // By name below the root, so that the hash does not depend on where the repository lies.
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let content = fs::read(&file)?;
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    println!("cargo::rustc-env=FEWSTEP_CODE={:x}", hash.finalize());
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), files));
    }
    files.push(path.to_owned());
    Ok(())
}
