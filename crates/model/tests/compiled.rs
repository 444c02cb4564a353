//! The compiled U-Net against the plain one, and against the goldens, on every instruction set that the machine has.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_conv::Level;
use fewstep_model::{Checkpoint, CompiledUNet, Prediction, UNet, UNetConfig};
use safetensors::SafeTensors;

/// Asked when it runs: checkouts that share a target directory share this binary.
fn here() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

fn unet(path: &Path, config: Option<UNetConfig>) -> UNet {
    let prediction = config.is_some().then_some(Prediction::Epsilon);
    Checkpoint::read(path, config, prediction).unwrap().unet(&Device::flex()).unwrap()
}

fn values(file: &SafeTensors<'_>, keys: &[&str]) -> (Vec<usize>, Vec<f32>) {
    let tensor = keys.iter().find_map(|key| file.tensor(key).ok()).unwrap();
    let (values, _) = tensor.data().as_chunks();
    (tensor.shape().to_vec(), values.iter().map(|&b| f32::from_le_bytes(b)).collect())
}

/// Root mean square of the difference, relative to the expected's.
fn relative_rms(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    (off / expected.iter().map(|b| square(f64::from(*b))).sum::<f64>()).sqrt()
}

fn openai(heads: usize, scale_shift: bool, learn_sigma: bool, levels: &[usize], attention: &[usize]) -> UNetConfig {
    UNetConfig {
        model_channels: 32,
        channel_mult: levels.to_vec(),
        num_res_blocks: if levels.len() > 1 { 2 } else { 1 },
        attention_ds: attention.to_vec(),
        num_heads: heads,
        scale_shift,
        learn_sigma,
        ..UNetConfig::default()
    }
}

#[test]
fn every_layout_gives_what_its_library_and_the_plain_network_give() {
    let golden = here().join("tests/golden");
    let layouts = golden.join("layouts");
    let folder = |name: &str| (layouts.join(name), layouts.join(name).join("io.safetensors"), None);
    let cases = [
        folder("diffusers-ddpm-tiny"),
        folder("diffusers-old-names"),
        folder("diffusers-pipeline"),
        folder("authors-pipeline"),
        (
            layouts.join("openai-learned-variance.pt"),
            layouts.join("openai-learned-variance.io.safetensors"),
            Some(openai(2, true, true, &[1], &[])),
        ),
        (
            golden.join("openai-cifar-tiny.safetensors"),
            golden.join("openai-cifar-tiny.io.safetensors"),
            Some(openai(4, true, false, &[1, 2], &[2])),
        ),
        (
            golden.join("openai-church-tiny.safetensors"),
            golden.join("openai-church-tiny.io.safetensors"),
            Some(church(&golden)),
        ),
    ];
    for (path, io, config) in cases {
        let unet = unet(&path, config);
        let bytes = std::fs::read(io).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let ((shape, x), (_, t), (_, expected)) =
            (values(&file, &["x"]), values(&file, &["t"]), values(&file, &["y", "eps"]));
        let tensor = Tensor::<4>::from_data(TensorData::new(x.clone(), shape.clone()), &Device::flex());
        let timesteps = Tensor::from_floats(t.as_slice(), &Device::flex());
        let plain: Vec<f32> = unet.forward(tensor, timesteps).into_data().try_to_vec().unwrap();
        let mut fused: Option<Vec<f32>> = None;
        for level in Level::all() {
            let compiled = CompiledUNet::new(&unet, level);
            let images = x.chunks(x.len() / shape[0]).zip(t.iter().cycle());
            let found: Vec<f32> = images.flat_map(|(x, &t)| compiled.forward(x, [shape[2], shape[3]], t)).collect();
            let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let relative = relative_rms(&found, &plain);
            println!("{} {}: {largest:e} from the golden, {relative:e} from plain", path.display(), level.name());
            // Measured: 1.0e-5, and 3.3e-6 from plain.
            assert!(largest < 5e-5, "{}: {largest:e}", path.display());
            assert!(relative < 1e-5, "{}: {relative:e}", path.display());
            if level.is_fused() {
                assert!(fused.get_or_insert_with(|| found.clone()) == &found, "{}", level.name());
            }
        }
    }
}

/// The configuration in its file.
fn church(golden: &Path) -> UNetConfig {
    let text = std::fs::read_to_string(golden.join("openai-church-tiny.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |key: &str| json[key].as_str().unwrap().split(',').map(|n| n.parse().unwrap()).collect::<Vec<usize>>();
    let number = |key: &str| json[key].as_u64().unwrap() as usize;
    UNetConfig {
        model_channels: number("model_channels"),
        channel_mult: list("channel_mult"),
        num_res_blocks: number("num_res_blocks"),
        attention_ds: list("attention_resolutions").iter().map(|r| number("sample_size") / r).collect(),
        num_heads: number("num_heads"),
        scale_shift: json["use_scale_shift_norm"].as_bool().unwrap(),
        ..UNetConfig::default()
    }
}

#[test]
fn the_carried_networks_whatever_the_batch_and_the_threads() {
    for name in ["cifar10-small", "cifar10-tiny"] {
        let unet = unet(&here().join(format!("../../models/{name}.safetensors")), None);
        let compiled = CompiledUNet::new(&unet, Level::best());
        // Two whole groups of 32 and a part of one.
        let x: Vec<f32> = (0..67 * 3072).map(|i| ((i * 7919 % 1999) as f32 / 1000.0 - 1.0) * 1.5).collect();
        let timestep = 431.1;
        let tensor = Tensor::<4>::from_data(TensorData::new(x.clone(), [67, 3, 32, 32]), &Device::flex());
        let plain = unet.forward(tensor, Tensor::from_floats([timestep], &Device::flex()));
        let plain: Vec<f32> = plain.into_data().try_to_vec().unwrap();
        let whole = compiled.forward(&x, [32, 32], timestep);
        let relative = relative_rms(&whole, &plain);
        println!("{name}: {relative:e} from plain");
        assert!(relative < 1e-5, "{name}: {relative:e}");
        let one_by_one: Vec<f32> = x.chunks(3072).flat_map(|x| compiled.forward(x, [32, 32], timestep)).collect();
        assert!(one_by_one == whole);
        // As one of many batches: group after group on a thread of the pool.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert!(pool.install(|| compiled.forward(&x, [32, 32], timestep)) == whole);
        // An image that is not finite stays alone, now and later.
        let mut bad = x.clone();
        bad[2 * 3072..3 * 3072].fill(f32::NAN);
        let found = compiled.forward(&bad, [32, 32], timestep);
        for (i, (found, whole)) in found.chunks(3072).zip(whole.chunks(3072)).enumerate() {
            assert!(
                if i == 2 { found.iter().all(|value| value.is_nan()) } else { found == whole },
                "{name}: image {i}"
            );
        }
        assert!(compiled.forward(&x, [32, 32], timestep) == whole);
    }
}

#[test]
fn images_need_not_be_square() {
    let unet = unet(&here().join("../../models/cifar10-tiny.safetensors"), None);
    let x: Vec<f32> = (0..2 * 3 * 16 * 64).map(|i| ((i * 7919 % 1999) as f32 / 1000.0 - 1.0) * 1.5).collect();
    let tensor = Tensor::<4>::from_data(TensorData::new(x.clone(), [2, 3, 16, 64]), &Device::flex());
    let plain = unet.forward(tensor, Tensor::from_floats([77.0], &Device::flex())).into_data().try_to_vec().unwrap();
    let relative = relative_rms(&CompiledUNet::new(&unet, Level::best()).forward(&x, [16, 64], 77.0), &plain);
    assert!(relative < 1e-5, "{relative:e}");
}
