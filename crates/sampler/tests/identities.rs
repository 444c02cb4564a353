//! What must hold for every method, or between methods, whatever the numbers.

mod common;

use common::{assert_below, largest};
use fewstep_sampler::{
    B, Coefficients, Grid, Lowered, MAX_ORDER, Method, Normaliser, Plan, Predictor, Request, Schedule, Solver, Step,
    Tableau, Threshold, Variable,
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

/// The largest of what `error` finds on every grid with every number of evaluations.
fn over_grids(error: impl Fn(&Grid, usize) -> f64) -> f64 {
    largest(Grid::examples().iter().flat_map(|grid| NFES.map(|nfe| error(grid, nfe))))
}

/// The largest difference between the numbers of two steps, relative to the largest number.
fn step_difference(left: &Step, right: &Step) -> f64 {
    let scale = largest(right.c.iter().chain(&right.b).chain([&right.a]).map(|number| number.abs()));
    let padded = |values: &[f64], i: usize| values.get(i).copied().unwrap_or(0.0);
    let between = |left: &[f64], right: &[f64]| {
        largest((0..left.len().max(right.len())).map(|i| (padded(left, i) - padded(right, i)).abs() / scale))
    };
    let noise = (left.noise - right.noise).abs();
    largest([between(&[left.a], &[right.a]), between(&left.b, &right.b), between(&left.c, &right.c), noise])
}

/// The largest difference between two plans' steps; their times are the same.
fn difference(left: &Plan, right: &Plan) -> f64 {
    assert_eq!(left.steps.len(), right.steps.len());
    let apart = largest(left.tau.iter().zip(&right.tau).map(|(left, right)| (left - right).abs()));
    assert!(apart < 1e-14, "{:?} {:?}", left.tau, right.tau);
    largest(left.steps.iter().zip(&right.steps).map(|(left, right)| step_difference(left, right)))
}

/// How far the plans of two methods lie apart, with linear schedule on every grid, without normaliser.
fn between(left: Solver, right: Solver) -> f64 {
    let schedule = Schedule::linear();
    over_grids(|grid, nfe| {
        // One evaluation is not enough for some on grids that end before 0.
        let of = |solver| Method::plain(solver).plan(&Request::new(&schedule, grid, nfe));
        match (of(left), of(right)) {
            (Ok(left), Ok(right)) => difference(&left, &right),
            (left, right) => {
                assert!(nfe == 1 && left.is_err() == right.is_err(), "{left:?} {right:?}");
                0.0
            }
        }
    })
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
    let deis = |variable| Solver::Deis { order: 0, variable };
    for (one, other) in [
        (deis(Variable::Time), Solver::Ddim),
        (deis(Variable::Rho), Solver::Ddim),
        (deis(Variable::LogRho), Solver::Ddim),
        (Solver::DpmSolver { order: 1 }, Solver::Ddim),
        (Solver::DpmSolverPpM { order: 1 }, Solver::Ddim),
        (Solver::Ipndm { order: 1 }, Solver::Ddim),
        (Solver::EdmEuler, Solver::Ddim),
        (Solver::EdmHeun, Solver::RhoRk(Tableau::Heun)),
        (Solver::DpmSolverM { order: 1 }, Solver::Ddim),
        (Solver::IpndmV { order: 1 }, Solver::Ddim),
    ] {
        assert_below(3e-15, between(one, other), &format!("{one:?}, {other:?}"));
    }
    // UniPC is UniP with UniC after it, and UniP-1 and -2 with B₂ are DPM-Solver++'s; compensation at the call's own time is none.
    let unic = |order| Solver::UniC { predictor: Predictor::DpmSolverPpM, order };
    let after = |predictor, order| Solver::UniC { predictor, order };
    for (one, other) in [
        // Corrected at the ends of its steps, a method of one stage is a multistep one of one prediction.
        (after(Predictor::DpmSolver, 1), after(Predictor::DpmSolverM, 1)),
        (after(Predictor::IpndmV, 2), after(Predictor::DeisRho, 1)),
        (unic(1), Solver::UniPc { order: 1, b: B::Exp }),
        (unic(2), Solver::UniPc { order: 2, b: B::Exp }),
        (Solver::DcSolver { ratio: 1.0 }, Solver::UniPc { order: 3, b: B::H }),
        (Solver::IpndmV { order: 2 }, Solver::Deis { order: 1, variable: Variable::Rho }),
    ] {
        assert_below(3e-14, between(one, other), &format!("{one:?}, {other:?}"));
    }
    // DDIM's 1 − ᾱ − σ² cancels.
    assert_below(4e-11, between(Solver::Ddpm, Solver::StochasticDdim { eta: 1.0 }), "DDPM, DDIM with its noise");
}

/// Orders lowered wherever the grid ends: towards τ = 0 the method itself, and otherwise its steps up to the last two, of
/// which the last goes by one prediction, DDIM's way.
#[test]
fn methods_with_orders_lowered_at_the_end_differ_in_the_last_steps_of_other_ends() {
    let schedule = Schedule::linear();
    for of in [Lowered::DpmSolverM, Lowered::DpmSolverPpM, Lowered::UniPc(B::H), Lowered::UniPc(B::Exp)] {
        for (order, grid) in
            [2, 3].into_iter().flat_map(|order| Grid::examples().into_iter().map(move |grid| (order, grid)))
        {
            let make = |solver| plan(Method::plain(solver), &grid, 8, &schedule, None);
            let (lowered, alone) = (make(Solver::LowerOrderFinal { of, order }), make(of.solver(order)));
            if grid.end() == 0.0 {
                assert_eq!(lowered.steps, alone.steps, "{of:?} {order} {grid}");
                continue;
            }
            let last = lowered.steps.len() - usize::from(grid.denoises()) - 1;
            // The step before the last is lowered to 2.
            let same = if order == 3 { last - 1 } else { last };
            assert_eq!(lowered.steps[..same], alone.steps[..same], "{of:?} {order} {grid}");
            assert!(step_difference(&lowered.steps[same], &alone.steps[same]) > 1e-6, "{of:?} {order} {grid}");
            assert!(step_difference(&lowered.steps[last], &alone.steps[last]) > 1e-6, "{of:?} {order} {grid}");
        }
    }
}

/// On equal steps of ρ, Adams–Bashforth in ρ has the classical weights.
#[test]
fn ipndm_is_adams_bashforth_in_rho_on_equal_steps() {
    let (schedule, grid) = (Schedule::linear(), "edm-1-to-0.1".parse().unwrap());
    for order in 1..=4 {
        let of = |solver| plan(Method::plain(solver), &grid, 12, &schedule, None);
        let deis = of(Solver::Deis { order: order - 1, variable: Variable::Rho });
        assert_below(2e-14, difference(&of(Solver::Ipndm { order }), &deis), &format!("order {order}"));
    }
}

/// On equal steps of ρ, variable steps' weights are classical ones, but for order 4 as published (`ipndm_v.rs`).
#[test]
fn ipndm_v_is_ipndm_on_equal_steps_up_to_order_3() {
    let (schedule, grid) = (Schedule::linear(), "edm-1-to-0.1".parse().unwrap());
    let of = |solver| plan(Method::plain(solver), &grid, 12, &schedule, None);
    let apart = |order| difference(&of(Solver::IpndmV { order }), &of(Solver::Ipndm { order }));
    assert_below(2e-14, largest((1..=3).map(apart)), "orders 1 to 3");
    assert!(apart(4) > 1e-2, "{}", apart(4));
}

/// Richardson extrapolation of two equal Euler steps is the midpoint rule.
#[test]
fn rx_ddim_of_two_equal_steps_is_the_midpoint_rule() {
    let (schedule, grid) = (Schedule::linear(), "edm-1-to-0.1".parse().unwrap());
    let of = |solver| plan(Method::plain(solver), &grid, 12, &schedule, None);
    let apart = difference(&of(Solver::RxDdim { k: 2 }), &of(Solver::RhoRk(Tableau::Midpoint)));
    assert_below(2e-14, apart, "six pairs of steps");
}

/// B(h) cancels where two or more differences are weighted; it is left where one has the weight ½, in predictors of order 2
/// and correctors of order 1, which the next step's numbers hold.
#[test]
fn unipc_depends_on_b_only_where_one_difference_is_weighted() {
    let schedule = Schedule::linear();
    let (mut same, mut other) = (0.0, f64::INFINITY);
    for (order, grid) in (1..=3).flat_map(|order| Grid::examples().into_iter().map(move |grid| (order, grid))) {
        let of = |b| plan(Method::plain(Solver::UniPc { order, b }), &grid, 9, &schedule, None);
        let (one, two) = (of(B::H), of(B::Exp));
        // The last step to τ = 0 goes to the data prediction, whatever the state and whoever makes it.
        let to_zero = grid.end() == 0.0;
        let last = if to_zero || grid.denoises() { 8 } else { 9 };
        let depends = |k: usize| match order {
            // Towards λ = ∞ the order of the step before the last is lowered to 2.
            3 => k == 1 || k == 2 || to_zero && k == 7,
            _ => (1..last).contains(&k),
        };
        for (k, (one, two)) in one.steps.iter().zip(&two.steps).enumerate() {
            let found = step_difference(one, two);
            match depends(k) {
                true => other = f64::min(other, found),
                false => same = largest([same, found]),
            }
        }
    }
    assert_below(4e-15, same, "steps that do not depend on B");
    println!("others: from {other:.1e}");
    assert!(other > 1e-3);
}

/// With η → 0 the noise goes, and DDIM is left.
#[test]
fn stochastic_ddim_ends_in_ddim() {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let of = |solver| plan(Method::plain(solver), &grid, 10, &schedule, None);
    let slight = of(Solver::StochasticDdim { eta: 1e-9 });
    assert_below(5e-9, difference(&slight, &of(Solver::Ddim)), "eta = 1e-9");
    let full = of(Solver::StochasticDdim { eta: 1.0 });
    // All noise but the last step's, which has none left to add: √(β̃) over the first step.
    let (from, to) = (schedule.alpha_bar(1.0), schedule.alpha_bar(full.tau[1]));
    let beta = (1.0 - to) / (1.0 - from) * (1.0 - from / to);
    assert_below(1e-15, (full.steps[0].noise - beta.sqrt()).abs(), "noise");
    assert_eq!(full.steps[9].noise, 0.0);
}

/// In y = x/√ᾱ every method moves by predictions alone: adding a constant to the image adds it to the result.
#[test]
fn every_deterministic_method_but_euler_carries_a_constant_image_through() {
    let (schedule, normaliser) = (Schedule::linear(), curve(|tau| 0.5 + 0.3 * tau));
    for method in Method::all().into_iter().filter(|method| !method.is_stochastic() && method.solver != Solver::Euler) {
        let worst = over_grids(|grid, nfe| {
            let request = Request { normaliser: Some(&normaliser), ..Request::new(&schedule, grid, nfe) };
            let Ok(plan) = method.plan(&request) else { return 0.0 };
            let alpha: Vec<f64> = plan.tau.iter().map(|&tau| schedule.alpha_bar(tau).sqrt()).collect();
            let error = |(k, step): (usize, &Step)| {
                let older: f64 = step.b.iter().zip(alpha[..k].iter().rev()).map(|(b, alpha)| b * alpha).sum();
                ((step.a * alpha[k] + older) / alpha[k + 1] - 1.0).abs()
            };
            largest(plan.steps.iter().enumerate().map(error))
        });
        assert_below(2e-14, worst, &method.label());
    }
}

#[test]
fn a_constant_normaliser_changes_nothing() {
    let (constant, schedule) = (curve(|_| 0.37), Schedule::linear());
    for method in Method::all().into_iter().filter(|method| method.normalise) {
        let worst = over_grids(|grid, nfe| {
            let Ok(plain) = Method::plain(method.solver).plan(&Request::new(&schedule, grid, nfe)) else { return 0.0 };
            difference(&plan(method, grid, nfe, &schedule, Some(&constant)), &plain)
        });
        // Correctors of order 4 take differences of four integrals.
        let bound = if matches!(method.solver, Solver::UniC { .. }) { 1e-11 } else { 1e-12 };
        assert_below(bound, worst, &method.label());
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
            let error = |i: usize| {
                let term = |(c, &tau): (&f64, &f64)| c * r(tau) * polynomial(tau);
                let found: f64 = plan.steps[i].c.iter().zip(plan.tau[..=i].iter().rev()).map(term).sum();
                let expected = simpson(&schedule, plan.tau[i], plan.tau[i + 1], |u| r(u) * polynomial(u));
                (found - expected).abs() / expected.abs().max(1.0)
            };
            assert_below(1e-11, largest((order..8).map(error)), &method.label());
        }
    }
}

#[test]
fn reference_and_exact_agree_where_both_are_right() {
    // A left Riemann sum of 10 000 points, away from the singularity at 0.
    let (schedule, grid) = (Schedule::linear(), Grid::trailing());
    for order in 0..=MAX_ORDER {
        let of = |coefficients| {
            let request = Request { coefficients, ..Request::new(&schedule, &grid, 10) };
            Method::deis(order).plan(&request).unwrap().steps
        };
        let (exact, reference) = (of(Coefficients::Exact), of(Coefficients::Reference));
        let pairs = exact[..9].iter().zip(&reference).flat_map(|(exact, reference)| exact.c.iter().zip(&reference.c));
        let worst = largest(pairs.map(|(exact, reference)| (exact - reference).abs() / exact.abs().max(0.1)));
        assert_below(1e-3, worst, &format!("order {order}"));
    }
}

/// The authors' lookup of r is another curve than r: nothing that follows both has a plan.
#[test]
fn reference_coefficients_are_for_the_authors_methods_alone() {
    let (schedule, grid, normaliser) = (Schedule::linear(), Grid::quadratic(), curve(|tau| 0.5 + 0.3 * tau));
    let request = Request {
        coefficients: Coefficients::Reference,
        normaliser: Some(&normaliser),
        ..Request::new(&schedule, &grid, 6)
    };
    let planned = Method::all().into_iter().filter(|method| method.plan(&request).is_ok());
    let deis = (0..=MAX_ORDER).flat_map(|order| [Method::deis(order), Method::deis_sn(order)]);
    let theirs = [Method::plain(Solver::Euler), Method::plain(Solver::Ddim)].into_iter().chain(deis);
    assert_eq!(planned.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    assert!(Method::all().into_iter().all(|m| m.has_reference_coefficients() == m.plan(&request).is_ok()));
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
    assert!(message(Method::plain(Solver::Ipndm { order: 4 }), reference).contains("only the authors' DEIS has"));
    // Its step is a difference of the exact ∫ r dρ, while its division is by the authors' lookup of r.
    let normalised = Request { normaliser: Some(&curve(|tau| 0.5 + 0.3 * tau)), ..reference };
    let ddim_sn = message(Method::normalised(Solver::Ddim), normalised);
    assert!(ddim_sn.contains("'ddim-sn' has no reference coefficients; 'deis-sn' of order 0"), "{ddim_sn}");
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
    assert!(named("dc-solver-0", None).contains("ratio is 0; expected a number over 0"));
    assert!(named("dc-solver-x", None).contains("ratio is x"));
    assert!(named("euler-unic", None).contains("no method 'euler-unic'"));
    assert_eq!(
        Method::new("unipc-bh2-sn", Some(3)).unwrap(),
        Method::normalised(Solver::UniPc { order: 3, b: B::Exp })
    );
}
