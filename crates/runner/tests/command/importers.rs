//! The importers of published tables, held to plans of the program (`benches/peers/test_plans.py`): Python's standard
//! library alone.

use std::{path::Path, process::Command};

#[test]
fn published_tables_that_are_our_methods_are_imported_as_them() {
    let peers = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../benches/peers");
    let mut python = Command::new("python3");
    let run = python.arg("test_plans.py").current_dir(peers).env("FEWSTEP", env!("CARGO_BIN_EXE_fewstep"));
    let output = run.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3, which this test needs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() && said.contains("Ran 9 tests"), "{said}");
}
