//! What a sweep says of its own figures, on the screen, in `table.md` and in `provenance.toml`: each sentence where it is due, and nowhere else.

use std::{fs, path::Path};

use crate::bases::{CLASSES, UNET, unet_folder};
use crate::common::{self, GAUSSIAN, gaussian_folder, npz, repository, run, succeed};

/// What a sweep of `text` says, the same in all three places.
fn cautions(cwd: &Path, text: &str) -> Vec<String> {
    fs::write(cwd.join("x.toml"), text).unwrap();
    let output = run(cwd, &["sweep", "x.toml", "--out", "x"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let on_screen: Vec<String> = said.lines().filter_map(|line| line.strip_prefix("mind: ")).map(Into::into).collect();
    let provenance: toml::Table = toml::from_str(&fs::read_to_string(cwd.join("x/provenance.toml")).unwrap()).unwrap();
    let recorded: Vec<String> = match provenance.get("cautions") {
        Some(all) => all.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        None => Vec::new(),
    };
    assert_eq!(on_screen, recorded);
    let table = fs::read_to_string(cwd.join("x/table.md")).unwrap();
    let mind = format!("Mind: {}.", recorded.join("; "));
    assert_eq!(table.contains(&mind), !recorded.is_empty(), "{table}");
    assert_eq!(table.contains("Mind:"), !recorded.is_empty(), "{table}");
    fs::remove_dir_all(cwd.join("x")).unwrap();
    recorded
}

/// An experiment that nothing is to be said of, with these methods.
fn plain(methods: &str) -> String {
    format!(
        "samples = 3\nnfe = [4]\nmetrics = [\"ode_rmse\"]\ngrid = \"quadratic\"\nmethod = [{methods}]\n\
         model = {{ kind = \"gaussian\", size = 8, mean = -0.1, variance = 0.25 }}\nsolution = {{ nfe = 50, samples = 2 }}\n"
    )
}

const NONE: [&str; 0] = [];

#[test]
fn nothing_is_said_of_what_needs_no_caution() {
    let folder = tempfile::tempdir().unwrap();
    let clip = "normaliser = { collect = { nfe = 50, samples = 2, grid = \"quadratic\" }, clip = 0 }\n";
    let methods = "{ name = \"ddim\" }, { name = \"deis\", order = 2, normalise = true }";
    assert_eq!(cautions(folder.path(), &(plain(methods) + clip)), NONE);
}

#[test]
fn methods_of_one_plan_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let plan = succeed(cwd, &["plan", "--method", "ddim", "--nfe", "4", "--grid", "quadratic", "--json"]);
    fs::write(cwd.join("mine-4.json"), plan).unwrap();
    let methods =
        "{ name = \"ddim\" }, { name = \"deis\", order = 1 }, { plan = \"mine-{nfe}.json\", label = \"mine\" }";
    // At 5 evaluations there is no such file.
    let text = plain(methods).replace("nfe = [4]", "nfe = [4, 5]");
    assert_eq!(cautions(cwd, &text), ["one plan, and so the same samples: DDIM and mine at 4 NFE"]);
    // The last bit of a factor in double precision is none of the samples'.
    let methods = "{ name = \"ddim\" }, { name = \"deis\", order = 0 }, { name = \"deis\", order = 1 }";
    let said = "one plan, and so the same samples: DDIM and DEIS-0 at 4 NFE";
    assert_eq!(cautions(cwd, &plain(methods)), [said]);
}

#[test]
fn fewer_than_ten_images_a_dimension_are_bias_for_the_most_part() {
    let folder = gaussian_folder();
    let text = |samples: usize, metrics: &str| {
        let methods = "nfe = [2]\nmethod = [{ name = \"ddim\" }]\ngrid = \"quadratic\"\nreference = { fd_pixel = \"pixels.safetensors\" }";
        let model = "model = { kind = \"gaussian\", size = 8, mean = -0.1, variance = 0.25 }\nsolution = { nfe = 50, samples = 2, floor = 20 }\n";
        format!("samples = {samples}\nmetrics = [{metrics}]\n{methods}\n{model}")
    };
    let said = |metric: &str| {
        format!("{metric}: 1919 images for 192 dimensions, fewer than ten each, so that most of it is bias")
    };
    let both = "\"fd_pixel\", \"fd_pixel_solution\"";
    assert_eq!(cautions(folder.path(), &text(1919, both)), [said("fd_pixel"), said("fd_pixel_solution")]);
    assert_eq!(cautions(folder.path(), &text(1920, both)), NONE);
}

#[test]
fn weights_that_may_not_be_averaged_are_said_to_be_so() {
    let folder = unet_folder();
    let expected = "the network's weights are as stored: the file does not say that they are averaged (EMA)";
    assert_eq!(cautions(folder.path(), UNET), [expected]);
    // A file may say it in words, as the repository's own do.
    let path = folder.path().join("church.safetensors");
    let stored = fs::read(&path).unwrap();
    let length = 8 + u64::from_le_bytes(stored[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&stored[8..length]).unwrap();
    for (key, said) in [("training", "an hour; EMA 0.9995"), ("weights", "average of decay 0.999")] {
        let before = header.clone();
        header["__metadata__"][key] = said.into();
        let text = header.to_string();
        fs::write(&path, [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &stored[length..]].concat())
            .unwrap();
        assert_eq!(cautions(folder.path(), UNET), NONE, "{said}");
        header = before;
    }
    // EDM's files hold averaged ones, by their name.
    let golden = repository().join("crates/model/tests/golden/layouts/edm-vp-classes.pkl");
    fs::copy(golden, folder.path().join("classes.pkl")).unwrap();
    assert_eq!(cautions(folder.path(), CLASSES), NONE);
}

#[test]
fn a_clip_is_said_where_something_is_normalised() {
    let folder = tempfile::tempdir().unwrap();
    let clip = "normaliser = { collect = { nfe = 50, samples = 2, grid = \"quadratic\" }, clip = 4 }\n";
    let normalised = plain("{ name = \"deis\", order = 2, normalise = true }") + clip;
    let expected = "the normaliser is held at its value at the 4th of its points below that (clip = 4)";
    assert_eq!(cautions(folder.path(), &normalised), [expected]);
    assert_eq!(cautions(folder.path(), &(plain("{ name = \"ddim\" }") + clip)), NONE);
}

#[test]
fn thresholds_in_effect_are_said_with_their_methods() {
    let folder = tempfile::tempdir().unwrap();
    let methods =
        "{ name = \"dpm-solver++m\", order = 2, threshold = \"clip\" }, { name = \"dpm-solver++m\", order = 3 }";
    let expected = "predicted images are thresholded by DPM-Solver++(2M)";
    assert_eq!(cautions(folder.path(), &plain(methods)), [expected]);
}

#[test]
fn steps_shorter_than_a_timestep_are_said_with_their_grid() {
    let folder = tempfile::tempdir().unwrap();
    let of =
        |times: &str| plain("{ name = \"ddim\" }").replace("\"quadratic\"", times).replace("nfe = [4]", "nfe = [3]");
    assert_eq!(cautions(folder.path(), &of("[1, 0.501, 0.5, 0]")), NONE);
    let expected = "steps shorter than one of the network's timesteps on 1 0.5009 0.5 0 at 3 NFE";
    assert_eq!(cautions(folder.path(), &of("[1, 0.5009, 0.5, 0]")), [expected]);
    // The last step has to be that short on many grids, and is of no network's making.
    assert_eq!(cautions(folder.path(), &of("[1, 0.5, 0.0005, 0]")), NONE);
}

#[test]
fn what_no_metric_looks_at_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let unused = "reference = { protocol = \"clean\" }\nfeatures = { weights = \"absent.safetensors\" }\n";
    let expected = [
        "protocol = \"clean\" is not used: no metric here shows images to Inception",
        "[features] is not used: no metric here is measured in them",
    ];
    assert_eq!(cautions(folder.path(), &(plain("{ name = \"ddim\" }") + unused)), expected);
}

/// A formula knows every time; a network was trained on T of them.
#[test]
fn evaluations_before_the_first_timestep_are_said_with_their_grid() {
    let folder = unet_folder();
    let cwd = folder.path();
    let weights = "the network's weights are as stored: the file does not say that they are averaged (EMA)";
    let of = |times: &str| UNET.replace("nfe = [3]", &format!("nfe = [3]\ngrid = {times}"));
    assert_eq!(cautions(cwd, &of("[1, 0.5, 0.001, 0]")), [weights]);
    let expected = "evaluations before the network's first timestep on 1 0.5 0.0008 0 at 3 NFE";
    assert_eq!(cautions(cwd, &of("[1, 0.5, 0.0008, 0]")), [weights, expected]);
}

/// Another tool's statistics do not say of which images they are, nor how those were shown.
#[test]
fn statistics_of_unknown_origin_are_said_to_be_so() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let doubles = |values: Vec<f64>| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mu = npz("mu", "<f8", &[192], &doubles(vec![0.5; 192]));
    let sigma =
        npz("sigma", "<f8", &[192, 192], &doubles((0..192 * 192).map(|i| f64::from(u8::from(i % 193 == 0))).collect()));
    fs::write(cwd.join("theirs.npz"), joined(&mu, &sigma)).unwrap();
    let text = |file: &str| {
        GAUSSIAN
            .replace("samples = 40", "samples = 1920")
            .replace("clip = 3", "clip = 0")
            .replace("pixels.safetensors", file)
    };
    assert_eq!(cautions(cwd, &text("theirs.npz")), ["fd_pixel: its reference statistics do not say what made them"]);
    assert_eq!(cautions(cwd, &text("pixels.safetensors")), NONE);
}

/// The arrays of two archives in one.
fn joined(left: &[u8], right: &[u8]) -> Vec<u8> {
    let read = |bytes: &[u8]| {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
        let mut entry = archive.by_index(0).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.name().to_owned(), content)
    };
    let (left, right) = (read(left), read(right));
    common::zip(&[(&left.0, &left.1), (&right.0, &right.1)])
}
