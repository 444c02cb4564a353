//! What must hold for every method, or between methods, whatever the numbers.

use fewstep_sampler::{Coefficients, Grid, MAX_ORDER, Method, Normaliser, Plan, Request, Schedule};

const NFES: [usize; 4] = [1, 5, 10, 50];

fn smooth() -> Schedule {
    Schedule::Continuous { beta_min: 0.1, beta_max: 20.0 }
}

fn curve(r: impl Fn(f64) -> f64) -> Normaliser {
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let values = tau.iter().map(|&tau| r(tau)).collect();
    Normaliser::new(tau, values).unwrap()
}

fn plan(method: Method, grid: Grid, nfe: usize, schedule: &Schedule, normaliser: Option<&Normaliser>) -> Plan {
    method.plan(&Request { schedule, grid, nfe, coefficients: Coefficients::Exact, normaliser }).unwrap()
}

fn each_grid_and_nfe(check: impl Fn(Grid, usize)) {
    Grid::ALL.into_iter().for_each(|grid| NFES.into_iter().for_each(|nfe| check(grid, nfe)));
}

fn assert_same(left: &Plan, right: &Plan, tolerance: f64) {
    for (left, right) in left.steps.iter().zip(&right.steps) {
        assert!((left.a - right.a).abs() <= tolerance * right.a.abs());
        assert_eq!(left.c.len(), right.c.len());
        let scale = right.c.iter().fold(0.0f64, |max, c| max.max(c.abs()));
        for (l, r) in left.c.iter().zip(&right.c) {
            assert!((l - r).abs() <= tolerance * scale, "{l} and {r}");
        }
    }
}

#[test]
fn every_method_has_one_step_per_evaluation_and_a_stable_name() {
    let normaliser = curve(|tau| 0.5 + 0.3 * tau);
    for method in Method::all() {
        let order = method.name().starts_with("deis").then_some(method.order());
        assert_eq!(Method::new(method.name(), order).unwrap(), method);
        each_grid_and_nfe(|grid, nfe| {
            let plan = plan(method, grid, nfe, &Schedule::linear(), Some(&normaliser));
            assert_eq!((plan.steps.len(), plan.tau.len(), plan.timestep.len()), (nfe, nfe + 1, nfe));
            assert!(plan.steps.iter().enumerate().all(|(i, step)| step.c.len() == method.order().min(i) + 1));
            assert!(plan.steps.iter().all(|step| step.a.is_finite() && step.c.iter().all(|c| c.is_finite())));
        });
    }
}

#[test]
fn deis_of_order_0_is_ddim() {
    each_grid_and_nfe(|grid, nfe| {
        let schedule = Schedule::linear();
        let (deis, ddim) = (Method::Deis { order: 0 }, Method::Ddim);
        assert_same(&plan(deis, grid, nfe, &schedule, None), &plan(ddim, grid, nfe, &schedule, None), 1e-10);
    });
}

#[test]
fn a_constant_normaliser_changes_nothing() {
    let constant = curve(|_| 0.37);
    for order in 0..=MAX_ORDER {
        each_grid_and_nfe(|grid, nfe| {
            let schedule = Schedule::linear();
            let sn = plan(Method::DeisSn { order }, grid, nfe, &schedule, Some(&constant));
            assert_same(&sn, &plan(Method::Deis { order }, grid, nfe, &schedule, None), 1e-10);
        });
    }
}

#[test]
fn a_varying_normaliser_changes_the_coefficients() {
    let (schedule, rising) = (Schedule::linear(), curve(|tau| 0.4 + 0.4 * tau));
    let sn = plan(Method::DeisSn { order: 0 }, Grid::Quadratic, 5, &schedule, Some(&rising));
    let deis = plan(Method::Deis { order: 0 }, Grid::Quadratic, 5, &schedule, None);
    assert!((sn.steps[1].c[0] / deis.steps[1].c[0] - 1.0).abs() > 1e-2);
}

/// ∫_τ^s ½ ψ(s,u) g²(u) r(u)/σ(u) p(u) du by Simpson's rule in √u between the knots: another variable and another
/// rule than the product's.
fn simpson(schedule: &Schedule, from: f64, to: f64, integrand: impl Fn(f64) -> f64) -> f64 {
    let knots: Vec<f64> = (0..=1000).map(|k| f64::from(k) / 1000.0).filter(|&u| to < u && u < from).collect();
    let mut edges = [vec![to], knots, vec![from]].concat();
    edges.dedup_by(|a, b| (*a - *b).abs() < 1e-12);
    let total: f64 = edges
        .windows(2)
        .map(|pair| {
            // ᾱ is linear inside a piece.
            let slope = (schedule.alpha_bar(pair[0]) - schedule.alpha_bar(pair[1])) / (pair[1] - pair[0]);
            let value = |w: f64| {
                // At w = 0 the limit is finite.
                let w = w.max(1e-5);
                let alpha_bar = schedule.alpha_bar(w * w);
                let psi = (schedule.alpha_bar(to) / alpha_bar).sqrt();
                w * psi * slope / alpha_bar / schedule.sigma(w * w) * integrand(w * w)
            };
            let (low, high) = (pair[0].sqrt(), pair[1].sqrt());
            let h = (high - low) / 64.0;
            let weight = |i: i32| match i {
                0 | 64 => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            (0..=64).map(|i| weight(i) * value(low + h * f64::from(i))).sum::<f64>() * h / 3.0
        })
        .sum();
    -total
}

#[test]
fn a_polynomial_prediction_is_integrated_exactly() {
    let (schedule, normaliser) = (Schedule::linear(), curve(|tau| 0.4 + 0.4 * tau.sqrt()));
    for order in 0..=MAX_ORDER {
        let polynomial = |tau: f64| (0..=order as i32).map(|k| (0.7 - 0.9 * f64::from(k)) * tau.powi(k)).sum::<f64>();
        for (method, r) in [
            (Method::Deis { order }, Box::new(|_| 1.0) as Box<dyn Fn(f64) -> f64>),
            (Method::DeisSn { order }, Box::new(|tau| normaliser.at(tau))),
        ] {
            let plan = plan(method, Grid::Quadratic, 8, &schedule, Some(&normaliser));
            for i in order..8 {
                let found: f64 = plan.steps[i]
                    .c
                    .iter()
                    .enumerate()
                    .map(|(j, c)| c * r(plan.tau[i - j]) * polynomial(plan.tau[i - j]))
                    .sum();
                let expected = simpson(&schedule, plan.tau[i], plan.tau[i + 1], |u| r(u) * polynomial(u));
                assert!(
                    (found - expected).abs() < 1e-8 * expected.abs().max(1.0),
                    "{method:?} step {i}: {found} {expected}"
                );
            }
        }
    }
}

/// Gaussian data N(m, v) in one dimension: closed-form ε and solution.
struct Gaussian {
    m: f64,
    v: f64,
}

impl Gaussian {
    fn variance(&self, schedule: &Schedule, tau: f64) -> f64 {
        let alpha_bar = schedule.alpha_bar(tau);
        alpha_bar * self.v + 1.0 - alpha_bar
    }

    fn epsilon(&self, schedule: &Schedule, x: f64, tau: f64) -> f64 {
        schedule.sigma(tau) * (x - schedule.alpha_bar(tau).sqrt() * self.m) / self.variance(schedule, tau)
    }

    /// The solution through x at τ = 1.
    fn solution(&self, schedule: &Schedule, x: f64, tau: f64) -> f64 {
        let mean = |tau: f64| schedule.alpha_bar(tau).sqrt() * self.m;
        let scale = (self.variance(schedule, tau) / self.variance(schedule, 1.0)).sqrt();
        mean(tau) + scale * (x - mean(1.0))
    }
}

/// Error at τ = 0.2 of `method` with N steps over [0, 1], started at τ = 0.8 from exact history.
fn error_from_exact_history(method: Method, nfe: usize) -> f64 {
    let (schedule, data, start) = (smooth(), Gaussian { m: 0.3, v: 0.25 }, 1.3);
    let normaliser = curve(|tau| 0.5 + 0.3 * tau);
    let plan = plan(method, Grid::Trailing, nfe, &schedule, Some(&normaliser));
    let (first, last) = (nfe / 5, nfe * 4 / 5);
    let exact = |i: usize| data.solution(&schedule, start, plan.tau[i]);
    let epsilon = |x: f64, i: usize| data.epsilon(&schedule, x, plan.tau[i]);
    let mut history: Vec<f64> = (0..first).map(|i| epsilon(exact(i), i)).collect();
    let mut x = exact(first);
    for i in first..last {
        history.push(epsilon(x, i));
        x = plan.steps[i].a * x
            + plan.steps[i].c.iter().zip(history.iter().rev()).map(|(c, epsilon)| c * epsilon).sum::<f64>();
    }
    (x - exact(last)).abs()
}

#[test]
fn measured_orders_of_convergence() {
    for method in Method::all() {
        let (coarse, fine) = (error_from_exact_history(method, 50), error_from_exact_history(method, 200));
        let measured = (coarse / fine).log2() / 2.0;
        println!("{}: error {coarse:.2e} at 50, {fine:.2e} at 200, order {measured:.2}", method.label());
        assert!(measured >= method.order() as f64 + 0.8, "{method:?}: measured order {measured}");
    }
}

#[test]
fn reference_and_exact_agree_where_both_are_right() {
    // A Riemann sum of 10 000 points away from the singularity at 0 is good to about 1e-4 of a step.
    let schedule = Schedule::linear();
    for order in 0..=MAX_ORDER {
        let request = |coefficients| Request {
            schedule: &schedule,
            grid: Grid::Trailing,
            nfe: 10,
            coefficients,
            normaliser: None,
        };
        let exact = Method::Deis { order }.plan(&request(Coefficients::Exact)).unwrap();
        let reference = Method::Deis { order }.plan(&request(Coefficients::Reference)).unwrap();
        for (e, r) in exact.steps[..9].iter().zip(&reference.steps) {
            e.c.iter().zip(&r.c).for_each(|(e, r)| assert!((e - r).abs() < 2e-3 * e.abs().max(0.1), "{e} {r}"));
        }
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let schedule = Schedule::linear();
    let request = |nfe| Request {
        schedule: &schedule,
        grid: Grid::Quadratic,
        nfe,
        coefficients: Coefficients::Exact,
        normaliser: None,
    };
    let message = |method: Method, nfe| method.plan(&request(nfe)).unwrap_err().to_string();
    assert!(message(Method::Ddim, 0).contains("nfe is 0"));
    assert!(message(Method::Deis { order: 9 }, 5).contains("order is 9"));
    assert!(message(Method::DeisSn { order: 2 }, 5).contains("needs a normaliser"));
    assert!(Method::new("dpm", None).unwrap_err().to_string().contains("no method 'dpm'"));
    assert!(Method::new("ddim", Some(1)).unwrap_err().to_string().contains("takes no order"));
}
