//! What was tried within a search, so that one that was ended on its way goes on from there.

use crate::{
    Result,
    search::Valued,
    stages::Stage,
    student::{Levels, Student},
};
use fewstep_sampler::Plan;

/// A place, and what was found there.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The numbers that were tried.
    pub at: Vec<f64>,
    /// What they are worth, or what came of them.
    pub found: Vec<f64>,
}

/// Trials of one search in their order. A search does the same every time, so that those of an earlier run are its first; from the first on that is
/// of other numbers they are forgotten.
pub struct Trials<'a> {
    all: Vec<Trial>,
    next: usize,
    keep: &'a dyn Fn(&[Trial]) -> Result<()>,
}

impl<'a> Trials<'a> {
    /// After those of an earlier run; `keep` is given all of them after every new one.
    pub fn after(before: Vec<Trial>, keep: &'a dyn Fn(&[Trial]) -> Result<()>) -> Self {
        Trials { all: before, next: 0, keep }
    }

    /// What an earlier run found at these numbers, if they were its next.
    pub fn known(&mut self, at: &[f64]) -> Option<Vec<f64>> {
        match self.all.get(self.next) {
            Some(trial) if trial.at == at => {
                self.next += 1;
                Some(trial.found.clone())
            }
            _ => {
                self.all.truncate(self.next);
                None
            }
        }
    }

    /// What was not known.
    ///
    /// # Errors
    /// Where it cannot be kept.
    pub fn add(&mut self, at: Vec<f64>, found: Vec<f64>) -> Result<()> {
        self.all.push(Trial { at, found });
        self.next = self.all.len();
        (self.keep)(&self.all)
    }

    /// What the plan that `fitted` gives on other levels is worth (no number where it diverges), and the plan if it is better than `best`. What an
    /// earlier run found to be no better is not computed again.
    ///
    /// # Errors
    /// Those of `fitted`; where a trial cannot be kept.
    pub(crate) fn better(
        &mut self,
        levels: Levels,
        best: &Valued,
        fitted: impl FnOnce(Levels, &Student) -> Result<Option<Valued>>,
    ) -> Result<(f64, Option<Valued>)> {
        let at = [&*levels.tau, &*levels.at].concat();
        let worth = |found: &[f64]| found.first().copied().unwrap_or(f64::NAN);
        let known = self.known(&at).as_deref().map(worth);
        if let Some(value) = known.filter(|&value| value.is_nan() || value >= best.value) {
            return Ok((value, None));
        }
        let found = fitted(levels, &best.student)?;
        let value = found.as_ref().map_or(f64::NAN, |found| found.value);
        if known.is_none() {
            self.add(at, vec![value])?;
        }
        Ok((value, found.filter(|_| value < best.value)))
    }
}

/// What a fit that was ended before left, and what this one leaves.
pub trait Journal {
    /// The plan of a stage that was finished, with its note and condition.
    fn finished(&self, stage: Stage) -> Option<(Plan, String, f64)>;

    /// Trials of a stage that was not.
    fn trials(&self, stage: Stage) -> Vec<Trial>;

    /// Hears of all of a stage's trials after every new one.
    ///
    /// # Errors
    /// Where they cannot be kept.
    fn tried(&self, stage: Stage, all: &[Trial]) -> Result<()>;
}

/// Nothing is left.
impl Journal for () {
    fn finished(&self, _: Stage) -> Option<(Plan, String, f64)> {
        None
    }

    fn trials(&self, _: Stage) -> Vec<Trial> {
        Vec::new()
    }

    fn tried(&self, _: Stage, _: &[Trial]) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_known_as_long_as_they_are_the_same() {
        let trial = |at: f64| Trial { at: vec![at], found: vec![10.0 * at] };
        let kept = std::cell::RefCell::new(Vec::new());
        let keep = |all: &[Trial]| {
            *kept.borrow_mut() = all.to_vec();
            Ok(())
        };
        let mut trials = Trials::after([1.0, 2.0, 3.0].map(trial).into(), &keep);
        assert_eq!(trials.known(&[1.0]), Some(vec![10.0]));
        assert_eq!(trials.known(&[5.0]), None);
        trials.add(vec![5.0], vec![50.0]).unwrap();
        // What came after was of another search.
        assert_eq!(trials.known(&[3.0]), None);
        assert_eq!(*kept.borrow(), [1.0, 5.0].map(trial));
    }
}
