//! What plans are fitted to: a network's own trajectories, from noise that no cell starts from, kept under their key.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use fewstep_fit::{Epsilon, Error, Teacher};
use serde::{Deserialize, Serialize};

use super::{
    key::{self, Key},
    load::Loaded,
    sampler::Sampler,
    solution,
};
use crate::{
    failure::{Failure, Result},
    files,
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

/// What is kept beside the numbers.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    tau: Vec<f64>,
    /// Of the numbers' file.
    sha256: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(message) => Failure::Request(message),
            Error::Network(message) | Error::Diverged(message) => Failure::Run(message),
        }
    }
}

/// The network as a fit sees it; `progress` hears of every evaluated image.
pub fn network<'a>(sampler: &'a Sampler, progress: &'a (dyn Fn(u64) + Sync)) -> Box<Epsilon<'a>> {
    Box::new(move |x, tau| sampler.evaluate(x, tau, progress).map_err(|failure| Error::Network(failure.to_string())))
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
        let files = ["toml", "f32"].map(|ending| folder.join(format!("trajectories-{}.{ending}", key.short())));
        let known = if fresh { None } else { read(&files, &key, images * sampler.len()) };
        if let Some((tau, x, epsilon)) = known {
            progress.skip((nfe * images) as u64);
            let teacher = Teacher::new(&sampler.schedule, sampler.len(), tau, x, epsilon)?;
            return Ok(Trajectories { key, teacher });
        }
        progress.say(format!("trajectories with {nfe} evaluations of {images} images for {draw}"));
        let start = sampler.fitting_noise(seed, images, validation);
        let advance = |n| progress.advance(n);
        let network = network(sampler, &advance);
        let teacher = Teacher::run(&sampler.schedule, &plan, start, sampler.len(), stride, &*network)?;
        write(&files, &key, &teacher)?;
        Ok(Trajectories { key, teacher })
    }
}

type Points = (Vec<f64>, Vec<Arc<[f32]>>, Vec<Arc<[f32]>>);

/// The numbers first: what says that they are there is written when they are.
fn write([description, numbers]: &[PathBuf; 2], key: &Key, teacher: &Teacher) -> Result<()> {
    let all = teacher.x.iter().chain(&teacher.epsilon);
    let bytes: Vec<u8> = all.flat_map(|values| values.iter().flat_map(|value| value.to_le_bytes())).collect();
    files::write(numbers, &bytes)?;
    let kept = Kept { key: key.as_str().to_owned(), tau: teacher.tau.clone(), sha256: files::sha256(&bytes) };
    files::write(description, files::seal(&toml::to_string(&kept).map_err(Failure::run)?).as_bytes())
}

/// What is kept under this key, whole and unchanged, `numbers` of them at each point; else nothing.
fn read([description, file]: &[PathBuf; 2], key: &Key, numbers: usize) -> Option<Points> {
    let kept: Kept = toml::from_str(files::unseal(&std::fs::read_to_string(description).ok()?)?).ok()?;
    let bytes = std::fs::read(file).ok()?;
    let states = kept.tau.len();
    let whole = kept.key == key.as_str() && states > 1 && bytes.len() == 4 * numbers * (2 * states - 1);
    if !whole || files::sha256(&bytes) != kept.sha256 {
        return None;
    }
    let values = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let mut all: Vec<Arc<[f32]>> = bytes.chunks_exact(4 * numbers).map(values).collect();
    let epsilon = all.split_off(states);
    Some((kept.tau, all, epsilon))
}
