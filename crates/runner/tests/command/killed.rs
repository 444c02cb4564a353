//! Sweeps that are killed at any moment, again and again, and end as if nothing had been.

#[cfg(target_os = "linux")]
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use crate::common::{self, GAUSSIAN, fewstep, gaussian_folder, succeed};
use crate::disk;
use crate::folder::{assert_nothing_left, assert_same_bytes, assert_whole, tree};
use crate::kills::{Delays, killed};

/// Finished cells, by file: their TOML, which has the seconds that they took, so that one that is measured again shows.
fn finished(results: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_cell = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        path.parent().unwrap().ends_with("cells") && name.ends_with(".toml") && name.contains("-seed-")
    };
    tree(results).into_iter().filter(|(path, _)| is_cell(path)).collect()
}

/// With parts kept after every batch: a start is a tenth of a second, a cell a little more, so that a process that is killed early
/// leaves something all the same.
fn sweeps(count: usize, samples: usize, longest: u64) {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = GAUSSIAN
        .replace("samples = 40", &format!("samples = {samples}"))
        .replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"fd_pixel\", \"ode_rmse\", \"fd_pixel_solution\"]")
        .replace("samples = 24", "samples = 24\nfloor = 30");
    fs::write(cwd.join("gaussian.toml"), text).unwrap();
    let sweep = |out: &str| {
        let mut command = fewstep(cwd, &["sweep", "gaussian.toml", "--out", out]);
        command.env("FEWSTEP_CHECKPOINT", "0.01").stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(sweep("whole").status().unwrap().success());
    let (mut delays, longest) = (Delays::new(0x2545_F491_4F6C_DD1D), Duration::from_millis(longest));
    let (mut known, mut kills, mut folders) = (BTreeMap::<PathBuf, Vec<u8>>::new(), 0, vec!["killed-0".to_owned()]);
    while kills < count {
        let name = folders[folders.len() - 1].clone();
        let results = cwd.join(&name);
        let ended = killed(&mut sweep(&name), delays.below(longest));
        kills += usize::from(!ended);
        if results.is_dir() {
            assert_whole(&results);
            let now = finished(&results);
            for (path, bytes) in &known {
                assert!(now.get(path) == Some(bytes), "{} was measured again", path.display());
            }
            known = now;
        }
        if ended {
            // What is killed next begins with nothing.
            known.clear();
            folders.push(format!("killed-{}", folders.len()));
        }
    }
    let last = &folders[folders.len() - 1];
    assert!(sweep(last).status().unwrap().success());
    let end = finished(&cwd.join(last));
    assert!(
        end.len() == 9 && known.iter().all(|(path, bytes)| &end[path] == bytes),
        "a finished cell was measured again"
    );
    for folder in &folders {
        assert_same_bytes(&cwd.join(folder), &cwd.join("whole"));
        assert_nothing_left(&cwd.join(folder));
    }
    eprintln!("{kills} kills, {} sweeps that came to their ends", folders.len());
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    sweeps(25, 1500, 400);
}

#[test]
#[ignore = "two minutes: 200 kills"]
fn two_hundred_kills_leave_no_trace() {
    sweeps(200, 6000, 700);
}

/// Statistics and plans, which have one process each and are taken up where they were.
#[test]
fn statistics_that_are_killed_end_with_the_same_bytes() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let images = common::npz("arr_0", "|u1", &[60_000, 16, 16, 3], &common::pixels(60_000 * 768));
    fs::write(cwd.join("many.npz"), images).unwrap();
    let stats = |out: &str| {
        let mut command = fewstep(cwd, &["stats", "many.npz", "--features", "pixel-8x8", "--out", out]);
        command.env("FEWSTEP_CHECKPOINT", "0.01").stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let (mut delays, mut kills, mut with_parts) = (Delays::new(88_172_645_463_325_252), 0, 0);
    // Whatever the machine's speed: kills until some found parts.
    while kills < 12 || with_parts < 3 {
        if killed(&mut stats("killed.safetensors"), delays.below(Duration::from_millis(600 + 20 * kills))) {
            fs::remove_file(cwd.join("killed.safetensors")).unwrap();
        } else {
            kills += 1;
        }
        with_parts += usize::from(cwd.join(".killed.safetensors.parts").is_dir());
        assert!(kills < 500, "no part was ever kept");
    }
    assert!(stats("killed.safetensors").status().unwrap().success());
    succeed(cwd, &["stats", "many.npz", "--features", "pixel-8x8", "--out", "whole.safetensors"]);
    assert!(fs::read(cwd.join("killed.safetensors")).unwrap() == fs::read(cwd.join("whole.safetensors")).unwrap());
    assert!(!cwd.join(".killed.safetensors.parts").exists() && !cwd.join(".killed.safetensors.part").exists());
}

/// A pipe that nobody reads any more, as of `head`.
#[cfg(target_os = "linux")]
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_said_ends_no_run_and_only_a_reader_that_has_enough_is_no_failure() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for (out, stdout, stderr, status) in [
        ("no-room", full(), Stdio::piped(), 1),
        ("enough", unread(), Stdio::piped(), 0),
        ("nobody", unread(), unread(), 0),
        ("no-log", Stdio::null(), full(), 0),
        ("no-word", full(), unread(), 1),
    ] {
        let mut command = fewstep(cwd, &["sweep", "gaussian.toml", "--out", out]);
        let output = command.stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{out}: {said}");
        assert_eq!(said.contains("error: standard output: No space left"), out == "no-room", "{out}: {said}");
        assert!(!said.contains("panicked"), "{out}: {said}");
        assert_same_bytes(&cwd.join(out), &cwd.join("whole"));
        assert_nothing_left(&cwd.join(out));
    }
    // Nor does it hide that a run failed.
    let output = fewstep(cwd, &["sweep", "absent.toml"]).stdout(unread()).stderr(unread()).status().unwrap();
    assert_eq!(output.code(), Some(2));
}

/// Needs the right to mount a small file system.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_one_that_nobody_may_write_to_end_a_sweep_and_harm_nothing() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let Some(disk) = disk::Disk::mount(cwd.join("disk"), 8) else { return };
    let results = disk.path.join("r");
    let sweep = |more: &[&str]| common::run(cwd, &[&["sweep", "gaussian.toml", "--out", "disk/r"], more].concat());
    assert!(sweep(&["--only", "method=euler"]).status.success());
    let known = finished(&results);
    assert_eq!(known.len(), 3);
    // From no room at all to room for all but the last files.
    for left in [0, 4, 16, 64] {
        disk.fill(left);
        let output = sweep(&[]);
        disk.empty();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{left} KB: {said}");
        assert!(said.contains("disk/r") && said.contains("No space left"), "{left} KB: {said}");
        assert_whole(&results);
        assert!(known.iter().all(|(path, bytes)| finished(&results).get(path) == Some(bytes)), "{left} KB");
    }
    disk.read_only(true);
    let output = sweep(&[]);
    disk.read_only(false);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("disk/r") && said.contains("Read-only file system"), "{said}");
    assert!(sweep(&[]).status.success());
    assert!(known.iter().all(|(path, bytes)| finished(&results).get(path) == Some(bytes)));
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    assert_same_bytes(&results, &cwd.join("whole"));
    assert_nothing_left(&results);
}
