//! The measured order of convergence of every method.

use fewstep_sampler::{
    Method, Solver, Tableau,
    convergence::{measure, order},
};

/// The order to be seen: the method's own. Solutions on Gaussian data are y = C √(v + ρ²) about a mean, on which the
/// midpoint rule's error of order h³ vanishes; under score normalisation it does not. RX-DDIM(2) is that rule with a
/// call near the middle.
fn expected(method: Method) -> f64 {
    if [Solver::RhoRk(Tableau::Midpoint), Solver::RxDdim { k: 2 }].map(Method::plain).contains(&method) {
        return 3.0;
    }
    method.solver.traits().convergence as f64
}

#[test]
fn every_deterministic_method_converges_with_its_order() {
    let mut wrong = Vec::new();
    let methods = Method::all();
    assert!(methods.len() > 60);
    for method in methods.into_iter().filter(|method| !method.is_stochastic()) {
        // 200 and 800 leave DPM-Solver's 2 and 3 whole steps, or one of order 2.
        let (coarse, fine) = (measure(method, 200).unwrap(), measure(method, 800).unwrap());
        let (found, expected) = (order(coarse, fine), expected(method));
        println!(
            "{:24} {:.2e} at {}, {:.2e} at {}: {found:.2}",
            method.label(),
            coarse.error,
            coarse.nfe,
            fine.error,
            fine.nfe
        );
        if !(expected - 0.25..expected + 0.1).contains(&found) {
            wrong.push(format!("{}: measured {found:.2}, expected {expected}", method.label()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A call that is left over makes a last step of order 1: its error h² comes once.
#[test]
fn singlestep_methods_with_a_call_left_over_are_of_order_2() {
    for (name, order_of) in [
        ("dpm-solver", Some(2)),
        ("dpm-solver", Some(3)),
        ("dpm-solver++s", None),
        ("dpm-solver-unic", Some(2)),
        ("dpm-solver-unic", Some(3)),
        ("dpm-solver++s-unic", None),
    ] {
        let method = Method::new(name, order_of).unwrap();
        // 3 k calls are steps of order 3, one of 2 and one of 1; both counts are odd.
        let found = order(measure(method, 201).unwrap(), measure(method, 801).unwrap());
        assert!((1.75..2.1).contains(&found), "{}: {found:.2}", method.label());
    }
}
