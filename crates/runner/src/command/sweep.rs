//! `fewstep sweep`: every cell of an experiment, each written when it is done.

mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use fewstep_sampler::{Normaliser, Plan};

use super::{
    score_curve::{NORMALISER, score_curve},
    selection::Selection,
};
use crate::{
    cell::{
        Cell, Done, INCEPTION_COST, Loaded, Measurement, Needs, Reuse, Samples, Solution, Targets, Wanted, measure,
        normaliser,
    },
    cli,
    experiment::{Experiment, Made, MethodEntry},
    failure::{Failure, Result},
    files,
    progress::Progress,
    report::mosaic,
    results::{Features, Folder, Metric, NORMALISER_ASSET, Noise, published},
};
use written::reference;

/// Runs the experiment.
pub fn run(arguments: &cli::Sweep) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    for entry in &experiment.methods {
        if let Made::Planned(planned) = &entry.made
            && !planned.missing.is_empty()
        {
            let lacks: Vec<String> = planned.missing.iter().map(usize::to_string).collect();
            eprintln!("{}: no file {} for nfe {}", planned.label, planned.pattern, lacks.join(", "));
        }
    }
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
    /// What is to be measured of each.
    wanted: Vec<Vec<Wanted>>,
    /// What is kept of each.
    done: Vec<Option<Done>>,
    /// Seeds whose solution is not finite, and what was said of it.
    unsolved: BTreeMap<u64, String>,
    /// Whether anything that is known is used again.
    reuse: bool,
    /// Cells measured by this run.
    new: BTreeSet<usize>,
    /// Evaluations of an image that cells of equal plans did not make again.
    shared: u64,
    published: Vec<published::Row>,
    reference: Option<(PathBuf, Folder)>,
}

impl Sweep {
    fn prepare(
        experiment: Experiment,
        arguments: &cli::Sweep,
        folder: PathBuf,
        published: Vec<published::Row>,
    ) -> Result<Self> {
        let reference = reference(&experiment.name, &folder);
        let mut loaded = Loaded::all(experiment, arguments.run.device)?;
        if let Some(spec) = loaded.experiment.solution {
            loaded.assets.insert("solution".into(), Solution::describe(&spec));
        }
        let kept = folder.join(KEPT);
        std::fs::create_dir_all(&kept).map_err(Failure::file(&kept))?;
        let found = normaliser(&loaded, &kept, true, arguments.run.fresh)?;
        if let Some(found) = &found {
            loaded.assets.insert(NORMALISER_ASSET.into(), files::sha256(found.csv.as_bytes()));
            files::write(&folder.join("normaliser.csv"), found.csv.as_bytes())?;
            score_curve(&loaded, &found.normaliser, &folder.join("normaliser"))?;
        } else {
            // An earlier run's is not of these cells.
            NORMALISER.iter().try_for_each(|name| files::remove(&folder.join(name)))?;
        }
        let reuse = !arguments.no_reuse;
        loaded.sampler.reuse = (reuse && loaded.sampler.cpu).then(Reuse::default);
        let cells = cells(&loaded, found.map(|found| found.normaliser), &kept)?;
        let done = cells.iter().map(Done::read).collect();
        let wanted = cells.iter().map(|cell| wanted(&loaded, cell)).collect::<Result<_>>()?;
        let (unsolved, new) = (BTreeMap::new(), BTreeSet::new());
        Ok(Sweep { loaded, folder, cells, wanted, done, unsolved, reuse, new, shared: 0, published, reference })
    }

    /// Measures what is asked for and not known yet.
    fn measure(&mut self, selection: &Selection, fresh: bool) -> Result<()> {
        let lacking = |i: usize| (i, self.lacking(i, fresh));
        let asked = (0..self.cells.len()).filter(|&i| self.is_asked(selection, i));
        let pending: Vec<(usize, Vec<Wanted>)> =
            asked.map(lacking).filter(|(_, lacking)| !lacking.is_empty()).collect();
        let progress = Progress::new(self.work(&pending), "evaluations");
        let before = self.loaded.sampler.predictor.evaluated();
        let needs = self.needs(&pending);
        let mut found: Option<(u64, Targets)> = None;
        let total = pending.len();
        for (count, (i, mut lacking)) in pending.into_iter().enumerate() {
            let seed = self.cells[i].seed;
            if found.as_ref().is_none_or(|(of, _)| *of != seed) {
                found = Some((seed, self.targets(seed, &needs[&seed], fresh, &progress)?));
            }
            if self.unsolved.contains_key(&seed) {
                let own = self.cells[i].entry.is_none() && self.plan(i).is_none();
                lacking.retain(|wanted| !wanted.metric.needs_solution() && !own);
                if lacking.is_empty() {
                    continue;
                }
            }
            let Some((_, targets)) = &found else { continue };
            let said = self.cell(i, lacking, targets, fresh, &progress)?;
            progress.line(&format!("cell {} of {total}: {}: {said}", count + 1, self.cells[i].name()));
            self.write()?;
        }
        progress.end();
        if total > 0 {
            let (made, reused) = (self.loaded.sampler.predictor.evaluated() - before, self.loaded.sampler.reused());
            eprintln!("evaluations of an image: {made} made, {} known already", reused + self.shared);
        }
        self.write()
    }

    /// What the pending cells of each seed are measured from: of the solution, distances to it, and its own samples.
    fn needs(&self, pending: &[(usize, Vec<Wanted>)]) -> BTreeMap<u64, Needs> {
        let mut all: BTreeMap<u64, Needs> = BTreeMap::new();
        for (i, lacking) in pending {
            let Cell { entry, plan, seed, .. } = &self.cells[*i];
            let needs = all.entry(*seed).or_default();
            needs.solution |= entry.is_none() && plan.is_some() && self.plan(*i).is_none();
            lacking.iter().for_each(|wanted| needs.add(wanted.metric));
        }
        all
    }

    /// What the cells of a seed are measured from; nothing where a solution is not finite: what needs none is measured all the same.
    fn targets(&mut self, seed: u64, needs: &Needs, fresh: bool, progress: &Progress) -> Result<Targets> {
        let Some(spec) = self.loaded.experiment.solution.filter(|_| !needs.is_empty()) else {
            return Ok(Targets::default());
        };
        let kept = self.folder.join(KEPT);
        match Targets::find(&self.loaded, needs, (&spec, seed), (&kept, fresh), progress) {
            Err(Failure::Diverged { image, .. }) => {
                let said = format!(
                    "the solution of image {image}, seed {seed}, is not finite: nothing is measured against it"
                );
                progress.line(&said);
                self.unsolved.insert(seed, said);
                Ok(Targets::default())
            }
            found => found,
        }
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
    fn lacking(&self, i: usize, fresh: bool) -> Vec<Wanted> {
        let mut wanted = self.wanted[i].clone();
        if let (Some(done), false) = (&self.done[i], fresh) {
            wanted.retain(|wanted| !done.has(wanted.metric, &wanted.key));
        }
        wanted
    }

    /// For the time left.
    fn work(&self, pending: &[(usize, Vec<Wanted>)]) -> u64 {
        let cells = pending.iter().map(|(i, lacking)| self.work_of(*i, lacking)).sum::<u64>();
        let Some(spec) = self.loaded.experiment.solution else { return cells };
        let samples = self.loaded.experiment.samples;
        cells + self.needs(pending).values().map(|needs| needs.work(&spec, samples)).sum::<u64>()
    }

    /// Of one cell.
    fn work_of(&self, i: usize, lacking: &[Wanted]) -> u64 {
        let features = lacking.iter().any(|wanted| wanted.metric.features() == Some(Features::Inception));
        // The solution's own samples are there where others are measured from them one by one.
        let kept = self.cells[i].entry.is_none()
            && self.loaded.experiment.metrics.iter().any(|metric| metric.noise() == Some(Noise::Same));
        let plan = self.plan(i).filter(|_| !kept).map_or(0, |plan| plan.nfe as u64);
        self.loaded.experiment.samples as u64 * (plan + if features { INCEPTION_COST } else { 0 })
    }

    /// What has to be run for cell `i`: nothing for the solution's where its images are those that methods are compared with.
    fn plan(&self, i: usize) -> Option<&Plan> {
        let Cell { entry, plan, .. } = &self.cells[i];
        let experiment = &self.loaded.experiment;
        let spec = experiment.solution.filter(|spec| spec.nfe.is_some());
        let whole = spec.is_some_and(|spec| spec.samples == experiment.samples && spec.floor == spec.nfe);
        let frechet = experiment.metrics.iter().any(|metric| metric.is_frechet());
        plan.as_ref().filter(|_| entry.is_some() || (frechet && !whole))
    }

    /// Measures what cell `i` lacks; what was found, in a few words.
    fn cell(
        &mut self,
        i: usize,
        mut lacking: Vec<Wanted>,
        targets: &Targets,
        fresh: bool,
        progress: &Progress,
    ) -> Result<String> {
        let kept = self.done[i].take().filter(|_| !fresh);
        progress.say(self.cells[i].name());
        // The solution's own errors are known with it, and are measured on no samples.
        let is_own = |wanted: &mut Wanted| !wanted.metric.is_frechet() && self.cells[i].entry.is_none();
        let own = lacking.extract_if(.., is_own).collect::<Vec<Wanted>>();
        let own = own.iter().filter_map(|wanted| Some(wanted.of_images(targets.check(wanted.metric)?.to_vec())));
        let own: Vec<Measurement> = own.collect();
        let mut said = String::new();
        let mut done = match kept {
            Some(kept) if lacking.is_empty() => kept,
            kept => {
                let new = match self.equal(i, &lacking, fresh)? {
                    Some((j, done)) => {
                        progress.skip(self.work_of(i, &lacking));
                        self.shared += done.nfe_measured.map_or(0, |nfe| (nfe * done.samples as f64).round() as u64);
                        said = format!(", of the same samples as {}", self.cells[j].name());
                        done
                    }
                    None => self.sample(i, &lacking, targets, progress)?,
                };
                match kept {
                    Some(kept) => kept.merge(new),
                    None => new,
                }
            }
        };
        if !own.is_empty() {
            let new = Done { measured: own, ..done.clone() };
            done = done.merge(new);
        }
        let cell = &self.cells[i];
        done.write(cell)?;
        let record = cell.record("", &done, &self.wanted[i]);
        let figure = |metric: Metric| Some(format!("{} {:.4}", metric.name(), record.metric(metric)?));
        let found = match record.diverged.as_str() {
            "" => Metric::ALL.into_iter().filter_map(figure).collect::<Vec<_>>().join(", "),
            diverged => format!("diverged, {diverged}"),
        };
        self.done[i] = Some(done);
        self.new.insert(i);
        Ok(found + &said)
    }

    /// What cell `i` lacks, of samples of its own.
    fn sample(&self, i: usize, lacking: &[Wanted], targets: &Targets, progress: &Progress) -> Result<Done> {
        let (cell, count) = (&self.cells[i], self.loaded.experiment.samples);
        let all = targets.all_of(&cell.key).filter(|_| cell.entry.is_none());
        let samples = match (all, self.plan(i), &targets.solution) {
            (Some(all), ..) => Samples::Kept(all),
            (None, Some(plan), _) => Samples::Of(plan, count),
            (None, None, Some(solution)) if cell.plan.is_some() => Samples::Kept(solution),
            _ => Samples::Exact(count),
        };
        let (mut done, first) = measure(&self.loaded, cell, samples, lacking, targets, progress)?;
        if let Some(first) = first {
            mosaic::write(&cell.picture(), &first)?;
            done.picture = files::sha256_of(&cell.picture())?;
        }
        Ok(done)
    }

    /// What cell `i` lacks, from another of the same key: plans may be equal under several names and numbers of evaluations. Its
    /// picture becomes that of cell `i`.
    fn equal(&self, i: usize, lacking: &[Wanted], fresh: bool) -> Result<Option<(usize, Done)>> {
        let is_equal = |&j: &usize| j != i && self.cells[j].key == self.cells[i].key;
        let usable = |j: &usize| self.reuse && (!fresh || self.new.contains(j));
        for j in (0..self.cells.len()).filter(is_equal).filter(usable) {
            let Some(done) = self.done[j].as_ref().and_then(|done| done.share(lacking)) else { continue };
            let picture = self.cells[j].picture();
            if done.diverged.is_empty() {
                if !done.has_picture(&picture) {
                    continue;
                }
                let bytes = std::fs::read(&picture).map_err(Failure::file(&picture))?;
                files::write(&self.cells[i].picture(), &bytes)?;
            }
            return Ok(Some((j, done)));
        }
        Ok(None)
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
        Cell::of_method(loaded, entry, plan, nfe, seed, kept)
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

fn wanted(loaded: &Loaded, cell: &Cell) -> Result<Vec<Wanted>> {
    let key = |spec| Solution::key(loaded, &spec, cell.seed);
    cell.wanted(loaded, loaded.experiment.solution.map(key).transpose()?.as_ref())
}
