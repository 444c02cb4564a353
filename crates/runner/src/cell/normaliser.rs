//! The experiment's normaliser: read, or collected once and kept under its key.

use std::path::{Path, PathBuf};

use fewstep_sampler::Normaliser;

use super::{
    curve::{self, long_run},
    kept::Kept,
    key::{self, Key},
    known,
    load::Loaded,
    parts::{Parts, Widths},
};
use crate::{
    experiment::{CollectSpec, NormaliserSource},
    failure::Result,
    files,
    progress::Progress,
};

/// The normaliser, unclipped, and what it is kept as: nothing where it was read from the user's own file.
pub struct Found {
    /// The curve.
    pub normaliser: Normaliser,
    /// Its file's text.
    pub csv: String,
}

/// Where a collected one may be, and is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Places<'a> {
    /// Where it is taken from where its key is there.
    pub kept: Option<&'a Path>,
    /// Where it is kept on the way and at the end.
    pub keep: Option<&'a Path>,
    /// Where other experiments' are ([`known`]); it is kept there too at the end.
    pub known: Option<&'a Path>,
}

impl<'a> Places<'a> {
    /// One folder to take it from and to keep it in, and what is known.
    pub fn of(kept: &'a Kept) -> Self {
        Places { kept: Some(&kept.folder), keep: Some(&kept.folder), known: kept.known.as_deref() }
    }
}

/// The experiment's normaliser.
pub fn normaliser(loaded: &Loaded, places: Places, fresh: bool) -> Result<Option<Found>> {
    let Some(spec) = &loaded.experiment.normaliser else { return Ok(None) };
    let found = match &spec.source {
        NormaliserSource::File(file) => {
            let normaliser = Normaliser::read(file)?;
            Found { csv: normaliser.to_csv(&[]), normaliser }
        }
        NormaliserSource::Collect(collect) => collected(loaded, collect, places, fresh)?,
    };
    // An unfit clip is an error of the experiment, found before anything is sampled.
    found.normaliser.clone().with_clip(spec.clip)?;
    Ok(Some(found))
}

fn collected(loaded: &Loaded, spec: &CollectSpec, places: Places, fresh: bool) -> Result<Found> {
    let Places { kept, keep, known } = places;
    let plan = curve::plan(&loaded.sampler, spec)?;
    let key = key::normaliser(&loaded.sampler, &loaded.canary, &plan, spec.seed, spec.samples)?;
    let own = keep.filter(|keep| Some(*keep) != kept);
    for folder in [kept, own, known].into_iter().flatten() {
        let path = path(folder, &key);
        if fresh || !path.exists() {
            continue;
        }
        let shared = Some(folder) == known;
        let text = match files::text(&path) {
            Err(_) if shared => continue,
            text => text?,
        };
        let csv = unsealed(&text).filter(|csv| csv.starts_with(&format!("# {}\n", comments(loaded, spec, &key)[0])));
        if let Some(csv) = csv {
            if shared {
                known::used(std::slice::from_ref(&path));
                keep.map(|keep| files::write(&self::path(keep, &key), text.as_bytes())).transpose()?;
            }
            if let Some(keep) = keep {
                // Where a run was killed between writing the one and removing the other.
                forget(&parts(keep, &key, spec), keep)?;
            }
            match Normaliser::read(&path) {
                Err(_) if shared => continue,
                normaliser => return Ok(Found { normaliser: normaliser?, csv: csv.to_owned() }),
            }
        }
        eprintln!("{}: not as it was written: collected again", path.display());
    }
    let progress = Progress::new((spec.nfe * spec.samples) as u64, "evaluations");
    progress.say("normaliser");
    // Of a large network it takes hours: a kill costs the batches in hand.
    Parts::check()?;
    let mut parts = keep.map(|keep| (keep, parts(keep, &key, spec)));
    if let Some((_, parts)) = parts.as_ref().filter(|_| fresh) {
        parts.remove()?;
    }
    let (advance, skip) = (|n| progress.advance(n), |n| progress.skip(n));
    let by_parts = parts.as_mut().map(|(_, parts)| parts);
    let normaliser = curve::collect(&loaded.sampler, spec, &plan, by_parts, advance, skip)?;
    progress.end();
    let csv = normaliser.to_csv(&comments(loaded, spec, &key));
    if let Some((keep, parts)) = parts {
        files::write(&path(keep, &key), sealed(&csv).as_bytes())?;
        forget(&parts, keep)?;
    }
    if let Some(known) = known {
        // Where others cannot have it they collect their own.
        let _ = files::write(&path(known, &key), sealed(&csv).as_bytes());
    }
    Ok(Found { normaliser, csv })
}

/// What is kept of its images until all are there.
fn parts(kept: &Path, key: &Key, spec: &CollectSpec) -> Parts {
    Parts::new(key.clone(), kept, &[], Widths { x: spec.nfe, ..Widths::default() })
}

/// Removes what was kept of the way, once all is there.
pub fn forget(parts: &Parts, kept: &Path) -> Result<()> {
    parts.remove()?;
    // Where nothing else is in it.
    let _ = std::fs::remove_dir(Parts::folder(kept));
    Ok(())
}

/// A table under a comment with its hash: what was cut off or changed since is not believed.
fn sealed(csv: &str) -> String {
    format!("# sha256 {}\n{csv}", files::sha256(csv.as_bytes()))
}

fn unsealed(text: &str) -> Option<&str> {
    text.split_once('\n').map(|(_, csv)| csv).filter(|csv| sealed(csv) == text)
}

fn path(kept: &Path, key: &Key) -> PathBuf {
    kept.join(format!("normaliser-{}.csv", key.short()))
}

/// What the curve is of.
fn comments(loaded: &Loaded, spec: &CollectSpec, key: &Key) -> Vec<String> {
    vec![
        format!("key {}", key.as_str()),
        format!(
            "mean |eps| of network {} from {} images of seed {}, {} evaluations on the {} grid with {}, on {}",
            &loaded.sampler.predictor.identity()[..16],
            spec.samples,
            spec.seed,
            spec.nfe,
            spec.grid.name(),
            long_run().label(),
            loaded.device,
        ),
    ]
}
