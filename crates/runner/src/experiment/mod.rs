//! Experiment files: raw TOML in, checked data out.
//!
//! Once an [`Experiment`] exists, its values are in range and its names mean something; what is left to go wrong
//! lies in the files it names.

mod fit;
mod memory;
mod method;
mod metrics;
mod model;
mod planned;
mod reference;

use std::path::{Path, PathBuf};

use fewstep_fid::Protocol;
use fewstep_sampler::{Coefficients, Grid, Normaliser, Schedule};
use serde::Deserialize;
use toml::Spanned;

use crate::{failure::Result, files, results::Metric, source::Source};
pub use fit::{FitSpec, MAX_HISTORY, MAX_IMAGES, MAX_ROUNDS};
pub use memory::IDEAL;
use method::{Common, RawGrid, RawMethod};
pub use method::{Made, MethodEntry};
use metrics::Given;
use model::RawModel;
pub use model::{CHANNELS, ModelKind, ModelSpec};
pub use planned::NFE;
use reference::Reference;

/// A checked experiment.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The file's stem: the name of its results.
    pub name: String,
    /// One line for charts.
    pub title: String,
    /// SHA-256 of the file.
    pub hash: String,
    /// Seeds of the noise; every cell is measured with each.
    pub seeds: Vec<u64>,
    /// Images per cell.
    pub samples: usize,
    /// Images that go through the model together.
    pub batch: usize,
    /// Numbers of evaluations.
    pub nfe: Vec<usize>,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// The methods.
    pub methods: Vec<MethodEntry>,
    /// The model.
    pub model: ModelSpec,
    /// Where the normaliser comes from.
    pub normaliser: Option<NormaliserSpec>,
    /// Statistics files by metric.
    pub references: Vec<(Metric, PathBuf)>,
    /// Weights of the vision transformer whose features are measured in.
    pub features: Option<PathBuf>,
    /// Hash of the images behind the statistics.
    pub dataset: Option<String>,
    /// How images are shown to Inception.
    pub protocol: Protocol,
    /// The many-step solution for `ode_rmse`, and the converged samples of the metrics that are measured from them.
    pub solution: Option<SolutionSpec>,
    /// Files of published figures to show beside.
    pub published: Vec<PathBuf>,
    /// How plans are fitted to the network.
    pub fit: FitSpec,
}

/// Where the normaliser comes from.
#[derive(Debug, Clone)]
pub struct NormaliserSpec {
    /// A file, or a collection run.
    pub source: NormaliserSource,
    /// Entry below which it is held constant.
    pub clip: usize,
    /// A published curve to draw beside it.
    pub published: Option<PathBuf>,
}

/// A file, or a run.
#[derive(Debug, Clone)]
pub enum NormaliserSource {
    /// CSV or the authors' `.pt`.
    File(PathBuf),
    /// Collected from the model with DEIS.
    Collect(CollectSpec),
}

/// A run with many evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectSpec {
    /// Evaluations.
    pub nfe: usize,
    /// Images.
    pub samples: usize,
    /// Seed of their noise.
    pub seed: u64,
    /// Where the evaluations lie.
    pub grid: Grid,
}

/// The solution that `ode_rmse` measures against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolutionSpec {
    /// Evaluations; none where the model has an exact solution.
    pub nfe: Option<usize>,
    /// Its first images are compared.
    pub samples: usize,
    /// Evaluations of converged samples as many as a cell's: those whose Fréchet distances are the floor, and those that
    /// features are measured from. As many as `nfe` unless said otherwise.
    pub floor: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: Option<String>,
    seed: Option<Spanned<u64>>,
    seeds: Option<Spanned<Vec<u64>>>,
    samples: Spanned<usize>,
    batch: Option<Spanned<usize>>,
    nfe: Spanned<Vec<Spanned<usize>>>,
    metrics: Spanned<Vec<Spanned<String>>>,
    grid: Option<Spanned<RawGrid>>,
    grids: Option<Spanned<Vec<Spanned<RawGrid>>>>,
    coefficients: Option<Coefficients>,
    threshold: Option<Spanned<String>>,
    model: RawModel,
    normaliser: Option<Spanned<RawNormaliser>>,
    #[serde(default)]
    method: Vec<Spanned<RawMethod>>,
    reference: Option<reference::RawReference>,
    features: Option<RawFeatures>,
    solution: Option<RawSolution>,
    fit: Option<fit::RawFit>,
    #[serde(default)]
    published: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNormaliser {
    file: Option<PathBuf>,
    collect: Option<RawCollect>,
    #[serde(default)]
    clip: usize,
    published: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCollect {
    nfe: Spanned<usize>,
    samples: Spanned<usize>,
    #[serde(default)]
    seed: u64,
    grid: Spanned<RawGrid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFeatures {
    weights: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSolution {
    nfe: Option<Spanned<usize>>,
    samples: Spanned<usize>,
    floor: Option<Spanned<usize>>,
}

/// Images of one cell; more would not fit the time of any machine.
const MAX_SAMPLES: usize = 10_000_000;
/// Evaluations of one run: the levels of the schedule.
const MAX_NFE: usize = 1000;
/// Images that go through the model together.
const MAX_BATCH: usize = 4096;

impl Experiment {
    /// Reads and checks an experiment file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::text(path)?;
        let source = Source { path, text: &text };
        source.check(source.parse()?)
    }

    /// Every cell: methods within numbers of evaluations within seeds. A plan from a file has one where its number is.
    pub fn cells(&self) -> impl Iterator<Item = (&MethodEntry, usize, u64)> {
        let of_seed = move |&seed| {
            self.nfe.iter().flat_map(move |&nfe| {
                self.methods.iter().filter(move |entry| entry.has(nfe)).map(move |entry| (entry, nfe, seed))
            })
        };
        self.seeds.iter().flat_map(of_seed)
    }

    /// Whether a method has any of the metrics: one with noise in its steps solves no ODE, and has no distance to its solution.
    pub fn measures(&self, entry: &MethodEntry, nfe: usize) -> bool {
        self.metrics.iter().any(|metric| !metric.is_paired() || !entry.is_stochastic(nfe))
    }
}

impl Source<'_> {
    fn check(&self, raw: Raw) -> Result<Experiment> {
        let name = self.name();
        let samples = self.within("samples", &raw.samples, 2..MAX_SAMPLES + 1)?;
        let batch = raw.batch.as_ref().map_or(Ok(16), |batch| self.within("batch", batch, 1..MAX_BATCH + 1))?;
        let nfe = self.nfe(&raw.nfe)?;
        let seeds = self.seeds(raw.seed.as_ref(), raw.seeds.as_ref())?;
        let common = Common {
            grid: raw.grid.as_ref(),
            grids: raw.grids.as_ref(),
            coefficients: raw.coefficients,
            threshold: raw.threshold.as_ref(),
        };
        let model = self.model(raw.model)?;
        self.batch_fits(raw.batch.as_ref(), batch, &model)?;
        let (methods, spans) = self.methods(&raw.method, &common, &model, &nfe)?;
        let metrics = self.metrics(&raw.metrics)?;
        if let Some((entry, span)) = methods.iter().zip(&spans).find(|(entry, _)| entry.normalises())
            && raw.normaliser.is_none()
        {
            let message = format!("method '{}' needs a [normaliser] table", entry.name());
            return Err(self.error(span.clone(), message));
        }
        self.measurable(&metrics, &methods, &nfe)?;
        self.plans(&methods, &spans, &nfe, &model.schedule)?;
        let exact = matches!(&model.kind, ModelKind::Mixture(components) if components.len() == 1);
        let normaliser = raw.normaliser.map(|normaliser| self.normaliser(normaliser, &model.schedule)).transpose()?;

        let solution = match raw.solution {
            Some(raw) => {
                let compared = self.within("samples", &raw.samples, 1..samples + 1)?;
                let nfe = raw.nfe.as_ref().map(|nfe| self.within("nfe", nfe, 1..MAX_NFE / 2 + 1)).transpose()?;
                if nfe.is_none() && !exact {
                    let message = "[solution] needs nfe: only kind 'gaussian' has an exact solution";
                    return Err(self.error(raw.samples.span(), message));
                }
                let floor = raw.floor.as_ref().map(|floor| self.within("floor", floor, 1..MAX_NFE + 1)).transpose()?;
                if let Some(floor) = raw.floor.as_ref().filter(|_| nfe.is_none()) {
                    return Err(self.error(floor.span(), "floor is for a solution with nfe; this one is exact"));
                }
                self.solution_fits(raw.samples.span(), compared, model.size)?;
                Some(SolutionSpec { nfe, samples: compared, floor: floor.or(nfe) })
            }
            None => None,
        };
        let Reference { files: references, dataset, protocol } = self.reference(raw.reference.unwrap_or_default())?;
        let features = raw.features.map(|features| self.beside(features.weights));
        let given = Given {
            samples,
            model: &model,
            references: &references,
            solved: solution.is_some(),
            features: features.is_some(),
        };
        self.measured_from(&metrics, &given)?;
        Ok(Experiment {
            title: raw.title.unwrap_or_else(|| name.clone()),
            name,
            hash: files::sha256(self.text.as_bytes()),
            seeds,
            samples,
            batch,
            nfe,
            metrics: metrics.into_iter().map(|(metric, _)| metric).collect(),
            methods,
            model,
            normaliser,
            references,
            features,
            dataset,
            protocol,
            solution,
            fit: raw.fit.map(|fit| self.fit(fit)).transpose()?.unwrap_or_default(),
            published: raw.published.into_iter().map(|path| self.beside(path)).collect(),
        })
    }

    /// A list of numbers of evaluations, ascending.
    fn nfe(&self, raw: &Spanned<Vec<Spanned<usize>>>) -> Result<Vec<usize>> {
        let mut nfe = Vec::new();
        for value in raw.get_ref() {
            let number = self.within("nfe", value, 1..MAX_NFE + 1)?;
            if nfe.contains(&number) {
                return Err(self.error(value.span(), format!("nfe {number} is there twice")));
            }
            nfe.push(number);
        }
        if nfe.is_empty() {
            return Err(self.error(raw.span(), "nfe is empty; expected at least one number"));
        }
        nfe.sort_unstable();
        Ok(nfe)
    }

    fn seeds(&self, one: Option<&Spanned<u64>>, several: Option<&Spanned<Vec<u64>>>) -> Result<Vec<u64>> {
        let (span, seeds) = match (one, several) {
            (Some(seed), Some(_)) => return Err(self.error(seed.span(), "expected either seed or seeds")),
            (one, None) => return Ok(vec![one.map_or(0, |seed| *seed.get_ref())]),
            (None, Some(several)) => (several.span(), several.get_ref()),
        };
        if seeds.is_empty() || (1..seeds.len()).any(|i| seeds[..i].contains(&seeds[i])) {
            return Err(self.error(span, "expected seeds, each once"));
        }
        Ok(seeds.clone())
    }

    /// So many evaluations that the curve through them is a normaliser.
    fn collected(&self, raw: &RawCollect, schedule: &Schedule) -> Result<usize> {
        let nfe = self.within("nfe", &raw.nfe, 2..MAX_NFE + 1)?;
        let refuse = |error| self.error(raw.nfe.span(), format!("with nfe = {nfe} {error}"));
        let times = self.grid(&raw.grid)?.times(nfe, schedule).map_err(refuse)?;
        let ascending: Vec<f64> = times[..nfe].iter().rev().copied().collect();
        Normaliser::new(ascending, vec![1.0; nfe]).map_err(refuse)?;
        Ok(nfe)
    }

    fn normaliser(&self, raw: Spanned<RawNormaliser>, schedule: &Schedule) -> Result<NormaliserSpec> {
        let span = raw.span();
        let raw = raw.into_inner();
        let source = match (raw.file, raw.collect) {
            (Some(file), None) => NormaliserSource::File(self.beside(file)),
            (None, Some(collect)) => NormaliserSource::Collect(CollectSpec {
                nfe: self.collected(&collect, schedule)?,
                samples: self.within("samples", &collect.samples, 1..MAX_SAMPLES + 1)?,
                seed: collect.seed,
                grid: self.grid(&collect.grid)?,
            }),
            _ => return Err(self.error(span, "[normaliser] needs either file or collect")),
        };
        Ok(NormaliserSpec { source, clip: raw.clip, published: raw.published.map(|path| self.beside(path)) })
    }
}
