//! `fewstep sweep`: every cell of an experiment, each written when it is done.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use fewstep_sampler::{Normaliser, Plan};

use super::selection::Selection;
use crate::{
    cell::{Cell, Done, INCEPTION_COST, Loaded, Samples, Solution, Wanted, measure, normaliser},
    cli,
    experiment::{Experiment, MethodEntry},
    failure::{Failure, Result},
    files,
    progress::Progress,
    report::{self, mosaic},
    results::{BURN, Folder, Metric, PerImage, Provenance, Record, compare, published},
};

/// Runs the experiment.
pub fn run(arguments: &cli::Sweep) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    let selection = Selection::parse(arguments.only.as_deref().unwrap_or_default(), &experiment)?;
    let folder = arguments.run.folder(&experiment.name);
    let published = experiment.published.iter().map(|path| published::read(path)).collect::<Result<Vec<_>>>()?.concat();
    let mut sweep = Sweep::prepare(experiment, arguments, folder, published)?;
    sweep.measure(&selection, arguments.run.fresh)?;
    sweep.report()
}

/// An experiment, its cells, and what is known of each.
struct Sweep {
    loaded: Loaded,
    folder: PathBuf,
    cells: Vec<Cell>,
    done: Vec<Option<Done>>,
    published: Vec<published::Row>,
}

impl Sweep {
    fn prepare(
        experiment: Experiment,
        arguments: &cli::Sweep,
        folder: PathBuf,
        published: Vec<published::Row>,
    ) -> Result<Self> {
        let mut loaded = Loaded::all(experiment, arguments.run.device)?;
        if let Some(spec) = loaded.experiment.solution {
            loaded.assets.insert("solution".into(), Solution::describe(&spec));
        }
        let kept = folder.join(KEPT);
        std::fs::create_dir_all(&kept).map_err(Failure::file(&kept))?;
        let found = normaliser(&loaded, &kept, true, arguments.run.fresh)?;
        if let Some(found) = &found {
            loaded.assets.insert("normaliser".into(), files::sha256(found.csv.as_bytes()));
            files::write(&folder.join("normaliser.csv"), found.csv.as_bytes())?;
            super::score_curve(&loaded, &found.normaliser, &folder.join("normaliser"))?;
        }
        let cells = cells(&loaded, found.map(|found| found.normaliser), &kept)?;
        let done = cells.iter().map(Done::read).collect();
        Ok(Sweep { loaded, folder, cells, done, published })
    }

    /// Measures what is asked for and not known yet; what was asked is written whatever comes after it.
    fn measure(&mut self, selection: &Selection, fresh: bool) -> Result<()> {
        let mut pending = Vec::new();
        for i in (0..self.cells.len()).filter(|&i| self.is_asked(selection, i)) {
            let lacking = self.lacking(i, fresh)?;
            if !lacking.is_empty() {
                pending.push((i, lacking));
            }
        }
        let progress = Progress::new(self.work(&pending), "evaluations");
        let mut solution: Option<(u64, Solution)> = None;
        let total = pending.len();
        for (count, (i, lacking)) in pending.into_iter().enumerate() {
            let seed = self.cells[i].seed;
            if let Some(spec) = self.loaded.experiment.solution
                && solution.as_ref().is_none_or(|(of, _)| *of != seed)
            {
                let kept = self.folder.join(KEPT);
                solution = Some((seed, Solution::find(&self.loaded, &spec, seed, &kept, fresh, &progress)?));
            }
            let found = self.cell(i, &lacking, solution.as_ref().map(|(_, solution)| solution), fresh, &progress)?;
            progress.line(&format!("cell {} of {total}: {}: {found}", count + 1, self.cells[i].name()));
            self.write()?;
        }
        progress.end();
        self.write()
    }

    /// A method's cell where it is selected; the solution's where any of its seed is.
    fn is_asked(&self, selection: &Selection, i: usize) -> bool {
        let selected =
            |cell: &Cell| cell.entry.as_ref().is_some_and(|entry| selection.contains(entry, cell.nfe, cell.seed));
        let cell = &self.cells[i];
        match cell.entry {
            Some(_) => selected(cell),
            None => self.cells.iter().any(|other| other.seed == cell.seed && selected(other)),
        }
    }

    /// What is not known of cell `i`.
    fn lacking(&self, i: usize, fresh: bool) -> Result<Vec<Wanted>> {
        let cell = &self.cells[i];
        let spec = self.loaded.experiment.solution;
        let solution = spec.map(|spec| Solution::key(&self.loaded, &spec, cell.seed)).transpose()?;
        let mut wanted = cell.wanted(&self.loaded, solution.as_ref());
        if let (Some(done), false) = (&self.done[i], fresh) {
            wanted.retain(|wanted| !done.has(wanted.metric, &wanted.key));
        }
        Ok(wanted)
    }

    /// For the time left.
    fn work(&self, pending: &[(usize, Vec<Wanted>)]) -> u64 {
        let experiment = &self.loaded.experiment;
        let cell = |(i, lacking): &(usize, Vec<Wanted>)| {
            let features = lacking.iter().any(|wanted| wanted.metric == Metric::Fid);
            let plan = self.plan(*i, lacking).map_or(0, |plan| plan.nfe as u64);
            experiment.samples as u64 * (plan + if features { INCEPTION_COST } else { 0 })
        };
        let mut seeds: Vec<u64> = pending.iter().map(|(i, _)| self.cells[*i].seed).collect();
        seeds.dedup();
        let solutions = experiment.solution.map_or(0, |spec| spec.work()) * seeds.len() as u64;
        pending.iter().map(cell).sum::<u64>() + solutions
    }

    /// What has to be run for cell `i`: nothing for the solution's where its images are those that methods are compared with.
    fn plan(&self, i: usize, lacking: &[Wanted]) -> Option<&Plan> {
        let Cell { entry, plan, .. } = &self.cells[i];
        let experiment = &self.loaded.experiment;
        let whole =
            experiment.solution.is_some_and(|spec| spec.samples == experiment.samples && spec.floor == spec.nfe);
        let compared = lacking.iter().all(|wanted| !wanted.metric.is_frechet());
        plan.as_ref().filter(|_| entry.is_some() || !(whole || compared))
    }

    /// Measures what cell `i` lacks; what was found, in a few words.
    fn cell(
        &mut self,
        i: usize,
        lacking: &[Wanted],
        solution: Option<&Solution>,
        fresh: bool,
        progress: &Progress,
    ) -> Result<String> {
        let (cell, count) = (&self.cells[i], self.loaded.experiment.samples);
        progress.say(cell.name());
        let samples = match (self.plan(i, lacking), solution) {
            (Some(plan), _) => Samples::Of(plan, count),
            (None, Some(solution)) if cell.plan.is_some() => Samples::Kept(solution),
            _ => Samples::Exact(count),
        };
        let (new, first) = measure(&self.loaded, cell, samples, lacking, solution, progress)?;
        if let Some(first) = first {
            mosaic::write(&cell.picture(), &first)?;
        }
        let done = match self.done[i].take().filter(|_| !fresh) {
            Some(kept) => kept.merge(new),
            None => new,
        };
        done.write(cell)?;
        let metrics = &self.loaded.experiment.metrics;
        let record = cell.record("", &done, metrics);
        let figures =
            metrics.iter().filter_map(|&metric| Some(format!("{} {:.4}", metric.name(), record.metric(metric)?)));
        let found = if record.diverged.is_empty() {
            figures.collect::<Vec<_>>().join(", ")
        } else {
            format!("diverged, {}", record.diverged)
        };
        self.done[i] = Some(done);
        Ok(found)
    }

    /// Everything that is known, whatever was asked for this time.
    fn results(&self) -> Folder {
        let Sweep { loaded, cells, done, published, .. } = self;
        let experiment = &loaded.experiment;
        let (mut records, mut per_image) = (Vec::new(), PerImage::new());
        for (cell, done) in cells.iter().zip(done) {
            let Some(done) = done else { continue };
            let record = cell.record(&experiment.name, done, &experiment.metrics);
            for measurement in &done.measured {
                if record.metric(measurement.metric).is_some() && !measurement.per_image.is_empty() {
                    per_image.insert(record.key.clone(), measurement.per_image.clone());
                }
            }
            records.push(record);
        }
        let provenance = provenance(loaded, cells.len(), &records);
        Folder { records, per_image, provenance, published: published.clone() }
    }

    fn write(&self) -> Result<()> {
        self.results().write(&self.folder)
    }

    /// Tables, charts and samples of all finished cells; how they compare with what was published.
    fn report(&self) -> Result<()> {
        let results = self.results();
        if results.records.is_empty() {
            return Err(Failure::request("no cell is measured"));
        }
        let picture = |record: &Record| {
            let cell = self.cells.iter().find(|cell| cell.key.as_str() == record.key);
            cell.map(Cell::picture).filter(|picture| picture.exists())
        };
        report::samples(&self.folder, &results, picture)?;
        report::write(&self.folder, &results)?;
        println!("{}", self.folder.display());
        let published = super::published_folder(&self.loaded.experiment.name);
        if Folder::is_at(&published) && published != self.folder {
            println!("against {}: {}", published.display(), compare(&results, &Folder::read(&published)?));
        }
        Ok(())
    }
}

/// What makes going on possible, in the results folder: published results have none of it.
const KEPT: &str = "cells";

fn cells(loaded: &Loaded, normaliser: Option<Normaliser>, kept: &Path) -> Result<Vec<Cell>> {
    let experiment = &loaded.experiment;
    let clip = experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
    let clipped = normaliser.map(|normaliser| normaliser.with_clip(clip)).transpose()?;
    let method = |(entry, nfe, seed): (&MethodEntry, usize, u64)| {
        let plan = entry.plan(&loaded.sampler.schedule, nfe, clipped.as_ref())?;
        Ok(Cell::of_method(loaded, entry, plan, nfe, seed, kept))
    };
    let mut cells = Vec::new();
    for &seed in &experiment.seeds {
        let of_seed = experiment.cells().filter(|(_, _, other)| *other == seed).map(method);
        cells.extend(of_seed.collect::<Result<Vec<Cell>>>()?);
        // Last of its seed, when its solution is there.
        cells.extend(experiment.solution.map(|spec| Cell::of_solution(loaded, &spec, seed, kept)).transpose()?);
    }
    Ok(cells)
}

fn provenance(loaded: &Loaded, cells: usize, records: &[Record]) -> Provenance {
    let count = |of: fn(&Record) -> &String| {
        let mut counts = BTreeMap::new();
        records.iter().for_each(|record| *counts.entry(of(record).clone()).or_default() += 1);
        counts
    };
    let experiment = &loaded.experiment;
    Provenance {
        experiment: experiment.name.clone(),
        title: experiment.title.clone(),
        experiment_sha256: experiment.hash.clone(),
        fewstep: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        cells,
        builds: count(|record| &record.build),
        devices: count(|record| &record.device),
        network: loaded.sampler.predictor.identity(),
        canary: loaded.canary.parts(),
        dimensions: loaded.dimensions(),
        assets: loaded.assets.clone(),
    }
}
