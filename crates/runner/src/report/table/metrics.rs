//! Several metrics of the same cells, side by side, and on how many images score normalisation is closer.

use std::fmt::Write;

use super::{Floor, best, cell, normalised_pairs, number, plus_minus};
use crate::{
    failure::{Failure, Result},
    report::wins,
    results::{Folder, Metric, Series, Wins, series},
};

/// Rows methods, columns metrics, at one number of evaluations. Behind a metric that is a distance of each image, where methods are there with and without
/// score normalisation, on how many of the images it is closer.
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
    let pairs = normalised_pairs(&folder.records);
    let won = |metric: Metric, label: &str| {
        let (normalised, plain) = pairs.iter().find(|(normalised, _)| normalised == label)?;
        Wins::between(folder, metric, [normalised, plain], nfe)
    };
    let wins: Vec<bool> =
        metrics.iter().map(|&metric| pairs.iter().any(|(label, _)| won(metric, label).is_some())).collect();
    // Writing to a string cannot fail.
    let mut text = format!("| {nfe} NFE |");
    for (metric, &wins) in metrics.iter().zip(&wins) {
        _ = write!(text, " {} |", metric.name());
        if wins {
            _ = write!(text, " SN closer by {}, % |", metric.name());
        }
    }
    text.push_str("\n|---|");
    wins.iter().for_each(|&wins| text.push_str(if wins { "---:|---:|" } else { "---:|" }));
    text.push_str("\n| *first rows* |");
    for (floor, &wins) in floors.iter().zip(&wins) {
        let shown = |floor: &Floor| format!("*{}*{}", number(floor.value), plus_minus(floor.error));
        _ = write!(text, " {} |", floor.as_ref().map_or("–".into(), shown));
        text.push_str(if wins { " – |" } else { "" });
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
        for (((series, floor), &metric), &wins) in all.iter().zip(&floors).zip(metrics).zip(&wins) {
            let point = series.iter().find(|one| one.label == *label).and_then(|one| one.points.get(&nfe));
            let shown = |point| cell(point, nfe, best(series, nfe), floor.as_ref(), metric);
            _ = write!(text, " {} |", point.map_or("–".into(), shown));
            if wins {
                _ = write!(text, " {} |", won(metric, label).map_or("–".into(), |wins| wins::cell(&wins)));
            }
        }
        text.push('\n');
    }
    Ok(text)
}
