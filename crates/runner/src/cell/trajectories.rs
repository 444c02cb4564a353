//! What plans are fitted to: a network's own trajectories, from noise that no cell starts from, kept under their key.

use std::{ops::Range, path::Path, sync::Arc};

use fewstep_fit::{Epsilon, Error, Teacher};

use super::{
    figures::Rows,
    kept::{self, Numbers},
    key::{self, Key},
    load::Loaded,
    normaliser::forget,
    parts::{Part, Parts, Widths},
    sampler::{Sampler, values},
    solution,
};
use crate::{
    failure::{Failure, Result},
    interrupt,
    progress::Progress,
};

/// Most points of a trajectory that are kept; between them it is a cubic.
const POINTS: usize = 100;
/// Numbers of states and predictions that are kept in memory: 4 GB.
const MOST: usize = 1 << 30;

/// Trajectories of some images.
pub struct Trajectories {
    /// What they depend on.
    pub key: Key,
    /// The points.
    pub teacher: Teacher,
}

/// What they are kept as.
const NAME: &str = "trajectories";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // A fit knows of an interruption only that the network gave nothing.
        if let Err(asked) = interrupt::check() {
            return asked;
        }
        match error {
            Error::Request(message) => Failure::Request(message),
            Error::Network(message) | Error::Diverged(message) => Failure::Run(message),
        }
    }
}

/// The network as a fit sees it; `progress` hears of every evaluated image.
pub fn network<'a>(sampler: &'a Sampler, progress: &'a (dyn Fn(u64) + Sync)) -> Box<Epsilon<'a>> {
    Box::new(move |x, tau| {
        // What is one batch is never between two, where a run is otherwise asked.
        let evaluated = interrupt::check().and_then(|()| sampler.evaluate(x, tau, progress));
        evaluated.map_err(|failure| Error::Network(failure.to_string()))
    })
}

impl Trajectories {
    /// Of `images` of the draw for fitting, or of that for validation, with `nfe` evaluations; from `folder` where they are there;
    /// `canary` is of the code that runs them.
    pub fn find(
        loaded: &Loaded,
        nfe: usize,
        (images, validation, canary): (usize, bool, &str),
        folder: &Path,
        fresh: bool,
        progress: &Progress,
    ) -> Result<Self> {
        let sampler = &loaded.sampler;
        let (seed, plan) = (loaded.experiment.seeds[0], solution::plan(loaded, nfe)?);
        // Of validation images the ends alone are of use.
        let stride = if validation { nfe } else { nfe.div_ceil(POINTS) };
        let draw = if validation { "validation" } else { "fitting" };
        let points = nfe.div_ceil(stride) + 2;
        if images.saturating_mul(2 * points * sampler.len()) > MOST {
            return Err(Failure::Request(format!(
                "trajectories of {images} images with {points} points each; expected at most {MOST} numbers of states and predictions"
            )));
        }
        let key = key::trajectories(sampler, &loaded.canary, &plan, seed, (draw, images, stride, canary))?;
        let tau: Vec<f64> = Teacher::points(plan.steps.len(), stride).into_iter().map(|k| plan.tau[k]).collect();
        let count = (2 * tau.len() - 1) * images * sampler.len();
        if let Some(numbers) = if fresh { None } else { kept::read(folder, NAME, &key, count) } {
            // A kill may have come between the two.
            forget(&Parts::new(key.clone(), folder, &[], Widths::default()), folder)?;
            progress.skip((nfe * images) as u64);
            return Ok(Trajectories { key, teacher: teacher(loaded, tau, &numbers.values, images)? });
        }
        progress.say(format!("trajectories with {nfe} evaluations of {images} images for {draw}"));
        let start = sampler.fitting_noise(seed, images, validation);
        let (steps, len) = (plan.steps.len() as u64, sampler.len());
        // A batch's whole runs, image by image, so that a kill costs the batches in hand.
        let work = |range: Range<usize>| {
            let network = |x: &[f32], tau: f64| {
                let epsilon = values(sampler.predictor.epsilon_of(sampler.given(x), tau, range.clone()));
                progress.advance(range.len() as u64);
                epsilon.map_err(|failure| Error::Network(failure.to_string()))
            };
            let start = start[range.start * len..range.end * len].to_vec();
            let run = Teacher::run(&sampler.schedule, &plan, start, len, stride, &network)?;
            let of_image = |i: usize| run.x.iter().chain(&run.epsilon).flat_map(move |x| &x[i * len..(i + 1) * len]);
            let features = (0..range.len()).flat_map(of_image).copied().collect();
            let rows = Rows { features: vec![(features, 0.0)], ..Rows::default() };
            Ok(Part { images: range, rows, evaluated: steps, ..Part::default() })
        };
        let each = (2 * tau.len() - 1) * len;
        let widths = Widths { spaces: vec![each], ..Widths::default() };
        Parts::check()?;
        let mut parts = Parts::new(key.clone(), folder, &[], widths);
        if fresh {
            parts.remove()?;
        }
        let mut all = vec![0f32; count];
        let known = |images: usize| progress.skip(steps * images as u64);
        parts.each(sampler, (0..images, plan.steps.len()), known, work, |part| {
            let images_of = part.rows.features.iter().flat_map(|(features, _)| features.chunks_exact(each));
            for (image, values) in part.images.clone().zip(images_of) {
                for (point, x) in values.chunks_exact(len).enumerate() {
                    let at = (point * images + image) * len;
                    all[at..at + len].copy_from_slice(x);
                }
            }
            Ok(())
        })?;
        let numbers = Numbers { counted: nfe as f64, values: all, ..Numbers::default() };
        kept::write(folder, NAME, &key, &numbers)?;
        forget(&parts, folder)?;
        Ok(Trajectories { key, teacher: teacher(loaded, tau, &numbers.values, images)? })
    }
}

/// Of what was kept: the states of all points, then the predictions of all but the last.
fn teacher(loaded: &Loaded, tau: Vec<f64>, values: &[f32], images: usize) -> Result<Teacher> {
    let sampler = &loaded.sampler;
    let mut all: Vec<Arc<[f32]>> = values.chunks_exact(images * sampler.len()).map(Arc::from).collect();
    let epsilon = all.split_off(tau.len());
    Ok(Teacher::new(&sampler.schedule, sampler.len(), tau, all, epsilon)?)
}
