//! `fewstep sweep`: every cell of an experiment, each written when it is done.

mod cautions;
mod merge;
mod one;
mod shard;
mod taken;
mod targets;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use fewstep_sampler::{Normaliser, Plan};

use super::{
    score_curve::{NORMALISER, score_curve},
    selection::Selection,
};
use crate::{
    cell::{Cell, Done, Kept, Loaded, Parts, Places, Reuse, Solution, Targets, Wanted, normaliser},
    cli,
    device::DeviceName,
    experiment::{Experiment, Made, MethodEntry},
    failure::{Failure, Result},
    files, interrupt,
    lock::{self, Lock},
    progress::Progress,
    results::{Features, Folder, NORMALISER_ASSET, Noise, published},
};
pub use merge::run as merge;
pub use shard::Shard;
pub(super) use written::hold_tables;
use written::reference;

/// Runs the experiment, or a part of the images of all its cells.
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
    let folder = arguments.run.folder(&experiment.name);
    if let Some(shard) = arguments.shard {
        return shard::run(experiment, arguments, &folder, shard);
    }
    let selection = Selection::parse(arguments.only.as_deref().unwrap_or_default(), &experiment)?;
    interrupt::listen()?;
    let lock = hold(&folder, arguments.join)?;
    let how = How {
        device: arguments.run.device,
        fresh: arguments.run.fresh,
        reuse: !arguments.no_reuse,
        alone: false,
        known: !arguments.no_reuse,
    };
    let mut sweep = Sweep::prepare(experiment, how, folder)?;
    sweep.lock = lock;
    arguments.take.iter().try_for_each(|from| sweep.take(from))?;
    sweep.all(&selection)
}

/// The cells of a selection alone, in a folder that nobody else has; no tables or charts.
pub fn only(experiment: Experiment, device: DeviceName, folder: &Path, selection: &Selection) -> Result<Folder> {
    interrupt::listen()?;
    let how = How { device, fresh: false, reuse: true, alone: true, known: false };
    let mut sweep = Sweep::prepare(experiment, how, folder.to_owned())?;
    sweep.measure(selection)?;
    Ok(sweep.results())
}

/// The lock of a results folder, once no other run writes there; none where another does and this one joins it.
fn hold(folder: &Path, join: bool) -> Result<Option<Lock>> {
    std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    let path = lock::of(folder);
    if join {
        let held = Lock::take(&path)?;
        if held.is_none() {
            eprintln!("{}: with the run that writes there", folder.display());
        }
        return Ok(held);
    }
    let wait = |holder: &str| {
        eprintln!(
            "{}: {holder} writes there; waiting for its end (--join takes the cells that nobody has)",
            folder.display()
        );
    };
    Lock::wait(&path, wait).map(Some)
}

/// How a sweep is run, whatever is measured.
struct How {
    /// Where.
    device: DeviceName,
    /// Whether nothing of an earlier run is of use.
    fresh: bool,
    /// Whether anything that is known is used again.
    reuse: bool,
    /// Whether the folder is no other run's, and needs no locks.
    alone: bool,
    /// Whether other experiments' solutions are of use.
    known: bool,
}

/// An experiment, its cells, and what is known of each.
struct Sweep {
    loaded: Loaded,
    folder: PathBuf,
    /// Of the folder: none for a run that joined another, as long as that goes on, and for what nobody else can have.
    lock: Option<Lock>,
    kept: Kept,
    cells: Vec<Cell>,
    /// What is to be measured of each.
    wanted: Vec<Vec<Wanted>>,
    /// What is kept of each.
    done: Vec<Option<Done>>,
    /// When its file was written, as far as is known.
    seen: Vec<Option<SystemTime>>,
    /// Seeds whose solution is not finite, and what was said of it.
    unsolved: BTreeMap<u64, String>,
    /// Whether anything that is known is used again.
    reuse: bool,
    /// Cells measured by this run.
    new: BTreeSet<usize>,
    /// Evaluations of an image that cells of equal plans did not make again.
    shared: u64,
    /// When the tables were last written, and how long that took.
    written: Option<(Instant, Duration)>,
    published: Vec<published::Row>,
    reference: Option<(PathBuf, Folder)>,
}

impl Sweep {
    fn prepare(experiment: Experiment, how: How, folder: PathBuf) -> Result<Self> {
        let published =
            experiment.published.iter().map(|path| published::read(path)).collect::<Result<Vec<_>>>()?.concat();
        let reference = reference(&experiment.name, &folder);
        let mut loaded = Loaded::all(experiment, how.device)?;
        if let Some(spec) = loaded.experiment.solution {
            loaded.assets.insert("solution".into(), Solution::describe(&spec));
        }
        Parts::check()?;
        let kept = Kept::at(folder.join(KEPT), how.fresh);
        // A shard has what its folder has, what is merged is the shards', and what is verified is to be made again.
        let kept = if how.known { kept.with_known(&loaded.sampler) } else { kept };
        std::fs::create_dir_all(&kept.folder).map_err(Failure::file(&kept.folder))?;
        if kept.fresh {
            files::remove_folder(&Parts::folder(&kept.folder))?;
        }
        // Of two runs on one folder one collects it.
        let say = |holder: &str| eprintln!("normaliser: {holder} is at it; waiting");
        let collect = || Lock::wait(&kept.folder.join("normaliser.lock"), say);
        let collecting = (!how.alone).then(collect).transpose()?;
        let found = normaliser(&loaded, Places::of(&kept), kept.fresh)?;
        drop(collecting);
        if let Some(found) = &found {
            loaded.assets.insert(NORMALISER_ASSET.into(), files::sha256(found.csv.as_bytes()));
            files::write(&folder.join("normaliser.csv"), found.csv.as_bytes())?;
            score_curve(&loaded, &found.normaliser, &folder.join("normaliser"))?;
        } else {
            // An earlier run's is not of these cells.
            NORMALISER.iter().try_for_each(|name| files::remove(&folder.join(name)))?;
        }
        let reuse = how.reuse;
        loaded.sampler.reuse = (reuse && loaded.sampler.cpu).then(Reuse::default);
        let cells = cells(&loaded, found.map(|found| found.normaliser), &kept.folder)?;
        let seen = cells.iter().map(modified).collect();
        let done = cells.iter().map(Done::read).collect();
        let wanted = cells.iter().map(|cell| wanted(&loaded, cell)).collect::<Result<_>>()?;
        let (unsolved, new, shared, written) = (BTreeMap::new(), BTreeSet::new(), 0, None);
        Ok(Sweep {
            loaded,
            folder,
            lock: None,
            kept,
            cells,
            wanted,
            done,
            seen,
            unsolved,
            reuse,
            new,
            shared,
            written,
            published,
            reference,
        })
    }

    /// Measures what is selected, and says what was found; what is finished is in the tables whatever ends it.
    fn all(&mut self, selection: &Selection) -> Result<()> {
        self.cautions().iter().for_each(|caution| eprintln!("mind: {caution}"));
        let measured = self.measure(selection);
        if measured.is_err() && !self.results().records.is_empty() {
            // What ended it is said, whatever else there is to say.
            let _ = self.write();
        }
        measured?;
        self.report()
    }

    /// Measures what is asked for and not known yet.
    fn measure(&mut self, selection: &Selection) -> Result<()> {
        let fresh = self.kept.fresh;
        let lacking = |i: usize| (i, self.lacking(i, fresh));
        let asked = (0..self.cells.len()).filter(|&i| self.is_asked(selection, i));
        let pending: Vec<(usize, Vec<Wanted>)> =
            asked.map(lacking).filter(|(_, lacking)| !lacking.is_empty()).collect();
        let progress = Progress::new(self.work(&pending), "evaluations");
        let before = self.loaded.sampler.predictor.evaluated();
        let needs = self.needs(&pending);
        let mut found: Option<(u64, Targets)> = None;
        let total = pending.len();
        // What another run has in hand is looked at again when nothing else is left.
        let mut others = Vec::new();
        let mut queue: VecDeque<usize> = pending.into_iter().map(|(i, _)| i).collect();
        let mut count = 0;
        while let Some((i, wait)) = queue.pop_front().map(|i| (i, false)).or_else(|| Some((others.pop()?, true))) {
            interrupt::check()?;
            if self.lock.is_none() {
                // The run that this one joined may have ended.
                self.lock = Lock::take(&lock::of(&self.folder))?;
            }
            let path = self.cells[i].path.with_extension("lock");
            let say = |holder: &str| progress.line(&format!("{}: {holder} is at it; waiting", self.cells[i].name()));
            let held = if wait { Some(Lock::wait(&path, say)?) } else { Lock::take(&path)? };
            let Some(_held) = held else {
                others.insert(0, i);
                continue;
            };
            count += 1;
            self.look_at(i);
            let lacking = self.lacking(i, fresh);
            if lacking.is_empty() {
                continue;
            }
            let seed = self.cells[i].seed;
            if found.as_ref().is_none_or(|(of, _)| *of != seed) {
                found = Some((seed, self.targets(seed, &needs[&seed], &progress)?));
            }
            let Some((_, targets)) = &found else { continue };
            if self.measurable(i, &lacking).is_empty() {
                continue;
            }
            let said = self.cell(i, lacking, targets, &progress).map_err(|failure| match failure {
                Failure::Request(message) if !self.kept.shards.is_empty() => {
                    Failure::Request(format!("{}: {message}", self.cells[i].name()))
                }
                other => other,
            })?;
            progress.line(&format!("cell {count} of {total}: {}: {said}", self.cells[i].name()));
            self.write_now_and_then()?;
        }
        progress.end();
        if total > 0 {
            let (made, reused) = (self.loaded.sampler.predictor.evaluated() - before, self.loaded.sampler.reused());
            eprintln!("evaluations of an image: {made} made, {} known already", reused + self.shared);
        }
        Ok(())
    }

    /// What can be measured of what cell `i` lacks: without a solution nothing that is measured from it.
    fn measurable(&self, i: usize, lacking: &[Wanted]) -> Vec<Wanted> {
        let unsolved = self.unsolved.contains_key(&self.cells[i].seed);
        let own = self.cells[i].entry.is_none() && self.plan(i).is_none();
        let can = |wanted: &&Wanted| !unsolved || (!wanted.metric.needs_solution() && !own);
        lacking.iter().filter(can).cloned().collect()
    }

    /// Looks whether another run finished cell `i` since it was last looked at.
    fn look_at(&mut self, i: usize) {
        let modified = modified(&self.cells[i]);
        if modified != self.seen[i] && !self.kept.fresh {
            self.seen[i] = modified;
            self.done[i] = Done::read(&self.cells[i]).or(self.done[i].take());
        }
    }

    /// [`Sweep::look_at`] all that lacks something.
    fn look(&mut self) {
        for i in 0..self.cells.len() {
            if !self.lacking(i, false).is_empty() {
                self.look_at(i);
            }
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
            if !wanted.is_empty() && !self.kept.shards.is_empty() {
                // Shards know nothing of what is here: their parts are of all that is measured.
                return self.wanted[i].clone();
            }
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
        let used = |features: &Features| lacking.iter().any(|wanted| wanted.metric.features() == Some(*features));
        let features: u64 = Features::ALL.into_iter().filter(used).map(Features::cost).sum();
        // The solution's own samples are there where others are measured from them one by one.
        let kept = self.cells[i].entry.is_none()
            && self.loaded.experiment.metrics.iter().any(|metric| metric.noise() == Some(Noise::Same));
        let plan = self.plan(i).filter(|_| !kept).map_or(0, |plan| plan.nfe as u64);
        self.loaded.experiment.samples as u64 * (plan + features)
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
}

/// What makes going on possible, in the results folder: published results have none of it.
const KEPT: &str = "cells";

/// When the file of a cell was written.
fn modified(cell: &Cell) -> Option<SystemTime> {
    cell.path.metadata().and_then(|file| file.modified()).ok()
}

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
