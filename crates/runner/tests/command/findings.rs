//! What was once kept though it had changed, and what was measured again though it had not: each as it was found.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::bases::{UNET, unet_folder};
use crate::common::{self, GAUSSIAN, gaussian_folder};
use crate::folder::{assert_same, copy, golden, normalisers, rows, solutions, sweep, tensors, write_tensors};

/// What was kept of an experiment before and after a change.
struct Changed {
    /// Cells that were measured again.
    measured: Vec<String>,
    collected: bool,
    solved: bool,
    /// `ode_rmse` by method and evaluations.
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

fn distances(folder: &Path) -> BTreeMap<String, String> {
    rows(folder).into_iter().map(|row| (format!("{} {}", row["method"], row["nfe"]), row["ode_rmse"].clone())).collect()
}

/// Sweeps `base`, then what `change` makes of it in the same folder, which must be what an empty folder gives.
fn after(cwd: &Path, base: &str, change: impl FnOnce() -> String) -> Changed {
    let (file, folder) = (cwd.join("x.toml"), cwd.join("out/x"));
    fs::write(&file, base).unwrap();
    sweep(cwd, &["x.toml"]);
    let (before, curves, solved) = (distances(&folder), normalisers(&folder), solutions(&folder));
    fs::write(&file, change()).unwrap();
    let measured = sweep(cwd, &["x.toml"]).measured;
    sweep(cwd, &["x.toml", "--out", "fresh"]);
    assert_same(&folder, &cwd.join("fresh"), "in the same folder");
    Changed {
        measured,
        collected: normalisers(&folder) != curves,
        solved: solutions(&folder) != solved,
        before,
        after: distances(&folder),
    }
}

fn replaced(base: &str, from: &str, to: &str) -> String {
    assert_eq!(base.matches(from).count(), 1, "{from}");
    base.replace(from, to)
}

/// That everything is another's.
fn assert_new(changed: &Changed, cells: usize) {
    assert!(changed.collected, "the normaliser of another network was kept");
    assert!(changed.solved, "the solution of another network was kept");
    assert_eq!(changed.measured.len(), cells, "{:?}", changed.measured);
    for (cell, value) in &changed.before {
        assert_ne!(value, &changed.after[cell], "{cell}");
    }
}

fn assert_kept(changed: &Changed) {
    assert!(!changed.collected && !changed.solved && changed.measured.is_empty(), "{:?}", changed.measured);
    assert_eq!(changed.before, changed.after);
}

#[test]
fn a_normaliser_is_of_its_schedule() {
    let folder = gaussian_folder();
    let other = replaced(GAUSSIAN, "size = 16\n", "size = 16\nschedule = \"scaled-linear\"\n");
    assert_new(&after(folder.path(), GAUSSIAN, || other), 9);
}

#[test]
fn a_normaliser_is_of_its_size() {
    let folder = gaussian_folder();
    assert_new(&after(folder.path(), GAUSSIAN, || replaced(GAUSSIAN, "size = 16", "size = 8")), 9);
}

#[test]
fn a_normaliser_is_of_what_the_network_predicts() {
    let folder = unet_folder();
    assert_new(&after(folder.path(), UNET, || replaced(UNET, "\"epsilon\"", "\"v\"")), 3);
}

#[test]
fn a_normaliser_is_of_the_networks_configuration() {
    let folder = unet_folder();
    assert_new(&after(folder.path(), UNET, || replaced(UNET, "num_heads = 1", "num_heads = 2")), 3);
}

/// [`UNET`] on a folder with a `config.json`.
fn of_folder(cwd: &Path) -> (String, PathBuf) {
    copy(&golden("layouts/diffusers-old-names"), &cwd.join("network"));
    let text = UNET.split("prediction = ").next().unwrap().replace("church.safetensors", "network");
    (text, cwd.join("network/config.json"))
}

#[test]
fn a_folders_configuration_is_part_of_its_network() {
    for (from, to) in [
        ("\"flip_sin_to_cos\": false", "\"flip_sin_to_cos\": true"),
        ("\"attention_head_dim\": null", "\"attention_head_dim\": 16"),
    ] {
        let folder = unet_folder();
        let (text, config) = of_folder(folder.path());
        let changed = after(folder.path(), &text, || {
            let json = fs::read_to_string(&config).unwrap();
            fs::write(&config, replaced(&json, from, to)).unwrap();
            text.clone()
        });
        assert_new(&changed, 3);
    }
}

#[test]
fn words_of_a_configuration_that_say_the_same_change_nothing() {
    let folder = unet_folder();
    let (text, config) = of_folder(folder.path());
    let changed = after(folder.path(), &text, || {
        let json = fs::read_to_string(&config).unwrap();
        fs::write(&config, replaced(&json, "\"0.1.1\"", "\"0.2.0\"").replace("\n ", "\n   ")).unwrap();
        text.clone()
    });
    assert_kept(&changed);
}

#[test]
fn a_renamed_or_converted_file_is_the_same_network() {
    let folder = unet_folder();
    let cwd = folder.path();
    let mut all = tensors(&cwd.join("church.safetensors"));
    fs::create_dir(cwd.join("elsewhere")).unwrap();
    fs::copy(cwd.join("church.safetensors"), cwd.join("elsewhere/other-name.safetensors")).unwrap();
    // Another order of tensors, other metadata, single precision instead of half.
    all.reverse();
    write_tensors(&cwd.join("forth.safetensors"), &all, "{\"a\":\"1\",\"b\":\"2\"}");
    write_tensors(&cwd.join("back.safetensors"), &all, "{\"b\":\"2\",\"a\":\"1\"}");
    for name in ["elsewhere/other-name", "forth", "back"] {
        let other = replaced(UNET, "church.safetensors", &format!("{name}.safetensors"));
        assert_kept(&after(cwd, UNET, || other));
    }
}

#[test]
fn one_number_of_the_weights_is_another_network() {
    let folder = unet_folder();
    let path = folder.path().join("church.safetensors");
    let changed = after(folder.path(), UNET, || {
        let mut all = tensors(&path);
        let (_, _, values) = all.iter_mut().find(|(name, ..)| name == "out.2.weight").unwrap();
        values[0] += 0.25;
        write_tensors(&path, &all, "{}");
        UNET.to_owned()
    });
    assert_new(&changed, 3);
}

#[test]
fn another_metric_neither_solves_nor_collects_again() {
    let folder = gaussian_folder();
    let with = GAUSSIAN.replace("size = 16", "size = 8").replace("samples = 24", "samples = 40");
    let without = replaced(&with, "\"fd_pixel\", ", "");
    // None of what is there is measured again when a metric is left out, and of the others nothing when it is back.
    let left_out = after(folder.path(), &with, || without.clone());
    assert!(!left_out.collected && !left_out.solved);
    assert_eq!(left_out.before, left_out.after);
    // The solution's row is then of the images that methods are compared with, which are there.
    assert_eq!(left_out.measured, ["solution, 200 NFE, seed 3"]);
    let more = after(folder.path(), &without, || replaced(&with, "\"fd_pixel\"", "\"fd_data\""));
    assert!(!more.collected && !more.solved);
    assert_eq!(more.before, more.after);
    assert_eq!(more.measured.len(), 9);
}

/// One column of a normaliser's file by τ.
fn curve(folder: &Path) -> Vec<(f64, f64)> {
    let text = fs::read_to_string(folder.join("normaliser.csv")).unwrap();
    let row = |line: &str| {
        let (tau, value) = line.split_once(',')?;
        Some((tau.parse().ok()?, value.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

/// A cell's noise is found from its solution: that of Gaussian data is linear in it.
#[test]
fn a_normaliser_is_not_collected_on_noise_that_a_cell_is_measured_with() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = replaced(GAUSSIAN, "samples = 8, seed = 1", "samples = 1, seed = 3").replace("mean = -0.1", "mean = 0");
    fs::write(cwd.join("x.toml"), text).unwrap();
    sweep(cwd, &["x.toml"]);
    let results = cwd.join("out/x");
    let name = solutions(&results).into_iter().next().unwrap();
    let bytes = fs::read(results.join("cells").join(name)).unwrap();
    let x: Vec<f32> = bytes.as_chunks().0[..768].iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    // x_0 = √v x_T and, where all is noise, ε = x_T, each to 1e-4.
    let of_cell = x.iter().map(|x| f64::from(x.abs()) / 0.5).sum::<f64>() / 768.0;
    let (tau, collected) = *curve(&results).last().unwrap();
    assert_eq!(tau, 1.0);
    // Mean magnitudes of 768 standard normal numbers: both 0.798 ± 0.022.
    assert!((of_cell - 0.798).abs() < 0.1 && (collected - 0.798).abs() < 0.1, "{of_cell} {collected}");
    assert!((of_cell - collected).abs() > 1e-3, "{of_cell} {collected}");
}

#[test]
fn a_kept_normaliser_that_was_changed_is_collected_again() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    common::succeed(cwd, &["sweep", "gaussian.toml", "--out", "run"]);
    let before = fs::read_to_string(cwd.join("run/normaliser.csv")).unwrap();
    let kept = fs::read_dir(cwd.join("run/cells")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<PathBuf> = kept.filter(|path| path.extension().is_some_and(|ending| ending == "csv")).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let text = fs::read_to_string(kept).unwrap();
    let last = text.trim_end().rsplit_once(',').unwrap().1;
    fs::write(kept, text.replacen(last, "0.25", 1)).unwrap();
    common::succeed(cwd, &["sweep", "gaussian.toml", "--out", "run"]);
    assert_eq!(fs::read_to_string(cwd.join("run/normaliser.csv")).unwrap(), before);
    assert_eq!(fs::read_to_string(kept).unwrap(), text);
}

#[test]
fn a_build_looks_at_the_sources_of_every_crate() {
    let root = common::repository();
    let script = fs::read_to_string(root.join("crates/runner/build.rs")).unwrap();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(script.contains(&format!("\"crates/{name}/src\"")), "{name}");
    }
}
