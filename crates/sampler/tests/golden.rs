//! Against the authors' published sampler: 112 cases of coefficients and end points on a closed-form noise
//! predictor (`golden/deis-synthetic.json`). Their ᾱ is single precision, which the tolerances allow for.

mod common;

use std::slice::from_ref;

use burn::tensor::{Device, Tensor, TensorData};
use common::{assert_below, largest};
use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Request, Schedule, integrate};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn relative(found: f64, expected: f64, floor: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(floor)
}

fn tensor(rows: &[Vec<f64>]) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

#[test]
fn reference_coefficients_are_the_authors() {
    let golden: Value = serde_json::from_str(include_str!("golden/deis-synthetic.json")).unwrap();
    let (m, v) = (numbers(&golden["meta"]["m"]), numbers(&golden["meta"]["v"]));
    let schedule = Schedule::linear();
    let curve = numbers(&golden["mean_abs_eps"]);
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let (mut times, mut timesteps) = (Vec::new(), Vec::new());
    let (mut a, mut c, mut x) = (Vec::new(), Vec::new(), Vec::new());
    let apart = |(found, expected): (&f64, f64)| (found - expected).abs();

    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 112);
    for case in cases {
        let normaliser = case["clip"]
            .as_u64()
            .map(|clip| Normaliser::new(tau.clone(), curve.clone()).unwrap().with_clip(clip as usize).unwrap());
        let method = Method::new(case["method"].as_str().unwrap(), case["order"].as_u64().map(|n| n as usize)).unwrap();
        let grid: Grid = case["grid"].as_str().unwrap().parse().unwrap();
        let request = Request::new(&schedule, &grid, case["nfe"].as_u64().unwrap() as usize);
        let (coefficients, normaliser) = (Coefficients::Reference, normaliser.as_ref());
        let plan = method.plan(&Request { coefficients, normaliser, ..request }).unwrap();

        times.extend(plan.tau.iter().zip(numbers(&case["tau"])).map(apart));
        timesteps.extend(plan.timestep.iter().zip(numbers(&case["timestep"])).map(apart));
        let steps = case["steps"].as_array().unwrap();
        assert_eq!(steps.len(), plan.steps.len());
        for (step, expected) in plan.steps.iter().zip(steps) {
            a.push(relative(step.a, expected["a"].as_f64().unwrap(), 0.0));
            let expected = numbers(&expected["c"]);
            assert_eq!(expected.len(), step.c.len());
            c.extend(step.c.iter().zip(expected).map(|(&found, expected)| relative(found, expected, 1e-3)));
        }

        let epsilon = |x: Tensor<2>, tau| {
            let (alpha_bar, sigma) = (schedule.alpha_bar(tau), schedule.sigma(tau));
            let variance: Vec<f64> = v.iter().map(|v| alpha_bar * v + sigma * sigma).collect();
            Ok::<_, std::convert::Infallible>(
                (x - tensor(from_ref(&m)) * alpha_bar.sqrt()) / tensor(from_ref(&variance)) * sigma,
            )
        };
        let [start, expected] =
            ["x_T", "x_0"].map(|key| case[key].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>());
        let solution = integrate(&plan, &schedule, tensor(&start), epsilon, |_| unreachable!("no noise")).unwrap();
        assert_eq!(solution.evaluations, plan.nfe);
        let end: Vec<f32> = solution.x.into_data().try_to_vec().unwrap();
        x.extend(end.into_iter().zip(expected.concat()).map(|(found, expected)| (f64::from(found) - expected).abs()));
    }
    // Their trailing times are single precision.
    assert_below(1e-7, largest(times), "times");
    assert_below(1e-12, largest(timesteps), "timesteps");
    assert_below(1e-6, largest(a), "a, relative");
    assert_below(5e-4, largest(c), "c, of max(|c|, 1e-3)");
    assert_below(1e-3, largest(x), "x_0");
}
