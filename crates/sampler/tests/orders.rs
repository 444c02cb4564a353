//! The measured order of convergence of every method.

use fewstep_sampler::{
    Method,
    convergence::{measure, order},
};

#[test]
fn every_deterministic_method_converges_with_its_order() {
    let mut wrong = Vec::new();
    let methods = Method::all();
    assert!(methods.len() > 60);
    for method in methods.into_iter().filter(|method| !method.is_stochastic()) {
        // 200 and 800 leave DPM-Solver's 2 and 3 whole steps, or one of order 2.
        let (coarse, fine) = (measure(method, 200).unwrap(), measure(method, 800).unwrap());
        let (found, claimed) = (order(coarse, fine), method.solver.traits().convergence as f64);
        println!(
            "{:24} {:.2e} at {}, {:.2e} at {}: {found:.2}",
            method.label(),
            coarse.error,
            coarse.nfe,
            fine.error,
            fine.nfe
        );
        if !(claimed - 0.25..claimed + 1.0).contains(&found) {
            wrong.push(format!("{}: measured {found:.2}, claimed {claimed}", method.label()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
