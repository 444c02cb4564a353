//! Against PyTorch: `golden/` holds two small networks in the authors' layout with one input and output each.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_model::{Checkpoint, Conditioning, Levels, Prediction, Predictor, UNet, UNetConfig, Weights};
use safetensors::SafeTensors;

/// Asked when it runs: checkouts that share a target directory share this binary.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden").join(name)
}

/// The configuration in improved-diffusion's words.
fn config(name: &str) -> UNetConfig {
    let text = std::fs::read_to_string(golden(&format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |key: &str| json[key].as_u64().unwrap() as usize;
    let list = |key: &str| json[key].as_str().unwrap().split(',').map(|n| n.parse().unwrap()).collect::<Vec<usize>>();
    UNetConfig {
        patch: 1,
        channels: number("in_channels"),
        model_channels: number("model_channels"),
        channel_mult: list("channel_mult"),
        num_res_blocks: number("num_res_blocks"),
        attention_ds: list("attention_resolutions")
            .iter()
            .map(|resolution| number("sample_size") / resolution)
            .collect(),
        num_heads: number("num_heads"),
        scale_shift: json["use_scale_shift_norm"].as_bool().unwrap(),
        dropout: json["dropout"].as_f64().unwrap(),
        ..UNetConfig::default()
    }
}

fn largest_difference(name: &str) -> f32 {
    let device = Device::flex();
    let mut weights = Weights::read(&golden(&format!("{name}.safetensors"))).unwrap();
    let unet = UNet::new(&config(name), &mut weights, &device).unwrap();
    weights.finish().unwrap();
    let bytes = std::fs::read(golden(&format!("{name}.io.safetensors"))).unwrap();
    let io = SafeTensors::deserialize(&bytes).unwrap();
    let values = |key: &str| -> Vec<f32> {
        io.tensor(key).unwrap().data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let x = Tensor::<4>::from_data(TensorData::new(values("x"), [2, 3, 16, 16]), &device);
    let output: Vec<f32> =
        unet.forward(x, Tensor::from_floats(values("t").as_slice(), &device)).into_data().try_to_vec().unwrap();
    output.iter().zip(values("eps")).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_authors_layout_with_scale_shift_norm_and_heads() {
    let difference = largest_difference("openai-cifar-tiny");
    println!("largest difference {difference:e}");
    assert!(difference < 2.5e-5, "{difference:e}");
}

#[test]
fn the_authors_layout_with_added_embedding() {
    let difference = largest_difference("openai-church-tiny");
    println!("largest difference {difference:e}");
    assert!(difference < 2.5e-5, "{difference:e}");
}

/// The project's network, whose configuration is in its metadata.
fn carried() -> fewstep_model::Network {
    let path =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../models/cifar10-small.safetensors");
    let checkpoint = Checkpoint::read(&path, None, None).unwrap();
    assert_eq!((checkpoint.conditioning, checkpoint.config.patch), (Conditioning::Time(Prediction::V), 2));
    // ᾱ of the linear schedule is not needed exactly here.
    checkpoint
        .build(Levels { count: 1000, alpha_bar: Box::new(|tau| (-10.0 * tau * tau).exp()) }, &Device::flex())
        .unwrap()
}

fn noise(batch: usize) -> Tensor<4> {
    let value = |i: usize| ((i * 7919 % 1999) as f32 / 1000.0 - 1.0) * 1.5;
    let values: Vec<f32> = (0..batch * 3072).map(value).collect();
    Tensor::from_data(TensorData::new(values, [batch, 3, 32, 32]), &Device::flex())
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let network = carried();
    let bytes = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
    let whole = bytes(network.epsilon(noise(7), 0.4321));
    let parts: Vec<f32> = [(0, 1), (1, 4), (5, 2)]
        .into_iter()
        .flat_map(|(start, length)| bytes(network.epsilon(noise(7).narrow(0, start, length), 0.4321)))
        .collect();
    assert_eq!(whole, parts);
    assert_eq!(network.evaluated(), 14);
}

#[test]
fn a_wrong_configuration_names_the_tensor() {
    let path = golden("openai-cifar-tiny.safetensors");
    let message = |change: fn(&mut UNetConfig)| {
        let mut config = config("openai-cifar-tiny");
        change(&mut config);
        let levels = Levels { count: 1000, alpha_bar: Box::new(|_| 0.5) };
        let built = Checkpoint::read(&path, Some(config), Some(Prediction::Epsilon))
            .and_then(|checkpoint| checkpoint.build(levels, &Device::flex()));
        built.err().unwrap().to_string()
    };
    assert!(
        message(|c| c.num_res_blocks = 3).contains("tensor input_blocks.3.0"),
        "{}",
        message(|c| c.num_res_blocks = 3)
    );
    assert!(message(|c| c.model_channels = 64).contains("has shape"));
    assert!(message(|c| c.attention_ds.clear()).contains("is missing"));
    assert!(message(|c| c.scale_shift = false).contains("emb_layers.1.weight has shape"));
    assert!(message(|c| c.model_channels = 40).contains("multiple of 32"));
}
