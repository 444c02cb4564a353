//! A cell's samples, batch by batch, and what its figures are made of.

use std::{ops::Range, time::Instant};

use fewstep_fid::Images;
use fewstep_sampler::Plan;

use super::{
    figures::{Gathered, Rows, Ways},
    load::Loaded,
    sampler::images_of,
    solution::{self, Solution},
    state::{Cell, Done, Wanted},
    targets::Targets,
};
use crate::{
    failure::{Failure, Result},
    progress::Progress,
    results::BUILD,
};

/// Evaluations of a small U-Net that cost as much as one image through Inception: for the time left only.
pub const INCEPTION_COST: u64 = 25;

/// Images of a cell's picture: the first ones, so that all cells start from the same noise.
pub const PICTURED: usize = 4;

/// Where samples come from, and how many.
#[derive(Clone, Copy)]
pub enum Samples<'a> {
    /// A run.
    Of(&'a Plan, usize),
    /// They are there already.
    Kept(&'a Solution),
    /// The network's formula.
    Exact(usize),
}

impl Samples<'_> {
    fn count(self, len: usize) -> usize {
        match self {
            Samples::Of(_, count) | Samples::Exact(count) => count,
            Samples::Kept(solution) => solution.x.len() / len,
        }
    }
}

/// Samples a cell and measures what is wanted of it: what is to be kept, and its first images; none of a run that diverged.
pub fn measure(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    wanted: &[Wanted],
    targets: &Targets,
    progress: &Progress,
) -> Result<(Done, Option<Images>)> {
    let count = samples.count(loaded.sampler.len());
    let mut done = Done {
        key: cell.key.as_str().to_owned(),
        build: BUILD.to_owned(),
        device: loaded.device.clone(),
        samples: count as u64,
        ..Done::default()
    };
    let ways = Ways::new(loaded, wanted, targets)?;
    let before = loaded.sampler.asked();
    match gather(loaded, cell, samples, &ways, targets.solution.as_ref(), progress) {
        Ok((gathered, seconds, first)) => {
            let evaluated = loaded.sampler.asked() - before;
            done.nfe_measured = Some(match samples {
                Samples::Kept(solution) => solution.counted,
                _ => evaluated as f64 / count as f64,
            });
            done.seconds = seconds;
            done.measured = ways.finish(wanted, gathered)?;
            let size = loaded.sampler.size;
            Ok((done, Some(Images::new(size, size, first)?)))
        }
        Err(Failure::Diverged { image, step, .. }) => {
            done.diverged = format!("image {image} from step {step} on");
            done.measured = wanted.iter().map(Wanted::blank).collect();
            Ok((done, None))
        }
        Err(error) => Err(error),
    }
}

/// What one batch gives.
struct Batch {
    images: Images,
    rows: Rows,
    seconds: f64,
}

/// Runs over all images: what figures are made of; seconds of sampling; the first pixels.
fn gather(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    ways: &Ways,
    solution: Option<&Solution>,
    progress: &Progress,
) -> Result<(Gathered, f64, Vec<u8>)> {
    let (sampler, len) = (&loaded.sampler, loaded.sampler.len());
    let mut gathered = ways.begin(len);
    let (mut seconds, mut first) = (0.0, Vec::new());
    let work = |range: Range<usize>| {
        let start = Instant::now();
        let x = take(loaded, cell, samples, solution, range.clone(), progress)?;
        let sampled = start.elapsed().as_secs_f64();
        let images = images_of(&x, sampler.size)?;
        let rows = ways.rows(&x, &images, range.start, len)?;
        if ways.in_inception() {
            progress.advance(INCEPTION_COST * range.len() as u64);
        }
        Ok(Batch { images, rows, seconds: sampled })
    };
    sampler.batches(samples.count(len), work, |_, batch| {
        gathered.add(batch.rows, 1.0 / sampler.workers() as f64)?;
        seconds += batch.seconds / sampler.workers() as f64;
        let missing = PICTURED.saturating_sub(first.len() / len);
        first.extend(batch.images.iter().take(missing).flatten());
        Ok(())
    })?;
    Ok((gathered, seconds, first))
}

/// x_0 of images `range`, finite.
fn take(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    solution: Option<&Solution>,
    range: Range<usize>,
    progress: &Progress,
) -> Result<Vec<f32>> {
    let len = loaded.sampler.len();
    match samples {
        Samples::Of(plan, _) => {
            let mut x = known(loaded, cell, solution, &range);
            let rest = range.start + x.len() / len..range.end;
            progress.advance(((range.len() - rest.len()) * plan.nfe) as u64);
            if !rest.is_empty() {
                let n = rest.len() as u64;
                x.extend(loaded.sampler.run(plan, cell.seed, rest, |_, _| progress.advance(n))?);
            }
            Ok(x)
        }
        Samples::Kept(solution) => Ok(solution.x.get(range.start * len..range.end * len).unwrap_or_default().to_vec()),
        Samples::Exact(_) => solution::exact(loaded, cell.seed, range),
    }
}

/// x_0 of the first of the images `range` where the solution is of the same run; the cell's method pays for them all the same.
fn known(loaded: &Loaded, cell: &Cell, solution: Option<&Solution>, range: &Range<usize>) -> Vec<f32> {
    let (Some(reuse), Some(solution)) = (&loaded.sampler.reuse, solution) else { return Vec::new() };
    let x = solution.beginning(&cell.key, range, loaded.sampler.len());
    reuse.count(((x.len() / loaded.sampler.len()) as f64 * solution.counted).round() as u64);
    x.to_vec()
}
