//! The score's curves of several networks beside those that others published: r(τ) = σ|s| = mean |ε|, and |s| = r/σ.

use std::{fmt::Write, path::Path};

use fewstep_sampler::{Normaliser, Schedule};

use super::{
    chart::{self, Chart, Line},
    look,
    table::{number, plus_minus},
};
use crate::{failure::Result, files};

/// How near a mean over images is meant to be.
pub const WITHIN: f64 = 0.01;
/// Where tables show the curves.
const SHOWN: [f64; 5] = [0.001, 0.01, 0.1, 0.5, 1.0];

/// A network's curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The network.
    pub name: String,
    /// How it was measured, or where it was published.
    pub source: String,
    /// Ascending.
    pub tau: Vec<f64>,
    /// σ(τ).
    pub sigma: Vec<f64>,
    /// Mean |ε| over pixels and images.
    pub r: Vec<f64>,
    /// What is known of single images; none of what others published.
    pub spread: Option<Spread>,
}

/// How the images of a curve differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Images.
    pub images: usize,
    /// Standard errors of r.
    pub errors: Vec<f64>,
    /// Images that a standard error of [`WITHIN`] of r takes, (s/(0.01 r))² with s the images' standard deviation.
    pub needed: Vec<u64>,
    /// The number of images from which on the mean of the first ones stays within [`WITHIN`] of the mean of all, at every τ.
    pub settled: usize,
}

impl Spread {
    /// Of mean |ε| by image, a list for each τ.
    pub fn of(by_image: &[Vec<f64>]) -> Self {
        let images = by_image.first().map_or(0, Vec::len);
        let n = images as f64;
        let (mut errors, mut needed, mut settled) = (Vec::new(), Vec::new(), 1);
        for values in by_image {
            let mean = values.iter().sum::<f64>() / n;
            let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            errors.push(deviation / n.sqrt());
            needed.push((deviation / (WITHIN * mean)).powi(2).ceil().max(1.0) as u64);
            let mut sum = 0.0;
            for (i, value) in values.iter().enumerate() {
                sum += value;
                let here = sum / (i + 1) as f64;
                if (here - mean).abs() > WITHIN * mean {
                    settled = settled.max(i + 2);
                }
            }
        }
        Spread { images, errors, needed, settled }
    }
}

impl Measured {
    /// What others published, on `schedule`.
    pub fn published(name: String, source: String, normaliser: &Normaliser, schedule: &Schedule) -> Self {
        let tau = normaliser.tau().to_vec();
        let sigma = tau.iter().map(|&tau| schedule.sigma(tau)).collect();
        Measured { name, source, tau, sigma, r: normaliser.values().to_vec(), spread: None }
    }

    fn line(&self, over: bool) -> Line {
        let by = |i: usize| if over { self.sigma[i] } else { 1.0 };
        let points = (0..self.tau.len()).map(|i| (self.tau[i], self.r[i] / by(i))).collect();
        let errors = self.spread.iter().flat_map(|spread| &spread.errors).enumerate().map(|(i, error)| error / by(i));
        Line {
            colour: Some(look::network(&self.name)),
            errors: errors.collect(),
            dashed: self.spread.is_none(),
            ..Line::new(self.name.clone(), points)
        }
    }

    /// Its place nearest to `tau` on a logarithmic axis; none where it does not reach there.
    fn nearest(&self, tau: f64) -> Option<usize> {
        let off = |i: usize| (self.tau[i] / tau).ln().abs();
        (0..self.tau.len()).min_by(|&a, &b| off(a).total_cmp(&off(b))).filter(|&i| off(i) < 0.15)
    }
}

/// The table of every curve, by which a folder of them is known.
pub const FILE: &str = "curves.csv";

/// Writes `curves.csv`, `summary.csv`, `table.md` and the figure into `folder`; the text of the table.
pub fn write(folder: &Path, curves: &[Measured]) -> Result<String> {
    files::write(&folder.join(FILE), rows(curves).as_bytes())?;
    files::write(&folder.join("summary.csv"), summary(curves).as_bytes())?;
    let text = format!("{TITLE}{}", table(curves));
    files::write(&folder.join("table.md"), text.as_bytes())?;
    let chart = |title: &str, y: &str, over: bool, log_y: bool| Chart {
        title: title.into(),
        x: "τ".into(),
        y: y.into(),
        lines: curves.iter().map(|curve| curve.line(over)).collect(),
        marks: false,
        log_x: true,
        log_y,
        floor: None,
        named_at_ends: true,
    };
    let charts = [
        chart("r(τ) = σ|s|, mean of |ε| over pixels and images", "mean |ε|", false, false),
        chart("The score's size |s| = r/σ", "|s|", true, true),
    ];
    chart::write_beside(&folder.join("curves"), &charts)?;
    Ok(text)
}

const TITLE: &str = "# The score's curves

r(τ) = mean over pixels and images of |ε(x_τ, τ)| along a many-step run (`fewstep curves`), ± standard error over images; dashed in the figure and without
error here: published by others, who do not say how many images. Images for 1 %: how many a standard error of 1 % takes at the τ that takes most,
from the images' spread; settled: from how many images on the mean of the first ones stayed within 1 % of the mean of all, at every τ.

";

fn rows(curves: &[Measured]) -> String {
    let mut text = "network,tau,sigma,mean_abs_eps,error,abs_score,images_for_1_percent\n".to_owned();
    for Measured { name, tau, sigma, r, spread, .. } in curves {
        let name = quoted(name);
        for i in 0..tau.len() {
            let (error, needed) = spread
                .as_ref()
                .map_or_else(Default::default, |spread| (spread.errors[i].to_string(), spread.needed[i].to_string()));
            // Writing to a string cannot fail.
            _ = writeln!(text, "{name},{},{},{},{error},{},{needed}", tau[i], sigma[i], r[i], r[i] / sigma[i]);
        }
    }
    text
}

/// One row a network: name, how it was measured, r at some τ, and how many images it takes.
fn cells(curve: &Measured) -> Vec<String> {
    let value = |&tau: &f64| {
        curve.nearest(tau).map_or(String::new(), |i| {
            let error = curve.spread.as_ref().map(|spread| spread.errors[i]);
            format!("{}{}", number(curve.r[i]), plus_minus(error))
        })
    };
    let spread = |of: fn(&Spread) -> String| curve.spread.as_ref().map_or(String::new(), of);
    let mut all = vec![curve.name.clone(), curve.source.clone()];
    all.extend(SHOWN.iter().map(value));
    all.push(spread(|spread| spread.needed.iter().max().map_or(String::new(), u64::to_string)));
    all.push(spread(|spread| spread.settled.to_string()));
    all
}

fn heads() -> Vec<String> {
    let taus = SHOWN.iter().map(|tau| format!("r({tau})"));
    let ends = ["images for 1 %", "settled"].map(str::to_owned);
    ["network", "measured with"].map(str::to_owned).into_iter().chain(taus).chain(ends).collect()
}

/// A cell of a CSV file: names are of files, and may be anything.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

fn summary(curves: &[Measured]) -> String {
    let line = |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n";
    [heads()].into_iter().chain(curves.iter().map(cells)).map(line).collect()
}

fn table(curves: &[Measured]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|---|{}\n", "---:|".repeat(SHOWN.len() + 2));
    line(heads()) + &rule + &curves.iter().map(|curve| line(cells(curve))).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_says_how_many_images_a_percent_takes() {
        // Mean 1, standard deviation 0.1·√(4/3): 0.1154², so that 1 % takes 133.3 images.
        let spread = Spread::of(&[vec![0.9, 1.1, 0.9, 1.1], vec![1.0; 4]]);
        assert_eq!((spread.images, spread.needed.as_slice()), (4, [134, 1].as_slice()));
        assert!((spread.errors[0] - 0.1 * (4f64 / 3.0).sqrt() / 2.0).abs() < 1e-12 && spread.errors[1] == 0.0);
        // The first three have the mean 0.967; all four have 1.
        assert_eq!(spread.settled, 4);
        assert_eq!(Spread::of(&[vec![1.0, 1.005, 0.995, 1.0]]).settled, 1);
    }

    #[test]
    fn files_have_every_network_and_published_ones_no_errors() {
        let tau: Vec<f64> = (1..=100).map(|k| f64::from(k) / 100.0).collect();
        let schedule = Schedule::linear();
        let r: Vec<f64> = tau.iter().map(|tau| 0.8 - 0.3 * (-30.0 * tau).exp()).collect();
        let normaliser = Normaliser::new(tau.clone(), r.clone()).unwrap();
        let theirs = Measured::published("theirs".into(), "a paper, MIT".into(), &normaliser, &schedule);
        let by_image: Vec<Vec<f64>> = r.iter().map(|r| vec![0.9 * r, 1.1 * r]).collect();
        let ours = Measured { name: "ours".into(), spread: Some(Spread::of(&by_image)), ..theirs.clone() };
        let folder = tempfile::tempdir().unwrap();
        let text = write(folder.path(), &[ours, theirs]).unwrap();
        assert!(text.contains("| ours | a paper, MIT |  | 0.5778 ± 0.058 |"), "{text}");
        assert!(text.contains("| theirs | a paper, MIT |  | 0.5778 | 0.7851 | 0.8000 | 0.8000 |  |  |"), "{text}");
        let csv = std::fs::read_to_string(folder.path().join("curves.csv")).unwrap();
        let row: Vec<&str> = csv.lines().nth(100).unwrap().split(',').collect();
        assert_eq!((csv.lines().count(), row[0], row[1]), (201, "ours", "1"));
        let score: f64 = row[5].parse().unwrap();
        assert!((score * row[2].parse::<f64>().unwrap() - 0.8).abs() < 1e-12);
        assert!(
            csv.lines().nth(101).unwrap().starts_with("theirs,0.01,") && csv.lines().nth(101).unwrap().ends_with(',')
        );
        let (summary, svg) = (folder.path().join("summary.csv"), folder.path().join("curves.svg"));
        assert!(std::fs::read_to_string(summary).unwrap().contains("theirs,\"a paper, MIT\",,"));
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.matches("</svg>").count() == 1 && svg.contains("|s| = r/σ") && svg.contains("mean |ε|"));
    }
}
