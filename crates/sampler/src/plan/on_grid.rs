//! Whether a plan is on a grid, whatever it says itself.

use super::Plan;
use crate::{Grid, Method, Request, Schedule};

/// How far a level may lie from the grid's, relatively: those of a plan that went through y are off by rounding.
const APART: f64 = 1e-7;
/// The same near 0.
const NEAR_ZERO: f64 = 1e-12;

impl Plan {
    /// Whether its levels are those of `grid`; or, as singlestep methods have stages at levels of their own between them, those that
    /// a method of its name has there.
    pub fn is_on(&self, grid: &Grid, schedule: &Schedule) -> bool {
        let mut levels = self.tau.clone();
        levels.dedup();
        // Behind the end of such a grid is the last step to 0.
        let denoised = !grid.denoises() || levels.pop() == Some(0.0);
        let times = grid.times(levels.len().saturating_sub(1), schedule).unwrap_or_default();
        denoised && same(&levels, &times)
            || self.of_its_name(grid, schedule).is_some_and(|times| same(&self.tau, &times))
    }

    /// Levels of the method that it is called after, which need no normaliser.
    fn of_its_name(&self, grid: &Grid, schedule: &Schedule) -> Option<Vec<f64>> {
        let plain = self.method.strip_suffix(" AFS");
        let method = Method::new(plain.unwrap_or(&self.method), Some(self.order).filter(|order| *order > 0)).ok()?;
        let request = Request { afs: plain.is_some(), ..Request::new(schedule, grid, self.nfe) };
        method.plan(&request).ok().map(|plan| plan.tau)
    }
}

fn same(levels: &[f64], times: &[f64]) -> bool {
    let near = |(level, time): (&f64, &f64)| (level - time).abs() <= APART * time + NEAR_ZERO;
    times.len() == levels.len() && levels.iter().zip(times).all(near)
}
