//! Against the authors' published sampler: 112 cases of coefficients and end points on a closed-form noise
//! predictor (`golden/deis-synthetic.json`). Their ᾱ is single precision, which the tolerances allow for.

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Request, Schedule, integrate};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn relative(found: f64, expected: f64, floor: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(floor)
}

#[test]
fn reference_coefficients_are_the_authors() {
    let golden: Value = serde_json::from_str(include_str!("golden/deis-synthetic.json")).unwrap();
    let (m, v) = (numbers(&golden["meta"]["m"]), numbers(&golden["meta"]["v"]));
    let schedule = Schedule::linear();
    let curve = numbers(&golden["mean_abs_eps"]);
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let (mut worst_a, mut worst_c, mut worst_x) = (0.0f64, 0.0f64, 0.0f64);

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

        // Their trailing times are single precision.
        assert!(plan.tau.iter().zip(numbers(&case["tau"])).all(|(a, b)| (a - b).abs() < 1e-7));
        assert!(plan.timestep.iter().zip(numbers(&case["timestep"])).all(|(a, b)| (a - b).abs() < 1e-4));
        let steps = case["steps"].as_array().unwrap();
        assert_eq!(steps.len(), plan.steps.len());
        for (step, expected) in plan.steps.iter().zip(steps) {
            worst_a = worst_a.max(relative(step.a, expected["a"].as_f64().unwrap(), 0.0));
            let c = numbers(&expected["c"]);
            assert_eq!(c.len(), step.c.len());
            step.c.iter().zip(c).for_each(|(&found, expected)| worst_c = worst_c.max(relative(found, expected, 1e-3)));
        }

        let flat = |key: &str| -> Vec<f32> {
            case[key].as_array().unwrap().iter().flat_map(numbers).map(|value| value as f32).collect()
        };
        let device = Device::flex();
        let row = |values: &[f64]| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [1, 4]), &device)
        };
        let start = Tensor::<2>::from_data(TensorData::new(flat("x_T"), [2, 4]), &device);
        let epsilon = |x, tau| {
            let (alpha_bar, sigma) = (schedule.alpha_bar(tau), schedule.sigma(tau));
            let variance: Vec<f64> = v.iter().map(|v| alpha_bar * v + sigma * sigma).collect();
            Ok::<_, std::convert::Infallible>((x - row(&m) * alpha_bar.sqrt()) / row(&variance) * sigma)
        };
        let solution = integrate(&plan, &schedule, start, epsilon, |_| unreachable!("no noise")).unwrap();
        assert_eq!(solution.evaluations, plan.nfe);
        let end: Vec<f32> = solution.x.into_data().try_to_vec().unwrap();
        for (found, expected) in end.iter().zip(flat("x_0")) {
            worst_x = worst_x.max(f64::from((found - expected).abs()));
        }
    }
    println!("worst: a {worst_a:.2e} relative, c {worst_c:.2e} of max(|c|, 1e-3), x_0 {worst_x:.2e}");
    assert!(worst_a < 1e-6, "a: {worst_a:e}");
    assert!(worst_c < 5e-4, "c: {worst_c:e}");
    assert!(worst_x < 1e-3, "x_0: {worst_x:e}");
}
