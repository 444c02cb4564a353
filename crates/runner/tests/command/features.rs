//! Fréchet distances in the features of a vision transformer that a user brings: here a DINOv2 of random weights.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use crate::common::{self, GAUSSIAN, fewstep, gaussian_folder, npz, repository, run, succeed};
use crate::folder::{self, assert_same, copy, rows, sweep};

const NAME: &str = "dinov2-vit-32x2-14-class-token";

fn golden(name: &str) -> PathBuf {
    repository().join("crates/fid/tests/golden/vit").join(name)
}

/// A folder with the network in `net`, statistics of its features, and `x.toml`.
fn inputs() -> tempfile::TempDir {
    let folder = gaussian_folder();
    let cwd = folder.path();
    copy(&golden("dinov2"), &cwd.join("net"));
    let stats = ["stats", "images.npz", "--features", "net/model.safetensors", "--out", "vit.safetensors"];
    assert!(succeed(cwd, &stats).contains("300 images"));
    fs::write(cwd.join("x.toml"), text()).unwrap();
    folder
}

fn text() -> String {
    GAUSSIAN
        .replace("[\"fd_pixel\", \"ode_rmse\"]", "[\"fd_pixel\", \"fd_vit\", \"fd_vit_solution\", \"fd_vit_paired\"]")
        .replace("nfe = [5, 10]", "nfe = [5, 60]")
        .replace("fd_pixel =", "fd_vit = \"vit.safetensors\"\nfd_pixel =")
        .replace("[model]", "[features]\nweights = \"net/model.safetensors\"\n\n[model]")
}

fn value(folder: &Path, method: &str, nfe: &str, column: &str) -> f64 {
    let rows = rows(folder);
    let row = rows.iter().find(|row| row["method"] == method && (row["nfe"] == nfe || nfe.is_empty())).unwrap();
    row[column].parse().unwrap()
}

/// Samples as `sample` writes them, f32 `[n, 3, 16, 16]` in [−1, 1], as 8-bit images `[n, 16, 16, 3]`.
fn write_images(from: &Path, to: &Path) {
    let mut archive = zip::ZipArchive::new(fs::File::open(from).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut bytes).unwrap();
    // What is no whole image is the header in front.
    let data = &bytes[bytes.len() % (4 * 768)..];
    let x: Vec<f32> = data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let level = |x: f32| (255.0 * (x / 2.0 + 0.5).clamp(0.0, 1.0)).round_ties_even() as u8;
    let pixels: Vec<u8> = x.chunks(768).flat_map(|x| (0..768).map(move |i| level(x[i % 3 * 256 + i / 3]))).collect();
    fs::write(to, npz("arr_0", "|u1", &[pixels.len() / 768, 16, 16, 3], &pixels)).unwrap();
}

#[test]
fn sweeps_measure_what_fid_does_whatever_batch_and_threads() {
    let folder = inputs();
    let cwd = folder.path();
    assert_eq!(sweep(cwd, &["x.toml", "--out", "first"]).measured.len(), 9);
    let of = |method, nfe, metric| value(&cwd.join("first"), method, nfe, metric);
    // A solver without error: its own noise, and noise that is not the converged samples'.
    assert!(of("deis", "60", "fd_vit_paired") < 0.05 * of("euler", "5", "fd_vit_paired"));
    let floor = of("solution", "", "fd_vit_solution");
    assert!(floor > 0.0 && (of("deis", "60", "fd_vit_solution") / floor - 1.0).abs() < 0.05);
    assert!(of("euler", "5", "fd_vit_error") > 0.0 && of("euler", "5", "fd_vit_paired_error") > 0.0);
    let solution = rows(&cwd.join("first")).into_iter().find(|row| row["method"] == "solution").unwrap();
    assert_eq!(solution["fd_vit_paired"], "", "the solution has no distance to itself");
    let read = |file: &str| fs::read_to_string(cwd.join("first").join(file)).unwrap();
    let (table, provenance) = (read("table.md"), read("provenance.toml"));
    assert!(table.contains(&format!("Features of {NAME} (`docs/features.md`).")), "{table}");
    assert!(provenance.contains(&format!("fd_vit-extractor = \"{NAME}\"")), "{provenance}");
    assert!(provenance.contains("fd_vit-weights = ") && provenance.contains("fd_vit = 32\n"), "{provenance}");

    // The same distance of the same samples as files.
    let arguments = ["sample", "x.toml", "--method", "euler", "--nfe", "5", "--samples", "40", "--out", "euler.npz"];
    succeed(cwd, &arguments);
    write_images(&cwd.join("euler.npz"), &cwd.join("samples.npz"));
    let fid = ["fid", "samples.npz", "vit.safetensors", "--features", "net/model.safetensors", "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeed(cwd, &fid)).unwrap();
    let (swept, alone) = (of("euler", "5", "fd_vit"), json["fd"].as_f64().unwrap());
    assert!((swept / alone - 1.0).abs() < 1e-9, "{swept} {alone}");
    assert_eq!((json["extractor"].as_str(), json.get("fid")), (Some(NAME), None));

    assert_eq!(sweep(cwd, &["x.toml", "--out", "first"]).measured, Vec::<String>::new());
    fs::write(cwd.join("y.toml"), text().replace("batch = 16", "batch = 3")).unwrap();
    let output = fewstep(cwd, &["sweep", "y.toml", "--out", "second"]).env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut left, mut right) = (rows(&cwd.join("first")), rows(&cwd.join("second")));
    left.iter_mut().chain(&mut right).for_each(|row| drop(row.remove("experiment")));
    assert_eq!(left, right);
}

/// The numbers of the network count, not where they lie; and nothing but what is measured in its features depends on them.
#[test]
fn other_weights_measure_their_own_metrics_again() {
    let folder = inputs();
    let cwd = folder.path();
    let few = text().replace("nfe = [5, 60]", "nfe = [5]").replace("nfe = 200", "nfe = 40");
    // To the data there are statistics of one network alone.
    let base = few.replace("\"fd_vit\", ", "");
    let write =
        |network: &str| fs::write(cwd.join("x.toml"), base.replace("\"net/", &format!("\"{network}/"))).unwrap();
    let measurements = || {
        let kept = folder::kept(&cwd.join("out"), "", ".toml").into_iter().filter(|name| name.contains("-seed-"));
        let read = |name: &String| folder::unsealed(&cwd.join("out/cells").join(name)).parse::<toml::Table>().unwrap();
        let of = |name: String| {
            let all = read(&name)["measured"].as_array().unwrap().clone();
            all.into_iter().map(move |one| (name.clone(), one["metric"].as_str().unwrap().to_owned(), one.to_string()))
        };
        kept.flat_map(of).collect::<BTreeSet<_>>()
    };
    write("net");
    sweep(cwd, &["x.toml", "--out", "out"]);
    let before = measurements();
    copy(&cwd.join("net"), &cwd.join("moved"));
    write("moved");
    assert_eq!(sweep(cwd, &["x.toml", "--out", "out"]).measured, Vec::<String>::new());
    let config = fs::read_to_string(cwd.join("net/config.json")).unwrap();
    fs::write(
        cwd.join("moved/config.json"),
        config.replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 4"),
    )
    .unwrap();
    assert_eq!(sweep(cwd, &["x.toml", "--out", "out"]).measured.len(), 5);
    let again: BTreeSet<String> = measurements().difference(&before).map(|(_, metric, _)| metric.clone()).collect();
    assert_eq!(again, BTreeSet::from(["fd_vit_paired".to_owned(), "fd_vit_solution".to_owned()]));
    sweep(cwd, &["x.toml", "--out", "fresh"]);
    assert_same(&cwd.join("out"), &cwd.join("fresh"), "other heads");
}

/// What the distance of a set of images is uncertain by, in three ways, and the same whatever the batch.
#[test]
fn fid_says_what_it_is_uncertain_by() {
    let folder = inputs();
    let cwd = folder.path();
    fs::write(cwd.join("others.npz"), npz("arr_0", "|u1", &[40, 16, 16, 3], &common::pixels(40 * 768 + 7)[7..]))
        .unwrap();
    let asked = ["fid", "others.npz", "vit.safetensors", "--features", "net/model.safetensors"];
    let more = ["--error", "--bootstrap", "30", "--limit"];
    let json = |rest: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeed(cwd, &[&asked[..], &more, &["--json"], rest].concat())).unwrap()
    };
    let all = json(&[]);
    let of = |path: &str| all.pointer(path).and_then(serde_json::Value::as_f64).expect(path);
    let (distance, error, spread) = (of("/fd"), of("/error"), of("/bootstrap/std"));
    // Two estimates of one error, by 40 images of 32 features and by 30 resamples.
    assert!(error > 0.0 && (0.4..2.5).contains(&(spread / error)), "{error} {spread}");
    assert!(of("/bootstrap/interval95/0") < distance && distance < of("/bootstrap/interval95/1"), "{all}");
    // A resample repeats images, which adds bias; the limit takes it off.
    assert!(of("/bootstrap/mean") > distance && of("/limit/value") < distance && of("/limit/fit") > 0.0, "{all}");
    assert_eq!((of("/bootstrap/resamples"), of("/bootstrap/seed")), (30.0, 0.0));
    assert_eq!(json(&["--batch-size", "3"]), all);
    assert!(all["mind"].as_str().unwrap().starts_with("40 images for 32 features, fewer than ten each"), "{all}");
    let other = json(&["--seed", "1"]);
    assert!(other["bootstrap"]["std"] != all["bootstrap"]["std"] && other["error"] == all["error"], "{other}");
    let text = succeed(cwd, &[&asked[..], &more].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[1].starts_with("standard error over the images: ") && lines[2].starts_with("bootstrap: 95 % interval "),
        "{text}"
    );
    assert!(lines[3].starts_with("in the limit of many images: ") && lines.len() == 4, "{text}");
    let figure = |text: &str, before: &str| -> f64 {
        let (_, rest) = text.split_once(before).unwrap();
        rest.split([' ', ',']).next().unwrap().parse().unwrap()
    };
    let limit = figure(lines[3], "in the limit of many images: ");
    let whole: f64 = lines[0].rsplit_once("  ").unwrap().1.parse().unwrap();
    assert!((limit + figure(lines[3], "bias of these images ") - whole).abs() < 1e-6, "{text}");
}

/// Everything that `fid` says of images it says of their stored features, to the last digit, and of nothing else.
#[test]
fn stored_features_stand_for_their_images() {
    let folder = inputs();
    let cwd = folder.path();
    fs::write(cwd.join("others.npz"), npz("arr_0", "|u1", &[40, 16, 16, 3], &common::pixels(40 * 768 + 7)[7..]))
        .unwrap();
    let features = ["--features", "net/model.safetensors"];
    let stats = |images: &str, out: &str, rest: &[&str]| {
        run(cwd, &[&["stats", images, "--out", out], &features[..], rest].concat())
    };
    assert!(stats("others.npz", "o.safetensors", &["--rows"]).status.success());
    // Statistics without features are others, and are not written over.
    let kept = String::from_utf8(stats("images.npz", "vit.safetensors", &["--rows"]).stderr).unwrap();
    assert!(kept.contains("or without --rows; give another name, or --replace"), "{kept}");
    assert!(stats("images.npz", "vit.safetensors", &["--rows", "--replace"]).status.success());
    let there = |rest: &[&str]| String::from_utf8(stats("others.npz", "o.safetensors", rest).stdout).unwrap();
    assert!(there(&["--rows"]).contains("there already: 40 images") && there(&[]).contains("there already: 40 images"));

    let asked = ["--error", "--bootstrap", "20", "--limit", "--kid", "--kid-subset-size", "20", "--prdc", "--json"];
    let json = |first: &str, second: &str| -> serde_json::Value {
        let mut all =
            serde_json::from_str(&succeed(cwd, &[&["fid", first, second], &features[..], &asked].concat())).unwrap();
        // What is said of the two: their names.
        let serde_json::Value::Object(members) = &mut all else { panic!("{all}") };
        for side in ["images", "reference"] {
            members[side]["path"].take();
        }
        all
    };
    let of_images = json("others.npz", "images.npz");
    assert_eq!(of_images["images"]["images"], 40);
    for (first, second) in
        [("o.safetensors", "images.npz"), ("others.npz", "vit.safetensors"), ("o.safetensors", "vit.safetensors")]
    {
        assert_eq!(json(first, second), of_images, "{first} {second}");
    }

    // One feature of the second image is no number; of one image fewer than the moments are of.
    let whole = fs::read(cwd.join("o.safetensors")).unwrap();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(whole[8..8 + header].to_vec()).unwrap();
    let at = text.split_once("\"features\":{").unwrap().1.split_once("\"data_offsets\":[").unwrap().1;
    let start: usize = at.split_once(',').unwrap().0.parse().unwrap();
    let mut damaged = whole.clone();
    let value = 8 + header + start + 4 * (32 + 3);
    for (file, number) in [("nan.safetensors", f32::NAN), ("other.safetensors", 1e3)] {
        damaged[value..value + 4].copy_from_slice(&number.to_le_bytes());
        fs::write(cwd.join(file), &damaged).unwrap();
    }
    let fewer = text.replace("[40,32]", "[20,64]");
    assert_ne!(fewer, text);
    fs::write(cwd.join("shape.safetensors"), [&whole[..8], fewer.as_bytes(), &whole[8 + header..]].concat()).unwrap();
    for (file, expected) in [
        (
            "other.safetensors",
            "other.safetensors: features are not those that the mean is of; expected a statistics file",
        ),
        ("nan.safetensors", "nan.safetensors: features of image 1 are not finite; expected a statistics file"),
        (
            "shape.safetensors",
            "shape.safetensors: features are F32 of [20, 64], of images and features [40, 32]; expected",
        ),
    ] {
        let output = run(cwd, &[&["fid", file, "images.npz", "--error"], &features[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
        // Nothing of them is asked for.
        assert!(run(cwd, &[&["fid", file, "images.npz"], &features[..]].concat()).status.success());
    }
}

#[test]
fn fid_is_in_the_features_that_are_named() {
    let folder = inputs();
    let cwd = folder.path();
    let features = ["--features", "net/model.safetensors"];
    let fid = |arguments: &[&str]| succeed(cwd, &[&["fid"], arguments, &features].concat());
    let prefix = format!("FD-DINOv2 ({NAME}):  ");
    let number = |text: &str| text.lines().next().unwrap().strip_prefix(&prefix).unwrap().parse::<f64>().unwrap();
    assert!(number(&fid(&["images.npz", "vit.safetensors", "--batch-size", "7"])).abs() < 1e-6);
    let more = ["images.npz", "images.npz", "--kid", "--kid-subsets", "2", "--kid-subset-size", "100", "--prdc"];
    let text = fid(&more);
    assert!(number(&text).abs() < 1e-6, "{text}");
    assert!(text.contains("\nkernel distance:  ") && text.contains("precision 1.0000, recall 1.0000"), "{text}");
    assert!(fid(&["--save-stats", "images.npz", "s.npz"]).ends_with("s.npz (300 images)\n"));
    assert!(number(&fid(&["images.npz", "s.npz"])).abs() < 1e-6);
    // Statistics of another space, and of another network.
    copy(&golden("clip"), &cwd.join("clip"));
    for (statistics, network, expected) in [
        ("pixels.safetensors", "net", "extractor is 'pixel-8x8', expected 'dinov2-vit-32x2-14-class-token'"),
        ("vit.safetensors", "clip", "expected 'clip-vit-24x2-8-image-embedding'"),
    ] {
        let network = format!("{network}/model.safetensors");
        let output = run(cwd, &["fid", "images.npz", statistics, "--features", &network]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    }
    let clip = succeed(cwd, &["fid", "images.npz", "images.npz", "--features", "clip/model.safetensors"]);
    assert!(clip.starts_with("FD-CLIP (clip-vit-24x2-8-image-embedding):  "), "{clip}");
}
