//! `fewstep orders`: measured orders of convergence.

use std::path::Path;

use fewstep_sampler::Method;

use super::{Csv, Curve, Figures, Plot, Table, groups};
use crate::{
    failure::{Failure, Result},
    report::{
        families::{FAMILIES, ROUNDING, family},
        look,
    },
};

/// Numbers of evaluations whose errors the table has.
const SHOWN: [f64; 4] = [20.0, 80.0, 320.0, 800.0];

pub(super) fn read(_: &Path, file: &Csv) -> Result<Figures> {
    let (names, orders) = (file.column("method")?, file.column("order")?);
    let (claimed, measured) = (file.numbers("claimed")?, file.numbers("measured")?);
    let (asked, spent, errors) = (file.numbers("nfe")?, file.numbers("nfe_spent")?, file.numbers("error")?);
    let keys: Vec<String> = names.iter().zip(&orders).map(|(name, order)| format!("{name} {order}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (mut lines, mut rows, mut lowest) = (Vec::new(), Vec::new(), None::<(f64, String)>);
    for (key, range) in groups(&keys) {
        let i = range.start;
        let order = orders[i].parse().ok().filter(|_| Method::recommended_order(names[i]).is_some());
        let method = Method::new(names[i], order)
            .map_err(|error| Failure::Request(format!("{}: method '{key}': {error}", file.row(i))))?;
        let above = measured[i] - claimed[i];
        if lowest.as_ref().is_none_or(|(lowest, _)| above < *lowest) {
            lowest = Some((above, method.label()));
        }
        let error_at =
            |nfe: f64| range.clone().find(|&k| asked[k] == nfe).map_or(String::new(), |k| format!("{:.1e}", errors[k]));
        let mut row = vec![method.label(), claimed[i].to_string(), format!("{:.2}", measured[i])];
        row.extend(SHOWN.map(error_at));
        rows.push(row);
        let kept: Vec<usize> = range.filter(|&k| errors[k] > ROUNDING).collect();
        let line = Curve {
            label: format!("{}: {:.2}", method.label(), measured[i]),
            colour: look::of(&method.solver.traits().name, method.order() as u32, method.normalise).colour,
            hollow: method.normalise,
            x: kept.iter().map(|&k| spent[k]).collect(),
            y: kept.iter().map(|&k| errors[k]).collect(),
            ..Curve::default()
        };
        lines.push((family(method.solver), method.normalise, line));
    }
    let (above, label) = lowest.unwrap_or_default();
    let sign = if above < 0.0 { "−" } else { "+" };
    let found = vec![format!(
        "{} methods; measured less claimed order of convergence is lowest for {label}: {sign}{:.2}.",
        rows.len(),
        above.abs()
    )];
    let about = "Error at the end on Gaussian data, whose probability-flow ODE has a formula for its solution; double precision; from τ = 0.6 to 0.2 on the continuous schedule, multistep methods from exact history. The order is measured between 200 and 800 evaluations; errors below 1e-13 are of rounding, and are not drawn.";
    let mut figures = Figures::new("Measured orders of convergence", about, found);
    for (name, title) in FAMILIES {
        for (normalised, with) in [(false, ""), (true, ", with score normalisation")] {
            let here = lines.extract_if(.., |line| (line.0, line.1) == (name, normalised)).map(|line| line.2);
            figures.charts.push(Plot {
                name: format!("{title}{with}"),
                x: "evaluations",
                y: "error on Gaussian data".into(),
                log_x: true,
                log_y: true,
                dense: false,
                lines: here.collect(),
            });
        }
    }
    figures.charts.retain(|chart| !chart.lines.is_empty());
    let columns = ["method", "claimed", "measured", "error at 20", "80", "320", "800"].map(str::to_owned).to_vec();
    let about = "Orders of convergence, and errors by number of evaluations".into();
    figures.tables = vec![Table { about, columns, rows }];
    Ok(figures)
}
