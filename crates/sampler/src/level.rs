//! The noise level as a method sees it, with or without score normalisation.
//!
//! In y = x/√ᾱ the probability-flow ODE is dy = ε dρ with ρ = σ/√ᾱ: α and σ of the papers become 1 and ρ. Score
//! normalisation writes ε = r n with the mean magnitude r, so that dy = n r dρ = n ds with
//!
//! > s(τ) = ∫_0^ρ(τ) r dρ.
//!
//! This is the same equation with n for ε and s for ρ. So every method that is a formula in (y, ρ, ε) has a normalised
//! form: the same formula in (y, s, ε/r). The paper's DEIS-SN (arXiv 2311.00157, equation 11), which keeps polynomials
//! in τ and multiplies the integrand by r, is that form of tAB-DEIS, since ∫ ℓ_j(τ) r dρ = ∫ ℓ_j(τ) ds. With
//! constant r, s is a multiple of ρ, and no method changes: all see ratios of noise levels only.

use crate::{Coefficients, Normaliser, Schedule, normaliser::AuthorsTable, quadrature};

/// τ ↔ ρ, or τ ↔ s where there is a normaliser.
pub(crate) struct Level<'a> {
    schedule: &'a Schedule,
    normalised: Option<Normalised<'a>>,
    coefficients: Coefficients,
}

struct Normalised<'a> {
    normaliser: &'a Normaliser,
    /// The authors' lookup, where coefficients are theirs.
    table: Option<AuthorsTable>,
    /// Times from 0 to 1 between which r and ρ are smooth, and s there.
    edges: Vec<f64>,
    s: Vec<f64>,
}

impl<'a> Level<'a> {
    pub(crate) fn new(
        schedule: &'a Schedule,
        normaliser: Option<&'a Normaliser>,
        coefficients: Coefficients,
    ) -> crate::Result<Self> {
        let normalised = normaliser.map(|normaliser| {
            let table =
                matches!(coefficients, Coefficients::Reference).then(|| normaliser.authors_table()).transpose()?;
            let edges = quadrature::edges(schedule, normaliser.tau(), 1.0, 0.0);
            let r = |tau: f64| normaliser.at(tau);
            let s = edges.windows(2).scan(0.0, |s, pair| {
                *s += quadrature::smooth(schedule, pair[0], pair[1], r);
                Some(*s)
            });
            let s = std::iter::once(0.0).chain(s).collect();
            Ok(Normalised { normaliser, table, edges, s })
        });
        Ok(Level { schedule, normalised: normalised.transpose()?, coefficients })
    }

    /// ρ(τ), or s(τ).
    pub(crate) fn at(&self, tau: f64) -> f64 {
        let Some(Normalised { normaliser, edges, s, .. }) = &self.normalised else { return self.schedule.rho(tau) };
        let below = edges.partition_point(|&edge| edge <= tau).max(1) - 1;
        s[below] + quadrature::smooth(self.schedule, edges[below], tau, |tau| normaliser.at(tau))
    }

    /// The inverse of [`at`](Self::at).
    pub(crate) fn tau(&self, level: f64) -> f64 {
        let Some(Normalised { edges, s, .. }) = &self.normalised else { return self.schedule.tau_of_rho(level) };
        let above = s.partition_point(|&s| s < level).clamp(1, s.len() - 1);
        let (mut low, mut high) = (edges[above - 1], edges[above]);
        // Halves until neighbouring numbers are left.
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.at(middle) < level { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// r(τ); 1 without a normaliser.
    pub(crate) fn r(&self, tau: f64) -> f64 {
        match &self.normalised {
            None => 1.0,
            Some(Normalised { table: Some(table), .. }) => table.at(tau),
            Some(Normalised { normaliser, .. }) => normaliser.at(tau),
        }
    }

    /// ∫ f(τ) dρ, or ∫ f(τ) ds, between two times.
    pub(crate) fn integral(&self, from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
        let weighted = |tau: f64| self.r(tau) * f(tau);
        match self.coefficients {
            Coefficients::Exact => {
                let kinks = self.normalised.as_ref().map_or(&[][..], |normalised| normalised.normaliser.tau());
                quadrature::exact(self.schedule, kinks, from, to, weighted)
            }
            Coefficients::Reference => quadrature::reference(self.schedule, from, to, weighted),
        }
    }
}
