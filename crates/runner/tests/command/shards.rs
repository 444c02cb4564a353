//! Shards of a sweep, merged: the bytes of a run without shards.

use std::{fs, path::Path};

use crate::common::{self, Case, FAR, GAUSSIAN, expect_refusals, fewstep, gaussian_folder, repository, run, succeed};
use crate::folder::{self, assert_nothing_left, assert_same_bytes, rows};

/// On Gaussian data, every kind of measure: to the data, to converged samples of both noises, to the solution of some images.
fn text() -> String {
    let metrics = "[\"fd_pixel\", \"fd_data\", \"ode_rmse\", \"fd_pixel_solution\"]";
    GAUSSIAN
        .replace("[\"fd_pixel\", \"ode_rmse\"]", metrics)
        .replace("samples = 24", "samples = 24\nfloor = 30")
        .replace("size = 16", "size = 8")
}

fn shard(cwd: &Path, experiment: &str, out: &str, of: &str) {
    succeed(cwd, &["sweep", experiment, "--out", out, "--shard", of]);
}

fn merge(out: &str, count: usize) -> Vec<String> {
    let shards = (1..=count).map(|index| format!("{out}/shards/{index}-of-{count}"));
    ["merge".to_owned(), out.to_owned()].into_iter().chain(shards).collect()
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn merged_shards_are_a_run_without_shards() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), text()).unwrap();
    succeed(cwd, &["sweep", "x.toml", "--out", "whole"]);
    for count in [1, 3, 7] {
        let out = format!("in-{count}");
        // In another order, with another number of threads.
        for index in (1..=count).rev() {
            let arguments = ["sweep", "x.toml", "--out", &out, "--shard", &format!("{index}/{count}")];
            let threads = if index % 2 == 0 { "1" } else { "3" };
            let output = fewstep(cwd, &arguments).env("RAYON_NUM_THREADS", threads).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let shards = cwd.join(&out).join("shards");
        let output = run(cwd, &strs(&merge(&out, count)));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        // Nothing but the check of the solution is evaluated again: 8 images with twice its evaluations.
        assert!(said.contains(&format!("evaluations of an image: {} made", 8 * 2 * 200)), "{said}");
        fs::rename(&shards, cwd.join(format!("shards-{count}"))).unwrap();
        assert_same_bytes(&cwd.join(&out), &cwd.join("whole"));
        assert_nothing_left(&cwd.join(&out));
    }
}

#[test]
fn what_diverges_in_a_shard_diverges_in_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::write(cwd.join("far.toml"), FAR).unwrap();
    succeed(cwd, &["sweep", "far.toml", "--out", "whole"]);
    ["2/2", "1/2"].iter().for_each(|of| shard(cwd, "far.toml", "merged", of));
    succeed(cwd, &strs(&merge("merged", 2)));
    assert_eq!(rows(&cwd.join("merged")), rows(&cwd.join("whole")));
    let diverged = rows(&cwd.join("whole")).into_iter().filter(|row| !row["diverged"].is_empty()).count();
    assert_eq!(diverged, 1);
}

/// A mixture so far from 0 that its solution is not finite.
const UNSOLVED: &str = r#"samples = 8
nfe = [2]
metrics = ["ode_rmse", "fd_data"]
method = [{ name = "ddim" }, { name = "deis", order = 2 }]
solution = { samples = 8, nfe = 4, floor = 4 }

[model]
kind = "mixture"
size = 2

[[model.component]]
weight = 1
mean = -1e37
variance = 1e-6

[[model.component]]
weight = 1
mean = 1e37
variance = 1e-6
"#;

#[test]
fn solutions_of_fewer_images_or_none_at_all_are_merged() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("few.toml"), GAUSSIAN.replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"ode_rmse\"]")).unwrap();
    fs::write(cwd.join("unsolved.toml"), UNSOLVED).unwrap();
    for (name, solved) in [("few", true), ("unsolved", false)] {
        let file = format!("{name}.toml");
        let whole = run(cwd, &["sweep", &file, "--out", &format!("{name}-whole")]);
        assert_eq!(whole.status.success(), solved, "{}", String::from_utf8_lossy(&whole.stderr));
        let out = format!("{name}-merged");
        ["1/3", "2/3", "3/3"].iter().for_each(|of| shard(cwd, &file, &out, of));
        let merged = run(cwd, &strs(&merge(&out, 3)));
        assert_eq!(merged.status.success(), solved, "{}", String::from_utf8_lossy(&merged.stderr));
        assert_eq!(rows(&cwd.join(&out)), rows(&cwd.join(format!("{name}-whole"))), "{name}");
        assert!(!rows(&cwd.join(&out)).is_empty());
    }
}

#[test]
fn what_is_partly_measured_is_merged() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), GAUSSIAN.replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"fd_pixel\"]")).unwrap();
    succeed(cwd, &["sweep", "x.toml", "--out", "part"]);
    fs::write(cwd.join("x.toml"), GAUSSIAN).unwrap();
    ["1/2", "2/2"].iter().for_each(|of| shard(cwd, "x.toml", "part", of));
    succeed(cwd, &strs(&merge("part", 2)));
    succeed(cwd, &["sweep", "x.toml", "--out", "whole"]);
    assert_eq!(rows(&cwd.join("part")), rows(&cwd.join("whole")));
}

#[test]
fn a_shard_goes_on_where_it_was_killed() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), text().replace("samples = 40", "samples = 20000")).unwrap();
    let mut command = fewstep(cwd, &["sweep", "x.toml", "--out", "out", "--shard", "1/2"]);
    let mut child = command.env("FEWSTEP_CHECKPOINT", "0.05").spawn().unwrap();
    let parts = cwd.join("out/shards/1-of-2/cells/parts");
    let kept = || parts.read_dir().map_or(0, |entries| entries.count());
    while kept() < 4 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let before = folder::tree(&parts);
    let refused = run(cwd, &["merge", "out", "out/shards/1-of-2", "out/shards/1-of-2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("out/shards/1-of-2: not finished"));
    shard(cwd, "x.toml", "out", "1/2");
    let after = folder::tree(&parts);
    let is_file = |path: &Path| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    assert!(before.iter().filter(|(path, _)| is_file(path)).all(|(path, bytes)| &after[path] == bytes));
    shard(cwd, "x.toml", "out", "2/2");
    succeed(cwd, &strs(&merge("out", 2)));
    fs::remove_dir_all(cwd.join("out/shards")).unwrap();
    succeed(cwd, &["sweep", "x.toml", "--out", "whole"]);
    assert_same_bytes(&cwd.join("out"), &cwd.join("whole"));
}

#[test]
fn what_are_not_all_shards_of_one_sweep_is_refused() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), text()).unwrap();
    fs::write(cwd.join("y.toml"), text().replace("seed = 3", "seed = 4")).unwrap();
    ["1/2", "2/2"].iter().for_each(|of| shard(cwd, "x.toml", "x", of));
    shard(cwd, "y.toml", "y", "2/2");
    shard(cwd, "x.toml", "x3", "2/3");
    folder::copy(&cwd.join("x/shards/2-of-2"), &cwd.join("again"));
    folder::copy(&cwd.join("x/shards/2-of-2"), &cwd.join("edited"));
    let description = cwd.join("edited/shard.toml");
    let text = fs::read_to_string(&description).unwrap();
    fs::write(&description, text.replace("shard = 2", "shard = 1")).unwrap();
    // Sealed, and of more shards than there can be.
    folder::copy(&cwd.join("x/shards/2-of-2"), &cwd.join("huge"));
    let huge = folder::unsealed(&cwd.join("huge/shard.toml")).replace("shards = 2", "shards = 9000000000000000000");
    fs::write(cwd.join("huge/shard.toml"), folder::sealed(&huge)).unwrap();
    // A part that is not as it was written.
    folder::copy(&cwd.join("x/shards/2-of-2"), &cwd.join("damaged"));
    for path in folder::tree(&cwd.join("damaged/cells/parts")).keys().filter(|path| path.extension().unwrap() == "f32")
    {
        let mut bytes = fs::read(path).unwrap();
        bytes[9] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let first = "x/shards/1-of-2";
    let cases: Vec<Case> = vec![
        ("one lacks", &["shards 2/2 are missing"], vec!["merge", "m", first]),
        (
            "one twice",
            &["again: the same shard as x/shards/2-of-2"],
            vec!["merge", "m", first, "x/shards/2-of-2", "again"],
        ),
        ("another seed", &["y/shards/2-of-2: not of the same sweep as"], vec!["merge", "m", first, "y/shards/2-of-2"]),
        ("another count", &["x3/shards/2-of-3: not of the same sweep"], vec!["merge", "m", first, "x3/shards/2-of-3"]),
        ("edited", &["edited/shard.toml: not as it was written"], vec!["merge", "m", "edited", "x/shards/2-of-2"]),
        ("too many", &["huge/shard.toml: shard 2 of 9000000000000000000"], vec!["merge", "m", "huge"]),
        ("no shard", &["shard.toml", "expected what `fewstep sweep --shard I/N` wrote"], vec!["merge", "m", "x"]),
        ("damaged", &["images 20 to 23 are in none of the shards"], vec!["merge", "m", first, "damaged"]),
        (
            "another experiment",
            &["y.toml: not the text that x/shards/1-of-2 was sampled for"],
            vec!["merge", "m", first, "x/shards/2-of-2", "--experiment", "y.toml"],
        ),
        ("no such shard", &["expected I/N"], vec!["sweep", "x.toml", "--shard", "3/2"]),
        (
            "more than images",
            &["x.toml: 40 samples; expected at least one for each of 41"],
            vec!["sweep", "x.toml", "--shard", "1/41"],
        ),
        ("a selection", &["--only"], vec!["sweep", "x.toml", "--shard", "1/2", "--only", "nfe=5"]),
    ];
    expect_refusals(cwd, cases);
}

/// Tables of the real network with FIDs, of one run, of batches of other sizes and other threads, and of shards.
#[test]
#[ignore = "needs `fewstep fetch inception`; two minutes"]
fn a_table_of_fids_of_the_real_network_is_the_same_whole_and_in_shards() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let root = repository();
    let (weights, statistics) = (
        root.join("models/cifar10-small.safetensors"),
        root.join("experiments/statistics/cifar10-train-fid-inception.safetensors"),
    );
    let with = |batch: usize| {
        format!(
            "samples = 20\nbatch = {batch}\nnfe = [2, 3]\nmetrics = [\"fid\", \"fid_solution\", \"fid_paired\", \"feature_rmse\", \"ode_rmse\"]\n\
             grid = \"quadratic\"\nmethod = [{{ name = \"ddim\" }}, {{ name = \"deis-sn\", order = 2 }}]\n\
             model = {{ kind = \"unet\", size = 32, weights = {weights:?} }}\nsolution = {{ nfe = 8, samples = 20, floor = 6 }}\n\
             normaliser = {{ collect = {{ nfe = 40, samples = 2, seed = 1, grid = \"quadratic\" }} }}\nreference = {{ fid = {statistics:?} }}\n"
        )
    };
    let run = |name: &str, out: &str, threads: &str, more: &[&str]| {
        let mut command = common::fetched(cwd, &[&["sweep", name, "--out", out], more].concat());
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let compare = |other: &str| {
        assert_eq!(rows(&cwd.join(other)), rows(&cwd.join("whole/t")), "{other}");
        for file in ["images.parquet", "samples.png", "normaliser.csv"] {
            let read = |folder: &str| fs::read(cwd.join(folder).join(file)).unwrap();
            assert!(read(other) == read("whole/t"), "{other}: {file}");
        }
    };
    // By one name, which is in every row.
    for (folder, batch, threads) in [("whole", 16, "2"), ("other", 7, "1"), ("large", 100, "3")] {
        fs::create_dir(cwd.join(folder)).unwrap();
        fs::write(cwd.join(folder).join("t.toml"), with(batch)).unwrap();
        run(&format!("{folder}/t.toml"), &format!("{folder}/t"), threads, &[]);
        compare(&format!("{folder}/t"));
    }
    assert!(rows(&cwd.join("whole/t")).iter().all(|row| !row["fid"].is_empty() && !row["fid_solution"].is_empty()));
    for index in ["2/3", "3/3", "1/3"] {
        run("whole/t.toml", "merged", "2", &["--shard", index]);
    }
    let output = common::fetched(cwd, &strs(&merge("merged", 3))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    compare("merged");
}
