//! Two runs on one folder, and runs that are asked to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::common::{self, GAUSSIAN, TRAIN, fewstep, gaussian_folder, signal, succeed};
use crate::folder::{self, assert_nothing_left, assert_same_bytes, rows, tree};

fn start(cwd: &Path, arguments: &[&str]) -> Child {
    fewstep(cwd, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `there` is, or the process is not.
fn until(child: &mut Child, there: impl Fn() -> bool) {
    while !there() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The cells that a run says it measured.
fn measured(text: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("cell ")?.split_once(": ")?.1.split_once(": ")?.0.to_owned());
    text.lines().filter_map(name).collect()
}

#[test]
fn the_second_of_two_runs_waits_and_both_are_in_the_tables() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("gaussian.toml"), GAUSSIAN.replace("samples = 40", "samples = 4000")).unwrap();
    let mut first = start(cwd, &["sweep", "gaussian.toml", "--only", "nfe=5"]);
    until(&mut first, || cwd.join("out/gaussian/.lock").exists());
    let second = start(cwd, &["sweep", "gaussian.toml", "--only", "nfe=10"]).wait_with_output().unwrap();
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success() && second.status.success(), "{} {}", said(&first), said(&second));
    assert!(
        said(&second).contains("out/gaussian: process ") && said(&second).contains("waiting for its end"),
        "{}",
        said(&second)
    );
    // Four cells each, and the solution's.
    assert_eq!(rows(&cwd.join("out/gaussian")).len(), 9);
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    assert_same_bytes(&cwd.join("out/gaussian"), &cwd.join("whole"));
    assert_nothing_left(&cwd.join("out/gaussian"));
}

#[test]
fn a_run_that_joins_another_takes_what_nobody_has() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let many = GAUSSIAN.replace("samples = 40", "samples = 6000").replace("nfe = [5, 10]", "nfe = [5, 6, 7, 8, 9, 10]");
    fs::write(cwd.join("gaussian.toml"), many).unwrap();
    let mut first = start(cwd, &["sweep", "gaussian.toml"]);
    until(&mut first, || cwd.join("out/gaussian/.lock").exists());
    let second = start(cwd, &["sweep", "gaussian.toml", "--join"]).wait_with_output().unwrap();
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success() && second.status.success(), "{} {}", said(&first), said(&second));
    assert!(said(&second).contains("with the run that writes there"), "{}", said(&second));
    let both = [measured(&said(&first)), measured(&said(&second))];
    assert!(both.iter().all(|cells| !cells.is_empty()), "{both:?}");
    let all: Vec<String> = both.concat();
    let once: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), once.len()), (25, 25), "{all:?}");
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    assert_same_bytes(&cwd.join("out/gaussian"), &cwd.join("whole"));
    assert_nothing_left(&cwd.join("out/gaussian"));
}

#[test]
fn runs_that_join_with_other_cells_leave_tables_of_all() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("gaussian.toml"), GAUSSIAN.replace("samples = 40", "samples = 1500")).unwrap();
    for round in 0..6 {
        let out = format!("r{round}");
        let mut first = start(cwd, &["sweep", "gaussian.toml", "--out", &out, "--only", "nfe=5"]);
        until(&mut first, || cwd.join(&out).join(".lock").exists());
        let join = ["sweep", "gaussian.toml", "--out", &out, "--join", "--only", "nfe=10"];
        let second = start(cwd, &join).wait_with_output().unwrap();
        let first = first.wait_with_output().unwrap();
        assert!(first.status.success() && second.status.success(), "{} {}", said(&first), said(&second));
        assert_eq!(rows(&cwd.join(&out)).len(), 9, "round {round}: {} {}", said(&first), said(&second));
        let provenance = fs::read_to_string(cwd.join(&out).join("provenance.toml")).unwrap();
        assert!(provenance.contains("lacking = 0"), "{provenance}");
    }
}

/// Of a row whose error, key or images were changed, verify says so.
#[test]
fn a_row_that_was_changed_is_not_verified() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "r"]);
    let row = ["--experiment", "gaussian.toml", "--row", "method=deis,nfe=5"];
    let verify = |folder: &str| common::run(cwd, &[&["verify", folder], &row[..]].concat());
    let good = verify("r");
    let stdout = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && stdout.contains("every figure to the last digit"), "{stdout} {}", said(&good));
    // Whichever row it takes.
    let any = common::run(cwd, &["verify", "r", "--experiment", "gaussian.toml"]);
    assert!(
        any.status.success() && String::from_utf8_lossy(&any.stdout).contains("every figure to the last digit"),
        "{}",
        said(&any)
    );
    let text = fs::read_to_string(cwd.join("r/cells.csv")).unwrap();
    let headers: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    for (column, value) in [("ode_rmse", "0.5"), ("ode_rmse_error", "0.000001"), ("key", "deadbeef")] {
        let at = headers.iter().position(|header| *header == column).unwrap();
        let line = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if line.contains(",deis,") || line.contains("DEIS-2,") {
                cells[at] = value;
            }
            cells.join(",")
        };
        let changed: Vec<String> =
            text.lines().enumerate().map(|(n, text)| if n == 0 { text.into() } else { line(text) }).collect();
        folder::copy(&cwd.join("r"), &cwd.join(column));
        fs::write(cwd.join(column).join("cells.csv"), changed.join("\n") + "\n").unwrap();
        let output = verify(column);
        assert_eq!(output.status.code(), Some(1), "{column}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_sweep_that_is_asked_to_end_saves_and_says_so() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let long = GAUSSIAN.replace("samples = 40", "samples = 60000").replace("nfe = [5, 10]", "nfe = [5]");
    fs::write(cwd.join("gaussian.toml"), long).unwrap();
    for (name, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = start(cwd, &["sweep", "gaussian.toml"]);
        // Within a cell: its lock is there.
        let cells = cwd.join("out/gaussian/cells");
        let locked =
            || cells.is_dir() && tree(&cells).keys().any(|path| path.to_string_lossy().ends_with("seed-3.lock"));
        until(&mut child, locked);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(said(&output).contains("the same command, without --fresh, goes on from there"), "{}", said(&output));
        assert!(cells.join("parts").is_dir(), "no part was kept");
    }
    let output = start(cwd, &["sweep", "gaussian.toml"]).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    assert_same_bytes(&cwd.join("out/gaussian"), &cwd.join("whole"));
    assert_nothing_left(&cwd.join("out/gaussian"));
}

/// Whether or not the step that it ends after is one to write samples of.
#[test]
fn a_training_that_is_asked_to_end_goes_on_where_it_was() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    for every in [100, 1] {
        let text =
            TRAIN.replace("steps = 2", "steps = 12").replace("samples = 1", &format!("every = {every}\nsamples = 1"));
        fs::write(cwd.join("t.toml"), text).unwrap();
        let (asked, whole) = (format!("asked-{every}"), format!("whole-{every}"));
        let mut child = start(cwd, &["train", "t.toml", "--out", &asked]);
        // From here on it listens, and has not begun: it ends after its first step.
        until(&mut child, || cwd.join(&asked).join(".lock").exists());
        signal(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143), "{}", said(&output));
        assert!(cwd.join(&asked).join("state.safetensors").exists(), "{}", said(&output));
        assert!(!cwd.join(&asked).join("model.safetensors").exists(), "{}", said(&output));
        let files = |out: &String| -> BTreeMap<PathBuf, Vec<u8>> {
            let root = cwd.join(out);
            let all =
                tree(&root).into_iter().map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_owned(), bytes));
            // But for what has the time that it took.
            all.filter(|(path, _)| !["provenance.toml", "report.html"].iter().any(|name| path.ends_with(name)))
                .collect()
        };
        for out in [&asked, &whole] {
            succeed(cwd, &["train", "t.toml", "--out", out]);
            assert_nothing_left(&cwd.join(out));
        }
        let (asked, whole) = (files(&asked), files(&whole));
        assert_eq!(asked.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        assert!(whole.contains_key(Path::new("model.safetensors")) && whole.contains_key(Path::new("loss.svg")));
        for (path, bytes) in &whole {
            assert!(&asked[path] == bytes, "{}", path.display());
        }
    }
}

#[test]
fn statistics_that_are_asked_to_end_go_on_where_they_were() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let images = common::npz("arr_0", "|u1", &[60_000, 16, 16, 3], &common::pixels(60_000 * 768));
    fs::write(cwd.join("many.npz"), images).unwrap();
    let stats = |out: &str| {
        let mut command = fewstep(cwd, &["stats", "many.npz", "--features", "pixel-8x8", "--out", out]);
        command.env("FEWSTEP_CHECKPOINT", "0.01").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    for (name, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = stats("asked.safetensors").spawn().unwrap();
        // It listens before it has the lock, and has then all images to read.
        until(&mut child, || cwd.join(".asked.safetensors.lock").exists());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(!cwd.join("asked.safetensors").exists());
    }
    for out in ["asked.safetensors", "whole.safetensors"] {
        let output = stats(out).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(fs::read(cwd.join("asked.safetensors")).unwrap() == fs::read(cwd.join("whole.safetensors")).unwrap());
    assert!(!cwd.join(".asked.safetensors.parts").exists() && !cwd.join(".asked.safetensors.lock").exists());
}

#[test]
fn a_fit_that_is_asked_to_end_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::write(cwd.join("mixture.toml"), common::MIXTURE_FIT).unwrap();
    let fit = |out: &str| start(cwd, &["fit", "mixture.toml", "--nfe", "3,4", "--out", out]);
    for (name, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = fit("asked");
        until(&mut child, || cwd.join("asked/.lock").exists());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(!cwd.join("asked/fit.csv").exists());
    }
    for out in ["asked", "whole"] {
        let output = fit(out).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let (asked, whole) = (tree(&cwd.join("asked")), tree(&cwd.join("whole")));
    assert_eq!(asked.len(), whole.len());
    for (path, bytes) in &whole {
        let name = path.strip_prefix(cwd.join("whole")).unwrap();
        assert!(&asked[&cwd.join("asked").join(name)] == bytes, "{}", name.display());
    }
    assert_nothing_left(&cwd.join("asked"));
}
