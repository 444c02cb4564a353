//! What must be known to read a table.

use std::collections::BTreeSet;

use super::{Floor, number, plus_minus};
use crate::results::{FEW, Features, Folder, Metric, Point, Series, VIT_ASSET};

/// What must be known to read a metric's table.
pub fn notes(results: &Folder, metric: Metric, all: &[Series], floor: Option<&Floor>) -> Vec<String> {
    let samples = results.records[0].samples;
    let mut notes = Vec::new();
    let dimensions = results.provenance.dimensions.get(metric.name()).copied().unwrap_or(0) as u64;
    if metric.is_frechet() && samples < 10 * dimensions {
        notes.push(format!(
            "{samples} images for {dimensions} dimensions, fewer than ten each: {}, which depends on the number of images. Compare within this table only{}.",
            if metric.is_paired() { "far from the solution much of these numbers can be bias" } else { "most of these numbers is bias" },
            if floor.is_some() { ", and with its first row" } else { "" }
        ));
    }
    if metric == Metric::FidInfinity {
        notes.push(format!(
            "Intercept of a line in 1/N through the FIDs of all, halves, thirds and quarters of the images in their order (Chong & Forsyth 2020). \
             {}± is of the images; how far the points lie from their line is in `fid_infinity_fit`{}.",
            if samples < 10 * dimensions {
                "With fewer than ten images a dimension the bias is no line, and these are still too high. "
            } else {
                ""
            },
            bias(results).map_or(String::new(), |bias| format!("; {bias}")),
        ));
    }
    if metric == Metric::Fid && samples < 50_000 {
        notes.push("FID is biased upwards below 50 000 images: compare within this table only.".into());
    }
    if metric.features() == Some(Features::Vit)
        && let Some(extractor) = results.provenance.assets.get(VIT_ASSET)
    {
        notes.push(format!("Features of {extractor} (`docs/features.md`)."));
    }
    notes.extend(explanation(metric).map(str::to_owned));
    if metric == Metric::FidPaired
        && let Some(floor) = Floor::of(results, Metric::FeatureRmse)
    {
        notes.push(format!(
            "The converged samples are not exact: ones of twice the evaluations are {}{} from them (`feature_rmse`, first row), by which the roots of \
             these numbers may be off, 3 ± that where a number is 9.",
            number(floor.value),
            plus_minus(floor.error)
        ));
    }
    let images = measured_images(results, metric).unwrap_or(samples);
    let seeds = results.records.iter().map(|record| record.seed).collect::<BTreeSet<_>>().len() as u64;
    let beyond = |images: u64| match images * seeds < FEW + seeds - 1 {
        true => "Student's 97.5 % point of its error",
        false => "twice its error",
    };
    let known = all.iter().any(|series| series.points.values().any(|point| point.error().is_some()));
    notes.push(match (known, metric.is_frechet()) {
        (false, true) => "One seed: the error of a Fréchet distance is not known, so that nothing is in bold.".into(),
        (false, false) => "No errors are known, so that nothing is in bold.".into(),
        (true, true) if all.iter().flat_map(|series| series.points.values()).any(Point::has_images) => format!("± standard error over the images, to first order, and so without the bias. Bold: the lowest, and all whose paired difference from it is not beyond {}; nothing that does not lie above the first row.", beyond(samples)),
        (true, true) => "± standard error over the seeds. Bold: the lowest, and all whose paired difference from it is not beyond its error; nothing that does not lie above the first row.".into(),
        (true, false) => format!(
            "± standard error over the {images} images{}. Bold: the lowest, and all whose paired difference from it is not beyond {}, or is \
             less than the first row; nothing that does not lie above the first row, what the solution itself is uncertain by.",
            if seeds > 1 { " of each seed" } else { "" },
            beyond(images),
        ),
    });
    let diverged = all.iter().any(|series| series.points.values().any(|point| !point.diverged.is_empty()));
    if diverged {
        notes.push("Diverged: samples that are not finite, from the named image and step on.".into());
    }
    notes
}

/// Images of a cell that a metric is measured on one by one: of the distance to the solution fewer than there are samples.
fn measured_images(results: &Folder, metric: Metric) -> Option<u64> {
    let of_cells = results.records.iter().filter(|record| !record.is_solution());
    of_cells.filter_map(|record| Some(results.per_image.get(&(record.cell(), metric))?.len() as u64)).max()
}

/// By how much FID at this number of images is above its limit.
fn bias(results: &Folder) -> Option<String> {
    let methods = results.records.iter().filter(|record| !record.is_solution());
    let bias: Vec<f64> = methods.filter_map(|record| Some(record.fid? - record.fid_infinity?)).collect();
    let least = bias.iter().copied().reduce(f64::min)?;
    let most = bias.iter().copied().fold(least, f64::max);
    Some(format!("at {} images FID is {} to {} above", results.records[0].samples, number(least), number(most)))
}

/// What a figure is, where its name does not say it.
fn explanation(metric: Metric) -> Option<&'static str> {
    match metric {
        Metric::FidSolution | Metric::FdPixelSolution | Metric::FdVitSolution => Some(
            "Against converged samples of the same network, as many, from other noise: what the sampler alone is off by, 0 in the limit of many \
             images whatever the network is worth. The first row is what two such sets of converged samples are apart.",
        ),
        Metric::FidPaired => Some(
            "Against converged samples of the same noise: 0 for a solver without error at any number of images. Near the solution what both have in \
             common cancels, so that these are far below `fid_solution` there; no first row is to be taken off.",
        ),
        Metric::FdVitPaired => Some(
            "Against converged samples of the same noise: 0 for a solver without error at any number of images. Near the solution what both have in \
             common cancels, so that these are far below `fd_vit_solution` there; no first row is to be taken off.",
        ),
        Metric::FeatureRmse => Some(
            "L2 distance of 2048 features, root mean square over images. Its square is the cost of moving each image's features to its converged \
             sample's, and so above `fid_paired`, the least that such moves can cost.",
        ),
        Metric::Fid | Metric::FidInfinity | Metric::FdPixel | Metric::FdVit | Metric::FdData | Metric::OdeRmse => None,
    }
}
