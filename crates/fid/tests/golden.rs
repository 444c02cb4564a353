//! Against pytorch-fid 0.3.0 on CPU: `tests/golden/` holds 16 CIFAR-10 test images with their features, and FIDs
//! between parts of the CIFAR-10 test set. These tests need `fewstep fetch` first and are ignored without being
//! asked for (`cargo test --release --workspace -- --ignored`).

use std::path::PathBuf;

use burn::tensor::Device;
use fewstep_fid::{Extractor, ImageSet, Images, Inception, Moments, Split, frechet_distance};
use safetensors::SafeTensors;

/// Where `fewstep fetch` puts things.
fn cache(asset: &str) -> PathBuf {
    let root = std::env::var_os("FEWSTEP_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME or FEWSTEP_CACHE is set")).join(".cache/fewstep");
    root.unwrap_or_else(home).join(asset)
}

fn inception() -> Inception {
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
    let found = inception().features(&Images::new(32, 32, pixels).unwrap()).unwrap();
    assert_eq!(found.len(), expected.len());
    let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let relative = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
    println!("largest difference {largest:e}, relative L2 {relative:e}");
    assert!(largest < 2e-3 && relative < 1e-4, "largest difference {largest:e}, relative L2 {relative:e}");
}

fn fid_between(a: std::ops::Range<usize>, b: std::ops::Range<usize>) -> f64 {
    let (network, images) = (inception(), ImageSet::cifar10(&cache("cifar10"), Split::Test).unwrap());
    let gaussian = |range: std::ops::Range<usize>| {
        let mut moments = Moments::new(network.dim());
        for start in range.clone().step_by(200) {
            let batch = images.read(start..(start + 200).min(range.end)).unwrap();
            moments.push(&network.features(&batch).unwrap()).unwrap();
        }
        moments.gaussian().unwrap()
    };
    frechet_distance(&gaussian(a), &gaussian(b)).unwrap()
}

/// `fid_eigh` of a case in `golden/fid-cifar10-test.json`.
fn expected(case: &str) -> f64 {
    let cases: serde_json::Value = serde_json::from_str(include_str!("golden/fid-cifar10-test.json")).unwrap();
    cases["cases"][case]["fid_eigh"].as_f64().unwrap()
}

fn check(case: &str, a: std::ops::Range<usize>, b: std::ops::Range<usize>) {
    let (found, expected) = (fid_between(a, b), expected(case));
    println!("{case}: {found} (pytorch-fid {expected})");
    assert!((found - expected).abs() < 0.02, "{case}: {found}, expected {expected}");
}

#[test]
#[ignore = "needs `fewstep fetch`; minutes"]
fn fid_1000_against_1000_is_pytorch_fids() {
    check("test[0:1000] vs test[1000:2000]", 0..1000, 1000..2000);
}

/// The two larger cases; run by hand with `FEWSTEP_LONG_TESTS=1`, about twenty minutes on two cores.
#[test]
#[ignore = "needs `fewstep fetch`; about twenty minutes, and FEWSTEP_LONG_TESTS=1"]
fn fid_of_the_larger_parts_is_pytorch_fids() {
    if std::env::var_os("FEWSTEP_LONG_TESTS").is_none() {
        return;
    }
    check("test[0:5000] vs test[5000:10000]", 0..5000, 5000..10_000);
    check("test[0:3000] vs test[0:10000]", 0..3000, 0..10_000);
}
