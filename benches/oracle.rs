//! The ideal denoiser over as many random images as CIFAR-10 has, and its two matrix products alone: what the first takes
//! beyond the second is exponentials, conversion and memory.

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewstep_model::{Ideal, Levels, Predictor};
use std::hint::black_box;

const IMAGES: usize = 50_000;
const LEN: usize = 3072;
const BATCH: usize = 64;

fn oracle(criterion: &mut Criterion) {
    let device = Device::flex();
    let pixels: Vec<u8> = (0..IMAGES * LEN).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect();
    let levels = Levels { count: 1000, alpha_bar: Box::new(|tau| (-10.0 * tau * tau).exp()) };
    let ideal = Ideal::new(&pixels, 32, 3, levels).expect("images");
    let x = Tensor::<4>::random([BATCH, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let mut group = criterion.benchmark_group("ideal denoiser, 50 000 images, evaluations");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("prediction", |bencher| {
        bencher.iter(|| black_box(ideal.epsilon(x.clone(), 0.4)).into_data());
    });
    // 2 · 2 · 3072 · 50 000 floating-point operations an evaluation, on one matrix that fits a core's cache.
    let block = Tensor::<2>::from_data(TensorData::new(vec![0.5f32; 128 * LEN], [128, LEN]), &device);
    let (queries, weights) = (Tensor::<2>::ones([BATCH, LEN], &device), Tensor::<2>::ones([BATCH, 128], &device));
    group.bench_function("its two products", |bencher| {
        bencher.iter(|| {
            for _ in 0..IMAGES.div_ceil(128) {
                black_box(queries.clone().matmul(block.clone().transpose()));
                black_box(weights.clone().matmul(block.clone()));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, oracle);
criterion_main!(benches);
