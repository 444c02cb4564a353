//! `fewstep sweep`: every cell of an experiment, each written when it is done.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fewstep_fid::{Gaussian, Images, Moments, frechet_distance};
use fewstep_model::DataMoments;
use fewstep_sampler::{Grid, Normaliser, Plan, Request};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::{
    cli, curve,
    experiment::{Experiment, MethodEntry, SolutionSpec},
    failure::{Failure, Result},
    files,
    metric::Metric,
    mosaic,
    prepare::Prepared,
    progress,
    provenance::{self, Provenance},
    record::{self, Record},
    report, sampling,
};

/// Evaluations of a small U-Net that cost as much as one image through Inception: for the time left only.
const INCEPTION_COST: u64 = 25;

/// A finished cell on disk, as TOML: its floats come back to the last bit, as serde_json's do not by default.
#[derive(Serialize, Deserialize)]
struct Done {
    fingerprint: String,
    /// Of the experiment's repository when the cell was measured.
    commit: String,
    record: Record,
}

/// A cell to measure.
struct Cell {
    entry: MethodEntry,
    /// Evaluations asked for; the plan's may be fewer.
    nfe: usize,
    seed: u64,
    plan: Plan,
    fingerprint: String,
    path: PathBuf,
}

/// Runs the experiment.
pub fn run(arguments: &cli::Sweep) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    let selection = Selection::parse(arguments.only.as_deref().unwrap_or_default(), &experiment)?;
    let folder = arguments.run.folder(&experiment.name);
    let mut prepared = Prepared::all(experiment, arguments.run.device)?;
    let cells_folder = folder.join("cells");
    std::fs::create_dir_all(&cells_folder).map_err(Failure::file(&cells_folder))?;

    let normaliser = prepared.normaliser(&folder, arguments.run.fresh)?;
    let cells = cells(&prepared, normaliser.as_ref(), &cells_folder)?;
    if let Some(normaliser) = &normaliser {
        prepared.assets.insert("normaliser".into(), files::sha256(normaliser.to_csv(&[]).as_bytes()));
        report::normaliser(&folder, normaliser, &prepared)?;
    }
    let commit = provenance::commit(&arguments.experiment);

    let selected = |cell: &Cell| selection.contains(&cell.entry, cell.nfe, cell.seed);
    let kept = |cell: &Cell| finished(cell).filter(|_| !(arguments.run.fresh && selected(cell)));
    let mut done: Vec<Option<Done>> = cells.iter().map(kept).collect();
    let pending: Vec<usize> = (0..cells.len()).filter(|&i| done[i].is_none() && selected(&cells[i])).collect();
    let bar = progress::bar(work(&prepared, &cells, &pending), "evaluations");
    let mut solutions: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
    for i in pending {
        let cell = &cells[i];
        if let Some(spec) = &prepared.experiment.solution
            && !solutions.contains_key(&cell.seed)
        {
            let solved = solution(&prepared, spec, cell.seed, &cells_folder, arguments.run.fresh, &bar)?;
            solutions.insert(cell.seed, solved);
        }
        let solution = solutions.get(&cell.seed).filter(|_| !cell.entry.method.is_stochastic());
        bar.set_message(format!("{} at {} NFE", cell.entry.method.label(), cell.nfe));
        let (record, first) = measure(&prepared, cell, solution.map(Vec::as_slice), &bar)?;
        mosaic::write(&cell.path.with_extension("png"), &first)?;
        let state = Done { fingerprint: cell.fingerprint.clone(), commit: commit.clone(), record };
        files::write(&cell.path, toml::to_string(&state).map_err(Failure::run)?.as_bytes())?;
        done[i] = Some(state);
        write_tables(&folder, &prepared, &done)?;
    }
    bar.finish_and_clear();

    write_tables(&folder, &prepared, &done)?;
    let tiles: Vec<(Record, PathBuf)> = done
        .into_iter()
        .zip(&cells)
        .filter(|(_, cell)| cell.seed == prepared.experiment.seeds[0])
        .filter_map(|(done, cell)| Some((done?.record, cell.path.with_extension("png"))))
        .collect();
    if !tiles.is_empty() {
        mosaic::grid(&folder.join("samples.png"), &tiles)?;
    }
    report::write(&folder, &prepared.experiment.title)?;
    println!("{}", folder.display());
    Ok(())
}

fn cells(prepared: &Prepared, normaliser: Option<&Normaliser>, folder: &Path) -> Result<Vec<Cell>> {
    let clip = prepared.experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
    let clipped = normaliser.map(|normaliser| normaliser.clone().with_clip(clip)).transpose()?;
    let cell = |(entry, nfe, seed): (&MethodEntry, usize, u64)| {
        let plan = entry.plan(&prepared.sampler.schedule, nfe, clipped.as_ref())?;
        let fingerprint = prepared.fingerprint(&plan, seed);
        Ok(Cell { entry: entry.clone(), nfe, seed, fingerprint, path: folder.join(file_name(entry, nfe, seed)), plan })
    };
    prepared.experiment.cells().map(cell).collect()
}

/// A name that no other cell of an experiment has, short enough for a list of times.
fn file_name(entry: &MethodEntry, nfe: usize, seed: u64) -> String {
    let MethodEntry { method, grid, coefficients, threshold } = entry;
    let mut grid = grid.name().replace(' ', "-");
    if grid.len() > 60 {
        grid = files::sha256(grid.as_bytes())[..16].to_owned();
    }
    format!("{}-{}-{grid}-{}-{threshold}-{nfe}-seed-{seed}.toml", method.name(), method.order(), coefficients.name())
}

/// The tables and their provenance, of the cells that are done.
fn write_tables(folder: &Path, prepared: &Prepared, done: &[Option<Done>]) -> Result<()> {
    let done = || done.iter().flatten();
    let mut commits = BTreeMap::new();
    for cell in done() {
        *commits.entry(cell.commit.clone()).or_default() += 1;
    }
    provenance(prepared, commits).write(folder)?;
    record::write(folder, &done().map(|cell| cell.record.clone()).collect::<Vec<_>>())
}

/// What was found of the cell, where it was measured under the same conditions.
fn finished(cell: &Cell) -> Option<Done> {
    let done: Done = toml::from_str(&std::fs::read_to_string(&cell.path).ok()?).ok()?;
    (done.fingerprint == cell.fingerprint && cell.path.with_extension("png").exists()).then_some(done)
}

fn work(prepared: &Prepared, cells: &[Cell], pending: &[usize]) -> u64 {
    let samples = prepared.experiment.samples as u64;
    let features = if prepared.experiment.metrics.contains(&Metric::Fid) { INCEPTION_COST } else { 0 };
    let mut seeds: Vec<u64> = pending.iter().map(|&i| cells[i].seed).collect();
    seeds.dedup();
    let solution =
        prepared.experiment.solution.map_or(0, |spec| (spec.nfe.unwrap_or(0) * spec.samples * seeds.len()) as u64);
    pending.iter().map(|&i| samples * (cells[i].plan.nfe as u64 + features)).sum::<u64>() + solution
}

/// x_0 of the first images: exact where the model knows it, else by the many-step run, from disk where it is there.
fn solution(
    prepared: &Prepared,
    spec: &SolutionSpec,
    seed: u64,
    folder: &Path,
    fresh: bool,
    bar: &ProgressBar,
) -> Result<Vec<f32>> {
    let sampler = &prepared.sampler;
    let Some(nfe) = spec.nfe else {
        let exact = sampler.predictor.solution(sampler.noise(seed, 0..spec.samples));
        let exact = exact.ok_or_else(|| Failure::request("[solution] needs nfe: this model has no exact solution"))?;
        return sampling::values(exact);
    };
    let plan = curve::long_run().plan(&Request::new(&sampler.schedule, &Grid::quadratic(), nfe))?;
    let path = folder.join(format!("solution-{}.f32", &prepared.fingerprint(&plan, seed)[..16]));
    let total = spec.samples * sampler.len();
    if let Ok(bytes) = std::fs::read(&path)
        && bytes.len() == 4 * total
        && !fresh
    {
        bar.inc((nfe * spec.samples) as u64);
        return Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect());
    }
    bar.set_message(format!("solution with {nfe} evaluations"));
    let mut x = Vec::with_capacity(total);
    let run = |range: std::ops::Range<usize>| {
        let n = range.len() as u64;
        sampler.run(&plan, seed, range, |_, _| bar.inc(n))
    };
    sampler.batches(spec.samples, run, |_, part| {
        x.extend(part);
        Ok(())
    })?;
    let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_le_bytes()).collect();
    files::write(&path, &bytes)?;
    Ok(x)
}

/// What one batch of a cell gives.
struct Batch {
    images: Images,
    features: Vec<Vec<f32>>,
    /// The samples themselves, where they are measured.
    x: Vec<f32>,
    squared_error: Vec<f64>,
    seconds: [f64; 2],
}

fn measure(prepared: &Prepared, cell: &Cell, solution: Option<&[f32]>, bar: &ProgressBar) -> Result<(Record, Images)> {
    let Prepared { experiment, sampler, measures, .. } = prepared;
    let len = sampler.len();
    let before = sampler.predictor.evaluated();
    let mut moments: Vec<Moments> = measures.iter().map(|measure| Moments::new(measure.extractor.dim())).collect();
    let data = experiment.metrics.contains(&Metric::FdData).then(|| sampler.predictor.moments()).flatten();
    let mut data_moments = data.as_ref().map(|_| Moments::new(len));
    let (mut squared_error, mut compared) = (0.0, 0);
    let mut seconds = [0.0; 2];
    let mut first = Vec::new();

    let work = |range: std::ops::Range<usize>| {
        let start = Instant::now();
        let x = sampler.run(&cell.plan, cell.seed, range.clone(), |_, _| bar.inc(range.len() as u64))?;
        let sampled = start.elapsed().as_secs_f64();
        let images = sampling::to_images(&x, sampler.size)?;
        let rows = measures.iter().map(|measure| Ok(measure.extractor.features(&images)?));
        let features = rows.collect::<Result<Vec<_>>>()?;
        if experiment.metrics.contains(&Metric::Fid) {
            bar.inc(INCEPTION_COST * range.len() as u64);
        }
        let solved = solution.map_or(&[][..], |solution| solution.get(range.start * len..).unwrap_or_default());
        let squared_error = x.chunks(len).zip(solved.chunks(len)).map(|(x, solved)| distance(x, solved)).collect();
        let x = if data.is_some() { x } else { Vec::new() };
        Ok(Batch { images, features, x, squared_error, seconds: [sampled, start.elapsed().as_secs_f64() - sampled] })
    };
    sampler.batches(experiment.samples, work, |_, batch| {
        for (moments, rows) in moments.iter_mut().zip(&batch.features) {
            moments.push(rows)?;
        }
        if let Some(moments) = &mut data_moments {
            moments.push(&batch.x)?;
        }
        // Image by image, so that the batch size does not change the last bits.
        batch.squared_error.iter().for_each(|error| squared_error += error);
        compared += batch.squared_error.len();
        seconds.iter_mut().zip(batch.seconds).for_each(|(sum, part)| *sum += part / sampler.workers() as f64);
        let missing = mosaic::TILE_IMAGES - first.len() / len;
        first.extend(batch.images.iter().take(missing).flatten());
        Ok(())
    })?;

    let evaluated = sampler.predictor.evaluated() - before;
    let mut record = Record {
        experiment: experiment.name.clone(),
        method: cell.plan.method.clone(),
        order: cell.plan.order as u32,
        grid: cell.plan.grid.clone(),
        coefficients: cell.entry.coefficients.name().into(),
        threshold: cell.plan.threshold.to_string(),
        nfe: cell.nfe as u32,
        nfe_measured: evaluated as f64 / experiment.samples as f64,
        seed: cell.seed,
        samples: experiment.samples as u64,
        fid: None,
        fd_pixel: None,
        fd_data: None,
        ode_rmse: None,
        seconds_sample: 0.0,
        seconds_features: 0.0,
        device: prepared.device.name().into(),
    };
    let start = Instant::now();
    for (measure, moments) in measures.iter().zip(moments) {
        record.set(measure.metric, frechet_distance(&moments.gaussian()?, &measure.reference.gaussian)?);
    }
    if let (Some(DataMoments { mean, covariance }), Some(moments)) = (data, data_moments) {
        record.set(Metric::FdData, frechet_distance(&moments.gaussian()?, &Gaussian::from_rows(mean, &covariance)?)?);
    }
    // A stochastic method solves no ODE.
    if experiment.metrics.contains(&Metric::OdeRmse) && compared > 0 {
        record.set(Metric::OdeRmse, (squared_error / (compared * len) as f64).sqrt());
    }
    record.seconds_sample = seconds[0];
    record.seconds_features = seconds[1] + start.elapsed().as_secs_f64();
    Ok((record, Images::new(sampler.size, sampler.size, first)?))
}

fn distance(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

fn provenance(prepared: &Prepared, commits: BTreeMap<String, usize>) -> Provenance {
    Provenance {
        experiment: prepared.experiment.name.clone(),
        experiment_sha256: prepared.experiment.hash.clone(),
        device: prepared.device.name().into(),
        fewstep: env!("CARGO_PKG_VERSION"),
        code: provenance::CODE,
        burn: provenance::BURN,
        commits,
        assets: prepared.assets.clone(),
    }
}

/// `--only`: which cells are asked for.
#[derive(Debug, Default)]
struct Selection(Vec<(String, String)>);

impl Selection {
    /// `key=value` pairs; a key may come several times. Every pair must select something.
    fn parse(text: &str, experiment: &Experiment) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Failure::Request(format!("--only: '{pair}' is not key=value")));
            };
            let known = ["method", "order", "grid", "coefficients", "threshold", "nfe", "seed"];
            if !known.contains(&key) {
                return Err(Failure::Request(format!("--only: no key '{key}'; expected {}", known.join(", "))));
            }
            if !experiment.cells().any(|(entry, nfe, seed)| value_of(key, entry, nfe, seed) == value) {
                return Err(Failure::Request(format!("--only: no cell of this experiment has {key} = {value}")));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(Selection(pairs))
    }

    fn contains(&self, entry: &MethodEntry, nfe: usize, seed: u64) -> bool {
        self.0.iter().all(|(key, _)| {
            let asked = |(other, value): &(String, String)| other == key && *value == value_of(key, entry, nfe, seed);
            self.0.iter().any(asked)
        })
    }
}

fn value_of(key: &str, entry: &MethodEntry, nfe: usize, seed: u64) -> String {
    match key {
        "method" => entry.method.name(),
        "order" => entry.method.order().to_string(),
        "grid" => entry.grid.name(),
        "threshold" => entry.threshold.to_string(),
        "seed" => seed.to_string(),
        "coefficients" => entry.coefficients.name().into(),
        _ => nfe.to_string(),
    }
}
