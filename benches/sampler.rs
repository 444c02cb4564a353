//! Working out a plan, and one step of the integrator.

use std::{convert::Infallible, hint::black_box};

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Request, Schedule, integrate};

fn plans(criterion: &mut Criterion) {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let curve = tau.iter().map(|tau| 0.4 + 0.4 * tau).collect();
    let normaliser = Normaliser::new(tau, curve).expect("a curve");
    for coefficients in [Coefficients::Exact, Coefficients::Reference] {
        let normaliser = Some(&normaliser);
        let request = Request { coefficients, normaliser, ..Request::new(&schedule, &grid, 10) };
        let name = format!("plan of DEIS-SN-2, 10 NFE, {}", coefficients.name());
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| Method::deis_sn(2).plan(black_box(&request)).expect("a plan"));
        });
    }
}

fn steps(criterion: &mut Criterion) {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let plan = Method::deis(2).plan(&Request::new(&schedule, &grid, 10)).expect("a plan");
    let x = Tensor::<4>::random([16, 3, 32, 32], Distribution::Normal(0.0, 1.0), &Device::flex());
    criterion.bench_function("integrator: 10 steps of DEIS-2, 16 images of 32x32, free predictor", |bencher| {
        let free = |x, _| Ok::<_, Infallible>(x);
        let run = || integrate(&plan, &schedule, x.clone(), free, |_| unreachable!("no noise")).expect("no error");
        bencher.iter(|| run().x.into_data());
    });
}

criterion_group!(benches, plans, steps);
criterion_main!(benches);
