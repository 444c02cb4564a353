//! What is said of plans, against what is known of the methods that made them.

mod common;

use common::{assert_below, largest};
use fewstep_sampler::{
    Grid, Levels, Method, Plan, PlanFile, Request, Schedule,
    lint::{CONVENTION, Lint},
};

fn plan(name: &str, order: Option<usize>, grid: &str, afs: bool) -> (Plan, Schedule) {
    let schedule = Schedule::linear();
    let grid: Grid = grid.parse().unwrap();
    let request = Request { afs, ..Request::new(&schedule, &grid, 8) };
    (Method::new(name, order).unwrap().plan(&request).unwrap(), schedule)
}

fn lint(name: &str, order: Option<usize>, grid: &str) -> Lint {
    let (plan, schedule) = plan(name, order, grid, false);
    Lint::of(&PlanFile::of(&plan, "linear"), &schedule).unwrap()
}

/// Every method but Euler in τ carries a constant image and a constant ε exactly, whatever it is called; but iPNDM_v-4, as
/// published, the image alone.
#[test]
fn constants_are_carried_by_what_is_known_to_carry_them() {
    let (schedule, grid) = (Schedule::linear(), "quadratic".parse().unwrap());
    let mut defects = Vec::new();
    for method in Method::all().into_iter().filter(|method| !method.normalise) {
        let plan = method.plan(&Request::new(&schedule, &grid, 8)).unwrap();
        let lint = Lint::of(&PlanFile::of(&plan, "linear"), &schedule).unwrap();
        assert_eq!((lint.stochastic, lint.nfe), (method.is_stochastic(), plan.nfe));
        match method.name().as_str() {
            "euler" => assert!((lint.image - 1.0).abs() > 0.01 && lint.order == 0, "{lint:?}"),
            name @ ("ipndm-v" | "ipndm-v-unic") if method.order() == 4 => {
                // Corrected, all but its last step, of a small level, nearly carry a constant.
                let least = if name == "ipndm-v" { 1e-6 } else { 1e-8 };
                assert!(
                    (lint.image - 1.0).abs() < 1e-14
                        && lint.constant.is_some_and(|constant| (constant - 1.0).abs() > least),
                    "{lint:?}"
                );
                assert!(lint.order == 0 && lint.steps.iter().any(|step| step.defect.abs() > 1e-4), "{lint:?}");
            }
            // Ancestral sampling's mean keeps the image and lets some of ε go.
            _ if method.is_stochastic() => {
                assert!(
                    (lint.constant.unwrap() - 1.0).abs() > 1e-3 && lint.gaussian.is_none(),
                    "{}: {lint:?}",
                    method.label()
                )
            }
            _ => {
                assert!(lint.order >= 1 && lint.unused.is_empty(), "{}: {lint:?}", method.label());
                defects.extend([lint.image - 1.0, lint.constant.unwrap() - 1.0].map(f64::abs));
            }
        }
    }
    assert_below(5e-14, largest(defects), "constants");
}

/// What is not where the ODE's solution is at the beginning is further from it at the end, and so is what the network is told wrong.
#[test]
fn a_wrong_start_and_a_wrong_input_are_seen() {
    let (plan, schedule) = plan("ddim", None, "log-snr-to-0.001", false);
    let file = PlanFile::of(&plan, "linear").in_y(&schedule);
    let of = |file: &PlanFile| Lint::of(file, &schedule).unwrap();
    let right = of(&file);
    assert!(right.start == 1.0 && right.scaled.is_empty() && right.beyond.is_empty());
    let error = |lint: &Lint| lint.gaussian.as_ref().unwrap().error;
    let doubled = of(&PlanFile { start: Some(2.0 * file.usual_start()), ..file.clone() });
    assert!((doubled.start - 2.0).abs() < 1e-12 && error(&doubled) > 1.5 * error(&right), "{doubled:?}");
    // EDM's convention is no flaw.
    let Levels::Y { sigma } = &file.levels else { panic!("{file}") };
    let edm = of(&PlanFile { start: Some(sigma[0]), ..file.clone() });
    assert!((edm.start - 1.0).abs() < CONVENTION && (error(&edm) / error(&right) - 1.0).abs() < 0.01, "{edm:?}");
    let mut steps = file.steps.clone();
    steps[3].input = 0.5;
    assert_eq!(of(&PlanFile { steps, ..file.clone() }).scaled, [3]);
    // Two levels above the noise of another schedule.
    let short = Schedule::named("scaled-linear", 32).unwrap();
    let beyond = Lint::of(&file, &short).unwrap().beyond;
    assert_eq!(beyond, (0..sigma.len()).filter(|&k| sigma[k] > short.rho(1.0)).collect::<Vec<_>>());
    assert!(!beyond.is_empty());
}

/// Adams–Bashforth in ρ of degree d is exact for polynomials in σ up to degree d, once it has that many predictions; iPNDM's
/// weights are those of even steps, and on any others of order 1.
#[test]
fn orders_are_those_of_polynomials_in_sigma() {
    for degree in 0..=3 {
        let lint = lint("deis-rho", Some(degree), "quadratic");
        let orders: Vec<usize> = lint.steps.iter().map(|step| step.order.unwrap()).collect();
        let expected: Vec<usize> = (0..8).map(|k| 1 + degree.min(k)).collect();
        assert_eq!(orders, expected);
        assert_eq!((lint.order, lint.usual_order), (1, degree + 1));
    }
    assert_eq!(lint("ipndm", Some(4), "quadratic").usual_order, 1);
    assert_eq!(lint("ipndm", Some(4), "edm-1-to-0.1").usual_order, 4);
    // As published (`ipndm_v.rs`): on even steps orders 3 and 4 are both of order 3, on others order 3 is of order 2.
    let ipndm_v = |order, grid| lint("ipndm-v", Some(order), grid).usual_order;
    assert_eq!([2, 3, 4].map(|order| ipndm_v(order, "edm-1-to-0.1")), [2, 3, 3]);
    assert_eq!([2, 3, 4].map(|order| ipndm_v(order, "quadratic")), [2, 2, 0]);
    let heun = lint("rho-heun", None, "quadratic-to-0.01");
    assert_eq!((heun.order, heun.usual_order), (2, 2));
    let carried: Vec<bool> = heun.steps.iter().map(|step| step.carried).collect();
    assert_eq!(carried, [false, true, false, true, false, true, false, true]);
    // Classical RK4 integrates cubics as Simpson's rule does.
    assert_eq!(lint("rho-rk4", None, "quadratic-to-0.01").order, 4);
}

/// On Gaussian data each method of the same formula has the error that stands beside it.
#[test]
fn errors_on_gaussian_data_stand_beside_those_of_adams_bashforth() {
    for degree in 0..=3 {
        let gaussian = lint("deis-rho", Some(degree), "edm-to-0.001").gaussian.unwrap();
        assert_below(1e-12, (gaussian.error / gaussian.adams_bashforth[degree] - 1.0).abs(), "ρAB-DEIS");
        assert_eq!(gaussian.order, Some(degree + 1));
    }
    let ddim = lint("ddim", None, "edm-to-0.001").gaussian.unwrap();
    assert!(ddim.error > 0.01 && ddim.adams_bashforth[1] < ddim.error && ddim.order == Some(1), "{ddim:?}");
    // Of one evaluation all orders are one; Euler's method in τ is far from any.
    let of = |name: &str, nfe: usize| {
        let (schedule, grid) = (Schedule::linear(), "edm-to-0.001".parse().unwrap());
        let plan = Method::new(name, None).unwrap().plan(&Request::new(&schedule, &grid, nfe)).unwrap();
        Lint::of(&PlanFile::of(&plan, "linear"), &schedule).unwrap().gaussian.unwrap().order
    };
    assert_eq!((of("ddim", 1), of("euler", 8), of("ddim", 8)), (None, None, Some(1)));
}

/// ∂y_N/∂ε_k, against a run with one ε changed.
#[test]
fn sensitivities_are_derivatives_of_the_sums() {
    let (plan, schedule) = plan("unipc-bh2", Some(3), "quadratic", false);
    let lint = Lint::of(&PlanFile::of(&plan, "linear"), &schedule).unwrap();
    // In x, whose end is y's where ᾱ = 1.
    let end = |changed: usize| {
        let mut states = vec![0.0];
        for (k, step) in plan.steps.iter().enumerate() {
            let older: f64 = step.b.iter().zip(states[..k].iter().rev()).map(|(b, x)| b * x).sum();
            let c = k.checked_sub(changed).and_then(|j| step.c.get(j)).copied().unwrap_or(0.0);
            states.push(step.a * states[k] + older + c);
        }
        states[plan.steps.len()]
    };
    let errors = (0..8).map(|k| (end(k) - lint.steps[k].sensitivity).abs());
    assert_below(1e-11, largest(errors), "sensitivities");
    assert!(lint.steps.iter().all(|step| step.sensitivity.abs() > 1e-3));
}

#[test]
fn what_is_odd_is_named() {
    let text = r#"{"format": "fewstep-plan", "version": 1, "method": "odd", "variable": "x", "schedule": "linear",
"tau": [1.0, 0.5, 0.4996, 0.2, 0.0008, 0.0004], "steps": [
{"a": 1.0, "c": [-0.5], "afs": 1.0}, {"a": 1.0, "c": [0.0]}, {"a": 0.0, "b": [1.0], "c": [0.0, -0.3]},
{"a": 1.0, "c": [0.0, -0.1]}, {"a": 0.9, "c": [-0.01]}]}"#;
    let lint = Lint::of(&PlanFile::parse(text).unwrap(), &Schedule::linear()).unwrap();
    // Prediction 3 is nowhere; 1 is in a state that is carried; state 2 is what nothing is made of.
    assert_eq!((lint.afs, lint.nfe, lint.unused), (vec![0], 4, vec![3]));
    assert_eq!((lint.short, lint.low), (vec![1, 4], vec![4]));
    assert!(!lint.steps[1].carried && lint.end_tau == 0.0004 && lint.end_sigma > 0.0);
    // By hand: x is carried by the factors 1, 1 (b of step 2, past state 2), 1 and 0.9, y by √ᾱ(1)/√ᾱ(0.0004) of them, with
    // ᾱ(1) = Π(1 − β) and, linear between ᾱ(0) = 1 and ᾱ(0.001) = 0.9999, ᾱ(0.0004) = 0.99996.
    assert_below(1e-15, (lint.image - 0.9 * (4.035829765375694e-5f64 / 0.99996).sqrt()).abs(), "a constant image");
}

/// Nothing that is said is no number, and a step that does nothing is of no order.
#[test]
fn of_nothing_nothing_is_said() {
    let text = r#"{"format": "fewstep-plan", "version": 1, "method": "idle", "variable": "y", "sigma": [2.0, 2.0, 1.0, 2.0],
"steps": [{"a": 1.0, "c": []}, {"a": 1.0, "c": [-1.0]}, {"a": 1.0, "c": [0.5, -0.5]}]}"#;
    let parse = |text: &str| Lint::of(&PlanFile::parse(text).unwrap(), &Schedule::linear()).unwrap();
    let lint = parse(&text.replace("1.0, 2.0],", "1.0, 1.0],"));
    let orders: Vec<Option<usize>> = lint.steps.iter().map(|step| step.order).collect();
    assert_eq!((orders[0], orders[1], lint.constant), (None, Some(1), Some(1.0)));
    let cancellation: Vec<Option<f64>> = lint.steps.iter().map(|step| step.cancellation).collect();
    assert_eq!(cancellation, [None, Some(1.0), None]);
    let idle = parse(
        r#"{"format": "fewstep-plan", "version": 1, "method": "idle", "variable": "y", "sigma": [2.0, 2.0],
"steps": [{"a": 1.0, "c": [0.0]}]}"#,
    );
    assert_eq!((idle.constant, idle.order, idle.usual_order, idle.image), (None, 0, 0, 1.0));
    assert_eq!(idle.gaussian.unwrap().error, 0.0);
}

#[test]
fn both_variables_are_said_the_same_of() {
    for afs in [false, true] {
        let (plan, schedule) = plan("dpm-solver++m", Some(2), "quadratic", afs);
        let x = PlanFile::of(&plan, "linear");
        let [a, b] = [&x, &x.in_y(&schedule)].map(|file| Lint::of(file, &schedule).unwrap());
        assert_eq!((a.order, a.usual_order, &a.unused, &a.afs), (b.order, b.usual_order, &b.unused, &b.afs));
        let (one, other) = (a.gaussian.unwrap(), b.gaussian.unwrap());
        assert_below(1e-12, (one.error / other.error - 1.0).abs(), "error on Gaussian data");
    }
}
