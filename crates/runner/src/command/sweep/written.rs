//! What a sweep leaves in its folder, and says of it at its end.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use super::{super::folders::published_folder, KEPT, Sweep};
use crate::{
    cell::{Cell, Loaded, Parts},
    failure::{Failure, Result},
    files,
    lock::Lock,
    report,
    results::{BURN, Folder, PerImage, Provenance, Record, compare, count},
};

impl Sweep {
    /// Everything that is known, whatever was asked for this time; nothing that was measured of or with anything else.
    pub(super) fn results(&self) -> Folder {
        let Sweep { loaded, cells, done, wanted, published, .. } = self;
        let (mut records, mut per_image) = (Vec::new(), PerImage::new());
        for ((cell, done), wanted) in cells.iter().zip(done).zip(wanted) {
            let Some(done) = done else { continue };
            if done.current(wanted).next().is_none() {
                continue;
            }
            let record = cell.record(&loaded.experiment.name, loaded.experiment.protocol, done, wanted);
            for measurement in done.current(wanted).filter(|measurement| !measurement.per_image.is_empty()) {
                per_image.insert((record.cell(), measurement.metric), measurement.per_image.clone());
            }
            records.push(record);
        }
        let all = wanted.iter().filter(|wanted| !wanted.is_empty()).count();
        let lacking = (0..cells.len()).map(|i| self.lacking(i, false).len()).sum();
        let provenance = Provenance { cells: all, lacking, cautions: self.cautions(), ..provenance(loaded, &records) };
        Folder { records, per_image, provenance, published: published.clone() }
    }

    /// The tables of all that any run finished; by one run at a time, so that the last has all.
    pub(super) fn write(&mut self) -> Result<()> {
        let _tables = self.tables()?;
        let start = Instant::now();
        self.look();
        self.results().write(&self.folder)?;
        self.written = Some((Instant::now(), start.elapsed()));
        Ok(())
    }

    fn tables(&self) -> Result<Lock> {
        Lock::wait(&self.kept.folder.join(TABLES), |_| {})
    }

    /// After a cell: not so often that writing tables of many cells takes more than a twentieth of the time.
    pub(super) fn write_now_and_then(&mut self) -> Result<()> {
        match self.written {
            Some((last, took)) if last.elapsed() < 20 * took => Ok(()),
            _ => self.write(),
        }
    }

    /// Removes what a kill, or an experiment that this was before, left of cells.
    fn tidy(&self) -> Result<()> {
        let kept = &self.kept.folder;
        files::remove_folder(&Parts::folder(kept))?;
        for entry in kept.read_dir().map_err(Failure::file(kept))? {
            let path = entry.map_err(Failure::file(kept))?.path();
            if path.extension().is_some_and(|ending| ending == "lock") {
                // What nobody holds is removed with it.
                drop(Lock::take(&path)?);
            }
        }
        Ok(())
    }

    /// Tables, charts and samples of all finished cells; how they compare with what was published.
    pub(super) fn report(&mut self) -> Result<()> {
        let tables = self.tables()?;
        self.look();
        let results = self.results();
        if results.records.is_empty() {
            let said = self.unsolved.first_key_value().map_or("no cell is measured", |(_, said)| said);
            return Err(Failure::run(said));
        }
        let picture = |record: &Record| {
            let is_cell = |cell: &Cell| cell.description().cell() == record.cell();
            let (cell, done) = self.cells.iter().zip(&self.done).find(|(cell, _)| is_cell(cell))?;
            // What diverged may have an earlier picture beside it.
            let pictured =
                done.as_ref().is_some_and(|done| done.diverged.is_empty() && done.has_picture(&cell.picture()));
            pictured.then(|| cell.picture())
        };
        results.write(&self.folder)?;
        report::samples(&self.folder, &results, picture)?;
        report::write(&self.folder, &results)?;
        drop(tables);
        if results.provenance.lacking == 0 && self.lock.is_some() {
            self.tidy()?;
        }
        println!("{}", self.folder.display());
        if let Some((path, reference)) = &self.reference {
            println!("against {}: {}", path.display(), compare(&results, reference));
        }
        match self.unsolved.first_key_value() {
            Some((_, said)) => Err(Failure::run(said)),
            None => Ok(()),
        }
    }
}

/// What is held in the folder of kept cells while its tables are written.
const TABLES: &str = "tables.lock";

/// That of a results folder, where cells are kept in it.
pub(in crate::command) fn hold_tables(folder: &Path) -> Result<Option<Lock>> {
    let kept = folder.join(KEPT);
    kept.is_dir().then(|| Lock::wait(&kept.join(TABLES), |_| {})).transpose()
}

/// What is published of an experiment, to compare with, read before a run writes anything; nothing where the run writes there.
pub(super) fn reference(name: &str, folder: &Path) -> Option<(PathBuf, Folder)> {
    let published = published_folder(name);
    let same = published.canonicalize().ok().zip(folder.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same || !Folder::is_at(&published) {
        return None;
    }
    match Folder::read(&published) {
        Ok(reference) => Some((published, reference)),
        Err(error) => {
            eprintln!("not compared with what is published: {error}");
            None
        }
    }
}

fn provenance(loaded: &Loaded, records: &[Record]) -> Provenance {
    let experiment = &loaded.experiment;
    Provenance {
        experiment: experiment.name.clone(),
        title: experiment.title.clone(),
        experiment_sha256: experiment.hash.clone(),
        fewstep: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        builds: count(records, |record| &record.build),
        devices: count(records, |record| &record.device),
        network: loaded.sampler.predictor.identity(),
        canary: loaded.canary.parts(),
        dimensions: loaded.dimensions(),
        assets: loaded.assets.clone(),
        ..Provenance::default()
    }
}
