//! What a cell's figures are: samples of a plan against the data and against the ODE's solution.

use std::{ops::Range, time::Instant};

use fewstep_fid::{Gaussian, Images, Moments, frechet_distance};
use fewstep_model::DataMoments;
use fewstep_sampler::Plan;

use super::{
    distance::squared_error,
    load::{Loaded, Space},
    sampler::images_of,
    solution::{self, Solution},
    state::{Cell, Done, Measurement, Wanted},
};
use crate::{
    failure::{Failure, Result},
    progress::Progress,
    results::{BUILD, Metric},
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

/// How a metric is measured.
enum How<'a> {
    /// In a feature space.
    Space(&'a Space),
    /// Against the network's own moments of the data.
    Data(DataMoments),
    /// Against the solution of the same noise.
    Distance(&'a Solution),
}

/// What is gathered over the batches for one metric.
enum Gathered {
    Moments(Box<Moments>),
    PerImage(Vec<f64>),
}

/// What one batch gives.
struct Batch {
    images: Images,
    rows: Vec<Rows>,
    seconds: f64,
}

/// Of one metric: features or samples, or squared distances.
struct Rows {
    features: Vec<f32>,
    squared: Vec<f64>,
    seconds: f64,
}

/// Samples a cell and measures what is wanted of it: what is to be kept, and its first images; none of a run that diverged.
pub fn measure(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    wanted: &[Wanted],
    solution: Option<&Solution>,
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
    let ways = wanted.iter().map(|wanted| how(loaded, wanted.metric, solution)).collect::<Result<Vec<How>>>()?;
    let before = loaded.sampler.asked();
    match gather(loaded, cell, samples, &ways, solution, progress) {
        Ok((gathered, seconds, first)) => {
            let evaluated = loaded.sampler.asked() - before;
            done.nfe_measured = Some(match samples {
                Samples::Kept(solution) => solution.counted,
                _ => evaluated as f64 / count as f64,
            });
            done.seconds = seconds[0];
            let all = wanted.iter().zip(ways).zip(gathered).zip(&seconds[1..]);
            let measured = all.map(|(((wanted, how), gathered), seconds)| finish(wanted, how, gathered, *seconds));
            done.measured = measured.collect::<Result<_>>()?;
            let size = loaded.sampler.size;
            Ok((done, Some(Images::new(size, size, first)?)))
        }
        Err(Failure::Diverged { image, step, .. }) => {
            done.diverged = format!("image {image} from step {step} on");
            done.measured = wanted.iter().map(blank).collect();
            Ok((done, None))
        }
        Err(error) => Err(error),
    }
}

fn how<'a>(loaded: &'a Loaded, metric: Metric, solution: Option<&'a Solution>) -> Result<How<'a>> {
    let space = || loaded.spaces.iter().find(|space| space.metric == metric).map(How::Space);
    let how = match metric {
        Metric::Fid | Metric::FdPixel => space(),
        Metric::FdData => loaded.sampler.predictor.moments().map(How::Data),
        Metric::OdeRmse => solution.map(How::Distance),
    };
    how.ok_or_else(|| Failure::request(format!("metric '{}' cannot be measured here", metric.name())))
}

fn blank(wanted: &Wanted) -> Measurement {
    let (key, build) = (wanted.key.as_str().to_owned(), BUILD.to_owned());
    Measurement { metric: wanted.metric, key, build, ..Measurement::default() }
}

type All = (Vec<Gathered>, Vec<f64>, Vec<u8>);

/// Runs over all images: for each metric what its value is made of; seconds of sampling and of each metric; the first pixels.
fn gather(
    loaded: &Loaded,
    cell: &Cell,
    samples: Samples,
    ways: &[How],
    solution: Option<&Solution>,
    progress: &Progress,
) -> Result<All> {
    let (sampler, len) = (&loaded.sampler, loaded.sampler.len());
    let mut gathered: Vec<Gathered> = ways.iter().map(|how| how.begin(len)).collect();
    let mut seconds = vec![0.0; ways.len() + 1];
    let mut first = Vec::new();
    let work = |range: Range<usize>| {
        let start = Instant::now();
        let x = take(loaded, cell, samples, solution, range.clone(), progress)?;
        let sampled = start.elapsed().as_secs_f64();
        let images = images_of(&x, sampler.size)?;
        let rows = ways.iter().map(|how| how.rows(&x, &images, range.start, len)).collect::<Result<Vec<Rows>>>()?;
        if ways.iter().any(|how| matches!(how, How::Space(space) if space.metric == Metric::Fid)) {
            progress.advance(INCEPTION_COST * range.len() as u64);
        }
        Ok(Batch { images, rows, seconds: sampled })
    };
    sampler.batches(samples.count(len), work, |_, batch| {
        for (gathered, rows) in gathered.iter_mut().zip(&batch.rows) {
            match gathered {
                Gathered::Moments(moments) => moments.push(&rows.features)?,
                Gathered::PerImage(all) => all.extend(&rows.squared),
            }
        }
        let parts = std::iter::once(batch.seconds).chain(batch.rows.iter().map(|rows| rows.seconds));
        seconds.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part / sampler.workers() as f64);
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

impl How<'_> {
    fn begin(&self, len: usize) -> Gathered {
        let moments = |dim| Gathered::Moments(Box::new(Moments::new(dim)));
        match self {
            How::Space(space) => moments(space.extractor.dim()),
            How::Data(_) => moments(len),
            How::Distance(_) => Gathered::PerImage(Vec::new()),
        }
    }

    /// What a batch that begins with image `first` gives.
    fn rows(&self, x: &[f32], images: &Images, first: usize, len: usize) -> Result<Rows> {
        let start = Instant::now();
        let (features, squared) = match self {
            How::Space(space) => (space.extractor.features(images)?, Vec::new()),
            How::Data(_) => (x.to_vec(), Vec::new()),
            How::Distance(solution) => {
                let solved = solution.x.get(first * len..).unwrap_or_default();
                let squared = x.chunks(len).zip(solved.chunks(len)).map(|(x, solved)| squared_error(x, solved));
                (Vec::new(), squared.collect())
            }
        };
        Ok(Rows { features, squared, seconds: start.elapsed().as_secs_f64() })
    }
}

fn finish(wanted: &Wanted, how: How, gathered: Gathered, seconds: f64) -> Result<Measurement> {
    let start = Instant::now();
    let moments = match gathered {
        Gathered::Moments(moments) => moments,
        Gathered::PerImage(per_image) => {
            return Ok(Measurement { seconds, ..Measurement::of_images(&wanted.key, per_image) });
        }
    };
    let value = match how {
        How::Data(DataMoments { mean, covariance }) => {
            frechet_distance(&moments.gaussian()?, &Gaussian::from_rows(mean, &covariance)?)?
        }
        How::Space(space) => frechet_distance(&moments.gaussian()?, &space.reference.gaussian)?,
        How::Distance(_) => return Err(Failure::run("a distance between images has no moments")),
    };
    Ok(Measurement { value: Some(value), seconds: seconds + start.elapsed().as_secs_f64(), ..blank(wanted) })
}
