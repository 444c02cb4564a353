//! Images per second of the U-Net and of Inception, on all cores: compiled for them, and in burn's own operations.

use std::path::Path;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use fewstep_fid::{Extractor, Images, Inception};
use fewstep_model::{Checkpoint, Levels, Predictor};

fn unet(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cifar10-small.safetensors");
    let network = |compiled: bool| {
        let levels = Levels { count: 1000, alpha_bar: Box::new(|tau| 1.0 - 0.999 * tau) };
        let network = Checkpoint::read(&path, None, None).expect("weights").build(levels, &Device::flex());
        let network = network.expect("network");
        if compiled { network.compiled() } else { network }
    };
    let mut group = criterion.benchmark_group("U-Net cifar10-small");
    for (name, compiled) in [("compiled", true), ("plain", false)] {
        let network = network(compiled);
        for batch in [1, 16, 64] {
            let x = Tensor::<4>::random([batch, 3, 32, 32], Distribution::Normal(0.0, 1.0), &Device::flex());
            group.throughput(Throughput::Elements(batch as u64)).sample_size(20);
            group.bench_function(format!("{name}, batch {batch}"), |bencher| {
                bencher.iter(|| network.epsilon(x.clone(), 0.5).into_data())
            });
        }
    }
    group.finish();
}

/// Needs `fewstep fetch inception`; says so where the weights are not there.
fn inception(criterion: &mut Criterion) {
    let cache = std::env::var_os("FEWSTEP_CACHE").map(Into::into).or_else(|| Some(dirs::cache_dir()?.join("fewstep")));
    let file = cache.unwrap_or_default().join("inception/default_1.pt");
    let (Ok(compiled), Ok(plain)) = (Inception::compiled(&file), Inception::open(&file, &Device::flex(), true)) else {
        eprintln!("no bench of Inception: run `fewstep fetch inception` first");
        return;
    };
    let images = Images::new(32, 32, (0..32 * 3072).map(|i| (i * 7919 % 251) as u8).collect()).expect("images");
    let mut group = criterion.benchmark_group("FID-Inception");
    group.throughput(Throughput::Elements(32)).sample_size(10).sampling_mode(SamplingMode::Flat);
    for (name, network) in [("compiled", compiled), ("plain", plain)] {
        group.bench_function(format!("{name}, 32 images of 32x32"), |bencher| {
            bencher.iter(|| network.features(&images).expect("features"))
        });
    }
    group.finish();
}

criterion_group!(benches, unet, inception);
criterion_main!(benches);
