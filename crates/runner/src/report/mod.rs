//! What people look at: tables, charts and pictures, made of a results folder alone.

pub mod chart;
mod csv_table;
pub mod curves;
pub mod documents;
pub mod families;
pub mod figures;
mod heat_map;
pub mod look;
pub mod mosaic;
pub mod page;
pub mod published;
pub mod score_curve;
pub mod site;
pub mod table;
pub mod wins;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use chart::{Chart, Line};
use heat_map::HeatMap;
use look::Colour;
use mosaic::Tile;
use table::{Floor, relative};

use crate::{
    failure::Result,
    files,
    results::{Folder, Grids, Metric, Point, Record, Series, labels, normalised_pairs, series},
};

/// The grid of samples.
pub const SAMPLES: &str = "samples.png";
const TABLE: &str = "table.md";

/// Makes `table.md`, `report.html` and the charts of every metric in `folder`, and prints the table; the names of what it wrote that
/// is published beside the cells, which the page is not: `fewstep site` makes it again. Charts that are not of these cells are removed:
/// they are an earlier run's.
pub fn write(folder: &Path, results: &Folder) -> Result<Vec<String>> {
    let (text, charts) = drawn(results);
    let mut written = vec![TABLE.to_owned()];
    for stem in stems() {
        let names = ["svg", "png"].map(|ending| format!("{stem}.{ending}"));
        match charts.get(&stem) {
            Some(figure) => {
                figure.write(&folder.join(&stem))?;
                written.extend(names);
            }
            None => names.iter().try_for_each(|name| files::remove(&folder.join(name)))?,
        }
    }
    files::write(&folder.join(TABLE), text.as_bytes())?;
    files::write(&folder.join(page::FILE), page::html(folder, results)?.as_bytes())?;
    print!("{text}");
    Ok(written)
}

const CONVERGENCE: &str = "convergence";

/// Of every chart that a folder with cells may have.
fn stems() -> impl Iterator<Item = String> {
    let of_metric =
        |metric: Metric| [metric.name().to_owned(), changes_of(metric), grids_of(metric), overall_of(metric)];
    Metric::ALL.into_iter().flat_map(of_metric).chain([CONVERGENCE.to_owned()])
}

fn changes_of(metric: Metric) -> String {
    format!("{}-sn", metric.name())
}

fn grids_of(metric: Metric) -> String {
    format!("{}-grids", metric.name())
}

fn overall_of(metric: Metric) -> String {
    format!("{}-overall", grids_of(metric))
}

/// What is drawn.
enum Figure {
    Lines(Chart),
    Heat(HeatMap),
}

impl Figure {
    fn write(&self, stem: &Path) -> Result<()> {
        match self {
            Figure::Lines(chart) => chart.write(stem),
            Figure::Heat(map) => map.write(stem),
        }
    }
}

/// The text of the table, and charts by their stems.
fn drawn(results: &Folder) -> (String, BTreeMap<String, Figure>) {
    let Folder { records, per_image, published, provenance } = results;
    let title = &provenance.title;
    let mut text = format!("# {title}\n\n{}\n", table::summary(results));
    let mut charts = BTreeMap::new();
    let colours = colours(records);
    for metric in Metric::ALL {
        let all = series(records, per_image, metric);
        if all.is_empty() {
            continue;
        }
        let floor = Floor::of(results, metric);
        text.push('\n');
        text.push_str(&table::section(results, metric, &all, floor.as_ref()));
        let (drawn, which) = chosen(&all);
        let coloured = |series: &&Series| Line { colour: colours.get(&series.label).copied(), ..line(series) };
        let mut lines: Vec<Line> = drawn.iter().map(coloured).collect();
        if metric == Metric::OdeRmse {
            let chart = convergence(&format!("{title}{which}"), &lines, floor.as_ref());
            charts.insert(CONVERGENCE.to_owned(), Figure::Lines(chart));
        }
        if metric == Metric::Fid && !published.is_empty() {
            text.push_str(&published::table(published));
            lines.extend(published::lines(published, records[0].samples));
        }
        let chart = over_nfe(format!("{title}{which}"), &results.title(metric), lines, floor.as_ref());
        charts.insert(metric.name().to_owned(), Figure::Lines(chart));
        let changes = relative_chart((title, metric), results, (&all, &colours), floor.as_ref());
        charts.extend(changes.map(|chart| (changes_of(metric), Figure::Lines(chart))));
        if let Some(grids) = Grids::of(records, per_image, metric) {
            text.push_str(
                "\nEvery solver on its best grid, chosen at each NFE by this very number; bold as above:\n\n",
            );
            text.push_str(&table::best_grids(&grids, floor.as_ref(), metric, None));
            let (title, metric_title) = (format!("Solvers and grids: {title}"), results.title(metric));
            if let Some(overall) = grids.overall() {
                let map = HeatMap::overall(title.clone(), &overall, &metric_title);
                charts.insert(overall_of(metric), Figure::Heat(map));
            }
            charts.insert(grids_of(metric), Figure::Heat(HeatMap::by_nfe(title, &grids, &metric_title)));
        }
    }
    (text, charts)
}

/// Writes the grid of samples: of the methods that the chart of ode_rmse draws, or of the first metric there is, with the first
/// seed, and of the solution. `picture` finds a cell's.
pub fn samples(folder: &Path, results: &Folder, picture: impl Fn(&Record) -> Option<PathBuf>) -> Result<()> {
    let tiles = pictured(results, FEW_LINES, picture);
    let path = folder.join(SAMPLES);
    if tiles.is_empty() { files::remove(&path) } else { mosaic::grid(&path, &tiles) }
}

/// The cells of the grid of samples, in its order; of all methods where these are `few` at most.
fn pictured(results: &Folder, few: usize, picture: impl Fn(&Record) -> Option<PathBuf>) -> Vec<Tile> {
    let records = &results.records;
    let metrics = [Metric::OdeRmse].into_iter().chain(Metric::ALL);
    let all = metrics.map(|metric| series(records, &results.per_image, metric)).find(|all| !all.is_empty());
    let all = all.unwrap_or_default();
    let (drawn, _) = chosen_of(&all, few);
    let mut tiles = Vec::new();
    for (record, label) in records.iter().zip(labels(records)) {
        let is_drawn = record.is_solution() || drawn.is_empty() || drawn.iter().any(|series| series.label == label);
        if record.seed != records[0].seed || !is_drawn {
            continue;
        }
        let picture = picture(record);
        if picture.is_some() || !record.diverged.is_empty() {
            tiles.push((record.nfe, label, record.is_solution(), picture));
        }
    }
    // Columns in the order of NFE, the solution's last.
    tiles.sort_by_key(|(nfe, _, solution, _)| (*solution, *nfe));
    let tile = |(nfe, row, solution, picture): (u32, String, bool, Option<PathBuf>)| Tile {
        row,
        column: if solution { "solution".into() } else { format!("{nfe} NFE") },
        picture,
    };
    tiles.into_iter().map(tile).collect()
}

/// Lines that can be told apart in one chart.
const MAX_LINES: usize = 10;
/// So many are not yet worth leaving some out.
const FEW_LINES: usize = 12;
/// The paper's methods, which are drawn whatever others there are: names and orders.
const PAPERS: [(&str, u32); 4] = [("euler", 0), ("ddim", 0), ("deis", 2), ("deis-sn", 2)];

fn is_papers(series: &Series) -> bool {
    PAPERS.contains(&(series.method.as_str(), series.order))
}

/// The series to draw, and what to say of them: all, or the paper's and the best of the others.
fn chosen(all: &[Series]) -> (Vec<&Series>, String) {
    chosen_of(all, FEW_LINES)
}

/// The same, all of them where they are `few` at most.
fn chosen_of(all: &[Series], few: usize) -> (Vec<&Series>, String) {
    if all.len() <= few {
        return (all.iter().collect(), String::new());
    }
    // Over the numbers of evaluations that most have. A series that has not all of these comes last: a plan of one number of
    // evaluations says nothing of the others.
    let mut nfes: BTreeSet<u32> = all.iter().flat_map(|series| series.points.keys().copied()).collect();
    nfes.retain(|nfe| 2 * all.iter().filter(|series| series.points.contains_key(nfe)).count() > all.len());
    let whole = |series: &Series| nfes.iter().all(|nfe| series.points.contains_key(nfe));
    // What diverged anywhere is no best; a distance of 0 is as good as the smallest number.
    let value =
        |point: &Point| if point.values.is_empty() { f64::INFINITY } else { point.mean().max(f64::MIN_POSITIVE).ln() };
    let score = |series: &Series| nfes.iter().filter_map(|nfe| series.points.get(nfe)).map(value).sum::<f64>();
    // On several grids there are too many of them to be drawn whatever others there are.
    let papers = all.iter().filter(|series| is_papers(series)).count();
    let first = |series: &Series| papers <= PAPERS.len() && is_papers(series);
    let mut drawn: Vec<&Series> = all.iter().collect();
    drawn.sort_by(|a, b| first(b).cmp(&first(a)).then(whole(b).cmp(&whole(a))).then(score(a).total_cmp(&score(b))));
    drawn.truncate(MAX_LINES);
    let which = format!(" ({} of {} methods)", drawn.len(), all.len());
    (drawn, which)
}

/// Means over the seeds that all points have, so that points differ in nothing else, by the evaluations that were spent.
fn line(series: &Series) -> Line {
    let measured: Vec<&Point> = series.points.values().filter(|point| !point.values.is_empty()).collect();
    let common = |seed: &u64| measured.iter().all(|point| point.values.contains_key(seed));
    let of_common = |point: &Point| {
        let values = point.values.clone().into_iter().filter(|(seed, _)| common(seed)).collect();
        Point { values, ..point.clone() }
    };
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    for point in measured.iter().map(|point| match of_common(point) {
        none if none.values.is_empty() => (*point).clone(),
        some => some,
    }) {
        if points.last().is_none_or(|last| last.0 != point.spent) {
            points.push((point.spent, point.mean(), point.error().unwrap_or(f64::NAN)));
        }
    }
    let known = points.iter().any(|point| point.2.is_finite());
    let errors = if known { points.iter().map(|point| point.2).collect() } else { Vec::new() };
    Line { errors, ..Line::new(series.label.clone(), points.into_iter().map(|(x, y, _)| (x, y)).collect()) }
}

/// By label, so that a method has one colour in all charts of all experiments.
fn colours(records: &[Record]) -> BTreeMap<String, Colour> {
    let colour =
        |(record, label): (&Record, String)| (label, look::of(&record.solver, record.order, record.normalised).colour);
    records.iter().zip(labels(records)).map(colour).collect()
}

fn over_nfe(title: String, y: &str, lines: Vec<Line>, floor: Option<&Floor>) -> Chart {
    Chart {
        title,
        x: "NFE".into(),
        y: y.into(),
        lines,
        marks: true,
        log_x: false,
        log_y: true,
        floor: floor.map(|floor| floor.value).filter(|value| *value > 0.0),
        named_at_ends: true,
    }
}

/// What score normalisation changes, in percent of the method without it, over NFE: the project's own question.
fn relative_chart(
    (title, metric): (&str, Metric),
    results: &Folder,
    (all, colours): (&[Series], &BTreeMap<String, Colour>),
    floor: Option<&Floor>,
) -> Option<Chart> {
    let mut changes: Vec<(Line, bool, f64)> = Vec::new();
    for (normalised, plain) in normalised_pairs(&results.records) {
        let find = |label: &str| all.iter().find(|series| series.label == label);
        let (Some(with), Some(without)) = (find(&normalised), find(&plain)) else { continue };
        let change = |(nfe, point): (&u32, &Point)| {
            let without =
                without.points.get(nfe).filter(|without| !without.values.is_empty() && !point.values.is_empty())?;
            let (change, _) = relative(point, without, floor, metric)?;
            Some((f64::from(*nfe), change.mean, change.error.unwrap_or(f64::NAN)))
        };
        let points: Vec<(f64, f64, f64)> = with.points.iter().filter_map(change).collect();
        if points.is_empty() {
            continue;
        }
        let largest = points.iter().map(|point| point.1.abs()).fold(0.0, f64::max);
        let known = points.iter().all(|point| point.2.is_finite());
        let errors = if known { points.iter().map(|point| point.2).collect() } else { Vec::new() };
        let points = points.into_iter().map(|(x, y, _)| (x, y)).collect();
        let papers = is_papers(without);
        let colour = colours.get(&plain).copied();
        changes.push((Line { errors, colour, ..Line::new(plain.clone(), points) }, papers, largest));
    }
    let all = changes.len();
    // The paper's own first, then where most changes.
    changes.sort_by(|(_, a, x), (_, b, y)| b.cmp(a).then(y.total_cmp(x)));
    changes.truncate(MAX_LINES);
    let which = if all > MAX_LINES { format!(" ({MAX_LINES} of {all} methods)") } else { String::new() };
    (!changes.is_empty()).then(|| Chart {
        title: format!("What score normalisation changes: {title}{which}"),
        x: "NFE".into(),
        y: format!("change of {} in %", metric.name()),
        lines: changes.into_iter().map(|(line, _, _)| line).collect(),
        marks: true,
        log_x: false,
        log_y: false,
        floor: None,
        named_at_ends: true,
    })
}

/// Error against NFE, both logarithmic, each method's slope over its last points in the legend: its order of convergence where those
/// lie on a line, above what the solution is uncertain by.
fn convergence(title: &str, lines: &[Line], floor: Option<&Floor>) -> Chart {
    let lowest = floor.map_or(0.0, |floor| FLOORS * floor.value);
    let labelled = |line: &Line| {
        let above: Vec<(f64, f64)> = line.points.iter().copied().filter(|point| point.1 > lowest).collect();
        let label = match above.len().checked_sub(SLOPE_POINTS) {
            Some(first) => format!("{}: slope {:.2}", line.label, slope(&above[first..])),
            None => line.label.clone(),
        };
        Line { label, ..line.clone() }
    };
    let lines = lines.iter().map(labelled).collect();
    Chart { log_x: true, ..over_nfe(format!("Convergence: {title}"), Metric::OdeRmse.title(), lines, floor) }
}

/// Points that a slope is measured over.
const SLOPE_POINTS: usize = 3;
/// A slope is measured where errors are more than so many times what the solution is uncertain by.
const FLOORS: f64 = 3.0;

/// Slope of the least-squares line through the logarithms.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven methods, and plans with one number of evaluations: one is far better there, one is all that has another.
    #[test]
    fn the_best_are_chosen_among_those_with_all_evaluations() {
        let series = |i: usize, values: &[(u32, f64)]| {
            let point = |&(nfe, value): &(u32, f64)| {
                let values = [(0, crate::results::Value { value, shares: Vec::new() })].into();
                (nfe, Point { values, spent: f64::from(nfe), ..Point::default() })
            };
            let points = values.iter().map(point).collect();
            Series { label: i.to_string(), method: i.to_string(), order: 0, points }
        };
        // The lower the number the better over all evaluations, and the worse at 10.
        let mut all: Vec<Series> =
            (0..11).map(|i| series(i, &[(5, 1.0 + 10.0 * i as f64), (10, 2.0 - 0.1 * i as f64)])).collect();
        all.insert(0, series(11, &[(10, 1e-9)]));
        all.push(series(12, &[(7, 1e-9)]));
        let (drawn, which) = chosen(&all);
        let labels: Vec<&str> = drawn.iter().map(|series| series.label.as_str()).collect();
        assert_eq!((labels.join(" ").as_str(), which.as_str()), ("0 1 2 3 4 5 6 7 8 9", " (10 of 13 methods)"));
    }

    #[test]
    fn a_power_law_has_its_exponent_as_slope_down_to_the_floor() {
        let power: Vec<(f64, f64)> = [8.0, 20.0, 50.0].iter().map(|&n: &f64| (n, 3.0 * n.powf(-2.5))).collect();
        assert!((slope(&power) + 2.5).abs() < 1e-12);
        let label = |points: Vec<(f64, f64)>, floor: Option<f64>| {
            let floor = floor.map(|value| Floor { value, error: None, label: String::new() });
            convergence("x", &[Line::new("DEIS-2", points)], floor.as_ref()).lines[0].label.clone()
        };
        assert_eq!(label(power.clone(), None), "DEIS-2: slope -2.50");
        // Two more points on the floor do not flatten it.
        let flat = [power.clone(), vec![(100.0, 1e-4), (200.0, 1e-4)]].concat();
        assert_eq!(label(flat, Some(5e-5)), "DEIS-2: slope -2.50");
        assert_eq!(label(power[..2].to_vec(), None), "DEIS-2");
    }
}
