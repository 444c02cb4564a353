//! The same solvers on several grids: what a solver is worth once it has its best grid.

use std::collections::BTreeSet;

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
    /// `[nfe][solver][grid]`; none where there is no cell, or not with all seeds that others have.
    pub points: Vec<Vec<Vec<Option<Point>>>>,
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
        let there = points.iter().flatten().flatten().filter(|point| point.is_some()).count();
        let all = nfes.len() * solvers.len() * grids.len();
        (2 * there > all).then_some(Grids { solvers, grids, nfes, points })
    }

    /// The grid on which a solver is best.
    pub fn best_of(&self, nfe: usize, solver: usize) -> Option<usize> {
        let value = |grid: usize| self.value(nfe, (solver, grid)).filter(|value| value.is_finite());
        let finite = (0..self.grids.len()).filter_map(|grid| Some((grid, value(grid)?)));
        finite.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(grid, _)| grid)
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
