//! Two folders of results, cell by cell: is the one a reproduction of the other?

use std::fmt;

use super::{Folder, Metric, Record};

/// A figure that two folders have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Which cell.
    pub cell: String,
    /// Which figure of it.
    pub metric: &'static str,
    /// What the two folders have.
    pub values: (f64, f64),
    /// Standard error of the difference, had the two been measured on other images; none where it is not known.
    pub error: Option<f64>,
}

/// What two folders have in common and what not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Cells of both with all figures equal to the last digit.
    pub equal: usize,
    /// Cells of both.
    pub common: usize,
    /// Figures that differ.
    pub differing: Vec<Figure>,
    /// Cells that one has with other samples, diverged or unmeasured where the other is not, and what that is.
    pub unlike: Vec<String>,
    /// Cells that the first alone has.
    pub only_first: Vec<String>,
    /// Cells that the second alone has.
    pub only_second: Vec<String>,
}

/// Compares `first` with `second`.
pub fn compare(first: &Folder, second: &Folder) -> Comparison {
    let mut found = Comparison::default();
    for a in &first.records {
        let Some(b) = second.records.iter().find(|b| b.cell() == a.cell()) else {
            found.only_first.push(name(a));
            continue;
        };
        found.common += 1;
        let unlike = unlike(a, b);
        let figures = figures(a, b);
        found.equal += usize::from(unlike.is_empty() && figures.is_empty());
        found.unlike.extend(unlike);
        found.differing.extend(figures);
    }
    let missing = |b: &&Record| !first.records.iter().any(|a| a.cell() == b.cell());
    found.only_second = second.records.iter().filter(missing).map(name).collect();
    found
}

/// Figures of both that differ in any bit. How long it took is none.
fn figures(a: &Record, b: &Record) -> Vec<Figure> {
    let figure = |metric: Metric| {
        let values = a.metric(metric).zip(b.metric(metric)).filter(|(a, b)| a != b)?;
        let errors = a.ode_rmse_error.zip(b.ode_rmse_error).filter(|_| metric == Metric::OdeRmse);
        let error = errors.map(|(a, b)| a.hypot(b));
        Some(Figure { cell: name(a), metric: metric.name(), values, error })
    };
    let spent = a.nfe_measured.zip(b.nfe_measured).filter(|(a, b)| a != b);
    let spent = spent.map(|values| Figure { cell: name(a), metric: "nfe_measured", values, error: None });
    Metric::ALL.into_iter().filter_map(figure).chain(spent).collect()
}

fn unlike(a: &Record, b: &Record) -> Vec<String> {
    let mut all = Vec::new();
    if a.samples != b.samples {
        all.push(format!("{}: {} images against {}", name(a), a.samples, b.samples));
    }
    if a.diverged != b.diverged {
        let say = |text: &str| if text.is_empty() { "finite".to_owned() } else { text.to_owned() };
        all.push(format!("{}: {} against {}", name(a), say(&a.diverged), say(&b.diverged)));
    }
    for metric in Metric::ALL {
        if a.diverged == b.diverged && a.metric(metric).is_some() != b.metric(metric).is_some() {
            let which = if a.metric(metric).is_some() { "first" } else { "second" };
            all.push(format!("{}: {} only in the {which}", name(a), metric.name()));
        }
    }
    all
}

fn name(record: &Record) -> String {
    let Record { label, grid, nfe, seed, coefficients, threshold, .. } = record;
    let mut text = format!("{label} on {grid} at {nfe} NFE, seed {seed}");
    if coefficients != "exact" && !record.is_solution() {
        text.push_str(&format!(", {coefficients}"));
    }
    if threshold != "none" && !threshold.is_empty() {
        text.push_str(&format!(", {threshold}"));
    }
    text
}

/// Differences that are listed one by one.
const LISTED: usize = 12;

impl fmt::Display for Comparison {
    /// The verdict in its first line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { equal, common, .. } = self;
        let whole = equal == common && *common > 0;
        if *common == 0 {
            write!(f, "nothing to compare: no cell is in both")?;
        } else if whole {
            write!(f, "reproduced: {equal} of {common} cells, every figure to the last digit")?;
        } else {
            write!(f, "differs: {equal} of {common} cells are equal to the last digit")?;
        }
        if !self.differing.is_empty() {
            let (noise, beyond): (Vec<&Figure>, Vec<&Figure>) =
                self.differing.iter().filter(|figure| figure.error.is_some()).partition(|figure| figure.is_noise());
            let unknown = self.differing.len() - noise.len() - beyond.len();
            write!(
                f,
                "\n  {} figures differ: {} by less than twice the standard error that other images would give, {} by more, {unknown} without a known error",
                self.differing.len(),
                noise.len(),
                beyond.len()
            )?;
        }
        let mut figures: Vec<&Figure> = self.differing.iter().collect();
        figures.sort_by(|a, b| b.relative().total_cmp(&a.relative()));
        for figure in figures.iter().take(LISTED) {
            write!(f, "\n  {figure}")?;
        }
        rest(f, figures.len())?;
        for (what, cells) in [
            ("unlike", &self.unlike),
            ("only in the first", &self.only_first),
            ("only in the second", &self.only_second),
        ] {
            for cell in cells.iter().take(LISTED) {
                write!(f, "\n  {what}: {cell}")?;
            }
            rest(f, cells.len())?;
        }
        Ok(())
    }
}

fn rest(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    if count > LISTED { write!(f, "\n  and {} more", count - LISTED) } else { Ok(()) }
}

impl Figure {
    fn relative(&self) -> f64 {
        let (a, b) = self.values;
        (a - b).abs() / a.abs().max(b.abs())
    }

    fn is_noise(&self) -> bool {
        let (a, b) = self.values;
        self.error.is_some_and(|error| (a - b).abs() <= 2.0 * error)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = self.values;
        write!(
            f,
            "{}: {} {a} against {b} ({:+.1e} relative",
            self.cell,
            self.metric,
            (a - b) / b.abs().max(f64::MIN_POSITIVE)
        )?;
        match (self.error, self.is_noise()) {
            (None, _) => write!(f, ")"),
            (Some(_), true) => write!(f, "; within the noise)"),
            (Some(_), false) => write!(f, "; beyond the noise)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nfe: u32, ode_rmse: f64) -> Record {
        Record {
            method: "deis".into(),
            label: "DEIS-2".into(),
            grid: "quadratic".into(),
            coefficients: "exact".into(),
            nfe,
            nfe_measured: Some(f64::from(nfe)),
            ode_rmse: Some(ode_rmse),
            ode_rmse_error: Some(0.01),
            ..Record::default()
        }
    }

    fn folder(records: Vec<Record>) -> Folder {
        Folder { records, ..Folder::default() }
    }

    #[test]
    fn equal_folders_are_reproductions_whatever_the_time() {
        let a = folder(vec![record(5, 0.1), record(10, 0.2)]);
        let mut b = a.clone();
        b.records[0].seconds_sample = 7.0;
        assert_eq!(compare(&a, &b).to_string(), "reproduced: 2 of 2 cells, every figure to the last digit");
    }

    #[test]
    fn differences_are_named_with_the_noise() {
        let a = folder(vec![record(5, 0.1), record(10, 0.2), record(20, 0.3)]);
        let b = folder(vec![record(5, 0.1001), record(10, 0.5), record(50, 0.3)]);
        let text = compare(&a, &b).to_string();
        assert!(text.starts_with("differs: 0 of 2 cells are equal"), "{text}");
        assert!(text.contains("2 figures differ: 1 by less than twice") && text.contains("1 by more"), "{text}");
        assert!(
            text.contains("at 5 NFE, seed 0: ode_rmse 0.1 against 0.1001 (-1.0e-3 relative; within the noise)"),
            "{text}"
        );
        assert!(text.contains("beyond the noise"), "{text}");
        assert!(text.contains("only in the first: DEIS-2 on quadratic at 20 NFE"), "{text}");
        assert!(text.contains("only in the second: DEIS-2 on quadratic at 50 NFE"), "{text}");
    }

    #[test]
    fn other_samples_and_divergence_are_no_reproduction() {
        let (a, mut b) = (folder(vec![record(5, 0.1)]), folder(vec![record(5, 0.1)]));
        b.records[0].samples = 9;
        assert!(
            compare(&a, &b).to_string().contains("unlike: DEIS-2 on quadratic at 5 NFE, seed 0: 0 images against 9")
        );
        b.records[0] = Record { ode_rmse: None, diverged: "image 0 from step 2 on".into(), ..record(5, 0.1) };
        assert!(compare(&a, &b).to_string().contains("finite against image 0 from step 2 on"));
        assert_eq!(
            compare(&a, &folder(vec![record(7, 0.1)])).to_string().lines().next().unwrap(),
            "nothing to compare: no cell is in both"
        );
    }
}
