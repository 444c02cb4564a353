//! Several metrics of the same cells, side by side.

use std::fmt::Write;

use super::{Floor, best, cell, number, plus_minus};
use crate::{
    failure::{Failure, Result},
    results::{Folder, Metric, Series, series},
};

/// Rows methods, columns metrics, at one number of evaluations.
///
/// # Errors
/// Where a metric is not measured there.
pub fn metrics(folder: &Folder, metrics: &[Metric], nfe: u32) -> Result<String> {
    let all: Vec<Vec<Series>> =
        metrics.iter().map(|&metric| series(&folder.records, &folder.per_image, metric)).collect();
    let floors: Vec<Option<Floor>> = metrics.iter().map(|&metric| Floor::of(folder, metric)).collect();
    let measured = |series: &[Series]| series.iter().any(|one| one.points.contains_key(&nfe));
    if let Some((metric, _)) = metrics.iter().zip(&all).find(|(_, series)| !measured(series)) {
        return Err(Failure::Request(format!("{} is not measured at {nfe} NFE", metric.name())));
    }
    // Writing to a string cannot fail.
    let mut text = format!("| {nfe} NFE |");
    metrics.iter().for_each(|metric| _ = write!(text, " {} |", metric.name()));
    text.push_str("\n|---|");
    metrics.iter().for_each(|_| text.push_str("---:|"));
    text.push_str("\n| *first rows* |");
    for floor in &floors {
        let shown = |floor: &Floor| format!("*{}*{}", number(floor.value), plus_minus(floor.error));
        _ = write!(text, " {} |", floor.as_ref().map_or("–".into(), shown));
    }
    text.push('\n');
    // A stochastic method has distances to data alone.
    let mut labels: Vec<&String> = Vec::new();
    for one in all.iter().flatten().filter(|one| one.points.contains_key(&nfe)) {
        if !labels.contains(&&one.label) {
            labels.push(&one.label);
        }
    }
    for label in labels {
        _ = write!(text, "| {label} |");
        for ((series, floor), &metric) in all.iter().zip(&floors).zip(metrics) {
            let point = series.iter().find(|one| one.label == *label).and_then(|one| one.points.get(&nfe));
            let shown = |point| cell(point, nfe, best(series, nfe), floor.as_ref(), metric);
            _ = write!(text, " {} |", point.map_or("–".into(), shown));
        }
        text.push('\n');
    }
    Ok(text)
}
