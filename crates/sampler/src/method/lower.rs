//! Orders that are lowered at the end of a grid, the authors' `lower_order_final`: a step is of no higher order than steps
//! are left. Every multistep method in λ does so towards λ = ∞; the ones here, named `…-lof`, also where the grid ends above
//! τ = 0, as diff-sampler's DPM-Solver++ and UniPC do by default (github.com/zju-pi/diff-sampler).

use super::{B, Made, Solver, dpm_solver_m, dpm_solver_pp, unipc};
use crate::flow::{Flow, Node};

/// Where a method lowers its orders at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lower {
    /// Where the grid ends at τ = 0, λ = ∞.
    AtZero,
    /// Wherever the grid ends.
    AtAnyEnd,
}

/// A multistep method whose orders are lowered wherever the grid ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lowered {
    /// DPM-Solver, multistep.
    DpmSolverM,
    /// DPM-Solver++, multistep.
    DpmSolverPpM,
    /// UniPC.
    UniPc(B),
}

impl Lowered {
    /// The method of this order that keeps its orders at ends above τ = 0.
    pub fn solver(self, order: usize) -> Solver {
        match self {
            Lowered::DpmSolverM => Solver::DpmSolverM { order },
            Lowered::DpmSolverPpM => Solver::DpmSolverPpM { order },
            Lowered::UniPc(b) => Solver::UniPc { order, b },
        }
    }
}

/// The method's plan. Its last step is of order 1 and the one before at most of order 2.
pub(super) fn make(flow: Flow, tau: &[f64], of: Lowered, order: usize) -> Made {
    match of {
        Lowered::DpmSolverM => dpm_solver_m::make(flow, tau, order, Lower::AtAnyEnd),
        Lowered::DpmSolverPpM => dpm_solver_pp::multi(flow, tau, order, Lower::AtAnyEnd),
        Lowered::UniPc(b) => unipc::make(flow, tau, order, b, Lower::AtAnyEnd),
    }
}

/// The order of a step that starts from the last of `nodes`: as many predictions as there are, and where the end is
/// lowered as many as steps are left.
pub(super) fn lowered(order: usize, nodes: &[Node], tau: &[f64], lower: Lower) -> usize {
    let ends = lower == Lower::AtAnyEnd || tau[tau.len() - 1] == 0.0;
    let left = if ends { tau.len() - nodes.len() } else { usize::MAX };
    order.min(nodes.len()).min(left)
}
