//! What is promised of the workspace's crates and of what they are built from, beside what `cargo deny` checks.

use crate::common::repository;

fn toml(path: &str) -> toml::Table {
    std::fs::read_to_string(repository().join(path)).unwrap().parse().unwrap()
}

/// `unsafe` is forbidden, not merely denied, in every crate.
#[test]
fn no_crate_has_unsafe_code() {
    let root = toml("Cargo.toml");
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let members: Vec<&str> =
        root["workspace"]["members"].as_array().unwrap().iter().filter_map(|m| m.as_str()).collect();
    assert!(members.contains(&"crates/runner") && members.contains(&"crates/conv"), "{members:?}");
    for member in members {
        let lints = toml(&format!("{member}/Cargo.toml"))["lints"].clone();
        assert_eq!(lints["workspace"].as_bool(), Some(true), "{member}");
    }
}

/// Each exception of `deny.toml` has its reason behind it, or before it.
#[test]
fn exceptions_have_reasons() {
    let text = std::fs::read_to_string(repository().join("deny.toml")).unwrap();
    let exceptions: Vec<&str> = text.lines().filter(|line| line.contains("crate = ")).collect();
    assert!(exceptions.len() >= 3);
    assert!(exceptions.iter().all(|line| line.split_once(" # ").is_some_and(|(_, reason)| reason.len() > 10)));
    assert_eq!(toml("deny.toml")["advisories"]["ignore"].as_array().map(Vec::len), Some(0));
}

/// Package clients are asked for files and not to run what is in packages.
#[test]
fn no_package_is_run() {
    let text = std::fs::read_to_string(repository().join("crates/runner/src/assets/mod.rs")).unwrap();
    assert!(text.contains(r#""--no-deps", "--only-binary", ":all:""#) && text.contains(r#""--ignore-scripts""#));
}
