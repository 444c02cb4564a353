//! A cell, and what is kept of it once it is measured.

use std::path::{Path, PathBuf};

use fewstep_fid::Protocol;
use fewstep_sampler::Plan;
use serde::{Deserialize, Serialize};

use super::{
    converged,
    key::{self, Key},
    load::{Loaded, Space},
    solution::{self, Solution},
};
use crate::{
    experiment::{Made, MethodEntry, SolutionSpec},
    failure::{Failure, Result},
    files,
    results::{BUILD, Features, Metric, Noise, Record, SOLUTION, image_error},
};

/// A cell of an experiment.
pub struct Cell {
    /// The method; none for the solution's own samples.
    pub entry: Option<MethodEntry>,
    /// Evaluations asked for; the plan's may be fewer.
    pub nfe: usize,
    /// Of its noise.
    pub seed: u64,
    /// What to run; none where the network has a formula for its solution.
    pub plan: Option<Plan>,
    /// Of its samples.
    pub key: Key,
    /// Where it is kept.
    pub path: PathBuf,
}

impl Cell {
    /// A method's cell, kept in `folder`.
    pub fn of_method(
        loaded: &Loaded,
        entry: &MethodEntry,
        plan: Plan,
        nfe: usize,
        seed: u64,
        folder: &Path,
    ) -> Result<Self> {
        let (key, path) = (samples_key(loaded, &plan, seed)?, folder.join(file_name(entry, nfe, seed)));
        Ok(Cell { entry: Some(entry.clone()), nfe, seed, plan: Some(plan), key, path })
    }

    /// The cell of the solution's own samples: all of a cell's with as many evaluations as the experiment has for them, or by the
    /// network's formula.
    pub fn of_solution(loaded: &Loaded, spec: &SolutionSpec, seed: u64, folder: &Path) -> Result<Self> {
        // Without a Fréchet distance there is nothing of it but its own error.
        let frechet = loaded.experiment.metrics.iter().any(|metric| metric.is_frechet());
        let nfe = if frechet { spec.floor } else { spec.nfe };
        let plan = nfe.map(|nfe| solution::plan(loaded, nfe)).transpose()?;
        let key = match &plan {
            Some(plan) if frechet => samples_key(loaded, plan, seed)?,
            Some(_) => Solution::key(loaded, spec, seed)?,
            None => key::exact_solution(&loaded.sampler, &loaded.canary, seed, loaded.experiment.samples)?,
        };
        let path = folder.join(format!("{SOLUTION}-seed-{seed}.toml"));
        Ok(Cell { entry: None, nfe: nfe.unwrap_or(0), seed, plan, key, path })
    }

    /// As progress calls it.
    pub fn name(&self) -> String {
        match &self.entry {
            Some(entry) => format!("{} at {} NFE on {}, seed {}", entry.label(), self.nfe, entry.grid(), self.seed),
            None => format!("{}, seed {}", solution_label(self.nfe), self.seed),
        }
    }

    /// Its picture.
    pub fn picture(&self) -> PathBuf {
        self.path.with_extension("png")
    }

    /// What is to be measured of it, with the keys. Of a method that solves no ODE there is no distance to its solution; the
    /// solution's own is its distance to one with twice the evaluations, and from its own converged samples it has none.
    pub fn wanted(&self, loaded: &Loaded, solution: Option<&Key>) -> Result<Vec<Wanted>> {
        let stochastic = self.entry.as_ref().is_some_and(|entry| entry.is_stochastic(self.nfe));
        let canary = |metric| loaded.canary.metrics.get(&metric).map_or("", String::as_str);
        let key = |metric: Metric| match metric {
            Metric::OdeRmse => {
                let of_solution = |solution: &Key| key::distance(solution, self.entry.is_none(), canary(metric));
                solution.filter(|_| !stochastic).map(of_solution).transpose()
            }
            Metric::FdData => key::frechet_to_data(canary(metric)).map(Some),
            Metric::Fid | Metric::FdPixel | Metric::FdVit => {
                let space = metric.features().and_then(|features| loaded.space(features));
                Ok(space.and_then(|space| space.data.as_ref()).map(|data| data.key.clone()))
            }
            Metric::FidInfinity => {
                let data = loaded.space(Features::Inception).and_then(|space| space.data.as_ref());
                data.map(|data| key::limit(&data.key, canary(metric))).transpose()
            }
            Metric::FidPaired | Metric::FdVitPaired if self.entry.is_none() => Ok(None),
            Metric::FidSolution
            | Metric::FidPaired
            | Metric::FeatureRmse
            | Metric::FdPixelSolution
            | Metric::FdVitSolution
            | Metric::FdVitPaired => {
                let space = metric.features().and_then(|features| loaded.space(features));
                let of = space.zip(metric.noise()).filter(|_| !(stochastic && metric.is_paired()));
                let key = |(space, noise): (&Space, Noise)| {
                    let converged = converged::key(loaded, space, noise, self.seed)?;
                    key::from_converged(metric, &converged, self.entry.is_none(), canary(metric))
                };
                of.map(key).transpose()
            }
        };
        let wanted =
            |&metric: &Metric| key(metric).transpose().map(|key: Result<Key>| Ok(Wanted { metric, key: key? }));
        loaded.experiment.metrics.iter().filter_map(wanted).collect()
    }

    /// What it is, with nothing measured.
    pub fn description(&self) -> Record {
        if let Some(entry) = &self.entry {
            return Record { nfe: self.nfe as u32, seed: self.seed, ..entry.described() };
        }
        Record {
            method: SOLUTION.into(),
            label: solution_label(self.nfe),
            solver: SOLUTION.into(),
            grid: solution::grid().name(),
            coefficients: "exact".into(),
            threshold: "none".into(),
            nfe: self.nfe as u32,
            seed: self.seed,
            ..Record::default()
        }
    }

    /// The row of a table of `experiment`, where images are shown to Inception by `protocol`, with what `wanted` says and nothing that was measured of or with anything else.
    pub fn record(&self, experiment: &str, protocol: Protocol, done: &Done, wanted: &[Wanted]) -> Record {
        let mut record = Record {
            experiment: experiment.to_owned(),
            nfe_measured: done.nfe_measured,
            samples: done.samples,
            diverged: done.diverged.clone(),
            seconds_sample: done.seconds,
            device: done.device.clone(),
            build: done.builds(wanted),
            key: done.key.clone(),
            ..self.description()
        };
        for measurement in done.current(wanted) {
            record.set(measurement.metric, measurement.value, measurement.error());
            record.seconds_features += measurement.seconds;
            if measurement.metric == Metric::FidInfinity {
                record.fid_infinity_fit = measurement.fit;
            }
        }
        if record.is_in_inception() {
            record.protocol = protocol.name().into();
        }
        record
    }
}

fn samples_key(loaded: &Loaded, plan: &Plan, seed: u64) -> Result<Key> {
    key::samples(&loaded.sampler, &loaded.canary, plan, seed, loaded.experiment.samples)
}

fn solution_label(nfe: usize) -> String {
    if nfe == 0 { "exact solution".into() } else { format!("solution, {nfe} NFE") }
}

/// A name that no other cell of an experiment has, short enough for a list of times.
fn file_name(entry: &MethodEntry, nfe: usize, seed: u64) -> String {
    let (threshold, coefficients, order) = (entry.threshold, entry.coefficients(), entry.order());
    if matches!(entry.made, Made::Planned(_)) {
        // A label may have letters that no file has.
        let (name, label) = (entry.name(), files::sha256(entry.name().as_bytes()));
        let name: String = name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        return format!("plan-{name}-{}-{threshold}-{nfe}-seed-{seed}.toml", &label[..8]);
    }
    let mut grid = entry.grid().replace(' ', "-");
    if grid.len() > 60 {
        grid = files::sha256(grid.as_bytes())[..16].to_owned();
    }
    format!("{}-{order}-{grid}-{coefficients}-{threshold}-{nfe}-seed-{seed}.toml", entry.name())
}

/// A metric and the key of its measurement.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which.
    pub metric: Metric,
    /// Of the measurement.
    pub key: Key,
}

impl Wanted {
    /// Nothing measured: of samples that are not finite.
    pub fn blank(&self) -> Measurement {
        let (key, build) = (self.key.as_str().to_owned(), BUILD.to_owned());
        Measurement { metric: self.metric, key, build, ..Measurement::default() }
    }

    /// A value.
    pub fn of_value(&self, value: f64) -> Measurement {
        Measurement { value: Some(value), ..self.blank() }
    }

    /// A root mean square of these squares, one an image.
    pub fn of_images(&self, per_image: Vec<f64>) -> Measurement {
        // Image by image, so that the batch size does not change the last bits.
        let mean = per_image.iter().sum::<f64>() / per_image.len().max(1) as f64;
        Measurement { value: Some(mean.sqrt()), per_image, ..self.blank() }
    }
}

/// One metric of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measurement {
    /// Which.
    pub metric: Metric,
    /// Of what it depends on besides the samples.
    pub key: String,
    /// The program that measured it.
    pub build: String,
    /// None where the samples are not finite.
    pub value: Option<f64>,
    /// In the feature extractor and the distance.
    pub seconds: f64,
    /// Of a root mean square over images: each one's squared distance. Of a Fréchet distance: each one's influence.
    pub per_image: Vec<f64>,
    /// Of a limit: standard error of the line's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<f64>,
}

impl Measurement {
    /// Standard error over the images.
    pub fn error(&self) -> Option<f64> {
        self.value.and_then(|value| image_error(self.metric, &self.per_image, value))
    }
}

/// A finished cell on disk, as TOML: its floats come back to the last bit, as serde_json's do not by default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Of the samples.
    pub key: String,
    /// The program that made them.
    pub build: String,
    /// On what.
    pub device: String,
    /// Evaluations an image.
    pub nfe_measured: Option<f64>,
    /// Which image was not finite from which step on.
    pub diverged: String,
    /// Images.
    pub samples: u64,
    /// Of sampling.
    pub seconds: f64,
    /// SHA-256 of their picture's file; empty where they diverged.
    pub picture: String,
    /// What was measured of them.
    pub measured: Vec<Measurement>,
}

impl Done {
    /// What is kept of `cell`'s very samples: nothing where any number that they depend on was another, or where the file or their
    /// picture is not as it was written.
    pub fn read(cell: &Cell) -> Option<Done> {
        let text = std::fs::read_to_string(&cell.path).ok()?;
        let Some(text) = files::unseal(&text) else {
            let why = if files::is_sealed(&text) {
                "not as it was written"
            } else {
                "kept by an earlier version, or changed"
            };
            eprintln!("{}: {why}, and not believed", cell.path.display());
            return None;
        };
        let done: Done = toml::from_str(text).ok()?;
        if done.key != cell.key.as_str() {
            return None;
        }
        if !done.has_picture(&cell.picture()) {
            let why = if done.picture.is_empty() {
                "by an earlier version, which kept no hash of it"
            } else {
                "not the one of its samples"
            };
            eprintln!("{}: {why}: its samples are made again", cell.picture().display());
            return None;
        }
        Some(done)
    }

    /// Whether `path` is the picture of these samples; what diverged has none.
    pub fn has_picture(&self, path: &Path) -> bool {
        !self.diverged.is_empty() || files::sha256_of(path).is_ok_and(|hash| hash == self.picture)
    }

    /// The measurements that are wanted, by their keys.
    pub fn current<'a>(&'a self, wanted: &'a [Wanted]) -> impl Iterator<Item = &'a Measurement> {
        let is_wanted = |measurement: &&Measurement| {
            wanted.iter().any(|wanted| wanted.metric == measurement.metric && wanted.key.as_str() == measurement.key)
        };
        self.measured.iter().filter(is_wanted)
    }

    /// The program that made the samples, and any others that measured them.
    fn builds(&self, wanted: &[Wanted]) -> String {
        let measured = self.current(wanted);
        let all = std::iter::once(&self.build).chain(measured.map(|measurement| &measurement.build));
        // What was taken from a table may be of several already.
        let mut builds: Vec<&str> = all.flat_map(|builds| builds.split(" and ")).collect();
        builds.sort_unstable();
        builds.dedup();
        builds.join(" and ")
    }

    /// Whether `metric` was measured as `key` says, with what its error follows from: earlier versions left that out.
    pub fn has(&self, metric: Metric, key: &Key) -> bool {
        let whole = |measurement: &Measurement| {
            let known = measurement.metric == Metric::FdData || !measurement.per_image.is_empty();
            known || measurement.value.is_none()
        };
        let current = |measurement: &&Measurement| measurement.metric == metric && measurement.key == key.as_str();
        self.measured.iter().find(current).is_some_and(whole)
    }

    /// With `newer` in the place of what it measures again.
    pub fn merge(self, newer: Done) -> Done {
        let again = |old: &Measurement| newer.measured.iter().any(|new| new.metric == old.metric);
        let mut measured: Vec<Measurement> = self.measured.into_iter().filter(|old| !again(old)).collect();
        measured.extend(newer.measured.iter().cloned());
        measured.sort_by_key(|measurement| measurement.metric);
        Done { measured, ..newer }
    }

    /// Writes it where the cell is kept.
    pub fn write(&self, cell: &Cell) -> Result<()> {
        files::write(&cell.path, files::seal(&toml::to_string(self).map_err(Failure::run)?).as_bytes())
    }

    /// Its measurements that are wanted, for another cell of the same samples; none where one is lacking.
    pub fn share(&self, wanted: &[Wanted]) -> Option<Done> {
        let measured: Vec<Measurement> = self.current(wanted).cloned().collect();
        let whole = wanted.iter().all(|wanted| self.has(wanted.metric, &wanted.key));
        whole.then(|| Done { measured, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::key;

    /// Earlier versions kept Fréchet distances without what their errors follow from.
    #[test]
    fn what_has_no_error_is_measured_again() {
        let key = key::frechet_to_data("by hand").unwrap();
        let has = |metric, value, per_image: &[f64]| {
            let wanted = Wanted { metric, key: key.clone() };
            let measured = vec![Measurement { value, per_image: per_image.to_vec(), ..wanted.blank() }];
            let done = Done { measured, ..Done::default() };
            // Nor is it taken for another cell of the same samples.
            let wanted = [Wanted { metric, key: key.clone() }];
            assert_eq!(done.share(&wanted).is_some(), done.has(metric, &key));
            done.has(metric, &key)
        };
        assert!(!has(Metric::Fid, Some(3.0), &[]) && has(Metric::Fid, Some(3.0), &[0.5, -0.5]));
        // Of what diverged nothing is known, and of moments alone no image's part.
        assert!(has(Metric::Fid, None, &[]) && has(Metric::FdData, Some(3.0), &[]));
    }
}
