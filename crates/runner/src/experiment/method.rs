//! The `[[method]]` tables.

use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Plan, Request, Schedule, Threshold};
use serde::Deserialize;
use toml::Spanned;

use crate::{failure::Result, source::Source};

/// A method with its grid, coefficients and thresholding.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodEntry {
    /// The sampler.
    pub method: Method,
    /// Its grid.
    pub grid: Grid,
    /// How its integrals are computed.
    pub coefficients: Coefficients,
    /// What is done to its data predictions.
    pub threshold: Threshold,
}

impl MethodEntry {
    /// The method on its grid.
    pub fn plan(
        &self,
        schedule: &Schedule,
        nfe: usize,
        normaliser: Option<&Normaliser>,
    ) -> fewstep_sampler::Result<Plan> {
        let (coefficients, threshold) = (self.coefficients, self.threshold);
        self.method.plan(&Request { coefficients, normaliser, threshold, ..Request::new(schedule, &self.grid, nfe) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMethod {
    name: Spanned<String>,
    order: Option<Spanned<usize>>,
    eta: Option<f64>,
    #[serde(default)]
    normalise: bool,
    grid: Option<Spanned<RawGrid>>,
    coefficients: Option<Coefficients>,
    threshold: Option<Spanned<String>>,
}

/// What is said for all methods.
pub(super) struct Common<'a> {
    pub(super) grid: Option<&'a Spanned<RawGrid>>,
    pub(super) coefficients: Option<Coefficients>,
    pub(super) threshold: Option<&'a Spanned<String>>,
}

/// A grid's name, or its times.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawGrid {
    Name(String),
    Times(Vec<f64>),
}

impl Source<'_> {
    pub(super) fn grid(&self, raw: &Spanned<RawGrid>) -> Result<Grid> {
        match raw.get_ref() {
            RawGrid::Name(name) => name.parse(),
            RawGrid::Times(times) => Grid::list(times.clone()),
        }
        .map_err(|error| self.error(raw.span(), error))
    }

    fn threshold(&self, raw: &Spanned<String>) -> Result<Threshold> {
        raw.get_ref().parse().map_err(|error| self.error(raw.span(), error))
    }

    pub(super) fn methods(&self, raw: &[Spanned<RawMethod>], common: Common) -> Result<Vec<MethodEntry>> {
        let mut methods: Vec<MethodEntry> = Vec::new();
        let all_threshold = common.threshold.map(|threshold| self.threshold(threshold)).transpose()?;
        for spanned in raw {
            let entry = spanned.get_ref();
            let span = entry.order.as_ref().map_or(entry.name.span(), Spanned::span);
            let order = entry.order.as_ref().map(|order| *order.get_ref());
            let mut name = entry.name.get_ref().clone();
            if let Some(eta) = entry.eta.filter(|eta| *eta != 0.0) {
                name = format!("{name}-eta-{eta}");
            }
            if entry.normalise && !name.ends_with("-sn") {
                name.push_str("-sn");
            }
            let method = Method::new(&name, order).map_err(|error| self.error(span, error))?;
            let grid = entry.grid.as_ref().or(common.grid).map(|grid| self.grid(grid)).transpose()?;
            // What is said for all methods is for those that can have it; a method's own must fit it.
            let all_coefficients = common.coefficients.filter(|_| method.has_reference_coefficients());
            let all_threshold = all_threshold.filter(|_| method.solver.traits().predicts_data);
            let own_threshold = entry.threshold.as_ref().map(|threshold| self.threshold(threshold)).transpose()?;
            let entry = MethodEntry {
                method,
                grid: grid.unwrap_or_else(Grid::quadratic),
                coefficients: entry.coefficients.or(all_coefficients).unwrap_or(Coefficients::Exact),
                threshold: own_threshold.or(all_threshold).unwrap_or(Threshold::None),
            };
            if methods.contains(&entry) {
                return Err(self.error(spanned.span(), format!("method {} is there twice", method.label())));
            }
            methods.push(entry);
        }
        if methods.is_empty() {
            return Err(self.error(0..0, "no [[method]] table; expected at least one"));
        }
        Ok(methods)
    }

    /// Works every cell out, with r = 1, so that what cannot be planned is found here.
    pub(super) fn plans(
        &self,
        entries: &[MethodEntry],
        raw: &[Spanned<RawMethod>],
        nfe: &[usize],
        schedule: &Schedule,
    ) -> Result<()> {
        let tau: Vec<f64> = (1..=schedule.levels()).map(|k| k as f64 / schedule.levels() as f64).collect();
        let constant = Normaliser::new(tau.clone(), vec![1.0; tau.len()])?;
        for (entry, table) in entries.iter().zip(raw) {
            for &nfe in nfe {
                entry.plan(schedule, nfe, Some(&constant)).map_err(|error| self.error(table.span(), error))?;
            }
        }
        Ok(())
    }
}
