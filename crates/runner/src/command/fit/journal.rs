//! What a fit leaves on its way: the plan of each stage that is done, and the trials of the one that is not.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fewstep_fit::{Errors, Journal, METHOD, Outcome, Spec, Stage, Trial};
use fewstep_sampler::{Plan, PlanFile};
use serde::{Deserialize, Serialize};

use super::Run;
use crate::{
    cell::{Key, checkpoint_every, fitted_key},
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

/// Of the time of a search one part in so many may go into keeping its trials.
const SHARE: u32 = 20;

/// When trials were last kept, and how long that took.
#[derive(Clone, Copy)]
pub struct Written {
    at: Instant,
    took: Duration,
}

impl Written {
    /// Not yet, of a search that begins.
    pub fn not_yet() -> Cell<Self> {
        Cell::new(Written { at: Instant::now(), took: Duration::ZERO })
    }
}

/// The stages of one number of evaluations.
pub struct OfNumber<'a> {
    run: &'a Run,
    nfe: usize,
    written: Cell<Written>,
}

impl<'a> OfNumber<'a> {
    pub fn new(run: &'a Run, nfe: usize) -> Self {
        OfNumber { run, nfe, written: Written::not_yet() }
    }

    /// A stage's plan.
    pub fn path(&self, stage: &str) -> PathBuf {
        self.run.folder.join("stages").join(format!("{METHOD}-{}-{stage}.json", self.nfe))
    }

    /// Of everything that the plan of a stage depends on.
    fn key(&self, stage: Stage) -> Result<Key> {
        let Spec { rule, grid, grids, stages, rounds } = &self.run.fit.spec;
        let before: Vec<&Stage> = stages.iter().take_while(|other| **other <= stage).collect();
        let schedule = &self.run.loaded.experiment.model.schedule;
        let times = |grid: &fewstep_sampler::Grid| Ok((grid.name(), grid.times(self.nfe, schedule)?));
        let grids = std::iter::once(grid).chain(grids).map(times).collect::<Result<Vec<_>>>()?;
        fitted_key(
            &self.run.teacher.key,
            &self.run.held.key,
            &(self.nfe, self.run.fit.objective, rule, grids, before, rounds, fewstep_fit::path::MOST),
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
            rule: run.fit.spec.rule,
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
        files::remove(&trials_of(&self.path(stage.name())))
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
        self.key(stage).map_or(Vec::new(), |key| read_trials(&self.path(stage.name()), &key, self.run.fresh))
    }

    fn tried(&self, stage: Stage, all: &[Trial]) -> fewstep_fit::Result<()> {
        let write = || write_trials(&self.path(stage.name()), &self.key(stage)?, all, &self.written);
        write().map_err(network_error)
    }
}

/// Beside the file that ends a search: what it tried so far.
pub fn trials_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.trials"))
}

/// Those that an ended search left under the same key, as far as they can be read.
pub fn read_trials(path: &Path, key: &Key, fresh: bool) -> Vec<Trial> {
    let text = std::fs::read_to_string(trials_of(path)).unwrap_or_default();
    let mut lines = text.lines();
    if fresh || lines.next() != Some(key.as_str()) {
        return Vec::new();
    }
    let numbers = |text: &str| {
        let bits = text.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok().map(f64::from_bits));
        bits.collect::<Option<Vec<f64>>>()
    };
    let trial = |line: &str| {
        let (at, found) = line.split_once(':')?;
        Some(Trial { at: numbers(at)?, found: numbers(found)? })
    };
    lines.map_while(trial).collect()
}

/// All of them, where they were last written some time ago: to the last bit, and never half.
pub fn write_trials(path: &Path, key: &Key, all: &[Trial], written: &Cell<Written>) -> Result<()> {
    let Written { at, took } = written.get();
    if at.elapsed() < checkpoint_every()?.max(SHARE * took) {
        return Ok(());
    }
    let begun = Instant::now();
    let numbers = |of: &[f64]| of.iter().map(|value| format!("{:x}", value.to_bits())).collect::<Vec<_>>().join(" ");
    let mut text = format!("{}\n", key.as_str());
    all.iter().for_each(|Trial { at, found }| text += &format!("{} : {}\n", numbers(at), numbers(found)));
    files::write(&trials_of(path), text.as_bytes())?;
    written.set(Written { at: Instant::now(), took: begun.elapsed() });
    Ok(())
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

#[cfg(test)]
mod tests {
    use fewstep_fid::{Pixel8, Precision};

    use super::*;
    use crate::cell::statistics_key;

    #[test]
    fn trials_come_back_to_the_last_bit_and_under_their_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fitted-5-grid.json");
        let all = [
            Trial { at: vec![1.0, 0.1 + 0.2, 1e-300], found: vec![f64::INFINITY] },
            Trial { at: vec![-0.0], found: Vec::new() },
        ];
        let [key, other] = ["1", "2"].map(|set| statistics_key(&Pixel8, set, Precision::F64).unwrap());
        let now = Written::not_yet();
        write_trials(&path, &key, &all, &now).unwrap();
        assert!(!trials_of(&path).exists(), "not so soon after");
        now.set(Written { at: Instant::now().checked_sub(Duration::from_secs(3600)).unwrap(), took: Duration::ZERO });
        write_trials(&path, &key, &all, &now).unwrap();
        assert_eq!(read_trials(&path, &key, false), all);
        assert!(read_trials(&path, &other, false).is_empty() && read_trials(&path, &key, true).is_empty());
        // What a damaged line says, and all after it, is not taken.
        let text = std::fs::read_to_string(trials_of(&path)).unwrap().replace(" : \n", " : x\n");
        std::fs::write(trials_of(&path), text).unwrap();
        assert_eq!(read_trials(&path, &key, false), all[..1]);
    }
}
