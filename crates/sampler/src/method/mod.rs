//! The methods. Each is a file with a function from a grid to a plan, a variant of [`Solver`] with its [`Traits`], and a
//! line in [`Solver::all`], which every test of methods walks.
//!
//! Formulas are written as in the papers, in y = x/√ᾱ, where the papers' α is 1 and their σ is ρ = σ/√ᾱ; `level.rs`
//! says what score normalisation makes of them.

mod dc_solver;
mod ddim;
mod ddpm;
mod deis;
mod dpm_solver;
mod dpm_solver_m;
mod dpm_solver_pp;
mod edm;
mod euler;
mod ipndm;
mod ipndm_v;
mod lower;
mod names;
mod pfdiff;
mod rho_rk;
mod rx;
mod traits;
mod unic;
mod unipc;

pub use deis::Variable;
pub use lower::Lowered;
pub use names::MethodName;
pub use rho_rk::Tableau;
pub use traits::Traits;
pub use unic::Predictor;
pub use unipc::B;

use lower::{Lower, lowered};

use crate::{
    Coefficients, Error, Grid, Linear, Normaliser, Plan, Result, Schedule, Step, Threshold, flow::Flow, level::Level,
};

/// Highest degree of a DEIS polynomial.
pub const MAX_ORDER: usize = 3;

/// A sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Solver {
    /// Euler's method on the ODE in x and τ.
    Euler,
    /// DDIM without noise.
    Ddim,
    /// DDIM with η of ancestral sampling's noise.
    StochasticDdim {
        /// Positive; 1 is ancestral sampling.
        eta: f64,
    },
    /// Ancestral sampling.
    Ddpm,
    /// Adams–Bashforth DEIS.
    Deis {
        /// Degree of the polynomial, 0 to [`MAX_ORDER`].
        order: usize,
        /// What it is a polynomial in.
        variable: Variable,
    },
    /// Runge–Kutta DEIS.
    RhoRk(Tableau),
    /// DDIM's step with classical Adams–Bashforth weights.
    Ipndm {
        /// 1 to 4.
        order: usize,
    },
    /// iPNDM with the weights of variable steps, as published.
    IpndmV {
        /// 1 to 4.
        order: usize,
    },
    /// DPM-Solver, singlestep.
    DpmSolver {
        /// 1 to 3.
        order: usize,
    },
    /// DPM-Solver, multistep.
    DpmSolverM {
        /// 1 to 3.
        order: usize,
    },
    /// DPM-Solver++, multistep.
    DpmSolverPpM {
        /// 1 to 3.
        order: usize,
    },
    /// DPM-Solver++ 2S, singlestep.
    DpmSolverPpS,
    /// UniPC.
    UniPc {
        /// Of the predictor, 1 to 3.
        order: usize,
        /// Its function of the step.
        b: B,
    },
    /// A multistep method with its orders lowered wherever the grid ends.
    LowerOrderFinal {
        /// The method.
        of: Lowered,
        /// Its order, 2 or 3: at 1 nothing is lowered.
        order: usize,
    },
    /// UniC after another method.
    UniC {
        /// The method.
        predictor: Predictor,
        /// Its order.
        order: usize,
    },
    /// UniPC-3 with compensated data predictions.
    DcSolver {
        /// Of the way from the call before to the newest one; 1 is UniPC-3.
        ratio: f64,
    },
    /// Richardson extrapolation of DDIM.
    RxDdim {
        /// Steps that are extrapolated together, at least 2.
        k: usize,
    },
    /// PFDiff on DDIM.
    PfDiff {
        /// Intervals that a call's prediction is used over, less 1.
        k: usize,
        /// Intervals to the springboard, 1 to k.
        l: usize,
    },
    /// Euler's method in EDM's variables.
    EdmEuler,
    /// Heun's method in EDM's variables.
    EdmHeun,
}

/// A solver, with or without score normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Method {
    /// The solver.
    pub solver: Solver,
    /// Whether it works on ε/r.
    pub normalise: bool,
}

/// What a method is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// τ → ᾱ.
    pub schedule: &'a Schedule,
    /// Where the evaluations lie.
    pub grid: &'a Grid,
    /// Number of evaluations that may be spent.
    pub nfe: usize,
    /// How integrals are computed.
    pub coefficients: Coefficients,
    /// r(τ), for normalised methods.
    pub normaliser: Option<&'a Normaliser>,
    /// What is done to data predictions.
    pub threshold: Threshold,
    /// Analytic first step: the first prediction is x_T itself and costs no evaluation, so that there is one step more.
    pub afs: bool,
}

impl<'a> Request<'a> {
    /// With exact coefficients, no normaliser, no thresholding and every prediction evaluated.
    pub fn new(schedule: &'a Schedule, grid: &'a Grid, nfe: usize) -> Self {
        let (coefficients, threshold) = (Coefficients::Exact, Threshold::None);
        Request { schedule, grid, nfe, coefficients, normaliser: None, threshold, afs: false }
    }
}

/// Times of the calls and of the end, and the steps between them.
type Made = (Vec<f64>, Vec<Step>);

impl Solver {
    /// Whether it makes one call a step, at the grid's points, so that it can start from exact history.
    pub fn is_multistep(self) -> bool {
        if let Solver::UniC { predictor, order } = self {
            return predictor.solver(order).is_multistep();
        }
        !matches!(
            self,
            Solver::RhoRk(_)
                | Solver::DpmSolver { .. }
                | Solver::DpmSolverPpS
                | Solver::EdmHeun
                | Solver::RxDdim { .. }
                | Solver::PfDiff { .. }
        )
    }

    /// The intervals between grid points that `calls` calls are enough for; `to_zero` where the last one ends at τ = 0.
    pub(crate) fn intervals(self, calls: usize, to_zero: bool) -> usize {
        let tableau = match self {
            Solver::RhoRk(tableau) => tableau,
            Solver::EdmHeun => Tableau::Heun,
            Solver::PfDiff { k, .. } => return pfdiff::intervals(calls, k),
            _ => return calls,
        };
        let stages = tableau.stages();
        match to_zero && tableau.reaches_the_end() {
            // The step to τ = 0 makes one call.
            true => calls.saturating_sub(1) / stages + 1,
            false => calls / stages,
        }
    }

    fn make(self, flow: Flow, tau: &[f64]) -> Made {
        match self {
            Solver::Euler => euler::make(flow, tau),
            Solver::Ddim => ddim::make(flow, tau),
            Solver::StochasticDdim { eta } => ddim::make_stochastic(flow, tau, eta),
            Solver::Ddpm => ddpm::make(flow, tau),
            Solver::Deis { order, variable } => deis::make(flow, tau, order, variable),
            Solver::RhoRk(tableau) => rho_rk::make(flow, tau, tableau),
            Solver::Ipndm { order } => ipndm::make(flow, tau, order),
            Solver::IpndmV { order } => ipndm_v::make(flow, tau, order),
            Solver::DpmSolver { order } => dpm_solver::make(flow, tau, order),
            Solver::DpmSolverM { order } => dpm_solver_m::make(flow, tau, order, Lower::AtZero),
            Solver::DpmSolverPpM { order } => dpm_solver_pp::multi(flow, tau, order, Lower::AtZero),
            Solver::DpmSolverPpS => dpm_solver_pp::single(flow, tau),
            Solver::UniPc { order, b } => unipc::make(flow, tau, order, b, Lower::AtZero),
            Solver::LowerOrderFinal { of, order } => lower::make(flow, tau, of, order),
            Solver::UniC { predictor, order } => unic::make(flow, tau, predictor, order),
            Solver::DcSolver { ratio } => dc_solver::make(flow, tau, ratio),
            Solver::RxDdim { k } => rx::make(flow, tau, k),
            Solver::PfDiff { k, l } => pfdiff::make(flow, tau, k, l),
            Solver::EdmEuler => edm::euler(flow, tau),
            Solver::EdmHeun => edm::heun(flow, tau),
        }
    }
}

impl Method {
    /// Every solver without score normalisation, and with it where it has a meaning.
    pub fn all() -> Vec<Method> {
        let both = |solver: Solver| {
            let normalised = solver.traits().refuses_normaliser.is_none().then(|| Method::normalised(solver));
            std::iter::once(Method::plain(solver)).chain(normalised)
        };
        Solver::all().into_iter().flat_map(both).collect()
    }

    /// The solver as its paper has it.
    pub fn plain(solver: Solver) -> Self {
        Method { solver, normalise: false }
    }

    /// The solver on ε/r.
    pub fn normalised(solver: Solver) -> Self {
        Method { solver, normalise: true }
    }

    /// tAB-DEIS, which the paper's DEIS means.
    pub fn deis(order: usize) -> Self {
        Method::plain(Solver::Deis { order, variable: Variable::Time })
    }

    /// DEIS-SN.
    pub fn deis_sn(order: usize) -> Self {
        Method::normalised(Solver::Deis { order, variable: Variable::Time })
    }

    /// Whether samples depend on noise besides x_T, so that they solve no ODE.
    pub fn is_stochastic(self) -> bool {
        self.solver.traits().convergence == 0
    }

    /// Whether the authors' code has coefficients for it; Euler and DDIM have the same with either kind. DDIM on ε/r has none:
    /// its step is a difference of s = ∫ r dρ, which follows r itself and not the authors' lookup of it.
    pub fn has_reference_coefficients(self) -> bool {
        match self.solver {
            Solver::Deis { variable: Variable::Time, .. } => true,
            Solver::Euler | Solver::Ddim => !self.normalise,
            _ => false,
        }
    }

    /// Why the analytic first step has no meaning here, where it has none.
    pub fn refuses_afs(self) -> Option<String> {
        let reason =
            "the analytic first step is one of the probability-flow ODE's, and its noise is of the posterior's";
        self.is_stochastic().then(|| format!("AFS has no meaning for {}: {reason}", self.label()))
    }

    /// What is said to who asks for them.
    fn no_reference_coefficients(self) -> String {
        let instead = match self.solver {
            Solver::Ddim => "; 'deis-sn' of order 0 is the same method and has them",
            _ => "; only the authors' DEIS has",
        };
        format!("method '{}' has no reference coefficients{instead}", self.name())
    }

    /// Works the method out.
    ///
    /// # Errors
    /// Where the number of evaluations is out of range, a normaliser is missing or unfit for the asked coefficients, or the
    /// request has no meaning for this method.
    pub fn plan(self, request: &Request) -> Result<Plan> {
        let traits = self.solver.traits();
        let refuse = |reason: String| Err(Error::Request(reason));
        if let Some(reason) = self.refusal() {
            return refuse(reason);
        }
        if request.threshold != Threshold::None && !traits.predicts_data {
            return refuse(format!(
                "method '{}' predicts noise; thresholding is for methods that predict data",
                self.name()
            ));
        }
        if request.coefficients == Coefficients::Reference && !self.has_reference_coefficients() {
            return refuse(self.no_reference_coefficients());
        }
        let normaliser = match (self.normalise, request.normaliser) {
            (true, None) => return refuse(format!("method '{}' needs a normaliser", self.name())),
            (normalise, normaliser) => normaliser.filter(|_| normalise),
        };
        if let Some(reason) = self.refuses_afs().filter(|_| request.afs) {
            return refuse(reason);
        }
        let denoise = usize::from(request.grid.denoises());
        let calls = if request.nfe == 0 { 0 } else { request.nfe + usize::from(request.afs) - denoise };
        let intervals = self.solver.intervals(calls, request.grid.end() == 0.0);
        if request.nfe > 0 && intervals == 0 {
            return refuse(format!(
                "nfe is {}; method '{}' needs more for one step on grid '{}'",
                request.nfe,
                self.name(),
                request.grid.name()
            ));
        }
        let tau = request.grid.times(intervals, request.schedule)?;
        let level = Level::new(request.schedule, normaliser, request.coefficients)?;
        let (tau, mut steps) = self.solver.make(Flow::new(request.schedule, level, denoise == 1), &tau);
        if request.afs {
            // y/√(1 + ρ²) with y = x/√ᾱ and ρ² = (1 − ᾱ)/ᾱ is x.
            steps[0].afs = Some(1.0);
        }
        let nfe = steps.iter().filter(|step| step.afs.is_none()).count();
        if nfe == 0 {
            let least = request.nfe + 1;
            return refuse(format!(
                "method '{}' with AFS evaluates nothing; expected nfe of at least {least}",
                self.name()
            ));
        }
        let finite =
            |step: &Step| [step.a, step.noise].iter().chain(&step.b).chain(&step.c).all(|value| value.is_finite());
        if let Some(step) = steps.iter().position(|step| !finite(step)) {
            return refuse(format!("{}: step {step} on grid '{}' is not finite", self.label(), request.grid.name()));
        }
        Ok(Plan {
            method: self.name(),
            order: self.order(),
            nfe,
            grid: request.grid.name(),
            threshold: request.threshold,
            start: 1.0,
            timestep: tau[..steps.len()].iter().map(|&tau| request.schedule.timestep(tau)).collect(),
            tau,
            steps,
        })
    }
}

/// s z, with fresh standard normal z.
fn fresh_noise(s: f64) -> Linear {
    Linear::noise() * s
}
