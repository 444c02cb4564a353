//! The distance to the network's own converged samples, in pooled pixels, which need no weights; and in Inception features where they
//! are fetched.

use std::{collections::BTreeSet, fs, io::Read, path::Path};

use crate::common::{self, GAUSSIAN, fewstep, gaussian_folder, npz, repository, run, succeed};
use crate::folder::{self, assert_same, kept, rows, sweep};

/// On Gaussian data, with a solution that has steps.
fn text() -> String {
    GAUSSIAN
        .replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"fd_pixel_solution\", \"ode_rmse\"]")
        .replace("nfe = [5, 10]", "nfe = [5, 60]")
}

fn value(folder: &Path, method: &str, nfe: &str, column: &str) -> f64 {
    let rows = rows(folder);
    let row = rows.iter().find(|row| row["method"] == method && (row["nfe"] == nfe || nfe.is_empty())).unwrap();
    row[column].parse().unwrap()
}

#[test]
fn a_sampler_without_error_is_at_the_floor_whatever_batch_and_threads() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), text()).unwrap();
    let first = sweep(cwd, &["x.toml", "--out", "first"]);
    assert_eq!(first.measured.len(), 9);
    let of = |method, nfe| value(&cwd.join("first"), method, nfe, "fd_pixel_solution");
    let floor = of("solution", "");
    assert!(floor > 0.0);
    // The same noise as the floor's, and next to no error.
    assert!((of("deis", "60") / floor - 1.0).abs() < 0.01, "{} {floor}", of("deis", "60"));
    assert!(of("euler", "5") > 1.05 * floor, "{} {floor}", of("euler", "5"));
    let table = fs::read_to_string(cwd.join("first/table.md")).unwrap();
    assert!(table.contains("to the network's converged samples from other noise (`fd_pixel_solution`)"), "{table}");
    assert!(table.contains("| *solution, 200 NFE: its own samples* |"), "{table}");
    assert_eq!(sweep(cwd, &["x.toml", "--out", "first"]).measured, Vec::<String>::new());

    fs::write(cwd.join("y.toml"), text().replace("batch = 16", "batch = 3")).unwrap();
    let output = fewstep(cwd, &["sweep", "y.toml", "--out", "second"]).env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut left, mut right) = (rows(&cwd.join("first")), rows(&cwd.join("second")));
    left.iter_mut().chain(&mut right).for_each(|row| drop(row.remove("experiment")));
    assert_eq!(left, right);
}

#[test]
fn converged_samples_are_made_again_for_what_they_depend_on_alone() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let base = text().replace("samples = 24\n", "samples = 24\nfloor = 50\n");
    fs::write(cwd.join("x.toml"), &base).unwrap();
    sweep(cwd, &["x.toml", "--out", "out/x"]);
    let converged = |folder: &str| kept(&cwd.join(folder), "converged-", ".f32");
    let before = converged("out/x");
    assert_eq!(before.len(), 1);
    for (from, to, again) in [
        ("title = \"Gaussian\"", "title = \"Another\"", false),
        ("nfe = 200\n", "nfe = 220\n", false),
        ("floor = 50", "floor = 60", true),
        ("seed = 3", "seed = 4", true),
        ("samples = 40", "samples = 41", true),
        ("mean = -0.1", "mean = -0.2", true),
    ] {
        folder::copy(&cwd.join("out/x"), &cwd.join("out/y"));
        fs::write(cwd.join("x.toml"), base.replacen(from, to, 1)).unwrap();
        sweep(cwd, &["x.toml", "--out", "out/y"]);
        sweep(cwd, &["x.toml", "--out", "out/fresh"]);
        let new: BTreeSet<String> = converged("out/y").difference(&before).cloned().collect();
        assert_eq!(new.len(), usize::from(again), "{to}");
        assert_same(&cwd.join("out/y"), &cwd.join("out/fresh"), to);
        fs::remove_dir_all(cwd.join("out/y")).unwrap();
        fs::remove_dir_all(cwd.join("out/fresh")).unwrap();
    }
}

/// All that a solution is asked of by `ode_rmse`, and by the converged samples of several seeds.
#[test]
fn every_seed_has_its_own_converged_samples() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), text().replace("seed = 3", "seeds = [3, 5]").replace("nfe = 200\n", "")).unwrap();
    sweep(cwd, &["x.toml", "--out", "x"]);
    assert_eq!(kept(&cwd.join("x"), "converged-", ".f32").len(), 2);
    let table = fs::read_to_string(cwd.join("x/table.md")).unwrap();
    let section = table.split("`fd_pixel_solution`").nth(1).unwrap();
    assert!(section.split("##").next().unwrap().contains(" ± "), "{table}");
}

#[test]
fn two_methods_are_compared_image_by_image() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml", "--out", "x"]);
    let text = succeed(cwd, &["compare", "x", "--methods", "DEIS-SN-2; DEIS-2"]);
    // 24 of 24 images: 2 · 2^−24.
    let line = "ode_rmse, 5 NFE: DEIS-SN-2 is closer than DEIS-2 on 24 of 24 images (100.0 %; sign test p 1e-7)";
    assert!(text.lines().any(|found| found == line), "{text}");
    assert!(fs::read_to_string(cwd.join("x/table.md")).unwrap().contains("| DEIS-SN-2 | 100.0 (p 1e-7) |"));
    for (arguments, expected) in [
        (&["--methods", "DEIS-SN-2"][..], "expected two methods"),
        (&["--methods", "DEIS-SN-2; Nobody"], "no method 'Nobody'; expected DDIM"),
        (&["--methods", "DEIS-SN-2; DEIS-2", "--metric", "fid"], "--metric 'fid': expected feature_rmse or ode_rmse"),
        (&["--methods", "DEIS-SN-2; DEIS-2", "--metric", "feature_rmse"], "no images of 'DEIS-SN-2' and 'DEIS-2'"),
    ] {
        let output = run(cwd, &[&["compare", "x"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// Samples as `sample` writes them, f32 `[n, 3, 32, 32]` in [−1, 1], as 8-bit images `[n, 32, 32, 3]`.
fn write_images(from: &Path, to: &Path) {
    let mut archive = zip::ZipArchive::new(fs::File::open(from).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut bytes).unwrap();
    // What is no whole image is the header in front.
    let data = &bytes[bytes.len() % (4 * 3072)..];
    let x: Vec<f32> = data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let level = |x: f32| (255.0 * (x / 2.0 + 0.5).clamp(0.0, 1.0)).round_ties_even() as u8;
    let pixels: Vec<u8> = x.chunks(3072).flat_map(|x| (0..3072).map(move |i| level(x[i % 3 * 1024 + i / 3]))).collect();
    fs::write(to, npz("arr_0", "|u1", &[pixels.len() / 3072, 32, 32, 3], &pixels)).unwrap();
}

/// `fid` as pytorch-fid is called; a set against itself, and its statistics against it.
#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn fid_is_called_as_pytorch_fid_is() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::create_dir(cwd.join("a")).unwrap();
    for (k, ending) in ["png", "bmp", "png", "ppm", "tiff", "png"].into_iter().enumerate() {
        let (width, height) = if k % 2 == 0 { (32, 32) } else { (20 + k as u32, 40) };
        let bytes = common::pixels((width * height * 3) as usize + 97 * k).split_off(97 * k);
        let image = image::RgbImage::from_raw(width, height, bytes).unwrap();
        image.save(cwd.join(format!("a/{k}.{ending}"))).unwrap();
    }
    let number = |text: &str| text.trim().strip_prefix("FID:  ").unwrap().parse::<f64>().unwrap();
    let saved = cached(cwd, &["fid", "--save-stats", "a", "s.npz"]);
    assert!(saved.ends_with("s.npz (6 images)\n"), "{saved}");
    for arguments in [
        &["a", "a", "--batch-size", "1"][..],
        &["a", "s.npz", "--num-workers", "0", "--dims", "2048"],
        &["s.npz", "s.npz", "--device", "cpu"],
    ] {
        let text = cached(cwd, &[&["fid"], arguments].concat());
        assert!(number(&text).abs() < 1e-6, "{arguments:?}: {text}");
    }
    // Another set, which holds what the first does and its last image twice more: far from it, whichever comes first and however it is read.
    fs::create_dir(cwd.join("b")).unwrap();
    for (from, to) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (5, 6), (5, 7)] {
        let name = |k: usize| format!("{k}.{}", ["png", "bmp", "png", "ppm", "tiff", "png", "png", "png"][k]);
        fs::copy(cwd.join("a").join(name(from)), cwd.join("b").join(name(to))).unwrap();
    }
    let far = number(&cached(cwd, &["fid", "a", "b"]));
    assert!(far > 1.0, "{far}");
    for arguments in [["b", "a"], ["b", "s.npz"], ["s.npz", "b"]] {
        let found = number(&cached(cwd, &["fid", arguments[0], arguments[1]]));
        assert!((found / far - 1.0).abs() < 1e-6, "{arguments:?}: {found}, expected {far}");
    }
    let more = ["fid", "a", "a", "--kid", "--kid-subsets", "2", "--kid-subset-size", "6", "--prdc", "--nearest", "2"];
    let text = cached(cwd, &more);
    assert!(text.contains("KID:  ") && text.contains("precision 1.0000, recall 1.0000"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&cached(cwd, &[&more[..], &["--json"]].concat())).unwrap();
    assert_eq!((json["prdc"]["coverage"].as_f64(), json["kid"]["subsets"].as_u64()), (Some(1.0), Some(2)));
}

/// Runs with the user's cache.
fn cached(cwd: &Path, arguments: &[&str]) -> String {
    let output = common::fetched(cwd, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every figure again from samples that other commands write.
#[test]
#[ignore = "needs `fewstep fetch inception`; a minute"]
fn figures_in_inception_features_are_those_of_written_samples() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let root = repository();
    let text = format!(
        r#"samples = 24
nfe = [5]
metrics = ["fid_solution", "fid_paired", "feature_rmse"]
grid = "quadratic"
solution = {{ nfe = 40, samples = 24 }}
model = {{ kind = "unet", size = 32, weights = "{}/models/cifar10-tiny.safetensors" }}
method = [{{ name = "ddim" }}]
"#,
        root.display()
    );
    fs::write(cwd.join("x.toml"), &text).unwrap();
    let solved = text.replace("nfe = [5]", "nfe = [40]").replace("name = \"ddim\"", "name = \"deis\", order = 2");
    fs::write(cwd.join("y.toml"), solved).unwrap();
    cached(cwd, &["sweep", "x.toml", "--out", "x"]);
    let sample = |experiment, method, nfe, out| {
        cached(cwd, &["sample", experiment, "--method", method, "--nfe", nfe, "--samples", "24", "--out", out]);
        write_images(&cwd.join(out), &cwd.join("images").join(out));
    };
    fs::create_dir(cwd.join("images")).unwrap();
    sample("x.toml", "ddim", "5", "a.npz");
    sample("y.toml", "deis", "40", "b.npz");
    let json = cached(cwd, &["fid", "images/a.npz", "images/b.npz", "--json"]);
    let fid = serde_json::from_str::<serde_json::Value>(&json).unwrap()["fid"].as_f64().unwrap();
    let (paired, rmse) =
        (value(&cwd.join("x"), "ddim", "5", "fid_paired"), value(&cwd.join("x"), "ddim", "5", "feature_rmse"));
    assert!((paired / fid - 1.0).abs() < 1e-9, "{paired} {fid}");
    assert!(paired * 23.0 / 24.0 <= rmse * rmse, "{paired} {rmse}");
    // Other noise: farther, and the floor with it.
    let (solution, floor) =
        (value(&cwd.join("x"), "ddim", "5", "fid_solution"), value(&cwd.join("x"), "solution", "", "fid_solution"));
    assert!(solution > paired && floor > 0.0, "{solution} {floor}");
}
