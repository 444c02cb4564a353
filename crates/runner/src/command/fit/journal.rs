//! What a fit leaves on its way: the plan of each stage that is done, and the trials of the one that is not.

use std::path::PathBuf;

use fewstep_fit::{Errors, Journal, METHOD, Outcome, Spec, Stage, Trial};
use fewstep_sampler::{Plan, PlanFile};
use serde::{Deserialize, Serialize};

use super::{
    Run,
    tried::{self, Tried},
};
use crate::{
    cell::{Key, fitted_key},
    failure::{Failure, Result},
    files,
    results::BUILD,
};

/// What is known of a stage that was finished before.
#[derive(Serialize, Deserialize)]
struct Provenance {
    /// Of all that the plan depends on.
    key: String,
    /// Of the file without this, so that a plan that was changed by hand is not gone on from.
    sha256: String,
    fitted_to: String,
    experiment: String,
    fewstep_build: String,
    stage: String,
    note: String,
    /// As text, which comes back to the last bit.
    condition: String,
    objective: String,
    rule: fewstep_fit::Rule,
    images: usize,
    validation_images: usize,
    trajectories_nfe: usize,
    seed: u64,
    fit: [f64; 2],
    validation: [f64; 2],
}

/// The stages of one number of evaluations.
pub struct OfNumber<'a> {
    run: &'a Run,
    nfe: usize,
    tried: Tried,
}

impl<'a> OfNumber<'a> {
    pub fn new(run: &'a Run, nfe: usize) -> Result<Self> {
        Ok(OfNumber { run, nfe, tried: Tried::nothing()? })
    }

    /// A stage's plan.
    pub fn path(&self, stage: &str) -> PathBuf {
        self.run.folder.join("stages").join(format!("{METHOD}-{}-{stage}.json", self.nfe))
    }

    /// Of everything that the plan of a stage depends on.
    fn key(&self, stage: Stage) -> Result<Key> {
        let Spec { rule, ridges, grid, grids, stages, rounds } = &self.run.fit.spec;
        let before: Vec<&Stage> = stages.iter().take_while(|other| **other <= stage).collect();
        let schedule = &self.run.loaded.experiment.model.schedule;
        let times = |grid: &fewstep_sampler::Grid| Ok((grid.name(), grid.times(self.nfe, schedule)?));
        let grids = std::iter::once(grid).chain(grids).map(times).collect::<Result<Vec<_>>>()?;
        fitted_key(
            &self.run.teacher.key,
            &self.run.held.key,
            &(self.nfe, self.run.fit.objective, (rule, ridges), grids, before, rounds, fewstep_fit::path::MOST),
            &self.run.canary,
        )
    }

    /// A stage that is done; nothing of its trials is needed any more.
    pub fn keep(&self, outcome: &Outcome) -> Result<()> {
        let (run, stage) = (self.run, outcome.stage);
        let experiment = &run.loaded.experiment;
        let errors = |error: &Errors| [error.objective, error.rmse];
        let file = run.file(&outcome.plan);
        let provenance = Provenance {
            key: self.key(stage)?.as_str().to_owned(),
            sha256: hash(&file),
            fitted_to: run.loaded.sampler.predictor.identity(),
            experiment: experiment.name.clone(),
            fewstep_build: BUILD.to_owned(),
            stage: stage.name().into(),
            note: outcome.note.clone(),
            condition: format!("{:?}", outcome.condition),
            objective: run.fit.objective.name().into(),
            rule: outcome.rule,
            images: run.fit.images,
            validation_images: run.fit.validation,
            trajectories_nfe: run.nfe,
            seed: experiment.seeds[0],
            fit: errors(&outcome.fit),
            validation: errors(&outcome.validation),
        };
        let text = serde_json::to_string(&provenance).map_err(Failure::run)?;
        let file = PlanFile { provenance: Some(text), ..file };
        files::write(&self.path(stage.name()), format!("{file}\n").as_bytes())?;
        self.tried.done(&self.path(stage.name()))
    }
}

impl Journal for OfNumber<'_> {
    fn finished(&self, stage: Stage) -> Option<(Plan, String, f64)> {
        if self.run.fresh {
            return None;
        }
        let file = PlanFile::read(&self.path(stage.name())).ok()?;
        // What came back from y is not the plan to the last bit: such a fit begins again, for the same bytes.
        if matches!(file.levels, fewstep_sampler::Levels::Y { .. }) {
            return None;
        }
        let provenance: Provenance = serde_json::from_str(file.provenance.as_ref()?).ok()?;
        let file = PlanFile { provenance: None, ..file };
        let own = provenance.key == self.key(stage).ok()?.as_str() && provenance.sha256 == hash(&file);
        let model = &self.run.loaded.experiment.model;
        let plan = file.plan(&model.schedule, &model.schedule_name).ok().filter(|_| own)?;
        Some((plan, provenance.note, provenance.condition.parse().ok()?))
    }

    fn trials(&self, stage: Stage) -> Vec<Trial> {
        self.key(stage).map_or(Vec::new(), |key| tried::read(&self.path(stage.name()), &key, self.run.fresh))
    }

    fn tried(&self, stage: Stage, all: &[Trial]) -> fewstep_fit::Result<()> {
        let hear = || self.tried.hear(&self.path(stage.name()), &self.key(stage)?, all);
        hear().map_err(network_error)
    }
}

/// Of a plan file as it is written.
pub fn hash(file: &PlanFile) -> String {
    files::sha256(file.to_string().as_bytes())
}

pub fn network_error(failure: Failure) -> fewstep_fit::Error {
    match failure {
        Failure::Request(message) => fewstep_fit::Error::Request(message),
        other => fewstep_fit::Error::Network(other.to_string()),
    }
}
