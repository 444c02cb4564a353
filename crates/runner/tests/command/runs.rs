//! Where runs write, what ends them and what does not, and how they become and are compared with what is published.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::common::{FAR, GAUSSIAN, gaussian_folder, run, succeed};
use crate::folder::{assert_same, changed, copy, kept, rows, sealed, sweep, tree, unsealed};

/// Every file that `arguments` change, from `cwd`.
fn written(cwd: &Path, arguments: &[&str]) -> BTreeSet<PathBuf> {
    let before = tree(cwd);
    succeed(cwd, arguments);
    let strip = |path: PathBuf| path.strip_prefix(cwd).unwrap().to_owned();
    changed(&before, &tree(cwd)).into_iter().map(strip).collect()
}

fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// A folder in which something is published.
fn with_published() -> tempfile::TempDir {
    let folder = gaussian_folder();
    fs::create_dir_all(folder.path().join("results")).unwrap();
    succeed(folder.path(), &["sweep", "gaussian.toml", "--out", "results/gaussian"]);
    folder
}

#[test]
fn a_sweep_writes_in_its_own_folder_only() {
    let folder = with_published();
    let cwd = folder.path();
    for more in [&[][..], &["--only", "method=ddim"], &["--fresh"]] {
        let written = written(cwd, &[&["sweep", "gaussian.toml"], more].concat());
        assert!(written.len() > 10 || more.contains(&"--only"), "{written:?}");
        assert!(written.iter().all(|path| path.starts_with("out/gaussian")), "{more:?}: {written:?}");
    }
    let elsewhere = written(cwd, &["sweep", "gaussian.toml", "--out", "deep/folder"]);
    assert!(elsewhere.iter().all(|path| path.starts_with("deep/folder")), "{elsewhere:?}");
}

#[test]
fn sample_and_curve_write_what_they_are_asked_for_only() {
    let folder = with_published();
    let cwd = folder.path();
    let sample = |out| ["sample", "gaussian.toml", "--method", "deis-sn", "--nfe", "5", "--samples", "4", "--out", out];
    // Its normaliser is collected for it, and was once written into results/.
    assert_eq!(written(cwd, &sample("x.png")), paths(&["x.png"]));
    assert_eq!(written(cwd, &["curve", "gaussian.toml", "--out", "r.csv"]), paths(&["r.csv", "r.svg", "r.png"]));
    let own = written(cwd, &["curve", "gaussian.toml"]);
    assert!(own.len() == 4 && own.iter().all(|path| path.starts_with("out/gaussian")), "{own:?}");
    // And taken from where a run kept it.
    assert_eq!(written(cwd, &sample("y.png")), paths(&["y.png"]));
}

#[test]
fn only_leaves_finished_cells_in_the_table() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    assert_eq!(sweep(cwd, &["gaussian.toml"]).measured.len(), 9);
    let table = || (rows(&cwd.join("out/gaussian")), fs::read_to_string(cwd.join("out/gaussian/table.md")).unwrap());
    let whole = table();
    assert_eq!(sweep(cwd, &["gaussian.toml", "--only", "method=ddim,nfe=5"]).measured, Vec::<String>::new());
    assert!(table() == whole);
    // One cell and its seed's solution, all over again.
    assert_eq!(sweep(cwd, &["gaussian.toml", "--only", "method=ddim,nfe=5", "--fresh"]).measured.len(), 2);
    assert!(table() == whole);
}

#[test]
fn a_kept_cell_is_believed_only_as_it_was_written() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let results = cwd.join("out/gaussian");
    sweep(cwd, &["gaussian.toml"]);
    copy(&results, &cwd.join("whole"));
    let path = results.join("cells/ddim-0-quadratic-exact-none-5-seed-3.toml");
    let text = fs::read_to_string(&path).unwrap();
    let value = text.lines().find(|line| line.starts_with("value = ")).unwrap();
    let edited = text.replacen(value, "value = 0.125", 1);
    // A number; the hash; the whole hash, as files of earlier versions have none; a file cut off in the middle.
    for text in [edited.clone(), text.replacen("sha256 = \"", "sha256 = \"0", 1), unsealed(&path), text[..200].into()] {
        fs::write(&path, text).unwrap();
        assert_eq!(sweep(cwd, &["gaussian.toml"]).measured, ["DDIM at 5 NFE on quadratic, seed 3"]);
        assert_same(&results, &cwd.join("whole"), "measured again");
        unsealed(&path);
    }
    assert_eq!(sweep(cwd, &["gaussian.toml"]).measured, Vec::<String>::new());
    // The hash is against accidents: who writes it too is believed.
    fs::write(&path, sealed(edited.split_once('\n').unwrap().1)).unwrap();
    assert_eq!(sweep(cwd, &["gaussian.toml"]).measured, Vec::<String>::new());
    assert!(rows(&results).iter().any(|row| row["fd_pixel"] == "0.125"));
}

#[test]
fn samples_that_are_not_finite_are_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::write(cwd.join("far.toml"), FAR).unwrap();
    let swept = sweep(cwd, &["far.toml"]);
    assert_eq!(swept.measured.len(), 4);
    let found = rows(&cwd.join("out/far"));
    let row = |method: &str| found.iter().find(|row| row["method"] == method).unwrap();
    let euler = row("euler");
    assert_eq!((euler["diverged"].as_str(), euler["ode_rmse"].as_str()), ("image 0 from step 0 on", ""));
    assert!(swept.stdout.contains("| Euler | diverged: seed 0, image 0 from step 0 on |"), "{}", swept.stdout);
    for method in ["ddim", "deis", "solution"] {
        assert!(row(method)["diverged"].is_empty() && !row(method)["ode_rmse"].is_empty(), "{method}");
    }
    no_nan(&cwd.join("out/far"));
    // It is known, and not measured again.
    assert_eq!(sweep(cwd, &["far.toml"]).measured, Vec::<String>::new());
    assert_eq!(rows(&cwd.join("out/far")), found);
}

/// No number of a drawing is none.
fn no_nan(folder: &Path) {
    let mut drawings = 0;
    for (path, bytes) in tree(folder).into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "svg")) {
        let text = String::from_utf8(bytes).unwrap();
        let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
        let wrong: Vec<String> = words.filter(|word| ["nan", "inf", "infinity"].contains(&word.as_str())).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        drawings += 1;
    }
    assert!(drawings > 0, "nothing is drawn");
}

#[test]
fn a_distance_of_zero_is_drawn() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    // The solution's own plan.
    let text = GAUSSIAN.replace("nfe = [5, 10]", "nfe = [5, 10, 60]").replace("nfe = 200", "nfe = 60");
    fs::write(cwd.join("zero.toml"), text).unwrap();
    sweep(cwd, &["zero.toml"]);
    let found = rows(&cwd.join("out/zero"));
    let zero = found.iter().find(|row| row["method"] == "deis" && row["nfe"] == "60").unwrap();
    assert_eq!((zero["ode_rmse"].as_str(), zero["ode_rmse_error"].as_str()), ("0.0", "0.0"));
    no_nan(&cwd.join("out/zero"));
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Says that the kept cells whose names begin with `method` were measured by `build`.
fn set_build(cwd: &Path, method: &str, build: &str) {
    for name in kept(&cwd.join("out/gaussian"), method, ".toml").into_iter().filter(|name| name.contains("-seed-")) {
        let path = cwd.join("out/gaussian/cells").join(name);
        let line = |line: &str| {
            if line.starts_with("build = ") { format!("build = \"{build}\"\n") } else { format!("{line}\n") }
        };
        fs::write(&path, sealed(&unsealed(&path).lines().map(line).collect::<String>())).unwrap();
    }
    assert_eq!(sweep(cwd, &["gaussian.toml"]).measured, Vec::<String>::new());
}

/// A whole run of a commit.
fn whole_run() -> tempfile::TempDir {
    let folder = gaussian_folder();
    sweep(folder.path(), &["gaussian.toml"]);
    set_build(folder.path(), "", COMMIT);
    folder
}

const PUBLISH: [&str; 2] = ["publish", "out/gaussian"];

/// Expects that publishing is refused for `reason`, and leaves nothing behind.
fn assert_refused(cwd: &Path, reason: &str) {
    assert_refused_of(cwd, &PUBLISH, reason);
}

fn assert_refused_of(cwd: &Path, arguments: &[&str], reason: &str) {
    let output = run(cwd, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(reason) && message.contains("--force"), "{message}");
    assert!(!cwd.join("results").exists());
}

#[test]
fn what_is_published_is_whole_and_by_one_build_of_a_commit() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml", "--only", "method=euler"]);
    assert_refused(cwd, "3 of 9 cells are there, and 12 measurements of them are not");
    sweep(cwd, &["gaussian.toml"]);
    set_build(cwd, "", COMMIT);
    set_build(cwd, "ddim", "fedcba9876543210fedcba9876543210fedcba98");
    assert_refused(cwd, "measured by several builds");
    set_build(cwd, "", &format!("{COMMIT}-dirty"));
    assert_refused(cwd, "whose sources no commit has");
    succeed(cwd, &["publish", "out/gaussian", "--force"]);
    assert_eq!(rows(&cwd.join("results/gaussian")).len(), 9);
    set_build(cwd, "", COMMIT);
    succeed(cwd, &PUBLISH);
    let provenance = fs::read_to_string(cwd.join("results/gaussian/provenance.toml")).unwrap();
    assert!(provenance.contains(&format!("{COMMIT} = 9")) || provenance.contains(&format!("{COMMIT}\" = 9")));
}

#[test]
fn publishing_replaces_the_older_folder_whole() {
    let folder = whole_run();
    let cwd = folder.path();
    fs::create_dir_all(cwd.join("results/gaussian")).unwrap();
    fs::write(cwd.join("results/gaussian/leftover.svg"), "old").unwrap();
    fs::write(cwd.join("results/gaussian/cells.csv"), "old").unwrap();
    fs::create_dir_all(cwd.join("results/other")).unwrap();
    fs::write(cwd.join("results/other/cells.csv"), "theirs").unwrap();
    let before = tree(&cwd.join("out"));
    succeed(cwd, &PUBLISH);
    assert_eq!(names(&cwd.join("results")), ["gaussian", "other"].map(str::to_owned).into());
    assert_eq!(fs::read(cwd.join("results/other/cells.csv")).unwrap(), b"theirs");
    // All of the run but what makes going on possible.
    let mut expected = names(&cwd.join("out/gaussian"));
    expected.remove("cells");
    // The page is made anew from what is published (`fewstep site`).
    expected.remove("report.html");
    assert_eq!(names(&cwd.join("results/gaussian")), expected);
    for (path, bytes) in tree(&cwd.join("results/gaussian")) {
        assert!(fs::read(cwd.join("out/gaussian").join(path.file_name().unwrap())).unwrap() == bytes, "{path:?}");
    }
    assert_eq!(changed(&before, &tree(&cwd.join("out"))), BTreeSet::new());
}

/// Names of the files in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn nothing_of_an_earlier_run_is_published() {
    let folder = whole_run();
    let cwd = folder.path();
    let all = names(&cwd.join("out/gaussian"));
    for drawn in ["ode_rmse-sn.svg", "ode_rmse-sn.png", "fd_pixel.png", "normaliser.csv", "normaliser.svg"] {
        assert!(all.contains(drawn), "{drawn}");
    }
    // Without the metric, the normalised method and its normaliser.
    let text =
        GAUSSIAN.replace("\"fd_pixel\", ", "").split("[[method]]\nname = \"deis-sn\"").next().unwrap().to_owned();
    let (before, after) = (text.split("[normaliser]").next().unwrap(), text.split("[solution]").nth(1).unwrap());
    fs::write(cwd.join("gaussian.toml"), format!("{before}[solution]{after}")).unwrap();
    sweep(cwd, &["gaussian.toml"]);
    set_build(cwd, "", COMMIT);
    // Nobody asked the program for these.
    fs::write(cwd.join("out/gaussian/mine.svg"), "mine").unwrap();
    fs::write(cwd.join("out/gaussian/notes.md"), "mine").unwrap();
    succeed(cwd, &PUBLISH);
    let published = names(&cwd.join("results/gaussian"));
    let mut expected: BTreeSet<String> =
        ["cells.csv", "cells.parquet", "images.parquet", "provenance.toml"].map(str::to_owned).into();
    expected.extend(["convergence", "ode_rmse"].iter().flat_map(|stem| [format!("{stem}.svg"), format!("{stem}.png")]));
    expected.extend(["table.md", "samples.png"].map(str::to_owned));
    assert_eq!(published, expected);
    let left = names(&cwd.join("out/gaussian"));
    assert!(!left.iter().any(|name| name.starts_with("normaliser") || name.starts_with("fd_pixel")), "{left:?}");
    assert!(left.contains("mine.svg") && left.contains("notes.md"));
}

#[test]
fn what_was_changed_by_hand_is_not_published() {
    let folder = whole_run();
    let cwd = folder.path();
    let place = |name: &str| cwd.join("out/gaussian").join(name);
    let (cells, provenance) = (place("cells.csv"), place("provenance.toml"));
    let (text, origin) = (fs::read_to_string(&cells).unwrap(), fs::read_to_string(&provenance).unwrap());
    let value = rows(&cwd.join("out/gaussian"))[0]["ode_rmse"].clone();
    fs::write(&cells, text.replace(&value, "0.001")).unwrap();
    assert_refused(cwd, "cells.csv is not what was measured");
    fs::write(&cells, &text).unwrap();
    let images = fs::read(place("images.parquet")).unwrap();
    fs::remove_file(place("images.parquet")).unwrap();
    assert_refused(cwd, "images.parquet is not what was measured");
    fs::write(place("images.parquet"), images).unwrap();
    let curve = fs::read_to_string(place("normaliser.csv")).unwrap();
    fs::write(place("normaliser.csv"), format!("{curve}\n")).unwrap();
    assert_refused(cwd, "normaliser.csv is not the one");
    fs::write(place("normaliser.csv"), curve).unwrap();
    // Folders of earlier versions have no hashes; their builds are those of their cells all the same.
    let (before, _) = origin.split_once("[files]").unwrap();
    fs::write(&provenance, before).unwrap();
    fs::write(&cells, text.replace(COMMIT, "fedcba9876543210fedcba9876543210fedcba98")).unwrap();
    assert_refused(cwd, "other builds or devices than provenance.toml");
    fs::write(&cells, &text).unwrap();
    succeed(cwd, &PUBLISH);
}

#[test]
fn orders_and_training_runs_are_published_of_a_commit_only() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    succeed(cwd, &["orders"]);
    let path = cwd.join("out/convergence/provenance.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("[builds]\n").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let publish = ["publish", "out/convergence"];
    let origin = |build: &str| fs::write(&path, format!("{before}[builds]\n{build}\n{after}")).unwrap();
    origin(&format!("{COMMIT}-dirty = 71"));
    assert_refused_of(cwd, &publish, "whose sources no commit has");
    origin(&format!("{COMMIT} = 70\nfedcba98 = 1"));
    assert_refused_of(cwd, &publish, "several builds");
    fs::write(&path, "").unwrap();
    assert_refused_of(cwd, &publish, "does not name");
    // As a training run says it.
    fs::write(&path, format!("build = \"{COMMIT}-dirty\"\n")).unwrap();
    assert_refused_of(cwd, &publish, "whose sources no commit has");
    fs::write(&path, format!("build = \"{COMMIT}\"\n")).unwrap();
    succeed(cwd, &publish);
    assert!(cwd.join("results/convergence/orders.csv").is_file());
}

#[test]
fn a_sweep_ends_with_how_it_compares_with_what_is_published() {
    let folder = whole_run();
    let cwd = folder.path();
    let before = sweep(cwd, &["gaussian.toml"]).stdout;
    assert!(!before.contains("reproduced") && !before.contains("differs"), "{before}");
    succeed(cwd, &PUBLISH);
    let same = sweep(cwd, &["gaussian.toml", "--fresh"]).stdout;
    assert!(same.contains("reproduced: 9 of 9 cells, every figure to the last digit"), "{same}");

    let path = cwd.join("results/gaussian/cells.csv");
    let value = rows(&cwd.join("out/gaussian")).into_iter().find(|row| row["method"] == "deis" && row["nfe"] == "5");
    let value = value.unwrap()["ode_rmse"].clone();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(&value).count(), 1);
    fs::write(&path, text.replace(&value, "0.0653")).unwrap();
    let other = sweep(cwd, &["gaussian.toml"]).stdout;
    for said in ["differs: 8 of 9 cells", "DEIS-2 on quadratic at 5 NFE, seed 3: ode_rmse", "against 0.0653"] {
        assert!(other.contains(said), "{said}: {other}");
    }
    let compared = succeed(cwd, &["compare", "out/gaussian", "results/gaussian"]);
    assert!(other.contains(compared.trim()), "{compared}");

    // A run of a part is no reproduction of the whole.
    fs::write(&path, text).unwrap();
    let part = sweep(cwd, &["gaussian.toml", "--only", "method=ddim", "--out", "part"]).stdout;
    assert!(part.contains("so far reproduced: 3 of 9 cells") && part.contains("only in the second: "), "{part}");
}

#[test]
fn publishing_replaces_nothing_but_results() {
    let folder = whole_run();
    let cwd = folder.path();
    fs::create_dir_all(cwd.join("results/other")).unwrap();
    fs::write(cwd.join("results/other/cells.csv"), "theirs").unwrap();
    fs::write(cwd.join("README.md"), "text").unwrap();
    fs::create_dir(cwd.join("nothing")).unwrap();
    let before = tree(cwd);
    for (arguments, reason) in [
        (["publish", "out/gaussian", "--to", "results", "--force"], "no folder of results"),
        (["publish", "out/gaussian", "--to", "README.md", "--force"], "no folder of results"),
        (["publish", "out/gaussian", "--to", "out/gaussian", "--force"], "is what is published"),
        (["publish", "nothing", "--to", "results/other", "--force"], "no cells.csv"),
    ] {
        let output = run(cwd, &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(reason), "{arguments:?}: {message}");
    }
    assert_eq!(changed(&before, &tree(cwd)), BTreeSet::new());
}
