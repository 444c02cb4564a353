//! Every solver on its best grid, and how many times another's value each is at.

use std::fmt::Write;

use super::{Floor, cell, header};
use crate::{
    failure::{Failure, Result},
    results::{Grids, Metric, Point, Series},
};

/// Every solver on its best grid: what it is worth once all are given theirs.
///
/// With `over` a method's cell is how many times that one's value it is.
pub fn best_grids(map: &Grids, floor: Option<&Floor>, metric: Metric, over: Option<&Series>) -> String {
    let mut text = header(&map.nfes);
    for (row, solver) in map.solvers.iter().enumerate() {
        _ = write!(text, "| {solver} |");
        for (k, &nfe) in map.nfes.iter().enumerate() {
            let best = map.best(k).and_then(|at| map.point(k, at));
            let column = map.best_of(k, row);
            let entry = column.and_then(|column| Some((column, map.point(k, (row, column))?)));
            match entry {
                Some((column, point)) => {
                    let figure = match over {
                        None => cell(point, nfe, best, floor, metric),
                        Some(over) => ratio(point, over.points.get(&nfe)),
                    };
                    _ = write!(text, " {figure} {} |", map.grids[column]);
                }
                None => text.push_str(" – |"),
            }
        }
        text.push('\n');
    }
    text
}

/// On which grid how many of the solvers have their lowest mean, and of how many that is lower with score normalisation.
pub fn grid_counts(map: &Grids) -> String {
    let mut text = "| of so many solvers lowest on |".to_owned();
    map.nfes.iter().for_each(|nfe| _ = write!(text, " {nfe} |"));
    text.push_str("\n|---|");
    map.nfes.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    let rows = 0..map.solvers.len();
    for (column, grid) in map.grids.iter().enumerate() {
        let count = |k: usize| rows.clone().filter(|&row| map.best_of(k, row) == Some(column)).count();
        let counts = (0..map.nfes.len()).map(|k| count(k).to_string()).collect::<Vec<_>>().join(" | ");
        _ = writeln!(text, "| `{grid}` | {counts} |");
    }
    let least = |k: usize, row: usize| least(map, k, row);
    let pairs = |k: usize| {
        let pair = |(row, plain): (usize, &Option<usize>)| Some((least(k, row)?, least(k, (*plain)?)?));
        map.plain.iter().enumerate().filter_map(pair).collect::<Vec<_>>()
    };
    let lower = |k: usize| {
        let pairs = pairs(k);
        format!("{} of {}", pairs.iter().filter(|(with, without)| with < without).count(), pairs.len())
    };
    let lower = (0..map.nfes.len()).map(lower).collect::<Vec<_>>().join(" | ");
    _ = writeln!(text, "| *lower with score normalisation, each on its best grid* | {lower} |");
    text
}

/// The lowest mean of a solver on any grid.
fn least(map: &Grids, k: usize, row: usize) -> Option<f64> {
    map.best_of(k, row).and_then(|column| map.value(k, (row, column)))
}

/// What an analytic first step does to solvers that `without` has by the same names less the "AFS", each on its best grid of either.
///
/// # Errors
/// Where there are no such pairs.
pub fn afs_counts(map: &Grids, without: &Grids) -> Result<String> {
    let plain = |solver: &str| without.solvers.iter().position(|name| solver.strip_suffix(" AFS") == Some(name));
    let pairs: Vec<(usize, usize)> =
        map.solvers.iter().enumerate().filter_map(|(row, solver)| Some((row, plain(solver)?))).collect();
    let mut text = "| each on its best grid |".to_owned();
    let (mut closer, mut median) =
        ("| closer with an analytic first step |".to_owned(), "| median change |".to_owned());
    for (k, nfe) in map.nfes.iter().enumerate() {
        let other = without.nfes.iter().position(|known| known == nfe);
        let other = other.ok_or_else(|| Failure::Request(format!("without has no {nfe} NFE")))?;
        let change = |&(row, plain): &(usize, usize)| Some(least(map, k, row)? / least(without, other, plain)? - 1.0);
        let mut changes: Vec<f64> = pairs.iter().filter_map(change).collect();
        changes.sort_by(f64::total_cmp);
        let (below, middle) = (changes.iter().filter(|change| **change < 0.0).count(), changes.len() / 2);
        let middle = match changes.len() {
            0 => {
                return Err(Failure::Request(format!(
                    "no solver with and without an analytic first step at {nfe} NFE"
                )));
            }
            odd if odd % 2 == 1 => changes[middle],
            _ => 0.5 * (changes[middle - 1] + changes[middle]),
        };
        _ = write!(text, " {nfe} |");
        _ = write!(closer, " {below} of {} |", changes.len());
        _ = write!(
            median,
            " {} |",
            format_args!("{}{:.0} %", if middle < 0.0 { "−" } else { "+" }, 100.0 * middle.abs())
        );
    }
    let rule = map.nfes.iter().map(|_| "---:|").collect::<String>();
    Ok(format!("{text}\n|---|{rule}\n{closer}\n{median}\n"))
}

/// How many times the value of `over` each method is at.
pub fn times(all: &[Series], over: &Series, nfes: &[u32]) -> String {
    let mut text = header(nfes);
    for series in all {
        let cells = nfes.iter().map(|nfe| match series.points.get(nfe) {
            Some(point) => ratio(point, over.points.get(nfe)),
            None => String::new(),
        });
        _ = writeln!(text, "| {} | {} |", series.label, cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Of means over the seeds; with three digits, as an error of some percent leaves no more.
fn ratio(point: &Point, over: Option<&Point>) -> String {
    let value = |point: &Point| Some(point.mean()).filter(|value| point.diverged.is_empty() && value.is_finite());
    match value(point).zip(over.and_then(value)) {
        Some((value, over)) if over > 0.0 => format!("× {:.2}", value / over),
        _ => "–".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Value;

    fn map(solvers: &[&str], values: &[[f64; 2]]) -> Grids {
        let point = |value: f64| {
            let mut point = Point::default();
            point.values.insert(0, Value { value, shares: Vec::new() });
            Some(point)
        };
        Grids {
            solvers: solvers.iter().map(|name| (*name).to_owned()).collect(),
            grids: ["p", "q"].map(str::to_owned).into(),
            nfes: vec![5],
            plain: vec![None; solvers.len()],
            points: vec![values.iter().map(|row| row.map(point).into()).collect()],
        }
    }

    #[test]
    fn an_analytic_first_step_is_held_against_the_same_solver_on_its_own_best_grid() {
        let without = map(&["a", "b", "c", "d"], &[[4.0, 2.0], [1.0, 3.0], [5.0, 5.0], [1.0, 1.0]]);
        let with = map(&["b AFS", "a AFS", "c AFS", "e AFS"], &[[2.0, 1.5], [1.0, 9.0], [4.0, 6.0], [0.1, 0.1]]);
        // a: 2 to 1, b: 1 to 1.5, c: 5 to 4.
        let expected = "| each on its best grid | 5 |\n|---|---:|\n| closer with an analytic first step | 2 of 3 |\n| median change | −20 % |\n";
        assert_eq!(afs_counts(&with, &without).unwrap(), expected);
        assert!(afs_counts(&without, &without).is_err());
        let two = map(&["b AFS", "a AFS"], &[[2.0, 1.5], [1.0, 9.0]]);
        assert!(afs_counts(&two, &without).unwrap().ends_with("| +0 % |\n"));
    }

    #[test]
    fn counts_are_of_rows_and_pairs() {
        let point = |value: f64| {
            let mut point = Point::default();
            point.values.insert(0, Value { value, shares: Vec::new() });
            Some(point)
        };
        let rows = |values: [[f64; 2]; 4]| values.map(|row| row.map(point).into()).into();
        let map = Grids {
            solvers: ["a", "a-SN", "b", "b-SN"].map(str::to_owned).into(),
            grids: ["p", "q"].map(str::to_owned).into(),
            nfes: vec![5, 10],
            plain: vec![None, Some(0), None, Some(2)],
            points: vec![
                rows([[3.0, 4.0], [2.0, 9.0], [1.0, 0.5], [0.6, 0.7]]),
                rows([[3.0, 2.0], [4.0, 1.0], [5.0, 4.0], [9.0, 3.0]]),
            ],
        };
        let text = grid_counts(&map);
        assert!(text.contains("| `p` | 3 | 0 |\n| `q` | 1 | 4 |\n"), "{text}");
        assert!(text.ends_with("each on its best grid* | 1 of 2 | 2 of 2 |\n"), "{text}");
    }
}
