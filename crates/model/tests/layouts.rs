//! Against PyTorch and diffusers: `golden/layouts/` holds a small random network in every layout, made by
//! `golden/make_layouts.py`, each with one input and output.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_model::{Checkpoint, Conditioning, Levels, Prediction, Predictor, Selected};
use safetensors::SafeTensors;

/// Asked when it runs: checkouts that share a target directory share this binary.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/layouts").join(name)
}

/// Tensors x, t and y of a fixture.
struct Io {
    bytes: Vec<u8>,
}

impl Io {
    fn read(path: &str) -> Self {
        Io { bytes: std::fs::read(golden(path)).unwrap() }
    }

    fn values(&self, keys: &[&str]) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = keys.iter().find_map(|key| file.tensor(key).ok()).unwrap();
        let (values, _) = tensor.data().as_chunks();
        (tensor.shape().to_vec(), values.iter().map(|&b| f32::from_le_bytes(b)).collect())
    }

    fn x(&self) -> Tensor<4> {
        let (shape, values) = self.values(&["x"]);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }
}

fn config(json: &str) -> fewstep_model::UNetConfig {
    serde_json::from_str(json).unwrap()
}

const SMALL: &str = r#"{"model_channels": 32, "channel_mult": [1], "num_res_blocks": 1, "attention_ds": [],
    "num_heads": 2, "scale_shift": true, "learn_sigma": false}"#;

fn largest_difference(checkpoint: Checkpoint, io: &Io) -> f32 {
    let device = Device::flex();
    let unet = checkpoint.unet(&device).unwrap();
    let (_, t) = io.values(&["t"]);
    let y: Vec<f32> =
        unet.forward(io.x(), Tensor::from_floats(t.as_slice(), &device)).into_data().try_to_vec().unwrap();
    let (_, expected) = io.values(&["y", "eps"]);
    assert_eq!(y.len(), expected.len());
    y.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_layout_gives_what_its_library_gives() {
    let learned = SMALL.replace("\"learn_sigma\": false", "\"learn_sigma\": true");
    let epsilon = Some(Prediction::Epsilon);
    let cases = [
        ("diffusers-ddpm-tiny", "diffusers-ddpm-tiny/io.safetensors", None, None, Prediction::Epsilon, Selected::Only),
        ("diffusers-old-names", "diffusers-old-names/io.safetensors", None, None, Prediction::X0, Selected::Only),
        ("diffusers-pipeline", "diffusers-pipeline/io.safetensors", None, None, Prediction::V, Selected::Only),
        ("authors-pipeline", "authors-pipeline/io.safetensors", None, None, Prediction::Epsilon, Selected::Only),
        (
            "openai-learned-variance.pt",
            "openai-learned-variance.io.safetensors",
            Some(config(&learned)),
            epsilon,
            Prediction::Epsilon,
            Selected::Only,
        ),
        (
            "openai-ema-and-raw.pth",
            "openai-ema-and-raw.io.safetensors",
            Some(config(SMALL)),
            epsilon,
            Prediction::Epsilon,
            Selected::Ema,
        ),
    ];
    for (name, io, config, given, prediction, selected) in cases {
        let checkpoint = Checkpoint::read(&golden(name), config, given).unwrap();
        assert_eq!(
            (checkpoint.conditioning, checkpoint.selected),
            (Conditioning::Time(prediction), selected),
            "{name}"
        );
        let difference = largest_difference(checkpoint, &Io::read(io));
        println!("{name}: largest difference {difference:e}");
        assert!(difference < 3e-5, "{name}: {difference:e}");
    }
}

#[test]
fn every_kind_of_prediction_becomes_the_noise() {
    let (tau, alpha_bar) = (0.5, 0.36_f64);
    let (signal, sigma) = (alpha_bar.sqrt() as f32, (1.0 - alpha_bar).sqrt() as f32);
    let epsilon = |prediction| -> Vec<f32> {
        let levels = Levels { count: 1000, alpha_bar: Box::new(move |_| alpha_bar) };
        let checkpoint =
            Checkpoint::read(&golden("openai-ema-and-raw.pth"), Some(config(SMALL)), Some(prediction)).unwrap();
        let network = checkpoint.build(levels, &Device::flex()).unwrap();
        network.epsilon(Io::read("openai-ema-and-raw.io.safetensors").x(), tau).into_data().try_to_vec().unwrap()
    };
    let (output, x0, v) = (epsilon(Prediction::Epsilon), epsilon(Prediction::X0), epsilon(Prediction::V));
    let (_, x) = Io::read("openai-ema-and-raw.io.safetensors").values(&["x"]);
    for i in 0..x.len() {
        // x = √ᾱ x₀ + σ ε, and v = √ᾱ ε − σ x₀ with x₀ = (x − σ ε)/√ᾱ.
        assert!((signal * output[i] + sigma * x0[i] - x[i]).abs() < 1e-5);
        let data = (x[i] - sigma * v[i]) / signal;
        assert!((signal * v[i] - sigma * data - output[i]).abs() < 1e-5);
    }
}

#[test]
fn a_configuration_that_disagrees_is_refused_by_name() {
    let folder = std::env::temp_dir().join(format!("fewstep-layouts-{}", std::process::id()));
    let refused = |from: &str, to: &str| {
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string(golden("diffusers-old-names/config.json")).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(folder.join("config.json"), text.replace(from, to)).unwrap();
        let weights = "diffusion_pytorch_model.bin";
        std::fs::copy(golden("diffusers-old-names").join(weights), folder.join(weights)).unwrap();
        let built = Checkpoint::read(&folder, None, None).and_then(|checkpoint| checkpoint.unet(&Device::flex()));
        built.err().unwrap().to_string()
    };
    let cases = [
        (
            "\"layers_per_block\": 1",
            "\"layers_per_block\": 2",
            "tensor down_blocks.1.attentions.1.to_q.weight is missing",
        ),
        ("\"act_fn\": \"silu\"", "\"act_fn\": \"relu\"", "act_fn is \"relu\""),
        ("\"UNet2DModel\"", "\"UNet2DConditionModel\"", "_class_name is 'UNet2DConditionModel'"),
        ("\"UpBlock2D\"", "\"AttnUpBlock2D\"", "do not mirror"),
        ("\"freq_shift\": 1", "\"freq_shift\": \"one\"", "freq_shift is \"one\""),
        ("\"norm_num_groups\": 32", "\"norm_num_groups\": 0", "norm_groups is 0"),
        ("\"positional\"", "\"fourier\"", "time_embedding_type is \"fourier\""),
    ];
    for (from, to, expected) in cases {
        let message = refused(from, to);
        assert!(message.contains(expected), "{message}");
    }
    let message = refused("32,\n  32\n", "64,\n  64\n");
    assert!(message.contains("has shape"), "{message}");
    std::fs::remove_dir_all(folder).unwrap();
}
