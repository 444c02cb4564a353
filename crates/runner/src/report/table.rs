//! Tables: rows methods, columns NFE, with standard errors; what is not decided is not in bold.

mod best;
mod metrics;
mod notes;

use std::fmt::Write;

pub use best::{afs_counts, best_grids, grid_counts, times};
pub use metrics::metrics;
pub use notes::notes;

use crate::results::{Difference, Folder, Metric, Point, Record, Series, normalised_pairs, series};

/// What the many-step solution itself is at: of a Fréchet metric its own samples' distance, most of which is bias; of the distance
/// to it, how far it is from one with twice the evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    /// Mean over the seeds.
    pub value: f64,
    /// Its standard error.
    pub error: Option<f64>,
    /// What it is.
    pub label: String,
}

impl Floor {
    /// Of a metric, where the folder's cells have a solution.
    pub fn of(results: &Folder, metric: Metric) -> Option<Self> {
        let own = |record: &&Record| record.is_solution();
        // As series: a solution's rows are one method's then.
        let records: Vec<Record> = results
            .records
            .iter()
            .filter(own)
            .map(|record| Record { solver: "floor".into(), ..record.clone() })
            .collect();
        let all = series(&records, &results.per_image, metric);
        let point = all.first()?.points.values().next()?;
        let exact = records[0].nfe == 0;
        let label = match metric.is_frechet() {
            true => format!("{}: its own samples", records[0].label),
            // A formula is uncertain by nothing.
            false if exact => return None,
            false => "solution: from one with twice the evaluations".to_owned(),
        };
        (!point.values.is_empty()).then(|| Floor { value: point.mean(), error: point.error(), label })
    }

    /// Whether a value says nothing: it is at what the solution itself is at, or below.
    fn covers(&self, value: f64) -> bool {
        value <= self.value
    }
}

/// What all cells have in common.
pub fn summary(results: &Folder) -> String {
    let records: Vec<&Record> = results.records.iter().filter(|record| !record.is_solution()).collect();
    let Some(first) = records.first() else { return "Only the solution is measured.".into() };
    let several = |field: fn(&Record) -> &str| {
        let mut values: Vec<&str> = records.iter().map(|record| field(record)).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    let (grids, coefficients) = (several(|record| &record.grid), several(|record| &record.coefficients));
    let grids =
        if grids.len() > 3 { format!("{} grids", grids.len()) } else { format!("{} grid", grids.join(" and ")) };
    let mut seeds: Vec<u64> = records.iter().map(|record| record.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut text = format!(
        "{} cells, {} images each, seed{} {}, {grids}, {} coefficients, on {}.",
        records.len(),
        first.samples,
        if seeds.len() > 1 { "s" } else { "" },
        seeds.join(", "),
        coefficients.join(" and "),
        several(|record| &record.device).join(" and "),
    );
    text.push_str(&origin(results));
    if records.iter().any(|record| unspent(record)) {
        text.push_str(" In brackets: evaluations spent, where the method cannot spend all that it was asked to.");
    }
    if !results.provenance.cautions.is_empty() {
        text.push_str(&format!(" Mind: {}.", results.provenance.cautions.join("; ")));
    }
    text
}

/// Who measured it.
fn origin(results: &Folder) -> String {
    let builds: Vec<String> = results.provenance.builds.keys().map(|build| shortened(build)).collect();
    match builds.as_slice() {
        [] => {
            " Measured by an early build, which kept no errors, floors or keys: older than the tables that have them."
                .into()
        }
        [one] => format!(" Measured by build {one}."),
        several => format!(" Measured by {} builds: {}.", several.len(), several.join(", ")),
    }
}

/// Commits by their first digits; what else a build is called stays.
fn shortened(build: &str) -> String {
    let word = |word: &str| match word.split_once('-') {
        Some((commit, rest)) => format!("{}-{rest}", commit.chars().take(12).collect::<String>()),
        None => word.chars().take(12).collect(),
    };
    build.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn unspent(record: &Record) -> bool {
    record.nfe_measured.is_some_and(|spent| spent < f64::from(record.nfe))
}

/// A metric's table with what must be known to read it, and what score normalisation changes.
pub fn section(results: &Folder, metric: Metric, all: &[Series], floor: Option<&Floor>) -> String {
    let mut text = format!("## {} (`{}`)\n\n", results.title(metric), metric.name());
    for note in notes(results, metric, all, floor) {
        text.push_str(&note);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&values(all, floor, metric, &all_nfes(all)));
    let pairs = normalised_pairs(&results.records);
    if let Some(changes) = changes(&pairs, all, floor, metric, &all_nfes(all)) {
        text.push_str(
            "\nWhat score normalisation changes, in percent, paired; in brackets what is not beyond its error",
        );
        text.push_str(if decisive(floor, metric) > 0.0 { ", or is less than the first row" } else { "" });
        text.push_str(match floor {
            Some(_) if metric.is_of_data() => {
                ". Blur can lower a distance to data below the first row's, so that lower is not nearer to the solution there:\n\n"
            }
            Some(_) => ", – what does not lie above the first row:\n\n",
            None => ":\n\n",
        });
        text.push_str(&changes);
    }
    if let Some(wins) = super::wins::table(results, &pairs, metric, &all_nfes(all)) {
        text.push_str("\nImages that score normalisation brings closer, in percent of those that differ (p: exact two-sided sign test):\n\n");
        text.push_str(&wins);
    }
    text
}

/// Evaluations of a table's columns.
pub fn all_nfes(all: &[Series]) -> Vec<u32> {
    let mut nfes: Vec<u32> = all.iter().flat_map(|series| series.points.keys().copied()).collect();
    nfes.sort_unstable();
    nfes.dedup();
    nfes
}

/// What differences must exceed besides their errors: of a distance to the solution, what that is uncertain by.
fn decisive(floor: Option<&Floor>, metric: Metric) -> f64 {
    floor.filter(|_| !metric.is_frechet()).map_or(0.0, |floor| floor.value)
}

/// Rows methods, columns NFE.
pub fn values(all: &[Series], floor: Option<&Floor>, metric: Metric, nfes: &[u32]) -> String {
    let mut text = header(nfes);
    if let Some(Floor { value, error, label }) = floor {
        _ = write!(text, "| *{label}* |");
        nfes.iter().for_each(|_| _ = write!(text, " *{}*{} |", number(*value), plus_minus(*error)));
        text.push('\n');
    }
    let best: Vec<Option<&Point>> = nfes.iter().map(|&nfe| best(all, nfe)).collect();
    for series in all {
        _ = write!(text, "| {} |", series.label);
        for (&nfe, best) in nfes.iter().zip(&best) {
            let cell = series.points.get(&nfe).map_or(String::new(), |point| cell(point, nfe, *best, floor, metric));
            _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

pub(super) fn header(nfes: &[u32]) -> String {
    // Writing to a string cannot fail.
    let mut text = "| method |".to_owned();
    nfes.iter().for_each(|nfe| _ = write!(text, " {nfe} |"));
    text.push_str("\n|---|");
    nfes.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    text
}

/// The lowest of a column, of what has every seed that any has.
pub fn best(all: &[Series], nfe: u32) -> Option<&Point> {
    let points = || all.iter().filter_map(|series| series.points.get(&nfe)).filter(|point| point.diverged.is_empty());
    let seeds = points().map(|point| point.values.len()).max().filter(|seeds| *seeds > 0)?;
    points().filter(|point| point.values.len() == seeds).min_by(|a, b| a.mean().total_cmp(&b.mean()))
}

fn cell(point: &Point, nfe: u32, best: Option<&Point>, floor: Option<&Floor>, metric: Metric) -> String {
    if let Some((seed, what)) = point.diverged.first_key_value() {
        return format!("diverged: seed {seed}, {what}");
    }
    let mean = point.mean();
    let wins = best.is_some_and(|best| is_best(point, best, floor, metric));
    let mut text = if wins { format!("**{}**", number(mean)) } else { number(mean) };
    text.push_str(&plus_minus(point.error()));
    if point.spent < f64::from(nfe) {
        _ = write!(text, " ({})", point.spent);
    }
    text
}

/// Whether a point is in bold beside the lowest of its column.
pub fn is_best(point: &Point, best: &Point, floor: Option<&Floor>, metric: Metric) -> bool {
    point.diverged.is_empty() && wins(point, best, floor, decisive(floor, metric))
}

/// Whether a point is the lowest of its column or ties with it. Nothing wins where the lowest says nothing, or no error is known.
fn wins(point: &Point, best: &Point, floor: Option<&Floor>, decisive: f64) -> bool {
    if point.error().is_none() || floor.is_some_and(|floor| floor.covers(best.mean())) {
        return false;
    }
    std::ptr::eq(point, best) || point.less(best).is_some_and(|less| less.error.is_some() && !less.is_beyond(decisive))
}

/// The change from `without` to `with` in percent of `without`, and whether it is beyond its error; none where one of them does not
/// lie above the floor, so that it would be a change of nothing. Of a distance to data the floor is no bound: it is the network's own.
pub fn relative(with: &Point, without: &Point, floor: Option<&Floor>, metric: Metric) -> Option<(Difference, bool)> {
    let bound = floor.filter(|_| !metric.is_of_data());
    if bound.is_some_and(|floor| floor.covers(with.mean()) || floor.covers(without.mean())) {
        return None;
    }
    let decided = with.less(without)?.is_beyond(decisive(floor, metric));
    let Difference { mean, error, factor } = with.relative(without)?;
    Some((Difference { mean: 100.0 * mean, error: error.map(|error| 100.0 * error), factor }, decided))
}

/// What score normalisation changes, in percent: a row for each pair; none without pairs.
pub fn changes(
    pairs: &[(String, String)],
    all: &[Series],
    floor: Option<&Floor>,
    metric: Metric,
    nfes: &[u32],
) -> Option<String> {
    let find = |label: &str| all.iter().find(|series| series.label == label);
    let mut rows = String::new();
    for (normalised, plain) in pairs {
        let (Some(with), Some(without)) = (find(normalised), find(plain)) else { continue };
        _ = write!(rows, "| {normalised} |");
        for nfe in nfes {
            let points = with.points.get(nfe).zip(without.points.get(nfe));
            let points = points.filter(|(a, b)| !a.values.is_empty() && !b.values.is_empty());
            let text = points.map_or(String::new(), |(with, without)| match relative(with, without, floor, metric) {
                None => "–".into(),
                Some((change, true)) => percent(change),
                Some((change, false)) => format!("({})", percent(change)),
            });
            _ = write!(rows, " {text} |");
        }
        rows.push('\n');
    }
    (!rows.is_empty()).then(|| header(nfes) + &rows)
}

/// A change with its error.
pub fn percent(Difference { mean, error, .. }: Difference) -> String {
    let sign = if mean < 0.0 { "−" } else { "+" };
    let error = error.map_or(String::new(), |error| format!(" ± {error:.1}"));
    format!("{sign}{:.1}{error}", mean.abs())
}

/// A standard error behind its value, with two significant digits.
pub fn plus_minus(error: Option<f64>) -> String {
    let Some(error) = error else { return String::new() };
    if error > 0.0 && error < 1e-6 {
        return format!(" ± {error:.0e}");
    }
    let digits = if error > 0.0 { (1 - error.log10().floor() as i32).clamp(0, 8) as usize } else { 0 };
    format!(" ± {error:.digits$}")
}

/// Four significant digits.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-5 {
        return format!("{value:.2e}");
    }
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 8) as usize };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{PerImage, SOLUTION};

    #[test]
    fn numbers_have_four_digits_or_an_exponent() {
        assert_eq!([346.333, 0.0541, 0.0, 4.64e-6].map(number), ["346.3", "0.05410", "0", "4.64e-6"]);
        assert_eq!(percent(Difference { mean: -2.66, error: Some(0.31), factor: 2.0 }), "−2.7 ± 0.3");
    }

    /// Three methods over the same four images, and the solution's own row.
    fn results(second: [f64; 4], floor: f64) -> Folder {
        let mut folder = Folder::default();
        let squares = [("euler", [4.0, 5.0, 6.0, 5.0]), ("ddim", [1.0, 1.2, 0.8, 1.0]), ("deis", second)];
        for (method, squares) in squares {
            let rmse = (squares.iter().sum::<f64>() / 4.0).sqrt();
            let record = Record {
                method: method.into(),
                label: method.into(),
                solver: method.into(),
                nfe: 5,
                nfe_measured: Some(5.0),
                ode_rmse: Some(rmse),
                ..Record::default()
            };
            folder.per_image.insert((record.cell(), Metric::OdeRmse), squares.to_vec());
            folder.records.push(record);
        }
        let solution = Record {
            solver: SOLUTION.into(),
            method: SOLUTION.into(),
            ode_rmse: Some(floor),
            nfe: 500,
            ..Record::default()
        };
        folder.records.push(solution);
        folder
    }

    fn bold(folder: &Folder) -> usize {
        let all = series(&folder.records, &folder.per_image, Metric::OdeRmse);
        values(&all, Floor::of(folder, Metric::OdeRmse).as_ref(), Metric::OdeRmse, &[5]).matches("**").count() / 2
    }

    #[test]
    fn winners_are_those_that_the_errors_decide() {
        // Always a little better, image by image: decided although the images differ by far more.
        let better = [0.9, 1.08, 0.72, 0.9];
        assert_eq!(bold(&results(better, 1e-6)), 1);
        // Below what the solution is uncertain by it is not.
        assert_eq!(bold(&results(better, 0.2)), 2);
        // Better on some images and worse on others.
        assert_eq!(bold(&results([1.3, 0.9, 1.1, 0.6], 1e-6)), 2);
        // Where the best lies below what the solution is uncertain by, nothing is.
        assert_eq!(bold(&results(better, 0.96)), 0);
        let mut unknown = results(better, 1e-6);
        unknown.per_image = PerImage::new();
        assert_eq!(bold(&unknown), 0);
    }

    /// Of a distance to data the floor is the network's own, below which blur can lie: what changes there is shown. Of a Fréchet distance images
    /// have influences, which are no distances to win by.
    #[test]
    fn changes_of_a_distance_to_data_are_shown_below_the_floor() {
        let mut folder = results([0.9, 1.08, 0.72, 0.9], 1e-6);
        for (record, (normalised, fid)) in folder.records.iter_mut().zip([(false, 3.0), (true, 2.0), (false, 5.0)]) {
            let own = record.cell();
            (record.ode_rmse, record.fid, record.normalised) = (None, Some(fid), normalised);
            folder.per_image.remove(&(own, Metric::OdeRmse));
            folder.per_image.insert((record.cell(), Metric::Fid), vec![0.1, -0.1, 0.2, -0.2]);
        }
        let all = series(&folder.records, &folder.per_image, Metric::Fid);
        let floor = Some(Floor { value: 4.0, error: None, label: String::new() });
        let point = |k: usize| &all[k].points[&5];
        let (change, _) = relative(point(1), point(0), floor.as_ref(), Metric::Fid).unwrap();
        assert!((change.mean + 100.0 / 3.0).abs() < 1e-9, "{change:?}");
        assert!(relative(point(1), point(0), floor.as_ref(), Metric::FidSolution).is_none());
        let labels = [&*all[1].label, &*all[0].label];
        assert_eq!(crate::results::Wins::between(&folder, Metric::Fid, labels, 5), None);
        let squares = results([0.9, 1.08, 0.72, 0.9], 1e-6);
        let wins = crate::results::Wins::between(&squares, Metric::OdeRmse, ["deis", "ddim"], 5).unwrap();
        assert_eq!((wins.won, wins.lost), (4, 0));
    }

    #[test]
    fn what_diverged_is_shown_as_diverged() {
        let mut folder = results([0.9, 1.08, 0.72, 0.9], 1e-6);
        folder.records[0] =
            Record { ode_rmse: None, diverged: "image 3 from step 2 on".into(), ..folder.records[0].clone() };
        let all = series(&folder.records, &folder.per_image, Metric::OdeRmse);
        let table = values(&all, None, Metric::OdeRmse, &[5]);
        assert!(table.contains("| euler | diverged: seed 0, image 3 from step 2 on |"), "{table}");
    }
}
