//! A cell's samples, batch by batch, and what its figures are made of.

use std::{ops::Range, time::Instant};

use fewstep_fid::Images;
use fewstep_sampler::Plan;

use super::{
    figures::{Extraction, Ways},
    kept::Kept,
    key::{self, Key},
    load::Loaded,
    parts::{Part, Parts, Widths},
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

/// Samples a cell and measures what is wanted of it: what is to be kept, and its first images; none of a run that diverged. Of a long
/// run parts are kept on the way, of all that is `lacking`, measurable or not: [`forget`] them once the whole is kept.
pub fn measure(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    (wanted, lacking): (&[Wanted], &[Wanted]),
    targets: &Targets,
    kept: &Kept,
    progress: &Progress,
) -> Result<(Done, Option<Images>)> {
    let (len, size) = (loaded.sampler.len(), loaded.sampler.size);
    let count = samples.count(len);
    let mut done = Done {
        key: cell.key.as_str().to_owned(),
        build: BUILD.to_owned(),
        device: loaded.device.clone(),
        samples: count as u64,
        ..Done::default()
    };
    let ways = Ways::new(loaded, (wanted, lacking), targets)?;
    let making = Making { loaded, cell, samples, extraction: &ways.extraction, targets, progress };
    let (mut gathered, mut first) = (ways.begin(count, len), Vec::new());
    let mut parts = parts(loaded, cell, lacking, &ways.extraction, kept)?;
    let evaluated = making.each(&mut parts, 0..count, |part| {
        gathered.add(&part.rows)?;
        done.seconds += part.seconds;
        first.extend(&part.pictured);
        Ok(())
    });
    match evaluated {
        Ok(evaluated) => {
            done.nfe_measured = Some(match samples {
                Samples::Kept(solution) => solution.counted,
                _ => evaluated as f64 / count as f64,
            });
            done.measured = ways.finish(wanted, gathered)?;
            Ok((done, Some(Images::new(size, size, first)?)))
        }
        Err(Failure::Diverged { image, step, .. }) => {
            done.seconds = 0.0;
            done.diverged = format!("image {image} from step {step} on");
            done.measured = wanted.iter().map(Wanted::blank).collect();
            Ok((done, None))
        }
        Err(error) => Err(error),
    }
}

/// The first images of a cell alone.
///
/// # Errors
/// As sampling.
pub fn picture(loaded: &Loaded, cell: &Cell) -> Result<Images> {
    let images = 0..PICTURED.min(loaded.experiment.samples);
    let x = match &cell.plan {
        Some(plan) => loaded.sampler.run(plan, cell.seed, images, |_, _| {})?,
        None => solution::exact(loaded, cell.seed, images)?,
    };
    images_of(&x, loaded.sampler.size)
}

/// Samples some images of a cell, and keeps what they give as parts, for whoever has those of all images.
pub fn measure_part(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    wanted: &[Wanted],
    targets: &Targets,
    (images, kept): (&Range<usize>, &Kept),
    progress: &Progress,
) -> Result<()> {
    let extraction = Extraction::new(loaded, wanted, targets.solution.as_ref());
    let making = Making { loaded, cell, samples, extraction: &extraction, targets, progress };
    let mut parts = parts(loaded, cell, wanted, &extraction, kept)?;
    // Of a solution's own samples there may be fewer than a cell has.
    let count = match samples {
        Samples::Kept(solution) if !solution.is_of(&cell.key) => solution.end(loaded.sampler.len()),
        _ => loaded.experiment.samples,
    };
    let images = images.start.min(count)..images.end.min(count);
    match making.each(&mut parts, images, |_| Ok(())) {
        Ok(_) => parts.keep(),
        Err(Failure::Diverged { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the parts of a cell that is kept as a whole.
pub fn forget(cell: &Cell, wanted: &[Wanted], kept: &Kept) -> Result<()> {
    kept.parts(parts_key(cell, wanted)?, Widths::default()).remove()
}

fn parts(loaded: &Loaded, cell: &Cell, wanted: &[Wanted], extraction: &Extraction, kept: &Kept) -> Result<Parts> {
    let len = loaded.sampler.len();
    let (spaces, x) = extraction.widths(len);
    Ok(kept.parts(parts_key(cell, wanted)?, Widths { spaces, x, pictured: (len, PICTURED) }))
}

fn parts_key(cell: &Cell, wanted: &[Wanted]) -> Result<Key> {
    let measured: Vec<_> = wanted.iter().map(|wanted| (wanted.metric, wanted.key.as_str())).collect();
    key::parts(&cell.key, &measured)
}

/// How what the images of a cell give is made.
struct Making<'a> {
    loaded: &'a Loaded,
    cell: &'a Cell,
    samples: Samples<'a>,
    extraction: &'a Extraction<'a>,
    targets: &'a Targets,
    progress: &'a Progress,
}

impl Making<'_> {
    /// Gives `take` what every image of a range gave, in order. How many evaluations of an image that took.
    fn each(&self, parts: &mut Parts, images: Range<usize>, take: impl FnMut(&Part) -> Result<()>) -> Result<u64> {
        let features = self.extraction.cost();
        let evaluations = if let Samples::Of(plan, _) = self.samples { plan.nfe as u64 } else { 0 };
        let known = |images| self.progress.skip(images as u64 * (evaluations + features));
        let share = 1.0 / self.loaded.sampler.workers() as f64;
        let work = |images: Range<usize>| {
            let start = Instant::now();
            let (x, evaluated) = self.take(images.clone())?;
            let seconds = start.elapsed().as_secs_f64() * share;
            let eight_bit = images_of(&x, self.loaded.sampler.size)?;
            let rows = self.extraction.rows(&x, &eight_bit, images.start, share)?;
            self.progress.advance(features * images.len() as u64);
            let pictured = eight_bit.iter().take(PICTURED.saturating_sub(images.start)).flatten().copied().collect();
            Ok(Part { images, rows, pictured, evaluated, seconds })
        };
        parts.each(&self.loaded.sampler, (images, evaluations as usize), known, work, take)
    }

    /// x_0 of images `range`, finite, and evaluations of an image.
    fn take(&self, range: Range<usize>) -> Result<(Vec<f32>, u64)> {
        let Making { loaded, cell, progress, .. } = self;
        let len = loaded.sampler.len();
        match self.samples {
            Samples::Of(plan, _) => {
                let (mut x, mut evaluated) = known(loaded, cell, self.targets.solution.as_ref(), &range);
                let rest = range.start + x.len() / len..range.end;
                progress.advance(((range.len() - rest.len()) * plan.nfe) as u64);
                if !rest.is_empty() {
                    let n = rest.len() as u64;
                    let observe = |_, _: &_| {
                        progress.advance(n);
                        evaluated += n;
                    };
                    x.extend(loaded.sampler.run(plan, cell.seed, rest, observe)?);
                }
                Ok((x, evaluated))
            }
            Samples::Kept(solution) => Ok((solution.of(&range, len).to_vec(), 0)),
            Samples::Exact(_) => Ok((solution::exact(loaded, cell.seed, range)?, 0)),
        }
    }
}

/// x_0 of the first of the images `range` where the solution is of the same run, and the evaluations that they took; the cell's method
/// pays for them all the same.
fn known(loaded: &Loaded, cell: &Cell, solution: Option<&Solution>, range: &Range<usize>) -> (Vec<f32>, u64) {
    let (Some(reuse), Some(solution)) = (&loaded.sampler.reuse, solution) else { return (Vec::new(), 0) };
    let x = solution.beginning(&cell.key, range, loaded.sampler.len());
    let evaluated = ((x.len() / loaded.sampler.len()) as f64 * solution.counted).round() as u64;
    reuse.count(evaluated);
    (x.to_vec(), evaluated)
}
