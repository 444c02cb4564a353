//! Euler's method on dx/dτ = f x + ½ g² ε/σ (Song et al. 2021, arXiv 2011.13456, equation 13).

use crate::{Request, Step};

/// a = 1 + Δτ f, c = Δτ ½ g²/σ with Δτ = s − τ and f = −½ g².
pub(super) fn steps(request: &Request, tau: &[f64]) -> Vec<Step> {
    super::each_pair(tau, |tau, s| {
        let half_g_squared = 0.5 * request.schedule.g_squared(tau);
        let step = s - tau;
        Step { a: 1.0 - step * half_g_squared, c: vec![step * half_g_squared / request.schedule.sigma(tau)] }
    })
}
