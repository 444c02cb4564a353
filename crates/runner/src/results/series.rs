//! Cells grouped for tables and charts: one series a method, its values by number of evaluations and seed, with standard errors.
//!
//! Where a metric is a mean over images its error comes from theirs: r = √(mean of q_k) over images' squared errors q_k has the
//! standard error of the mean of q_k/(2r), and the difference of two methods that of the mean of q_k/(2r) − q'_k/(2r') over the same
//! images. Several seeds are so many more images. A Fréchet distance is one number for all images; to first order it moves as the mean of their
//! influences does (`fewstep_fid::frechet_influence`), whose errors and paired differences are its own. Where these are not known, as of tables
//! of earlier versions, its error is known over several seeds only, from their spread, and differences are paired by seed. What counts as beyond the error is twice a standard error of
//! many images, and of few images or seeds the 97.5 % point of Student's distribution, which is 12.7 for two.

use std::collections::BTreeMap;

use fewstep_sampler::{Coefficients, Threshold};

use super::{folder::PerImage, metric::Metric, record::Record};

/// One method's values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// A name that tells it from the others of the table.
    pub label: String,
    /// The method's name in experiment files.
    pub method: String,
    /// The order in its name.
    pub order: u32,
    /// Evaluations asked for → what was found.
    pub points: BTreeMap<u32, Point>,
}

/// A cell's value with every seed it was measured with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// By seed.
    pub values: BTreeMap<u64, Value>,
    /// Evaluations that the model counted.
    pub spent: f64,
    /// What diverged, by seed.
    pub diverged: BTreeMap<u64, String>,
}

/// A metric of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The metric.
    pub value: f64,
    /// What each image contributes to it, to first order; empty where it is no mean over images.
    pub shares: Vec<f64>,
}

/// A mean and its standard error, where that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: Option<f64>,
    /// So many standard errors are what it may be by chance.
    pub factor: f64,
}

impl Difference {
    fn of(pairs: &[(f64, Vec<f64>)], mean: f64) -> Self {
        let over_images = pairs.iter().all(|(_, shares)| shares.len() > 1);
        // Each seed's images have a mean of their own.
        let images: usize = pairs.iter().map(|(_, shares)| shares.len().saturating_sub(1)).sum();
        let factor = student(if over_images { images + 1 } else { pairs.len() });
        Difference { mean, error: error(pairs), factor }
    }

    /// Whether it is more than chance and more than `floor`; false where its error is not known.
    pub fn is_beyond(&self, floor: f64) -> bool {
        self.error.is_some_and(|error| self.mean.abs() > (self.factor * error).max(floor))
    }
}

/// Fewer images, or seeds, than this are judged by Student's distribution.
pub const FEW: u64 = 60;

/// 97.5 % point of Student's distribution with one degree of freedom less than `count`, rounded up; 2 from [`FEW`] on.
fn student(count: usize) -> f64 {
    const POINTS: [f64; 10] = [f64::INFINITY, 12.71, 4.31, 3.19, 2.78, 2.58, 2.45, 2.37, 2.31, 2.27];
    match count {
        0..=10 => POINTS[count.saturating_sub(1)],
        11..=20 => 2.23,
        _ if (count as u64) < FEW => 2.09,
        _ => 2.0,
    }
}

impl Point {
    /// Mean over the seeds.
    pub fn mean(&self) -> f64 {
        mean(self.values.values().map(|value| value.value))
    }

    /// Whether its error is over images, and not over a few seeds.
    pub fn has_images(&self) -> bool {
        !self.values.is_empty() && self.values.values().all(|value| value.shares.len() > 1)
    }

    /// Its standard error.
    pub fn error(&self) -> Option<f64> {
        error(&self.values.values().map(|value| (value.value, value.shares.clone())).collect::<Vec<_>>())
    }

    /// This less `other`, with the same seeds and images. None without a seed in common.
    pub fn less(&self, other: &Point) -> Option<Difference> {
        let pairs = self.paired(other, 1.0)?;
        Some(Difference::of(&pairs, mean(pairs.iter().map(|(value, _)| *value))))
    }

    /// The change from `other` to this as a part of `other`, with the same seeds and images: a/b − 1, whose error to first order is
    /// that of (a_k − (a/b) b_k)/b.
    pub fn relative(&self, other: &Point) -> Option<Difference> {
        let common = |a: &Point, b: &Point| {
            mean(a.values.iter().filter(|(seed, _)| b.values.contains_key(seed)).map(|(_, value)| value.value))
        };
        let (a, b) = (common(self, other), common(other, self));
        let pairs = self.paired(other, a / b)?;
        let scaled =
            |(value, shares): (f64, Vec<f64>)| (value / b, shares.into_iter().map(|share| share / b).collect());
        let pairs: Vec<(f64, Vec<f64>)> = pairs.into_iter().map(scaled).collect();
        (b > 0.0).then(|| Difference::of(&pairs, a / b - 1.0))
    }

    /// This less `factor` times `other`, seed by seed and image by image.
    fn paired(&self, other: &Point, factor: f64) -> Option<Vec<(f64, Vec<f64>)>> {
        let pair = |(seed, a): (&u64, &Value)| {
            let b = other.values.get(seed)?;
            let same = a.shares.len() == b.shares.len();
            let shares = a.shares.iter().zip(&b.shares).map(|(a, b)| a - factor * b);
            Some((a.value - factor * b.value, if same { shares.collect() } else { Vec::new() }))
        };
        let pairs: Vec<(f64, Vec<f64>)> = self.values.iter().filter_map(pair).collect();
        (!pairs.is_empty()).then_some(pairs)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// Standard error of the mean of `values`, each with its images' shares.
fn error(values: &[(f64, Vec<f64>)]) -> Option<f64> {
    let seeds = values.len() as f64;
    if values.iter().all(|(_, shares)| shares.len() > 1) {
        let squared = |shares: &[f64]| spread(shares).map_or(0.0, |spread| spread * spread / shares.len() as f64);
        return Some(values.iter().map(|(_, shares)| squared(shares)).sum::<f64>().sqrt() / seeds);
    }
    spread(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>()).map(|spread| spread / seeds.sqrt())
}

/// Sample standard deviation; none of one number.
fn spread(values: &[f64]) -> Option<f64> {
    let centre = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The series of a metric, in the order of the records; the solution's own rows are no series.
pub fn series(records: &[Record], per_image: &PerImage, metric: Metric) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    // Labels are for people; two methods of one label are two series, or one's values would stand in the other's place.
    let mut known: Vec<(&str, u32, &str, &str, &str)> = Vec::new();
    for (record, label) in records.iter().zip(labels(records)) {
        let value = record.metric(metric);
        let diverged = !record.diverged.is_empty();
        if record.is_solution() || (value.is_none() && !diverged) {
            continue;
        }
        let Record { method, order, grid, coefficients, threshold, .. } = record;
        let identity = (method.as_str(), *order, grid.as_str(), coefficients.as_str(), threshold.as_str());
        let at = known.iter().position(|other| *other == identity).unwrap_or_else(|| {
            known.push(identity);
            all.push(Series { label, method: record.method.clone(), order: record.order, points: BTreeMap::new() });
            all.len() - 1
        });
        let point = all[at].points.entry(record.nfe).or_default();
        point.spent = record.nfe_measured.unwrap_or(f64::from(record.nfe));
        match value {
            Some(value) => {
                let images = per_image.get(&(record.cell(), metric));
                let shares =
                    if metric.is_frechet() { images.cloned().unwrap_or_default() } else { shares(images, value) };
                point.values.insert(record.seed, Value { value, shares });
            }
            None => drop(point.diverged.insert(record.seed, record.diverged.clone())),
        }
    }
    // A metric that nothing has is not measured, even where cells diverged.
    let measured = all.iter().any(|series| series.points.values().any(|point| !point.values.is_empty()));
    if measured { all } else { Vec::new() }
}

/// q_k/(2r), whose mean over images is r/2: their spread is that of r to first order.
fn shares(squared: Option<&Vec<f64>>, rmse: f64) -> Vec<f64> {
    let squared = squared.map_or(&[][..], Vec::as_slice);
    // Of a distance of exactly 0 every image's share is 0.
    squared.iter().map(|q| if rmse > 0.0 { q / (2.0 * rmse) } else { 0.0 }).collect()
}

/// Standard error of a metric over its images: of their squares, or of their influences on a Fréchet distance.
pub fn image_error(metric: Metric, images: &[f64], value: f64) -> Option<f64> {
    error(&[(value, shares_of(metric, images, value))]).filter(|_| images.len() > 1)
}

/// A metric's value less another over the same images; none where there are not as many of both.
pub fn image_difference(metric: Metric, a: (&[f64], f64), b: (&[f64], f64)) -> Option<Difference> {
    let point = |(images, value): (&[f64], f64)| {
        let values = [(0, Value { value, shares: shares_of(metric, images, value) })].into();
        Point { values, ..Point::default() }
    };
    point(a).less(&point(b)).filter(|difference| difference.error.is_some())
}

fn shares_of(metric: Metric, images: &[f64], value: f64) -> Vec<f64> {
    if metric.is_frechet() { images.to_vec() } else { shares(Some(&images.to_vec()), value) }
}

/// A name for each record's method that tells it from the others of the table.
pub fn labels(records: &[Record]) -> Vec<String> {
    let methods: Vec<&Record> = records.iter().filter(|record| !record.is_solution()).collect();
    let grids = methods.iter().any(|record| record.grid != methods[0].grid);
    let label = |record: &Record| {
        let mut label = record.label.clone();
        if record.is_solution() {
            return label;
        }
        if grids {
            label = format!("{label} {}", record.grid);
        }
        if !record.threshold.is_empty() && record.threshold != Threshold::None.to_string() {
            label = format!("{label} {}", record.threshold);
        }
        // With one kind for all, the summary says it.
        if record.coefficients == Coefficients::Reference.name()
            && methods.iter().any(|other| other.coefficients != record.coefficients)
        {
            label.push_str(" (reference)");
        }
        label
    };
    records.iter().map(label).collect()
}

/// Labels of normalised methods and of what differs from them in nothing else, in the order of the records.
pub fn normalised_pairs(records: &[Record]) -> Vec<(String, String)> {
    let labels = labels(records);
    let rest = |record: &Record| {
        let Record { solver, order, grid, coefficients, threshold, .. } = record.clone();
        (solver, order, grid, coefficients, threshold)
    };
    let mut pairs = Vec::new();
    for (record, label) in records.iter().zip(&labels).filter(|(record, _)| record.normalised) {
        let plain = |other: &Record| !other.normalised && rest(other) == rest(record);
        if let Some(i) = records.iter().position(plain)
            && !pairs.iter().any(|(known, _)| known == label)
        {
            pairs.push((label.clone(), labels[i].clone()));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_methods_of_one_label_are_two_series() {
        let record = |label: &str, threshold: &str, value: f64| Record {
            method: label.into(),
            label: label.into(),
            threshold: threshold.into(),
            nfe: 5,
            fid: Some(value),
            ..Record::default()
        };
        let records = [record("Mine", "clip", 1.0), record("Mine clip", "none", 2.0)];
        assert_eq!(labels(&records), ["Mine clip", "Mine clip"]);
        let means: Vec<f64> =
            series(&records, &PerImage::default(), Metric::Fid).iter().map(|series| series.points[&5].mean()).collect();
        assert_eq!(means, [1.0, 2.0]);
    }

    fn point(values: &[(u64, f64)]) -> Point {
        let value = |&(seed, value): &(u64, f64)| (seed, Value { value, shares: Vec::new() });
        Point { values: values.iter().map(value).collect(), spent: 5.0, ..Point::default() }
    }

    #[test]
    fn over_seeds_errors_are_of_their_mean_and_differences_are_paired() {
        let left = point(&[(0, 1.0), (1, 2.0), (2, 3.0)]);
        assert_eq!((left.mean(), left.error()), (2.0, Some(1.0 / 3f64.sqrt())));
        // Seed 2 has no partner; the others differ by ½ each.
        let right = point(&[(0, 0.5), (1, 1.5)]);
        let less = left.less(&right).unwrap();
        assert_eq!(less, Difference { mean: 0.5, error: Some(0.0), factor: 12.71 });
        assert!(less.is_beyond(0.4) && !less.is_beyond(0.6));
        assert_eq!(left.less(&point(&[(7, 1.0)])), None);
        let one = point(&[(0, 1.0)]);
        assert_eq!(one.error(), None);
        assert!(!one.less(&right).unwrap().is_beyond(0.0));
    }

    /// From Student's 97.5 % point to a tenth above it: 3.182, 2.365, 2.131, 2.013 and 2.000 of 4, 8, 16, 47 and 61 images.
    #[test]
    fn few_images_are_judged_by_students_distribution() {
        let of = |images: usize| {
            let value = |seed: u64| (seed, Value { value: 1.0, shares: (0..images).map(|k| k as f64).collect() });
            Point { values: [value(0)].into(), spent: 5.0, ..Point::default() }
        };
        for (images, exact) in [(4, 3.182), (8, 2.365), (16, 2.131), (47, 2.013), (61, 2.0)] {
            let factor = of(images).less(&of(images)).unwrap().factor;
            assert!(factor >= exact && factor < exact + 0.11, "{images}: {factor}");
        }
        // Two seeds of two images have two degrees of freedom.
        let mut two = of(2);
        two.values.insert(1, two.values[&0].clone());
        assert_eq!(two.less(&two).unwrap().factor, 4.31);
    }

    /// Against the standard error of many draws: q exponential with mean 1, so that r is near 1.
    #[test]
    fn the_error_of_a_root_mean_square_is_that_of_repeated_draws() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            -(((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64).ln()
        };
        let (mut roots, mut errors) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let q: Vec<f64> = (0..100).map(|_| draw()).collect();
            let r = mean(q.iter().copied()).sqrt();
            errors.push(image_error(Metric::OdeRmse, &q, r).unwrap());
            roots.push(r);
        }
        let (found, expected) = (mean(errors.into_iter()), spread(&roots).unwrap());
        // 1/(2·√100); the spread of 400 draws is itself known to 4 %.
        assert!((found / expected - 1.0).abs() < 0.1 && (found - 0.05).abs() < 0.004, "{found} {expected}");
    }

    /// Of a/b − 1 for correlated images, far from 0, against the spread of many draws.
    #[test]
    fn the_error_of_a_relative_change_is_that_of_repeated_draws() {
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let (mut changes, mut errors) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let plain: Vec<f64> = (0..100).map(|_| -draw().ln()).collect();
            let normalised: Vec<f64> = plain.iter().map(|q| q * 0.04 * (0.8 + 0.4 * draw())).collect();
            let of = |q: &[f64]| {
                let value = mean(q.iter().copied()).sqrt();
                Point {
                    values: [(0, Value { value, shares: shares(Some(&q.to_vec()), value) })].into(),
                    ..Point::default()
                }
            };
            let change = of(&normalised).relative(&of(&plain)).unwrap();
            changes.push(change.mean);
            errors.push(change.error.unwrap());
        }
        let (found, expected) = (mean(errors.into_iter()), spread(&changes).unwrap());
        assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
        assert!((mean(changes.into_iter()) + 0.8).abs() < 0.01);
    }

    #[test]
    fn differences_are_paired_by_image() {
        // Twice the error on every image: the images' own spread is in both and cancels to half of it.
        let q: Vec<f64> = (1..=50).map(f64::from).collect();
        let of = |factor: f64| {
            let q: Vec<f64> = q.iter().map(|q| q * factor).collect();
            let value = mean(q.iter().copied()).sqrt();
            let values = [(0, Value { value, shares: shares(Some(&q), value) })].into();
            Point { values, spent: 5.0, ..Point::default() }
        };
        let (a, b) = (of(4.0), of(1.0));
        let less = a.less(&b).unwrap();
        assert!((less.mean - b.mean()).abs() < 1e-12);
        assert!((less.error.unwrap() - (a.error().unwrap() - b.error().unwrap())).abs() < 1e-12);
    }
}
