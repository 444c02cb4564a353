//! The `[fit]` table: how plans are fitted to the experiment's network.

use fewstep_fit::{Constraint, Objective, Rule, Spec, Stage};
use fewstep_sampler::Grid;
use serde::Deserialize;
use toml::Spanned;

use super::{MAX_NFE, method::RawGrid};
use crate::{failure::Result, source::Source};

/// How plans are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct FitSpec {
    /// Images that are fitted to.
    pub images: usize,
    /// Images by which stages are chosen.
    pub validation: usize,
    /// Evaluations of their trajectories; as many as of the experiment's solution where nothing is said.
    pub nfe: Option<usize>,
    /// What is minimised.
    pub objective: Objective,
    /// The rest.
    pub spec: Spec,
}

impl Default for FitSpec {
    fn default() -> Self {
        let rule = Rule { history: 3, states: 0, constraint: Constraint::Free, ridge: 0.0 };
        let stages = vec![Stage::Coefficients, Stage::Path, Stage::Grid, Stage::Joint];
        let grids = ["trailing", "log-snr", "edm"].iter().filter_map(|name| name.parse().ok()).collect();
        let spec = Spec { rule, ridges: Vec::new(), grid: Grid::quadratic(), grids, stages, rounds: 8 };
        FitSpec { images: 64, validation: 64, nfe: None, objective: Objective::Bands, spec }
    }
}

/// Images of a fit.
pub const MAX_IMAGES: usize = 100_000;
/// Predictions or states that a step may use.
pub const MAX_HISTORY: usize = 16;
/// Of the joint stage.
pub const MAX_ROUNDS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFit {
    images: Option<Spanned<usize>>,
    validation: Option<Spanned<usize>>,
    nfe: Option<Spanned<usize>>,
    objective: Option<Objective>,
    history: Option<Spanned<usize>>,
    states: Option<Spanned<usize>>,
    constraint: Option<Constraint>,
    ridge: Option<Spanned<RawRidge>>,
    grid: Option<Spanned<RawGrid>>,
    grids: Option<Vec<Spanned<RawGrid>>>,
    stages: Option<Spanned<Vec<Stage>>>,
    rounds: Option<Spanned<usize>>,
}

/// One, or several of which images for validation choose.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawRidge {
    One(f64),
    Several(Vec<f64>),
}

impl Source<'_> {
    pub(super) fn fit(&self, raw: RawFit) -> Result<FitSpec> {
        let mut fit = FitSpec::default();
        let set = |name, raw: &Option<Spanned<usize>>, limits, to: &mut usize| -> Result<()> {
            if let Some(raw) = raw {
                *to = self.within(name, raw, limits)?;
            }
            Ok(())
        };
        set("images", &raw.images, 1..MAX_IMAGES + 1, &mut fit.images)?;
        set("validation", &raw.validation, 1..MAX_IMAGES + 1, &mut fit.validation)?;
        set("history", &raw.history, 1..MAX_HISTORY + 1, &mut fit.spec.rule.history)?;
        set("states", &raw.states, 0..MAX_HISTORY + 1, &mut fit.spec.rule.states)?;
        set("rounds", &raw.rounds, 1..MAX_ROUNDS + 1, &mut fit.spec.rounds)?;
        fit.nfe = raw.nfe.as_ref().map(|nfe| self.within("nfe", nfe, 2..MAX_NFE + 1)).transpose()?;
        fit.objective = raw.objective.unwrap_or(fit.objective);
        fit.spec.rule.constraint = raw.constraint.unwrap_or(fit.spec.rule.constraint);
        if let Some(ridge) = raw.ridge {
            let span = ridge.span();
            let all = match ridge.into_inner() {
                RawRidge::One(value) => vec![value],
                RawRidge::Several(values) => values,
            };
            if let Some(value) = all.iter().find(|value| !(0.0..=1.0).contains(*value)) {
                return Err(self.error(span, format!("ridge is {value}; expected 0 to 1")));
            }
            let mut others = all.into_iter();
            fit.spec.rule.ridge =
                others.next().ok_or_else(|| self.error(span, "ridge is empty; expected at least one"))?;
            fit.spec.ridges = others.collect();
        }
        if let Some(grid) = raw.grid {
            fit.spec.grid = self.grid(&grid)?;
        }
        if let Some(grids) = raw.grids {
            fit.spec.grids = grids.iter().map(|grid| self.grid(grid)).collect::<Result<_>>()?;
        }
        if let Some(stages) = raw.stages {
            let span = stages.span();
            fit.spec.stages = stages.into_inner();
            if fit.spec.stages.is_empty() || fit.spec.stages.windows(2).any(|pair| pair[1] <= pair[0]) {
                let names = Stage::ALL.map(Stage::name).join(", ");
                return Err(self.error(span, format!("expected stages in this order, each at most once: {names}")));
            }
        }
        Ok(fit)
    }
}
