//! What a sweep evaluates once and uses again: the same bytes as without, and so many evaluations fewer.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::bases::{UNET, inputs, unet_folder};
use crate::common::fewstep;
use crate::folder::{Swept, assert_same, changed, sweep, tree, unsealed};

/// `text` without its lines that begin with `start`.
fn without(text: &str, start: &str) -> Vec<u8> {
    text.lines().filter(|line| !line.starts_with(start)).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Every file of a run, without what is of the time that it took: the seconds in kept cells, and the table with them in two forms,
/// whose rows are compared apart, with its hashes.
fn timeless(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for (path, bytes) in tree(folder) {
        let name = path.strip_prefix(folder).unwrap().to_owned();
        let bytes = match name.to_str().unwrap() {
            "cells.csv" | "cells.parquet" => continue,
            name if name.starts_with("cells/") && name.contains("-seed-") && name.ends_with(".toml") => {
                without(&unsealed(&path), "seconds = ")
            }
            "provenance.toml" => without(&String::from_utf8(bytes).unwrap(), "\"cells."),
            _ => bytes,
        };
        all.insert(name, bytes);
    }
    all
}

fn assert_equal(a: &Path, b: &Path) {
    assert_same(a, b, "with reuse and without");
    assert_eq!(changed(&timeless(a), &timeless(b)), Default::default());
    assert!(timeless(a).len() > 10);
}

/// With reuse and without: the same folders, the same cells, the same evaluations in all. Those that the first made.
fn both(cwd: &Path, file: &str) -> (Swept, u64) {
    let with = sweep(cwd, &[file, "--out", "with"]);
    let without = sweep(cwd, &[file, "--out", "without", "--no-reuse"]);
    assert_equal(&cwd.join("with"), &cwd.join("without"));
    assert_eq!(with.measured, without.measured);
    assert_eq!(without.shared, []);
    let (made, known) = with.evaluations.unwrap();
    assert_eq!((made + known, 0), without.evaluations.unwrap());
    (with, made)
}

/// Stages, noise, data predictions with both thresholds, two times to start at, two seeds; batches that do not divide the images,
/// and a solution of fewer.
const METHODS: &str = r#"samples = 20
batch = 6
seeds = [3, 4]
nfe = [5, 6]
metrics = ["fd_pixel", "ode_rmse"]
grid = "quadratic"
model = { kind = "gaussian", size = 8, mean = -0.1, variance = 0.25 }
normaliser = { collect = { nfe = 50, samples = 3, seed = 1, grid = "quadratic" } }
solution = { nfe = 30, samples = 9 }
reference = { fd_pixel = "pixels.safetensors" }
method = [
    { name = "ddim" },
    { name = "ipndm", order = 1 },
    { name = "rho-heun" },
    { name = "deis", order = 2, normalise = true },
    { name = "unipc-bh2", order = 3, threshold = "dynamic" },
    { name = "dpm-solver++m", order = 2, threshold = "clip", grid = "power-3" },
    { name = "ddpm" },
    { name = "ddim", eta = 0.5 },
    { name = "deis", order = 1, grid = "log-snr-to-0.01-denoise" },
]
"#;

#[test]
fn a_sweep_with_reuse_writes_the_bytes_of_one_without() {
    let folder = inputs();
    let cwd = folder.path();
    fs::write(cwd.join("x.toml"), METHODS).unwrap();
    let (swept, made) = both(cwd, "x.toml");
    let shared = [3, 4].map(|seed| {
        let pairs = [("iPNDM-1 at 5", "DDIM at 5"), ("iPNDM-1 at 6", "DDIM at 6"), ("ρ-Heun at 6", "ρ-Heun at 5")];
        pairs.map(|pair| <[_; 2]>::from(pair).map(|name| format!("{name} NFE on quadratic, seed {seed}")).into())
    });
    assert_eq!(swept.shared, shared.concat());
    // The solution's 9 images, and 8 of them again, whose first evaluation is then known.
    let solution = 9 * 30 + 8 * 59;
    // Eight methods at 5 NFE, iPNDM-1 being DDIM; the first of them begins with the 11 images that the solution has not.
    let five = 8 * 20 * 4 + 11;
    // Seven at 6, as ρ-Heun cannot spend the sixth.
    let six = 7 * 20 * 5;
    // The solution's own samples, of which 9 are there.
    let own = 11 * 29;
    assert_eq!(made, 2 * (solution + five + six + own));
}

#[test]
fn a_network_gives_the_same_bytes_with_reuse_and_without() {
    let folder = unet_folder();
    let cwd = folder.path();
    let methods =
        "[[method]]\nname = \"deis\"\n\n[[method]]\nname = \"unipc-bh2\"\nthreshold = \"dynamic\"\n\n[normaliser]";
    let text = UNET.replace("[normaliser]", methods).replace("samples = 4\nbatch = 2", "samples = 5\nbatch = 2");
    fs::write(cwd.join("x.toml"), text).unwrap();
    let (swept, made) = both(cwd, "x.toml");
    assert_eq!((swept.measured.len(), swept.shared.len()), (5, 0));
    // The solution of 4 images and its check; DDIM begins with the fifth; three more methods.
    assert_eq!(made, 4 * 8 + 4 * 15 + (5 * 2 + 1) + 3 * 5 * 2);
}

/// What is known of equal plans serves whenever one of them is asked for, and nothing of an earlier run when all is to begin again.
#[test]
fn equal_plans_are_measured_once_whenever_they_are_asked_for() {
    let folder = inputs();
    let cwd = folder.path();
    let text = METHODS
        .replace("seeds = [3, 4]", "seed = 3")
        .replace("\"fd_pixel\", ", "")
        .replace("nfe = [5, 6]", "nfe = [5]");
    fs::write(cwd.join("x.toml"), text).unwrap();
    let only = |method: &str, fresh: bool| {
        let only = format!("method={method}");
        let all = ["x.toml", "--only", &only, "--fresh"];
        let swept = sweep(cwd, if fresh { &all } else { &all[..3] });
        let (_, known) = swept.evaluations.unwrap();
        (swept.shared.len(), known)
    };
    // What is known at first is the first evaluation of 8 images of the solution's check, and DDIM's of the solution's 9.
    assert_eq!(only("ddim", false), (0, 8 + 9));
    // The solution is kept, and nothing is evaluated for the other name.
    assert_eq!(only("ipndm", false), (1, 5 * 20));
    assert_eq!(only("ipndm", true), (0, 8 + 9));
    assert_eq!(only("ddim", true), (0, 8 + 9));
    assert_eq!(sweep(cwd, &["x.toml", "--only", "method=ddim"]).evaluations, None);
}

/// A solution and a normaliser of one experiment are another's of the same network: the same bytes, and so many evaluations fewer. What
/// was damaged, is not to be used or is switched off is made again.
#[test]
fn what_one_experiment_solved_another_finds() {
    let folder = inputs();
    let cwd = folder.path();
    let first = METHODS.replace("nfe = [5, 6]", "nfe = [5]");
    fs::write(cwd.join("first.toml"), &first).unwrap();
    // Another experiment: other numbers of evaluations.
    fs::write(cwd.join("second.toml"), first.replace("nfe = [5]", "nfe = [6]")).unwrap();
    let made = |out: &str, known: &str, more: &[&str]| {
        let file = if out == "first" { "first.toml" } else { "second.toml" };
        let arguments = [&["sweep", file, "--out", out], more].concat();
        let output = fewstep(cwd, &arguments).env("FEWSTEP_KNOWN", known).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.strip_prefix("evaluations of an image: ")).unwrap();
        line.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let known = cwd.join("known");
    let at = known.to_str().unwrap();
    made("first", at, &[]);
    let names: Vec<String> =
        tree(&known).keys().map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect();
    let count = |begin: &str| names.iter().filter(|name| name.starts_with(begin)).count();
    assert_eq!((count("normaliser-"), count("solution-"), count("converged-"), names.len()), (1, 4, 0, 5), "{names:?}");
    let (all, fewer) = (made("alone", "", &[]), made("second", at, &[]));
    assert_equal(&cwd.join("second"), &cwd.join("alone"));
    // Of two seeds the solution's 9 images and the check of 8, whose first evaluations DDIM then makes itself.
    assert_eq!(fewer, all - 2 * (9 * 30 + 8 * 59 - 9));
    assert_eq!(made("fresh", at, &["--fresh"]), all);
    assert!(made("every", at, &["--no-reuse"]) > all);
    // Half of it gone.
    for (path, bytes) in tree(&known) {
        fs::write(path, [&bytes[..bytes.len() / 2], &[0xff]].concat()).unwrap();
    }
    assert_eq!(made("damaged", at, &[]), all);
    assert_equal(&cwd.join("damaged"), &cwd.join("alone"));
    // What cannot be read at all is not there, and nothing fails for it.
    let spoiled = cwd.join("spoiled");
    for path in tree(&known).into_keys() {
        fs::create_dir_all(spoiled.join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(made("unread", spoiled.to_str().unwrap(), &[]), all);
    assert_eq!(made("nowhere", cwd.join("first.toml/below").to_str().unwrap(), &[]), all);
    assert_equal(&cwd.join("unread"), &cwd.join("alone"));
    // And whole again.
    assert_eq!(made("again", at, &[]), fewer);
    assert_equal(&cwd.join("again"), &cwd.join("alone"));
    // It is this very file that is taken: another number in it, under a hash of its own, is in the curve that a run shows.
    let path = tree(&known).into_keys().find(|path| path.to_str().unwrap().contains("normaliser-")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let (_, csv) = text.split_once('\n').unwrap();
    let (lines, last) = csv.trim_end().rsplit_once('\n').unwrap();
    let mut fields: Vec<&str> = last.split(',').collect();
    fields[1] = "0.5";
    let csv = format!("{lines}\n{}\n", fields.join(","));
    fs::write(&path, format!("# sha256 {:x}\n{csv}", Sha256::digest(&csv))).unwrap();
    made("changed", at, &[]);
    assert_eq!(fs::read_to_string(cwd.join("changed/normaliser.csv")).unwrap(), csv);
}
