//! `fewstep train`: a network from a training file, its loss curve and samples on the way, resumed where it was killed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fewstep_fid::Images;
use fewstep_model::{Levels, Prediction, Rate, Step, TrainSpec, Trainer, TrainingImages, UNetConfig};
use fewstep_sampler::{Grid, Request, Schedule};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    assets,
    cell::{Sampler, images_of, long_run},
    cli,
    device::{self, Opened},
    experiment::CHANNELS,
    failure::{Failure, Result},
    files, interrupt,
    lock::{self, Lock},
    progress::Progress,
    report::{
        chart::{Chart, Line},
        mosaic,
    },
    results::{BUILD, BURN},
    source::Source,
};

/// A training file, checked.
struct Training {
    name: String,
    title: String,
    hash: String,
    data: PathBuf,
    size: usize,
    crop: bool,
    spec: TrainSpec,
    output: Output,
}

/// What is written on the way.
struct Output {
    /// Steps between states on disk.
    every: usize,
    /// Images of a sample grid.
    samples: usize,
    /// Evaluations for them.
    nfe: usize,
    /// Whether weights are rounded to f16.
    half: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: Option<String>,
    #[serde(default)]
    seed: u64,
    data: String,
    size: Spanned<usize>,
    #[serde(default)]
    crop: bool,
    prediction: Prediction,
    model: Spanned<UNetConfig>,
    training: RawTraining,
    #[serde(default)]
    output: RawOutput,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraining {
    steps: Spanned<usize>,
    batch: Spanned<usize>,
    part: Option<Spanned<usize>>,
    learning_rate: Spanned<f64>,
    #[serde(default)]
    warm_up: usize,
    rate: RawRate,
    #[serde(default = "betas")]
    betas: Spanned<[f32; 2]>,
    weight_decay: Option<Spanned<f64>>,
    clip_norm: Option<Spanned<f64>>,
    ema: Spanned<f64>,
    #[serde(default)]
    flip: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRate {
    Constant,
    Cosine,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    every: Option<Spanned<usize>>,
    samples: Option<Spanned<usize>>,
    nfe: Option<Spanned<usize>>,
    #[serde(default)]
    half: bool,
}

fn betas() -> Spanned<[f32; 2]> {
    Spanned::new(0..0, [0.9, 0.999])
}

/// Images that go through the network together on CPU, where parts of a batch run side by side.
const PART: usize = 16;
/// A sample grid is of at most so many images.
const MAX_SAMPLES: usize = 1024;

impl Training {
    fn read(path: &Path) -> Result<Self> {
        let text = files::text(path)?;
        let source = Source { path, text: &text };
        let raw: Raw = source.parse()?;
        let size = source.within("size", &raw.size, 1..1025)?;
        let config = raw.model.get_ref().clone();
        config.check().map_err(|error| source.error(raw.model.span(), error))?;
        let multiple = config.side_multiple();
        if config.channels != CHANNELS || config.learn_sigma || !size.is_multiple_of(multiple) {
            let expected = format!("{CHANNELS} channels, no learn_sigma, and a size that is a multiple of {multiple}");
            return Err(
                source.error(raw.model.span(), format!("cannot train this network at {size}: expected {expected}"))
            );
        }
        let training = raw.training;
        let number = |name: &str, value: &Spanned<f64>, good: fn(f64) -> bool, expected: &str| {
            let number = *value.get_ref();
            if good(number) {
                Ok(number)
            } else {
                Err(source.error(value.span(), format!("{name} is {number}; {expected}")))
            }
        };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let betas = *training.betas.get_ref();
        if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(source.error(training.betas.span(), format!("betas are {betas:?}; expected 0 to below 1")));
        }
        let steps = source.within("steps", &training.steps, 1..100_000_001)?;
        let batch = source.within("batch", &training.batch, 1..65_537)?;
        let part = training.part.as_ref().map_or(Ok(PART), |part| source.within("part", part, 1..65_537))?;
        let clip = training.clip_norm.as_ref().map(|clip| number("clip_norm", clip, positive, "expected above 0"));
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let decay = training
            .weight_decay
            .as_ref()
            .map(|decay| number("weight_decay", decay, not_negative, "expected 0 or more"));
        let spec = TrainSpec {
            config,
            prediction: raw.prediction,
            steps,
            batch,
            part,
            learning_rate: number("learning_rate", &training.learning_rate, positive, "expected above 0")?,
            warm_up: training.warm_up,
            rate: match training.rate {
                RawRate::Constant => Rate::Constant,
                RawRate::Cosine => Rate::Cosine,
            },
            betas,
            weight_decay: decay.transpose()?.unwrap_or(0.0) as f32,
            clip_norm: clip.transpose()?,
            ema: number("ema", &training.ema, |ema| (0.0..1.0).contains(&ema), "expected 0 to below 1")?,
            flip: training.flip,
            seed: raw.seed,
        };
        let optional = |name: &str, value: &Option<Spanned<usize>>, default: usize, limit: usize| {
            value.as_ref().map_or(Ok(default), |value| source.within(name, value, 1..limit + 1))
        };
        let output = Output {
            every: optional("every", &raw.output.every, 500, steps.max(500))?,
            samples: optional("samples", &raw.output.samples, 36, MAX_SAMPLES)?,
            nfe: optional("nfe", &raw.output.nfe, 20, 1000)?,
            half: raw.output.half,
        };
        let data = source.data(&raw.data);
        let name = source.name();
        let title = raw.title.unwrap_or_else(|| name.clone());
        Ok(Training { name, title, hash: files::sha256(text.as_bytes()), data, size, crop: raw.crop, spec, output })
    }
}

/// Whether a training file can be read.
#[cfg(test)]
pub fn check(path: &Path) -> Result<()> {
    Training::read(path).map(drop)
}

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
    /// Of this process; a resumed run's last part.
    images_per_second: f64,
    dataset: String,
}

/// Trains.
pub fn run(arguments: &cli::Train) -> Result<()> {
    let training = Training::read(&arguments.experiment)?;
    let folder = arguments.run.folder(&training.name);
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    interrupt::listen()?;
    let wait = |holder: &str| eprintln!("{}: {holder} trains there; waiting for its end", folder.display());
    let _lock = Lock::wait(&lock::of(&folder), wait)?;
    let set = assets::images_of_size(&training.data, training.size, training.crop)?;
    if set.len() < training.spec.batch {
        let (path, images, batch) = (training.data.display(), set.len(), training.spec.batch);
        return Err(Failure::Request(format!("{path}: {images} images; expected at least a batch of {batch}")));
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
        let start = Instant::now();
        while self.trainer.step_count() < steps {
            let Step { step, loss, gradient_norm, learning_rate } = self.trainer.step(data, &levels)?;
            let images = step * self.training.spec.batch;
            self.rows.push(Row { step, images, learning_rate, loss, gradient_norm });
            let speed = ((step - first) * self.training.spec.batch) as f64 / start.elapsed().as_secs_f64();
            progress.say(format!("loss {:.4}, {speed:.0} images/s", smooth(&self.rows, step)));
            progress.advance(1);
            if step.is_multiple_of(self.training.output.every) || step == steps {
                self.write(speed, &progress)?;
            } else if let Err(asked) = interrupt::check() {
                self.save()?;
                return Err(asked);
            }
        }
        progress.end();
        Ok(())
    }

    /// Everything that a reader or the next process wants, the state last: what it stands for is then there.
    fn write(&self, images_per_second: f64, progress: &Progress) -> Result<()> {
        let step = self.trainer.step_count();
        progress.line(&format!("step {step}: loss {:.4}, {images_per_second:.0} images/s", smooth(&self.rows, step)));
        self.chart().write(&self.folder.join("loss"))?;
        self.samples(&self.folder.join(format!("samples-{step:07}.png")))?;
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
        files::write(&self.folder.join("provenance.toml"), text.as_bytes())?;
        files::write(&self.folder.join("model.safetensors"), &self.trainer.checkpoint(self.training.output.half)?)?;
        self.save()
    }

    /// What the next process goes on from.
    fn save(&self) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        self.rows.iter().try_for_each(|row| csv.serialize(row)).map_err(Failure::run)?;
        files::write(&self.folder.join("loss.csv"), &csv.into_inner().map_err(Failure::run)?)?;
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
            reuse: None,
        };
        let mut x = Vec::new();
        let run = |range| sampler.run(&plan, self.training.spec.seed, range, |_, _| {});
        sampler.batches(samples, run, |_, part| {
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
