//! UniC after any predictor (Zhao et al. 2023, arXiv 2302.04867, algorithm 1): a state is corrected once its prediction
//! is known, which costs no call, and the method goes on from the corrected one. UniC-p makes a method of order p one
//! of order p + 1. Nobody has published it after singlestep methods: here it corrects the ends of their steps once p
//! steps were made, between the ends alone. The state at the end of the grid is left as it is, as its prediction is not known.

use super::{B, Lower, Made, Solver, Variable, unipc};
use crate::{
    Linear,
    flow::{Flow, Next, Node},
};

/// A method that is corrected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Predictor {
    /// tAB-DEIS.
    Deis,
    /// ρAB-DEIS.
    DeisRho,
    /// The DEIS of diffusers.
    DeisLogRho,
    /// iPNDM.
    Ipndm,
    /// iPNDM with the weights of variable steps, as published.
    IpndmV,
    /// DPM-Solver, singlestep.
    DpmSolver,
    /// DPM-Solver, multistep.
    DpmSolverM,
    /// DPM-Solver++, multistep.
    DpmSolverPpM,
    /// DPM-Solver++(2S).
    DpmSolverPpS,
}

impl Predictor {
    /// The method of this order alone.
    pub fn solver(self, order: usize) -> Solver {
        match self {
            Predictor::Deis => Solver::Deis { order, variable: Variable::Time },
            Predictor::DeisRho => Solver::Deis { order, variable: Variable::Rho },
            Predictor::DeisLogRho => Solver::Deis { order, variable: Variable::LogRho },
            Predictor::Ipndm => Solver::Ipndm { order },
            Predictor::IpndmV => Solver::IpndmV { order },
            Predictor::DpmSolver => Solver::DpmSolver { order },
            Predictor::DpmSolverM => Solver::DpmSolverM { order },
            Predictor::DpmSolverPpM => Solver::DpmSolverPpM { order },
            Predictor::DpmSolverPpS => Solver::DpmSolverPpS,
        }
    }

    /// The p of UniC-p: the predictions that the method looks back on.
    pub(super) fn corrector(self, order: usize) -> usize {
        match self {
            Predictor::Deis | Predictor::DeisRho | Predictor::DeisLogRho => order + 1,
            _ => order,
        }
    }
}

/// The predictor with each state corrected by UniC-p with B₂(h) = e^h − 1, in the form of its predictions: noise, or
/// data.
pub(super) fn make(flow: Flow, tau: &[f64], predictor: Predictor, order: usize) -> Made {
    let (p, times) = (predictor.corrector(order), tau.to_vec());
    let data = matches!(predictor, Predictor::DpmSolverPpM | Predictor::DpmSolverPpS);
    let solver = predictor.solver(order);
    if !solver.is_multistep() {
        // Interpolated between where steps began, whose states are of the method's order; those of its stages are of less. With
        // fewer than p of them it would be of no higher order than the step itself, and would only take the place of its stages.
        let ends = move |earlier: &[Node], end: &Node| (earlier.len() >= p).then(|| corrected(earlier, end, p, data));
        return solver.make(flow.with_ends_corrected(Box::new(ends)), tau);
    }
    let corrector = move |next: &mut Next, flow: &Flow, nodes: &[Node], target: f64| {
        let node = &nodes[nodes.len() - 1];
        let y = next(flow, nodes, target);
        let earlier = &nodes[..nodes.len() - 1];
        if earlier.is_empty() {
            return y;
        }
        // Predictor and corrector take the state they start from with the same factor: what the one adds to the other
        // does not depend on it, nor on whether it was corrected itself.
        let order = super::lowered(p, earlier, &times, Lower::AtZero);
        let correction = corrected(earlier, node, order, data) - next(flow, earlier, node.tau);
        let factor = if data { flow.rho(target) / node.rho } else { 1.0 };
        y + correction * factor
    };
    solver.make(flow.with_corrector(Box::new(corrector)), tau)
}

/// UniC over the step from the last of `earlier` to `end`.
fn corrected(earlier: &[Node], end: &Node, order: usize, data: bool) -> Linear {
    let (node, rho) = (&earlier[earlier.len() - 1], end.rho);
    let sum = |sign: f64, prediction: fn(&Node) -> Linear| {
        unipc::differences(earlier, rho, order, B::Exp, Some(end), sign, prediction)
    };
    match data {
        true => &node.y * (rho / node.rho) - node.data() * (rho / node.rho - 1.0) - sum(-1.0, Node::data),
        false => node.y.clone() + &node.n * (rho - node.rho) - sum(1.0, |node| node.n.clone()) * rho,
    }
}
