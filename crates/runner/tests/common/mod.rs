//! What the tests of the binary share: running it, and small inputs.
#![allow(dead_code)] // each test file uses its own part

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The binary under test with `arguments`, in folder `cwd`.
pub fn fewstep(cwd: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fewstep"));
    command.current_dir(cwd).args(arguments).env("FEWSTEP_CACHE", cwd.join("cache"));
    // Else what a test finds would depend on what it had found before.
    command.env("FEWSTEP_KNOWN", "");
    command
}

/// As [`fewstep`], with what the user has fetched.
pub fn fetched(cwd: &Path, arguments: &[&str]) -> Command {
    let mut command = fewstep(cwd, arguments);
    match std::env::var_os("FEWSTEP_CACHE") {
        Some(cache) => command.env("FEWSTEP_CACHE", cache),
        None => command.env_remove("FEWSTEP_CACHE"),
    };
    command
}

/// Ends a process by a signal, such as `-INT`.
#[cfg(unix)]
pub fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

pub fn run(cwd: &Path, arguments: &[&str]) -> Output {
    fewstep(cwd, arguments).output().unwrap()
}

/// Runs and expects success; standard output.
pub fn succeed(cwd: &Path, arguments: &[&str]) -> String {
    let output = run(cwd, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asked when it runs: checkouts that share a target directory share this binary.
pub fn repository() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..").canonicalize().unwrap()
}

/// An experiment on Gaussian data that takes no time: two numbers of evaluations, all four methods.
pub const GAUSSIAN: &str = r#"title = "Gaussian"
seed = 3
samples = 40
batch = 16
nfe = [5, 10]
metrics = ["fd_pixel", "ode_rmse"]
grid = "quadratic"

[model]
kind = "gaussian"
size = 16
mean = -0.1
variance = 0.25

[normaliser]
collect = { nfe = 50, samples = 8, seed = 1, grid = "quadratic" }
clip = 3

[solution]
nfe = 200
samples = 24

[reference]
fd_pixel = "pixels.safetensors"

[[method]]
name = "euler"

[[method]]
name = "ddim"

[[method]]
name = "deis"
order = 2

[[method]]
name = "deis-sn"
order = 2
"#;

/// Data so far from 0 that the square of a distance to it overflows single precision: Euler's, and not DDIM's, which is exact for
/// data at one point.
pub const FAR: &str = r#"samples = 5
batch = 2
nfe = [2]
metrics = ["ode_rmse"]
grid = [1, 0.001, 0]
method = [{ name = "euler" }, { name = "ddim" }, { name = "deis", order = 2 }]
model = { kind = "gaussian", size = 16, mean = 1e17, variance = 1e-6 }
solution = { samples = 3 }
"#;

/// An experiment on a mixture, and a small fit to it.
pub const MIXTURE_FIT: &str = r#"seed = 5
samples = 32
batch = 16
nfe = [3, 5]
metrics = ["ode_rmse"]
grid = "quadratic"
method = [{ name = "deis", order = 2 }, { name = "unipc-bh1", order = 3 }]

[model]
kind = "mixture"
size = 4

[[model.component]]
weight = 0.6
mean = -0.5
variance = 0.04

[[model.component]]
weight = 0.4
mean = [0.4, 0.1, -0.2]
variance = 0.02

[normaliser]
collect = { nfe = 50, samples = 8, seed = 1, grid = "quadratic" }

[solution]
nfe = 150
samples = 32

[fit]
images = 24
validation = 12
history = 2
rounds = 2
"#;

/// A training of two steps on `images.npz`, 16 by 16.
pub const TRAIN: &str = r#"data = "images.npz"
size = 16
prediction = "v"

[model]
model_channels = 32
channel_mult = [1, 1]
num_res_blocks = 1
attention_ds = []
num_heads = 1
scale_shift = true

[training]
steps = 2
batch = 2
learning_rate = 1e-3
rate = "cosine"
betas = [0.9, 0.99]
clip_norm = 1.0
ema = 0.9

[output]
samples = 1
nfe = 1
"#;

/// [`GAUSSIAN`] with one change, as a file.
pub fn experiment(cwd: &Path, name: &str, from: &str, to: &str) {
    assert!(GAUSSIAN.contains(from), "{from}");
    std::fs::write(cwd.join(name), GAUSSIAN.replacen(from, to, 1)).unwrap();
}

/// A folder with `gaussian.toml` and the statistics that it names.
pub fn gaussian_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gaussian.toml"), GAUSSIAN).unwrap();
    std::fs::write(
        folder.path().join("images.npz"),
        npz("arr_0", "|u1", &[300, 16, 16, 3], &pixels(300 * 16 * 16 * 3)),
    )
    .unwrap();
    succeed(folder.path(), &["stats", "images.npz", "--features", "pixel-8x8", "--out", "pixels.safetensors"]);
    folder
}

pub fn pixels(count: usize) -> Vec<u8> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 21) as u8).collect()
}

/// An `.npz` with one stored array.
pub fn npz(name: &str, dtype: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    header.extend(std::iter::repeat_n(' ', 117 - header.len()));
    header.push('\n');
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend(data);
    zip(&[(&format!("{name}.npy"), &npy)])
}

pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        archive.start_file(*name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A normaliser as the authors publish it: `score_abs` and `Ls` from τ = 1 down to 1/T, saved by PyTorch.
pub fn authors_pt(score: &[f32], sigma: &[f32]) -> Vec<u8> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut pickle = b"\x80\x02}(".to_vec();
    for (key, storage, count) in [("score_abs", b'0', score.len() as u16), ("Ls", b'1', sigma.len() as u16)] {
        pickle.extend([b'X', key.len() as u8, 0, 0, 0]);
        pickle.extend(key.as_bytes());
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0");
        pickle.extend([storage, b'X', 3, 0, 0, 0]);
        pickle.extend(b"cpuM");
        pickle.extend(count.to_le_bytes());
        pickle.extend(b"tQK\0M");
        pickle.extend(count.to_le_bytes());
        pickle.extend(b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    zip(&[("n/data.pkl", &pickle), ("n/data/0", &bytes(score)), ("n/data/1", &bytes(sigma)), ("n/version", b"3\n")])
}

/// A broken input: its name, what the message must hold, and the arguments.
pub type Case = (&'static str, &'static [&'static str], Vec<&'static str>);

/// Runs every case and expects exit status 2 with one clear message.
pub fn expect_refusals(cwd: &Path, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for (name, expected, arguments) in cases {
        let output = run(cwd, &arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let clear = output.status.code() == Some(2)
            && expected.iter().all(|part| message.contains(part))
            && !message.contains("panicked")
            && message.lines().filter(|line| line.starts_with("error:")).count() == 1;
        if !clear {
            wrong.push(format!("{name}: status {:?}, expected {expected:?} in: {message}", output.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
