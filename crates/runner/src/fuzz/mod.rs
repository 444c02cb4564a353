//! Readers of files that others wrote, given damaged ones: `docs/fuzzing.md`.
//!
//! Inputs are read in a process of their own, so that whatever a reader does is seen: a panic, an end of the process by a signal, a
//! hang, or more memory than is allowed it.

mod containers;
mod hostile;
mod memory;
mod mutate;
mod own;
mod run;
mod seeds;
mod targets;

use std::path::PathBuf;

use run::{Order, Outcome};

fn repository() -> PathBuf {
    // Asked when it runs: checkouts that share a target directory share this binary.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

/// The process that reads; a test that does nothing where nobody orders it to.
#[test]
fn child() {
    if let Some(order) = Order::received() {
        run::obey(&order);
    }
}

/// All that is kept, and some thousand inputs made of it, the same ones every time.
#[test]
fn damaged_files_end_in_a_value_or_an_error() {
    for target in own::all() {
        let pool = run::pool(target).unwrap();
        assert!(!pool.is_empty(), "{}: no inputs", target.name);
        let order = Order { target: target.name.into(), seed: 1, inputs: pool.len() as u64 + 200, seconds: 600 };
        match run::order(&order) {
            Outcome::Done { inputs } => assert_eq!(inputs, order.inputs, "{}", target.name),
            Outcome::Found { reason, input } => panic!("{}: {reason}\n{}", target.name, input.display()),
        }
    }
}

/// Readers that do each of what is looked for.
#[test]
fn what_is_looked_for_is_found() {
    for (name, expected) in [
        ("panics", "panicked at"),
        ("overflows", "overflowed its stack"),
        ("takes", "memory allocation of 100000000 bytes failed"),
        ("hangs", "no end after"),
    ] {
        let order = Order { target: name.into(), seed: 1, inputs: 10, seconds: 60 };
        match run::order(&order) {
            Outcome::Done { .. } => panic!("{name}: not found"),
            Outcome::Found { reason, input } => {
                assert!(reason.contains(expected), "{name}: {reason}");
                assert!(input.exists());
                std::fs::remove_file(input).unwrap();
            }
        }
    }
}

/// `just fuzz TARGET SECONDS`: inputs for as long as is said, each finding kept and gone on behind.
#[test]
fn long() {
    let Some(name) = std::env::var("FUZZ_TARGET").ok() else { return };
    let seconds: u64 = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    let seed: u64 = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2);
    let known: Vec<&str> = own::all().map(|target| target.name).collect();
    assert!(known.contains(&name.as_str()), "no target '{name}'; expected {}", known.join(", "));
    let findings = run::long(&name, seconds, seed);
    assert_eq!(findings, 0, "{findings} findings, in fuzz/findings/{name}");
}
