//! Each metric's values as the page's tables and charts show them.

use serde::Serialize;

use super::finding::{self, Finding};
use crate::{
    report::{
        chosen,
        look::{self, Colour},
        table::{self, Floor},
    },
    results::{Folder, Grids, Metric, Point, Record, Series, labels, normalised_pairs, series},
};

/// Rows of one method: all but the numbers of evaluations and seeds.
pub struct Group {
    /// A name that tells it from the others.
    pub label: String,
    /// Places of its records.
    pub records: Vec<usize>,
}

/// The methods of `records`, in their order; the solution is none.
pub fn groups(records: &[Record]) -> Vec<Group> {
    let mut known: Vec<(&str, u32, &str, &str, &str)> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for (i, (record, label)) in records.iter().zip(labels(records)).enumerate().filter(|(_, (r, _))| !r.is_solution()) {
        let Record { method, order, grid, coefficients, threshold, .. } = record;
        let identity = (method.as_str(), *order, grid.as_str(), coefficients.as_str(), threshold.as_str());
        let at = known.iter().position(|other| *other == identity).unwrap_or_else(|| {
            known.push(identity);
            groups.push(Group { label, records: Vec::new() });
            groups.len() - 1
        });
        groups[at].records.push(i);
    }
    groups
}

/// A method as the page names, folds and draws it.
#[derive(Serialize)]
pub struct Shown {
    label: String,
    family: &'static str,
    grid: String,
    normalised: bool,
    order: u32,
    colour: Colour,
}

impl Group {
    /// What the page needs to know of it.
    pub fn shown(&self, records: &[Record]) -> Shown {
        let Record { solver, normalised, grid, order, .. } = &records[self.records[0]];
        let look = look::of(solver, *order, *normalised);
        Shown {
            label: self.label.clone(),
            family: look.family,
            grid: grid.clone(),
            normalised: *normalised,
            order: *order,
            colour: look.colour,
        }
    }

    /// Its series of a metric, under its own label.
    fn series(&self, results: &Folder, metric: Metric) -> Option<Series> {
        let records: Vec<Record> = self.records.iter().map(|&i| results.records[i].clone()).collect();
        let series = series(&records, &results.per_image, metric).into_iter().next()?;
        Some(Series { label: self.label.clone(), ..series })
    }

    /// Places of its cells with so many evaluations.
    fn cells(&self, records: &[Record], nfe: u32) -> Vec<usize> {
        self.records.iter().copied().filter(|&i| records[i].nfe == nfe).collect()
    }
}

/// A metric.
#[derive(Serialize)]
pub struct Table {
    name: &'static str,
    title: String,
    notes: Vec<String>,
    nfes: Vec<u32>,
    floor: Option<Entry>,
    rows: Vec<Row>,
    changes: Vec<Change>,
    heat: Option<Heat>,
    /// Sentences on what was found; the first is the headline.
    pub finding: Finding,
}

/// A method's values, an entry for each of the table's numbers of evaluations.
#[derive(Serialize)]
pub struct Row {
    method: usize,
    /// Whether the chart shows it before anybody chooses.
    drawn: bool,
    entries: Vec<Option<Entry>>,
}

/// A value.
#[derive(Serialize, Default)]
pub struct Entry {
    /// Empty where it diverged.
    value: Option<f64>,
    /// Its standard error.
    error: Option<f64>,
    /// As tables show it.
    text: String,
    /// Whether it is the lowest of its column or not told apart from that; of a change whether its error decides it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strong: bool,
    /// Evaluations, where it spent fewer than it was asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent: Option<f64>,
    /// Whether it diverged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    diverged: bool,
    /// Rows of `cells.csv` that it is of.
    cells: Vec<usize>,
}

/// What score normalisation changes of a method, in percent.
#[derive(Serialize)]
pub struct Change {
    method: usize,
    without: usize,
    entries: Vec<Option<Entry>>,
}

/// Solvers on grids: which method each pair is.
#[derive(Serialize)]
pub struct Heat {
    solvers: Vec<String>,
    grids: Vec<String>,
    methods: Vec<Vec<Option<usize>>>,
}

/// What says most of samplers: their own error in the features that they are judged by, then the distance to the solution.
const FIRST: [Metric; 3] = [Metric::FidPaired, Metric::FidSolution, Metric::OdeRmse];

/// Of every metric that was measured, those first.
pub fn all(results: &Folder, groups: &[Group]) -> Vec<Table> {
    let others = Metric::ALL.into_iter().filter(|metric| !FIRST.contains(metric));
    FIRST.into_iter().chain(others).filter_map(|metric| table_of(results, groups, metric)).collect()
}

fn table_of(results: &Folder, groups: &[Group], metric: Metric) -> Option<Table> {
    let found = groups.iter().enumerate().filter_map(|(i, group)| Some((i, group.series(results, metric)?)));
    let (places, every): (Vec<usize>, Vec<Series>) = found.unzip();
    if every.is_empty() {
        return None;
    }
    let floor = Floor::of(results, metric);
    let nfes = table::all_nfes(&every);
    let (drawn, _) = chosen(&every);
    let best: Vec<Option<&Point>> = nfes.iter().map(|&nfe| table::best(&every, nfe)).collect();
    let row = |(&method, series): (&usize, &Series)| {
        let entry = |(&nfe, best): (&u32, &Option<&Point>)| {
            let point = series.points.get(&nfe)?;
            let strong = best.is_some_and(|best| table::is_best(point, best, floor.as_ref(), metric));
            let cells = groups[method].cells(&results.records, nfe);
            Some(Entry { strong, cells, ..entry(point, nfe) })
        };
        let drawn = drawn.iter().any(|other| std::ptr::eq(*other, series));
        Row { method, drawn, entries: nfes.iter().zip(&best).map(entry).collect() }
    };
    let rows = places.iter().zip(&every).map(row).collect();
    let finding = finding::of(&finding::Asked { results, groups, places: &places, every: &every, metric, nfes: &nfes });
    let notes = table::notes(results, metric, &every, floor.as_ref());
    Some(Table {
        name: metric.name(),
        title: results.title(metric),
        notes,
        floor: floor.as_ref().map(|floor| floor_entry(results, floor)),
        rows,
        changes: changes(results, groups, (&places, &every), metric, &nfes),
        heat: heat(results, groups, metric),
        nfes,
        finding,
    })
}

fn entry(point: &Point, nfe: u32) -> Entry {
    if let Some((seed, what)) = point.diverged.first_key_value() {
        return Entry { text: format!("diverged: seed {seed}, {what}"), diverged: true, ..Entry::default() };
    }
    let (mean, error) = (point.mean(), point.error());
    let text = format!("{}{}", table::number(mean), table::plus_minus(error));
    let spent = (point.spent < f64::from(nfe)).then_some(point.spent);
    Entry { value: Some(mean), error, text, spent, ..Entry::default() }
}

/// The floor's value, under its name.
fn floor_entry(results: &Folder, floor: &Floor) -> Entry {
    let own = results.records.iter().enumerate().filter(|(_, record)| record.is_solution());
    let text = format!("{}: {}{}", floor.label, table::number(floor.value), table::plus_minus(floor.error));
    let cells = own.map(|(i, _)| i).collect();
    Entry { value: Some(floor.value), error: floor.error, text, cells, ..Entry::default() }
}

fn changes(
    results: &Folder,
    groups: &[Group],
    (places, every): (&[usize], &[Series]),
    metric: Metric,
    nfes: &[u32],
) -> Vec<Change> {
    let find = |label: &str| every.iter().position(|series| series.label == label);
    let floor = Floor::of(results, metric);
    let mut changes = Vec::new();
    for (normalised, plain) in normalised_pairs(&results.records) {
        let Some((with, without)) = find(&normalised).zip(find(&plain)) else { continue };
        let (method, other) = (places[with], places[without]);
        let entry = |&nfe: &u32| {
            let points = every[with].points.get(&nfe).zip(every[without].points.get(&nfe));
            let (a, b) = points.filter(|(a, b)| !a.values.is_empty() && !b.values.is_empty())?;
            let (change, decided) = table::relative(a, b, floor.as_ref(), metric)?;
            let cells = [method, other].iter().flat_map(|&group| groups[group].cells(&results.records, nfe)).collect();
            let text = format!("{} %", table::percent(change));
            Some(Entry {
                value: Some(change.mean),
                error: change.error,
                text,
                strong: decided,
                cells,
                ..Entry::default()
            })
        };
        let entries: Vec<Option<Entry>> = nfes.iter().map(entry).collect();
        if entries.iter().any(Option::is_some) {
            changes.push(Change { method, without: other, entries });
        }
    }
    changes
}

fn heat(results: &Folder, groups: &[Group], metric: Metric) -> Option<Heat> {
    let map = Grids::of(&results.records, &results.per_image, metric)?;
    // As the map has them: by first appearance among the cells with this metric.
    let mut rows: Vec<(&str, u32, &str, &str)> = Vec::new();
    let mut methods: Vec<Vec<Option<usize>>> = Vec::new();
    for (i, group) in groups.iter().enumerate().filter(|(_, group)| group.series(results, metric).is_some()) {
        let Record { method, order, coefficients, threshold, grid, .. } = &results.records[group.records[0]];
        let identity = (method.as_str(), *order, coefficients.as_str(), threshold.as_str());
        let row = rows.iter().position(|known| *known == identity).unwrap_or_else(|| {
            rows.push(identity);
            methods.push(vec![None; map.grids.len()]);
            rows.len() - 1
        });
        let column = map.grids.iter().position(|known| known == grid)?;
        methods[row][column] = Some(i);
    }
    (methods.len() == map.solvers.len()).then_some(Heat { solvers: map.solvers, grids: map.grids, methods })
}
