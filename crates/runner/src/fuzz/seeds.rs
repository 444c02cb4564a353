//! Small whole files of every format that is not text: what damaged ones are made of. They are kept in `fuzz/corpus`, where
//! `FUZZ_SEEDS=1 cargo test fuzz::seeds` writes them.

use std::io::{Cursor, Write};

use fewstep_fid::{Extractor, Gaussian, Pixel8, Precision, Statistics};
use image::{
    ImageFormat,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::hostile;

#[path = "../../tests/common/database.rs"]
mod database;

pub fn zip(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

pub fn npy(kind: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    header.extend(std::iter::repeat_n(' ', 117usize.saturating_sub(header.len())));
    header.push('\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (0.5 + i as f32 / 64.0).to_le_bytes()).collect()
}

fn safetensors(metadata: &str, tensors: &[(&str, &str, usize)]) -> Vec<u8> {
    let mut header = format!("{{\"__metadata__\":{{{metadata}}}");
    let mut at = 0;
    for (name, shape, count) in tensors {
        let end = at + 4 * count;
        header += &format!(",\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{at},{end}]}}");
        at = end;
    }
    header.push('}');
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &floats(at / 4)].concat()
}

/// A string of a pickle.
pub fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<u8> = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &pairs[..], b"u"].concat()
}

pub fn persistent(storage: &str, count: u16) -> Vec<u8> {
    let id = [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(storage), text("cpu")].concat();
    [b"(", &id[..], b"M", &count.to_le_bytes(), b"tQ"].concat()
}

/// A tensor of PyTorch's, of one dimension.
fn tensor(storage: &[u8], count: u16) -> Vec<u8> {
    let (begin, count) = (b"ctorch._utils\n_rebuild_tensor_v2\n(", count.to_le_bytes());
    [begin, storage, b"K\0M", &count, b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"].concat()
}

/// PyTorch's archive with two tensors.
fn archive(names: [&str; 2], method: CompressionMethod) -> Vec<u8> {
    let tensors = [(names[0], tensor(&persistent("0", 40), 40)), (names[1], tensor(&persistent("1", 40), 40))];
    let pickle = [b"\x80\x02", &dict(&tensors)[..], b"."].concat();
    let data = floats(40);
    zip(
        &[
            ("n/data.pkl", &pickle),
            ("n/byteorder", b"little"),
            ("n/data/0", &data),
            ("n/data/1", &data),
            ("n/version", b"3\n"),
        ],
        method,
    )
}

/// Magic, version and system of PyTorch's older files.
const OLD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

/// An older file with one tensor.
fn stream(name: &str) -> Vec<u8> {
    let object = dict(&[("model", dict(&[(name, tensor(&persistent("7", 3), 3))]))]);
    let keys = [b"\x80\x02]", &text("7")[..], b"a."].concat();
    [OLD, b"\x80\x02", &object, b".", &keys, &3u64.to_le_bytes(), &floats(3)].concat()
}

/// A module as EDM's files keep it.
fn module(class: &str, state: &[u8]) -> Vec<u8> {
    let meta = [
        ("type", text("class")),
        ("version", b"K\x06".to_vec()),
        ("class_name", text(class)),
        ("state", state.to_vec()),
    ];
    [b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n", &dict(&meta)[..], b"\x85R"].concat()
}

/// EDM's file of a network with one layer.
fn edm() -> Vec<u8> {
    let storage =
        [OLD, b"\x80\x02", &persistent("0", 4), b".\x80\x02]", &text("0"), b"a.", &4u64.to_le_bytes(), &floats(4)]
            .concat();
    let loaded =
        [b"ctorch.storage\n_load_from_bytes\nB", &(storage.len() as u32).to_le_bytes()[..], &storage, b"\x85R"]
            .concat();
    let parameter =
        [b"ctorch._utils\n_rebuild_parameter\n(", &tensor(&loaded, 4)[..], b"\x88ccollections\nOrderedDict\n)RtR"]
            .concat();
    let linear =
        module("Linear", &dict(&[("_parameters", dict(&[("weight", parameter.clone()), ("bias", parameter)]))]));
    let sizes = ["img_resolution", "in_channels", "out_channels", "model_channels", "num_blocks"];
    let mut arguments: Vec<_> =
        sizes.iter().zip([8, 3, 3, 32, 1]).map(|(name, size)| (*name, vec![b'K', size])).collect();
    arguments.push(("channel_mult", b"](K\x01K\x01e".to_vec()));
    arguments.push(("attn_resolutions", b"](K\x04e".to_vec()));
    let state = [
        ("_init_kwargs", dict(&arguments)),
        ("_parameters", b"}".to_vec()),
        ("_modules", dict(&[("map_layer0", linear)])),
    ];
    let inner = dict(&[("model", module("SongUNet", &dict(&state)))]);
    let outer = module("EDMPrecond", &dict(&[("sigma_data", b"G\x3f\xe0\0\0\0\0\0\0".to_vec()), ("_modules", inner)]));
    [b"\x80\x04", &dict(&[("ema", outer)])[..], b"."].concat()
}

const DIFFUSERS: &str = r#"{"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3, "block_out_channels": [32, 32],
"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "layers_per_block": 1,
"norm_num_groups": 32, "attention_head_dim": null, "flip_sin_to_cos": false, "freq_shift": 1, "downsample_padding": 0, "act_fn": "silu"}"#;
const AUTHORS: &str = r#"{"_class_name": "UNetModel", "sample_size": 8, "in_channels": 3, "out_channels": 6, "model_channels": 32,
"num_res_blocks": 1, "attention_resolutions": "4,8", "channel_mult": "1,1", "num_heads": 2, "use_scale_shift_norm": true, "dropout": 0.1}"#;
const CONFIG: &str = r#"\"model_channels\":32,\"channel_mult\":[1,1],\"num_res_blocks\":1,\"attention_ds\":[2],\"num_heads\":1,\"scale_shift\":true"#;

/// A DINOv2 of width 2 and one block, with patches of 16.
const DINOV2: [(&str, &str, usize); 25] = [
    ("embeddings.cls_token", "[1,1,2]", 2),
    ("embeddings.mask_token", "[1,2]", 2),
    ("embeddings.position_embeddings", "[1,5,2]", 10),
    ("embeddings.patch_embeddings.projection.weight", "[2,3,16,16]", 1536),
    ("embeddings.patch_embeddings.projection.bias", "[2]", 2),
    ("encoder.layer.0.norm1.weight", "[2]", 2),
    ("encoder.layer.0.norm1.bias", "[2]", 2),
    ("encoder.layer.0.norm2.weight", "[2]", 2),
    ("encoder.layer.0.norm2.bias", "[2]", 2),
    ("encoder.layer.0.attention.attention.query.weight", "[2,2]", 4),
    ("encoder.layer.0.attention.attention.query.bias", "[2]", 2),
    ("encoder.layer.0.attention.attention.key.weight", "[2,2]", 4),
    ("encoder.layer.0.attention.attention.key.bias", "[2]", 2),
    ("encoder.layer.0.attention.attention.value.weight", "[2,2]", 4),
    ("encoder.layer.0.attention.attention.value.bias", "[2]", 2),
    ("encoder.layer.0.attention.output.dense.weight", "[2,2]", 4),
    ("encoder.layer.0.attention.output.dense.bias", "[2]", 2),
    ("encoder.layer.0.mlp.fc1.weight", "[3,2]", 6),
    ("encoder.layer.0.mlp.fc1.bias", "[3]", 3),
    ("encoder.layer.0.mlp.fc2.weight", "[2,3]", 6),
    ("encoder.layer.0.mlp.fc2.bias", "[2]", 2),
    ("encoder.layer.0.layer_scale1.lambda1", "[2]", 2),
    ("encoder.layer.0.layer_scale2.lambda1", "[2]", 2),
    ("layernorm.weight", "[2]", 2),
    ("layernorm.bias", "[2]", 2),
];

/// The beginning of CLIP's image tower.
const CLIP: [(&str, &str, usize); 4] = [
    ("vision_model.embeddings.class_embedding", "[2]", 2),
    ("vision_model.embeddings.patch_embedding.weight", "[2,3,4,4]", 96),
    ("vision_model.embeddings.position_embedding.weight", "[5,2]", 10),
    ("visual_projection.weight", "[2,2]", 4),
];

/// Target, name and content of every file.
fn files() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut add = |target: &'static str, name: &str, bytes: Vec<u8>| files.push((target, name.to_owned(), bytes));
    let (stored, deflated) = (CompressionMethod::Stored, CompressionMethod::Deflated);
    add("normaliser-pt", "archive", archive(["score_abs", "Ls"], stored));
    add("normaliser-pt", "deflated", archive(["score_abs", "Ls"], deflated));
    add("pytorch", "archive", archive(["time_embed.0.bias", "ema.time_embed.0.weight"], stored));
    add("pytorch", "deflated", archive(["a", "b"], deflated));
    add("pytorch", "stream", stream("time_embed.0.weight"));
    let described =
        format!("\"config\":\"{{{CONFIG}}}\",\"prediction\":\"v\",\"schedule\":\"linear 1e-4..0.02 T=1000\"");
    let weights = [("time_embed.0.weight", "[128,32]", 4096), ("time_embed.0.bias", "[128]", 128)];
    add("safetensors", "network", safetensors(&described, &weights));
    add("safetensors", "one", safetensors("", &[("ema.time_embed.0.weight", "[2,1]", 2), ("x", "[0]", 0)]));
    add("edm", "network", edm());
    add("config", "diffusers", DIFFUSERS.into());
    add("config", "authors", AUTHORS.into());
    let first = floats(864);
    let script = [("n/code/__torch__/inceptionv3.py", &b"pass"[..]), ("n/data/0", &first), ("n/data/1", &first[..128])];
    add("inception", "script", zip(&script, stored));
    add("inception", "archive", archive(["Conv2d_1a_3x3.bn.bias", "Conv2d_1a_3x3.bn.running_mean"], stored));
    add("inception", "safetensors", safetensors("", &[("Conv2d_1a_3x3.conv.weight", "[32,3,3,3]", 864)]));
    add("vit", "dinov2", safetensors("", &DINOV2));
    add("vit", "clip", safetensors("", &CLIP));
    let config =
        |name: &str| std::fs::read(super::repository().join("crates/fid/tests/golden/vit").join(name)).unwrap();
    add("vit-config", "dinov2", config("dinov2/config.json"));
    add("vit-config", "clip", config("clip/config.json"));
    let covariance = [2.0, 0.5, 0.0, 0.5, 1.0, 0.25, 0.0, 0.25, 3.0];
    let gaussian = Gaussian::from_rows(vec![0.5, -1.0, 2.0], &covariance).unwrap();
    let statistics =
        Statistics { identity: Pixel8.identity(), dataset: "0".into(), count: 9, key: String::new(), gaussian };
    for (name, precision) in [("double", Precision::F64), ("single", Precision::F32)] {
        add("statistics", name, statistics.to_safetensors(precision).unwrap());
    }
    let rows = [0.5f32, -1.0, 2.0].repeat(9);
    add("statistics", "rows", statistics.to_safetensors_with(Precision::F64, Some(&rows)).unwrap());
    add("statistics-npz", "double", statistics.to_npz().unwrap());
    let (mu, sigma) = (npy("<f4", "True", "(2,)", &floats(2)), npy(">f4", "False", "(2, 2)", &[0; 16]));
    add("statistics-npz", "single", zip(&[("mu.npy", &mu), ("sigma.npy", &sigma)], deflated));
    let pixels: Vec<u8> = (0..96u8).map(|i| i.wrapping_mul(37)).collect();
    let images = npy("|u1", "False", "(2, 4, 4, 3)", &pixels);
    add("images-npz", "stored", zip(&[("arr_0.npy", &images)], stored));
    add("images-npz", "deflated", zip(&[("x.npy", &mu), ("arr_0.npy", &images)], deflated));
    let noise = npy("<f4", "False", "(2, 3, 2, 2)", &floats(24));
    add("noise-npz", "stored", zip(&[("arr_0.npy", &noise)], stored));
    add("noise-npz", "deflated", zip(&[("arr_0.npy", &noise)], deflated));
    let picture = image::RgbImage::from_raw(4, 8, pixels).unwrap();
    let formats =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::WebP];
    for format in formats {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        add("image", format.extensions_str()[0], bytes.into_inner());
    }
    hostile::files().into_iter().for_each(|(target, name, bytes)| add(target, name, bytes));
    let colours: [(&str, image::DynamicImage); 3] = [
        ("grey.png", image::GrayImage::new(3, 2).into()),
        ("alpha.png", image::RgbaImage::new(2, 3).into()),
        ("deep.png", image::ImageBuffer::<image::Rgb<u16>, _>::new(2, 2).into()),
    ];
    for (name, image) in colours {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        add("image", name, bytes.into_inner());
    }
    let mut sheet = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut sheet, CompressionType::Best, FilterType::NoFilter);
    image::RgbImage::new(1024, 10_000).write_with_encoder(encoder).unwrap();
    add("sheet", "black", sheet);
    add("cifar-binary", "record", vec![7; 3073]);
    let folder = tempfile::tempdir().unwrap();
    database::write(
        &folder.path().join("lmdb"),
        &[database::webp(1, 5, 4), database::webp(2, 40, 40), database::webp(3, 3, 3)],
    );
    add("lmdb", "three", std::fs::read(folder.path().join("lmdb/data.mdb")).unwrap());
    files
}

/// What is kept is what is made here, but for the picture formats' encoders, which may change, and the database.
#[test]
fn the_corpus_has_them() {
    let write = std::env::var_os("FUZZ_SEEDS").is_some();
    for (target, name, bytes) in files() {
        let folder = super::repository().join("fuzz/corpus").join(target);
        let path = folder.join(&name);
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(path.exists(), "{}", path.display());
        assert!(bytes.len() <= 1 << 16, "{}: {} bytes", path.display(), bytes.len());
    }
}
