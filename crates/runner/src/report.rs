//! Tables and charts from a results folder.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use fewstep_sampler::{Coefficients, Normaliser};

use crate::{
    chart::{self, Line},
    experiment::NormaliserSource,
    failure::{Failure, Result},
    files,
    metric::Metric,
    prepare::Prepared,
    record::{self, Record},
};

/// Makes `table.md` and the charts of every metric from `folder/cells.csv`, and prints the table.
pub fn write(folder: &Path, title: &str) -> Result<()> {
    let records = record::read(&folder.join("cells.csv"))?;
    if records.is_empty() {
        return Err(Failure::Request(format!("{}: no cells", folder.join("cells.csv").display())));
    }
    let labels = labels(&records);
    let mut text = format!("# {title}\n\n{}\n", summary(&records));
    for metric in Metric::ALL {
        let lines = lines(&records, &labels, metric);
        if lines.is_empty() {
            continue;
        }
        text.push('\n');
        text.push_str(&table(&records, &labels, metric, &lines));
        if metric == Metric::OdeRmse
            && let Some(chart) = convergence(title, &lines)
        {
            chart.write(&folder.join("convergence"))?;
        }
        let chart = chart::Chart {
            title: title.to_owned(),
            x: "NFE".into(),
            y: metric.title().into(),
            lines,
            marks: true,
            log_x: false,
        };
        chart.write(&folder.join(metric.name()))?;
    }
    files::write(&folder.join("table.md"), text.as_bytes())?;
    print!("{text}");
    Ok(())
}

/// Error against NFE, both logarithmic, each method's slope over its last points in the legend: its order of convergence
/// where those lie on a line. None with fewer points than that.
fn convergence(title: &str, lines: &[Line]) -> Option<chart::Chart> {
    let labelled = |line: &Line| {
        let last = &line.points[line.points.len().checked_sub(SLOPE_POINTS)?..];
        let label = format!("{}: slope {:.2}", line.label, slope(last));
        Some(Line { label, points: line.points.clone() })
    };
    Some(chart::Chart {
        title: format!("Convergence: {title}"),
        x: "NFE".into(),
        y: Metric::OdeRmse.title().into(),
        lines: lines.iter().map(labelled).collect::<Option<_>>()?,
        marks: true,
        log_x: true,
    })
}

/// Points that a slope is measured over.
const SLOPE_POINTS: usize = 3;

/// Slope of the least-squares line through the logarithms.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// The figure of mean absolute scores against τ, as in the paper: |s| = r/σ, σ|s| = r, and ε over the normaliser
/// as it is used.
pub fn normaliser(folder: &Path, normaliser: &Normaliser, prepared: &Prepared) -> Result<()> {
    let Some(spec) = &prepared.experiment.normaliser else { return Ok(()) };
    let used = normaliser.clone().with_clip(spec.clip)?;
    let curve = |label: &str, value: &dyn Fn(f64, f64) -> f64| Line {
        label: label.to_owned(),
        points: normaliser.tau().iter().zip(normaliser.values()).map(|(&tau, &r)| (tau, value(tau, r))).collect(),
    };
    let mut lines = vec![
        curve("|s|", &|tau, r| r / prepared.sampler.schedule.sigma(tau)),
        curve("σ|s| = mean |ε| = r", &|_, r| r),
        curve("σ|s| / r as used", &|tau, r| r / used.at(tau)),
    ];
    if let Some(path) = &spec.published {
        let published = Normaliser::read(path)?;
        let points = published.tau().iter().copied().zip(published.values().iter().copied()).collect();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        lines.push(Line { label: format!("r, published ({name})"), points });
    }
    let source = match &spec.source {
        NormaliserSource::File(file) => {
            file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        NormaliserSource::Collect(collect) => format!("{} images, {} NFE", collect.samples, collect.nfe),
    };
    let title = format!("Mean absolute score, {} ({source})", prepared.experiment.name);
    let chart = chart::Chart {
        title,
        x: "τ".into(),
        y: "mean over pixels and images".into(),
        lines,
        marks: false,
        log_x: false,
    };
    chart.write(&folder.join("normaliser"))
}

/// A name for each record's method that tells it from the others of the table.
fn labels(records: &[Record]) -> Vec<String> {
    let several = |field: fn(&Record) -> &str| records.iter().any(|record| field(record) != field(&records[0]));
    let grids = several(|record| &record.grid);
    let coefficients = several(|record| &record.coefficients);
    let label = |record: &Record| {
        let mut label = record.label();
        if grids {
            label = format!("{label} {}", record.grid);
        }
        if coefficients && record.coefficients == Coefficients::Reference.name() {
            label.push_str(" (reference)");
        }
        label
    };
    records.iter().map(label).collect()
}

/// One line per method, in the order of the records.
fn lines(records: &[Record], labels: &[String], metric: Metric) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (record, label) in records.iter().zip(labels) {
        let Some(value) = record.metric(metric) else { continue };
        let point = (f64::from(record.nfe), value);
        match lines.iter_mut().find(|line| line.label == *label) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { label: label.clone(), points: vec![point] }),
        }
    }
    lines
}

fn summary(records: &[Record]) -> String {
    let first = &records[0];
    let several = |field: fn(&Record) -> &str| {
        let mut values: Vec<&str> = records.iter().map(field).collect();
        values.sort_unstable();
        values.dedup();
        values.join(" and ")
    };
    let (grid, coefficients) = (several(|record| &record.grid), several(|record| &record.coefficients));
    let mut text = format!(
        "{} cells, {} images each, seed {}, {grid} grid, {coefficients} coefficients, on {}.",
        records.len(),
        first.samples,
        first.seed,
        first.device
    );
    if records.iter().any(|record| record.fid.is_some() && record.samples < 50_000) {
        text.push_str(" FID is biased upwards below 50 000 images: compare within this table only.");
    }
    text
}

/// Rows methods, columns NFE, the best of a column in bold; below, what score normalisation changes.
fn table(records: &[Record], labels: &[String], metric: Metric, lines: &[Line]) -> String {
    let mut nfes: Vec<u32> = records.iter().map(|record| record.nfe).collect();
    nfes.sort_unstable();
    nfes.dedup();
    let value = |line: &Line, nfe: u32| line.points.iter().find(|point| point.0 == f64::from(nfe)).map(|point| point.1);
    let best: BTreeMap<u32, f64> = nfes
        .iter()
        .map(|&nfe| (nfe, lines.iter().filter_map(|line| value(line, nfe)).fold(f64::INFINITY, f64::min)))
        .collect();

    let mut text = format!("## {} (`{}`)\n\n| method |", metric.title(), metric.name());
    // Writing to a string cannot fail.
    nfes.iter().for_each(|nfe| _ = write!(text, " {nfe} |"));
    text.push_str("\n|---|");
    nfes.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    for line in lines {
        _ = write!(text, "| {} |", line.label);
        for &nfe in &nfes {
            let cell = match value(line, nfe) {
                Some(value) if value == best[&nfe] => format!("**{}**", number(value)),
                Some(value) => number(value),
                None => String::new(),
            };
            _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    for (normalised, plain) in normalised_pairs(records, labels) {
        let (Some(normalised_line), Some(plain_line)) =
            (lines.iter().find(|line| line.label == normalised), lines.iter().find(|line| line.label == plain))
        else {
            continue;
        };
        _ = write!(text, "| *{normalised} − {plain}* |");
        for &nfe in &nfes {
            let difference = value(normalised_line, nfe).zip(value(plain_line, nfe)).map(|(a, b)| a - b);
            _ = write!(text, " {} |", difference.map_or(String::new(), signed));
        }
        text.push('\n');
    }
    text
}

/// Labels of DEIS-SN and of the DEIS that differs from it in nothing else.
fn normalised_pairs(records: &[Record], labels: &[String]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (record, label) in records.iter().zip(labels).filter(|(record, _)| record.method == "deis-sn") {
        let plain = records.iter().zip(labels).find(|(other, _)| {
            other.method == "deis"
                && (other.order, &other.grid, &other.coefficients) == (record.order, &record.grid, &record.coefficients)
        });
        if let Some((_, plain)) = plain {
            pairs.push((label.clone(), plain.clone()));
        }
    }
    pairs.dedup();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// Four significant digits.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-5 {
        return format!("{value:.2e}");
    }
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 8) as usize };
    format!("{value:.digits$}")
}

fn signed(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{}", number(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_or_an_exponent() {
        assert_eq!([346.333, 0.0541, 0.0, 4.64e-6].map(number), ["346.3", "0.05410", "0", "4.64e-6"]);
        assert_eq!(signed(-4.64e-6), "−4.64e-6");
    }

    #[test]
    fn a_power_law_has_its_exponent_as_slope() {
        let points: Vec<(f64, f64)> = [8.0, 20.0, 50.0].iter().map(|&n: &f64| (n, 3.0 * n.powf(-2.5))).collect();
        assert!((slope(&points) + 2.5).abs() < 1e-12);
        let line = Line { label: "DEIS-2".into(), points };
        assert_eq!(convergence("x", std::slice::from_ref(&line)).unwrap().lines[0].label, "DEIS-2: slope -2.50");
        let short = Line { points: line.points[..2].to_vec(), ..line };
        assert!(convergence("x", &[short]).is_none());
    }
}
