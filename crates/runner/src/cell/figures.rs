//! From a cell's samples to its figures. Every feature space is gone through once, however many metrics are measured in it.

use std::time::Instant;

use fewstep_fid::{Gaussian, Images, Limit, Moments, frechet_distance, frechet_influence, frechet_limit};
use fewstep_model::DataMoments;
use rayon::prelude::*;

use super::{
    converged::{Converged, squared_distance},
    distance::squared_error,
    load::{Data, Loaded, Space},
    solution::Solution,
    state::{Measurement, Wanted},
    targets::Targets,
};
use crate::{
    failure::{Failure, Result},
    results::{Features, Metric},
};

/// How a metric is measured.
enum How<'a> {
    /// Fréchet distance of features to the data's.
    Data(&'a Data),
    /// Its limit of many images.
    Limit(&'a Data),
    /// Fréchet distance of features to converged samples'.
    Converged(&'a Converged),
    /// Distance of each image's features to its converged sample's.
    Paired(&'a Converged),
    /// Fréchet distance of samples to the network's own moments of the data.
    Moments(DataMoments),
    /// Distance of each sample to the solution of the same noise.
    Distance,
}

/// What is taken of every image.
pub struct Extraction<'a> {
    /// The spaces of all metrics, each once.
    spaces: Vec<&'a Space>,
    /// Whether samples are measured as they are.
    x: bool,
    /// What the first images are measured from one by one.
    solution: Option<&'a Solution>,
}

/// How everything that is wanted is measured.
pub struct Ways<'a> {
    /// Of what is taken of every image.
    pub extraction: Extraction<'a>,
    all: Vec<(Metric, How<'a>)>,
}

/// What some images give.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// By space: features, and seconds that they took.
    pub features: Vec<(Vec<f32>, f64)>,
    /// The samples themselves, where their moments are wanted.
    pub x: Vec<f32>,
    /// Mean squared distances to the solution.
    pub squared: Vec<f64>,
}

/// What figures are made of.
pub struct Gathered {
    spaces: Vec<InSpace>,
    x: Option<Moments>,
    squared: Vec<f64>,
}

struct InSpace {
    moments: Moments,
    /// `[n, dim]`.
    rows: Vec<f32>,
    seconds: f64,
}

impl<'a> Extraction<'a> {
    /// For what is wanted.
    pub fn new(loaded: &'a Loaded, wanted: &[Wanted], solution: Option<&'a Solution>) -> Self {
        let wants = |metric| wanted.iter().any(|wanted| wanted.metric == metric);
        let is_used = |space: &&Space| wanted.iter().any(|wanted| wanted.metric.features() == Some(space.features));
        let spaces = loaded.spaces.iter().filter(is_used).collect();
        Extraction { spaces, x: wants(Metric::FdData), solution: solution.filter(|_| wants(Metric::OdeRmse)) }
    }

    /// Evaluations that an image's features cost as much as, for the time left.
    pub fn cost(&self) -> u64 {
        self.spaces.iter().map(|space| space.features.cost()).sum()
    }

    /// Numbers of an image's features in each space, and of its sample of `len` numbers where that is among the [`Rows`].
    pub fn widths(&self, len: usize) -> (Vec<usize>, usize) {
        let spaces = self.spaces.iter().map(|space| space.extractor.dim()).collect();
        (spaces, if self.x { len } else { 0 })
    }

    /// What a batch that begins with image `first` gives, whose seconds count `share` each.
    ///
    /// # Errors
    /// Of an extractor.
    pub fn rows(&self, x: &[f32], images: &Images, first: usize, share: f64) -> Result<Rows> {
        let features = |space: &&Space| {
            let start = Instant::now();
            let features = space.extractor.features(images)?;
            Ok((features, start.elapsed().as_secs_f64() * share))
        };
        let features = self.spaces.iter().map(features).collect::<Result<_>>()?;
        let len = x.len() / images.len().max(1);
        let solved = self.solution.map_or(&[][..], |solution| solution.from(first, len));
        let squared = x.chunks(len.max(1)).zip(solved.chunks(len.max(1))).map(|(x, solved)| squared_error(x, solved));
        Ok(Rows { features, squared: squared.collect(), x: if self.x { x.to_vec() } else { Vec::new() } })
    }
}

impl<'a> Ways<'a> {
    /// Of what is wanted; of every image is taken what `lacking`, which has it all, needs.
    ///
    /// # Errors
    /// Where something cannot be measured here.
    pub fn new(loaded: &'a Loaded, (wanted, lacking): (&[Wanted], &[Wanted]), targets: &'a Targets) -> Result<Self> {
        let way = |wanted: &Wanted| Ok((wanted.metric, how(loaded, wanted.metric, targets)?));
        let all = wanted.iter().map(way).collect::<Result<Vec<_>>>()?;
        Ok(Ways { extraction: Extraction::new(loaded, lacking, targets.solution.as_ref()), all })
    }

    /// Nothing yet, of `count` samples of `len` numbers.
    pub fn begin(&self, count: usize, len: usize) -> Gathered {
        let in_space = |space: &&Space| {
            let dim = space.extractor.dim();
            // A vector that grows would be there twice or thrice over.
            InSpace { moments: Moments::new(dim), rows: Vec::with_capacity(count * dim), seconds: 0.0 }
        };
        let spaces = self.extraction.spaces.iter().map(in_space).collect();
        Gathered { spaces, x: self.extraction.x.then(|| Moments::new(len)), squared: Vec::new() }
    }

    /// The figures.
    ///
    /// # Errors
    /// Of a distance, as of samples that are too few.
    pub fn finish(self, wanted: &[Wanted], gathered: Gathered) -> Result<Vec<Measurement>> {
        let Gathered { mut spaces, x, squared } = gathered;
        let gaussian = |space: &mut InSpace| {
            let start = Instant::now();
            let gaussian = space.moments.gaussian()?;
            space.seconds += start.elapsed().as_secs_f64();
            Ok(gaussian)
        };
        let gaussians = spaces.iter_mut().map(gaussian).collect::<Result<Vec<Gaussian>>>()?;
        let of_space = |metric: Metric| {
            let at = self.extraction.spaces.iter().position(|space| metric.features() == Some(space.features));
            at.ok_or_else(|| Failure::run("features that no space has"))
        };
        let measure = |(wanted, (metric, how)): (&Wanted, &(Metric, How))| -> Result<Measurement> {
            let start = Instant::now();
            let own = || {
                let at = of_space(*metric)?;
                Ok::<_, Failure>((spaces[at].rows.as_slice(), &gaussians[at]))
            };
            let measurement = match how {
                How::Data(data) => to_data(wanted, own()?, data)?,
                How::Limit(data) => {
                    let Limit { value, fit } = frechet_limit(own()?.0, &data.statistics.gaussian)?;
                    Measurement { value: Some(value), fit: Some(fit), ..to_data(wanted, own()?, data)? }
                }
                How::Converged(converged) => to_converged(wanted, own()?, converged)?,
                How::Paired(converged) => {
                    let dim = converged.gaussian.mean().len();
                    let pairs = own()?.0.chunks(dim).zip(converged.rows.chunks(dim));
                    wanted.of_images(pairs.map(|(a, b)| squared_distance(a, b)).collect())
                }
                How::Moments(DataMoments { mean, covariance }) => {
                    let moments = x.as_ref().ok_or_else(|| Failure::run("samples whose moments were not taken"))?;
                    let data = Gaussian::from_rows(mean.clone(), covariance)?;
                    wanted.of_value(frechet_distance(&moments.gaussian()?, &data)?)
                }
                How::Distance => wanted.of_images(squared.clone()),
            };
            Ok(Measurement { seconds: start.elapsed().as_secs_f64(), ..measurement })
        };
        // Side by side: the eigenvectors of each are one thread's work.
        let all: Vec<_> = wanted.iter().zip(&self.all).collect();
        let mut measured = all.into_par_iter().map(measure).collect::<Result<Vec<Measurement>>>()?;
        for (index, space) in self.extraction.spaces.iter().enumerate() {
            // What a space took is its first metric's.
            let first = measured.iter_mut().find(|measured| measured.metric.features() == Some(space.features));
            first.into_iter().for_each(|first| first.seconds += spaces[index].seconds);
        }
        Ok(measured)
    }
}

/// Fréchet distance of rows with their moments to the data's, and the images' influences: the data's moments are taken as they are.
fn to_data(wanted: &Wanted, (rows, own): (&[f32], &Gaussian), data: &Data) -> Result<Measurement> {
    let data = &data.statistics.gaussian;
    let influence = frechet_influence(rows, own, data)?;
    Ok(Measurement { per_image: single(influence), ..wanted.of_value(frechet_distance(own, data)?) })
}

/// Fréchet distance of rows with their moments to converged samples'. Those are a sample too: what image k is charged with is its own
/// influence and that of the converged sample k.
fn to_converged(wanted: &Wanted, (rows, own): (&[f32], &Gaussian), converged: &Converged) -> Result<Measurement> {
    let (ours, theirs) = rayon::join(
        || frechet_influence(rows, own, &converged.gaussian),
        || frechet_influence(&converged.rows, &converged.gaussian, own),
    );
    let influence = ours?.iter().zip(theirs?).map(|(ours, theirs)| ours + theirs).collect();
    Ok(Measurement { per_image: single(influence), ..wanted.of_value(frechet_distance(own, &converged.gaussian)?) })
}

/// To single precision, as they are kept.
fn single(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(|value| f64::from(value as f32)).collect()
}

fn how<'a>(loaded: &'a Loaded, metric: Metric, targets: &'a Targets) -> Result<How<'a>> {
    let how = match metric {
        Metric::Fid | Metric::FdPixel | Metric::FdVit => {
            metric.features().and_then(|features| loaded.space(features)?.data.as_ref()).map(How::Data)
        }
        Metric::FidInfinity => loaded.space(Features::Inception).and_then(|space| space.data.as_ref()).map(How::Limit),
        Metric::FidSolution
        | Metric::FidPaired
        | Metric::FdPixelSolution
        | Metric::FdVitSolution
        | Metric::FdVitPaired => targets.converged(metric).map(How::Converged),
        Metric::FeatureRmse => targets.converged(metric).map(How::Paired),
        Metric::FdData => loaded.sampler.predictor.moments().map(How::Moments),
        Metric::OdeRmse => targets.solution.as_ref().map(|_| How::Distance),
    };
    how.ok_or_else(|| Failure::request(format!("metric '{}' cannot be measured here", metric.name())))
}

impl Gathered {
    /// Adds what the images after those that it has give.
    ///
    /// # Errors
    /// Where features are not finite.
    pub fn add(&mut self, rows: &Rows) -> Result<()> {
        for (space, (features, seconds)) in self.spaces.iter_mut().zip(&rows.features) {
            space.moments.push(features)?;
            space.seconds += seconds;
            space.rows.extend(features);
        }
        if let Some(moments) = &mut self.x {
            moments.push(&rows.x)?;
        }
        self.squared.extend(&rows.squared);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fewstep_fid::{Extractor, Identity};

    use super::*;
    use crate::{cell::key, results::Noise};

    /// The first pixel's red, of 255.
    struct First;

    impl Extractor for First {
        fn identity(&self) -> Identity {
            Identity { extractor: "first".into(), weights: String::new(), preparation: String::new() }
        }

        fn dim(&self) -> usize {
            1
        }

        fn features(&self, images: &Images) -> fewstep_fid::Result<Vec<f32>> {
            Ok(images.iter().map(|image| f32::from(image[0])).collect())
        }
    }

    fn converged(noise: Noise, rows: &[f32]) -> Converged {
        let mut moments = Moments::new(1);
        moments.push(rows).unwrap();
        let gaussian = moments.gaussian().unwrap();
        Converged { features: Features::Inception, noise, rows: rows.to_vec(), gaussian, check: Vec::new() }
    }

    /// By hand: {0, 2} has mean 1 and variance 2, {1, 5} mean 3 and variance 8; in one dimension the distance is
    /// (μ₁ − μ₂)² + (σ₁ − σ₂)² = 4 + 2. From {0, 2} to {3, 6} the squares are 9 and 16.
    #[test]
    fn of_two_images_by_hand() {
        let extractor = Box::new(First);
        let space = Space { features: Features::Inception, extractor, canary: String::new(), data: None };
        let (other, itself) = (converged(Noise::Other, &[1.0, 5.0]), converged(Noise::Same, &[0.0, 2.0]));
        let far = converged(Noise::Same, &[3.0, 6.0]);
        let all = vec![
            (Metric::FidSolution, How::Converged(&other)),
            (Metric::FidPaired, How::Converged(&itself)),
            (Metric::FeatureRmse, How::Paired(&far)),
        ];
        let key = key::frechet_to_data("by hand").unwrap();
        let wanted: Vec<Wanted> = all.iter().map(|(metric, _)| Wanted { metric: *metric, key: key.clone() }).collect();
        let ways = Ways { extraction: Extraction { spaces: vec![&space], x: false, solution: None }, all };
        let mut gathered = ways.begin(2, 3);
        // One image a batch.
        for (first, level) in [(0, 0u8), (1, 2)] {
            let images = Images::new(1, 1, vec![level, 0, 0]).unwrap();
            gathered.add(&ways.extraction.rows(&[0.0; 3], &images, first, 1.0).unwrap()).unwrap();
        }
        let measured = ways.finish(&wanted, gathered).unwrap();
        let values: Vec<f64> = measured.iter().map(|measured| measured.value.unwrap()).collect();
        assert!((values[0] - 6.0).abs() < 1e-14 && values[1].abs() < 1e-14, "{values:?}");
        assert_eq!((values[2], measured[2].per_image.as_slice()), (12.5f64.sqrt(), &[9.0, 16.0][..]));
        // q/(2r) is 9/(2r) and 16/(2r): their spread over √2 is 7/(4r).
        assert!((measured[2].error().unwrap() - 7.0 / (4.0 * 12.5f64.sqrt())).abs() < 1e-15);
    }
}
