//! DEIS-SN (Xia et al. 2023, arXiv 2311.00157, equations 9 to 11): DEIS on ε/r, with r(τ) the mean magnitude
//! of the noise prediction.

use super::deis;
use crate::{Coefficients, Error, Request, Result, Step};

/// DEIS with K = σ/r and n = ε/r; the division by r is folded into c.
pub(super) fn steps(request: &Request, tau: &[f64], order: usize) -> Result<Vec<Step>> {
    let Some(normaliser) = request.normaliser else {
        return Err(Error::Request("method 'deis-sn' needs a normaliser".into()));
    };
    Ok(match request.coefficients {
        Coefficients::Exact => deis::weighted_steps(request, tau, order, |u| normaliser.at(u)),
        Coefficients::Reference => {
            let table = normaliser.authors_table()?;
            deis::weighted_steps(request, tau, order, |u| table.at(u))
        }
    })
}
