//! Tables and charts from a results folder.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use fewstep_sampler::Normaliser;

use crate::{
    chart::{self, Line},
    experiment::NormaliserSource,
    failure::{Failure, Result},
    files,
    metric::Metric,
    prepare::Prepared,
    published,
    record::{self, Record},
    series::{self, Point, Series},
};

/// Makes `table.md` and the charts of every metric from `folder/cells.csv`, and prints the table.
pub fn write(folder: &Path, title: &str) -> Result<()> {
    let records = record::read(&folder.join("cells.csv"))?;
    if records.is_empty() {
        return Err(Failure::Request(format!("{}: no cells", folder.join("cells.csv").display())));
    }
    let published = published::kept(folder)?;
    let mut text = format!("# {title}\n\n{}\n", summary(&records));
    for metric in Metric::ALL {
        let all = series::of(&records, metric);
        if all.is_empty() {
            continue;
        }
        text.push('\n');
        text.push_str(&table(&series::normalised_pairs(&records), metric, &all));
        let (lines, mut drawn) = chosen(&all);
        if metric == Metric::OdeRmse
            && let Some(chart) = convergence(&format!("{title}{drawn}"), &lines)
        {
            chart.write(&folder.join("convergence"))?;
        }
        let mut lines = lines;
        if metric == Metric::Fid && !published.is_empty() {
            text.push_str(&published::table(&published));
            lines.extend(published::lines(&published));
            drawn.push_str("; dashed: published, other networks");
        }
        let chart = chart::Chart {
            title: format!("{title}{drawn}"),
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

/// Lines that can be told apart in one chart.
const MAX_LINES: usize = 10;
/// The paper's methods, which are drawn whatever others there are.
const PAPERS: [&str; 4] = ["Euler", "DDIM", "DEIS-2", "DEIS-SN-2"];

/// Whether each record's samples go into the grid of samples: those of the methods that charts of ode_rmse draw, or of the first
/// metric there is, with the first seed.
pub fn pictured(records: &[Record]) -> Vec<bool> {
    let metrics = [Metric::OdeRmse].into_iter().chain(Metric::ALL);
    let all = metrics.map(|metric| series::of(records, metric)).find(|all| !all.is_empty()).unwrap_or_default();
    let (lines, _) = chosen(&all);
    let drawn = |label: &String| lines.is_empty() || lines.iter().any(|line| line.label == *label);
    let labels = series::labels(records);
    records.iter().zip(&labels).map(|(record, label)| record.seed == records[0].seed && drawn(label)).collect()
}

/// The lines to draw, and what to say of them: all, or the paper's and the best of the others.
fn chosen(all: &[Series]) -> (Vec<Line>, String) {
    if all.len() <= MAX_LINES {
        return (all.iter().map(Series::line).collect(), String::new());
    }
    // Over the numbers of evaluations that all were asked for.
    let common = |nfe: &&u32| all.iter().all(|series| series.points.contains_key(*nfe));
    let nfes: Vec<u32> = all[0].points.keys().filter(common).copied().collect();
    let score = |series: &Series| nfes.iter().map(|nfe| series.points[nfe].mean().ln()).sum::<f64>();
    let mut others: Vec<&Series> = all.iter().filter(|series| !PAPERS.contains(&series.label.as_str())).collect();
    others.sort_by(|a, b| score(a).total_cmp(&score(b)));
    let papers = all.iter().filter(|series| PAPERS.contains(&series.label.as_str()));
    let mut lines: Vec<Line> = papers.map(Series::line).collect();
    lines.extend(others.into_iter().map(Series::line).take(MAX_LINES - lines.len()));
    let drawn = format!(" ({} of {} methods)", lines.len(), all.len());
    (lines, drawn)
}

/// Error against NFE, both logarithmic, each method's slope over its last points in the legend: its order of convergence
/// where those lie on a line. None with fewer points than that.
fn convergence(title: &str, lines: &[Line]) -> Option<chart::Chart> {
    let labelled = |line: &Line| {
        let last = &line.points[line.points.len().checked_sub(SLOPE_POINTS)?..];
        let label = format!("{}: slope {:.2}", line.label, slope(last));
        Some(Line { label, ..line.clone() })
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
        published: false,
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
        lines.push(Line { label: format!("r, published ({name})"), points, published: true });
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

fn summary(records: &[Record]) -> String {
    let first = &records[0];
    let several = |field: fn(&Record) -> &str| {
        let mut values: Vec<&str> = records.iter().map(field).collect();
        values.sort_unstable();
        values.dedup();
        values.join(" and ")
    };
    let (grid, coefficients) = (several(|record| &record.grid), several(|record| &record.coefficients));
    let mut seeds: Vec<u64> = records.iter().map(|record| record.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut text = format!(
        "{} cells, {} images each, seed{} {}, {grid} grid, {coefficients} coefficients, on {}.",
        records.len(),
        first.samples,
        if seeds.len() > 1 { "s" } else { "" },
        seeds.join(", "),
        first.device
    );
    if seeds.len() > 1 {
        text.push_str(" Means over the seeds ± their standard deviation, where a cell has several; differences are of the same seeds.");
    }
    if records.iter().any(unspent) {
        text.push_str(" In brackets: evaluations spent, where the method cannot spend all that it was asked to.");
    }
    if records.iter().any(|record| record.fid.is_some() && record.samples < 50_000) {
        text.push_str(" FID is biased upwards below 50 000 images: compare within this table only.");
    }
    text
}

fn unspent(record: &Record) -> bool {
    record.nfe_measured < f64::from(record.nfe)
}

/// Rows methods, columns NFE, the best of a column in bold; below, what score normalisation changes.
fn table(pairs: &[(String, String)], metric: Metric, all: &[Series]) -> String {
    let mut nfes: Vec<u32> = all.iter().flat_map(|series| series.points.keys().copied()).collect();
    nfes.sort_unstable();
    nfes.dedup();
    let means = |nfe: u32| all.iter().filter_map(move |series| Some(series.points.get(&nfe)?.mean()));
    let best: BTreeMap<u32, f64> = nfes.iter().map(|&nfe| (nfe, means(nfe).fold(f64::INFINITY, f64::min))).collect();

    let mut text = format!("## {} (`{}`)\n\n| method |", metric.title(), metric.name());
    // Writing to a string cannot fail.
    nfes.iter().for_each(|nfe| _ = write!(text, " {nfe} |"));
    text.push_str("\n|---|");
    nfes.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    for series in all {
        _ = write!(text, "| {} |", series.label);
        for nfe in &nfes {
            let cell = series.points.get(nfe).map_or(String::new(), |point| cell(point, *nfe, best[nfe]));
            _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    let find = |label: &str| all.iter().find(|series| series.label == label);
    for (normalised, plain) in pairs {
        let (Some(with), Some(without)) = (find(normalised), find(plain)) else { continue };
        _ = write!(text, "| *{normalised} − {plain}* |");
        for nfe in &nfes {
            let difference = with.points.get(nfe).zip(without.points.get(nfe)).and_then(|(a, b)| a.less(b));
            _ = write!(
                text,
                " {} |",
                difference.map_or(String::new(), |(mean, spread)| signed(mean) + &plus_minus(spread))
            );
        }
        text.push('\n');
    }
    text
}

fn cell(point: &Point, nfe: u32, best: f64) -> String {
    let mean = point.mean();
    let mut text = if mean == best { format!("**{}**", number(mean)) } else { number(mean) };
    text.push_str(&plus_minus(point.spread()));
    if point.spent < f64::from(nfe) {
        _ = write!(text, " ({})", point.spent);
    }
    text
}

/// Two significant digits.
fn plus_minus(spread: Option<f64>) -> String {
    let Some(spread) = spread else { return String::new() };
    let digits = if spread > 0.0 { (1 - spread.log10().floor() as i32).clamp(0, 8) as usize } else { 0 };
    format!(" ± {spread:.digits$}")
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
        let line = Line { label: "DEIS-2".into(), points, published: false };
        assert_eq!(convergence("x", std::slice::from_ref(&line)).unwrap().lines[0].label, "DEIS-2: slope -2.50");
        let short = Line { points: line.points[..2].to_vec(), ..line };
        assert!(convergence("x", &[short]).is_none());
    }
}
