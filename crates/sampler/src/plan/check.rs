//! What every plan file must hold to.

use super::{Levels, PlanFile, Step};
use crate::{Error, Result, Schedule};

/// Most steps: the levels of a schedule, and stages between them.
const MAX_STEPS: usize = 4000;
/// Longest name.
pub(super) const MAX_NAME: usize = 200;
/// How far a timestep may lie from τT − 1: files of single precision are off by so much.
const TIMESTEP: f64 = 1e-3;

impl PlanFile {
    /// Whether it can run.
    ///
    /// # Errors
    /// Naming the field, what it holds, and what was expected.
    pub fn check(&self) -> Result<()> {
        self.names().and_then(|()| self.levels()).and_then(|()| self.all_steps()).map_err(Error::Request)
    }

    /// Whether the timesteps that a file gives are those of its evaluations.
    pub(super) fn timesteps(&self, given: &[f64]) -> Flawed {
        let Levels::X { schedule, tau } = &self.levels else {
            return Err("timestep is for variable x, whose schedule has them".into());
        };
        if given.len() != self.steps.len() {
            return Err(format!("timestep has {} entries; {} steps have as many", given.len(), self.steps.len()));
        }
        // No schedule's timesteps depend on the images' side.
        let Some(schedule) = Schedule::named(schedule, 1) else { return Ok(()) };
        for (k, (step, &given)) in self.steps.iter().zip(given).enumerate() {
            let expected = schedule.timestep(step.at.unwrap_or(tau[k]));
            if (given - expected).abs() > TIMESTEP {
                return Err(format!("timestep[{k}] is {given:?}; expected {expected:?}, which is tau T - 1"));
            }
        }
        Ok(())
    }

    fn names(&self) -> Flawed {
        for (field, name, least) in [("method", &self.method, 1), ("grid", &self.grid, 0)] {
            let characters = name.chars().count();
            if !(least..=MAX_NAME).contains(&characters) {
                return Err(format!("{field} has {characters} characters; expected one line of {least} to {MAX_NAME}"));
            }
            if name.chars().any(char::is_control) {
                return Err(format!(
                    "{field} is '{}'; expected one line of {least} to {MAX_NAME} characters",
                    name.escape_debug()
                ));
            }
        }
        match &self.levels {
            Levels::X { schedule, .. } if !Schedule::NAMES.contains(&schedule.as_str()) => Err(format!(
                "schedule: no schedule '{}'; expected {}",
                schedule.escape_debug(),
                Schedule::NAMES.join(", ")
            )),
            _ => Ok(()),
        }
    }

    fn levels(&self) -> Flawed {
        let (name, levels, steps) = (self.levels.name(), self.levels.values(), self.steps.len());
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(format!("steps has {steps} entries; expected 1 to {MAX_STEPS}"));
        }
        if levels.len() != steps + 1 {
            let (found, wanted) = (levels.len(), steps + 1);
            return Err(format!("{name} has {found} entries; {steps} steps have {wanted}, the last one the end"));
        }
        for (k, &level) in levels.iter().enumerate() {
            self.level(&format!("{name}[{k}]"), level, true)?;
        }
        if let Some(k) = (0..steps).find(|&k| levels[k + 1] > levels[k]) {
            return Err(format!("{name} rises: {:?} is followed by {:?} at {}", levels[k], levels[k + 1], k + 1));
        }
        if self.nfe() == 0 {
            return Err("no step evaluates the network; expected one without afs".into());
        }
        finite("start", self.start.unwrap_or(1.0))
    }

    /// A level of this variable.
    fn level(&self, place: &str, level: f64, end: bool) -> Flawed {
        finite(place, level)?;
        let most = if matches!(self.levels, Levels::X { .. }) { 1.0 } else { f64::MAX.sqrt() };
        let inside = (0.0..=most).contains(&level) && (end || level > 0.0);
        let (least, most) =
            (if end { "0" } else { "above 0" }, if most == 1.0 { "1".into() } else { format!("{most:e}") });
        if inside { Ok(()) } else { Err(format!("{place} is {level:?}; expected {least} to {most}")) }
    }

    fn all_steps(&self) -> Flawed {
        self.steps.iter().enumerate().try_for_each(|(k, step)| self.step(k, step))
    }

    fn step(&self, k: usize, step: &Step) -> Flawed {
        let of = |field: &str| format!("steps[{k}].{field}");
        for (field, factors, there, what) in
            [("b", &step.b, k, "earlier states"), ("c", &step.c, k + 1, "predictions so far")]
        {
            if factors.len() > there {
                let found = factors.len();
                return Err(format!("{} has {found} entries; there are {there} {what}", of(field)));
            }
            factors.iter().enumerate().try_for_each(|(j, &factor)| finite(&format!("{}[{j}]", of(field)), factor))?;
        }
        for (field, value) in [("a", step.a), ("noise", step.noise), ("input", step.input)] {
            finite(&of(field), value)?;
        }
        if step.noise < 0.0 {
            return Err(format!("{} is {:?}; expected a standard deviation, from 0 on", of("noise"), step.noise));
        }
        match step.afs {
            // The level of the state stands for it; no network sees it.
            Some(w) => finite(&of("afs"), w)?,
            None if step.input == 0.0 => return Err(format!("{} is 0; the network would see nothing", of("input"))),
            None => {}
        }
        let name = self.levels.name();
        let level = step.at.unwrap_or(self.levels.values()[k]);
        if step.afs.is_some() && level == 0.0 && !self.threshold.is_none() {
            let place = step.at.map_or(format!("{name}[{k}]"), |_| of("at"));
            return Err(format!("{place} is 0; a data prediction that is thresholded expects noise, of afs too"));
        }
        match step.at {
            Some(at) => self.level(&of("at"), at, false),
            None if step.afs.is_some() => Ok(()),
            None => self.level(&format!("{name}[{k}], where a network is evaluated,"), self.levels.values()[k], false),
        }
    }
}

/// Why a file is no plan.
type Flawed = std::result::Result<(), String>;

fn finite(place: &str, value: f64) -> Flawed {
    if value.is_finite() { Ok(()) } else { Err(format!("{place} is {value}; expected a finite number")) }
}
