//! Final samples against diffusers' schedulers in double precision on a closed-form noise predictor;
//! `benches/peers/make_solvers.py` made `golden/solvers.json`.

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_sampler::{Grid, Method, Plan, Request, Schedule, Threshold, integrate};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// ε of Gaussian data: one mean and variance a number.
struct Gaussian {
    m: Vec<f64>,
    v: Vec<f64>,
    schedule: Schedule,
}

impl Gaussian {
    fn epsilon(&self, x: &[f64], tau: f64) -> Vec<f64> {
        let (alpha_bar, sigma) = (self.schedule.alpha_bar(tau), self.schedule.sigma(tau));
        let one =
            |((x, m), v): ((&f64, &f64), &f64)| sigma * (x - alpha_bar.sqrt() * m) / (alpha_bar * v + sigma * sigma);
        x.iter().zip(&self.m).zip(&self.v).map(one).collect()
    }

    /// The plan in double precision, by its definition.
    fn run(&self, plan: &Plan, start: &[f64]) -> Vec<f64> {
        let (mut states, mut predictions) = (vec![start.to_vec()], Vec::new());
        for (k, step) in plan.steps.iter().enumerate() {
            predictions.push(self.epsilon(&states[k], plan.tau[k]));
            let sum = |i: usize, factors: &[f64], terms: &[Vec<f64>]| -> f64 {
                factors.iter().zip(terms.iter().rev()).map(|(factor, term)| factor * term[i]).sum()
            };
            let next = |i: usize| step.a * states[k][i] + sum(i, &step.b, &states[..k]) + sum(i, &step.c, &predictions);
            states.push((0..start.len()).map(next).collect());
        }
        states.pop().unwrap()
    }

    /// The plan as the product runs it, which is in single precision.
    fn integrate(&self, plan: &Plan, start: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (device, shape) = (Device::flex(), [start.len(), self.m.len()]);
        let tensor = |values: Vec<f64>| {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let epsilon = |x: Tensor<2>, tau: f64| {
            let x: Vec<f32> = x.into_data().try_to_vec().unwrap();
            let rows = x
                .chunks(self.m.len())
                .flat_map(|row| self.epsilon(&row.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), tau));
            Ok::<_, std::convert::Infallible>(tensor(rows.collect()))
        };
        let solution = integrate(plan, &self.schedule, tensor(start.concat()), epsilon, |_| unreachable!("no noise"));
        let end: Vec<f32> = solution.unwrap().x.into_data().try_to_vec().unwrap();
        end.chunks(self.m.len()).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect()
    }
}

#[test]
fn final_samples_are_those_of_diffusers() {
    let golden: Value = serde_json::from_str(include_str!("golden/solvers.json")).unwrap();
    let schedule = Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 };
    let data = Gaussian { m: numbers(&golden["m"]), v: numbers(&golden["v"]), schedule };
    let start = rows(&golden["x_T"]);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 67);
    let mut wrong = Vec::new();
    let (mut worst, mut worst_single) = (0.0f64, 0.0f64);
    for case in cases {
        let order = case["order"].as_u64().map(|order| order as usize);
        let method = Method::new(case["method"].as_str().unwrap(), order).unwrap();
        let grid = Grid::list(numbers(&case["tau"])).unwrap();
        let threshold: Threshold = case["threshold"].as_str().unwrap().parse().unwrap();
        let nfe = case["nfe"].as_u64().unwrap() as usize;
        let plan = method.plan(&Request { threshold, ..Request::new(&data.schedule, &grid, nfe) }).unwrap();
        assert_eq!(plan.nfe, nfe);
        let expected = rows(&case["x_0"]);
        let difference = |found: &[Vec<f64>]| {
            let pairs = found.iter().flatten().zip(expected.iter().flatten());
            pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max)
        };
        let single = difference(&data.integrate(&plan, &start));
        worst_single = worst_single.max(single);
        // What is thresholded is not a table of numbers alone: only tensors know it.
        if threshold == Threshold::None {
            let double = difference(&start.iter().map(|x| data.run(&plan, x)).collect::<Vec<_>>());
            worst = worst.max(double);
            if double > 1e-9 {
                wrong.push(format!("{} with {nfe} NFE to {}: {double:.2e}", method.label(), grid.end()));
            }
        }
        if single > 2e-4 {
            wrong.push(format!("{} ({threshold}) with {nfe} NFE, single precision: {single:.2e}", method.label()));
        }
    }
    println!("worst: {worst:.2e} in double precision, {worst_single:.2e} in single");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
