//! Final samples against other programs' in double precision on a closed-form noise predictor: diffusers' schedulers,
//! thresholded ones among them (`benches/peers/make_solvers.py` made `golden/solvers.json`), methods' own authors' code
//! (`make_authors.py`, `golden/authors.json`), and diff-sampler's solvers with an analytic first step (`make_afs.py`) and with
//! their orders lowered at the end (`make_lower.py`).

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{assert_below, largest};
use fewstep_sampler::{Grid, Method, Plan, Request, Schedule, Threshold, integrate};
use serde_json::Value;

/// How far final samples may lie from the peers' in double precision: where nothing is thresholded, and where something is.
const DOUBLE: [f64; 2] = [5e-13, 5e-14];
/// The same in single precision.
const SINGLE: [f64; 2] = [1e-4, 1e-5];

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

    /// The plan as the product runs it, on tensors of this type.
    fn integrate(&self, plan: &Plan, start: &[Vec<f64>], dtype: DType) -> Vec<Vec<f64>> {
        let (device, shape) = (Device::flex(), [start.len(), self.m.len()]);
        let tensor = |values: Vec<f64>| Tensor::<2>::from_data(TensorData::new(values, shape), (&device, dtype));
        let rows = |x: Tensor<2>| -> Vec<Vec<f64>> {
            assert_eq!(x.dtype(), dtype);
            x.into_data().iter::<f64>().collect::<Vec<_>>().chunks(self.m.len()).map(<[f64]>::to_vec).collect()
        };
        let epsilon = |x, tau: f64| {
            let predicted = rows(x).iter().flat_map(|x| self.epsilon(x, tau)).collect();
            Ok::<_, std::convert::Infallible>(tensor(predicted))
        };
        let solution = integrate(plan, &self.schedule, tensor(start.concat()), epsilon, |_| unreachable!("no noise"));
        rows(solution.unwrap().x)
    }
}

#[test]
fn final_samples_are_those_of_diffusers() {
    compare(include_str!("golden/solvers.json"), 77, SINGLE);
}

#[test]
fn final_samples_are_those_of_the_authors_code() {
    // Measured 1.6e-4: PFDiff-3_3 with 4 NFE, in whose steps Σ|c| is up to 30 times |Σc| (`plan --lint`); of all others 6.0e-5.
    compare(include_str!("golden/authors.json"), 31, [2e-4, SINGLE[1]]);
}

/// diff-sampler's default, on grids that end above 0.
#[test]
fn final_samples_with_orders_lowered_at_the_end_are_those_of_diff_sampler() {
    compare(include_str!("golden/lower.json"), 24, SINGLE);
}

fn compare(golden: &str, count: usize, single: [f64; 2]) {
    let precisions = [(DType::F64, DOUBLE), (DType::F32, single)];
    let golden: Value = serde_json::from_str(golden).unwrap();
    let schedule = Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 };
    let data = Gaussian { m: numbers(&golden["m"]), v: numbers(&golden["v"]), schedule };
    let start = rows(&golden["x_T"]);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), count);
    let mut errors = precisions.map(|_| [vec![], vec![]]);
    for case in cases {
        let order = case["order"].as_u64().map(|order| order as usize);
        let method = Method::new(case["method"].as_str().unwrap(), order).unwrap();
        let grid = Grid::list(numbers(&case["tau"])).unwrap();
        let threshold: Threshold = case["threshold"].as_str().unwrap().parse().unwrap();
        let nfe = case["nfe"].as_u64().unwrap() as usize;
        let plan = method.plan(&Request { threshold, ..Request::new(&data.schedule, &grid, nfe) }).unwrap();
        assert_eq!(plan.nfe, nfe);
        let expected = rows(&case["x_0"]).concat();
        for ((dtype, _), errors) in precisions.into_iter().zip(&mut errors) {
            let found = data.integrate(&plan, &start, dtype).concat();
            assert_eq!(found.len(), expected.len());
            let error = largest(found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()));
            println!("{error:.1e} {dtype:?}: {} ({threshold}) with {nfe} NFE to {}", method.label(), grid.end());
            errors[usize::from(threshold != Threshold::None)].push(error);
        }
    }
    for ((dtype, bounds), [plain, thresholded]) in precisions.into_iter().zip(errors) {
        assert_below(bounds[0], largest(plain), &format!("{dtype:?}"));
        assert_below(bounds[1], largest(thresholded), &format!("{dtype:?}, thresholded"));
    }
}

#[test]
fn final_samples_with_afs_are_those_of_diff_sampler() {
    let golden: Value = serde_json::from_str(include_str!("golden/afs.json")).unwrap();
    let schedule = Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 };
    let data = Gaussian { m: numbers(&golden["m"]), v: numbers(&golden["v"]), schedule };
    let start = rows(&golden["x_T"]);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 40);
    let mut errors = Vec::new();
    for case in cases {
        let order = case["order"].as_u64().map(|order| order as usize);
        let method = Method::new(case["method"].as_str().unwrap(), order).unwrap();
        let grid = Grid::list(numbers(&case["tau"])).unwrap();
        let nfe = case["nfe"].as_u64().unwrap() as usize;
        let plan = method.plan(&Request { afs: true, ..Request::new(&data.schedule, &grid, nfe) }).unwrap();
        // They counted, too.
        assert_eq!(plan.nfe, nfe);
        let found = data.integrate(&plan, &start, DType::F64).concat();
        let expected = rows(&case["x_0"]).concat();
        let error = largest(found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()));
        println!("{error:.1e}: {} with AFS and {nfe} NFE to {}", method.label(), grid.end());
        errors.push(error);
    }
    assert_below(5e-13, largest(errors), "with AFS");
}
