//! Cells grouped for tables and charts: one series a method, its values by number of evaluations and seed.

use std::collections::BTreeMap;

use fewstep_sampler::{Coefficients, Threshold};

use crate::{chart::Line, metric::Metric, record::Record};

/// One method's values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// A name that tells it from the others of the table.
    pub label: String,
    /// Evaluations asked for → what was found.
    pub points: BTreeMap<u32, Point>,
}

/// A cell's value with every seed it was measured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// By seed.
    pub values: BTreeMap<u64, f64>,
    /// Evaluations that the model counted.
    pub spent: f64,
}

impl Point {
    /// Mean over the seeds.
    pub fn mean(&self) -> f64 {
        mean(self.values.values().copied())
    }

    /// Sample standard deviation over the seeds; none for one.
    pub fn spread(&self) -> Option<f64> {
        spread(&self.values.values().copied().collect::<Vec<_>>())
    }

    /// This less `other` with the same seeds: mean and spread. None without a seed in common.
    pub fn less(&self, other: &Point) -> Option<(f64, Option<f64>)> {
        let paired = |(seed, value): (&u64, &f64)| Some(value - other.values.get(seed)?);
        let differences: Vec<f64> = self.values.iter().filter_map(paired).collect();
        (!differences.is_empty()).then(|| (mean(differences.iter().copied()), spread(&differences)))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn spread(values: &[f64]) -> Option<f64> {
    let centre = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The series of a metric, in the order of the records.
pub fn of(records: &[Record], metric: Metric) -> Vec<Series> {
    let labels = labels(records);
    let mut all: Vec<Series> = Vec::new();
    for (record, label) in records.iter().zip(labels) {
        let Some(value) = record.metric(metric) else { continue };
        let at = all.iter().position(|series| series.label == label).unwrap_or_else(|| {
            all.push(Series { label, points: BTreeMap::new() });
            all.len() - 1
        });
        let new = || Point { values: BTreeMap::new(), spent: record.nfe_measured };
        all[at].points.entry(record.nfe).or_insert_with(new).values.insert(record.seed, value);
    }
    all
}

impl Series {
    /// For a chart: means over the seeds that all points have, so that points differ in nothing else, by the evaluations that
    /// were spent.
    pub fn line(&self) -> Line {
        let common = |seed: &u64| self.points.values().all(|point| point.values.contains_key(seed));
        let of_common = |point: &Point| -> Vec<f64> {
            point.values.iter().filter(|(seed, _)| common(seed)).map(|(_, value)| *value).collect()
        };
        let value = |point: &Point| match of_common(point) {
            values if values.is_empty() => point.mean(),
            values => mean(values.into_iter()),
        };
        let mut points: Vec<(f64, f64)> = self.points.values().map(|point| (point.spent, value(point))).collect();
        points.dedup_by(|a, b| a.0 == b.0);
        Line { label: self.label.clone(), points, published: false }
    }
}

/// A name for each record's method that tells it from the others of the table.
pub fn labels(records: &[Record]) -> Vec<String> {
    let grids = records.iter().any(|record| record.grid != records[0].grid);
    let label = |record: &Record| {
        let mut label = record.label();
        if grids {
            label = format!("{label} {}", record.grid);
        }
        if record.threshold != Threshold::None.to_string() {
            label = format!("{label} {}", record.threshold);
        }
        // With one kind for all, the summary says it.
        if record.coefficients == Coefficients::Reference.name()
            && records.iter().any(|other| other.coefficients != record.coefficients)
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
    let rest =
        |record: &Record| (record.order, record.grid.clone(), record.coefficients.clone(), record.threshold.clone());
    let mut pairs = Vec::new();
    for (record, label) in records.iter().zip(&labels) {
        let Some(plain) = record.method.strip_suffix("-sn") else { continue };
        let same = |other: &Record| other.method == plain && rest(other) == rest(record);
        if let Some(i) = records.iter().position(same)
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

    fn point(values: &[(u64, f64)]) -> Point {
        Point { values: values.iter().copied().collect(), spent: 5.0 }
    }

    #[test]
    fn spreads_are_sample_standard_deviations_and_differences_are_paired() {
        let left = point(&[(0, 1.0), (1, 2.0), (2, 3.0)]);
        assert_eq!((left.mean(), left.spread()), (2.0, Some(1.0)));
        // Seed 2 has no partner; the others differ by ½ each.
        let right = point(&[(0, 0.5), (1, 1.5)]);
        assert_eq!(left.less(&right), Some((0.5, Some(0.0))));
        assert_eq!(left.less(&point(&[(7, 1.0)])), None);
        assert_eq!(point(&[(0, 1.0)]).spread(), None);
    }

    #[test]
    fn a_line_is_of_the_seeds_that_all_its_points_have() {
        let (both, one) = (point(&[(0, 1.0), (1, 9.0)]), Point { spent: 10.0, ..point(&[(0, 0.5)]) });
        let series = Series { label: "x".into(), points: [(5, both), (10, one)].into() };
        assert_eq!(series.line().points, [(5.0, 1.0), (10.0, 0.5)]);
    }
}
