//! What is measured, and whether all is there that it is measured from.

use std::{ops::Range, path::PathBuf};

use toml::Spanned;

use super::{MethodEntry, ModelKind, ModelSpec};
use crate::{
    failure::Result,
    results::{Features, Metric, Noise},
    source::Source,
};

/// Numbers of a sample whose covariance is kept.
const MAX_MOMENTS: usize = 1024;
/// Images from which on there are parts of them to draw a line through.
const LIMIT: usize = 8;

/// What else the experiment says.
pub(super) struct Given<'a> {
    pub samples: usize,
    pub model: &'a ModelSpec,
    pub references: &'a [(Metric, PathBuf)],
    /// Whether there is a solution.
    pub solved: bool,
    /// Whether there are weights of a vision transformer.
    pub features: bool,
}

impl Source<'_> {
    pub(super) fn metrics(&self, raw: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<(Metric, Range<usize>)>> {
        let mut metrics: Vec<(Metric, Range<usize>)> = Vec::new();
        for value in raw.get_ref() {
            let name = value.get_ref();
            let Some(metric) = Metric::ALL.into_iter().find(|metric| metric.name() == name) else {
                let known = Metric::ALL.map(Metric::name).join(", ");
                return Err(self.error(value.span(), format!("no metric '{name}'; expected {known}")));
            };
            if metrics.iter().any(|&(other, _)| other == metric) {
                return Err(self.error(value.span(), format!("metric '{name}' is there twice")));
            }
            metrics.push((metric, value.span()));
        }
        if metrics.is_empty() {
            return Err(self.error(raw.span(), "metrics is empty; expected at least one"));
        }
        Ok(metrics)
    }

    /// A method with noise in its steps solves no ODE: where there is no other method and no other metric, nothing would be measured.
    pub(super) fn measurable(
        &self,
        metrics: &[(Metric, Range<usize>)],
        methods: &[MethodEntry],
        nfe: &[usize],
    ) -> Result<()> {
        let noisy = |entry: &MethodEntry| nfe.iter().all(|&nfe| !entry.has(nfe) || entry.is_stochastic(nfe));
        let paired = metrics.iter().all(|(metric, _)| metric.is_paired());
        let Some((metric, span)) = metrics.first().filter(|_| paired && methods.iter().all(noisy)) else {
            return Ok(());
        };
        let names: Vec<String> = methods.iter().map(|entry| format!("'{}'", entry.name())).collect();
        let message = format!(
            "metric '{}' is a distance to the ODE's solution, and {} solves none; expected another metric or method",
            metric.name(),
            names.join(", ")
        );
        Err(self.error(span.clone(), message))
    }

    /// Whether all is there that the metrics are measured from.
    pub(super) fn measured_from(&self, metrics: &[(Metric, Range<usize>)], given: &Given) -> Result<()> {
        let Given { samples, model, references, solved, features } = given;
        for (metric, span) in metrics {
            if *metric == Metric::FidInfinity && *samples < LIMIT {
                let message = format!("metric 'fid_infinity' needs at least {LIMIT} samples; there are {samples}");
                return Err(self.error(span.clone(), message));
            }
            let missing = match metric {
                metric if metric.features() == Some(Features::Vit) && !features => {
                    Some("weights in a [features] table".to_owned())
                }
                metric if metric.needs_solution() => (!solved).then_some("a [solution] table".to_owned()),
                Metric::FdData => match &model.kind {
                    ModelKind::Mixture(components) if components[0].mean.len() <= MAX_MOMENTS => None,
                    _ => Some(format!("kind 'gaussian' or 'mixture' of at most {MAX_MOMENTS} numbers")),
                },
                _ => {
                    let of = if *metric == Metric::FidInfinity { Metric::Fid } else { *metric };
                    let missing = references.iter().all(|(other, _)| *other != of);
                    missing.then(|| format!("{} in a [reference] table", of.name()))
                }
            };
            if let Some(missing) = missing {
                return Err(self.error(span.clone(), format!("metric '{}' needs {missing}", metric.name())));
            }
            if let Some(features) = metric.features() {
                self.features_fit(span.clone(), metric.name(), *samples, features)?;
            }
            if metric.noise() == Some(Noise::Same) {
                self.converged_fit(span.clone(), metric.name(), *samples, model.size)?;
            }
        }
        Ok(())
    }
}
