//! The methods. Each is a file with a pure function from a [`Request`] to steps, a variant of [`Method`], and a
//! line in [`Method::all`], which every test of methods walks.

mod ddim;
mod deis;
mod deis_sn;
mod euler;

use crate::{Coefficients, Error, Grid, Normaliser, Plan, Result, Schedule, Step};

/// Highest degree of extrapolation.
pub const MAX_ORDER: usize = 3;

/// A sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Euler's method on the ODE in x.
    Euler,
    /// DDIM without noise.
    Ddim,
    /// The exponential integrator with polynomial extrapolation of ε.
    Deis {
        /// Degree of the polynomial, 0 to [`MAX_ORDER`].
        order: usize,
    },
    /// DEIS on ε divided by its mean magnitude.
    DeisSn {
        /// Degree of the polynomial, 0 to [`MAX_ORDER`].
        order: usize,
    },
}

/// What a method is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// τ → ᾱ.
    pub schedule: &'a Schedule,
    /// Where the evaluations lie.
    pub grid: Grid,
    /// Number of evaluations.
    pub nfe: usize,
    /// How integrals are computed.
    pub coefficients: Coefficients,
    /// r(τ), for the methods that use it.
    pub normaliser: Option<&'a Normaliser>,
}

impl Method {
    /// Every method with every order.
    pub fn all() -> Vec<Method> {
        let orders = 0..=MAX_ORDER;
        [Method::Euler, Method::Ddim]
            .into_iter()
            .chain(orders.clone().map(|order| Method::Deis { order }))
            .chain(orders.map(|order| Method::DeisSn { order }))
            .collect()
    }

    /// The method called `name`. `order` is for methods that extrapolate; they default to 2, the order behind the
    /// paper's numbers.
    ///
    /// # Errors
    /// Where there is no such method, it takes no order, or the order is out of range.
    pub fn new(name: &str, order: Option<usize>) -> Result<Self> {
        let extrapolating = match (name, order) {
            ("deis" | "deis-sn", Some(order)) if order > MAX_ORDER => {
                return Err(Error::Request(format!("order is {order}; expected 0 to {MAX_ORDER}")));
            }
            ("euler" | "ddim", Some(order)) => {
                return Err(Error::Request(format!("method '{name}' takes no order, got {order}")));
            }
            (_, order) => order.unwrap_or(2),
        };
        match name {
            "euler" => Ok(Method::Euler),
            "ddim" => Ok(Method::Ddim),
            "deis" => Ok(Method::Deis { order: extrapolating }),
            "deis-sn" => Ok(Method::DeisSn { order: extrapolating }),
            _ => Err(Error::Request(format!("no method '{name}'; expected euler, ddim, deis or deis-sn"))),
        }
    }

    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Method::Euler => "euler",
            Method::Ddim => "ddim",
            Method::Deis { .. } => "deis",
            Method::DeisSn { .. } => "deis-sn",
        }
    }

    /// The name in charts and tables.
    pub fn label(self) -> String {
        match self {
            Method::Euler => "Euler".into(),
            Method::Ddim => "DDIM".into(),
            Method::Deis { order } => format!("DEIS-{order}"),
            Method::DeisSn { order } => format!("DEIS-SN-{order}"),
        }
    }

    /// Degree of the extrapolation; 0 where there is none.
    pub fn order(self) -> usize {
        match self {
            Method::Euler | Method::Ddim => 0,
            Method::Deis { order } | Method::DeisSn { order } => order,
        }
    }

    /// Whether the method divides by a normaliser.
    pub fn normalises(self) -> bool {
        matches!(self, Method::DeisSn { .. })
    }

    /// Whether integrals are computed, so that [`Coefficients`] matter.
    pub fn integrates(self) -> bool {
        matches!(self, Method::Deis { .. } | Method::DeisSn { .. })
    }

    /// Works the method out.
    ///
    /// # Errors
    /// Where the number of evaluations is out of range, the order too high, or a normaliser is missing or unfit
    /// for the asked coefficients.
    pub fn plan(self, request: &Request) -> Result<Plan> {
        if self.order() > MAX_ORDER {
            return Err(Error::Request(format!("order is {}; expected 0 to {MAX_ORDER}", self.order())));
        }
        let tau = request.grid.times(request.nfe, request.schedule.levels())?;
        let steps = match self {
            Method::Euler => euler::steps(request, &tau),
            Method::Ddim => ddim::steps(request, &tau),
            Method::Deis { order } => deis::steps(request, &tau, order),
            Method::DeisSn { order } => deis_sn::steps(request, &tau, order)?,
        };
        Ok(Plan {
            method: self.name().into(),
            order: self.order(),
            nfe: request.nfe,
            grid: request.grid.name().into(),
            timestep: tau[..request.nfe].iter().map(|&tau| request.schedule.timestep(tau)).collect(),
            tau,
            steps,
        })
    }
}

/// Steps from a function of each pair τ_i > τ_{i+1}.
fn each_pair(tau: &[f64], step: impl Fn(f64, f64) -> Step) -> Vec<Step> {
    tau.windows(2).map(|pair| step(pair[0], pair[1])).collect()
}
