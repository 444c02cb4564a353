//! The stages of a fit, each beginning where the one before it ended.

use std::sync::Arc;

use fewstep_sampler::{Grid, Plan, Schedule};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    joint::{Given, joint},
    objective::Target,
    path::{Cost, Points},
    rule::Rule,
    search::{Moved, Valued, search},
    student::{Levels, Student},
    teacher::{Epsilon, Teacher},
    trials::{Journal, Trials},
    vectors::{root_mean, squared_errors},
};

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The factors of each step, on a grid by name.
    Coefficients,
    /// The best of some grids by name and of paths by dynamic programming, with factors fitted.
    Path,
    /// Levels by coordinate search, with factors fitted inside.
    Grid,
    /// The evaluations' levels by the same search, apart from the states'.
    Levels,
    /// All numbers together against the end of the run.
    Joint,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Stage; 5] = [Stage::Coefficients, Stage::Path, Stage::Grid, Stage::Levels, Stage::Joint];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Coefficients => "coefficients",
            Stage::Path => "path",
            Stage::Grid => "grid",
            Stage::Levels => "levels",
            Stage::Joint => "joint",
        }
    }
}

/// How a plan is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// What a step is made of.
    pub rule: Rule,
    /// Ridges that are tried besides the rule's: the plan on [`grid`](Self::grid) says by images for validation which is taken.
    pub ridges: Vec<f64>,
    /// Where [`Stage::Coefficients`] is, and whatever stage comes first.
    pub grid: Grid,
    /// Grids that [`Stage::Path`] tries besides its own paths.
    pub grids: Vec<Grid>,
    /// What is done, ascending.
    pub stages: Vec<Stage>,
    /// Most steps of [`Stage::Joint`].
    pub rounds: usize,
}

/// Images that nothing is fitted to, with their solutions.
#[derive(Debug, Clone)]
pub struct Held {
    /// x_T.
    pub start: Arc<[f32]>,
    /// What is minimised, against their solutions.
    pub target: Target,
}

/// What a fit stands on.
pub struct Problem<'a> {
    /// Trajectories of the images that are fitted to.
    pub teacher: &'a Teacher,
    /// Their points and inner products.
    pub points: &'a Points,
    /// What is minimised, against their ends.
    pub target: &'a Target,
    /// For choosing between stages.
    pub validation: &'a Held,
    /// The network.
    pub network: &'a Epsilon<'a>,
}

/// What a stage came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub stage: Stage,
    /// In words: of the path stage, what each of its beginnings is worth, the one that was taken first; where several ridges were
    /// tried, what each comes to on images for validation.
    pub note: String,
    /// What a step was made of, with the ridge that was taken.
    pub rule: Rule,
    /// The plan.
    pub plan: Plan,
    /// On the images that were fitted to.
    pub fit: Errors,
    /// On those for validation.
    pub validation: Errors,
    /// The largest condition of the normal equations of a step behind the first; 0 where none were solved.
    pub condition: f64,
}

/// The objective, and the root-mean-square distance to the solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// What is minimised.
    pub objective: f64,
    /// `ode_rmse`.
    pub rmse: f64,
}

impl Errors {
    /// Of x_0.
    ///
    /// # Errors
    /// Of the objective.
    pub fn of(target: &Target, x: &[f32]) -> Result<Self> {
        let rmse = root_mean(&squared_errors(x, &target.solution, target.len));
        Ok(Errors { objective: target.value(x)?, rmse })
    }
}

impl Problem<'_> {
    fn schedule(&self) -> &Schedule {
        self.teacher.schedule()
    }

    /// With factors fitted step by step.
    fn fitted(&self, levels: Levels, rule: &Rule, known: Option<&Student>) -> Result<Valued> {
        let student = Student::fitted(levels, rule, self.teacher, known, self.network)?;
        let value = self.target.value(student.end())?;
        if value.is_finite() {
            return Ok(Valued { value, student });
        }
        Err(Error::Diverged(format!(
            "a plan of {} evaluations leads to numbers that are not finite",
            student.steps.len()
        )))
    }

    /// The same of one of several; none where it diverges.
    fn candidate(&self, levels: Levels, rule: &Rule, known: &Student) -> Result<Option<Valued>> {
        match self.fitted(levels, rule, Some(known)) {
            Err(Error::Diverged(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// With the ridge that does best on images for validation, and what each comes to there; with the only one, where there is no other.
    fn ridged(&self, levels: &Levels, spec: &Spec) -> Result<(Valued, Rule, String)> {
        let with = |ridge: f64| Rule { ridge, ..spec.rule };
        if spec.ridges.is_empty() {
            return Ok((self.fitted(levels.clone(), &spec.rule, None)?, spec.rule, String::new()));
        }
        let mut best: Option<(f64, Valued, Rule)> = None;
        let mut worth = Vec::new();
        for ridge in std::iter::once(spec.rule.ridge).chain(spec.ridges.iter().copied()) {
            let fitted = match self.fitted(levels.clone(), &with(ridge), None) {
                Err(Error::Diverged(_)) => {
                    worth.push(format!("{ridge} diverges"));
                    continue;
                }
                other => other?,
            };
            let end = self.end(&fitted.student.plan(self.schedule(), METHOD), &self.validation.start)?;
            let value = self.validation.target.value(&end)?;
            worth.push(format!("{ridge} {value:.6}"));
            if value.is_finite() && best.as_ref().is_none_or(|(least, ..)| value < *least) {
                best = Some((value, fitted, with(ridge)));
            }
        }
        let Some((_, fitted, rule)) = best else {
            return Err(Error::Diverged(format!(
                "no plan of {} evaluations has finite samples, whatever the ridge",
                levels.tau.len() - 1
            )));
        };
        Ok((fitted, rule, format!("; ridge {} of those on validation: {}", rule.ridge, worth.join(", "))))
    }

    /// Runs the stages for `nfe` evaluations, from where `journal` says that an earlier run was ended; `done` hears of each when it is done.
    ///
    /// # Errors
    /// Where there are fewer numbers than unknowns, or a stage cannot be.
    pub fn fit(
        &self,
        spec: &Spec,
        nfe: usize,
        journal: &dyn Journal,
        mut done: impl FnMut(Outcome) -> Result<()>,
    ) -> Result<()> {
        let unknowns: usize = (0..nfe).map(|k| spec.rule.unknowns(k)).sum::<usize>() + nfe;
        // What an objective sees of an image may be less than its pixels.
        let numbers = self.teacher.images() * self.teacher.len.min(self.target.width());
        if numbers < 4 * unknowns {
            return Err(Error::Request(format!(
                "{} images have {numbers} numbers, too few for {unknowns} unknowns of a plan of {nfe} evaluations; expected 4 times as many",
                self.teacher.images()
            )));
        }
        let on = |grid: &Grid| Ok::<_, Error>(Levels::of_states(grid.times(nfe, self.schedule())?));
        let (mut best, rule, said) = self.ridged(&on(&spec.grid)?, spec)?;
        // Of the ridge the first stage says what there is to say.
        let mut said = Some(said);
        let (mut note, mut last) = (spec.grid.name(), 0.0);
        let residual = self.teacher.x[0].len().max(self.teacher.images() * self.target.width());
        let columns = (unknowns + 1).saturating_mul(residual);
        if spec.stages.contains(&Stage::Joint) && columns > MOST {
            return Err(Error::Request(format!(
                "the joint stage of {nfe} evaluations has {unknowns} unknowns, which with {} images are {columns} numbers; expected at most {MOST}",
                self.teacher.images()
            )));
        }
        for &stage in &spec.stages {
            let before = journal.finished(stage);
            let keep = |all: &[_]| journal.tried(stage, all);
            let tried = if before.is_some() { Vec::new() } else { journal.trials(stage) };
            let trials = &mut Trials::after(tried, &keep);
            match stage {
                _ if before.is_some() => {}
                Stage::Coefficients => {}
                Stage::Path => {
                    let mut candidates = Vec::new();
                    for grid in &spec.grids {
                        candidates.push((grid.name(), on(grid)?));
                    }
                    for (name, cost) in
                        [("path of Euler's cost", Cost::Euler), ("path of the fitted cost", Cost::Fitted)]
                    {
                        let path = self.points.shortest(cost, &rule, nfe)?;
                        candidates.push((name.to_owned(), Levels::of_states(path)));
                    }
                    let mut worth = vec![format!("{} {:.4}", spec.grid.name(), best.value)];
                    let mut least = 0;
                    for (name, levels) in candidates {
                        let fitted = |levels, known: &Student| self.candidate(levels, &rule, known);
                        let (value, better) = trials.better(levels, &best, fitted)?;
                        if let Some(better) = better {
                            (best, least) = (better, worth.len());
                        }
                        worth.push(if value.is_nan() {
                            format!("{name} diverges")
                        } else {
                            format!("{name} {value:.4}")
                        });
                    }
                    let first = worth.remove(least);
                    note = if worth.is_empty() { first } else { format!("{first}; {}", worth.join(", ")) };
                }
                Stage::Grid | Stage::Levels => {
                    let moved = if stage == Stage::Grid { Moved::States } else { Moved::Evaluations };
                    best = search(best, moved, self.schedule(), trials, |levels, known| {
                        self.candidate(levels, &rule, known)
                    })?;
                    note = String::new();
                }
                Stage::Joint => {
                    let (target, schedule, network) = (self.target, self.schedule(), self.network);
                    let given = Given { target, levels: true, rounds: spec.rounds, schedule, network };
                    best = joint(best, &rule, &given, trials)?;
                    note = String::new();
                }
            }
            // Of a plan that was gone on from there are none, or of some steps: what was said of it holds.
            if best.student.condition.len() == nfe {
                // At the first step state and prediction are nearly the same on any grid, which says nothing of the plan.
                last = best.student.condition.iter().skip(1).copied().fold(0.0, f64::max);
            }
            let mut condition = if stage == Stage::Joint { 0.0 } else { last };
            note = (note + &said.take().unwrap_or_default()).trim_start_matches("; ").to_owned();
            if let Some((plan, known, of)) = before {
                let start = self.teacher.start();
                let student = Student::run(
                    Levels::of_plan(&plan),
                    without_levels(&plan),
                    start,
                    Some(&best.student),
                    self.network,
                )?;
                best = Valued { value: self.target.value(student.end())?, student };
                (note, condition) = (known, of);
                last = if of > 0.0 { of } else { last };
            }
            let mut plan = best.student.plan(self.schedule(), METHOD);
            if best.student.levels == on(&spec.grid)? {
                plan.grid = spec.grid.name();
            }
            let end = self.end(&plan, &self.validation.start)?;
            done(Outcome {
                stage,
                note: std::mem::take(&mut note),
                rule,
                plan,
                fit: Errors::of(self.target, best.student.end())?,
                validation: Errors::of(&self.validation.target, &end)?,
                condition,
            })?;
        }
        Ok(())
    }

    /// x_0 of a plan's run from `start`.
    ///
    /// # Errors
    /// The network's.
    pub fn end(&self, plan: &Plan, start: &Arc<[f32]>) -> Result<Vec<f32>> {
        Ok(Student::run(Levels::of_plan(plan), without_levels(plan), start, None, self.network)?.end().to_vec())
    }
}

/// A plan's steps with nothing said of levels.
fn without_levels(plan: &Plan) -> Vec<fewstep_sampler::Step> {
    plan.steps.iter().map(|step| fewstep_sampler::Step { at: None, ..step.clone() }).collect()
}

/// Numbers of a Jacobian: 4 GB.
const MOST: usize = 1 << 30;
/// What fitted plans are called.
pub const METHOD: &str = "fitted";
