//! What the cells of a seed are measured from: the ODE's solution, and the network's converged samples in feature spaces.

use std::{collections::BTreeSet, ops::Range};

use super::{
    converged::{self, Converged},
    kept::Kept,
    key::Key,
    load::Loaded,
    solution::Solution,
};
use crate::{
    experiment::SolutionSpec,
    failure::Result,
    progress::Progress,
    results::{Features, Metric, Noise},
};

/// What cells of a seed are to be measured from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The solution of the first images.
    pub solution: bool,
    /// Converged samples.
    pub converged: BTreeSet<(Features, Noise)>,
}

impl Needs {
    /// Adds what a metric needs.
    pub fn add(&mut self, metric: Metric) {
        self.solution |= metric == Metric::OdeRmse;
        self.converged.extend(metric.features().zip(metric.noise()));
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        *self == Needs::default()
    }

    /// Evaluations and features, for the time left.
    pub fn work(&self, spec: &SolutionSpec, samples: usize) -> u64 {
        let all = spec.of_all(samples);
        let same = self.same();
        let solution = if self.solution || (same && *spec == all) { spec.work() } else { 0 };
        let own = if same && *spec != all { all.work() } else { 0 };
        let converged =
            self.converged.iter().map(|(features, noise)| converged::work(*features, *noise, spec, samples));
        solution + own + converged.sum::<u64>()
    }

    fn same(&self) -> bool {
        self.converged.iter().any(|(_, noise)| *noise == Noise::Same)
    }
}

/// Of one seed.
#[derive(Default)]
pub struct Targets {
    /// The solution of the first images.
    pub solution: Option<Solution>,
    /// Converged samples of all images, where those are not the solution.
    all: Option<Solution>,
    converged: Vec<Converged>,
}

impl Targets {
    /// Finds what is needed of a seed, where it is kept if it is.
    ///
    /// # Errors
    /// As sampling.
    pub fn find(
        loaded: &Loaded,
        needs: &Needs,
        (spec, seed): (&SolutionSpec, u64),
        kept: &Kept,
        progress: &Progress,
    ) -> Result<Self> {
        let find = |spec: &SolutionSpec| Solution::find(loaded, spec, seed, kept, progress);
        let mut targets = Targets::solutions(loaded, needs, spec, find)?;
        for &(features, noise) in &needs.converged {
            let Some(space) = loaded.space(features) else { continue };
            let found = Converged::find(loaded, space, (noise, seed), targets.same(), kept, progress)?;
            targets.converged.push(found);
        }
        Ok(targets)
    }

    /// Makes what some images of what is needed are, and keeps it as parts; with it those of the solutions.
    ///
    /// # Errors
    /// As [`Targets::find`].
    pub fn part(
        loaded: &Loaded,
        needs: &Needs,
        (spec, seed): (&SolutionSpec, u64),
        images: &Range<usize>,
        kept: &Kept,
        progress: &Progress,
    ) -> Result<Self> {
        let part = |spec: &SolutionSpec| Solution::part(loaded, spec, seed, images, kept, progress);
        let targets = Targets::solutions(loaded, needs, spec, part)?;
        for &(features, noise) in &needs.converged {
            let Some(space) = loaded.space(features) else { continue };
            Converged::part(loaded, space, (noise, seed), targets.same(), images, kept, progress)?;
        }
        Ok(targets)
    }

    fn solutions(
        loaded: &Loaded,
        needs: &Needs,
        spec: &SolutionSpec,
        find: impl Fn(&SolutionSpec) -> Result<Solution>,
    ) -> Result<Self> {
        let of_all = spec.of_all(loaded.experiment.samples);
        let whole = needs.same() && of_all == *spec;
        let solution = (needs.solution || whole).then(|| find(spec)).transpose()?;
        let all = (needs.same() && !whole).then(|| find(&of_all)).transpose()?;
        Ok(Targets { solution, all, converged: Vec::new() })
    }

    /// Converged samples of all images from their own noise.
    fn same(&self) -> Option<&Solution> {
        self.all.as_ref().or(self.solution.as_ref())
    }

    /// What a metric is measured from.
    pub fn converged(&self, metric: Metric) -> Option<&Converged> {
        let (features, noise) = metric.features().zip(metric.noise())?;
        self.converged.iter().find(|converged| converged.features == features && converged.noise == noise)
    }

    /// Converged samples of all images, where they are those of the run with this key.
    pub fn all_of(&self, run: &Key) -> Option<&Solution> {
        self.all.as_ref().filter(|all| all.is_of(run))
    }

    /// The squared distances that say what the solution itself is uncertain by, as `metric` measures it.
    pub fn check(&self, metric: Metric) -> Option<&[f64]> {
        match metric {
            Metric::OdeRmse => self.solution.as_ref().map(|solution| solution.check.as_slice()),
            Metric::FeatureRmse => self.converged(metric).map(|converged| converged.check.as_slice()),
            _ => None,
        }
    }
}
