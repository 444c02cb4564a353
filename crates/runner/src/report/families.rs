//! Charts of the order of convergence that methods are shared out to, so that lines can be told apart.

use fewstep_sampler::{Lowered, Solver, Variable};

/// Names of files, and titles.
pub const FAMILIES: [(&str, &str); 7] = [
    ("adams-bashforth", "Euler, DDIM, DEIS and iPNDM"),
    ("adams-bashforth-rho", "ρAB-DEIS and log-ρ-DEIS"),
    ("singlestep", "Runge–Kutta, DPM-Solver, DPM-Solver++(2S) and EDM"),
    ("data-multistep", "DPM-Solver++ and UniPC"),
    ("noise-multistep", "iPNDM_v and DPM-Solver, multistep"),
    ("corrected", "UniC after other methods"),
    ("extrapolated", "RX-DDIM, PFDiff and DC-Solver"),
];

/// The chart that a solver is drawn in.
pub fn family(solver: Solver) -> &'static str {
    match solver {
        Solver::Deis { variable: Variable::Rho | Variable::LogRho, .. } => "adams-bashforth-rho",
        Solver::DpmSolverPpM { .. } | Solver::UniPc { .. } => "data-multistep",
        Solver::LowerOrderFinal { of: Lowered::DpmSolverPpM | Lowered::UniPc(_), .. } => "data-multistep",
        Solver::IpndmV { .. } | Solver::DpmSolverM { .. } => "noise-multistep",
        Solver::LowerOrderFinal { of: Lowered::DpmSolverM, .. } => "noise-multistep",
        Solver::UniC { .. } => "corrected",
        Solver::RxDdim { .. } | Solver::PfDiff { .. } | Solver::DcSolver { .. } => "extrapolated",
        Solver::RhoRk(_) | Solver::DpmSolver { .. } | Solver::DpmSolverPpS | Solver::EdmHeun | Solver::EdmEuler => {
            "singlestep"
        }
        _ => "adams-bashforth",
    }
}

/// Errors below this are of double precision's rounding, and are not drawn.
pub const ROUNDING: f64 = 1e-13;
