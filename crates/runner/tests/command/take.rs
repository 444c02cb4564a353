//! `sweep --take`: what is published of an experiment is not measured again where the experiment grows.

use std::{fs, path::Path};

use crate::bases::{UNET, unet_folder};
use crate::common::{self, GAUSSIAN, gaussian_folder, repository, run, succeed};
use crate::folder::{self, assert_same, assert_same_bytes, sweep};

/// A folder with `x.toml`, and what is published of it at 5 evaluations in `published`.
fn published() -> tempfile::TempDir {
    let folder = gaussian_folder();
    let cwd = folder.path();
    write(cwd, "nfe = [5]");
    sweep(cwd, &["x.toml", "--out", "run"]);
    succeed(cwd, &["publish", "run", "--to", "published", "--force"]);
    write(cwd, "nfe = [5, 10]");
    folder
}

fn write(cwd: &Path, nfe: &str) {
    fs::write(
        cwd.join("x.toml"),
        GAUSSIAN.replace("nfe = [5, 10]", nfe).replace("samples = 24", "samples = 24\nfloor = 60"),
    )
    .unwrap();
}

/// What a refused sweep says.
fn refused(cwd: &Path) -> String {
    let output = run(cwd, &["sweep", "x.toml", "--out", "grown", "--take", "published"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said.lines().find(|line| line.starts_with("error:")).unwrap().to_owned()
}

#[test]
fn a_published_table_grows_by_what_it_lacks() {
    let folder = published();
    let cwd = folder.path();
    let grown = sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]);
    assert_eq!(grown.measured.len(), 4, "{:?}", grown.measured);
    assert!(grown.measured.iter().all(|cell| cell.contains("at 10 NFE")), "{:?}", grown.measured);
    sweep(cwd, &["x.toml", "--out", "fresh"]);
    assert_same(&cwd.join("grown"), &cwd.join("fresh"), "taken, then fresh");
    assert_same_bytes(&cwd.join("grown"), &cwd.join("fresh"));
    // From then on it is kept here.
    assert_eq!(sweep(cwd, &["x.toml", "--out", "grown"]).measured, Vec::<String>::new());
    assert_eq!(sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]).measured, Vec::<String>::new());
}

#[test]
fn a_metric_that_was_not_published_is_measured() {
    let folder = published();
    let cwd = folder.path();
    let text = fs::read_to_string(cwd.join("x.toml")).unwrap();
    let metrics = "[\"fd_pixel\", \"ode_rmse\"]";
    fs::write(cwd.join("x.toml"), text.replace(metrics, "[\"fd_pixel\", \"ode_rmse\", \"fd_data\"]")).unwrap();
    assert_eq!(sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]).measured.len(), 9);
    sweep(cwd, &["x.toml", "--out", "fresh"]);
    assert_same(&cwd.join("grown"), &cwd.join("fresh"), "with another metric");
}

/// Distances to a solution of fewer images are others, on the same samples.
#[test]
fn what_was_measured_from_another_solution_is_measured_again() {
    for (from, to) in [("samples = 24\nfloor", "samples = 20\nfloor"), ("floor = 60", "floor = 70")] {
        let folder = published();
        let cwd = folder.path();
        let text = fs::read_to_string(cwd.join("x.toml")).unwrap();
        assert!(text.contains(from));
        fs::write(cwd.join("x.toml"), text.replace(from, to)).unwrap();
        let measured = sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]).measured;
        assert!(measured.len() >= 8, "{to}: {measured:?}");
        sweep(cwd, &["x.toml", "--out", "fresh"]);
        assert_same(&cwd.join("grown"), &cwd.join("fresh"), to);
    }
}

/// Distances in features are to converged samples, which the solution's own cell is one of.
#[test]
fn converged_samples_of_another_number_of_evaluations_are_not_taken_for_the_same() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    folder::copy(&repository().join("crates/fid/tests/golden/vit/dinov2"), &cwd.join("net"));
    let text = |floor: usize| {
        GAUSSIAN
            .replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"fd_vit_paired\", \"ode_rmse\"]")
            .replace("nfe = [5, 10]", "nfe = [2]")
            .replace("samples = 24", &format!("samples = 24\nfloor = {floor}"))
            .replace("[model]", "[features]\nweights = \"net/model.safetensors\"\n\n[model]")
    };
    fs::write(cwd.join("x.toml"), text(6)).unwrap();
    sweep(cwd, &["x.toml", "--out", "run"]);
    succeed(cwd, &["publish", "run", "--to", "published", "--force"]);
    assert_eq!(sweep(cwd, &["x.toml", "--out", "same", "--take", "published"]).measured, Vec::<String>::new());
    fs::write(cwd.join("x.toml"), text(9)).unwrap();
    assert_eq!(sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]).measured.len(), 5);
    sweep(cwd, &["x.toml", "--out", "fresh"]);
    assert_same(&cwd.join("grown"), &cwd.join("fresh"), "another floor");
}

#[test]
fn nothing_is_taken_of_what_was_changed_or_is_another_experiments() {
    let folder = published();
    let cwd = folder.path();
    let text = fs::read_to_string(cwd.join("x.toml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        fs::write(cwd.join("x.toml"), text.replacen(from, to, 1)).unwrap();
        let said = refused(cwd);
        fs::write(cwd.join("x.toml"), &text).unwrap();
        said
    };
    let said = with("seed = 3", "seed = 4");
    assert!(said.contains("published: none of its cells is one of this experiment"), "{said}");
    let said = with("mean = -0.1", "mean = -0.2");
    assert!(said.contains("published: measured of network "), "{said}");
    let said = with("nfe = 200", "nfe = 100");
    assert!(said.contains("published: measured with another solution: "), "{said}");
    let images = common::npz("arr_0", "|u1", &[300, 16, 16, 3], &common::pixels(300 * 768 + 5)[5..]);
    fs::write(cwd.join("others.npz"), images).unwrap();
    succeed(cwd, &["stats", "others.npz", "--features", "pixel-8x8", "--out", "others.safetensors"]);
    let said = with("pixels.safetensors", "others.safetensors");
    assert!(said.contains("published: measured with another fd_pixel-statistics: "), "{said}");

    let provenance = fs::read_to_string(cwd.join("published/provenance.toml")).unwrap();
    let canary = provenance.lines().find(|line| line.starts_with("fd_pixel = \"")).unwrap();
    let other = format!("fd_pixel = \"{}\"", "0".repeat(64));
    fs::write(cwd.join("published/provenance.toml"), provenance.replace(canary, &other)).unwrap();
    let said = refused(cwd);
    assert!(said.contains("published: the canary of fd_pixel is 00000000 there and "), "{said}");
    fs::write(cwd.join("published/provenance.toml"), &provenance).unwrap();

    let cells = fs::read_to_string(cwd.join("published/cells.csv")).unwrap();
    fs::write(cwd.join("published/cells.csv"), cells.replace("ddim", "mine")).unwrap();
    let said = refused(cwd);
    assert!(said.contains("published: cells.csv is not what was measured"), "{said}");
}

/// One build measured what is there, another what is added: both are said, and it may be published where the first already is.
#[test]
fn what_grew_is_published_where_its_cells_already_were() {
    let folder = published();
    let cwd = folder.path();
    let rename = |name: &str, from: &str, to: &str| {
        let path = cwd.join(name);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(from, to)).unwrap();
    };
    let read = |name: &str| fs::read_to_string(cwd.join(name)).unwrap();
    let provenance: toml::Table = toml::from_str(&read("published/provenance.toml")).unwrap();
    let build = provenance["builds"].as_table().unwrap().keys().next().unwrap().clone();
    let other = "f".repeat(40);
    let hash = |name: &str| {
        use sha2::{Digest, Sha256};
        format!("{:x}", Sha256::digest(fs::read(cwd.join(name)).unwrap()))
    };
    let before = hash("published/cells.csv");
    rename("published/cells.csv", &build, &other);
    let after = hash("published/cells.csv");
    rename("published/provenance.toml", &build, &other);
    rename("published/provenance.toml", &before, &after);
    sweep(cwd, &["x.toml", "--out", "grown", "--take", "published"]);
    let grown: toml::Table = toml::from_str(&read("grown/provenance.toml")).unwrap();
    let builds = grown["builds"].as_table().unwrap();
    assert_eq!(builds.get(&other).and_then(toml::Value::as_integer), Some(5), "{builds:?}");
    assert_eq!(builds.get(&build).and_then(toml::Value::as_integer), Some(4), "{builds:?}");
    let output = run(cwd, &["publish", "grown", "--to", "elsewhere"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("measured by several builds"), "{said}");
    let output = run(cwd, &["publish", "grown", "--to", "published"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The build of a test may be of sources that no commit has, which is its own reason.
    assert!(!said.contains("several builds"), "{said}");
    assert_eq!(output.status.success(), !build.ends_with("-dirty") && build != "unknown", "{said}");
}

/// What an earlier version called a file's weights is a word: the network is the same.
#[test]
fn what_weights_are_called_is_no_other_network() {
    let folder = unet_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), UNET).unwrap();
    sweep(cwd, &["x.toml", "--out", "published"]);
    let path = cwd.join("published/provenance.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("model-weights = \"as stored\""), "{text}");
    fs::write(&path, text.replace("model-weights = \"as stored\"", "model-weights = \"raw\"")).unwrap();
    let swept = sweep(cwd, &["x.toml", "--out", "own", "--take", "published"]);
    assert_eq!(swept.measured, <[String; 0]>::default());
}
