//! Against pytorch-fid 0.3.0 on CPU: `tests/golden/` holds 16 CIFAR-10 test images with their features, and FIDs
//! between parts of the CIFAR-10 test set. These tests need `fewstep fetch` first and are ignored without being
//! asked for (`cargo test --release --workspace -- --ignored`).

use std::{ops::Range, path::PathBuf};

use burn::tensor::Device;
use fewstep_conv::Level;
use fewstep_fid::{Extractor, ImageSet, Images, Inception, Moments, Split, frechet_distance};
use safetensors::SafeTensors;

/// Where `fewstep fetch` puts things.
fn cache(asset: &str) -> PathBuf {
    let root = std::env::var_os("FEWSTEP_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME or FEWSTEP_CACHE is set")).join(".cache/fewstep");
    root.unwrap_or_else(home).join(asset)
}

fn inception() -> Inception {
    Inception::compiled(&cache("inception/default_1.pt")).unwrap()
}

/// In burn's own operations.
fn plain() -> Inception {
    Inception::open(&cache("inception/default_1.pt"), &Device::flex(), true).unwrap()
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn features_of_sixteen_images() {
    let bytes = include_bytes!("golden/inception-features-16.safetensors");
    let golden = SafeTensors::deserialize(bytes).unwrap();
    let pixels = golden.tensor("images").unwrap().data().to_vec();
    let expected: Vec<f32> = golden
        .tensor("features")
        .unwrap()
        .data()
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let images = Images::new(32, 32, pixels).unwrap();
    let levels = Level::all().into_iter();
    let compiled =
        levels.map(|level| (level.name(), Inception::compiled_for(&cache("inception/default_1.pt"), level).unwrap()));
    for (name, network) in compiled.chain([("plain", plain())]) {
        let found = network.features(&images).unwrap();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|value| value.is_finite()));
        let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let relative = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
        println!("{name}: largest difference {largest:e}, relative L2 {relative:e}");
        assert!(largest < 1e-4 && relative < 3e-5, "{name}: largest difference {largest:e}, relative L2 {relative:e}");
    }
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn features_do_not_depend_on_the_batch_and_other_sizes_go_through() {
    let network = inception();
    for (height, width, count) in [(32, 32, 9), (20, 51, 2), (400, 310, 1)] {
        let pixels: Vec<u8> = (0..count * height * width * 3).map(|i| (i * 7919 % 251) as u8).collect();
        let features = |network: &Inception, pixels: &[u8]| {
            network.features(&Images::new(height, width, pixels.to_vec()).unwrap()).unwrap()
        };
        let whole = features(&network, &pixels);
        let one_by_one: Vec<f32> =
            pixels.chunks(height * width * 3).flat_map(|image| features(&network, image)).collect();
        assert!(one_by_one == whole, "{height}x{width}");
        // On one core in groups as large as they come, and within a task too.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(pool.install(|| features(&network, &pixels)) == whole, "{height}x{width}");
        let expected = features(&plain(), &pixels);
        let largest = whole.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{height}x{width}: largest difference from plain {largest:e}");
        assert!(largest < 1e-4, "{height}x{width}: {largest:e}");
    }
}

/// Features of the first `count` CIFAR-10 test images.
fn test_features(count: usize) -> Vec<f32> {
    let (network, images) = (inception(), ImageSet::cifar10(&cache("cifar10"), Split::Test).unwrap());
    let batch = |start: usize| network.features(&images.read(start..(start + 200).min(count)).unwrap()).unwrap();
    (0..count).step_by(200).flat_map(batch).collect()
}

/// How far an FID may lie from pytorch-fid's of its own features: those of the two agree to single precision.
const FEATURES: f64 = 3e-4;

/// Compares the FID between two ranges of the test set with both figures of a case in `golden/fid-cifar10-test.json`:
/// `fid_eigh`, whose square root comes from eigenvalues, and pytorch-fid's own `fid_sqrtm`, which is not there for the
/// rank-deficient covariances of 1000 images. How far the two lie apart is what `fid_sqrtm` is allowed besides.
fn check(case: &str, features: &[f32], a: Range<usize>, b: Range<usize>) {
    let cases: serde_json::Value = serde_json::from_str(include_str!("golden/fid-cifar10-test.json")).unwrap();
    let figure = |name: &str| cases["cases"][case][name].as_f64();
    let eigh = figure("fid_eigh").unwrap();
    let gaussian = |range: Range<usize>| {
        let mut moments = Moments::new(2048);
        moments.push(&features[range.start * 2048..range.end * 2048]).unwrap();
        moments.gaussian().unwrap()
    };
    let found = frechet_distance(&gaussian(a), &gaussian(b)).unwrap();
    println!("{case}: {found} (pytorch-fid {eigh}, by sqrtm {:?})", figure("fid_sqrtm"));
    assert!((found - eigh).abs() < FEATURES, "{case}: {found}, expected {eigh}");
    if let Some(sqrtm) = figure("fid_sqrtm") {
        let bound = FEATURES + (sqrtm - eigh).abs();
        assert!((found - sqrtm).abs() < bound, "{case}: {found}, expected {sqrtm} to {bound:e}");
    }
}

#[test]
#[ignore = "needs `fewstep fetch`; three minutes, which CI leaves out"]
fn fid_1000_against_1000_is_pytorch_fids() {
    check("test[0:1000] vs test[1000:2000]", &test_features(2000), 0..1000, 1000..2000);
}

#[test]
#[ignore = "needs `fewstep fetch`; fifteen minutes, which CI leaves out"]
fn fid_of_larger_parts_is_pytorch_fids() {
    let features = test_features(10_000);
    check("test[0:1000] vs test[1000:2000]", &features, 0..1000, 1000..2000);
    check("test[0:5000] vs test[5000:10000]", &features, 0..5000, 5000..10_000);
    check("test[0:3000] vs test[0:10000]", &features, 0..3000, 0..10_000);
}
