//! The Fréchet distance: both covariances factored anew, and one of them kept, as a sweep keeps its reference.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use faer::Mat;
use fewstep_fid::{Gaussian, frechet_distance};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Of full rank, with variances that fall about as those of Inception's features.
fn gaussian(dim: usize, seed: u8) -> Gaussian {
    let mut random = ChaCha12Rng::from_seed([seed; 32]);
    let x = Mat::from_fn(dim, dim + 500, |i, _| {
        let value: f64 = StandardNormal.sample(&mut random);
        value * (1.0 + i as f64).powf(-0.75)
    });
    Gaussian::new(vec![f64::from(seed); dim], &x * x.transpose()).expect("a covariance")
}

fn frechet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("Fréchet distance");
    group.sample_size(10);
    for dim in [192, 2048] {
        let (a, b) = (gaussian(dim, 1), gaussian(dim, 2));
        group.bench_function(format!("{dim} features"), |bencher| {
            bencher.iter_batched(
                || (a.clone(), b.clone()),
                |(a, b)| frechet_distance(&a, &b).expect("a distance"),
                BatchSize::LargeInput,
            );
        });
        // The first distance makes the reference's factor.
        let reference = b.clone();
        frechet_distance(&a.clone(), &reference).expect("a distance");
        group.bench_function(format!("{dim} features to a reference"), |bencher| {
            bencher.iter_batched(
                || a.clone(),
                |a| frechet_distance(&a, &reference).expect("a distance"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, frechet);
criterion_main!(benches);
