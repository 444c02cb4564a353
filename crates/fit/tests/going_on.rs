//! A fit goes on from what an earlier run left of it: the same plans, for fewer evaluations.

mod formula;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use fewstep_fit::{Constraint, Error, Held, Journal, Objective, Outcome, Points, Problem, Result, Spec, Stage, Trial};
use fewstep_sampler::{Grid, Plan, Schedule};
use formula::{bent, bent_teacher, rule, target};

/// Stages that were finished, and trials of those that were not.
#[derive(Default)]
struct Left {
    finished: Vec<Outcome>,
    trials: RefCell<BTreeMap<Stage, Vec<Trial>>>,
}

impl Journal for Left {
    fn finished(&self, stage: Stage) -> Option<(Plan, String, f64)> {
        let outcome = self.finished.iter().find(|outcome| outcome.stage == stage)?;
        Some((outcome.plan.clone(), outcome.note.clone(), outcome.condition))
    }

    fn trials(&self, stage: Stage) -> Vec<Trial> {
        self.trials.borrow().get(&stage).cloned().unwrap_or_default()
    }

    fn tried(&self, stage: Stage, all: &[Trial]) -> Result<()> {
        self.trials.borrow_mut().insert(stage, all.to_vec());
        Ok(())
    }
}

/// Whether all stages came to their end within so many evaluations, what those that did came to, and evaluations that were made.
fn run(journal: &dyn Journal, most: usize) -> (bool, Vec<Outcome>, usize) {
    let schedule = Schedule::linear();
    let (teacher, other) = (bent_teacher(&schedule, 16, 0.0), bent_teacher(&schedule, 8, 0.7));
    let (points, fitting) = (Points::of(&teacher), target(Objective::Bands, &teacher));
    let validation = Held { start: other.start().clone(), target: target(Objective::Bands, &other) };
    let spent = AtomicUsize::new(0);
    let network = |x: &[f32], tau: f64| {
        if spent.load(Relaxed) == most {
            return Err(Error::Network("ended".into()));
        }
        spent.fetch_add(1, Relaxed);
        bent(&schedule, x, tau)
    };
    let problem =
        Problem { teacher: &teacher, points: &points, target: &fitting, validation: &validation, network: &network };
    let spec = Spec {
        rule: rule(2, Constraint::Free),
        ridges: Vec::new(),
        grid: Grid::quadratic(),
        grids: vec![Grid::trailing()],
        stages: Stage::ALL.into(),
        rounds: 5,
    };
    let mut all = Vec::new();
    let ended = problem.fit(&spec, 4, journal, |outcome| {
        all.push(outcome);
        Ok(())
    });
    (ended.is_ok(), all, spent.load(Relaxed))
}

fn assert_same(all: &[Outcome], whole: &[Outcome]) {
    assert_eq!(all.len(), whole.len());
    for (one, two) in all.iter().zip(whole) {
        assert_eq!((one.stage, &one.plan, one.fit, one.validation), (two.stage, &two.plan, two.fit, two.validation));
    }
}

#[test]
fn from_the_stages_that_were_finished() {
    let (_, whole, cost) = run(&(), usize::MAX);
    let finished: Vec<Outcome> = whole.iter().filter(|outcome| outcome.stage <= Stage::Grid).cloned().collect();
    let (done, all, spent) = run(&Left { finished, ..Left::default() }, usize::MAX);
    assert!(done && spent < cost, "{spent} of {cost}");
    assert_same(&all, &whole);
}

/// Ended after every third of its evaluations, it must get further every time.
#[test]
fn from_the_trials_of_a_stage_that_was_not() {
    let (_, whole, cost) = run(&(), usize::MAX);
    let left = Left::default();
    let mut rounds = 0;
    let all = loop {
        let (done, all, _) = run(&left, cost / 3);
        rounds += 1;
        assert!(rounds < 40, "no end");
        if done {
            break all;
        }
    };
    assert!(rounds > 1);
    assert_same(&all, &whole);
    // Once more, all trials known: what is left is a run for every change for the better.
    let (done, all, again) = run(&left, usize::MAX);
    assert!(done && again < cost / 3, "{again} of {cost}");
    assert_same(&all, &whole);
}
