//! Cells from results that are there already, so that a table grows by what it lacks: a published one by somebody's method, or by another
//! number of evaluations.
//!
//! Samples are known by their keys. What was measured of them has none in a table; it is the same where it was measured with the same statistics, weights,
//! solution and converged samples, by code that gave the same canaries, all of which either side says of itself.

use std::path::Path;

use super::{Sweep, cautions, modified};
use crate::{
    cell::{Cell, Done, Loaded, Measurement, Wanted, picture},
    failure::{Failure, Result},
    files, interrupt,
    lock::Lock,
    progress::Progress,
    report::mosaic,
    results::{Features, Folder, Metric, Record},
};

impl Sweep {
    /// Takes from the results in `from` what is lacking here.
    ///
    /// # Errors
    /// Where they were changed since they were written, or measured with anything else; where nothing of them is of this experiment.
    pub(super) fn take(&mut self, from: &Path) -> Result<()> {
        let folder = Folder::read(from)?;
        if let Some(reason) = unfit(from, &folder, &self.loaded)? {
            return Err(Failure::Request(format!("{}: {reason}", from.display())));
        }
        let (mut taken, mut same) = (0, 0);
        // Their pictures are made again, which takes minutes where they are thousands.
        let progress = Progress::new(self.cells.len() as u64, "cells");
        progress.say("taking");
        for i in 0..self.cells.len() {
            interrupt::check()?;
            progress.advance(1);
            let of_cell = |record: &&Record| {
                let cell = &self.cells[i];
                record.key == cell.key.as_str() && record.is_solution() == cell.entry.is_none()
            };
            let Some(record) = folder.records.iter().find(of_cell) else { continue };
            same += 1;
            // Another run on this folder may have it in hand, or have finished it.
            let Some(_held) = Lock::take(&self.cells[i].path.with_extension("lock"))? else { continue };
            self.look_at(i);
            let lacking = self.lacking(i, false);
            let measured: Vec<Measurement> =
                lacking.iter().filter_map(|wanted| self.measurement(wanted, record, &folder)).collect();
            if measured.is_empty() {
                continue;
            }
            let cell = &self.cells[i];
            let done = match self.done[i].clone() {
                Some(own) => own.clone().merge(Done { measured, ..own }),
                None => self.begin(cell, record, measured)?,
            };
            done.write(cell)?;
            (self.seen[i], self.done[i]) = (modified(cell), Some(done));
            taken += 1;
        }
        progress.end();
        if same == 0 {
            let path = from.display();
            return Err(Failure::Request(format!("{path}: none of its cells is one of this experiment")));
        }
        eprintln!("{}: of {same} cells that are this experiment's too {taken} taken", from.display());
        Ok(())
    }

    /// What a record says of a metric; nothing where that is of anything else than what is wanted, or was not measured.
    fn measurement(&self, wanted: &Wanted, record: &Record, folder: &Folder) -> Option<Measurement> {
        let (metric, loaded) = (wanted.metric, &self.loaded);
        let blank = Measurement { build: record.build.clone(), ..wanted.blank() };
        if folder.provenance.canary.get(metric.name()) != loaded.canary.metrics.get(&metric) {
            return None;
        }
        if metric.needs_solution() && !self.is_solved_alike(record.seed, folder) {
            return None;
        }
        // The key of the solution's own cell is of the converged samples only where these have a Fréchet distance.
        if metric.noise().is_some() && !loaded.experiment.metrics.iter().any(|metric| metric.is_frechet()) {
            return None;
        }
        let protocol = loaded.experiment.protocol.name();
        if metric.features() == Some(Features::Inception) && record.protocol != protocol {
            return None;
        }
        if !record.diverged.is_empty() {
            return Some(blank);
        }
        let value = record.metric(metric)?;
        let per_image = folder.per_image.get(&(record.cell(), metric)).cloned().unwrap_or_default();
        let images = loaded.experiment.solution.map(|spec| spec.samples.min(loaded.experiment.samples));
        if metric == Metric::OdeRmse && !record.is_solution() && Some(per_image.len()) != images {
            return None;
        }
        // Earlier versions kept Fréchet distances without what their errors follow from.
        if per_image.is_empty() && metric != Metric::FdData {
            return None;
        }
        let fit = if metric == Metric::FidInfinity { record.fid_infinity_fit } else { None };
        // Those of all metrics together are in the table.
        let first = Metric::ALL.into_iter().find(|&metric| record.metric(metric).is_some());
        let seconds = if first == Some(metric) { record.seconds_features } else { 0.0 };
        Some(Measurement { value: Some(value), per_image, fit, seconds, ..blank })
    }

    /// Whether methods were compared with the same solution and converged samples.
    fn is_solved_alike(&self, seed: u64, folder: &Folder) -> bool {
        let own = self.cells.iter().find(|cell| cell.entry.is_none() && cell.seed == seed);
        let same =
            |own: &Cell| folder.records.iter().any(|record| record.is_solution() && record.key == own.key.as_str());
        own.is_some_and(same)
    }

    /// A cell that nothing is known of yet, with its picture, whose few images are made again.
    fn begin(&self, cell: &Cell, record: &Record, measured: Vec<Measurement>) -> Result<Done> {
        let mut done = Done {
            key: record.key.clone(),
            build: record.build.clone(),
            device: record.device.clone(),
            nfe_measured: record.nfe_measured,
            diverged: record.diverged.clone(),
            samples: record.samples,
            seconds: record.seconds_sample,
            picture: String::new(),
            measured,
        };
        if done.diverged.is_empty() {
            mosaic::write(&cell.picture(), &picture(&self.loaded, cell)?)?;
            done.picture = files::sha256_of(&cell.picture())?;
        }
        Ok(done)
    }
}

/// Why nothing of a folder can be believed, or was measured of this network, here, with the same things.
fn unfit(from: &Path, folder: &Folder, loaded: &Loaded) -> Result<Option<String>> {
    let theirs = &folder.provenance;
    if theirs.files.is_empty() {
        return Ok(Some("its provenance.toml, of an earlier version, has no hashes of its tables".into()));
    }
    if let Some(name) = folder.changed(from)? {
        return Ok(Some(format!("{name} is not what was measured: provenance.toml has another hash of it")));
    }
    let network = loaded.sampler.predictor.identity();
    if theirs.network != network {
        return Ok(Some(format!("measured of network {}, and not of {network}", theirs.network)));
    }
    let device = &loaded.device;
    if let Some(other) = folder.records.iter().map(|record| &record.device).find(|other| *other != device) {
        return Ok(Some(format!("measured on {other}, and not on {device}")));
    }
    // Which of a file's weights the network has is in its identity; what an earlier version called them is a word.
    let with = |name: &str| {
        name == "solution"
            || name != cautions::WEIGHTS
                && ["-statistics", "-weights", "-extractor"].iter().any(|end| name.ends_with(end))
    };
    for (name, ours) in loaded.assets.iter().filter(|(name, _)| with(name.as_str())) {
        if let Some(other) = theirs.assets.get(name).filter(|other| *other != ours) {
            return Ok(Some(format!("measured with another {name}: '{other}', and not '{ours}'")));
        }
    }
    for (part, ours) in loaded.canary.parts().iter().filter(|(part, _)| *part != "curve" && *part != "extended") {
        if let Some(other) = theirs.canary.get(part).filter(|other| *other != ours) {
            let (other, ours) = (short(other), short(ours));
            return Ok(Some(format!(
                "the canary of {part} is {other} there and {ours} here: measured by other code, or on another kind of processor"
            )));
        }
    }
    Ok(None)
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
