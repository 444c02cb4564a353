//! From a checked experiment to loaded parts: network, feature spaces, reference statistics, and the canary of all of them.

use std::{collections::BTreeMap, path::Path, time::Instant};

use fewstep_fid::{Extractor, Identity, Images, Inception, Pixel8, Precision, Statistics};

use super::{
    canary::{self, Canary},
    key::{self, Key},
    network,
    sampler::Sampler,
};
use crate::{
    assets,
    device::{self, DeviceName, Opened},
    experiment::{CHANNELS, Experiment, Made, MethodEntry, NormaliserSource},
    failure::{Failure, Result},
    files,
    results::Metric,
};

/// A feature space with the data's statistics in it.
pub struct Space {
    /// The metric that it gives.
    pub metric: Metric,
    /// Images to features.
    pub extractor: Box<dyn Extractor>,
    /// The data.
    pub reference: Statistics,
    /// Of a distance to it.
    pub key: Key,
}

/// Everything that a run needs, loaded.
pub struct Loaded {
    /// The experiment.
    pub experiment: Experiment,
    /// The network and its schedule.
    pub sampler: Sampler,
    /// Feature spaces.
    pub spaces: Vec<Space>,
    /// Where it is computed, in words.
    pub device: String,
    /// What was read, by what it is.
    pub assets: BTreeMap<String, String>,
    /// What the code does.
    pub canary: Canary,
}

impl Loaded {
    /// Loads the network alone.
    pub fn network(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let Opened { device: on, description } = device::open(device)?;
        let mut assets = BTreeMap::from([("schedule".to_owned(), experiment.model.schedule_name.clone())]);
        let sampler = Sampler {
            predictor: network::load(&experiment.model, &on, device == DeviceName::Cpu, &mut assets)?,
            schedule: experiment.model.schedule.clone(),
            device: on,
            cpu: device.is_cpu(),
            size: experiment.model.size,
            batch: experiment.batch,
            reuse: None,
        };
        for entry in &experiment.methods {
            let Made::Planned(planned) = &entry.made else { continue };
            let asset = |(nfe, hash): (&usize, &String)| (format!("plan {} {nfe}", planned.label), hash.clone());
            assets.extend(planned.hashes.iter().map(asset));
        }
        let start = Instant::now();
        let mut canary = Canary { sampling: canary::sampling(&sampler)?, ..Canary::default() };
        if experiment.methods.iter().any(MethodEntry::goes_beyond_methods) {
            canary.extended = canary::extended(&sampler)?;
        }
        if experiment.normaliser.as_ref().is_some_and(|spec| matches!(spec.source, NormaliserSource::Collect(_))) {
            canary.curve = canary::curve(&sampler)?;
        }
        tell(start, "network", &canary.sampling);
        Ok(Loaded { experiment, sampler, spaces: Vec::new(), device: description, assets, canary })
    }

    /// Loads everything.
    pub fn all(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let mut loaded = Loaded::network(experiment, device)?;
        for (metric, path) in loaded.experiment.references.clone() {
            if loaded.experiment.metrics.contains(&metric) {
                loaded.space(metric, &path, device)?;
            }
        }
        let start = Instant::now();
        for metric in loaded.experiment.metrics.clone() {
            let hash = match metric {
                Metric::OdeRmse => canary::distance(),
                Metric::FdData => canary::frechet()?,
                Metric::Fid | Metric::FdPixel => continue,
            };
            loaded.canary.metrics.insert(metric, hash);
        }
        tell(start, "distances", "");
        Ok(loaded)
    }

    fn space(&mut self, metric: Metric, path: &Path, device: DeviceName) -> Result<()> {
        let extractor: Box<dyn Extractor> = match metric {
            Metric::Fid => Box::new(inception(&self.sampler.device, device)?),
            _ => Box::new(Pixel8),
        };
        let size = self.sampler.size;
        if metric == Metric::FdPixel {
            // Sides that cannot be pooled are found before anything is sampled.
            let blank = Images::new(size, size, vec![0; size * size * CHANNELS])?;
            extractor.features(&blank).map_err(Failure::request)?;
        }
        let reference = statistics(path, &extractor.identity())?;
        if let Some(dataset) = &self.experiment.dataset
            && *dataset != reference.dataset
        {
            return Err(Failure::Request(format!(
                "{}: statistics do not match: data set hash is '{}', but the experiment says '{dataset}'",
                path.display(),
                reference.dataset
            )));
        }
        let start = Instant::now();
        let hash = canary::space(extractor.as_ref(), size)?;
        tell(start, metric.name(), &hash);
        self.assets.insert(format!("{}-statistics", metric.name()), files::sha256_of(path)?);
        if !extractor.identity().weights.is_empty() {
            self.assets.insert(format!("{}-weights", metric.name()), extractor.identity().weights);
        }
        let key = key::frechet(metric, extractor.as_ref(), &reference, &hash)?;
        self.canary.metrics.insert(metric, hash);
        self.spaces.push(Space { metric, extractor, reference, key });
        Ok(())
    }

    /// Features of a Fréchet metric's space.
    pub fn dimensions(&self) -> BTreeMap<String, usize> {
        let spaces = self.spaces.iter().map(|space| (space.metric.name().to_owned(), space.extractor.dim()));
        let data = self.experiment.metrics.contains(&Metric::FdData);
        spaces.chain(data.then(|| (Metric::FdData.name().to_owned(), self.sampler.len()))).collect()
    }
}

/// What the canary cost.
fn tell(start: Instant, what: &str, hash: &str) {
    let hash = hash.get(..8).unwrap_or_default();
    eprintln!("canary of the {what}: {hash} in {} ms", start.elapsed().as_millis());
}

/// The FID network from the cache.
pub fn inception(on: &burn::tensor::Device, device: DeviceName) -> Result<Inception> {
    let path = assets::inception()?;
    Ok(match device {
        DeviceName::Cpu => Inception::compiled(&path)?,
        _ => Inception::open(&path, on, device.is_cpu())?,
    })
}

/// The key of statistics of `dataset`: other images, another feature space, and code that does anything else have another.
pub fn statistics_key(extractor: &dyn Extractor, dataset: &str, precision: Precision) -> Result<String> {
    let canary = canary::space(extractor, STATISTICS_CANARY)?;
    Ok(key::statistics(extractor, dataset, precision == Precision::F32, &canary)?.as_str().to_owned())
}

/// Side of the canary's image where no experiment says one.
const STATISTICS_CANARY: usize = 32;

/// Statistics that live in the feature space `expected`.
pub fn statistics(path: &Path, expected: &Identity) -> Result<Statistics> {
    let statistics = Statistics::read(path, expected)?;
    statistics.expect(expected, path)?;
    Ok(statistics)
}
