//! What a metric's cells say, in sentences: who is lowest, whether that is decided, and what score normalisation changes. A tie is
//! called a tie, and where no error is known nobody wins.

use serde::Serialize;

use super::tables::Group;
use crate::{
    report::table::{self, Floor},
    results::{FITTED_TO, Folder, Metric, Point, Series, in_words, normalised_pairs},
};

/// Words, or a figure with the cells that it is of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Part {
    /// Words.
    Words(String),
    /// A figure and its rows of `cells.csv`.
    Figure { text: String, cells: Vec<usize> },
}

impl Part {
    /// Without the cells.
    pub fn text(&self) -> &str {
        match self {
            Part::Words(text) | Part::Figure { text, .. } => text,
        }
    }
}

/// Sentences.
pub type Finding = Vec<Vec<Part>>;

/// What a finding is of.
pub struct Asked<'a> {
    /// Everything.
    pub results: &'a Folder,
    /// Its methods.
    pub groups: &'a [Group],
    /// Which of them have this metric.
    pub places: &'a [usize],
    /// Their values.
    pub every: &'a [Series],
    /// The metric.
    pub metric: Metric,
    /// Its numbers of evaluations.
    pub nfes: &'a [u32],
}

/// Names that a sentence gives before it counts the rest.
const NAMED: usize = 3;
/// The number of evaluations that few-step samplers are mostly compared at.
const USUAL: u32 = 10;

/// The sentence of the usual number of evaluations, or of the one in the middle, first; then score normalisation's, then the others'.
pub fn of(asked: &Asked) -> Finding {
    let Asked { nfes, .. } = asked;
    let usual = if nfes.contains(&USUAL) { USUAL } else { nfes[nfes.len() / 2] };
    let first = asked.lowest(usual).into_iter().chain(asked.normalisation(usual));
    first.chain(nfes.iter().filter(|nfe| **nfe != usual).filter_map(|&nfe| asked.lowest(nfe))).collect()
}

fn words(text: impl Into<String>) -> Part {
    Part::Words(text.into())
}

impl Asked<'_> {
    fn floor(&self) -> Option<Floor> {
        Floor::of(self.results, self.metric)
    }

    fn cells(&self, at: usize, nfe: u32) -> Vec<usize> {
        let records = &self.results.records;
        let group = &self.groups[self.places[at]];
        group.records.iter().copied().filter(|&i| records[i].nfe == nfe).collect()
    }

    fn value(&self, at: usize, nfe: u32, point: &Point) -> Part {
        let text = format!("{}{}", table::number(point.mean()), table::plus_minus(point.error()));
        Part::Figure { text, cells: self.cells(at, nfe) }
    }

    /// Who is lowest with `nfe` evaluations, and whether anybody else may be.
    fn lowest(&self, nfe: u32) -> Option<Vec<Part>> {
        let floor = self.floor();
        let best = table::best(self.every, nfe)?;
        let points = || self.every.iter().enumerate().filter_map(|(i, series)| Some((i, series.points.get(&nfe)?)));
        let (at, _) = points().find(|(_, point)| std::ptr::eq(*point, best))?;
        let label = &self.every[at].label;
        let others = points().filter(|(i, point)| *i != at && point.diverged.is_empty()).count();
        let value = self.value(at, nfe, best);
        if others == 0 {
            return Some(vec![words(format!("At {nfe} NFE only {label} was measured: ")), value, words(".")]);
        }
        let start =
            words(format!("At {nfe} NFE {label} has the lowest {} of {} methods, ", self.metric.name(), others + 1));
        if floor.as_ref().is_some_and(|floor| best.mean() <= floor.value) {
            let end = match self.metric.is_of_data() {
                true => {
                    ", which is not above what converged samples themselves are at: the lowest is not the nearest to the solution."
                }
                false => ", which is not above what the solution itself is at: this metric tells nobody apart there.",
            };
            return Some(vec![start, value, words(end)]);
        }
        if best.error().is_none() {
            return Some(vec![start, value, words(", but its error is not known: nobody wins.")]);
        }
        let tied = points().filter(|(i, point)| *i != at && table::is_best(point, best, floor.as_ref(), self.metric));
        let tied: Vec<&str> = tied.map(|(i, _)| self.every[i].label.as_str()).collect();
        let own = self.is_no_judge_of(at).then(|| {
            words(" It was fitted to, or chosen by, what this metric looks at, which is therefore no judge of it.")
        });
        if tied.is_empty() {
            return Some([vec![start, value], self.next(at, nfe), own.into_iter().collect()].concat());
        }
        let verb = if tied.len() == 1 { "is" } else { "are" };
        let end = format!(", a tie: {} {verb} not told apart from it.", listed(&tied));
        Some([start, value, words(end)].into_iter().chain(own).collect())
    }

    /// Whether a caution says that the method at a place was fitted to what this metric looks at.
    fn is_no_judge_of(&self, at: usize) -> bool {
        let record = &self.results.records[self.groups[self.places[at]].records[0]];
        let names = [&record.method, &record.label].map(|name| [name.clone(), format!("{name} on {}", record.grid)]);
        let says = |caution: &String| {
            let parts = caution.strip_prefix(FITTED_TO).and_then(|rest| rest.split_once(" at: "));
            parts.is_some_and(|(metrics, labels)| {
                let own = |word: &str| word.trim_matches(',') == self.metric.name();
                metrics.split(' ').any(own) && names.as_flattened().iter().any(|name| lists(labels, name))
            })
        };
        self.results.provenance.cautions.iter().any(says)
    }

    /// How far the next one is off, which the errors tell apart.
    fn next(&self, at: usize, nfe: u32) -> Vec<Part> {
        let best = &self.every[at].points[&nfe];
        let others = self.every.iter().enumerate().filter(|(i, _)| *i != at);
        let others = others.filter_map(|(i, series)| Some((i, series.points.get(&nfe)?)));
        let finite = others.filter(|(_, point)| point.diverged.is_empty() && !point.values.is_empty());
        let Some((next, point)) = finite.min_by(|a, b| a.1.mean().total_cmp(&b.1.mean())) else {
            return vec![words(".")];
        };
        let change = table::relative(point, best, self.floor().as_ref(), self.metric);
        let Some((change, _)) = change else { return vec![words(".")] };
        let cells = [self.cells(next, nfe), self.cells(at, nfe)].concat();
        let figure = Part::Figure { text: format!("{} %", table::percent(change)), cells };
        let label = &self.every[next].label;
        vec![words(format!(", told apart from all others; the next is {label} (")), figure, words(").")]
    }

    /// What score normalisation changes with `nfe` evaluations: of one pair its change, of several how many go which way.
    fn normalisation(&self, nfe: u32) -> Option<Vec<Part>> {
        let floor = self.floor();
        let find = |label: &str| self.every.iter().position(|series| series.label == label);
        let pairs = normalised_pairs(&self.results.records);
        let pairs = pairs.iter().filter_map(|(with, without)| find(with).zip(find(without)));
        let mut found = Vec::new();
        let mut all = 0;
        for (with, without) in pairs {
            let points = self.every[with].points.get(&nfe).zip(self.every[without].points.get(&nfe));
            let Some((a, b)) = points.filter(|(a, b)| !a.values.is_empty() && !b.values.is_empty()) else { continue };
            all += 1;
            if let Some((change, decided)) = table::relative(a, b, floor.as_ref(), self.metric) {
                found.push(((with, without), change, decided));
            }
        }
        if all == 0 {
            return None;
        }
        if found.is_empty() {
            let text =
                format!("What score normalisation changes at {nfe} NFE does not lie above the solution's own error.");
            return Some(vec![words(text)]);
        }
        let figure = |&((with, without), change, _): &((usize, usize), _, bool)| {
            let cells = [self.cells(with, nfe), self.cells(without, nfe)].concat();
            Part::Figure { text: format!("{} %", table::percent(change)), cells }
        };
        let papers = found.iter().find(|((_, without), ..)| {
            let series = &self.every[*without];
            series.method == "deis" && series.order == 2
        });
        if found.len() == 1 {
            let one = &found[0];
            let label = &self.every[one.0.1].label;
            let end = match (one.2, one.1.error) {
                (true, _) => ", beyond its error.",
                (false, Some(_)) => ", not beyond what it is uncertain by: no difference is found.",
                (false, None) => "; its error is not known, so that this decides nothing.",
            };
            return Some(vec![words(format!("Score normalisation changes {label} by ")), figure(one), words(end)]);
        }
        let count =
            |below: bool| found.iter().filter(|(_, change, decided)| *decided && (change.mean < 0.0) == below).count();
        let (lower, higher) = (count(true), count(false));
        let undecided = all - lower - higher;
        let known = found.iter().any(|(_, change, _)| change.error.is_some());
        let rest = if known { "not told apart" } else { "no error is known" };
        let text = format!(
            "Score normalisation, each method against itself without it: at {nfe} NFE lower for {lower} of {all}, higher for {higher}, \
             {rest} for {undecided}"
        );
        let Some(one) = papers else { return Some(vec![words(text + ".")]) };
        let label = &self.every[one.0.1].label;
        let end = if one.2 || !known { ")." } else { ", not beyond what it is uncertain by)." };
        Some(vec![words(format!("{text} ({label}: ")), figure(one), words(end)])
    }
}

/// Whether a name is one of a list in words, whole.
fn lists(list: &str, name: &str) -> bool {
    let ends = |at: usize| {
        let (before, after) = (&list[..at], &list[at + name.len()..]);
        let begins = before.is_empty() || before.ends_with(", ") || before.ends_with(" and ");
        begins && (after.is_empty() || after.starts_with(", ") || after.starts_with(" and "))
    };
    !name.is_empty() && list.match_indices(name).any(|(at, _)| ends(at))
}

fn listed(names: &[&str]) -> String {
    if names.len() > NAMED {
        return format!("{} and {} more", names[..NAMED - 1].join(", "), names.len() - NAMED + 1);
    }
    in_words(names.iter().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::page::{headline, tables},
        results::Record,
    };

    /// Methods with one distance each over the same four images.
    fn folder(methods: &[(&str, [f64; 4])]) -> Folder {
        let mut folder = Folder::default();
        for (method, squares) in methods {
            let normalised = method.ends_with("-sn");
            let record = Record {
                method: (*method).into(),
                label: method.to_uppercase(),
                solver: method.trim_end_matches("-sn").into(),
                normalised,
                order: if method.starts_with("deis") { 2 } else { 0 },
                nfe: 10,
                nfe_measured: Some(10.0),
                ode_rmse: Some((squares.iter().sum::<f64>() / 4.0).sqrt()),
                ..Record::default()
            };
            folder.per_image.insert((record.cell(), crate::results::Metric::OdeRmse), squares.to_vec());
            folder.records.push(record);
        }
        folder
    }

    const PLAIN: [f64; 4] = [4.0, 5.0, 6.0, 5.0];

    fn sentences(folder: &Folder) -> Vec<String> {
        let groups = tables::groups(&folder.records);
        let table = tables::all(folder, &groups).remove(0);
        table.finding.iter().map(|parts| parts.iter().map(Part::text).collect()).collect()
    }

    #[test]
    fn a_winner_wins_where_its_images_say_so() {
        let folder = folder(&[("deis", PLAIN), ("deis-sn", PLAIN.map(|q| 0.81 * q))]);
        assert_eq!(
            sentences(&folder),
            [
                "At 10 NFE DEIS-SN has the lowest ode_rmse of 2 methods, 2.012 ± 0.082, told apart from all others; the next is DEIS (+11.1 ± 0.0 %).",
                "Score normalisation changes DEIS by −10.0 ± 0.0 %, beyond its error."
            ]
        );
        assert_eq!(headline(&folder).unwrap(), sentences(&folder)[0]);
    }

    /// By the sentence that a sweep writes: of this metric and no other, and of this method.
    #[test]
    fn a_winner_that_was_fitted_to_the_metric_is_called_so() {
        let mut folder = folder(&[("mine", PLAIN.map(|q| 0.5 * q)), ("deis", PLAIN)]);
        let mut says = |caution: &str| {
            folder.provenance.cautions = vec![format!("{FITTED_TO}{caution}")];
            sentences(&folder)[0].ends_with(
                " It was fitted to, or chosen by, what this metric looks at, which is therefore no judge of it.",
            )
        };
        assert!(says("ode_rmse looks at: MINE") && says("fid, ode_rmse and feature_rmse look at: OTHERS and MINE"));
        assert!(!says("fid and feature_rmse look at: MINE") && !says("ode_rmse looks at: DEIS"));
        // Whole names, on their grid where there are several.
        assert!(!says("ode_rmse looks at: MINE too") && !says("ode_rmse looks at: not MINE"));
        assert!(lists("a on own, b on own and c on edm", "b on own") && !lists("a on own and c on edm", "c on own"));
    }

    #[test]
    fn ties_and_unknown_errors_have_no_winner() {
        let mut tie = folder(&[("ddim", PLAIN), ("deis", [5.2, 4.1, 5.9, 4.9]), ("euler", [9.0; 4])]);
        let found = sentences(&tie);
        assert!(found[0].ends_with(", a tie: DEIS is not told apart from it."), "{found:?}");
        assert_eq!(found.len(), 1);
        tie.per_image.clear();
        assert!(
            sentences(&tie)[0].ends_with("of 3 methods, 2.236, but its error is not known: nobody wins."),
            "{:?}",
            sentences(&tie)
        );
        let pair = folder(&[("deis", PLAIN), ("deis-sn", [5.2, 4.1, 5.9, 4.9])]);
        assert!(
            sentences(&pair)[1].ends_with("not beyond what it is uncertain by: no difference is found."),
            "{:?}",
            sentences(&pair)
        );
    }

    #[test]
    fn several_pairs_are_counted() {
        let folder = folder(&[
            ("deis", PLAIN),
            ("deis-sn", PLAIN.map(|q| 0.81 * q)),
            ("ddim", PLAIN),
            ("ddim-sn", PLAIN.map(|q| 1.21 * q)),
        ]);
        assert_eq!(
            sentences(&folder)[1],
            "Score normalisation, each method against itself without it: at 10 NFE lower for 1 of 2, higher for 1, not told apart \
             for 0 (DEIS: −10.0 ± 0.0 %)."
        );
    }

    #[test]
    fn names_are_listed_up_to_three() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(&["a", "b", "c", "d"]), "a, b and 2 more");
    }
}
