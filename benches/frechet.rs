//! The Fréchet distance of 2048 features, both covariances factored anew.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use faer::Mat;
use fewstep_fid::{Gaussian, frechet_distance};

fn covariance(dim: usize, seed: usize) -> Gaussian {
    let x = Mat::from_fn(dim, dim + 50, |i, j| ((i * 7919 + j * 104_729 + seed * 31) % 1999) as f64 / 1999.0 - 0.5);
    Gaussian::new(vec![seed as f64; dim], &x * x.transpose()).expect("a covariance")
}

fn frechet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("Fréchet distance");
    for dim in [192, 2048] {
        let (a, b) = (covariance(dim, 1), covariance(dim, 2));
        group.sample_size(10);
        group.bench_function(format!("{dim} features"), |bencher| {
            bencher.iter_batched(
                || (a.clone(), b.clone()),
                |(a, b)| frechet_distance(&a, &b).expect("a distance"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, frechet);
criterion_main!(benches);
