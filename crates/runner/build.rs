//! Fixes what the program says of its own origin when it is built: the commit that its sources were last changed at, and
//! whether they differ from it. What is not compiled into it (tests, results, text) changes neither.

use std::{env, path::PathBuf, process::Command};

/// What the program is made of, from the repository's root.
const SOURCES: [&str; 18] = [
    "crates/conv/src",
    "crates/conv/Cargo.toml",
    "crates/fid/src",
    "crates/fid/Cargo.toml",
    "crates/fit/src",
    "crates/fit/Cargo.toml",
    "crates/model/src",
    "crates/model/Cargo.toml",
    "crates/pickle/src",
    "crates/pickle/Cargo.toml",
    "crates/sampler/src",
    "crates/sampler/Cargo.toml",
    "crates/runner/src",
    "crates/runner/assets",
    "crates/runner/Cargo.toml",
    "crates/runner/build.rs",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).arg("--").args(SOURCES).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // A commit changes what git says of the sources, and moves one of these. In a linked worktree they lie elsewhere.
    for reference in ["HEAD", "logs/HEAD"] {
        let path = Command::new("git").arg("-C").arg(&root).args(["rev-parse", "--git-path", reference]).output();
        let path = path.ok().filter(|output| output.status.success());
        if let Some(path) = path.map(|output| root.join(String::from_utf8_lossy(&output.stdout).trim())) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let commit = git(&["log", "-1", "--format=%H"]).filter(|commit| !commit.is_empty());
    let clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    let build = match commit {
        None => "unknown".to_owned(),
        Some(commit) if clean => commit,
        Some(commit) => format!("{commit}-dirty"),
    };
    println!("cargo::rustc-env=FEWSTEP_BUILD={build}");
}
