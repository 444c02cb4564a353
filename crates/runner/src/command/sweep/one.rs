//! One cell of a sweep.

use super::{Sweep, modified};
use crate::{
    cell::{Done, Measurement, Samples, Targets, Wanted, forget, measure},
    failure::{Failure, Result},
    files,
    progress::Progress,
    report::mosaic,
    results::Metric,
};

impl Sweep {
    /// Measures what cell `i` lacks; what was found, in a few words.
    pub(super) fn cell(
        &mut self,
        i: usize,
        lacking: Vec<Wanted>,
        targets: &Targets,
        progress: &Progress,
    ) -> Result<String> {
        let fresh = self.kept.fresh;
        let kept = self.done[i].clone().filter(|_| !fresh);
        progress.say(self.cells[i].name());
        // The solution's own errors are known with it, and are measured on no samples.
        let (own, all) = self.split(i, lacking);
        let lacking = self.measurable(i, &all);
        let own = own.iter().filter_map(|wanted| Some(wanted.of_images(targets.check(wanted.metric)?.to_vec())));
        let own: Vec<Measurement> = own.collect();
        let mut said = String::new();
        let mut done = match kept {
            Some(kept) if lacking.is_empty() => kept,
            kept => {
                let new = match self.equal(i, &lacking, fresh)? {
                    Some((j, done)) => {
                        progress.skip(self.work_of(i, &lacking));
                        self.shared += done.nfe_measured.map_or(0, |nfe| (nfe * done.samples as f64).round() as u64);
                        said = format!(", of the same samples as {}", self.cells[j].name());
                        done
                    }
                    None => self.sample(i, (&lacking, &all), targets, progress)?,
                };
                match kept {
                    Some(kept) => kept.merge(new),
                    None => new,
                }
            }
        };
        if !own.is_empty() {
            let new = Done { measured: own, ..done.clone() };
            done = done.merge(new);
        }
        let cell = &self.cells[i];
        done.write(cell)?;
        forget(cell, &all, &self.kept)?;
        let record = cell.record("", self.loaded.experiment.protocol, &done, &self.wanted[i]);
        let figure = |metric: Metric| Some(format!("{} {:.4}", metric.name(), record.metric(metric)?));
        let found = match record.diverged.as_str() {
            "" => Metric::ALL.into_iter().filter_map(figure).collect::<Vec<_>>().join(", "),
            diverged => format!("diverged, {diverged}"),
        };
        self.done[i] = Some(done);
        self.seen[i] = modified(&self.cells[i]);
        self.new.insert(i);
        Ok(found + &said)
    }

    /// What is known of the solution with its images, and measured on no samples; and the rest.
    pub(super) fn split(&self, i: usize, lacking: Vec<Wanted>) -> (Vec<Wanted>, Vec<Wanted>) {
        let is_own = |wanted: &Wanted| !wanted.metric.is_frechet() && self.cells[i].entry.is_none();
        lacking.into_iter().partition(is_own)
    }

    /// What cell `i` lacks and can be measured, of samples of its own; with all that it lacks, by which its parts are known.
    fn sample(
        &self,
        i: usize,
        (lacking, all): (&[Wanted], &[Wanted]),
        targets: &Targets,
        progress: &Progress,
    ) -> Result<Done> {
        let cell = &self.cells[i];
        let samples = self.samples(i, targets);
        let (mut done, first) = measure(&self.loaded, cell, samples, (lacking, all), targets, &self.kept, progress)?;
        if let Some(first) = first {
            mosaic::write(&cell.picture(), &first)?;
            done.picture = files::sha256_of(&cell.picture())?;
        }
        Ok(done)
    }

    /// Where the samples of cell `i` come from.
    pub(super) fn samples<'a>(&'a self, i: usize, targets: &'a Targets) -> Samples<'a> {
        let (cell, count) = (&self.cells[i], self.loaded.experiment.samples);
        let all = targets.all_of(&cell.key).filter(|_| cell.entry.is_none());
        match (all, self.plan(i), &targets.solution) {
            (Some(all), ..) => Samples::Kept(all),
            (None, Some(plan), _) => Samples::Of(plan, count),
            (None, None, Some(solution)) if cell.plan.is_some() => Samples::Kept(solution),
            _ => cell.plan.as_ref().map_or(Samples::Exact(count), |plan| Samples::Of(plan, count)),
        }
    }

    /// What cell `i` lacks, from another of the same key: plans may be equal under several names and numbers of evaluations. Its
    /// picture becomes that of cell `i`.
    fn equal(&self, i: usize, lacking: &[Wanted], fresh: bool) -> Result<Option<(usize, Done)>> {
        let is_equal = |&j: &usize| j != i && self.cells[j].key == self.cells[i].key;
        let usable = |j: &usize| self.reuse && (!fresh || self.new.contains(j));
        for j in (0..self.cells.len()).filter(is_equal).filter(usable) {
            let Some(done) = self.done[j].as_ref().and_then(|done| done.share(lacking)) else { continue };
            let picture = self.cells[j].picture();
            if done.diverged.is_empty() {
                if !done.has_picture(&picture) {
                    continue;
                }
                let bytes = std::fs::read(&picture).map_err(Failure::file(&picture))?;
                files::write(&self.cells[i].picture(), &bytes)?;
            }
            return Ok(Some((j, done)));
        }
        Ok(None)
    }
}
