//! libFuzzer on the readers of files: the targets and the damage of the runner's tests, guided by what code they reach.
#![no_main]

#[path = "../../crates/runner/src/fuzz/containers.rs"]
#[allow(dead_code)]
mod containers;
#[path = "../../crates/runner/src/fuzz/mutate.rs"]
#[allow(dead_code)]
mod mutate;
#[path = "../../crates/runner/src/fuzz/targets.rs"]
#[allow(dead_code)]
mod targets;

use std::{path::PathBuf, sync::OnceLock};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use mutate::Mutator;
use targets::{LEAVES, Target};

/// The target that `FUZZ_TARGET` names, and the file that its inputs are read from.
fn work() -> &'static (&'static Target, PathBuf) {
    static WORK: OnceLock<(&Target, PathBuf)> = OnceLock::new();
    WORK.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let known: Vec<&str> = LEAVES.iter().map(|target| target.name).collect();
        let Some(target) = LEAVES.iter().find(|target| target.name == name) else {
            eprintln!("FUZZ_TARGET is '{name}'; expected {}", known.join(", "));
            std::process::exit(2);
        };
        // libFuzzer ends the process without unwinding: the folder is its caller's to remove.
        let folder = std::env::temp_dir().join(format!("fewstep-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for inputs");
        (target, folder.join(target.file))
    })
}

fuzz_target!(|data: &[u8]| {
    let (target, path) = work();
    std::fs::write(path, data).expect("an input");
    let _ = (target.read)(path);
});

// Half of the inputs are damaged inside of their containers, whose checksums libFuzzer would not find.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut mutator = Mutator::new(seed.into());
    if mutator.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let bytes = data[..size].to_vec();
    let new = containers::inside(&bytes, &mut mutator, |inside, mutator| mutator.damaged(inside, &bytes));
    let length = new.len().min(max_size).min(data.len());
    data[..length].copy_from_slice(&new[..length]);
    length
});
