//! From a checked experiment to loaded parts: model, normaliser, feature extractors, reference statistics.

use std::{collections::BTreeMap, path::Path};

use fewstep_fid::{Extractor, Identity, Images, Inception, Pixel8, Statistics};
use fewstep_model::{Checkpoint, Ideal, Levels, Mixture, Predictor};
use fewstep_sampler::{Normaliser, Plan, Schedule};

use crate::{
    assets,
    cli::DeviceName,
    curve, device,
    experiment::{Experiment, ModelKind, NormaliserSource},
    failure::{Failure, Result},
    files,
    metric::Metric,
    progress, provenance,
    sampling::{CHANNELS, Sampler},
};

/// A feature space with the data's statistics in it.
pub struct Measure {
    /// The metric that it gives.
    pub metric: Metric,
    /// Images to features.
    pub extractor: Box<dyn Extractor>,
    /// The data.
    pub reference: Statistics,
}

/// Everything that a sweep needs, loaded.
pub struct Prepared {
    /// The experiment.
    pub experiment: Experiment,
    /// The model and its schedule.
    pub sampler: Sampler,
    /// Feature spaces.
    pub measures: Vec<Measure>,
    /// Where it is computed.
    pub device: DeviceName,
    /// SHA-256 of what was read, by what it is.
    pub assets: BTreeMap<String, String>,
}

impl Prepared {
    /// Loads the model alone.
    pub fn model(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let schedule = experiment.model.schedule.clone();
        let on = device::open(device)?;
        let mut assets = BTreeMap::from([("schedule".to_owned(), experiment.model.schedule_name.clone())]);
        let predictor = predictor(&experiment, &schedule, &on, &mut assets)?;
        let sampler = Sampler {
            predictor,
            schedule,
            device: on,
            cpu: device == DeviceName::Cpu,
            size: experiment.model.size,
            batch: experiment.batch,
        };
        Ok(Prepared { experiment, sampler, measures: Vec::new(), device, assets })
    }

    /// Loads everything.
    pub fn all(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let mut prepared = Prepared::model(experiment, device)?;
        for (metric, path) in prepared.experiment.references.clone() {
            if !prepared.experiment.metrics.contains(&metric) {
                continue;
            }
            let extractor: Box<dyn Extractor> = match metric {
                Metric::Fid => Box::new(inception(&prepared.sampler.device, device)?),
                _ => Box::new(Pixel8),
            };
            if metric == Metric::FdPixel {
                // Sides that cannot be pooled are found before anything is sampled.
                let size = prepared.sampler.size;
                let blank = Images::new(size, size, vec![0; size * size * CHANNELS])?;
                extractor.features(&blank).map_err(Failure::request)?;
            }
            let reference = statistics(&path, &extractor.identity())?;
            if let Some(dataset) = &prepared.experiment.dataset
                && *dataset != reference.dataset
            {
                return Err(Failure::Request(format!(
                    "{}: statistics do not match: data set hash is '{}', but the experiment says '{dataset}'",
                    path.display(),
                    reference.dataset
                )));
            }
            prepared.assets.insert(format!("{}-statistics", metric.name()), files::sha256_of(&path)?);
            if !extractor.identity().weights.is_empty() {
                prepared.assets.insert(format!("{}-weights", metric.name()), extractor.identity().weights);
            }
            prepared.measures.push(Measure { metric, extractor, reference });
        }
        Ok(prepared)
    }

    /// What a cell's outcome depends on, as one hash. Of the method that is its numbers, whatever code worked them out.
    pub fn fingerprint(&self, plan: &Plan, seed: u64) -> String {
        let experiment = &self.experiment;
        let parts = (
            (provenance::CODE, provenance::BURN, self.device.name(), &self.assets, experiment.model.size),
            (&plan.tau, &plan.steps, plan.threshold),
            (seed, experiment.samples, &experiment.metrics),
            experiment.solution.map(|solution| (solution.nfe, solution.samples)),
        );
        // Strings and numbers always have a JSON form.
        files::sha256(serde_json::to_string(&parts).unwrap_or_default().as_bytes())
    }

    /// The experiment's normaliser, unclipped: read, or collected into `folder` unless it is there already.
    pub fn normaliser(&self, folder: &Path, fresh: bool) -> Result<Option<Normaliser>> {
        let Some(spec) = &self.experiment.normaliser else { return Ok(None) };
        let path = folder.join("normaliser.csv");
        let unclipped = match &spec.source {
            NormaliserSource::File(file) => Normaliser::read(file)?,
            NormaliserSource::Collect(collect) => {
                let origin = format!(
                    "mean |eps| of {} from {} images of seed {}, {} evaluations on the {} grid with {}",
                    self.assets.get("model").map_or("the model", String::as_str),
                    collect.samples,
                    collect.seed,
                    collect.nfe,
                    collect.grid.name(),
                    curve::long_run().label()
                );
                let comment = format!("{origin}, on {}, code {}", self.device.name(), &provenance::CODE[..16]);
                let there =
                    std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(&format!("# {comment}\n")));
                if there && !fresh {
                    Normaliser::read(&path)?
                } else {
                    let bar = progress::bar((collect.nfe * collect.samples) as u64, "evaluations");
                    bar.set_message("normaliser");
                    let normaliser = curve::collect(&self.sampler, collect, &bar)?;
                    bar.finish_and_clear();
                    files::write(&path, normaliser.to_csv(&[comment]).as_bytes())?;
                    // What is used is what was written.
                    Normaliser::read(&path)?
                }
            }
        };
        // An unfit clip is an error of the experiment, found before anything is sampled.
        unclipped.clone().with_clip(spec.clip)?;
        Ok(Some(unclipped))
    }
}

/// The FID network from the cache.
pub fn inception(on: &burn::tensor::Device, device: DeviceName) -> Result<Inception> {
    Ok(Inception::open(&assets::inception()?, on, device == DeviceName::Cpu)?)
}

/// Statistics that live in the feature space `expected`.
pub fn statistics(path: &Path, expected: &Identity) -> Result<Statistics> {
    let statistics = Statistics::read(path, expected)?;
    statistics.expect(expected, path)?;
    Ok(statistics)
}

fn predictor(
    experiment: &Experiment,
    schedule: &Schedule,
    device: &burn::tensor::Device,
    assets: &mut BTreeMap<String, String>,
) -> Result<Box<dyn Predictor>> {
    let levels = {
        let schedule = schedule.clone();
        Levels { count: schedule.levels(), alpha_bar: Box::new(move |tau| schedule.alpha_bar(tau)) }
    };
    match &experiment.model.kind {
        ModelKind::Mixture(components) => {
            assets.insert("model".into(), files::sha256(format!("{components:?}").as_bytes()));
            let size = experiment.model.size;
            Ok(Box::new(Mixture::new(components.clone(), [CHANNELS, size, size], levels)?))
        }
        ModelKind::Ideal { data, images, crop } => {
            let size = experiment.model.size;
            let set = assets::images_of_size(data, size, *crop)?;
            let count = images.unwrap_or(set.len());
            if count > set.len() {
                let (path, found) = (data.display(), set.len());
                return Err(Failure::Request(format!("{path}: {found} images; the experiment asks for {count}")));
            }
            let images = set.read(0..count)?;
            assets.insert("model".into(), format!("ideal denoiser of {}", files::sha256(images.pixels())));
            Ok(Box::new(Ideal::new(images.pixels(), size, CHANNELS, levels)?))
        }
        ModelKind::UNet { weights, config, prediction } => {
            let checkpoint = Checkpoint::read(weights, config.clone(), *prediction)?;
            let (multiple, size) = (checkpoint.config.side_multiple(), experiment.model.size);
            if !size.is_multiple_of(multiple) || checkpoint.config.channels != CHANNELS {
                return Err(Failure::Request(format!(
                    "{}: this network takes {} channels and sides that are multiples of {multiple}; the experiment has {CHANNELS} and size = {size}",
                    weights.display(),
                    checkpoint.config.channels
                )));
            }
            let asked = &experiment.model.schedule_name;
            if let Some(trained) = checkpoint.schedule.as_ref().filter(|trained| *trained != asked) {
                let path = weights.display();
                return Err(Failure::Request(format!(
                    "{path}: trained with schedule '{trained}'; the experiment's [model] has schedule = \"{asked}\""
                )));
            }
            assets.insert("model".into(), files::sha256_of(checkpoint.weights_file())?);
            assets.insert("model-weights".into(), checkpoint.selected.name().into());
            if let Some(config) = config {
                assets.insert("model-config".into(), format!("{config:?}"));
            }
            assets.insert("model-prediction".into(), checkpoint.prediction.name().into());
            Ok(Box::new(checkpoint.build(levels, device)?))
        }
    }
}
