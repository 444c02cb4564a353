//! Every solver on its best grid, and how many times another's value each is at.

use std::fmt::Write;

use super::{Floor, cell, header};
use crate::results::{Grids, Metric, Point, Series};

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
