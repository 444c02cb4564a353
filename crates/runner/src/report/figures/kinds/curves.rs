//! `fewstep curves`: r(τ) of several networks.

use std::path::Path;

use super::{Csv, Curve, Figures, Plot, Table, groups};
use crate::{
    failure::Result,
    report::{
        curves::WITHIN,
        look,
        table::{number, plus_minus},
    },
};

/// τ at which the networks are put beside one another in words, and how far from it a curve's nearest point may be, as a logarithm.
const SAID: (f64, f64) = (0.01, 0.15);
const BY_R: &str = "r = σ|s|";
const BY_SCORE: &str = "|s| = r/σ";

pub(super) fn read(folder: &Path, file: &Csv) -> Result<Figures> {
    let (tau, sigma, r) = (file.numbers("tau")?, file.numbers("sigma")?, file.numbers("mean_abs_eps")?);
    let (networks, errors) = (file.column("network")?, file.numbers("error")?);
    let (mut by_r, mut by_score, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for (name, range) in groups(&networks) {
        // Others publish no error.
        let known = errors[range.clone()].iter().any(|error| error.is_finite());
        let line = |over: &dyn Fn(usize) -> f64| Curve {
            label: name.to_owned(),
            colour: look::network(name),
            dashed: !known,
            hollow: !known,
            x: tau[range.clone()].to_vec(),
            y: range.clone().map(|i| r[i] / over(i)).collect(),
            errors: range.clone().filter(|_| known).map(|i| errors[i] / over(i)).collect(),
        };
        by_r.push(line(&|_| 1.0));
        by_score.push(line(&|i| sigma[i]));
        let off = |i: &usize| (tau[*i] / SAID.0).ln().abs();
        let nearest = range.clone().min_by(|a, b| off(a).total_cmp(&off(b))).filter(|i| off(i) < SAID.1);
        let error = |i: usize| Some(errors[i]).filter(|error| error.is_finite());
        said.extend(nearest.map(|i| (r[i], format!("{name} {}{}", number(r[i]), plus_minus(error(i))))));
    }
    said.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends = by_r.iter().filter_map(|line: &Curve| line.y.last().copied());
    let (low, high) = ends.fold((f64::INFINITY, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    let list: Vec<String> = said.into_iter().map(|(_, text)| text).collect();
    let found = vec![
        format!("Mean |ε| of {} curves near τ = {}, the lowest first: {}.", list.len(), SAID.0, list.join(", ")),
        format!(
            "At their ends, where a sample is noise, they are from {} to {}; the mean of a standard normal number's size is √(2/π) = 0.7979.",
            number(low),
            number(high)
        ),
    ];
    let about = format!(
        "r(τ) = σ|s|, the mean of |ε(x_τ, τ)| over pixels and images along a many-step run, and |s| = r/σ. Dashed, and without an error: published by others, who do not say how many images. Images for {0:.0} %: how many a standard error of {0:.0} % takes at the τ that takes most; settled: from how many images on the mean of the first ones stayed within {0:.0} % of the mean of all, at every τ.",
        100.0 * WITHIN
    );
    let plot = |name: &str, y: &str, lines| Plot {
        name: name.into(),
        x: "τ",
        y: y.into(),
        log_x: true,
        log_y: name == BY_SCORE,
        dense: true,
        lines,
    };
    let summary = Csv::read(&folder.join("summary.csv"))?;
    let mut figures = Figures::new("The score's curves", &about, found);
    figures.charts = vec![plot(BY_R, "mean |ε|", by_r), plot(BY_SCORE, "|s|", by_score)];
    figures.tables = vec![Table::of("Curves of the score, ± standard error over images", &summary)?];
    figures.links =
        vec![("curve-swap", "What each curve does to one network's cells when it is used in place of its own")];
    Ok(figures)
}
