//! What the cells of a sweep are measured from.

use std::collections::BTreeMap;

use super::Sweep;
use crate::{
    cell::{Cell, Needs, Targets, Wanted},
    experiment::SolutionSpec,
    failure::{Failure, Result},
    lock::Lock,
    progress::Progress,
};

impl Sweep {
    /// What the pending cells of each seed are measured from: of the solution, distances to it, and its own samples.
    pub(super) fn needs(&self, pending: &[(usize, Vec<Wanted>)]) -> BTreeMap<u64, Needs> {
        let mut all: BTreeMap<u64, Needs> = BTreeMap::new();
        for (i, lacking) in pending {
            let Cell { entry, plan, seed, .. } = &self.cells[*i];
            let needs = all.entry(*seed).or_default();
            needs.solution |= entry.is_none() && plan.is_some() && self.plan(*i).is_none();
            lacking.iter().for_each(|wanted| needs.add(wanted.metric));
        }
        all
    }

    /// What the cells of a seed are measured from.
    pub(super) fn targets(&mut self, seed: u64, needs: &Needs, progress: &Progress) -> Result<Targets> {
        let say = |holder: &str| progress.line(&format!("solution of seed {seed}: {holder} is at it; waiting"));
        let _finding = Lock::wait(&self.kept.folder.join(format!("solution-{seed}.lock")), say)?;
        self.solved(seed, needs, progress, |sweep, spec| {
            Targets::find(&sweep.loaded, needs, (spec, seed), &sweep.kept, progress)
        })
    }

    /// What `find` finds; nothing where a solution is not finite: what needs none is measured all the same.
    pub(super) fn solved(
        &mut self,
        seed: u64,
        needs: &Needs,
        progress: &Progress,
        find: impl FnOnce(&Self, &SolutionSpec) -> Result<Targets>,
    ) -> Result<Targets> {
        let Some(spec) = self.loaded.experiment.solution.filter(|_| !needs.is_empty()) else {
            return Ok(Targets::default());
        };
        match find(self, &spec) {
            Err(Failure::Diverged { image, .. }) => {
                let said = format!(
                    "the solution of image {image}, seed {seed}, is not finite: nothing is measured against it"
                );
                progress.line(&said);
                self.unsolved.insert(seed, said);
                Ok(Targets::default())
            }
            found => found,
        }
    }
}
