//! The keys of an experiment, one by one: changing it measures again exactly what depends on it, and the table is then that of a
//! folder where nothing was kept. A key without a line here fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::catch_unwind,
    path::Path,
};

use crate::bases::{CLASSES, GAUSSIAN, IDEAL, MIXTURE, UNET, inputs, unet_folder};
use crate::common::{repository, run, succeed};
use crate::folder::{
    Swept, assert_same, changed, copy, kept, normalisers, solutions, sweep, tensors, tree, write_tensors,
};

/// What a change of a key measures again.
#[derive(Clone, Copy)]
enum Again {
    /// The cells whose names have one of these in them, and of them these metrics; all metrics where none is named.
    Cells { named: &'static [&'static str], metrics: &'static [&'static str], solution: bool, normaliser: bool },
    /// The change is refused, and what was kept is left alone.
    Refused,
}
use Again::{Cells, Refused};

const NOTHING: Again = Cells { named: &[], metrics: &[], solution: false, normaliser: false };
const EVERYTHING: Again = Cells { named: &["seed"], metrics: &[], solution: true, normaliser: true };
/// All but what is collected with a seed and number of its own.
const NOISE: Again = Cells { named: &["seed"], metrics: &[], solution: true, normaliser: false };
const CURVE: Again = Cells { named: &["-SN"], metrics: &[], solution: false, normaliser: true };
const NORMALISED: Again = Cells { named: &["-SN"], metrics: &[], solution: false, normaliser: false };
/// Every method and the solution's own error, but not the method that solves no ODE.
const DISTANCES: Again = Cells {
    named: &["DDIM at", "DEIS", "UniPC", "solution"],
    metrics: &["ode_rmse"],
    solution: true,
    normaliser: false,
};

const fn cells(named: &'static [&'static str]) -> Again {
    Cells { named, metrics: &[], solution: false, normaliser: false }
}

/// Of samples that are compared with no solution.
const fn noise(named: &'static [&'static str]) -> Again {
    Cells { named, metrics: &["fd_pixel"], solution: false, normaliser: false }
}

const fn metric(metrics: &'static [&'static str]) -> Again {
    Cells { named: &["seed"], metrics, solution: false, normaliser: false }
}

/// Key, what stands in the base, what takes its place, and what that measures again.
type Line = (&'static str, &'static str, &'static str, Again);

const GAUSSIAN_LINES: &[Line] = &[
    ("title", "\"Base\"", "\"Another\"", NOTHING),
    // How plans are fitted is nothing to cells.
    ("fit.images", "seed = 3", "fit = { images = 5 }\nseed = 3", NOTHING),
    ("fit.validation", "seed = 3", "fit = { validation = 5 }\nseed = 3", NOTHING),
    ("fit.nfe", "seed = 3", "fit = { nfe = 50 }\nseed = 3", NOTHING),
    ("fit.objective", "seed = 3", "fit = { objective = \"rms\" }\nseed = 3", NOTHING),
    ("fit.history", "seed = 3", "fit = { history = 2 }\nseed = 3", NOTHING),
    ("fit.states", "seed = 3", "fit = { states = 1 }\nseed = 3", NOTHING),
    ("fit.constraint", "seed = 3", "fit = { constraint = \"unit\" }\nseed = 3", NOTHING),
    ("fit.ridge", "seed = 3", "fit = { ridge = 1e-6 }\nseed = 3", NOTHING),
    ("fit.ridge", "seed = 3", "fit = { ridge = [] }\nseed = 3", Refused),
    ("fit.grid", "seed = 3", "fit = { grid = \"trailing\" }\nseed = 3", NOTHING),
    ("fit.grids", "seed = 3", "fit = { grids = [] }\nseed = 3", NOTHING),
    ("fit.stages", "seed = 3", "fit = { stages = [\"joint\"] }\nseed = 3", NOTHING),
    ("fit.rounds", "seed = 3", "fit = { rounds = 2 }\nseed = 3", NOTHING),
    ("seed", "seed = 3", "seed = 4", NOISE),
    (
        "seeds",
        "seed = 3",
        "seeds = [3, 4]",
        Cells { named: &["seed 4"], metrics: &[], solution: true, normaliser: false },
    ),
    ("samples", "samples = 12", "samples = 13", cells(&["seed"])),
    ("batch", "batch = 5", "batch = 7", NOTHING),
    ("nfe", "nfe = [4]", "nfe = [4, 6]", cells(&["at 6 NFE"])),
    ("metrics", ", \"ode_rmse\"]", "]", NOTHING),
    ("metrics", "[\"fd_pixel\", \"ode_rmse\"]", "[\"ode_rmse\", \"fd_pixel\"]", NOTHING),
    ("metrics", "\"fd_pixel\", ", "\"fd_pixel\", \"fd_data\", ", metric(&["fd_data"])),
    ("metrics", "\"fd_pixel\", ", "\"fd_pixel\", \"fd_pixel_solution\", ", metric(&["fd_pixel_solution"])),
    ("grid", "\ngrid = \"quadratic\"", "\ngrid = \"trailing\"", cells(&[" at "])),
    ("grids", "\ngrid = \"quadratic\"", "\ngrids = [\"quadratic\"]", NOTHING),
    ("grids", "\ngrid = \"quadratic\"", "\ngrids = [\"quadratic\", \"trailing\"]", cells(&["on trailing"])),
    ("grids", "\ngrid = \"quadratic\"", "\ngrids = []", Refused),
    ("coefficients", "\ncoefficients = \"exact\"", "\ncoefficients = \"reference\"", cells(&["DEIS-2 at", "-SN"])),
    ("threshold", "threshold = \"none\"", "threshold = \"clip\"", cells(&["DDIM", "UniPC"])),
    ("published", "published = []", "published = [\"rows.toml\"]", NOTHING),
    // A mixture of one component is the same data.
    (
        "model.kind",
        "kind = \"gaussian\"\nsize = 8\nschedule = \"linear\"\nmean = -0.1\nvariance = 0.25",
        "kind = \"mixture\"\nsize = 8\ncomponent = [{ weight = 2, mean = -0.1, variance = 0.25 }]",
        NOTHING,
    ),
    ("model.size", "size = 8", "size = 16", EVERYTHING),
    ("model.schedule", "\"linear\"", "\"scaled-linear\"", EVERYTHING),
    ("model.mean", "mean = -0.1", "mean = -0.2", EVERYTHING),
    ("model.mean", "mean = -0.1", "mean = [-0.1, -0.1, -0.1]", NOTHING),
    ("model.variance", "variance = 0.25", "variance = 0.26", EVERYTHING),
    (
        "normaliser.file",
        "collect = { nfe = 50, samples = 3, seed = 1, grid = \"trailing\" }",
        "file = \"r.csv\"",
        NORMALISED,
    ),
    ("normaliser.collect.nfe", "nfe = 50,", "nfe = 51,", CURVE),
    ("normaliser.collect.samples", "samples = 3,", "samples = 4,", CURVE),
    ("normaliser.collect.seed", "seed = 1", "seed = 2", CURVE),
    ("normaliser.collect.grid", "seed = 1, grid = \"trailing\"", "seed = 1, grid = \"power-1.5\"", CURVE),
    ("normaliser.clip", "clip = 3", "clip = 30", NORMALISED),
    ("normaliser.published", "clip = 3", "clip = 3\npublished = \"r.csv\"", NOTHING),
    ("method.name", "\"ddim\", coefficients = \"exact\"", "\"euler\"", cells(&["Euler"])),
    ("method.order", "\"deis\", order = 2 }", "\"deis\", order = 3 }", cells(&["DEIS-3"])),
    ("method.eta", "eta = 0.5", "eta = 0.6", noise(&["η=0.6"])),
    (
        "method.eta",
        "{ name = \"ddim\", eta = 0.5 }",
        "{ name = \"ddim\", eta = 0.5 }, { name = \"ddpm\" }",
        noise(&["DDPM"]),
    ),
    (
        "method.normalise",
        "{ name = \"deis\", order = 2 }",
        "{ name = \"deis\", order = 1, normalise = true }",
        cells(&["DEIS-SN-1"]),
    ),
    ("method.grid", "{ name = \"unipc-bh2\",", "{ name = \"unipc-bh2\", grid = \"log-snr\",", cells(&["UniPC"])),
    // Other words for the same times.
    ("method.grid", "\"deis\", order = 2 }", "\"deis\", order = 2, grid = \"power-2\" }", NOTHING),
    (
        "method.coefficients",
        "\"deis\", order = 2 }",
        "\"deis\", order = 2, coefficients = \"reference\" }",
        cells(&["DEIS-2"]),
    ),
    (
        "method.threshold",
        "{ name = \"unipc-bh2\",",
        "{ name = \"unipc-bh2\", threshold = \"dynamic\",",
        cells(&["UniPC"]),
    ),
    ("method.nfe", "\"deis\", order = 2 }", "\"deis\", order = 2, nfe = [4] }", NOTHING),
    ("method.nfe", "\"deis\", order = 2 }", "\"deis\", order = 2, nfe = [5] }", Refused),
    ("method.afs", "\"deis\", order = 2 }", "\"deis\", order = 2, afs = true }", cells(&["DEIS-2 AFS"])),
    ("method.plan", "{ name = \"deis\", order = 2 }", "{ plan = \"mine.json\" }", cells(&["deis at"])),
    (
        "method.label",
        "{ name = \"deis\", order = 2 }",
        "{ plan = \"mine.json\", label = \"Mine\" }",
        cells(&["Mine at"]),
    ),
    ("reference.fd_pixel", "\"pixels.", "\"others.", metric(&["fd_pixel"])),
    ("reference.fd_pixel", "\"pixels.", "\"copy.", NOTHING),
    ("reference.fid", "fd_pixel = \"pixels", "fid = \"pixels.safetensors\"\nfd_pixel = \"pixels", NOTHING),
    ("reference.fd_vit", "fd_pixel = \"pixels", "fd_vit = \"pixels.safetensors\"\nfd_pixel = \"pixels", NOTHING),
    // Of metrics that are measured in it: tests/command/features.rs.
    ("features.weights", "seed = 3", "features = { weights = \"absent.safetensors\" }\nseed = 3", NOTHING),
    // Nothing is measured in Inception's features here; what it is to figures there is tested with the weights (`tests/command/protocol.rs`).
    ("reference.protocol", "fd_pixel = \"pixels", "protocol = \"clean\"\nfd_pixel = \"pixels", NOTHING),
    ("reference.dataset", "fd_pixel = \"pixels", "dataset = \"DATASET\"\nfd_pixel = \"pixels", NOTHING),
    ("reference.dataset", "fd_pixel = \"pixels", "dataset = \"0\"\nfd_pixel = \"pixels", Refused),
    ("solution.nfe", "nfe = 60", "nfe = 70", DISTANCES),
    ("solution.samples", "samples = 8", "samples = 9", DISTANCES),
    ("solution.floor", "floor = 50", "floor = 40", noise(&["solution"])),
];

const ALL_CELLS: Again = cells(&["seed"]);

const MIXTURE_LINES: &[Line] = &[
    ("model.component.weight", "weight = 2", "weight = 3", ALL_CELLS),
    // Weights are relative.
    (
        "model.component.weight",
        "weight = 1\nmean = -0.5\nvariance = 0.01\n\n[[model.component]]\nweight = 2",
        "weight = 2\nmean = -0.5\nvariance = 0.01\n\n[[model.component]]\nweight = 4",
        NOTHING,
    ),
    ("model.component.mean", "mean = 0.5", "mean = 0.6", ALL_CELLS),
    ("model.component.variance", "variance = 0.02", "variance = 0.03", ALL_CELLS),
];

const IDEAL_LINES: &[Line] = &[
    ("model.data", "\"images.npz\"", "\"others.npz\"", ALL_CELLS),
    ("model.data", "\"images.npz\"", "\"copy.npz\"", NOTHING),
    ("model.images", "images = 20", "images = 21", ALL_CELLS),
    // They are square already.
    ("model.crop", "images = 20", "images = 20, crop = true", NOTHING),
];

const UNET_LINES: &[Line] = &[
    ("model.weights", "\"church.safetensors\"", "\"renamed.safetensors\"", NOTHING),
    ("model.weights", "\"church.safetensors\"", "\"converted.safetensors\"", NOTHING),
    ("model.weights", "\"church.safetensors\"", "\"other.safetensors\"", EVERYTHING),
    ("model.prediction", "\"epsilon\"", "\"v\"", EVERYTHING),
    ("model.schedule", "\"linear\"", "\"cosine\"", EVERYTHING),
    ("model.size", "size = 8", "size = 12", EVERYTHING),
    ("model.config.num_heads", "num_heads = 1", "num_heads = 2", EVERYTHING),
    ("model.config.head_channels", "num_heads = 1", "num_heads = 1\nhead_channels = 16", EVERYTHING),
    ("model.config.norm_groups", "norm_groups = 32", "norm_groups = 16", EVERYTHING),
    ("model.config.norm_epsilon", "norm_epsilon = 1e-5", "norm_epsilon = 1e-3", EVERYTHING),
    ("model.config.sin_first", "sin_first = false", "sin_first = true", EVERYTHING),
    ("model.config.frequency_shift", "frequency_shift = 0", "frequency_shift = 1", EVERYTHING),
    ("model.config.pad_after", "pad_after = false", "pad_after = true", EVERYTHING),
    // There is no dropout outside training.
    ("model.config.dropout", "dropout = 0.1", "dropout = 0.2", NOTHING),
    // Other tensors than the file has.
    ("model.config.patch", "patch = 1", "patch = 2", Refused),
    ("model.config.channels", "\nchannels = 3", "\nchannels = 1", Refused),
    ("model.config.model_channels", "model_channels = 32", "model_channels = 64", Refused),
    ("model.config.channel_mult", "[1, 2]", "[1, 1]", Refused),
    ("model.config.num_res_blocks", "num_res_blocks = 1", "num_res_blocks = 2", Refused),
    ("model.config.attention_ds", "[2]", "[1]", Refused),
    ("model.config.scale_shift", "scale_shift = false", "scale_shift = true", Refused),
    ("model.config.learn_sigma", "learn_sigma = false", "learn_sigma = true", Refused),
    ("model.class", "size = 8", "size = 8\nclass = 1", Refused),
    ("model.config.form", "num_heads = 1", "num_heads = 1\nform = \"ddpm++\"", Refused),
    ("model.config.form", "num_heads = 1", "num_heads = 1\nform = \"ddpm\"", NOTHING),
    ("model.config.classes", "num_heads = 1", "num_heads = 1\nclasses = 10", Refused),
    ("model.config.bare_middle", "bare_middle = false", "bare_middle = true", Refused),
];

/// Hash of the statistics' images, which a message says.
fn dataset(cwd: &Path) -> String {
    fs::write(cwd.join("asks.toml"), GAUSSIAN.replace("[reference]", "[reference]\ndataset = \"0\"")).unwrap();
    let text = String::from_utf8(run(cwd, &["sweep", "asks.toml"]).stderr).unwrap();
    text.split("hash is '").nth(1).unwrap().split('\'').next().unwrap().to_owned()
}

/// By cell's file, its measurements as they are kept, seconds and all.
fn measurements(folder: &Path) -> BTreeMap<String, Vec<toml::Value>> {
    let read = |name: String| {
        let table: toml::Table = fs::read_to_string(folder.join("cells").join(&name)).unwrap().parse().unwrap();
        let measured = table.get("measured").and_then(|list| list.as_array().cloned()).unwrap_or_default();
        (name, measured)
    };
    kept(folder, "", ".toml").into_iter().filter(|name| name.contains("-seed-")).map(read).collect()
}

/// Metrics of any cell that are not those that were kept before.
fn metrics(before: &Path, after: &Path) -> BTreeSet<String> {
    let (before, after) = (measurements(before), measurements(after));
    let new = after.iter().flat_map(|(name, all)| {
        let old = before.get(name).cloned().unwrap_or_default();
        all.iter().filter(move |measured| !old.contains(measured)).cloned().collect::<Vec<_>>()
    });
    new.map(|measured| measured["metric"].as_str().unwrap().to_owned()).collect()
}

/// Sweeps `text` in a copy of the base's folder and in an empty one.
fn check(cwd: &Path, text: &str, (key, _, to, again): &Line, number: usize) {
    let what = format!("{key}: {to}");
    let [file, reused, fresh] = [format!("x{number}.toml"), format!("reused-{number}"), format!("fresh-{number}")];
    fs::write(cwd.join(&file), text).unwrap();
    let (base, old, new) = (cwd.join("out/base"), cwd.join(&reused), cwd.join(&fresh));
    copy(&base, &old);
    let Cells { named, metrics: expected, solution, normaliser } = again else {
        let before = tree(&old);
        let output = run(cwd, &["sweep", &file, "--out", &reused]);
        assert_eq!(output.status.code(), Some(2), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(changed(&before, &tree(&old)), BTreeSet::new(), "{what}");
        return;
    };
    let Swept { measured, .. } = sweep(cwd, &[&file, "--out", &reused]);
    let all = sweep(cwd, &[&file, "--out", &fresh]).measured;
    let depends = |name: &&String| named.iter().any(|part| name.contains(part));
    assert_eq!(measured, all.iter().filter(depends).cloned().collect::<Vec<_>>(), "{what}");
    assert!(named.is_empty() == measured.is_empty(), "{what}: no cell is named so, of {all:?}");
    let of_all = || metrics(&cwd.join("nothing-kept"), &new);
    let expected = match (named.is_empty(), expected.is_empty()) {
        (false, true) => of_all(),
        _ => expected.iter().map(|&name| name.to_owned()).collect(),
    };
    assert_eq!(metrics(&base, &old), expected, "{what}: metrics");
    assert_eq!(solutions(&old) != solutions(&base), *solution, "{what}: solution");
    assert_eq!(normalisers(&old) != normalisers(&base), *normaliser, "{what}: normaliser");
    assert_same(&old, &new, &what);
}

/// Walks the lines of a base.
fn walk(cwd: &Path, base: &str, lines: &[Line]) {
    fs::write(cwd.join("base.toml"), base).unwrap();
    fs::create_dir_all(cwd.join("nothing-kept/cells")).unwrap();
    sweep(cwd, &["base.toml"]);
    assert_eq!(sweep(cwd, &["base.toml"]).measured, Vec::<String>::new(), "nothing changed");
    let mut failed = 0;
    for (number, line) in lines.iter().enumerate() {
        let (key, from, to, _) = line;
        assert_eq!(base.matches(from).count(), 1, "{key}: {from}");
        let to = if to.contains("DATASET") { to.replace("DATASET", &dataset(cwd)) } else { (*to).to_owned() };
        let text = base.replace(from, &to);
        // Every line that fails is named by its own message.
        failed += u32::from(catch_unwind(|| check(cwd, &text, line, number)).is_err());
    }
    assert_eq!(failed, 0, "lines that failed");
}

#[test]
fn keys_of_an_experiment_on_gaussian_data() {
    let folder = inputs();
    let plan = ["plan", "--method", "deis", "--order", "1", "--nfe", "4", "--json"];
    fs::write(folder.path().join("mine.json"), succeed(folder.path(), &plan)).unwrap();
    walk(folder.path(), GAUSSIAN, GAUSSIAN_LINES);
}

#[test]
fn keys_of_a_mixture() {
    walk(inputs().path(), MIXTURE, MIXTURE_LINES);
}

#[test]
fn keys_of_an_ideal_denoiser() {
    walk(inputs().path(), IDEAL, IDEAL_LINES);
}

#[test]
fn keys_of_a_network() {
    let folder = unet_folder();
    let cwd = folder.path();
    fs::copy(cwd.join("church.safetensors"), cwd.join("renamed.safetensors")).unwrap();
    let mut tensors = tensors(&cwd.join("church.safetensors"));
    tensors.reverse();
    write_tensors(&cwd.join("converted.safetensors"), &tensors, "{\"made\":\"by a converter\"}");
    tensors[7].2[0] += 0.125;
    write_tensors(&cwd.join("other.safetensors"), &tensors, "{}");
    walk(cwd, UNET, UNET_LINES);
}

const CLASS_LINES: &[Line] = &[
    ("model.class", "class = 1", "class = 2", EVERYTHING),
    ("model.class", "class = 1", "class = \"cycle\"", EVERYTHING),
    ("model.class", "class = 1", "class = 5", Refused),
    ("model.class", "class = 1\n", "", Refused),
    ("model.weights", "\"classes.pkl\"", "\"renamed.pkl\"", NOTHING),
    ("model.schedule", "\"edm\"", "\"continuous\"", EVERYTHING),
    // Its levels begin at 157, where the network was made for 152.
    ("model.schedule", "\"edm\"", "\"linear\"", Refused),
];

#[test]
fn keys_of_a_network_with_classes() {
    let folder = tempfile::tempdir().unwrap();
    let golden = repository().join("crates/model/tests/golden/layouts/edm-vp-classes.pkl");
    for name in ["classes.pkl", "renamed.pkl"] {
        fs::copy(&golden, folder.path().join(name)).unwrap();
    }
    walk(folder.path(), CLASSES, CLASS_LINES);
}

/// Keys that a file may have, from the structures that it is read into.
fn keys(source: &str, structure: &str, prefix: &str) -> Vec<String> {
    let body = source.split(&format!("struct {structure} {{\n")).nth(1).unwrap().split("\n}").next().unwrap();
    let field = |line: &str| {
        let line = line.trim().trim_start_matches("pub ");
        let (name, _) = line.split_once(": ").filter(|_| !line.starts_with(['/', '#']))?;
        Some(format!("{prefix}{name}"))
    };
    body.lines().filter_map(field).collect()
}

#[test]
fn every_key_has_a_line() {
    let crates = repository().join("crates");
    let read = |path: &str| fs::read_to_string(crates.join(path)).unwrap();
    let sources = ["mod", "method", "model", "fit", "reference"]
        .map(|name| read(&format!("runner/src/experiment/{name}.rs")))
        .concat();
    let structures = [
        ("Raw", ""),
        ("RawNormaliser", "normaliser."),
        ("RawCollect", "normaliser.collect."),
        ("RawReference", "reference."),
        ("RawFeatures", "features."),
        ("RawSolution", "solution."),
        ("RawFit", "fit."),
        ("RawMethod", "method."),
        ("RawModel", "model."),
        ("RawComponent", "model.component."),
    ];
    assert_eq!(sources.matches("struct Raw").count(), structures.len(), "a table of which this test knows nothing");
    let mut all: Vec<String> = structures.iter().flat_map(|(name, prefix)| keys(&sources, name, prefix)).collect();
    all.extend(keys(&read("model/src/unet/config.rs"), "UNetConfig", "model.config."));
    let lines = [GAUSSIAN_LINES, MIXTURE_LINES, IDEAL_LINES, UNET_LINES].concat();
    // A table's keys have lines; it has none itself.
    let has_line = |key: &String| lines.iter().any(|(of, ..)| of == key || of.starts_with(&format!("{key}.")));
    let missing: Vec<&String> = all.iter().filter(|key| !has_line(key)).collect();
    assert!(missing.is_empty(), "no line for {missing:?}");
    assert!(all.len() > 55, "{all:?}");
    let unknown: Vec<&str> = lines.iter().map(|line| line.0).filter(|key| !all.contains(&(*key).to_owned())).collect();
    assert!(unknown.is_empty(), "lines for keys that no file may have: {unknown:?}");
}
