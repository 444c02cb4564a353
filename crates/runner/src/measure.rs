//! What a cell's figures are: samples of a plan against the data and against the ODE's solution.

use std::{path::Path, time::Instant};

use fewstep_fid::{Gaussian, Images, Moments, frechet_distance};
use fewstep_model::DataMoments;
use fewstep_sampler::{Grid, Request};
use indicatif::ProgressBar;

use crate::{
    curve,
    experiment::SolutionSpec,
    failure::{Failure, Result},
    files,
    metric::Metric,
    mosaic,
    prepare::Prepared,
    record::Record,
    sampling,
    sweep::Cell,
};

/// Evaluations of a small U-Net that cost as much as one image through Inception: for the time left only.
pub const INCEPTION_COST: u64 = 25;

/// x_0 of the first images: exact where the model knows it, else by the many-step run, from disk where it is there.
pub fn solution(
    prepared: &Prepared,
    spec: &SolutionSpec,
    seed: u64,
    folder: &Path,
    fresh: bool,
    bar: &ProgressBar,
) -> Result<Vec<f32>> {
    let sampler = &prepared.sampler;
    let Some(nfe) = spec.nfe else {
        let exact = sampler.predictor.solution(sampler.noise(seed, 0..spec.samples));
        let exact = exact.ok_or_else(|| Failure::request("[solution] needs nfe: this model has no exact solution"))?;
        return sampling::values(exact);
    };
    let plan = curve::long_run().plan(&Request::new(&sampler.schedule, &Grid::quadratic(), nfe))?;
    let path = folder.join(format!("solution-{}.f32", &prepared.fingerprint(&plan, seed)[..16]));
    let total = spec.samples * sampler.len();
    if let Ok(bytes) = std::fs::read(&path)
        && bytes.len() == 4 * total
        && !fresh
    {
        bar.inc((nfe * spec.samples) as u64);
        return Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect());
    }
    bar.set_message(format!("solution with {nfe} evaluations"));
    let mut x = Vec::with_capacity(total);
    let run = |range: std::ops::Range<usize>| {
        let n = range.len() as u64;
        sampler.run(&plan, seed, range, |_, _| bar.inc(n))
    };
    sampler.batches(spec.samples, run, |_, part| {
        x.extend(part);
        Ok(())
    })?;
    let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_le_bytes()).collect();
    files::write(&path, &bytes)?;
    Ok(x)
}

/// What one batch of a cell gives.
struct Batch {
    images: Images,
    features: Vec<Vec<f32>>,
    /// The samples themselves, where they are measured.
    x: Vec<f32>,
    squared_error: Vec<f64>,
    seconds: [f64; 2],
}

/// Samples a cell and measures it; its record, and its first images.
pub fn cell(prepared: &Prepared, cell: &Cell, solution: Option<&[f32]>, bar: &ProgressBar) -> Result<(Record, Images)> {
    let Prepared { experiment, sampler, measures, .. } = prepared;
    let len = sampler.len();
    let before = sampler.predictor.evaluated();
    let mut moments: Vec<Moments> = measures.iter().map(|measure| Moments::new(measure.extractor.dim())).collect();
    let data = experiment.metrics.contains(&Metric::FdData).then(|| sampler.predictor.moments()).flatten();
    let mut data_moments = data.as_ref().map(|_| Moments::new(len));
    let (mut squared_error, mut compared) = (0.0, 0);
    let mut seconds = [0.0; 2];
    let mut first = Vec::new();

    let work = |range: std::ops::Range<usize>| {
        let start = Instant::now();
        let x = sampler.run(&cell.plan, cell.seed, range.clone(), |_, _| bar.inc(range.len() as u64))?;
        let sampled = start.elapsed().as_secs_f64();
        let images = sampling::to_images(&x, sampler.size)?;
        let rows = measures.iter().map(|measure| Ok(measure.extractor.features(&images)?));
        let features = rows.collect::<Result<Vec<_>>>()?;
        if experiment.metrics.contains(&Metric::Fid) {
            bar.inc(INCEPTION_COST * range.len() as u64);
        }
        let solved = solution.map_or(&[][..], |solution| solution.get(range.start * len..).unwrap_or_default());
        let squared_error = x.chunks(len).zip(solved.chunks(len)).map(|(x, solved)| distance(x, solved)).collect();
        let x = if data.is_some() { x } else { Vec::new() };
        Ok(Batch { images, features, x, squared_error, seconds: [sampled, start.elapsed().as_secs_f64() - sampled] })
    };
    sampler.batches(experiment.samples, work, |_, batch| {
        for (moments, rows) in moments.iter_mut().zip(&batch.features) {
            moments.push(rows)?;
        }
        if let Some(moments) = &mut data_moments {
            moments.push(&batch.x)?;
        }
        // Image by image, so that the batch size does not change the last bits.
        batch.squared_error.iter().for_each(|error| squared_error += error);
        compared += batch.squared_error.len();
        seconds.iter_mut().zip(batch.seconds).for_each(|(sum, part)| *sum += part / sampler.workers() as f64);
        let missing = mosaic::TILE_IMAGES - first.len() / len;
        first.extend(batch.images.iter().take(missing).flatten());
        Ok(())
    })?;

    let evaluated = sampler.predictor.evaluated() - before;
    let mut record = Record {
        experiment: experiment.name.clone(),
        method: cell.plan.method.clone(),
        order: cell.plan.order as u32,
        grid: cell.plan.grid.clone(),
        coefficients: cell.entry.coefficients.name().into(),
        threshold: cell.plan.threshold.to_string(),
        nfe: cell.nfe as u32,
        nfe_measured: evaluated as f64 / experiment.samples as f64,
        seed: cell.seed,
        samples: experiment.samples as u64,
        fid: None,
        fd_pixel: None,
        fd_data: None,
        ode_rmse: None,
        seconds_sample: 0.0,
        seconds_features: 0.0,
        device: prepared.device.name().into(),
    };
    let start = Instant::now();
    for (measure, moments) in measures.iter().zip(moments) {
        record.set(measure.metric, frechet_distance(&moments.gaussian()?, &measure.reference.gaussian)?);
    }
    if let (Some(DataMoments { mean, covariance }), Some(moments)) = (data, data_moments) {
        record.set(Metric::FdData, frechet_distance(&moments.gaussian()?, &Gaussian::from_rows(mean, &covariance)?)?);
    }
    // A stochastic method solves no ODE.
    if experiment.metrics.contains(&Metric::OdeRmse) && compared > 0 {
        record.set(Metric::OdeRmse, (squared_error / (compared * len) as f64).sqrt());
    }
    record.seconds_sample = seconds[0];
    record.seconds_features = seconds[1] + start.elapsed().as_secs_f64();
    Ok((record, Images::new(sampler.size, sampler.size, first)?))
}

fn distance(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}
