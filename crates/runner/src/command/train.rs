//! `fewstep train`: a network from a training file, its loss curve and samples on the way, resumed where it was killed.

mod memory;
mod training;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fewstep_fid::Images;
use fewstep_model::{Levels, Step, Trainer, TrainingImages};
use fewstep_sampler::{Grid, Request, Schedule};
use serde::{Deserialize, Serialize};

use crate::{
    assets,
    cell::{Clock, Sampler, images_of, long_run},
    cli,
    device::{self, Opened},
    experiment::CHANNELS,
    failure::{Failure, Result},
    files, interrupt,
    lock::{self, Lock},
    progress::Progress,
    report::{
        chart::{Chart, Line},
        figures, mosaic,
    },
    results::{BUILD, BURN},
    source::{MEMORY, too_large},
};
#[cfg(test)]
pub use training::check;
use training::{Output, PART, Training};

/// One row of `loss.csv`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    step: usize,
    images: usize,
    learning_rate: f64,
    loss: f64,
    gradient_norm: f64,
}

/// What `provenance.toml` of a training run says.
#[derive(Serialize)]
struct Provenance {
    experiment: String,
    experiment_sha256: String,
    build: &'static str,
    device: String,
    threads: usize,
    fewstep: &'static str,
    burn: &'static str,
    parameters: usize,
    steps: usize,
    images: usize,
    /// Of this process; a resumed run's last part, and nothing where that had no step to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    images_per_second: Option<f64>,
    dataset: String,
}

/// Says of which step the rest in a folder is, and is written last.
const PROVENANCE: &str = "provenance.toml";

/// Trains.
pub fn run(arguments: &cli::Train) -> Result<()> {
    let training = Training::read(&arguments.experiment)?;
    let folder = arguments.run.folder(&training.name);
    Clock::start()?;
    files::make_folder(&folder)?;
    interrupt::listen()?;
    let wait = |holder: &str| eprintln!("{}: {holder} trains there; waiting for its end", folder.display());
    let _lock = Lock::wait(&lock::of(&folder), wait)?;
    let set = assets::images_of_size(&training.data, training.size, training.crop)?;
    if set.len() < training.spec.batch {
        let (path, images, batch) = (training.data.display(), set.len(), training.spec.batch);
        return Err(Failure::Request(format!("{path}: {images} images; expected at least a batch of {batch}")));
    }
    let (images, size) = (set.len(), training.size);
    if let Some(reason) = too_large(&[images, CHANNELS, size, size], MEMORY) {
        let (path, data) = (arguments.experiment.display(), training.data.display());
        let message = format!("{path}: data is {data}, {images} images; so many of {size}x{size} {reason}");
        return Err(Failure::Request(message));
    }
    let dataset = set.hash()?;
    let images = set.read(0..set.len())?;
    let Opened { device: on, description } = device::open(arguments.run.device)?;
    let cpu = arguments.run.device.is_cpu();
    let identity = files::sha256(format!("{} {dataset}", training.hash).as_bytes());
    let state_path = folder.join("state.safetensors");
    let resumes = state_path.exists() && !arguments.run.fresh;
    let trainer = if resumes {
        Trainer::resume(&state_path, &identity, training.spec.clone(), &on, cpu)?
    } else {
        Trainer::new(training.spec.clone(), &on, cpu)?
    };
    if !resumes {
        // What another run left is of none of this one's steps.
        files::remove(&folder.join(PROVENANCE))?;
    }
    let rows = if resumes { read_rows(&folder, trainer.step_count())? } else { Vec::new() };
    let mut run = Run { training, folder, trainer, rows, on, cpu, device: description, identity, dataset };
    run.train(&images)?;
    println!("{}", run.folder.display());
    Ok(())
}

struct Run {
    training: Training,
    folder: PathBuf,
    trainer: Trainer,
    rows: Vec<Row>,
    on: burn::tensor::Device,
    cpu: bool,
    device: String,
    identity: String,
    dataset: String,
}

impl Run {
    fn train(&mut self, images: &Images) -> Result<()> {
        let data = TrainingImages { pixels: images.pixels(), size: self.training.size, channels: CHANNELS };
        let levels = levels();
        let (steps, first) = (self.training.spec.steps, self.trainer.step_count());
        let progress = Progress::new(steps as u64, "steps");
        progress.resume(first as u64);
        if self.is_shown_at(first) && self.shown() != Some(first) {
            // A process was ended between the two.
            self.show(None, &progress)?;
        }
        let start = Instant::now();
        let mut clock = Clock::start()?;
        while self.trainer.step_count() < steps {
            let Step { step, loss, gradient_norm, learning_rate } = self.trainer.step(data, &levels)?;
            let images = step * self.training.spec.batch;
            self.rows.push(Row { step, images, learning_rate, loss, gradient_norm });
            let speed = ((step - first) * self.training.spec.batch) as f64 / start.elapsed().as_secs_f64();
            progress.say(format!("loss {:.4}, {speed:.0} images/s", smooth(&self.rows, step)));
            progress.advance(1);
            let (shown, asked) = (self.is_shown_at(step), interrupt::check());
            // Before anything is drawn, which takes time, and which a signal ends.
            if shown || asked.is_err() || clock.is_due() {
                clock.keep(|| self.save())?;
            }
            asked?;
            if shown {
                self.show(Some(speed), &progress)?;
            }
        }
        progress.end();
        // A process that was killed before it made the page has left the rest whole.
        figures::write(&self.folder).map(drop)
    }

    /// Whether what a reader wants is written after this step.
    fn is_shown_at(&self, step: usize) -> bool {
        step > 0 && (step.is_multiple_of(self.training.output.every) || step == self.training.spec.steps)
    }

    /// The step that it was last written after, all of it.
    fn shown(&self) -> Option<usize> {
        let text = std::fs::read_to_string(self.folder.join(PROVENANCE)).ok()?;
        usize::try_from(text.parse::<toml::Table>().ok()?.get("steps")?.as_integer()?).ok()
    }

    /// Everything that a reader wants of the step that is saved.
    fn show(&self, images_per_second: Option<f64>, progress: &Progress) -> Result<()> {
        let step = self.trainer.step_count();
        let speed = images_per_second.map(|speed| format!(", {speed:.0} images/s")).unwrap_or_default();
        progress.line(&format!("step {step}: loss {:.4}{speed}", smooth(&self.rows, step)));
        self.chart().write(&self.folder.join("loss"))?;
        self.samples(&self.folder.join(format!("samples-{step:07}.png")))?;
        files::write(&self.folder.join("model.safetensors"), &self.trainer.checkpoint(self.training.output.half)?)?;
        let provenance = Provenance {
            experiment: self.training.name.clone(),
            experiment_sha256: self.training.hash.clone(),
            build: BUILD,
            device: self.device.clone(),
            threads: rayon::current_num_threads(),
            fewstep: env!("CARGO_PKG_VERSION"),
            burn: BURN,
            parameters: self.trainer.parameters(),
            steps: step,
            images: step * self.training.spec.batch,
            images_per_second,
            dataset: self.dataset.clone(),
        };
        let text = toml::to_string(&provenance).map_err(Failure::run)?;
        files::write(&self.folder.join(PROVENANCE), text.as_bytes())?;
        figures::write(&self.folder).map(drop)
    }

    /// What the next process goes on from.
    fn save(&self) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        self.rows.iter().try_for_each(|row| csv.serialize(row)).map_err(Failure::run)?;
        files::write(&self.folder.join("loss.csv"), &csv.into_inner().map_err(Failure::run)?)?;
        // Last: the rows of its steps are then there.
        files::write(&self.folder.join("state.safetensors"), &self.trainer.state(&self.identity)?)
    }

    fn chart(&self) -> Chart {
        // A point for every pixel is enough.
        let every = self.rows.len().div_ceil(800);
        let of = |value: &dyn Fn(&Row) -> f64| {
            self.rows.iter().step_by(every).map(|row| (row.step as f64, value(row))).collect::<Vec<_>>()
        };
        Chart {
            title: format!("Training loss, {}", self.training.title),
            x: "step".into(),
            y: "mean squared error".into(),
            lines: vec![
                Line::new("a step's batch", of(&|row| row.loss)),
                Line::new(format!("mean of the last {WINDOW}"), of(&|row| smooth(&self.rows, row.step))),
            ],
            marks: false,
            log_x: false,
            log_y: true,
            floor: None,
            named_at_ends: true,
        }
    }

    fn samples(&self, path: &Path) -> Result<()> {
        let Output { samples, nfe, .. } = self.training.output;
        let schedule = Schedule::linear();
        let plan = long_run().plan(&Request::new(&schedule, &Grid::quadratic(), nfe))?;
        let sampler = Sampler {
            predictor: Box::new(self.trainer.averaged(levels())),
            schedule,
            device: self.on.clone(),
            cpu: self.cpu,
            size: self.training.size,
            batch: PART,
            rate: f64::INFINITY,
            reuse: None,
        };
        let mut x = Vec::new();
        let run = |range| sampler.run(&plan, self.training.spec.seed, range, |_, _| {});
        sampler.batches((samples, plan.nfe), run, |_, part| {
            x.extend(part);
            Ok(())
        })?;
        mosaic::write(path, &images_of(&x, sampler.size)?)
    }
}

/// Steps that the drawn loss is averaged over.
const WINDOW: usize = 100;

/// Mean loss of the steps up to `step`.
fn smooth(rows: &[Row], step: usize) -> f64 {
    let end = rows.partition_point(|row| row.step <= step);
    let part = &rows[end.saturating_sub(WINDOW)..end];
    part.iter().map(|row| row.loss).sum::<f64>() / part.len().max(1) as f64
}

fn levels() -> Levels {
    let schedule = Schedule::linear();
    Levels { count: schedule.levels(), alpha_bar: Box::new(move |tau| schedule.alpha_bar(tau)) }
}

/// The rows of the steps that the state has behind it.
fn read_rows(folder: &Path, steps: usize) -> Result<Vec<Row>> {
    let path = folder.join("loss.csv");
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Request(format!("{}: {error}; expected the loss of {steps} steps, or use --fresh", path.display()))
    };
    let mut reader = csv::Reader::from_path(&path).map_err(|error| wrong(&error))?;
    let rows: BTreeMap<usize, Row> = reader
        .deserialize()
        .map(|row: std::result::Result<Row, _>| row.map(|row| (row.step, row)))
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| wrong(&error))?;
    let rows: Vec<Row> = rows.into_values().filter(|row| row.step <= steps).collect();
    if rows.len() == steps { Ok(rows) } else { Err(wrong(&format!("{} rows", rows.len()))) }
}
