//! Two folders of results, cell by cell: is the one a reproduction of the other?

use std::fmt;

use super::{
    figure::{Figure, Meaning, SPENT, floor},
    folder::Folder,
    metric::Metric,
    record::Record,
    series::image_difference,
};

/// The hash of a vision transformer's numbers, among the assets.
const VIT_WEIGHTS: &str = "fd_vit-weights";

/// What two folders have in common and what not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Cells of both with all figures equal to the last digit.
    pub equal: usize,
    /// Cells of both.
    pub common: usize,
    /// Cells of the second.
    pub expected: usize,
    /// Figures that differ.
    pub differing: Vec<Figure>,
    /// Cells that one has with other samples, diverged or unmeasured where the other is not, and what that is; and other features.
    pub unlike: Vec<String>,
    /// Cells that the first alone has.
    pub only_first: Vec<String>,
    /// Cells that the second alone has.
    pub only_second: Vec<String>,
}

/// Compares `first` with `second`.
pub fn compare(first: &Folder, second: &Folder) -> Comparison {
    let mut found = Comparison { expected: second.records.len(), ..Comparison::default() };
    found.unlike.extend(other_features(first, second));
    for a in &first.records {
        let Some(b) = second.records.iter().find(|b| b.cell() == a.cell()) else {
            found.only_first.push(name(a));
            continue;
        };
        found.common += 1;
        let unlike = unlike(a, b);
        let figures = figures((first, a), (second, b));
        found.equal += usize::from(unlike.is_empty() && figures.is_empty());
        found.unlike.extend(unlike);
        found.differing.extend(figures);
    }
    let missing = |b: &&Record| !first.records.iter().any(|a| a.cell() == b.cell());
    found.only_second = second.records.iter().filter(missing).map(name).collect();
    found
}

/// Figures of both that differ in any bit. How long it took is none.
fn figures((first, a): (&Folder, &Record), (second, b): (&Folder, &Record)) -> Vec<Figure> {
    let figure = |metric: Metric| {
        let values = a.metric(metric).zip(b.metric(metric)).filter(|(a, b)| a != b)?;
        let images = first.per_image.get(&(a.cell(), metric)).zip(second.per_image.get(&(b.cell(), metric)));
        // Two runs of one experiment draw the same images: what tells their Fréchet distances apart is rounding, and no sampling.
        let difference = images
            .filter(|_| !metric.is_frechet())
            .and_then(|(a, b)| image_difference(metric, (a, values.0), (b, values.1)));
        let floor = if metric.is_frechet() { 0.0 } else { floor(first, second, metric) };
        Some(Figure { cell: name(a), metric: metric.name(), values, difference, floor })
    };
    let spent = a.nfe_measured.zip(b.nfe_measured).filter(|(a, b)| a != b);
    let spent = spent.map(|values| Figure { cell: name(a), metric: SPENT, values, difference: None, floor: 0.0 });
    Metric::ALL.into_iter().filter_map(figure).chain(spent).collect()
}

/// What two folders measure in different networks' features.
fn other_features(first: &Folder, second: &Folder) -> Option<String> {
    let weights = |folder: &Folder| folder.provenance.assets.get(VIT_WEIGHTS).cloned();
    let (a, b) = weights(first).zip(weights(second))?;
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    (a != b).then(|| format!("fd_vit: features of other weights, {} against {}", short(&a), short(&b)))
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
    if a.protocol != b.protocol && a.is_in_inception() && b.is_in_inception() {
        all.push(format!("{}: Inception's protocol {} against {}", name(a), a.protocol, b.protocol));
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

impl Comparison {
    /// Whether the first has all that the second has, to the last digit.
    pub fn is_reproduced(&self) -> bool {
        self.equal == self.common && self.common == self.expected && self.common > 0 && self.unlike.is_empty()
    }
}

/// Differences that are listed one by one.
const LISTED: usize = 12;

impl fmt::Display for Comparison {
    /// The verdict in its first line; then what is beyond rounding and the noise, or cannot be judged, and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { equal, common, expected, .. } = self;
        let listed = self.listed();
        if *common == 0 {
            write!(f, "nothing to compare: no cell is in both")?;
        } else if self.is_reproduced() {
            write!(f, "reproduced: {equal} of {expected} cells, every figure to the last digit")?;
        } else if equal == common && self.unlike.is_empty() {
            write!(
                f,
                "so far reproduced: {equal} of {expected} cells, every figure to the last digit; the others are not there"
            )?;
        } else if listed.is_empty() && self.unlike.is_empty() {
            write!(f, "agrees: {common} of {expected} cells, {equal} of them to the last digit; {}", self.tally())?;
        } else {
            write!(f, "differs: {equal} of {common} cells are equal to the last digit")?;
            if !self.differing.is_empty() {
                write!(f, "\n  {}", self.tally())?;
            }
        }
        for figure in listed.iter().take(LISTED) {
            write!(f, "\n  {figure}")?;
        }
        rest(f, listed.len())?;
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

impl Comparison {
    /// The figures to look at, the largest differences first.
    fn listed(&self) -> Vec<&Figure> {
        let mut figures: Vec<&Figure> = self.differing.iter().filter(|figure| figure.is_listed()).collect();
        figures.sort_by(|a, b| b.relative().total_cmp(&a.relative()));
        figures
    }

    /// How many figures differ, and what that means.
    fn tally(&self) -> String {
        let count = |what: Meaning| self.differing.iter().filter(|figure| figure.meaning() == what).count();
        let beyond = match count(Meaning::Beyond) {
            0 => "none".to_owned(),
            some => some.to_string(),
        };
        let largest = self.differing.iter().map(Figure::relative).fold(0.0, f64::max);
        let mut text = format!(
            "{} figures differ, {beyond} beyond rounding or the noise; the largest relative difference is {largest:.1e}",
            self.differing.len()
        );
        let unknown = self.differing.iter().filter(|figure| figure.meaning() == Meaning::Unknown);
        let largest = unknown.map(Figure::relative).fold(0.0, f64::max);
        if largest > 0.0 {
            let count = count(Meaning::Unknown);
            text.push_str(&format!(
                "; {count} of them of unknown noise differ by more than rounding, by up to {largest:.1e}"
            ));
        }
        text
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

    /// Of records, with images whose squares have the records' mean.
    fn folder(records: Vec<Record>) -> Folder {
        let images = |record: &Record| {
            let mean = record.ode_rmse.unwrap_or(0.0).powi(2);
            ((record.cell(), Metric::OdeRmse), vec![0.8 * mean, 1.2 * mean, 0.9 * mean, 1.1 * mean])
        };
        Folder { per_image: records.iter().map(images).collect(), records, ..Folder::default() }
    }

    #[test]
    fn equal_folders_are_reproductions_whatever_the_time() {
        let a = folder(vec![record(5, 0.1), record(10, 0.2)]);
        let mut b = a.clone();
        b.records[0].seconds_sample = 7.0;
        assert_eq!(compare(&a, &b).to_string(), "reproduced: 2 of 2 cells, every figure to the last digit");
        b.records.push(record(20, 0.3));
        let part = compare(&a, &b).to_string();
        assert!(part.starts_with("so far reproduced: 2 of 3 cells") && part.contains("only in the second"), "{part}");
    }

    #[test]
    fn features_of_other_weights_are_no_reproduction() {
        let of = |weights: &str| {
            let mut of = folder(vec![record(5, 0.1)]);
            of.provenance.assets.insert(VIT_WEIGHTS.into(), weights.into());
            of
        };
        assert!(compare(&of("0123456789abcdef"), &of("0123456789abcdef")).is_reproduced());
        // Whatever a file says it is.
        assert!(!compare(&of("ééééééé"), &of("x")).is_reproduced());
        assert!(compare(&of("ééééééé"), &of("x")).to_string().contains("other weights, ééééééé against x"));
        let other = compare(&of("0123456789abcdef"), &of("fedcba9876543210"));
        assert!(!other.is_reproduced());
        let text = other.to_string();
        assert!(
            text.starts_with("differs: 1 of 1 cells are equal to the last digit")
                && text.contains("unlike: fd_vit: features of other weights, 0123456789ab against fedcba987654"),
            "{text}"
        );
    }

    #[test]
    fn differences_are_named_with_the_noise() {
        let a = folder(vec![record(5, 0.1), record(10, 0.2), record(20, 0.3)]);
        let mut b = folder(vec![record(5, 0.1001), record(10, 0.5), record(50, 0.3)]);
        // The first differs up and down, image by image; the second in one way.
        let up_and_down: Vec<f64> = [0.0072, 0.0128, 0.0081, 0.01198].to_vec();
        b.per_image.insert((b.records[0].cell(), Metric::OdeRmse), up_and_down);
        let text = compare(&a, &b).to_string();
        assert!(text.starts_with("differs: 0 of 2 cells are equal"), "{text}");
        assert!(text.contains("2 figures differ, 1 beyond rounding or the noise; the largest"), "{text}");
        // What is within the noise is counted and not listed.
        assert!(!text.contains("0.1001"), "{text}");
        let listed = "at 10 NFE, seed 0: ode_rmse 0.2 against 0.5 (-6.0e-1 relative; beyond the noise)";
        assert!(text.contains(listed), "{text}");
        assert!(text.contains("only in the first: DEIS-2 on quadratic at 20 NFE"), "{text}");
        assert!(text.contains("only in the second: DEIS-2 on quadratic at 50 NFE"), "{text}");
    }

    /// All distances and their images' squares, times a number: as systematic as another processor's rounding can be.
    fn scaled(folder: &Folder, factor: f64) -> Folder {
        let mut scaled = folder.clone();
        for record in scaled.records.iter_mut().filter(|record| !record.is_solution()) {
            record.ode_rmse = record.ode_rmse.map(|value| value * factor);
        }
        scaled.per_image.values_mut().flatten().for_each(|square| *square *= factor * factor);
        scaled
    }

    #[test]
    fn rounding_is_no_finding_however_systematic() {
        let plain = folder(vec![record(5, 0.1), record(10, 0.2), record(20, 0.3)]);
        let mut solved = plain.clone();
        solved.records.push(Record {
            solver: super::super::SOLUTION.into(),
            ode_rmse: Some(1e-5),
            ..Record::default()
        });
        // Single precision's own, and below the error of the solution that both are measured from.
        for (folder, factor) in [(&plain, 1.0 + 1e-9), (&plain, 1.0 - 9e-7), (&solved, 1.0 + 3e-5)] {
            let text = compare(&scaled(folder, factor), folder).to_string();
            assert_eq!(text.lines().count(), 1, "{text}");
            let equal = folder.records.len() - 3;
            let verdict = format!(
                "agrees: {0} of {0} cells, {equal} of them to the last digit; 3 figures differ, none beyond",
                equal + 3
            );
            assert!(text.starts_with(&verdict), "{text}");
        }
        // The larger of the two errors counts, and what exceeds it is found.
        let mut finer = solved.clone();
        finer.records[3].ode_rmse = Some(1e-9);
        let scaled_up = scaled(&finer, 1.0 + 4e-5);
        assert!(compare(&scaled_up, &finer).to_string().contains("3 beyond rounding or the noise"));
        let one = compare(&scaled_up, &solved).to_string();
        assert!(one.contains("1 beyond rounding or the noise"), "{one}");
        let more = compare(&scaled(&solved, 1.0 + 4e-5), &solved).to_string();
        assert!(more.contains("3 figures differ, 1 beyond") && more.contains("at 20 NFE"), "{more}");
    }

    #[test]
    fn figures_without_a_known_error_are_listed_where_tables_would_show_them() {
        let with = |fid| folder(vec![Record { fid: Some(fid), ..record(5, 0.1) }]);
        let said = |fid| compare(&with(fid), &with(80.0)).to_string();
        assert!(
            said(80.0 * (1.0 + 5e-7))
                .ends_with("none beyond rounding or the noise; the largest relative difference is 5.0e-7")
        );
        let small = said(80.0 * (1.0 + 2e-5));
        assert!(
            small.starts_with("agrees: ")
                && small.contains("; 1 of them of unknown noise differ by more than rounding, by up to 2.0e-5"),
            "{small}"
        );
        let large = said(81.0);
        assert!(
            large.starts_with("differs: ") && large.contains("fid 81 against 80 (+1.3e-2 relative; noise not known)"),
            "{large}"
        );
    }

    #[test]
    fn evaluations_are_counted_and_not_noise() {
        let (a, mut b) = (folder(vec![record(5, 0.1)]), folder(vec![record(5, 0.1)]));
        b.records[0].nfe_measured = Some(4.0);
        let text = compare(&a, &b).to_string();
        assert!(text.starts_with("differs: ") && text.contains("nfe_measured 5 against 4"), "{text}");
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
        let by = |protocol: &str| folder(vec![Record { fid: Some(3.0), protocol: protocol.into(), ..record(5, 0.1) }]);
        let other = compare(&by("clean"), &by("tensorflow")).to_string();
        assert!(other.contains("seed 0: Inception's protocol clean against tensorflow"), "{other}");
        let other = compare(&a, &folder(vec![record(7, 0.1)])).to_string();
        assert_eq!(other.lines().next().unwrap(), "nothing to compare: no cell is in both");
    }
}
