//! The `[[method]]` tables.

use std::ops::Range;

use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Plan, Request, Schedule, Threshold};
use serde::Deserialize;
use toml::Spanned;

use super::{
    ModelSpec,
    planned::{OWN, Planned},
};
use crate::{
    failure::Result,
    results::{Record, labels},
    source::Source,
};

/// What makes a plan for each number of evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodEntry {
    /// A method, or files.
    pub made: Made,
    /// What is done to its data predictions.
    pub threshold: Threshold,
    /// The numbers of evaluations that it alone is run with; none where it is run with all of the experiment's.
    pub nfe: Option<Vec<usize>>,
}

/// By what a plan is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// A method on a grid.
    Method {
        /// The sampler.
        method: Method,
        /// Its grid.
        grid: Grid,
        /// How its integrals are computed.
        coefficients: Coefficients,
        /// Whether its first step is analytic.
        afs: bool,
    },
    /// Plan files.
    Planned(Planned),
}

/// Behind the name of a method whose first step is analytic.
const AFS: &str = "-afs";

impl MethodEntry {
    /// The plan for so many evaluations; only for those that it [has](Self::has).
    pub fn plan(
        &self,
        schedule: &Schedule,
        nfe: usize,
        normaliser: Option<&Normaliser>,
    ) -> fewstep_sampler::Result<Plan> {
        let threshold = self.threshold;
        match &self.made {
            Made::Method { method, grid, coefficients, afs } => {
                let (coefficients, afs) = (*coefficients, *afs);
                let request = Request::new(schedule, grid, nfe);
                method.plan(&Request { coefficients, normaliser, threshold, afs, ..request })
            }
            Made::Planned(planned) => Ok(Plan { threshold, ..planned.plan(nfe)?.clone() }),
        }
    }

    /// Whether it is to be run with so many evaluations, and there is a plan for them: a file may be missing, a method may not.
    pub fn has(&self, nfe: usize) -> bool {
        let there = match &self.made {
            Made::Method { .. } => true,
            Made::Planned(planned) => planned.plan(nfe).is_ok(),
        };
        there && self.nfe.as_ref().is_none_or(|own| own.contains(&nfe))
    }

    /// The name in results and for `--only`: as in experiment files, with `-afs` for an analytic first step; of files the label.
    pub fn name(&self) -> String {
        match &self.made {
            Made::Method { method, afs, .. } => method.name() + if *afs { AFS } else { "" },
            Made::Planned(planned) => planned.label.clone(),
        }
    }

    /// The name in tables and charts.
    pub fn label(&self) -> String {
        match &self.made {
            Made::Method { method, afs: false, .. } => method.label(),
            Made::Method { method, .. } => format!("{} AFS", method.label()),
            Made::Planned(planned) => planned.marked(),
        }
    }

    /// The name without score normalisation.
    pub fn solver(&self) -> String {
        match &self.made {
            Made::Method { method, afs, .. } => method.solver.traits().name + if *afs { AFS } else { "" },
            Made::Planned(planned) => planned.label.clone(),
        }
    }

    /// The order in the name; 0 where there is none.
    pub fn order(&self) -> usize {
        match &self.made {
            Made::Method { method, .. } => method.order(),
            Made::Planned(planned) => planned.common(|plan| plan.order).unwrap_or(0),
        }
    }

    /// Whether it runs on ε/r.
    pub fn normalises(&self) -> bool {
        matches!(self.made, Made::Method { method, .. } if method.normalise)
    }

    /// The same on ε.
    pub fn unnormalised(&self) -> Self {
        let mut entry = self.clone();
        if let Made::Method { method, .. } = &mut entry.made {
            method.normalise = false;
        }
        entry
    }

    /// Whether samples of so many evaluations depend on noise besides x_T, so that they solve no ODE.
    pub fn is_stochastic(&self, nfe: usize) -> bool {
        match &self.made {
            Made::Method { method, .. } => method.is_stochastic(),
            Made::Planned(planned) => planned.plan(nfe).is_ok_and(Plan::is_stochastic),
        }
    }

    /// Whether its plans have what no method has without AFS.
    pub fn goes_beyond_methods(&self) -> bool {
        matches!(self.made, Made::Planned(_) | Made::Method { afs: true, .. })
    }

    /// The columns of a row that say which method it is of.
    pub fn described(&self) -> Record {
        Record {
            method: self.name(),
            label: self.label(),
            solver: self.solver(),
            order: self.order() as u32,
            normalised: self.normalises(),
            grid: self.grid(),
            coefficients: self.coefficients().into(),
            threshold: self.threshold.to_string(),
            ..Record::default()
        }
    }

    /// The grid's name.
    pub fn grid(&self) -> String {
        match &self.made {
            Made::Method { grid, .. } => grid.name(),
            Made::Planned(planned) => planned.common(|plan| plan.grid.clone()).unwrap_or(OWN.into()),
        }
    }

    /// How its integrals are computed.
    pub fn coefficients(&self) -> &'static str {
        match &self.made {
            Made::Method { coefficients, .. } => coefficients.name(),
            Made::Planned(_) => "given",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMethod {
    name: Option<Spanned<String>>,
    order: Option<Spanned<usize>>,
    eta: Option<f64>,
    #[serde(default)]
    normalise: bool,
    grid: Option<Spanned<RawGrid>>,
    coefficients: Option<Coefficients>,
    #[serde(default)]
    afs: bool,
    threshold: Option<Spanned<String>>,
    plan: Option<Spanned<String>>,
    label: Option<Spanned<String>>,
    nfe: Option<Spanned<Vec<Spanned<usize>>>>,
}

/// What is said for all methods.
pub(super) struct Common<'a> {
    pub(super) grid: Option<&'a Spanned<RawGrid>>,
    /// Every method on each of them.
    pub(super) grids: Option<&'a Spanned<Vec<Spanned<RawGrid>>>>,
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

impl RawMethod {
    /// The name of a plan's file or files, and what they are to be called.
    pub(super) fn planned(&self) -> Option<(&Spanned<String>, Option<&Spanned<String>>)> {
        Some((self.plan.as_ref()?, self.label.as_ref()))
    }

    /// What has no meaning beside `plan`, which says it itself.
    pub(super) fn beside_plan(&self) -> Option<&'static str> {
        let said = [
            ("name", self.name.is_some()),
            ("order", self.order.is_some()),
            ("eta", self.eta.is_some()),
            ("normalise", self.normalise),
            ("grid", self.grid.is_some()),
            ("coefficients", self.coefficients.is_some()),
            ("afs", self.afs),
        ];
        said.into_iter().find(|(_, said)| *said).map(|(name, _)| name)
    }
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

    /// The methods, and where each is in the file: with several grids a table is as many methods.
    pub(super) fn methods(
        &self,
        raw: &[Spanned<RawMethod>],
        common: &Common,
        model: &ModelSpec,
        nfe: &[usize],
    ) -> Result<(Vec<MethodEntry>, Vec<Range<usize>>)> {
        let (mut methods, mut spans): (Vec<MethodEntry>, Vec<_>) = (Vec::new(), Vec::new());
        if let (Some(_), Some(grid)) = (common.grids, common.grid) {
            return Err(self.error(grid.span(), "expected either grid or grids"));
        }
        if let Some(grids) = common.grids.filter(|grids| grids.get_ref().is_empty()) {
            return Err(self.error(grids.span(), "grids is empty; expected at least one"));
        }
        for table in raw {
            let own = self.own_nfe(table.get_ref(), nfe)?;
            let nfe = own.as_deref().unwrap_or(nfe);
            let entries = match (&table.get_ref().plan, common.grids) {
                (Some(_), _) => vec![self.planned_entry(table, model, nfe)?],
                (None, Some(grids)) if table.get_ref().grid.is_none() => {
                    grids.get_ref().iter().map(|grid| self.method(table, common, Some(grid))).collect::<Result<_>>()?
                }
                (None, _) => vec![self.method(table, common, common.grid)?],
            };
            for entry in entries.into_iter().map(|entry| MethodEntry { nfe: own.clone(), ..entry }) {
                // Rows of a table are told apart by grids and the like, which files do not say, and cells by names.
                let files = |entry: &MethodEntry| matches!(entry.made, Made::Planned(_));
                let alike = |other: &MethodEntry| other.label() == entry.label() || other.name() == entry.name();
                // Whatever the numbers of evaluations: a method with two lists of them is one with both.
                let equal = |other: &MethodEntry| (&other.made, other.threshold) == (&entry.made, entry.threshold);
                let same = |other: &&MethodEntry| equal(other) || (files(&entry) || files(other)) && alike(other);
                if let Some(other) = methods.iter().find(same) {
                    let again =
                        if files(&entry) || files(other) { "; expected another label for the plan" } else { "" };
                    return Err(self.error(table.span(), format!("method {} is there twice{again}", entry.label())));
                }
                methods.push(entry);
                spans.push(table.span());
            }
        }
        if methods.is_empty() {
            return Err(self.error(0..0, "no [[method]] table; expected at least one"));
        }
        self.told_apart(&methods, &spans)?;
        Ok((methods, spans))
    }

    /// What a table alone is run with, of what all are.
    fn own_nfe(&self, table: &RawMethod, all: &[usize]) -> Result<Option<Vec<usize>>> {
        let Some(raw) = &table.nfe else { return Ok(None) };
        let own = self.nfe(raw)?;
        match own.iter().find(|nfe| !all.contains(nfe)) {
            Some(nfe) => Err(self.error(raw.span(), format!("nfe {nfe} of a method is not among the experiment's"))),
            None => Ok(Some(own)),
        }
    }

    /// Tables put grids and thresholds behind labels: with them too no two methods may be called the same.
    fn told_apart(&self, methods: &[MethodEntry], spans: &[Range<usize>]) -> Result<()> {
        let labels = labels(&methods.iter().map(MethodEntry::described).collect::<Vec<_>>());
        match (0..labels.len()).find(|&i| labels[..i].contains(&labels[i])) {
            None => Ok(()),
            Some(i) => {
                let message = format!("two methods are called '{}' in tables; expected another label", labels[i]);
                Err(self.error(spans[i].clone(), message))
            }
        }
    }

    fn method(
        &self,
        table: &Spanned<RawMethod>,
        common: &Common,
        grid: Option<&Spanned<RawGrid>>,
    ) -> Result<MethodEntry> {
        let entry = table.get_ref();
        if let Some(label) = &entry.label {
            return Err(self.error(label.span(), "label is for a plan; a method has its own"));
        }
        let Some(name) = &entry.name else {
            return Err(self.error(table.span(), "a [[method]] needs name, or plan with a file"));
        };
        let span = entry.order.as_ref().map_or(name.span(), Spanned::span);
        let order = entry.order.as_ref().map(|order| *order.get_ref());
        let mut name = name.get_ref().clone();
        if let Some(eta) = entry.eta.filter(|eta| *eta != 0.0) {
            name = format!("{name}-eta-{eta}");
        }
        if entry.normalise && !name.ends_with("-sn") {
            name.push_str("-sn");
        }
        let method = Method::new(&name, order).map_err(|error| self.error(span, error))?;
        let grid = entry.grid.as_ref().or(grid).map(|grid| self.grid(grid)).transpose()?;
        // What is said for all methods is for those that can have it; a method's own must fit it.
        let all_coefficients = common.coefficients.filter(|_| method.has_reference_coefficients());
        let all_threshold = common.threshold.map(|threshold| self.threshold(threshold)).transpose()?;
        let all_threshold = all_threshold.filter(|_| method.solver.traits().predicts_data);
        let own_threshold = self.own_threshold(entry)?;
        let made = Made::Method {
            method,
            grid: grid.unwrap_or_else(Grid::quadratic),
            coefficients: entry.coefficients.or(all_coefficients).unwrap_or(Coefficients::Exact),
            afs: entry.afs,
        };
        Ok(MethodEntry { made, threshold: own_threshold.or(all_threshold).unwrap_or(Threshold::None), nfe: None })
    }

    pub(super) fn own_threshold(&self, entry: &RawMethod) -> Result<Option<Threshold>> {
        entry.threshold.as_ref().map(|threshold| self.threshold(threshold)).transpose()
    }

    /// Works every cell out, with r = 1, so that what cannot be planned is found here.
    pub(super) fn plans(
        &self,
        entries: &[MethodEntry],
        spans: &[Range<usize>],
        nfe: &[usize],
        schedule: &Schedule,
    ) -> Result<()> {
        let tau: Vec<f64> = (1..=schedule.levels()).map(|k| k as f64 / schedule.levels() as f64).collect();
        let constant = Normaliser::new(tau.clone(), vec![1.0; tau.len()])?;
        for (entry, span) in entries.iter().zip(spans) {
            for &nfe in nfe.iter().filter(|&&nfe| entry.has(nfe)) {
                let named = |error| format!("method '{}' at nfe = {nfe}: {error}", entry.name());
                let planned = entry.plan(schedule, nfe, Some(&constant));
                planned.map_err(|error| self.error(span.clone(), named(error)))?;
            }
        }
        Ok(())
    }
}
