//! DDIM with η = 0 (Song et al. 2021, arXiv 2010.02502, equation 12 with σ_t = 0).

use crate::{Request, Step};

/// x/√ᾱ moves by ε times the change of ρ = σ/√ᾱ.
pub(super) fn steps(request: &Request, tau: &[f64]) -> Vec<Step> {
    let schedule = request.schedule;
    super::each_pair(tau, |tau, s| Step {
        a: (schedule.alpha_bar(s) / schedule.alpha_bar(tau)).sqrt(),
        c: vec![schedule.alpha_bar(s).sqrt() * (schedule.rho(s) - schedule.rho(tau))],
    })
}
