//! Small experiments of every model kind, and the files that they name.
#![allow(dead_code)] // each test file uses its own part

use std::fs;

use super::{
    common::{npz, pixels, succeed},
    folder::golden,
};

/// Every kind of key, on data whose solution is known and still found by steps.
pub const GAUSSIAN: &str = r#"title = "Base"
seed = 3
samples = 12
batch = 5
nfe = [4]
metrics = ["fd_pixel", "ode_rmse"]
grid = "quadratic"
coefficients = "exact"
threshold = "none"
published = []
method = [
    { name = "ddim", coefficients = "exact" },
    { name = "deis", order = 2 },
    { name = "deis", order = 2, normalise = true },
    { name = "unipc-bh2", order = 2 },
    { name = "ddim", eta = 0.5 },
]

[model]
kind = "gaussian"
size = 8
schedule = "linear"
mean = -0.1
variance = 0.25

[normaliser]
collect = { nfe = 50, samples = 3, seed = 1, grid = "trailing" }
clip = 3

[solution]
nfe = 60
samples = 8
floor = 50

[reference]
fd_pixel = "pixels.safetensors"
"#;

/// A mixture, which has no formula for its solution.
pub const MIXTURE: &str = r#"samples = 6
nfe = [4]
metrics = ["fd_data"]
method = [{ name = "ddim" }]

[model]
kind = "mixture"
size = 2

[[model.component]]
weight = 1
mean = -0.5
variance = 0.01

[[model.component]]
weight = 2
mean = 0.5
variance = 0.02
"#;

/// A set of images.
pub const IDEAL: &str = r#"samples = 6
nfe = [4]
metrics = ["fd_pixel"]
method = [{ name = "ddim" }]
model = { kind = "ideal", size = 16, data = "images.npz", images = 20 }
reference = { fd_pixel = "pixels.safetensors" }
"#;

/// An experiment on a small U-Net, `church.safetensors` beside it, which says neither its shape nor its prediction.
pub const UNET: &str = r#"samples = 4
batch = 2
nfe = [3]
metrics = ["ode_rmse"]

[[method]]
name = "ddim"

[[method]]
name = "ddim-sn"

[normaliser]
collect = { nfe = 40, samples = 2, grid = "quadratic" }

[solution]
nfe = 8
samples = 4

[model]
kind = "unet"
size = 8
schedule = "linear"
weights = "church.safetensors"
prediction = "epsilon"

[model.config]
patch = 1
channels = 3
model_channels = 32
channel_mult = [1, 2]
num_res_blocks = 1
attention_ds = [2]
num_heads = 1
scale_shift = false
dropout = 0.1
learn_sigma = false
norm_groups = 32
norm_epsilon = 1e-5
sin_first = false
frequency_shift = 0
bare_middle = false
pad_after = false
"#;

/// An experiment on a small network with classes, `classes.pkl` beside it, on noise levels from 0.002 to 80.
pub const CLASSES: &str = r#"samples = 4
batch = 3
nfe = [3]
metrics = ["ode_rmse"]
grid = "edm-to-0.001"

[[method]]
name = "ddim"

[[method]]
name = "ddim-sn"

[normaliser]
collect = { nfe = 40, samples = 2, grid = "quadratic" }

[solution]
nfe = 8
samples = 4

[model]
kind = "unet"
size = 8
schedule = "edm"
weights = "classes.pkl"
class = 1
"#;

/// A folder with images, statistics, a curve and published figures.
pub fn inputs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let images = |from: usize| npz("arr_0", "|u1", &[60, 16, 16, 3], &pixels(from + 60 * 768)[from..]);
    for (name, bytes) in [("images.npz", images(0)), ("others.npz", images(9)), ("copy.npz", images(0))] {
        fs::write(cwd.join(name), bytes).unwrap();
    }
    for (from, to) in [("images.npz", "pixels.safetensors"), ("others.npz", "others.safetensors")] {
        succeed(cwd, &["stats", from, "--features", "pixel-8x8", "--out", to]);
    }
    fs::copy(cwd.join("pixels.safetensors"), cwd.join("copy.safetensors")).unwrap();
    let row = |k: usize| format!("{},{}\n", k as f64 / 40.0, 0.5 + k as f64 / 100.0);
    fs::write(cwd.join("r.csv"), format!("tau,mean_abs_eps\n{}", (1..=40).map(row).collect::<String>())).unwrap();
    let rows = "source = \"Somebody 2020\"\ndataset = \"Pixels\"\nmodel = \"theirs\"\nsamples = 50000\n[[row]]\nmethod = \"DDIM\"\nfid = { 4 = 9.5 }\n";
    fs::write(cwd.join("rows.toml"), rows).unwrap();
    folder
}

/// A folder with the small U-Net's weights.
pub fn unet_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("openai-church-tiny.safetensors"), folder.path().join("church.safetensors")).unwrap();
    folder
}
