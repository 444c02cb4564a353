//! Against Hugging Face's transformers 4.57.1, and for DINOv2's interpolated positions its authors' code, on small random weights
//! (`golden/make_vit.py`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use fewstep_fid::{Extractor, Images, Vit};

fn folder(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/vit").join(name)
}

fn open(folder: &Path) -> fewstep_fid::Result<Vit> {
    Vit::open(&folder.join("model.safetensors"), &Device::flex(), true)
}

/// The image of `make_vit.py`, or with `shift` another.
fn pixels([height, width]: [usize; 2], shift: usize) -> Vec<u8> {
    let value =
        |y: usize, x: usize, channel: usize| ((5 * x + 3 * y + 70 * channel + shift + x * y % 23 * 4) % 256) as u8;
    (0..height * width * 3).map(|at| value(at / 3 / width, at / 3 % width, at % 3)).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn features_are_the_original_libraries() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/vit/golden.json")).unwrap();
    for (name, dim, extractor, distance) in [
        ("dinov2", 32, "dinov2-vit-32x2-14-class-token", "FD-DINOv2"),
        ("dinov2-plain", 16, "dinov2-vit-16x1-16-class-token", "FD-DINOv2"),
        ("clip", 20, "clip-vit-24x2-8-image-embedding", "FD-CLIP"),
    ] {
        let network = open(&folder(name)).unwrap();
        assert_eq!(
            (network.dim(), network.identity().extractor.as_str(), network.distance()),
            (dim, extractor, distance)
        );
        for (size, expected) in
            golden["sizes"].as_array().unwrap().iter().zip(golden[name]["features"].as_array().unwrap())
        {
            let size = [0, 1].map(|i| size[i].as_u64().unwrap() as usize);
            let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
            let found = network.features(&Images::new(size[0], size[1], pixels(size, 0)).unwrap()).unwrap();
            assert_eq!(found.len(), expected.len());
            let apart = norm(found.iter().zip(&expected).map(|(a, b)| f64::from(*a) - b));
            let relative = apart / norm(expected.iter().copied());
            println!("{name} {size:?}: relative L2 {relative:e}");
            assert!(relative < 1e-5, "{name} {size:?}: {relative:e}: {found:?}, expected {expected:?}");
        }
    }
}

#[test]
fn no_batch_and_no_number_of_threads_changes_a_bit() {
    let size = [20, 30];
    for name in ["dinov2", "clip"] {
        let network = open(&folder(name)).unwrap();
        let all: Vec<u8> = (0..5).flat_map(|shift| pixels(size, 11 * shift)).collect();
        let features = |pixels: &[u8]| network.features(&Images::new(20, 30, pixels.to_vec()).unwrap()).unwrap();
        let whole = features(&all);
        assert_eq!(whole.len(), 5 * network.dim());
        assert_ne!(whole[..network.dim()], whole[network.dim()..2 * network.dim()]);
        let single: Vec<f32> = all.chunks(20 * 30 * 3).flat_map(features).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(single == whole && pool.install(|| features(&all)) == whole, "{name}");
    }
}

/// A network as on a GPU: whole batches.
#[test]
fn a_whole_batch_is_each_image() {
    let path = folder("dinov2").join("model.safetensors");
    let [one_by_one, whole] = [true, false].map(|cpu| Vit::open(&path, &Device::flex(), cpu).unwrap());
    let all: Vec<u8> = (0..3).flat_map(|shift| pixels([9, 9], 11 * shift)).collect();
    let [expected, found] =
        [one_by_one, whole].map(|network| network.features(&Images::new(9, 9, all.clone()).unwrap()).unwrap());
    let apart = norm(found.iter().zip(&expected).map(|(a, b)| f64::from(a - b)));
    assert!(apart < 1e-6 * norm(expected.iter().map(|&value| f64::from(value))), "{apart:e}");
}

/// What a row means depends on the numbers, and on what `config.json` says, and not on the file's type.
#[test]
fn identities_tell_networks_apart() {
    let identities: Vec<_> =
        ["dinov2", "dinov2-plain", "clip"].map(|name| open(&folder(name)).unwrap().identity()).into();
    assert!(identities[0].preparation.ends_with("; positions bicubic from 5x5 to 16x16, offset 0.1"), "{identities:?}");
    assert!(identities[2].preparation.contains("the shorter side to 64, then the centre 64x64"), "{identities:?}");
    assert!(!identities[1].preparation.contains("positions"), "{identities:?}");
    let changed = changed("dinov2", |_, config| config["num_attention_heads"] = 4.into());
    let other = open(changed.path()).unwrap().identity();
    assert_ne!(other.weights, identities[0].weights);
    assert_eq!(other.extractor, identities[0].extractor);
}

/// A copy of a network with another header or configuration.
fn changed(name: &str, change: impl Fn(&mut serde_json::Value, &mut serde_json::Value)) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let bytes = fs::read(folder(name).join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut config = serde_json::from_slice(&fs::read(folder(name).join("config.json")).unwrap()).unwrap();
    change(&mut header, &mut config);
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let all = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat();
    fs::write(to.path().join("model.safetensors"), all).unwrap();
    fs::write(to.path().join("config.json"), config.to_string()).unwrap();
    to
}

/// Gives a tensor another name.
fn renamed(header: &mut serde_json::Value, from: &str, to: &str) {
    let tensor = header.as_object_mut().unwrap().remove(from).unwrap();
    header[to] = tensor;
}

#[test]
fn other_networks_are_refused_and_named() {
    type Change = fn(&mut serde_json::Value, &mut serde_json::Value);
    let cases: &[(&str, Change, &[&str])] = &[
        (
            "dinov2",
            |header, _| renamed(header, "encoder.layer.1.mlp.fc2.bias", "encoder.layer.1.mlp.fc2.offset"),
            &["model.safetensors: tensor encoder.layer.1.mlp.fc2.bias is missing"],
        ),
        (
            "dinov2",
            |header, _| renamed(header, "embeddings.mask_token", "embeddings.register_tokens"),
            &["model.safetensors: tensor embeddings.register_tokens is none of DINOv2's"],
        ),
        (
            "dinov2",
            |header, _| header["layernorm.bias"]["shape"] = serde_json::json!([4, 8]),
            &["tensor layernorm.bias has shape [4, 8]; expected [32]"],
        ),
        (
            "dinov2",
            |header, _| header["layernorm.bias"]["dtype"] = "I16".into(),
            &["tensor layernorm.bias is I16; expected F32, F16 or BF16"],
        ),
        (
            "dinov2",
            |header, _| {
                header["embeddings.patch_embeddings.projection.weight"]["shape"] = serde_json::json!([32, 3, 7, 28])
            },
            &[
                "embeddings.patch_embeddings.projection.weight has shape [32, 3, 7, 28]; expected [width, 3, patch, patch]",
            ],
        ),
        (
            "dinov2",
            |header, _| header["embeddings.position_embeddings"]["shape"] = serde_json::json!([1, 32, 26]),
            &["tensor embeddings.position_embeddings has 32 positions; expected a class token's"],
        ),
        (
            "dinov2",
            |_, config| config["use_swiglu_ffn"] = true.into(),
            &["config.json: use_swiglu_ffn is true", "giant"],
        ),
        (
            "dinov2",
            |_, config| config["model_type"] = "vit".into(),
            &["config.json: model_type is 'vit'; expected dinov2"],
        ),
        ("dinov2", |_, config| config["num_attention_heads"] = 5.into(), &["is 32 wide", "has 5 attention heads"]),
        ("dinov2", |_, config| config["hidden_size"] = 64.into(), &["is 32 wide", "hidden_size 64"]),
        ("dinov2", |_, config| config["num_attention_heads"] = 0.into(), &["num_attention_heads is 0; expected"]),
        (
            "dinov2",
            |_, config| config["hidden_act"] = "silu".into(),
            &["hidden_act is 'silu'; expected gelu or quick_gelu"],
        ),
        ("dinov2", |_, config| config["layer_norm_eps"] = (-1).into(), &["layer_norm_eps is -1; expected"]),
        (
            "clip",
            |header, _| renamed(header, "visual_projection.weight", "text_projection.bias"),
            &["tensor visual_projection.weight is missing"],
        ),
        (
            "clip",
            |_, config| config["model_type"] = "dinov2".into(),
            &["embeddings.patch_embeddings.projection.weight is missing"],
        ),
    ];
    for (name, change, expected) in cases {
        let folder = changed(name, change);
        let message = open(folder.path()).err().expect(expected[0]).to_string();
        assert!(expected.iter().all(|part| message.contains(part)), "{expected:?}: {message}");
    }
    let folder = changed("clip", |_, _| {});
    assert!(open(folder.path()).is_ok());
    fs::remove_file(folder.path().join("config.json")).unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("config.json: "), "{message}");
    fs::write(folder.path().join("model.safetensors"), [0; 100]).unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("expected safetensors of DINOv2 or CLIP"), "{message}");
}
