//! What is read of files that others wrote, format by format, and what must hold of what was read. `fuzz/src/main.rs` has these too:
//! nothing here is of the runner's.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use fewstep_fid::{
    Extractor, ImageSet, Inception, Pixel8, Split, Statistics, StoredRows, Vit, decode_image, frechet_distance,
};
use fewstep_model::{Checkpoint, Classes, Prediction, UNetConfig};
use fewstep_sampler::{Normaliser, PlanFile, Schedule};

/// A format.
pub struct Target {
    /// Its name: that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// What its inputs are called in the folder that they are read from.
    pub file: &'static str,
    /// Bytes of memory that reading one may take, and for each of the file beyond that.
    pub memory: (usize, usize),
    /// Files of this repository that are inputs too.
    pub seeds: &'static [&'static str],
    /// Reads the input at a path: what an error says, if it is one.
    pub read: fn(&Path) -> Result<(), String>,
}

/// Text, and what is made of it.
pub const TEXT: (usize, usize) = (16 << 20, 1 << 10);
/// What `pytorch-reader` may copy of a pickle (a million values), beside what the pickle's own size bounds.
const PYTORCH: (usize, usize) = (400 << 20, 1 << 10);
/// Every image may take 64 MB decoded, which decoders hold twice.
const IMAGE: (usize, usize) = (200 << 20, 1 << 12);
/// Every array may take 64 MB, and is made numbers of.
pub const ARRAY: (usize, usize) = (300 << 20, 1 << 10);

/// Those of the crates beside the runner.
pub static LEAVES: [Target; 17] = [
    Target {
        name: "plan",
        file: "a.json",
        memory: TEXT,
        seeds: &["experiments/plans", "experiments/plans/fitted", "experiments/plans/curves"],
        read: plan,
    },
    Target {
        name: "normaliser-csv",
        file: "a.csv",
        memory: TEXT,
        seeds: &["experiments/plans/fitted/normaliser-fitted.csv"],
        read: normaliser,
    },
    Target { name: "normaliser-pt", file: "a.pt", memory: PYTORCH, seeds: &[], read: normaliser },
    Target { name: "safetensors", file: "a.safetensors", memory: TEXT, seeds: &[], read: network },
    Target { name: "pytorch", file: "a.pt", memory: PYTORCH, seeds: &[], read: network },
    Target {
        name: "edm",
        file: "a.pkl",
        memory: TEXT,
        seeds: &["crates/model/tests/golden/layouts/pickled-tensors.pkl"],
        read: network,
    },
    Target { name: "config", file: "config.json", memory: TEXT, seeds: &[], read: folder },
    Target { name: "inception", file: "a.pth", memory: PYTORCH, seeds: &[], read: inception },
    Target { name: "vit", file: "a.safetensors", memory: TEXT, seeds: &[], read: vit },
    Target { name: "vit-config", file: "config.json", memory: TEXT, seeds: &[], read: vit_config },
    Target { name: "statistics", file: "a.safetensors", memory: ARRAY, seeds: &[], read: statistics },
    Target { name: "statistics-npz", file: "a.npz", memory: ARRAY, seeds: &[], read: statistics },
    Target { name: "images-npz", file: "a.npz", memory: ARRAY, seeds: &[], read: images },
    Target { name: "lmdb", file: "a.mdb", memory: IMAGE, seeds: &[], read: images },
    Target { name: "image", file: "a.png", memory: IMAGE, seeds: &[], read: |path| images(&beside(path)) },
    Target { name: "sheet", file: "data_batch_1.png", memory: IMAGE, seeds: &[], read: sheet },
    Target { name: "cifar-binary", file: "data_batch_1.bin", memory: TEXT, seeds: &[], read: cifar },
];

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn beside(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// What is written of a plan is the plan; and what runs on a schedule has finite numbers there.
fn plan(path: &Path) -> Result<(), String> {
    let file = PlanFile::read(path).map_err(text)?;
    assert_eq!(PlanFile::parse(&file.to_string()).as_ref().map_err(text), Ok(&file));
    let mut reasons = Vec::new();
    for name in Schedule::NAMES {
        let Some(schedule) = Schedule::named(name, 32) else { continue };
        match file.plan(&schedule, name) {
            Ok(plan) => {
                let numbers = |step: &fewstep_sampler::Step| {
                    [step.a, step.noise, step.input]
                        .iter()
                        .chain(&step.b)
                        .chain(&step.c)
                        .all(|number| number.is_finite())
                };
                assert!(plan.steps.iter().all(numbers) && plan.tau.iter().all(|tau| (0.0..=1.0).contains(tau)));
            }
            Err(error) => reasons.push(text(error)),
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

fn normaliser(path: &Path) -> Result<(), String> {
    let curve = Normaliser::read(path).map_err(text)?;
    assert!((0..=100).all(|k| curve.at(f64::from(k) / 100.0).is_finite()));
    let again = path.with_extension("again.csv");
    std::fs::write(&again, curve.to_csv(&[])).map_err(text)?;
    assert_eq!(Normaliser::read(&again).as_ref().map_err(text), Ok(&curve));
    Ok(())
}

/// A network of the smallest configuration, where the file has none.
fn network(path: &Path) -> Result<(), String> {
    let small = UNetConfig {
        model_channels: 32,
        channel_mult: vec![1],
        num_res_blocks: 1,
        attention_ds: Vec::new(),
        num_heads: 1,
        ..UNetConfig::default()
    };
    let given = [(None, None), (Some(small), Some(Prediction::Epsilon))];
    let built = given.map(|(config, prediction)| {
        let checkpoint = Checkpoint::read(path, config, prediction).map_err(text)?;
        let classes = (checkpoint.config.classes > 0).then_some(Classes::Cycle);
        checkpoint.of_classes(classes).map_err(text)?.unet(&Device::flex()).map(drop).map_err(text)
    });
    let [found, given] = built;
    found.and(given)
}

/// A model's folder, with weights of no network beside its configuration.
fn folder(path: &Path) -> Result<(), String> {
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    std::fs::write(path.with_file_name("diffusion_pytorch_model.safetensors"), weights).map_err(text)?;
    network(&beside(path))
}

fn inception(path: &Path) -> Result<(), String> {
    Inception::open(path, &Device::flex(), true).map(drop).map_err(text)
}

/// As either kind of network, of two heads.
fn vit(path: &Path) -> Result<(), String> {
    let read = |kind: &str| {
        let config = format!(r#"{{"model_type":"{kind}","num_attention_heads":2}}"#);
        std::fs::write(path.with_file_name("config.json"), config).map_err(text)?;
        Vit::open(path, &Device::flex(), true).map(drop).map_err(text)
    };
    read("dinov2").or_else(|one| read("clip_vision_model").map_err(|other| format!("{one}; {other}")))
}

/// With weights of no network beside it.
fn vit_config(path: &Path) -> Result<(), String> {
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    std::fs::write(path.with_file_name("model.safetensors"), weights).map_err(text)?;
    Vit::open(&path.with_file_name("model.safetensors"), &Device::flex(), true).map(drop).map_err(text)
}

fn statistics(path: &Path) -> Result<(), String> {
    Statistics::is_file(path);
    let statistics = Statistics::read(path, &Pixel8.identity()).map_err(text)?;
    let dim = statistics.gaussian.mean().len();
    if let Some(StoredRows { images, features }) = Statistics::rows(path).map_err(text)? {
        assert!(images as u64 == statistics.count && features.len() == images * dim);
        assert!(features.iter().all(|value| value.is_finite()));
    }
    if dim > 16 {
        return Ok(());
    }
    let distance = frechet_distance(&statistics.gaussian, &statistics.gaussian).map_err(text)?;
    assert!(distance >= 0.0 && distance.is_finite());
    Ok(())
}

fn images(path: &Path) -> Result<(), String> {
    let set = ImageSet::open(path).map_err(text)?;
    let count = set.len().min(3);
    let runs = set.read_runs(0..count).map_err(text)?;
    assert_eq!(runs.iter().map(|run| run.len()).sum::<usize>(), count);
    let cropped = set.cropped(8).read(0..count).map_err(text)?;
    assert_eq!((cropped.len(), cropped.width(), cropped.height()), (count, 8, 8));
    Ok(())
}

fn sheet(path: &Path) -> Result<(), String> {
    let decoded = std::fs::read(path).map_err(text).and_then(|bytes| decode_image(&bytes).map(drop).map_err(text));
    decoded.and(cifar(path))
}

fn cifar(path: &Path) -> Result<(), String> {
    ImageSet::cifar10(&beside(path), Split::Train).map(drop).map_err(text)
}
