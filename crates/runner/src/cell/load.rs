//! From a checked experiment to loaded parts: network, feature spaces, reference statistics, and the canary of all of them.

use std::{collections::BTreeMap, path::Path, time::Instant};

use fewstep_fid::{Extractor, Identity, Images, Inception, Pixel8, Precision, Protocol, Statistics, Vit};

use super::{
    canary::{self, Canary},
    key::{self, Key},
    network,
    sampler::Sampler,
    solution::Runs,
};
use crate::{
    assets,
    device::{self, DeviceName, Opened},
    experiment::{CHANNELS, Experiment, Made, MethodEntry, NormaliserSource},
    failure::{Failure, Result},
    files,
    results::{Features, Metric, VIT_ASSET},
};

/// A feature space.
pub struct Space {
    /// Which.
    pub features: Features,
    /// Images to features.
    pub extractor: Box<dyn Extractor>,
    /// What its code does.
    pub canary: String,
    /// The data, where a metric is measured from it.
    pub data: Option<Data>,
}

/// The data's statistics in a feature space.
pub struct Data {
    /// Its moments.
    pub statistics: Statistics,
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
    /// Long runs' plans.
    pub runs: Runs,
}

impl Loaded {
    /// Loads the network alone.
    pub fn network(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let Opened { device: on, description } = device::open(device)?;
        let mut assets = BTreeMap::from([("schedule".to_owned(), experiment.model.schedule_name.clone())]);
        let mut sampler = Sampler {
            predictor: network::load(&experiment.model, &on, device == DeviceName::Cpu, &mut assets)?,
            schedule: experiment.model.schedule.clone(),
            device: on,
            cpu: device.is_cpu(),
            size: experiment.model.size,
            batch: experiment.batch,
            rate: f64::INFINITY,
            reuse: None,
        };
        for entry in &experiment.methods {
            let Made::Planned(planned) = &entry.made else { continue };
            let asset = |(nfe, hash): (&usize, &String)| (format!("plan {} {nfe}", planned.label), hash.clone());
            assets.extend(planned.hashes.iter().map(asset));
        }
        let start = Instant::now();
        let mut canary = Canary { sampling: canary::sampling(&sampler)?, ..Canary::default() };
        let evaluated = sampler.predictor.evaluated();
        if evaluated > 0 {
            sampler.rate = evaluated as f64 / start.elapsed().as_secs_f64().max(1e-9);
        }
        if experiment.methods.iter().any(MethodEntry::goes_beyond_methods) {
            canary.extended = canary::extended(&sampler)?;
        }
        if experiment.normaliser.as_ref().is_some_and(|spec| matches!(spec.source, NormaliserSource::Collect(_))) {
            canary.curve = canary::curve(&sampler)?;
        }
        tell(start, "network", &canary.sampling);
        Ok(Loaded {
            experiment,
            sampler,
            spaces: Vec::new(),
            device: description,
            assets,
            canary,
            runs: Runs::default(),
        })
    }

    /// Loads everything.
    pub fn all(experiment: Experiment, device: DeviceName) -> Result<Self> {
        let mut loaded = Loaded::network(experiment, device)?;
        for features in Features::ALL {
            if loaded.experiment.metrics.iter().any(|metric| metric.features() == Some(features)) {
                loaded.open(features, device)?;
            }
        }
        let start = Instant::now();
        for metric in loaded.experiment.metrics.clone() {
            let hash = match metric {
                Metric::OdeRmse => canary::distance(),
                Metric::FdData => canary::frechet()?,
                _ => continue,
            };
            loaded.canary.metrics.insert(metric, hash);
        }
        tell(start, "distances", "");
        Ok(loaded)
    }

    /// A feature space that is open.
    pub fn space(&self, features: Features) -> Option<&Space> {
        self.spaces.iter().find(|space| space.features == features)
    }

    /// Opens a feature space, with the data's statistics where a metric needs them.
    fn open(&mut self, features: Features, device: DeviceName) -> Result<()> {
        let (extractor, of_data): (Box<dyn Extractor>, Metric) = match features {
            Features::Inception => {
                let network = inception(&self.sampler.device, device, self.experiment.protocol)?;
                (Box::new(network), Metric::Fid)
            }
            Features::Pixels => (Box::new(Pixel8), Metric::FdPixel),
            Features::Vit => {
                let weights = self.experiment.features.as_deref();
                let weights = weights.ok_or_else(|| Failure::request("no weights in a [features] table"))?;
                (Box::new(vit(weights, &self.sampler.device, device)?), Metric::FdVit)
            }
        };
        let size = self.sampler.size;
        if features == Features::Pixels {
            // Sides that cannot be pooled are found before anything is sampled.
            let blank = Images::new(size, size, vec![0; size * size * CHANNELS])?;
            extractor.features(&blank).map_err(Failure::request)?;
        }
        let (metrics, references) = (&self.experiment.metrics, &self.experiment.references);
        let asked = |metric: Metric| metrics.contains(&metric);
        let asked = asked(of_data) || (features == Features::Inception && asked(Metric::FidInfinity));
        let path = references.iter().find(|(metric, _)| *metric == of_data && asked);
        let path = path.map(|(_, path)| path.clone());
        let read = path.as_ref().map(|path| self.reference(path, &extractor.identity())).transpose()?;
        let start = Instant::now();
        let canary = canary::space(extractor.as_ref(), size)?;
        tell(start, of_data.name(), &canary);
        if let Some(path) = &path {
            self.assets.insert(format!("{}-statistics", of_data.name()), files::sha256_of(path)?);
        }
        if features == Features::Vit {
            self.assets.insert(VIT_ASSET.to_owned(), extractor.identity().extractor);
        }
        if !extractor.identity().weights.is_empty() {
            self.assets.insert(format!("{}-weights", of_data.name()), extractor.identity().weights);
        }
        let key = |statistics: &Statistics| key::frechet(of_data, extractor.as_ref(), statistics, &canary);
        let data = read.map(|statistics| Ok::<_, Failure>(Data { key: key(&statistics)?, statistics })).transpose()?;
        for metric in self.experiment.metrics.iter().filter(|metric| metric.features() == Some(features)) {
            let hash = match metric {
                Metric::FeatureRmse => canary::paired(extractor.as_ref(), size)?,
                _ => canary.clone(),
            };
            self.canary.metrics.insert(*metric, hash);
        }
        self.spaces.push(Space { features, extractor, canary, data });
        Ok(())
    }

    /// Statistics of the experiment's data.
    fn reference(&self, path: &Path, identity: &Identity) -> Result<Statistics> {
        let reference = statistics(path, identity)?;
        match &self.experiment.dataset {
            Some(dataset) if *dataset != reference.dataset => Err(Failure::Request(format!(
                "{}: statistics do not match: data set hash is '{}', but the experiment says '{dataset}'",
                path.display(),
                reference.dataset
            ))),
            _ => Ok(reference),
        }
    }

    /// Features of a Fréchet metric's space.
    pub fn dimensions(&self) -> BTreeMap<String, usize> {
        let dimension = |metric: &Metric| match (metric.features(), metric) {
            (Some(features), _) => self.space(features).map(|space| space.extractor.dim()),
            (None, Metric::FdData) => Some(self.sampler.len()),
            _ => None,
        };
        let named = |metric: &Metric| Some((metric.name().to_owned(), dimension(metric)?));
        self.experiment.metrics.iter().filter(|metric| metric.is_frechet()).filter_map(named).collect()
    }
}

/// What the canary cost.
fn tell(start: Instant, what: &str, hash: &str) {
    let Some(hash) = hash.get(..8) else { return };
    eprintln!("canary of the {what}: {hash} in {} ms", start.elapsed().as_millis());
}

/// The FID network from the cache, shown images as `protocol` does.
pub fn inception(on: &burn::tensor::Device, device: DeviceName, protocol: Protocol) -> Result<Inception> {
    let path = assets::inception()?;
    let network = match device {
        DeviceName::Cpu => Inception::compiled(&path)?,
        _ => Inception::open(&path, on, device.is_cpu())?,
    };
    Ok(network.with_protocol(protocol))
}

/// A vision transformer from a user's file.
pub fn vit(weights: &Path, on: &burn::tensor::Device, device: DeviceName) -> Result<Vit> {
    Ok(Vit::open(weights, on, device.is_cpu())?)
}

/// The key of statistics of `dataset`: other images, another feature space, and code that does anything else have another.
pub fn statistics_key(extractor: &dyn Extractor, dataset: &str, precision: Precision) -> Result<Key> {
    let canary = canary::space(extractor, STATISTICS_CANARY)?;
    key::statistics(extractor, dataset, precision == Precision::F32, &canary)
}

/// Side of the canary's image where no experiment says one.
const STATISTICS_CANARY: usize = 32;

/// Statistics that live in the feature space `expected`.
pub fn statistics(path: &Path, expected: &Identity) -> Result<Statistics> {
    let statistics = Statistics::read(path, expected)?;
    statistics.expect(expected, path)?;
    Ok(statistics)
}
