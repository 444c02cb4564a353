//! `fewstep sweep`: every cell of an experiment, each written when it is done.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use fewstep_sampler::{Normaliser, Plan};
use serde::{Deserialize, Serialize};

use crate::{
    cli,
    experiment::{Experiment, MethodEntry},
    failure::{Failure, Result},
    files,
    measure::{self, INCEPTION_COST},
    metric::Metric,
    mosaic,
    prepare::Prepared,
    progress,
    provenance::{self, Provenance},
    published,
    record::{self, Record},
    report,
};

/// A finished cell on disk, as TOML: its floats come back to the last bit, as serde_json's do not by default.
#[derive(Serialize, Deserialize)]
struct Done {
    fingerprint: String,
    /// Of the experiment's repository when the cell was measured.
    commit: String,
    record: Record,
}

/// A cell to measure.
pub struct Cell {
    /// The method.
    pub entry: MethodEntry,
    /// Evaluations asked for; the plan's may be fewer.
    pub nfe: usize,
    /// Of its noise.
    pub seed: u64,
    /// The method on its grid.
    pub plan: Plan,
    fingerprint: String,
    path: PathBuf,
}

/// Runs the experiment.
pub fn run(arguments: &cli::Sweep) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    let selection = Selection::parse(arguments.only.as_deref().unwrap_or_default(), &experiment)?;
    let folder = arguments.run.folder(&experiment.name);
    let published = experiment.published.iter().map(|path| published::read(path)).collect::<Result<Vec<_>>>()?.concat();
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
            let solved = measure::solution(&prepared, spec, cell.seed, &cells_folder, arguments.run.fresh, &bar)?;
            solutions.insert(cell.seed, solved);
        }
        let solution = solutions.get(&cell.seed).filter(|_| !cell.entry.method.is_stochastic());
        bar.set_message(format!("{} at {} NFE", cell.entry.method.label(), cell.nfe));
        let (record, first) = measure::cell(&prepared, cell, solution.map(Vec::as_slice), &bar)?;
        mosaic::write(&cell.path.with_extension("png"), &first)?;
        let state = Done { fingerprint: cell.fingerprint.clone(), commit: commit.clone(), record };
        files::write(&cell.path, toml::to_string(&state).map_err(Failure::run)?.as_bytes())?;
        done[i] = Some(state);
        write_tables(&folder, &prepared, &done)?;
    }
    bar.finish_and_clear();

    write_tables(&folder, &prepared, &done)?;
    published::keep(&folder, &published)?;
    let (records, pictures): (Vec<Record>, Vec<PathBuf>) = done
        .into_iter()
        .zip(&cells)
        .filter_map(|(done, cell)| Some((done?.record, cell.path.with_extension("png"))))
        .unzip();
    let pictured = report::pictured(&records);
    let tiles: Vec<(Record, PathBuf)> = records
        .into_iter()
        .zip(pictures)
        .zip(pictured)
        .filter_map(|(tile, pictured)| pictured.then_some(tile))
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
