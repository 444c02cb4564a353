//! The same solvers on several grids: what a solver is worth once it has its best grid.

use super::{metric::Metric, record::Record};

/// A metric by number of evaluations, solver and grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Grids {
    /// Labels of the rows.
    pub solvers: Vec<String>,
    /// Names of the columns.
    pub grids: Vec<String>,
    /// Numbers of evaluations, ascending.
    pub nfes: Vec<u32>,
    /// `[nfe][solver][grid]`: means over the seeds; infinite where a run diverged, none where there is no cell.
    pub values: Vec<Vec<Vec<Option<f64>>>>,
}

/// Solvers and grids from which on a table of both says more than a list.
const ENOUGH: usize = 3;

impl Grids {
    /// Of the cells of a metric; none where there are few solvers or grids, or most of their pairs are missing.
    pub fn of(records: &[Record], metric: Metric) -> Option<Self> {
        let measured = |record: &&Record| {
            !record.is_solution() && (record.metric(metric).is_some() || !record.diverged.is_empty())
        };
        let cells: Vec<&Record> = records.iter().filter(measured).collect();
        let mut map = Grids {
            solvers: distinct(cells.iter().map(|record| row(record))),
            grids: distinct(cells.iter().map(|record| record.grid.clone())),
            nfes: distinct(cells.iter().map(|record| record.nfe)),
            values: Vec::new(),
        };
        map.nfes.sort_unstable();
        let value = |nfe: u32, solver: &str, grid: &str| {
            let cell = |record: &&&Record| record.nfe == nfe && record.grid == grid && row(record) == solver;
            let seeds: Vec<f64> =
                cells.iter().filter(cell).map(|record| record.metric(metric).unwrap_or(f64::INFINITY)).collect();
            (!seeds.is_empty()).then(|| seeds.iter().sum::<f64>() / seeds.len() as f64)
        };
        let of_solver =
            |nfe: u32, solver: &String| map.grids.iter().map(|grid| value(nfe, solver, grid)).collect::<Vec<_>>();
        map.values =
            map.nfes.iter().map(|&nfe| map.solvers.iter().map(|solver| of_solver(nfe, solver)).collect()).collect();
        let there = map.values.iter().flatten().flatten().filter(|value| value.is_some()).count();
        let all = map.nfes.len() * map.solvers.len() * map.grids.len();
        (map.solvers.len() >= ENOUGH && map.grids.len() >= ENOUGH && 2 * there > all).then_some(map)
    }

    /// The grid on which a solver is best.
    pub fn best_of(&self, nfe: usize, solver: usize) -> Option<usize> {
        let values = self.values[nfe][solver].iter().enumerate();
        let finite = values.filter_map(|(i, value)| Some((i, value.filter(|value| value.is_finite())?)));
        finite.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
    }

    /// The best solver with its best grid.
    pub fn best(&self, nfe: usize) -> Option<(usize, usize)> {
        let rows = (0..self.solvers.len()).filter_map(|solver| Some((solver, self.best_of(nfe, solver)?)));
        rows.min_by(|a, b| self.value(nfe, *a).total_cmp(&self.value(nfe, *b)))
    }

    /// A solver's value on a grid; infinite where there is none.
    pub fn value(&self, nfe: usize, (solver, grid): (usize, usize)) -> f64 {
        self.values[nfe][solver][grid].unwrap_or(f64::INFINITY)
    }
}

/// A row's label: the method's, with what else tells it from others but for the grid.
fn row(record: &Record) -> String {
    match record.threshold.as_str() {
        "" | "none" => record.label.clone(),
        threshold => format!("{} {threshold}", record.label),
    }
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
            ..Record::default()
        }
    }

    #[test]
    fn seeds_are_averaged_and_the_best_grid_is_found_for_each_solver() {
        let mut records = Vec::new();
        for (i, solver) in ["a", "b", "c"].into_iter().enumerate() {
            for (j, grid) in ["p", "q", "r"].into_iter().enumerate() {
                let value = [[3.0, 2.0, 1.0], [5.0, 0.5, 9.0], [4.0, 4.0, 4.0]][i][j];
                records.extend([record(solver, grid, 0, value - 0.25), record(solver, grid, 1, value + 0.25)]);
            }
        }
        // What diverged with one seed is no mean of the others.
        records.push(Record { diverged: "image 0 from step 1 on".into(), ode_rmse: None, ..record("b", "q", 2, 0.0) });
        let map = Grids::of(&records, Metric::OdeRmse).unwrap();
        assert_eq!(map.values[0][0], [Some(3.0), Some(2.0), Some(1.0)]);
        assert_eq!(map.values[0][1][1], Some(f64::INFINITY));
        assert_eq!((map.best_of(0, 0), map.best_of(0, 1), map.best_of(0, 2)), (Some(2), Some(0), Some(0)));
        assert_eq!(map.best(0), Some((0, 2)));
        // Two grids are a list.
        records.retain(|record| record.grid != "r");
        assert_eq!(Grids::of(&records, Metric::OdeRmse), None);
    }
}
