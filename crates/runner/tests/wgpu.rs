//! The wgpu backend against the same goldens as the CPU's, and a small sweep on it:
//! `cargo test --profile check-wgpu --workspace --features fewstep-runner/wgpu --test wgpu -- --include-ignored`.
//!
//! CI runs this on Mesa's software Vulkan, which refuses single buffers over 128 MiB and is slow: everything here is small.
#![cfg(feature = "wgpu")]

mod common;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use common::{gaussian_folder, repository, succeed};
use fewstep_fid::{Extractor, Images, Inception};
use fewstep_model::{Checkpoint, Prediction, UNetConfig};
use safetensors::SafeTensors;

/// How far another order of additions in single precision may go; measured: 4.4e-6 of a U-Net, 1.2e-5 of Inception's features.
const TOLERANCE: f32 = 1e-4;
/// The same over the steps of a run, relative.
const OF_RUNS: f64 = 1e-3;
/// How far single precision may move a distance between pixels; measured: 6e-7.
const ROUNDING: f64 = 3e-6;

fn device() -> Device {
    Device::wgpu(Default::default())
}

fn values(file: &SafeTensors<'_>, keys: &[&str]) -> (Vec<usize>, Vec<f32>) {
    let tensor = keys.iter().find_map(|key| file.tensor(key).ok()).unwrap();
    let (values, _) = tensor.data().as_chunks();
    (tensor.shape().to_vec(), values.iter().map(|&b| f32::from_le_bytes(b)).collect())
}

#[test]
fn unet_goldens() {
    let golden = repository().join("crates/model/tests/golden");
    let openai = |heads: usize, scale_shift: bool, channel_mult: &[usize]| UNetConfig {
        model_channels: 32,
        channel_mult: channel_mult.to_vec(),
        num_res_blocks: 2,
        attention_ds: vec![2],
        num_heads: heads,
        scale_shift,
        ..UNetConfig::default()
    };
    let layouts = ["diffusers-ddpm-tiny", "diffusers-old-names", "diffusers-pipeline", "authors-pipeline"];
    let mut cases: Vec<(PathBuf, PathBuf, Option<UNetConfig>)> = layouts
        .iter()
        .map(|name| (golden.join("layouts").join(name), golden.join("layouts").join(name).join("io.safetensors"), None))
        .collect();
    let cifar = openai(4, true, &[1, 2]);
    cases.push((
        golden.join("openai-cifar-tiny.safetensors"),
        golden.join("openai-cifar-tiny.io.safetensors"),
        Some(cifar),
    ));
    let device = device();
    for (path, io, config) in cases {
        let given = config.is_some().then_some(Prediction::Epsilon);
        let unet = Checkpoint::read(&path, config, given).unwrap().unet(&device).unwrap();
        let bytes = std::fs::read(io).unwrap();
        let io = SafeTensors::deserialize(&bytes).unwrap();
        let (shape, x) = values(&io, &["x"]);
        let (_, t) = values(&io, &["t"]);
        let x = Tensor::<4>::from_data(TensorData::new(x, shape), &device);
        let y: Vec<f32> = unet.forward(x, Tensor::from_floats(t.as_slice(), &device)).into_data().try_to_vec().unwrap();
        let (_, expected) = values(&io, &["y", "eps"]);
        let difference = y.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{}: largest difference {difference:e}", path.display());
        assert!(difference < TOLERANCE, "{}: {difference:e}", path.display());
    }
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn features_of_one_image() {
    let cache = std::env::var_os("FEWSTEP_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| dirs::cache_dir().unwrap().join("fewstep"));
    let inception = Inception::open(&cache.join("inception/default_1.pt"), &device(), false).unwrap();
    let bytes = std::fs::read(repository().join("crates/fid/tests/golden/inception-features-16.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let image = golden.tensor("images").unwrap().data()[..3072].to_vec();
    let features = inception.features(&Images::new(32, 32, image).unwrap()).unwrap();
    let (_, expected) = values(&golden, &["features"]);
    assert_eq!(features.len(), 2048);
    let difference = features.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {difference:e}");
    assert!(difference < TOLERANCE, "{difference:e}");
}

#[test]
fn a_sweep_gives_what_the_cpu_gives() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "cpu"]);
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "gpu", "--device", "wgpu"]);
    // A small network too: two images, two evaluations.
    let weights = repository().join("crates/model/tests/golden/layouts/authors-pipeline");
    let network = format!(
        "samples = 2\nnfe = [2]\nmetrics = [\"ode_rmse\"]\nmethod = [{{ name = \"ddim\" }}]\nsolution = {{ nfe = 4, samples = 2 }}\nmodel = {{ kind = \"unet\", size = 8, weights = '{}' }}\n",
        weights.display()
    );
    std::fs::write(cwd.join("network.toml"), network).unwrap();
    succeed(cwd, &["sweep", "network.toml", "--out", "cpu-network"]);
    succeed(cwd, &["sweep", "network.toml", "--out", "gpu-network", "--device", "wgpu"]);
    for (cpu, gpu) in [("cpu", "gpu"), ("cpu-network", "gpu-network")] {
        let rows = |folder: &str| -> Vec<csv::StringRecord> {
            let mut reader = csv::Reader::from_path(cwd.join(folder).join("cells.csv")).unwrap();
            reader.records().map(Result::unwrap).collect()
        };
        let headers = csv::Reader::from_path(cwd.join(cpu).join("cells.csv")).unwrap().headers().unwrap().clone();
        let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
        let (cpu, gpu) = (rows(cpu), rows(gpu));
        assert_eq!(cpu.len(), gpu.len());
        for (a, b) in cpu.iter().zip(&gpu) {
            let device = &b[column("device")];
            assert!(&a[column("device")] == "cpu" && device.starts_with("wgpu: "), "{device}");
            // The solution's own error is at the size of single precision's.
            if &a[column("method")] == "solution" {
                continue;
            }
            let (a, b): (f64, f64) = (a[column("ode_rmse")].parse().unwrap(), b[column("ode_rmse")].parse().unwrap());
            // Single precision moves a pixel by some 5e-7 an evaluation, however close to the solution it is: a distance of 5e-4
            // cannot agree to three digits.
            assert!((a - b).abs() < OF_RUNS * b + ROUNDING, "{a} {b}");
        }
    }
}
