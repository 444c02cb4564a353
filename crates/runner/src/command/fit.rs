//! `fewstep fit`: for each number of evaluations the best plan for an experiment's network, and what every stage of finding it gained.

mod arguments;
mod chart;
mod curve;
mod features;
mod journal;
mod table;
mod tried;

use std::path::PathBuf;

use fewstep_fit::{Errors, Held, METHOD, Normalised, Points, Problem, Stage, Student, Target};
use fewstep_sampler::{Normaliser, Plan, PlanFile};

use super::folders::run_folder;
use crate::{
    cell::{Kept, Loaded, Parts, Places, Solution, Trajectories, network, normaliser},
    cli,
    experiment::{Experiment, FitSpec},
    failure::{Failure, Result},
    files, interrupt, lock,
    progress::Progress,
    report::figures,
    results::{self, BUILD, BURN},
};
use arguments::{chosen, numbers};
use features::Network;
use journal::{OfNumber, network_error};
use table::Row;

/// Evaluations of trajectories where neither the experiment nor its solution says how many.
const EVALUATIONS: usize = 500;
/// What OLSS's plans are called.
const OLSS: &str = "OLSS";

/// Fits, and writes a plan file for each stage and number of evaluations, and the table.
pub fn run(arguments: &cli::Fit) -> Result<()> {
    let mut experiment = Experiment::read(&arguments.experiment)?;
    let fit = chosen(arguments, &experiment)?;
    // No method of the experiment runs here.
    experiment.methods = Vec::new();
    if !arguments.curve {
        experiment.normaliser = None;
    } else if experiment.normaliser.is_none() {
        let path = arguments.experiment.display();
        return Err(Failure::Request(format!(
            "{path}: --curve needs a [normaliser] table, for the curve to begin with"
        )));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| run_folder(&format!("{}-fit", experiment.name)));
    let nfes = numbers(&arguments.nfe)?;
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    interrupt::listen()?;
    let _lock = lock::writing(&folder)?;
    let run = Run::prepare(experiment, fit, folder, &nfes, arguments)?;
    run.all(&nfes)
}

struct Run {
    loaded: Loaded,
    fit: FitSpec,
    nfe: usize,
    folder: PathBuf,
    teacher: Trajectories,
    held: Trajectories,
    solution: Option<Solution>,
    /// The experiment's normaliser, clipped, where a better one is asked for.
    normaliser: Option<Normaliser>,
    fresh: bool,
    canary: String,
    /// Of an objective in features.
    features: Option<Network>,
    progress: Progress,
}

impl Run {
    fn prepare(
        experiment: Experiment,
        fit: FitSpec,
        folder: PathBuf,
        nfes: &[usize],
        arguments: &cli::Fit,
    ) -> Result<Self> {
        let nfe = fit.nfe.or(experiment.solution.and_then(|solution| solution.nfe)).unwrap_or(EVALUATIONS);
        if let Some(most) = nfes.iter().find(|&&other| other >= nfe) {
            return Err(Failure::Request(format!(
                "--nfe has {most}, and the trajectories {nfe} evaluations; expected fewer than those"
            )));
        }
        for (grid, &nfe) in std::iter::once(&fit.spec.grid)
            .chain(&fit.spec.grids)
            .flat_map(|grid| nfes.iter().map(move |nfe| (grid, nfe)))
        {
            let refuse =
                |error| Failure::Request(format!("[fit] grid '{}' for {nfe} evaluations: {error}", grid.name()));
            let times = grid.times(nfe, &experiment.model.schedule).map_err(refuse)?;
            // The last step is fitted to the solution's end, which is at 0.
            if grid.denoises() || times.last() != Some(&0.0) {
                let name = grid.name();
                return Err(Failure::Request(format!(
                    "[fit] grid '{name}': expected one that ends at 0, as plans are fitted to the solution there"
                )));
            }
        }
        let loaded = Loaded::network(experiment, arguments.device)?;
        let features = Network::open(fit.objective, &loaded, arguments.device)?;
        let kept = folder.join("cells");
        std::fs::create_dir_all(&kept).map_err(Failure::file(&kept))?;
        let spec = loaded.experiment.solution;
        let solution_work = spec.map_or(0, |spec| spec.work() + (spec.samples * nfes.iter().sum::<usize>()) as u64);
        let trajectories = (nfe * (fit.images + fit.validation)) as u64;
        let stages: u64 = nfes.iter().map(|&nfe| expected(&fit, nfe)).sum();
        let curve =
            if arguments.curve { Normalised::TRIALS * (fit.images * nfes.iter().sum::<usize>()) as u64 } else { 0 };
        let progress = Progress::new(trajectories + solution_work + stages + curve, "evaluations");
        let canary = canary()?;
        if arguments.fresh {
            files::remove_folder(&Parts::folder(&kept))?;
        }
        let find = |images, validation| {
            let (of, fresh) = ((images, validation, &*canary), arguments.fresh);
            Trajectories::find(&loaded, nfe, of, &kept, fresh, &progress)
        };
        let (teacher, held) = (find(fit.images, false)?, find(fit.validation, true)?);
        let seed = loaded.experiment.seeds[0];
        let all = Kept::at(kept.clone(), arguments.fresh).with_known(&loaded.sampler);
        let solution = spec.map(|spec| Solution::find(&loaded, &spec, seed, &all, &progress)).transpose()?;
        let clip = loaded.experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
        let found = normaliser(&loaded, Places::of(&all), arguments.fresh)?;
        let normaliser = found.map(|found| found.normaliser.with_clip(clip)).transpose()?;
        let fresh = arguments.fresh;
        let canary = features.iter().fold(canary, |all, network| format!("{all} {}", network.canary));
        Ok(Run { loaded, fit, nfe, folder, teacher, held, solution, normaliser, fresh, canary, features, progress })
    }

    /// Every number of evaluations, each stage kept as soon as it is done.
    fn all(&self, nfes: &[usize]) -> Result<()> {
        let advance = |n| self.progress.advance(n);
        let network = network(&self.loaded.sampler, &advance);
        let points = Points::of(&self.teacher.teacher);
        let target = |of: &Trajectories| self.target(of.teacher.end().to_vec());
        let validation = Held { start: self.held.teacher.start().clone(), target: target(&self.held)? };
        let fitting = target(&self.teacher)?;
        let problem = Problem {
            teacher: &self.teacher.teacher,
            points: &points,
            target: &fitting,
            validation: &validation,
            network: &*network,
        };
        let measured = self.solution.as_ref().map(|solution| {
            let (start, target) = (self.measured_noise(solution).into(), self.target(solution.x.clone())?);
            Ok::<_, Failure>(Held { start, target })
        });
        let measured = measured.transpose()?;
        let mut rows = Vec::new();
        for &nfe in nfes {
            let before = self.loaded.sampler.predictor.evaluated();
            let mut found = self.olss(&problem, nfe)?;
            let journal = OfNumber::new(self, nfe)?;
            problem.fit(&self.fit.spec, nfe, &journal, |outcome| {
                let what = format!("{nfe} evaluations, {}: {:.4}", outcome.stage.name(), outcome.fit.objective);
                self.progress.line(&what);
                self.progress.say(what);
                journal.keep(&outcome).map_err(network_error)?;
                found.push(Row::of(&outcome, nfe));
                Ok(())
            })?;
            for row in &mut found {
                row.measured = measured.as_ref().map(|held| self.measure(held, &row.plan, &*network)).transpose()?;
            }
            // Without a difference the earlier stage, which is simpler.
            let own = found.iter_mut().filter(|row| row.stage != OLSS);
            let best = own.fold(None, |best: Option<&mut Row>, row| match best {
                Some(best) if row.validation.objective < best.validation.objective => Some(row),
                None if row.validation.objective.is_finite() => Some(row),
                best => best,
            });
            let to = self.folder.join(format!("{METHOD}-{nfe}.json"));
            let Some(best) = best else {
                // Another run's would be taken for this one's; which stage diverged is in the table.
                files::remove(&to)?;
                rows.extend(found);
                self.write(&rows, fitting.bands(), "")?;
                let message = format!("no plan of {nfe} evaluations has finite samples on the images for validation");
                return Err(Failure::Request(message));
            };
            best.chosen = true;
            files::write(&to, files::text(&journal.path(&best.stage))?.as_bytes())?;
            rows.extend(found);
            self.write(&rows, fitting.bands(), "")?;
            let used = self.loaded.sampler.predictor.evaluated() - before;
            self.progress.skip(expected(&self.fit, nfe).saturating_sub(used));
        }
        if let Some(own) = &self.normaliser {
            self.write(&rows, fitting.bands(), &self.curve(own, &problem, measured.as_ref(), nfes)?)?;
        }
        self.progress.end();
        println!("{}", self.folder.join("fit.md").display());
        Ok(())
    }

    fn target(&self, solution: Vec<f32>) -> Result<Target> {
        let target = Target::new(self.fit.objective, self.loaded.sampler.size, self.loaded.sampler.len(), solution);
        let with = |network: &Network| target.clone().with_features(&network.features);
        Ok(self.features.as_ref().map(with).transpose()?.unwrap_or(target))
    }

    fn write(&self, rows: &[Row], bands: &fewstep_fit::Bands, more: &str) -> Result<()> {
        files::write(&self.folder.join("fit.csv"), table::csv(rows, bands).as_bytes())?;
        files::write(&self.folder.join("fit.md"), (table::markdown(rows, &self.fit) + more).as_bytes())?;
        chart::write(&self.folder, rows, bands)?;
        let Experiment { name, title, hash, .. } = &self.loaded.experiment;
        let provenance = results::Provenance {
            experiment: name.clone(),
            title: title.clone(),
            experiment_sha256: hash.clone(),
            fewstep: env!("CARGO_PKG_VERSION").into(),
            burn: BURN.into(),
            builds: [(BUILD.to_owned(), rows.len())].into(),
            devices: [(self.loaded.device.clone(), rows.len())].into(),
            network: self.loaded.sampler.predictor.identity(),
            ..results::Provenance::default()
        };
        provenance.write(&self.folder)?;
        figures::write(&self.folder).map(drop)
    }

    /// OLSS's plan, which is fitted to nothing but the teacher; nothing where it finds no path.
    fn olss(&self, problem: &Problem, nfe: usize) -> Result<Vec<Row>> {
        let path = self.folder.join(format!("olss-{nfe}.json"));
        let (levels, steps) = match problem.points.olss(nfe) {
            Ok(found) => found,
            // Another run's would be of something else.
            Err(fewstep_fit::Error::Request(_)) => {
                files::remove(&path)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let student = Student::run(levels, steps, self.teacher.teacher.start(), None, problem.network)?;
        let plan = student.plan(&self.loaded.sampler.schedule, OLSS);
        let validation = problem.validation;
        let end = problem.end(&plan, &validation.start)?;
        let row = Row {
            nfe,
            stage: OLSS.into(),
            note: "every state of x_T and all predictions, fitted to the teacher's".into(),
            fit: Errors::of(problem.target, student.end())?,
            validation: Errors::of(&validation.target, &end)?,
            condition: 0.0,
            measured: None,
            chosen: false,
            plan: plan.clone(),
        };
        let file = self.file(&plan);
        files::write(&path, format!("{file}\n").as_bytes())?;
        Ok(vec![row])
    }

    fn file(&self, plan: &Plan) -> PlanFile {
        let model = &self.loaded.experiment.model;
        PlanFile::on(plan, &model.schedule, &model.schedule_name)
    }

    /// x_T of the images of cells that have a solution.
    fn measured_noise(&self, solution: &Solution) -> Vec<f32> {
        let (sampler, seed) = (&self.loaded.sampler, self.loaded.experiment.seeds[0]);
        sampler.cell_noise(seed, solution.x.len() / sampler.len())
    }

    /// On images of cells.
    fn measure(&self, held: &Held, plan: &Plan, network: &fewstep_fit::Epsilon) -> Result<table::Measured> {
        let student = Student::run(fewstep_fit::Levels::of_plan(plan), plan.steps.clone(), &held.start, None, network)?;
        let error = Errors::of(&held.target, student.end())?;
        Ok(table::Measured {
            error,
            by_band: held.target.by_band(student.end()),
            power: held.target.power_ratio(student.end()),
        })
    }
}

/// Evaluations that the stages of one number will make, about: for the time left only.
fn expected(fit: &FitSpec, nfe: usize) -> u64 {
    let (n, images) = (nfe as u64, fit.images as u64);
    let of = |stage: &Stage| match stage {
        Stage::Coefficients => n,
        Stage::Path => n * (fit.spec.grids.len() as u64 + 2),
        // Five distances, two or three passes, both ways, half of the steps again.
        Stage::Grid | Stage::Levels => 5 * 5 * n * n / 2,
        Stage::Joint => {
            let unknowns: usize = (0..nfe).map(|k| fit.spec.rule.unknowns(k)).sum();
            6 * (unknowns as u64 + n) * n / 2
        }
    };
    fit.spec.stages.iter().map(of).sum::<u64>() * images
}

/// What the fit's code does, on a formula: part of every key.
fn canary() -> Result<String> {
    let mut bytes = Vec::new();
    for plan in fewstep_fit::canary()? {
        let numbers = plan.steps.iter().flat_map(|step| [&[step.a], &*step.b, &*step.c].concat());
        bytes.extend(plan.tau.iter().copied().chain(numbers).flat_map(f64::to_le_bytes));
    }
    Ok(files::sha256(&bytes))
}
