//! Score normalisation at its best: the curve r(τ) under which a normalised method is nearest to the network's solutions.
//!
//! The paper takes mean |ε| for r (arXiv 2311.00157, section 3). Here its logarithm is a few numbers, one curve for all numbers of
//! evaluations, found by coordinate search from two beginnings: r = 1, which is the method without it, and the values of the paper's there.

use fewstep_sampler::{Grid, Method, Normaliser, Plan, Request, Schedule};

use crate::{
    Error, Result,
    objective::Target,
    student::{Levels, Student},
    teacher::{Epsilon, Teacher},
    trials::Trials,
};

/// Numbers of the curve: ln r at equal steps of ln ρ, linear between.
const KNOTS: usize = 7;
/// How far they are moved, one after another.
const MOVES: [f64; 4] = [0.4, 0.2, 0.1, 0.05];
/// Times at which the curve is written down.
const POINTS: usize = 250;

/// A normalised method, and how it is run.
pub struct Normalised<'a> {
    /// Without its normaliser.
    pub method: Method,
    /// Its grid.
    pub grid: &'a Grid,
    /// Numbers of evaluations that share the curve.
    pub nfe: &'a [usize],
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Curve {
    /// r(τ), with a geometric mean over the numbers of 1: a factor of it changes nothing.
    pub normaliser: Normaliser,
    /// Of each number of evaluations: its plan with this curve.
    pub plans: Vec<Plan>,
    /// ln of the objective, mean over the numbers of evaluations: with r = 1, with the paper's curve, and with this one.
    pub value: [f64; 3],
}

impl Normalised<'_> {
    /// What a search is made of, for keys: its numbers, and the plans with the curve that it begins with.
    ///
    /// # Errors
    /// Where the method cannot be normalised.
    pub fn made_of(&self, own: &Normaliser, schedule: &Schedule) -> Result<(String, Vec<Plan>)> {
        let plans = self.nfe.iter().map(|&nfe| self.plan(nfe, Some(own), schedule)).collect::<Result<_>>()?;
        Ok((format!("{KNOTS} {MOVES:?} {POINTS}"), plans))
    }

    /// Curves that are tried, about: for the time left only.
    pub const TRIALS: u64 = (2 * KNOTS * 2 * MOVES.len() * 3 / 2) as u64;

    /// With a normaliser, or without.
    ///
    /// # Errors
    /// Where the method cannot be normalised.
    pub fn plan(&self, nfe: usize, normaliser: Option<&Normaliser>, schedule: &Schedule) -> Result<Plan> {
        let method = Method { normalise: normaliser.is_some(), ..self.method };
        Ok(method.plan(&Request { normaliser, ..Request::new(schedule, self.grid, nfe) })?)
    }

    /// Mean over the numbers of evaluations of ln of the objective.
    fn value(
        &self,
        normaliser: Option<&Normaliser>,
        teacher: &Teacher,
        target: &Target,
        network: &Epsilon,
        first: &mut Option<Student>,
    ) -> Result<f64> {
        let mut sum = 0.0;
        for &nfe in self.nfe {
            let plan = self.plan(nfe, normaliser, teacher.schedule())?;
            let student = Student::run(Levels::of_plan(&plan), plan.steps, teacher.start(), first.as_ref(), network)?;
            sum += target.value(student.end())?.ln();
            first.get_or_insert(student);
        }
        let mean = sum / self.nfe.len() as f64;
        Ok(if mean.is_finite() { mean } else { f64::INFINITY })
    }

    /// The best curve; `own` is the paper's, of this network. What `trials` know is not tried again.
    ///
    /// # Errors
    /// The network's; where the method cannot be normalised, or a trial not kept.
    pub fn fit(
        &self,
        own: &Normaliser,
        teacher: &Teacher,
        target: &Target,
        network: &Epsilon,
        trials: &mut Trials,
    ) -> Result<Curve> {
        if self.nfe.is_empty() {
            return Err(Error::Request("a curve for no number of evaluations".into()));
        }
        let schedule = teacher.schedule();
        let mut first = None;
        let mut value = |normaliser: Option<&Normaliser>| self.value(normaliser, teacher, target, network, &mut first);
        let (plain, published) = (value(None)?, value(Some(own))?);
        let places = places(schedule);
        let of_own: Vec<f64> = places.iter().map(|log| own.at(schedule.tau_of_rho(log.exp())).ln()).collect();
        let mut of = |logs: &[f64]| {
            if let Some(&[found]) = trials.known(logs).as_deref() {
                return Ok(found);
            }
            let found = value(Some(&curve(logs, schedule)?))?;
            trials.add(logs.to_vec(), vec![found])?;
            Ok::<_, Error>(found)
        };
        let (fitted, mut logs) = descended([vec![0.0; KNOTS], of_own], &mut of)?;
        let mean = logs.iter().sum::<f64>() / KNOTS as f64;
        logs.iter_mut().for_each(|log| *log -= mean);
        let normaliser = curve(&logs, schedule)?;
        let plans = self.nfe.iter().map(|&nfe| self.plan(nfe, Some(&normaliser), schedule)).collect::<Result<_>>()?;
        Ok(Curve { normaliser, plans, value: [plain, published, fitted] })
    }
}

/// The least of what `of` says of numbers, and those: by coordinate search from both beginnings.
fn descended(begins: [Vec<f64>; 2], of: &mut dyn FnMut(&[f64]) -> Result<f64>) -> Result<(f64, Vec<f64>)> {
    let mut best = (f64::INFINITY, begins[0].clone());
    for begin in begins {
        let mut current = (of(&begin)?, begin);
        for by in MOVES {
            for knot in 0..KNOTS {
                for by in [-by, by] {
                    loop {
                        let mut logs = current.1.clone();
                        logs[knot] += by;
                        let found = of(&logs)?;
                        if found >= current.0 {
                            break;
                        }
                        current = (found, logs);
                    }
                }
            }
        }
        if current.0 < best.0 {
            best = current;
        }
    }
    Ok(best)
}

/// What a search finds on a formula, and the curve of it: other numbers where the code does anything else. No plan is made, which takes its time.
///
/// # Errors
/// None that is known.
pub(crate) fn canary(schedule: &Schedule) -> Result<Vec<f64>> {
    let aim = |i: usize| (1.3 * i as f64).sin();
    let mut of = |logs: &[f64]| Ok(logs.iter().enumerate().map(|(i, log)| (log - aim(i)).powi(2)).sum());
    let (value, logs) = descended([vec![0.0; KNOTS], vec![0.3; KNOTS]], &mut of)?;
    Ok([&[value], &*logs, curve(&logs, schedule)?.values()].concat())
}

/// ln ρ of the numbers.
fn places(schedule: &Schedule) -> Vec<f64> {
    let (low, high) = (schedule.rho(1.0 / schedule.levels() as f64).ln(), schedule.rho(1.0).ln());
    (0..KNOTS).map(|k| low + (high - low) * k as f64 / (KNOTS - 1) as f64).collect()
}

fn curve(logs: &[f64], schedule: &Schedule) -> Result<Normaliser> {
    let places = places(schedule);
    let (low, step) = (places[0], places[1] - places[0]);
    let at = |tau: f64| {
        let place = ((schedule.rho(tau).ln() - low) / step).clamp(0.0, (KNOTS - 1) as f64);
        let left = (place.floor() as usize).min(KNOTS - 2);
        let t = place - left as f64;
        ((1.0 - t) * logs[left] + t * logs[left + 1]).exp()
    };
    let tau: Vec<f64> = (1..=POINTS).map(|k| k as f64 / POINTS as f64).collect();
    let r = tau.iter().map(|&tau| at(tau)).collect();
    Ok(Normaliser::new(tau, r)?)
}
