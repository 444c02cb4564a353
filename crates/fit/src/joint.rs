//! All numbers of a plan together, against the end of its run: Levenberg and Marquardt's method.
//!
//! Its own forty lines and not a library's: of the Jacobian, single precision and some hundred thousand rows, only inner products are needed,
//! summed image by image so that no bit depends on threads; and a trial shares the evaluations that it has in common with the plan
//! it is a change of.

use faer::Mat;
use fewstep_sampler::{Schedule, Step};

use crate::{
    Result,
    objective::Target,
    rule::Rule,
    search::Valued,
    solve::symmetric,
    student::{Levels, Student},
    teacher::Epsilon,
    trials::Trials,
    vectors::Gram,
};

/// Difference for derivatives, in units of a step's own factor or of ln ρ: large against the noise of single precision.
const DIFFERENCE: f64 = 2e-3;
/// Marquardt's factor at first.
const DAMPING: f64 = 1e-3;
/// A relative gain below this ends it.
const GAIN: f64 = 5e-3;
/// Of limits that a plan's own level is at: rounding.
const SLACK: f64 = 1e-6;
/// Trials of one step, with ten times the damping each.
const TRIALS: usize = 5;

/// The unknowns of a plan: of each step what its rule leaves free, then ln ρ of the levels between the first and the last.
struct Unknowns<'a> {
    rule: &'a Rule,
    schedule: &'a Schedule,
    /// ln of the evaluations' ρ over the states'.
    ratio: Vec<f64>,
    ends: [f64; 2],
    /// Of ln ρ of evaluations: what the network was trained on, and further where the plan was there already.
    limits: [f64; 2],
    /// Whether levels move.
    levels: bool,
    inner: Vec<f64>,
}

impl<'a> Unknowns<'a> {
    fn of(student: &Student, rule: &'a Rule, schedule: &'a Schedule, levels: bool) -> (Self, Vec<f64>) {
        let Levels { tau, at } = &student.levels;
        let log = |tau: f64| schedule.rho(tau).ln();
        let steps = student.steps.len();
        let mut p: Vec<f64> =
            (0..steps).flat_map(|k| rule.unknowns_of(k, &student.steps[k], &rule.freedom(k, tau, schedule))).collect();
        let inner: Vec<f64> = (1..steps).map(|k| log(tau[k])).collect();
        if levels {
            p.extend(&inner);
        }
        let ratio = (0..steps).map(|k| if at[k] == tau[k] { 0.0 } else { log(at[k]) - log(tau[k]) }).collect();
        let evaluated: Vec<f64> = (1..steps).map(|k| log(at[k])).collect();
        let trained = [log(1.0 / schedule.levels() as f64), log(1.0)];
        let least = evaluated.iter().fold(trained[0], |least, log| least.min(log - SLACK));
        let most = evaluated.iter().fold(trained[1], |most, log| most.max(log + SLACK));
        (Unknowns { rule, schedule, ratio, ends: [tau[0], tau[steps]], limits: [least, most], levels, inner }, p)
    }

    /// The plan; none where its levels do not descend.
    fn plan(&self, p: &[f64]) -> Option<(Levels, Vec<Step>)> {
        let steps = self.ratio.len();
        let inner = if self.levels { &p[p.len() - self.inner.len()..] } else { &self.inner };
        let [least, most] = self.limits;
        let time = |log: f64| self.schedule.tau_of_rho(log.exp());
        if inner.iter().zip(&self.ratio[1..]).any(|(log, ratio)| !(least..=most).contains(&(log + ratio))) {
            return None;
        }
        let tau: Vec<f64> =
            std::iter::once(self.ends[0]).chain(inner.iter().map(|log| time(*log))).chain([self.ends[1]]).collect();
        if tau.windows(2).any(|pair| pair[1] >= pair[0]) {
            return None;
        }
        let log = |k: usize| self.schedule.rho(tau[k]).ln();
        let at = (0..steps).map(|k| if self.ratio[k] == 0.0 { tau[k] } else { time(log(k) + self.ratio[k]) }).collect();
        let mut rest = p;
        let all = (0..steps).map(|k| {
            let (own, others) = rest.split_at(self.rule.unknowns(k));
            rest = others;
            self.rule.step_of(k, own, &self.rule.freedom(k, &tau, self.schedule))
        });
        let all = all.collect();
        Some((Levels { tau, at }, all))
    }
}

/// What a joint fit stands on.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// What is minimised.
    pub target: &'a Target,
    /// Whether levels move too.
    pub levels: bool,
    /// Most steps.
    pub rounds: usize,
    /// Of the network.
    pub schedule: &'a Schedule,
    /// The network.
    pub network: &'a Epsilon<'a>,
}

/// Lowers the value of `begin` by at most `rounds` steps; levels stay where they are unless `levels` says otherwise. A step that an earlier run made is
/// made again without its Jacobian.
///
/// # Errors
/// The network's; where a step cannot be kept.
pub fn joint(begin: Valued, rule: &Rule, given: &Given, trials: &mut Trials) -> Result<Valued> {
    let Given { target, levels, rounds, schedule, network } = *given;
    let mut best = begin;
    let mut damping = DAMPING;
    for _ in 0..rounds {
        let (unknowns, p) = Unknowns::of(&best.student, rule, schedule, levels);
        let from = From { best: &best, unknowns: &unknowns, target, network };
        let found = match trials.known(&p) {
            // The damping, and where the step led if to anything better.
            Some(known) => {
                damping = known.first().copied().unwrap_or(damping);
                let step = known.get(1..).filter(|step| step.len() == p.len());
                step.map(|step| from.better(step)).transpose()?.flatten()
            }
            None => {
                let (step, found) = from.step(&p, &mut damping)?.unzip();
                trials.add(p, std::iter::once(damping).chain(step.into_iter().flatten()).collect())?;
                found
            }
        };
        let Some(better) = found else { break };
        let gained = 1.0 - better.value / best.value;
        best = better;
        if gained < GAIN {
            break;
        }
    }
    Ok(best)
}

/// The plan that a step begins at.
struct From<'a> {
    best: &'a Valued,
    unknowns: &'a Unknowns<'a>,
    target: &'a Target,
    network: &'a Epsilon<'a>,
}

impl From<'_> {
    /// A plan of other numbers; none where its levels do not descend.
    fn run(&self, p: &[f64]) -> Result<Option<Student>> {
        let Some((levels, steps)) = self.unknowns.plan(p) else { return Ok(None) };
        let best = &self.best.student;
        Student::run(levels, steps, &best.x[0].clone(), Some(best), self.network).map(Some)
    }

    /// The same, if it is better.
    fn better(&self, p: &[f64]) -> Result<Option<Valued>> {
        let Some(student) = self.run(p)? else { return Ok(None) };
        let value = self.target.value(student.end())?;
        Ok(Some(Valued { value, student }).filter(|other| other.value < self.best.value))
    }

    /// Where a step from the numbers `p` leads, and the better plan there; none where no damping gives one.
    fn step(&self, p: &[f64], damping: &mut f64) -> Result<Option<(Vec<f64>, Valued)>> {
        let residual = self.target.residual(self.best.student.end())?;
        let mut columns = Vec::new();
        for i in 0..p.len() {
            let moved = |by: f64| {
                let mut other = p.to_vec();
                other[i] += by;
                self.run(&other).map(|student| student.map(|student| (student, by)))
            };
            // At the edge of what is allowed, the other way.
            let student = match moved(DIFFERENCE)? {
                Some(student) => Some(student),
                None => moved(-DIFFERENCE)?,
            };
            let column = |(student, by): (Student, f64)| -> Result<Vec<f32>> {
                let moved = self.target.residual(student.end())?;
                Ok(moved.iter().zip(&residual).map(|(x, y)| (x - y) / by as f32).collect())
            };
            let column = student.map(column).transpose()?;
            // What cannot move, or diverges when it does, stays.
            let column = column.filter(|column| column.iter().all(|value| value.is_finite()));
            columns.push(column.unwrap_or_else(|| vec![0.0; residual.len()]));
        }
        columns.push(residual);
        let vectors: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let gram = Gram::of(&vectors, self.target.width());
        let n = p.len();
        let normal = Mat::from_fn(n, n, |i, j| gram.at(i, j));
        let right: Vec<f64> = (0..n).map(|i| -gram.at(i, n)).collect();
        for _ in 0..TRIALS {
            let (step, _) = symmetric(&normal, &right, *damping)?;
            let other: Vec<f64> = p.iter().zip(&step).map(|(p, step)| p + step).collect();
            if let Some(better) = self.better(&other)? {
                *damping = (*damping / 10.0).max(1e-9);
                return Ok(Some((other, better)));
            }
            *damping *= 10.0;
        }
        Ok(None)
    }
}
