//! What must hold for every method, or between methods, whatever the numbers.

use fewstep_sampler::{
    B, Coefficients, Grid, MAX_ORDER, Method, Normaliser, Plan, Request, Schedule, Solver, Tableau, Threshold, Variable,
};

const NFES: [usize; 4] = [1, 5, 10, 50];

fn curve(r: impl Fn(f64) -> f64) -> Normaliser {
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    let values = tau.iter().map(|&tau| r(tau)).collect();
    Normaliser::new(tau, values).unwrap()
}

fn plan(method: Method, grid: &Grid, nfe: usize, schedule: &Schedule, normaliser: Option<&Normaliser>) -> Plan {
    method.plan(&Request { normaliser, ..Request::new(schedule, grid, nfe) }).unwrap()
}

fn each_grid_and_nfe(check: impl Fn(&Grid, usize)) {
    Grid::examples().iter().for_each(|grid| NFES.into_iter().for_each(|nfe| check(grid, nfe)));
}

/// The plans of two methods with linear schedule on every grid, without normaliser, to 1e-10.
fn assert_identical(left: Solver, right: Solver) {
    let schedule = Schedule::linear();
    each_grid_and_nfe(|grid, nfe| {
        // One evaluation is not enough for some on grids that end before 0.
        let of = |solver| Method::plain(solver).plan(&Request::new(&schedule, grid, nfe));
        match (of(left), of(right)) {
            (Ok(left), Ok(right)) => assert_same(&left, &right, 1e-10),
            (left, right) => assert!(nfe == 1 && left.is_err() == right.is_err(), "{left:?} {right:?}"),
        }
    });
}

fn assert_same(left: &Plan, right: &Plan, tolerance: f64) {
    assert_eq!(left.steps.len(), right.steps.len());
    assert!(left.tau.iter().zip(&right.tau).all(|(l, r)| (l - r).abs() <= 1e-12), "{:?} {:?}", left.tau, right.tau);
    for (left, right) in left.steps.iter().zip(&right.steps) {
        assert!((left.noise - right.noise).abs() <= tolerance);
        let scale = right.c.iter().chain(&right.b).fold(right.a.abs(), |max, c| max.max(c.abs()));
        let padded = |values: &[f64], i: usize| values.get(i).copied().unwrap_or(0.0);
        let lists =
            [(vec![left.a], vec![right.a]), (left.b.clone(), right.b.clone()), (left.c.clone(), right.c.clone())];
        for (l, r) in lists {
            for i in 0..l.len().max(r.len()) {
                let (l, r) = (padded(&l, i), padded(&r, i));
                assert!((l - r).abs() <= tolerance * scale, "{l} and {r}");
            }
        }
    }
}

#[test]
fn every_method_makes_a_finite_plan_on_every_grid_and_schedule_and_keeps_its_name() {
    let normaliser = curve(|tau| 0.5 + 0.3 * tau);
    for method in Method::all() {
        let order = (method.order() > 0 || method.name().starts_with("deis")).then_some(method.order());
        assert_eq!(Method::new(&method.name(), order).unwrap(), method);
        for schedule in Schedule::examples() {
            for grid in Grid::examples() {
                for nfe in [5, 6, 10, 50] {
                    let plan = plan(method, &grid, nfe, &schedule, Some(&normaliser));
                    let lens = (plan.steps.len(), plan.tau.len(), plan.timestep.len());
                    assert_eq!(lens, (plan.nfe, plan.nfe + 1, plan.nfe));
                    // Runge–Kutta methods of s stages leave up to s − 1 evaluations unspent.
                    assert!(plan.nfe <= nfe && plan.nfe + 4 > nfe, "{}: {} of {nfe}", method.name(), plan.nfe);
                    assert!(
                        plan.nfe == nfe || method.name().starts_with("rho-") || method.name().starts_with("edm-heun")
                    );
                    assert_eq!(*plan.tau.last().unwrap(), if grid.denoises() { 0.0 } else { grid.end() });
                    assert!(plan.tau[..plan.nfe].iter().all(|&tau| tau > 0.0), "{}: {:?}", method.name(), plan.tau);
                }
            }
        }
    }
}

/// What is another name of what: each line says so of its papers.
#[test]
fn methods_that_are_the_same_are_the_same() {
    for variable in [Variable::Time, Variable::Rho, Variable::LogRho] {
        assert_identical(Solver::Deis { order: 0, variable }, Solver::Ddim);
    }
    assert_identical(Solver::DpmSolver { order: 1 }, Solver::Ddim);
    assert_identical(Solver::DpmSolverPpM { order: 1 }, Solver::Ddim);
    assert_identical(Solver::Ipndm { order: 1 }, Solver::Ddim);
    assert_identical(Solver::EdmEuler, Solver::Ddim);
    assert_identical(Solver::EdmHeun, Solver::RhoRk(Tableau::Heun));
    assert_identical(Solver::Ddpm, Solver::StochasticDdim { eta: 1.0 });
}

/// On equal steps of ρ, Adams–Bashforth in ρ has the classical weights.
#[test]
fn ipndm_is_adams_bashforth_in_rho_on_equal_steps() {
    let (schedule, grid) = (Schedule::linear(), "edm-1-to-0.1".parse().unwrap());
    for order in 1..=4 {
        let of = |solver| plan(Method::plain(solver), &grid, 12, &schedule, None);
        let deis = of(Solver::Deis { order: order - 1, variable: Variable::Rho });
        assert_same(&of(Solver::Ipndm { order }), &deis, 1e-8);
    }
}

/// With η → 0 the noise goes, and DDIM is left.
#[test]
fn stochastic_ddim_ends_in_ddim() {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let of = |solver| plan(Method::plain(solver), &grid, 10, &schedule, None);
    let slight = of(Solver::StochasticDdim { eta: 1e-9 });
    assert_same(&slight, &of(Solver::Ddim), 1e-8);
    let full = of(Solver::StochasticDdim { eta: 1.0 });
    // All noise but the last step's, which has none left to add: √(β̃) over the first step.
    let (from, to) = (schedule.alpha_bar(1.0), schedule.alpha_bar(full.tau[1]));
    assert!((full.steps[0].noise - ((1.0 - to) / (1.0 - from) * (1.0 - from / to)).sqrt()).abs() < 1e-12);
    assert_eq!(full.steps[9].noise, 0.0);
}

/// In y = x/√ᾱ every method moves by predictions alone: adding a constant to the image adds it to the result.
#[test]
fn every_deterministic_method_but_euler_carries_a_constant_image_through() {
    let (schedule, normaliser) = (Schedule::linear(), curve(|tau| 0.5 + 0.3 * tau));
    for method in Method::all().into_iter().filter(|method| !method.is_stochastic() && method.solver != Solver::Euler) {
        each_grid_and_nfe(|grid, nfe| {
            let Ok(plan) =
                method.plan(&Request { normaliser: Some(&normaliser), ..Request::new(&schedule, grid, nfe) })
            else {
                return;
            };
            let alpha: Vec<f64> = plan.tau.iter().map(|&tau| schedule.alpha_bar(tau).sqrt()).collect();
            for (k, step) in plan.steps.iter().enumerate() {
                let older: f64 = step.b.iter().zip(alpha[..k].iter().rev()).map(|(b, alpha)| b * alpha).sum();
                let found = (step.a * alpha[k] + older) / alpha[k + 1];
                assert!((found - 1.0).abs() < 1e-9, "{} on {grid}, step {k}: {found}", method.label());
            }
        });
    }
}

#[test]
fn a_constant_normaliser_changes_nothing() {
    let (constant, schedule) = (curve(|_| 0.37), Schedule::linear());
    for method in Method::all().into_iter().filter(|method| method.normalise) {
        each_grid_and_nfe(|grid, nfe| {
            let Ok(plain) = Method::plain(method.solver).plan(&Request::new(&schedule, grid, nfe)) else { return };
            // Stage times come from a table of s, to 1e-12.
            assert_same(&plan(method, grid, nfe, &schedule, Some(&constant)), &plain, 1e-8);
        });
    }
}

#[test]
fn a_varying_normaliser_changes_the_coefficients() {
    let (schedule, rising) = (Schedule::linear(), curve(|tau| 0.4 + 0.4 * tau));
    let grid = Grid::quadratic();
    for method in Method::all().into_iter().filter(|method| method.normalise) {
        let sn = plan(method, &grid, 5, &schedule, Some(&rising));
        let plain = plan(Method::plain(method.solver), &grid, 5, &schedule, None);
        let numbers = |plan: &Plan| plan.steps.iter().flat_map(|step| step.c.clone()).collect::<Vec<f64>>();
        let differs = |(l, r): (&f64, &f64)| (l - r).abs() > 1e-2 * r.abs();
        assert!(numbers(&sn).iter().zip(&numbers(&plain)).any(differs), "{}", method.label());
    }
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
            (Method::deis(order), Box::new(|_| 1.0) as Box<dyn Fn(f64) -> f64>),
            (Method::deis_sn(order), Box::new(|tau| normaliser.at(tau))),
        ] {
            let plan = plan(method, &Grid::quadratic(), 8, &schedule, Some(&normaliser));
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

#[test]
fn reference_and_exact_agree_where_both_are_right() {
    // A Riemann sum of 10 000 points away from the singularity at 0 is good to about 1e-4 of a step.
    let schedule = Schedule::linear();
    for order in 0..=MAX_ORDER {
        let grid = Grid::trailing();
        let request = |coefficients| Request { coefficients, ..Request::new(&schedule, &grid, 10) };
        let exact = Method::deis(order).plan(&request(Coefficients::Exact)).unwrap();
        let reference = Method::deis(order).plan(&request(Coefficients::Reference)).unwrap();
        for (e, r) in exact.steps[..9].iter().zip(&reference.steps) {
            e.c.iter().zip(&r.c).for_each(|(e, r)| assert!((e - r).abs() < 2e-3 * e.abs().max(0.1), "{e} {r}"));
        }
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let request = |nfe| Request::new(&schedule, &grid, nfe);
    let message = |method: Method, request: Request| method.plan(&request).unwrap_err().to_string();
    assert!(message(Method::plain(Solver::Ddim), request(0)).contains("nfe is 0"));
    assert!(message(Method::deis_sn(2), request(5)).contains("needs a normaliser"));
    assert!(message(Method::normalised(Solver::Euler), request(5)).contains("cancel"));
    assert!(message(Method::deis(2), Request { threshold: Threshold::Clip, ..request(5) }).contains("predicts noise"));
    let reference = Request { coefficients: Coefficients::Reference, ..request(5) };
    assert!(message(Method::plain(Solver::Ipndm { order: 4 }), reference).contains("no reference coefficients"));
    let ends_early: Grid = "quadratic-to-0.01".parse().unwrap();
    let rk4 = Method::plain(Solver::RhoRk(Tableau::Classical));
    assert!(message(rk4, Request { grid: &ends_early, ..request(3) }).contains("needs more"));
    let named = |name: &str, order| Method::new(name, order).unwrap_err().to_string();
    assert!(named("dpm", None).contains("no method 'dpm'; expected euler, ddim, deis"));
    assert!(named("ddim", Some(1)).contains("takes no order"));
    assert!(named("deis", Some(9)).contains("order is 9; expected 0 to 3"));
    assert!(named("unipc-bh2", Some(4)).contains("expected 1 to 3"));
    assert!(named("ddpm-sn", None).contains("no meaning for DDPM"));
    assert!(named("ddim-eta-2", None).contains("eta is 2"));
    assert_eq!(
        Method::new("unipc-bh2-sn", Some(3)).unwrap(),
        Method::normalised(Solver::UniPc { order: 3, b: B::Exp })
    );
}
