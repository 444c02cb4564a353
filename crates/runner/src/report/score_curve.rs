//! The figure of mean absolute scores against τ, as in the paper.

use std::path::Path;

use super::chart::{Chart, Line};
use crate::failure::{Failure, Result};

/// Error bars of a line.
const BARS: usize = 40;

/// What the figure shows, without how it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreCurve {
    /// Above it.
    pub title: String,
    /// Where everything was measured.
    pub tau: Vec<f64>,
    /// Mean |ε| over pixels and images.
    pub r: Vec<f64>,
    /// Standard errors of `r` over images; empty where not known.
    pub errors: Vec<f64>,
    /// σ(τ).
    pub sigma: Vec<f64>,
    /// r as it is used, clipped.
    pub used: Vec<f64>,
    /// Names and (τ, r) of what others published.
    pub published: Vec<(String, Vec<(f64, f64)>)>,
}

/// Writes `stem.svg` and `stem.png`: |s| = r/σ, σ|s| = r, and ε over the normaliser as it is used.
pub fn write(stem: &Path, curve: &ScoreCurve) -> Result<()> {
    curve.check()?;
    curve.chart().write(stem)
}

impl ScoreCurve {
    fn check(&self) -> Result<()> {
        let count = self.tau.len();
        let same = [&self.r, &self.sigma, &self.used].iter().all(|values| values.len() == count);
        if same && (self.errors.is_empty() || self.errors.len() == count) {
            return Ok(());
        }
        Err(Failure::run(format!(
            "'{}': expected {count} values of each of r, its errors, σ and r as used",
            self.title
        )))
    }

    fn chart(&self) -> Chart {
        let ones = vec![1.0; self.tau.len()];
        let mut lines = vec![
            self.over("|s|", &self.sigma),
            self.over("σ|s| = mean |ε| = r", &ones),
            self.over("σ|s| / r as used", &self.used),
        ];
        let published = |(label, points): &(String, Vec<(f64, f64)>)| Line {
            dashed: true,
            ..Line::new(format!("r, published ({label})"), points.clone())
        };
        lines.extend(self.published.iter().map(published));
        Chart {
            title: self.title.clone(),
            x: "τ".into(),
            y: "mean over pixels and images".into(),
            lines,
            marks: false,
            log_x: true,
            log_y: true,
            floor: None,
            named_at_ends: true,
        }
    }

    /// r and its errors over known numbers.
    fn over(&self, label: &str, divisors: &[f64]) -> Line {
        let over = |values: &[f64]| -> Vec<f64> { values.iter().zip(divisors).map(|(value, by)| value / by).collect() };
        let points = self.tau.iter().copied().zip(over(&self.r)).collect();
        // Of a thousand points not every one has room for its bar.
        let every = self.tau.len().div_ceil(BARS);
        let shown = |(i, error): (usize, f64)| if i.is_multiple_of(every) { error } else { f64::NAN };
        let errors = over(&self.errors).into_iter().enumerate().map(shown).collect();
        Line { errors, ..Line::new(label, points) }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Something of the shape that networks give.
    pub fn curve() -> ScoreCurve {
        let tau: Vec<f64> = (1..=200).map(|k| f64::from(k) / 200.0).collect();
        let sigma: Vec<f64> = tau.iter().map(|tau| (1.0 - (-10.0 * tau * tau - 0.1 * tau).exp()).sqrt()).collect();
        let r: Vec<f64> = tau.iter().map(|tau| 0.8 - 0.55 * (-25.0 * tau).exp()).collect();
        let used = r.iter().map(|&value| f64::max(value, 0.45)).collect();
        let published = vec![("cifar10".to_owned(), tau.iter().zip(&r).map(|(&tau, r)| (tau, 0.97 * r)).collect())];
        let errors = r.iter().map(|r| 0.02 * r).collect();
        ScoreCurve { title: "Mean absolute score, example".into(), tau, r, errors, sigma, used, published }
    }

    #[test]
    fn lines_are_the_score_times_what_their_labels_say() {
        let curve = curve();
        let chart = curve.chart();
        assert!(chart.log_x && chart.log_y);
        for i in [0, 57, 199] {
            let (tau, r) = (curve.tau[i], curve.r[i]);
            let value = |line: usize| chart.lines[line].points[i];
            assert_eq!([value(0), value(1)], [(tau, r / curve.sigma[i]), (tau, r)]);
            assert_eq!(value(2), (tau, r / curve.used[i]));
        }
        for (i, error) in chart.lines[0].errors.iter().enumerate() {
            assert!(
                if i % 5 == 0 { *error == curve.errors[i] / curve.sigma[i] } else { error.is_nan() },
                "{i}: {error}"
            );
        }
        assert_eq!(chart.lines.iter().map(|line| line.dashed).collect::<Vec<_>>(), [false, false, false, true]);
    }

    #[test]
    fn values_that_do_not_belong_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("normaliser");
        write(&stem, &ScoreCurve { errors: Vec::new(), ..curve() }).unwrap();
        assert!(stem.with_extension("svg").exists() && stem.with_extension("png").exists());
        let short = ScoreCurve { errors: vec![0.1], ..curve() };
        assert!(write(&stem, &short).unwrap_err().to_string().contains("expected 200 values"));
    }
}
