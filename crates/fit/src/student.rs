//! A plan's run on the images that it is fitted to, kept whole, so that another that differs in a later step begins there.

use std::sync::Arc;

use fewstep_sampler::{Plan, Schedule, Step};

use crate::{
    Error, Result,
    rule::Rule,
    solve::least_squares,
    teacher::{Epsilon, Teacher},
    vectors::{Gram, combine},
};

/// The levels of a plan: of its states, and of its evaluations where those are others.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    /// N + 1 times.
    pub tau: Vec<f64>,
    /// N times.
    pub at: Vec<f64>,
}

impl Levels {
    /// Evaluations at the states' levels.
    pub fn of_states(tau: Vec<f64>) -> Self {
        Levels { at: tau[..tau.len() - 1].to_vec(), tau }
    }

    /// Of a plan.
    pub fn of_plan(plan: &Plan) -> Self {
        Levels { tau: plan.tau.clone(), at: (0..plan.steps.len()).map(|k| plan.at(k)).collect() }
    }

    /// N.
    pub fn steps(&self) -> usize {
        self.at.len()
    }

    /// The plan with these steps, which is called `method`.
    pub fn plan(&self, steps: &[Step], schedule: &Schedule, method: &str) -> Plan {
        let said = |k: usize| Some(self.at[k]).filter(|at| *at != self.tau[k]);
        Plan {
            method: method.to_owned(),
            order: 0,
            nfe: self.steps(),
            grid: String::new(),
            threshold: fewstep_sampler::Threshold::None,
            start: 1.0,
            tau: self.tau.clone(),
            timestep: self.at.iter().map(|&at| schedule.timestep(at)).collect(),
            steps: steps.iter().enumerate().map(|(k, step)| Step { at: said(k), ..step.clone() }).collect(),
        }
    }
}

/// A plan and what it did.
#[derive(Debug, Clone)]
pub struct Student {
    /// Where its states and evaluations are.
    pub levels: Levels,
    /// Its steps, with nothing said of levels.
    pub steps: Vec<Step>,
    /// Of each fitted step: the condition of its normal equations.
    pub condition: Vec<f64>,
    /// N + 1 states.
    pub x: Vec<Arc<[f32]>>,
    /// N predictions.
    pub epsilon: Vec<Arc<[f32]>>,
}

impl Student {
    /// A run of `steps` from `start`; of `known`, what it has in common with this is not computed again.
    ///
    /// # Errors
    /// The network's.
    pub fn run(
        levels: Levels,
        steps: Vec<Step>,
        start: &Arc<[f32]>,
        known: Option<&Student>,
        network: &Epsilon,
    ) -> Result<Self> {
        let mut student = Student::begin(levels, start, known);
        student.share(known, |_, known, k| steps[k] == known.steps[k]);
        let shared = student.steps.len();
        for (k, step) in steps.into_iter().enumerate().skip(shared) {
            student.evaluate(k, network)?;
            student.step(k, step);
        }
        Ok(student)
    }

    /// A run whose steps are fitted one after another, each from where those before it came: least squares of the teacher's state
    /// at the step's end on what `rule` lets the step use.
    ///
    /// # Errors
    /// The network's; numbers that are not finite.
    pub fn fitted(
        levels: Levels,
        rule: &Rule,
        teacher: &Teacher,
        known: Option<&Student>,
        network: &Epsilon,
    ) -> Result<Self> {
        let mut student = Student::begin(levels, teacher.start(), known);
        student.share(known, |student, known, k| {
            student.levels.tau[k + 1] == known.levels.tau[k + 1] && k < known.condition.len()
        });
        for k in student.steps.len()..student.levels.steps() {
            student.evaluate(k, network)?;
            let (predictions, states) = rule.counts(k);
            let target = teacher.at(student.levels.tau[k + 1]);
            let mut vectors: Vec<&[f32]> = (0..=states).map(|j| &*student.x[k - j]).collect();
            vectors.extend((0..predictions).map(|j| &*student.epsilon[k - j]));
            vectors.push(&target);
            let gram = Gram::of(&vectors, teacher.len);
            let freedom = rule.freedom(k, &student.levels.tau, teacher.schedule());
            let fitted = least_squares(&gram, &freedom, rule.ridge).map_err(|error| {
                Error::Diverged(format!("step {k} of a plan of {}: {error}", student.levels.steps()))
            })?;
            student.condition.push(fitted.condition);
            student.step(k, rule.step(k, &fitted.factors));
        }
        Ok(student)
    }

    fn begin(levels: Levels, start: &Arc<[f32]>, known: Option<&Student>) -> Self {
        let mut student =
            Student { levels, steps: Vec::new(), condition: Vec::new(), x: vec![start.clone()], epsilon: Vec::new() };
        // The first prediction is known wherever the first evaluation is the same.
        if let Some(known) = known.filter(|known| known.levels.at.first() == student.levels.at.first()) {
            student.epsilon.extend(known.epsilon.first().cloned());
        }
        student
    }

    /// Takes over what `known` has alike: step by step as long as `same` says so and the evaluation before it is the same.
    fn share(&mut self, known: Option<&Student>, same: impl Fn(&Self, &Student, usize) -> bool) {
        let Some(known) = known else { return };
        for k in 0..self.levels.steps().min(known.steps.len()) {
            let evaluated = self.levels.tau[k] == known.levels.tau[k] && self.levels.at[k] == known.levels.at[k];
            if !evaluated || !Arc::ptr_eq(&self.x[k], &known.x[k]) {
                return;
            }
            if self.epsilon.len() == k {
                self.epsilon.push(known.epsilon[k].clone());
            }
            if !same(self, known, k) {
                return;
            }
            self.steps.push(known.steps[k].clone());
            self.condition.extend(known.condition.get(k).copied());
            self.x.push(known.x[k + 1].clone());
        }
    }

    fn evaluate(&mut self, k: usize, network: &Epsilon) -> Result<()> {
        if self.epsilon.len() == k {
            let epsilon = network(&self.x[k], self.levels.at[k])?;
            self.epsilon.push(epsilon.into());
        }
        Ok(())
    }

    fn step(&mut self, k: usize, step: Step) {
        let mut terms: Vec<(f64, &[f32])> = vec![(step.a, &self.x[k])];
        terms.extend(step.b.iter().enumerate().map(|(j, &b)| (b, &*self.x[k - 1 - j])));
        terms.extend(step.c.iter().enumerate().map(|(j, &c)| (c, &*self.epsilon[k - j])));
        let next = combine(&terms).into();
        self.steps.push(step);
        self.x.push(next);
    }

    /// x_0.
    pub fn end(&self) -> &[f32] {
        &self.x[self.x.len() - 1]
    }

    /// The plan, which is called `method`.
    pub fn plan(&self, schedule: &Schedule, method: &str) -> Plan {
        self.levels.plan(&self.steps, schedule, method)
    }
}
