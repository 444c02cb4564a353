//! Whether a plan is on a grid, whatever it says itself.

use super::Plan;
use crate::{Grid, Schedule};

/// How far a level may lie from the grid's, relatively: those of a plan that went through y are off by rounding.
const APART: f64 = 1e-7;
/// The same near 0.
const NEAR_ZERO: f64 = 1e-12;
/// Most stages of a step: those of classical Runge–Kutta.
const MAX_STAGES: usize = 4;

impl Plan {
    /// Whether `grid` has its levels: all of them, as those of multistep methods are, or those of its steps' ends, between which
    /// singlestep methods have stages at levels of their own.
    pub fn is_on(&self, grid: &Grid, schedule: &Schedule) -> bool {
        let same = |mut levels: Vec<f64>| {
            // Behind the grid's own end is the last step to 0.
            if grid.denoises() && levels.pop() != Some(0.0) {
                return false;
            }
            let times = grid.times(levels.len().saturating_sub(1), schedule).unwrap_or_default();
            let near = |(level, time): (&f64, &f64)| (level - time).abs() <= APART * time + NEAR_ZERO;
            times.len() == levels.len() && levels.iter().zip(&times).all(near)
        };
        let mut all = self.tau.clone();
        all.dedup();
        let ends = self.ends();
        // One step has but its first and last level, which most grids share, and which any multistep method's run is one of.
        let steps = ends.len() > 2 && ends.windows(2).all(|pair| pair[1] - pair[0] <= MAX_STAGES);
        same(all) || (steps && same(ends.iter().map(|&k| self.tau[k]).collect()))
    }

    /// The states that everything after them is made of with nothing from before them, x_T and the last among them.
    fn ends(&self) -> Vec<usize> {
        let n = self.steps.len();
        // Of each step the earliest state that it needs: one that it is made of, or that a prediction of its was made of.
        let earliest = |k: usize| {
            let reach = |factors: &[f64]| factors.iter().rposition(|factor| *factor != 0.0);
            let state = reach(&self.steps[k].b).map_or(k, |j| k - 1 - j);
            state.min(reach(&self.steps[k].c).map_or(k, |j| k - j))
        };
        let (mut least, mut ends) = (n, vec![n]);
        for k in (0..n).rev() {
            least = least.min(earliest(k));
            if least >= k {
                ends.push(k);
            }
        }
        ends.reverse();
        ends
    }
}
