//! `fewstep fit`: plans by stage.

use std::path::Path;

use super::{Csv, Curve, Figures, Plot, Table};
use crate::{
    failure::Result,
    report::{look::Colour, table::number},
};

/// What is said of a fitted plan; the rest is in the file.
const SHOWN: [&str; 6] = ["nfe", "stage", "chosen", "fit_rmse", "validation_rmse", "measured_rmse"];
/// Sets of images: what their columns begin with, how they are called, and their colours.
const SETS: [(&str, &str, Colour); 3] = [
    ("fit_rmse", "images of the fit", [0, 90, 170]),
    ("validation_rmse", "validation", [200, 100, 0]),
    ("measured_rmse", "measurement", [10, 125, 60]),
];
/// Columns by octave of frequency: what their names begin with, the chart and its axis.
const BANDS: [(&str, &str, &str); 2] = [
    ("error_", "error by octave of frequency", "power of the error over that of the solution"),
    ("power_", "power by octave of frequency", "power over that of the solution"),
];
/// Of few evaluations to many.
const COLOURS: [Colour; 8] = [
    [120, 60, 10],
    [195, 25, 40],
    [200, 100, 0],
    [10, 125, 60],
    [0, 130, 150],
    [0, 90, 170],
    [105, 55, 165],
    [35, 35, 35],
];
/// The row that a fit is beside.
const OLSS: &str = "OLSS";

pub(super) fn read(_: &Path, file: &Csv) -> Result<Figures> {
    let (nfe, stage) = (file.numbers("nfe")?, file.column("stage")?);
    let is_chosen: Vec<bool> = file.column("chosen")?.into_iter().map(|text| text == "true").collect();
    let chosen: Vec<usize> = (0..nfe.len()).filter(|&i| is_chosen[i]).collect();
    let mut lines = Vec::new();
    let mut said = Vec::new();
    for (column, label, colour) in SETS {
        let values = file.numbers(column)?;
        let known: Vec<usize> = chosen.iter().copied().filter(|&i| values[i].is_finite()).collect();
        // Without a solution nothing is measured; then validation has the last word.
        if !known.is_empty() {
            said = known.iter().map(|&i| format!("{} at {} NFE", number(values[i]), nfe[i])).collect();
            said.insert(0, label.to_owned());
        }
        let (x, y) = (known.iter().map(|&i| nfe[i]).collect(), known.iter().map(|&i| values[i]).collect());
        lines.push(Curve { label: label.into(), colour, x, y, ..Curve::default() });
    }
    lines.retain(|line| !line.x.is_empty());
    let found = said.split_first().map(|(label, values)| {
        format!("RMS distance of the chosen plans to the solution, {label}: {}.", values.join(", "))
    });
    let about = "fewstep fit: root-mean-square distance to the many-step solution, on the images that a plan was fitted to, on others that stages were chosen by, and on those of a measurement; and the samples' error and power by octave, from the lowest index of the cosine transform that stands below.";
    let mut figures = Figures::new("Fitted plans, stage by stage", about, found.into_iter().collect());
    let plot = |name: &str, x, y: &str, log_x, log_y, lines| Plot {
        name: name.into(),
        x,
        y: y.into(),
        log_x,
        log_y,
        dense: false,
        lines,
    };
    figures.charts.push(plot(
        "distance by NFE",
        "network evaluations (NFE)",
        "RMS distance to the solution",
        false,
        true,
        lines,
    ));
    for (begin, name, y) in BANDS {
        let octaves: Vec<(f64, &str)> = file.names().filter_map(|name| Some((octave(name, begin)?, name))).collect();
        let columns = octaves.iter().map(|(_, name)| file.numbers(name)).collect::<Result<Vec<_>>>()?;
        let mut lines = Vec::new();
        for i in (0..nfe.len()).filter(|&i| is_chosen[i] || stage[i] == OLSS) {
            let is_olss = !is_chosen[i];
            let place = chosen.iter().position(|&k| nfe[k] == nfe[i]).unwrap_or_default();
            let kept: Vec<usize> = (0..octaves.len()).filter(|&k| columns[k][i].is_finite()).collect();
            lines.push(Curve {
                label: format!("{}, {} NFE", if is_olss { OLSS } else { "fitted" }, nfe[i]),
                colour: COLOURS[place % COLOURS.len()],
                dashed: is_olss,
                hollow: is_olss,
                x: kept.iter().map(|&k| octaves[k].0).collect(),
                y: kept.iter().map(|&k| columns[k][i]).collect(),
                ..Curve::default()
            });
        }
        lines.retain(|line| !line.x.is_empty());
        if !lines.is_empty() {
            figures.charts.push(plot(name, "frequency: the octave's lowest index", y, true, begin == "error_", lines));
        }
    }
    figures.tables = vec![Table::some("Every stage", file, &SHOWN)?];
    figures.links = vec![
        ("fitted", "Fitted plans beside every solver"),
        ("fit-choices", "What each choice of the fit is worth, in features"),
        ("fid-solution", "Fitted plans in Inception features"),
    ];
    Ok(figures)
}

/// The lowest index of a column's octave, without the mean, which is of none.
fn octave(name: &str, begin: &str) -> Option<f64> {
    let low = name.strip_prefix(begin)?.split('_').next()?.parse().ok()?;
    (low > 0.0).then_some(low)
}
