//! The same solvers on several grids: what a solver is worth once it has its best grid.

use std::collections::{BTreeMap, BTreeSet};

use fewstep_sampler::{Coefficients, Threshold};

use super::{
    folder::PerImage,
    metric::Metric,
    record::Record,
    series::{Point, series},
};

/// A metric by number of evaluations, solver and grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Grids {
    /// Labels of the rows.
    pub solvers: Vec<String>,
    /// Names of the columns.
    pub grids: Vec<String>,
    /// Numbers of evaluations asked for, ascending.
    pub nfes: Vec<u32>,
    /// For each row, which one is the same without score normalisation.
    pub plain: Vec<Option<usize>>,
    /// `[nfe][solver][grid]`; none where there is no cell, or not with all seeds that others have.
    pub points: Vec<Vec<Vec<Option<Point>>>>,
}

/// Solvers on grids at all numbers of evaluations together, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Overall {
    /// Labels of the rows, without score normalisation where there is a row without it.
    pub solvers: Vec<String>,
    /// Names of the columns.
    pub grids: Vec<String>,
    /// `[solver][grid]`; none where a cell is missing.
    pub times: Vec<Vec<Option<Times>>>,
    /// Solvers that were not run with all numbers of evaluations on any grid.
    pub left_out: usize,
}

/// What a solver on a grid is at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// How many times the lowest value of all at the same number of evaluations: the geometric mean over these; infinite where one
    /// diverged.
    pub value: f64,
    /// Whether that is with score normalisation, being lower so than without.
    pub normalised: bool,
    /// Whether it spent less somewhere than it was asked to.
    pub cheaper: bool,
}

/// Solvers and grids from which on a table of both says more than a list.
const ENOUGH: usize = 3;

impl Grids {
    /// Of the cells of a metric; none where there are few solvers or grids, or most of their pairs are missing.
    pub fn of(records: &[Record], per_image: &PerImage, metric: Metric) -> Option<Self> {
        let measured = |record: &&Record| {
            !record.is_solution() && (record.metric(metric).is_some() || !record.diverged.is_empty())
        };
        let cells: Vec<&Record> = records.iter().filter(measured).collect();
        let rows = distinct(cells.iter().map(|record| identity(record)));
        let labelled = |row: &Row| cells.iter().find(|record| identity(record) == *row).map(|record| label(record));
        let solvers: Vec<String> = rows.iter().filter_map(labelled).collect();
        let grids = distinct(cells.iter().map(|record| record.grid.clone()));
        let mut nfes = distinct(cells.iter().map(|record| record.nfe));
        nfes.sort_unstable();
        if solvers.len() < ENOUGH || grids.len() < ENOUGH {
            return None;
        }
        let seeds: Vec<BTreeSet<u64>> = nfes
            .iter()
            .map(|&nfe| cells.iter().filter(|record| record.nfe == nfe).map(|record| record.seed).collect())
            .collect();
        let mut points = vec![vec![vec![None; grids.len()]; solvers.len()]; nfes.len()];
        for (i, row) in rows.iter().enumerate() {
            let of_solver: Vec<&Record> = cells.iter().copied().filter(|record| identity(record) == *row).collect();
            for (j, grid) in grids.iter().enumerate() {
                let here = of_solver.iter().filter(|record| record.grid == *grid);
                let here: Vec<Record> = here.map(|record| (*record).clone()).collect();
                for (nfe, point) in series(&here, per_image, metric).into_iter().flat_map(|series| series.points) {
                    let Some(k) = nfes.iter().position(|&other| other == nfe) else { continue };
                    let whole = point.values.len() + point.diverged.len() == seeds[k].len();
                    points[k][i][j] = whole.then_some(point);
                }
            }
        }
        for (i, row) in rows.iter().enumerate() {
            for (j, grid) in grids.iter().enumerate() {
                let here = || cells.iter().filter(|record| identity(record) == *row && record.grid == *grid);
                for (k, &nfe) in nfes.iter().enumerate() {
                    // Where every seed diverged there is no series.
                    let diverged = here().filter(|record| record.nfe == nfe && !record.diverged.is_empty());
                    let diverged: BTreeMap<u64, String> =
                        diverged.map(|record| (record.seed, record.diverged.clone())).collect();
                    if points[k][i][j].is_none() && diverged.len() == seeds[k].len() {
                        points[k][i][j] = Some(Point { spent: f64::from(nfe), diverged, ..Point::default() });
                    }
                }
            }
        }
        let there = points.iter().flatten().flatten().filter(|point| point.is_some()).count();
        let all = nfes.len() * solvers.len() * grids.len();
        let plain = rows.iter().map(|row| plain_of(row, &rows, &cells)).collect();
        (2 * there > all).then_some(Grids { solvers, grids, nfes, plain, points })
    }

    /// All numbers of evaluations together, of what was run with all; none where there is one alone, or a lowest value is none to be
    /// times of.
    pub fn overall(&self) -> Option<Overall> {
        if self.nfes.len() < 2 {
            return None;
        }
        let places = (0..self.solvers.len()).flat_map(|row| (0..self.grids.len()).map(move |grid| (row, grid)));
        let is_whole = |at: (usize, usize)| (0..self.nfes.len()).all(|k| self.value(k, at).is_some());
        // What is normalised is shown where there is what it is lower than.
        let is_shown = |&(row, grid): &(usize, usize)| {
            is_whole((row, grid)) && self.plain[row].is_none_or(|plain| is_whole((plain, grid)))
        };
        let whole: Vec<(usize, usize)> = places.filter(is_shown).collect();
        let least = |k: usize| whole.iter().filter_map(|&at| self.value(k, at)).min_by(f64::total_cmp);
        let least = |k: usize| least(k).filter(|value| *value > 0.0 && value.is_finite());
        let lowest: Vec<f64> = (0..self.nfes.len()).map(least).collect::<Option<_>>()?;
        let times = |row: usize, grid: usize, normalised: bool| {
            let logs = lowest.iter().enumerate().map(|(k, low)| Some((self.value(k, (row, grid))? / low).ln()));
            let logs: Vec<f64> = logs.collect::<Option<_>>()?;
            let value = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            let cheaper = (0..lowest.len()).any(|k| self.is_cheaper(k, (row, grid)));
            Some(Times { value, normalised, cheaper })
        };
        let lower = |a: &Times, b: &Times| a.value.total_cmp(&b.value);
        let mut rows: Vec<(String, Vec<Option<Times>>)> = Vec::new();
        for row in (0..self.solvers.len()).filter(|&row| self.plain[row].is_none()) {
            let normalised = self.plain.iter().position(|plain| *plain == Some(row));
            let at = |grid: usize| {
                let plain = times(row, grid, false)?;
                let other = normalised.and_then(|other| times(other, grid, true));
                [plain].into_iter().chain(other).min_by(lower)
            };
            rows.push((self.solvers[row].clone(), (0..self.grids.len()).map(at).collect()));
        }
        let all = rows.len();
        rows.retain(|(_, times)| times.iter().any(Option::is_some));
        let left_out = all - rows.len();
        let best = |row: &(String, Vec<Option<Times>>)| {
            row.1.iter().flatten().map(|times| times.value).fold(f64::INFINITY, f64::min)
        };
        rows.sort_by(|a, b| best(a).total_cmp(&best(b)));
        let (solvers, times) = rows.into_iter().unzip();
        Some(Overall { solvers, grids: self.grids.clone(), times, left_out })
    }

    /// The grid on which a solver is best.
    pub fn best_of(&self, nfe: usize, solver: usize) -> Option<usize> {
        lowest((0..self.grids.len()).map(|grid| self.value(nfe, (solver, grid))))
    }

    /// The best solver with its best grid.
    pub fn best(&self, nfe: usize) -> Option<(usize, usize)> {
        let rows = (0..self.solvers.len()).filter_map(|solver| Some((solver, self.best_of(nfe, solver)?)));
        let value = |at: (usize, usize)| self.value(nfe, at).unwrap_or(f64::INFINITY);
        rows.min_by(|a, b| value(*a).total_cmp(&value(*b)))
    }

    /// A solver on a grid.
    pub fn point(&self, nfe: usize, (solver, grid): (usize, usize)) -> Option<&Point> {
        self.points[nfe][solver][grid].as_ref()
    }

    /// Its mean over the seeds; infinite where it diverged with one of them.
    pub fn value(&self, nfe: usize, at: (usize, usize)) -> Option<f64> {
        self.point(nfe, at).map(|point| if point.diverged.is_empty() { point.mean() } else { f64::INFINITY })
    }

    /// Whether it spent less than it was asked to.
    pub fn is_cheaper(&self, nfe: usize, at: (usize, usize)) -> bool {
        self.point(nfe, at).is_some_and(|point| point.spent < f64::from(self.nfes[nfe]))
    }
}

/// What a row's cells have alike: all but grid, evaluations and seed.
type Row = (String, u32, String, String);

fn identity(record: &Record) -> Row {
    let Record { method, order, coefficients, threshold, .. } = record.clone();
    (method, order, coefficients, threshold)
}

/// The place of the lowest of values that are there and finite.
pub fn lowest(values: impl Iterator<Item = Option<f64>>) -> Option<usize> {
    let finite = values.enumerate().filter_map(|(i, value)| Some((i, value.filter(|value| value.is_finite())?)));
    finite.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

/// Which of `rows` is the same without score normalisation.
fn plain_of(row: &Row, rows: &[Row], cells: &[&Record]) -> Option<usize> {
    let of = |row: &Row| cells.iter().find(|record| identity(record) == *row);
    let solver = |record: &Record| {
        let Record { solver, order, coefficients, threshold, .. } = record.clone();
        (solver, order, coefficients, threshold)
    };
    let own = of(row).filter(|record| record.normalised)?;
    rows.iter().position(|other| of(other).is_some_and(|other| !other.normalised && solver(other) == solver(own)))
}

/// A row's label: the method's, with what else tells it from others but for the grid.
fn label(record: &Record) -> String {
    let mut label = record.label.clone();
    if !record.threshold.is_empty() && record.threshold != Threshold::None.to_string() {
        label = format!("{label} {}", record.threshold);
    }
    if record.coefficients == Coefficients::Reference.name() {
        label.push_str(" (reference)");
    }
    label
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: &str, grid: &str, seed: u64, value: f64) -> Record {
        Record {
            method: label.into(),
            label: label.into(),
            grid: grid.into(),
            nfe: 5,
            seed,
            ode_rmse: Some(value),
            coefficients: "exact".into(),
            ..Record::default()
        }
    }

    #[test]
    fn seeds_are_averaged_and_the_best_grid_is_found_for_each_solver() {
        let (mut records, per_image) = (Vec::new(), PerImage::default());
        for (i, solver) in ["a", "b", "c"].into_iter().enumerate() {
            for (j, grid) in ["p", "q", "r"].into_iter().enumerate() {
                let value = [[3.0, 2.0, 1.0], [5.0, 0.5, 9.0], [4.0, 4.0, 4.0]][i][j];
                records.extend([record(solver, grid, 0, value - 0.25), record(solver, grid, 1, value + 0.25)]);
            }
        }
        // What diverged with one seed is no mean of the others.
        let diverged = records.iter_mut().find(|record| record.cell() == record_cell("b", "q", 1)).unwrap();
        (diverged.diverged, diverged.ode_rmse) = ("image 0 from step 1 on".into(), None);
        let map = Grids::of(&records, &per_image, Metric::OdeRmse).unwrap();
        let values = |solver| [0, 1, 2].map(|grid| map.value(0, (solver, grid)));
        assert_eq!(values(0), [Some(3.0), Some(2.0), Some(1.0)]);
        assert_eq!(values(1), [Some(5.0), Some(f64::INFINITY), Some(9.0)]);
        assert_eq!((map.best_of(0, 0), map.best_of(0, 1), map.best_of(0, 2)), (Some(2), Some(0), Some(0)));
        assert_eq!(map.best(0), Some((0, 2)));
        // Other coefficients are another row, and no seed of the first.
        let reference = |value: &Record| Record { coefficients: "reference".into(), ..value.clone() };
        let both: Vec<Record> = records.iter().cloned().chain(records.iter().map(reference)).collect();
        let rows = Grids::of(&both, &per_image, Metric::OdeRmse).unwrap();
        assert_eq!(rows.solvers, ["a", "b", "c", "a (reference)", "b (reference)", "c (reference)"]);
        assert_eq!(rows.value(0, (0, 0)), Some(3.0));
        // Two plans may be called the same without their grids, and are two rows.
        let alike: Vec<Record> = records.iter().map(|r| Record { label: "Mine".into(), ..r.clone() }).collect();
        let rows = Grids::of(&alike, &per_image, Metric::OdeRmse).unwrap();
        assert_eq!(
            (rows.solvers.as_slice(), rows.value(0, (2, 0))),
            (["Mine".to_owned(), "Mine".into(), "Mine".into()].as_slice(), Some(4.0))
        );
        // All numbers of evaluations together, with and without score normalisation in one row, best first.
        let five = |label: &str, grid: &str, value: f64| record(label, grid, 0, value);
        let ten = |label: &str, grid: &str, value: f64| Record { nfe: 10, ..five(label, grid, value) };
        let normalised = |record: Record| Record {
            normalised: true,
            solver: "a".into(),
            method: "a-sn".into(),
            label: "a-SN".into(),
            ..record
        };
        let mut all = Vec::new();
        for (i, grid) in ["p", "q", "r"].into_iter().enumerate() {
            let plain = |record: Record| Record { solver: record.method.clone(), ..record };
            all.extend([five("a", grid, [4.0, 8.0, 2.0][i]), ten("a", grid, [1.0, 9.0, 2.0][i])].map(plain));
            all.extend([five("a", grid, [2.0, 9.0, 8.0][i]), ten("a", grid, [0.5, 9.0, 8.0][i])].map(normalised));
            all.extend([five("b", grid, [1.0, 1.0, 4.0][i]), ten("b", grid, [2.0, 0.25, 2.0][i])].map(plain));
        }
        let overall = Grids::of(&all, &per_image, Metric::OdeRmse).unwrap().overall().unwrap();
        assert_eq!(overall.solvers, ["b", "a"]);
        // The lowest are 1 at five and 0.25 at ten evaluations.
        let expected = [
            [(8.0f64.sqrt(), false), (1.0, false), (32.0f64.sqrt(), false)],
            [(2.0, true), (288.0f64.sqrt(), false), (4.0, false)],
        ];
        for (row, expected) in overall.times.iter().zip(expected) {
            for (times, (value, normalised)) in row.iter().zip(expected) {
                let times = times.unwrap();
                assert!(
                    (times.value / value - 1.0).abs() < 1e-12 && times.normalised == normalised,
                    "{times:?} {value}"
                );
            }
        }
        // One that lacks a seed is not compared; two grids are a list.
        let lacking: Vec<Record> = records.iter().filter(|r| r.cell() != record_cell("a", "r", 1)).cloned().collect();
        assert_eq!(Grids::of(&lacking, &per_image, Metric::OdeRmse).unwrap().value(0, (0, 2)), None);
        records.retain(|record| record.grid != "r");
        assert_eq!(Grids::of(&records, &per_image, Metric::OdeRmse), None);
    }

    fn record_cell(label: &str, grid: &str, seed: u64) -> String {
        record(label, grid, seed, 0.0).cell()
    }
}
