//! The list of solvers, and what is known of each.

use super::{B, Lowered, MAX_ORDER, Predictor, Solver, Tableau, Variable, dc_solver, names};

/// What is known of a solver.
#[derive(Debug, Clone)]
pub struct Traits {
    /// In experiment files.
    pub name: String,
    /// In charts and tables.
    pub label: String,
    /// Its order as its name says it; 0 where there is none.
    pub order: usize,
    /// p where the error falls as N^−p on a smooth problem; 0 for stochastic methods. Of singlestep ones whose calls make whole steps
    /// or leave over two: the last step of one call is of order 1, whose error h² comes once.
    pub convergence: usize,
    /// Why score normalisation has no meaning for it, where it has none.
    pub refuses_normaliser: Option<&'static str>,
    /// Whether its update is written in the data prediction, so that thresholding applies.
    pub predicts_data: bool,
}

const EULER: &str = "Euler takes the slope at one time, where the division by r and the multiplication cancel";
const STOCHASTIC: &str = "it draws from the posterior at one time, and interpolates no prediction in time";

/// The order that a solver of several is taken with where none is asked for: what its authors recommend for unconditional
/// sampling.
const RECOMMENDED: [(&str, usize); 10] = [
    // As behind the numbers of DEIS-SN's paper (arXiv 2311.00157): its configurations say 3, but its sampling script never
    // passes that on. DEIS's own authors have 3 (tAB3-DEIS).
    ("deis", 2),
    // `ab_order` for `t_ab` and `rho_ab` in the README of DEIS's authors (github.com/qsh-zh/deis).
    ("deis-rho", 3),
    // The default `solver_order` of diffusers' DEISMultistepScheduler, where this DEIS comes from.
    ("deis-log-rho", 2),
    // The order of PNDM's formula (arXiv 2202.09778), which iPNDM keeps (arXiv 2204.13902).
    ("ipndm", 4),
    // The order of its authors' tables (the README of github.com/zju-pi/diff-sampler).
    ("ipndm-v", 4),
    // The README of DPM-Solver's authors (github.com/LuChengTHU/dpm-solver): singlestep on noise predictions with order 3.
    ("dpm-solver", 3),
    // The same README: "the 3rd-order (dpmsolver or dpmsolver++, multistep)" one for unconditional sampling.
    ("dpm-solver-m", 3),
    // The same README: multistep on data predictions with order 2; so has their paper's algorithm 2, and diffusers by default.
    ("dpm-solver++m", 2),
    // diffusers' documentation of UniPCMultistepScheduler, which UniPC's authors wrote: 3, and 2 for guided sampling.
    ("unipc-bh1", 3),
    ("unipc-bh2", 3),
];

/// The recommended order of what is called `name`, without any `-sn`; none where there is no choice. A corrected
/// method's, and one's with lowered orders, is that of the method alone.
pub(super) fn recommended(name: &str) -> Option<usize> {
    let name = [names::UNIC, names::LOF].into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    RECOMMENDED.iter().find(|(known, _)| *known == name).map(|&(_, order)| order)
}

impl Solver {
    /// Every solver with every order, each once; those of one name together, by ascending order.
    pub fn all() -> Vec<Solver> {
        let deis = |variable| (0..=MAX_ORDER).map(move |order| Solver::Deis { order, variable });
        let mut all = vec![Solver::Euler, Solver::Ddim];
        all.extend(deis(Variable::Time));
        all.extend(deis(Variable::Rho));
        // Its order 3 is nowhere published.
        all.extend(deis(Variable::LogRho).take(3));
        all.extend([Tableau::Midpoint, Tableau::Heun, Tableau::Kutta, Tableau::Classical].map(Solver::RhoRk));
        all.extend((1..=4).map(|order| Solver::Ipndm { order }));
        all.extend((1..=4).map(|order| Solver::IpndmV { order }));
        all.extend((1..=3).map(|order| Solver::DpmSolver { order }));
        all.extend((1..=3).map(|order| Solver::DpmSolverM { order }));
        all.extend((1..=3).map(|order| Solver::DpmSolverPpM { order }));
        all.push(Solver::DpmSolverPpS);
        all.extend([B::H, B::Exp].into_iter().flat_map(|b| (1..=3).map(move |order| Solver::UniPc { order, b })));
        for of in [Lowered::DpmSolverM, Lowered::DpmSolverPpM, Lowered::UniPc(B::H), Lowered::UniPc(B::Exp)] {
            all.extend((2..=3).map(|order| Solver::LowerOrderFinal { of, order }));
        }
        for (predictor, orders) in [
            (Predictor::Deis, 0..=MAX_ORDER),
            (Predictor::DeisRho, 0..=MAX_ORDER),
            (Predictor::DeisLogRho, 0..=2),
            (Predictor::Ipndm, 1..=4),
            (Predictor::DpmSolverM, 1..=3),
            (Predictor::DpmSolverPpM, 1..=3),
            (Predictor::IpndmV, 1..=4),
            (Predictor::DpmSolver, 1..=3),
            (Predictor::DpmSolverPpS, 2..=2),
        ] {
            all.extend(orders.map(|order| Solver::UniC { predictor, order }));
        }
        all.push(Solver::DcSolver { ratio: 0.9 });
        all.extend([2, 3].map(|k| Solver::RxDdim { k }));
        // The six of the paper.
        all.extend((1..=3).flat_map(|k| (1..=k).map(move |l| Solver::PfDiff { k, l })));
        all.extend([Solver::EdmEuler, Solver::EdmHeun]);
        all.extend([Solver::Ddpm, Solver::StochasticDdim { eta: 0.5 }]);
        all
    }

    /// What is known of it.
    pub fn traits(self) -> Traits {
        let traits = |name: &str, label: String, order, convergence| Traits {
            name: name.into(),
            label,
            order,
            convergence,
            refuses_normaliser: None,
            predicts_data: false,
        };
        let data = |traits| Traits { predicts_data: true, ..traits };
        let stochastic = |traits| Traits { refuses_normaliser: Some(STOCHASTIC), ..data(traits) };
        match self {
            Solver::Euler => Traits { refuses_normaliser: Some(EULER), ..traits("euler", "Euler".into(), 0, 1) },
            Solver::Ddim => data(traits("ddim", "DDIM".into(), 0, 1)),
            Solver::StochasticDdim { eta } => {
                stochastic(traits(&format!("ddim-eta-{eta}"), format!("DDIM η={eta}"), 0, 0))
            }
            Solver::Ddpm => stochastic(traits("ddpm", "DDPM".into(), 0, 0)),
            Solver::Deis { order, variable: Variable::Time } => {
                traits("deis", format!("DEIS-{order}"), order, order + 1)
            }
            Solver::Deis { order, variable: Variable::Rho } => {
                traits("deis-rho", format!("ρAB-DEIS-{order}"), order, order + 1)
            }
            Solver::Deis { order, variable: Variable::LogRho } => {
                traits("deis-log-rho", format!("log-ρ-DEIS-{order}"), order, order + 1)
            }
            Solver::RhoRk(Tableau::Midpoint) => traits("rho-midpoint", "ρ-midpoint".into(), 2, 2),
            Solver::RhoRk(Tableau::Heun) => traits("rho-heun", "ρ-Heun".into(), 2, 2),
            Solver::RhoRk(Tableau::Kutta) => traits("rho-kutta", "ρ-Kutta".into(), 3, 3),
            Solver::RhoRk(Tableau::Classical) => traits("rho-rk4", "ρ-RK4".into(), 4, 4),
            Solver::Ipndm { order } => traits("ipndm", format!("iPNDM-{order}"), order, order),
            Solver::IpndmV { order } => {
                // The weights of its order 4 do not add up to 1: see its file.
                traits("ipndm-v", format!("iPNDM_v-{order}"), order, if order == 4 { 2 } else { order })
            }
            Solver::DpmSolver { order } => traits("dpm-solver", format!("DPM-Solver-{order}"), order, order),
            Solver::DpmSolverM { order } => {
                // As DPM-Solver++(3M).
                traits("dpm-solver-m", format!("DPM-Solver({order}M)"), order, order.min(2))
            }
            Solver::DpmSolverPpM { order } => {
                // 3M is of order 2: see its file.
                data(traits("dpm-solver++m", format!("DPM-Solver++({order}M)"), order, order.min(2)))
            }
            Solver::DpmSolverPpS => data(traits("dpm-solver++s", "DPM-Solver++(2S)".into(), 2, 2)),
            Solver::UniPc { order, b: B::H } => {
                data(traits("unipc-bh1", format!("UniPC-{order} bh1"), order, order + 1))
            }
            Solver::UniPc { order, b: B::Exp } => {
                data(traits("unipc-bh2", format!("UniPC-{order} bh2"), order, order + 1))
            }
            Solver::LowerOrderFinal { of, order } => {
                let alone = of.solver(order).traits();
                Traits {
                    name: alone.name + names::LOF,
                    label: alone.label + names::LOF_LABEL,
                    // The last step's error is of order h², once.
                    convergence: alone.convergence.min(2),
                    ..alone
                }
            }
            Solver::UniC { predictor, order } => {
                let alone = predictor.solver(order).traits();
                Traits {
                    name: alone.name + names::UNIC,
                    label: alone.label + "+UniC",
                    // DPM-Solver-3 ends with a step of order 2 where two calls are left over.
                    convergence: if predictor == Predictor::DpmSolver {
                        3.min(order + 1)
                    } else {
                        alone.convergence + 1
                    },
                    ..alone
                }
            }
            Solver::DcSolver { ratio } => {
                let label = format!("DC-Solver({ratio})");
                // A prediction taken at another time than its own.
                data(traits(&format!("{}{ratio}", names::DC), label, dc_solver::ORDER, 1))
            }
            Solver::RxDdim { k } => traits(&format!("rx-ddim-{k}"), format!("RX-DDIM({k})"), 0, 2),
            Solver::PfDiff { k: 1, .. } => traits("pfdiff-1", "PFDiff-1".into(), 0, 2),
            Solver::PfDiff { k, l } => {
                // Of order 2 where the springboard is halfway.
                traits(&format!("pfdiff-{k}-{l}"), format!("PFDiff-{k}_{l}"), 0, if 2 * l == k + 1 { 2 } else { 1 })
            }
            Solver::EdmEuler => data(traits("edm-euler", "EDM Euler".into(), 1, 1)),
            Solver::EdmHeun => data(traits("edm-heun", "EDM Heun".into(), 2, 2)),
        }
    }
}
