//! Plans from files and files from plans, in x and in y = x/√ᾱ.
//!
//! Where the new state of step k is s_k times the old one, x_{k+1} = a x_k + Σ b_j x_{k−1−j} + Σ c_j ε_{k−j} has the new factors
//! a s_{k+1}/s_k, b_j s_{k+1}/s_{k−1−j} and c_j s_{k+1}; s is √ᾱ from y to x, and 1/√ᾱ from x to y.

use super::{Levels, Plan, PlanFile, Step, check::MAX_NAME, read::SIZED};
use crate::{Error, Result, Schedule};

/// How far above a schedule's largest noise level a plan may begin, relatively: rounding.
pub(crate) const ABOVE: f64 = 1e-9;

impl PlanFile {
    /// The file of a plan in x, whose schedule has this name.
    pub fn of(plan: &Plan, schedule: &str) -> Self {
        PlanFile {
            method: plan.method.clone(),
            order: plan.order,
            grid: match plan.grid.chars().count() {
                // A list of many times says itself, and once is enough.
                long if long > MAX_NAME => format!("{} times", plan.tau.len()),
                _ => plan.grid.clone(),
            },
            threshold: plan.threshold,
            levels: Levels::X { schedule: schedule.to_owned(), tau: plan.tau.clone() },
            start: Some(plan.start).filter(|start| *start != 1.0),
            steps: plan.steps.clone(),
            provenance: None,
        }
    }

    /// Of a plan on `schedule`, which is called `name`: in x, or in y where no file in x can be on it.
    pub fn on(plan: &Plan, schedule: &Schedule, name: &str) -> Self {
        let file = PlanFile::of(plan, name);
        if name == SIZED { file.in_y(schedule) } else { file }
    }

    /// The same plan in y; `schedule` is the one that the file names, and is not asked where the file is in y.
    pub fn in_y(&self, schedule: &Schedule) -> Self {
        let Levels::X { tau, .. } = &self.levels else { return self.clone() };
        let alpha = |tau: f64| schedule.alpha_bar(tau).sqrt();
        let scale: Vec<f64> = tau.iter().map(|&tau| 1.0 / alpha(tau)).collect();
        let steps = self.steps.iter().enumerate().map(|(k, step)| Step {
            // The network is given √ᾱ(at) · input · y.
            input: step.at.map_or(step.input, |at| step.input * alpha(tau[k]) / alpha(at)),
            at: step.at.map(|at| schedule.rho(at)),
            ..rescaled(k, step, &scale)
        });
        PlanFile {
            levels: Levels::Y { sigma: tau.iter().map(|&tau| schedule.rho(tau)).collect() },
            start: self.start.map(|start| start * scale[0]),
            steps: steps.collect(),
            ..self.clone()
        }
    }

    /// The plan on `schedule`, which is called `name`.
    ///
    /// # Errors
    /// Where the file is in x on another schedule, or in y with noise that the schedule has not.
    pub fn plan(&self, schedule: &Schedule, name: &str) -> Result<Plan> {
        self.check()?;
        let x = match &self.levels {
            Levels::X { schedule: own, .. } if own != name => {
                return Err(Error::Request(format!(
                    "the plan is in x on schedule '{own}', and cannot run on '{name}'; in y it could (fewstep plan --variable y)"
                )));
            }
            _ => self.in_x(schedule, name)?,
        };
        let tau = x.levels.values().to_vec();
        let timestep = x.steps.iter().zip(&tau).map(|(step, &tau)| schedule.timestep(step.at.unwrap_or(tau))).collect();
        Ok(Plan {
            nfe: x.nfe(),
            start: x.start.unwrap_or(1.0),
            tau,
            timestep,
            method: x.method,
            order: x.order,
            grid: x.grid,
            threshold: x.threshold,
            steps: x.steps,
        })
    }

    /// The same plan in x on `schedule`, which is called `name`; a file in x stays what it is.
    ///
    /// # Errors
    /// Where the file has noise that the schedule has not.
    pub fn in_x(&self, schedule: &Schedule, name: &str) -> Result<Self> {
        let Levels::Y { sigma } = &self.levels else { return Ok(self.clone()) };
        let most = schedule.rho(1.0);
        let evaluated =
            self.steps.iter().enumerate().filter_map(|(k, step)| Some((format!("steps[{k}].at"), step.at?)));
        let levels = sigma.iter().enumerate().map(|(k, &sigma)| (format!("sigma[{k}]"), sigma)).chain(evaluated);
        for (place, level) in levels {
            if level > most * (1.0 + ABOVE) {
                return Err(Error::Request(format!(
                    "{place} is {level:?}; the noise of schedule '{name}' ends at {most:?}"
                )));
            }
        }
        let time = |sigma: f64| if sigma < most { schedule.tau_of_rho(sigma) } else { 1.0 };
        for (k, step) in self.steps.iter().enumerate().filter(|(_, step)| step.afs.is_none()) {
            let (place, level) = step.at.map_or((format!("sigma[{k}]"), sigma[k]), |at| (format!("steps[{k}].at"), at));
            if time(level) <= 0.0 {
                return Err(Error::Request(format!(
                    "{place} is {level:?}, where a network is evaluated; schedule '{name}' has no time for so little noise"
                )));
            }
        }
        let tau: Vec<f64> = sigma.iter().map(|&sigma| time(sigma)).collect();
        let alpha = |tau: f64| schedule.alpha_bar(tau).sqrt();
        let scale: Vec<f64> = tau.iter().map(|&tau| alpha(tau)).collect();
        let steps = self.steps.iter().enumerate().map(|(k, step)| {
            let at = step.at.map(time);
            // The network is given input · x, which is to be √ᾱ(at) times that of y.
            let input = at.map_or(step.input, |at| step.input * alpha(at) / scale[k]);
            Step { at, input, ..rescaled(k, step, &scale) }
        });
        let x = PlanFile {
            start: self.start.map(|start| start * scale[0]),
            steps: steps.collect(),
            levels: Levels::X { schedule: name.to_owned(), tau },
            ..self.clone()
        };
        x.check()?;
        Ok(x)
    }
}

/// Step `k` between states that are `scale` times the old ones.
fn rescaled(k: usize, step: &Step, scale: &[f64]) -> Step {
    let to = scale[k + 1];
    Step {
        a: step.a * (to / scale[k]),
        b: step.b.iter().zip(scale[..k].iter().rev()).map(|(b, from)| b * (to / from)).collect(),
        c: step.c.iter().map(|c| c * to).collect(),
        noise: step.noise * to,
        ..step.clone()
    }
}
