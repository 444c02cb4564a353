//! `fewstep merge`: the shards of a sweep become one, with the bytes of a run that had no shards.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    super::selection::Selection,
    How, Sweep, hold,
    shard::{Description, kept},
};
use crate::{
    cli,
    device::DeviceName,
    experiment::Experiment,
    failure::{Failure, Result},
    files, interrupt,
    results::BUILD,
};

/// Merges.
pub fn run(arguments: &cli::Merge) -> Result<()> {
    let shards = arguments.shards.iter().map(|folder| Ok((folder.as_path(), Description::read(folder)?)));
    let shards = shards.collect::<Result<Vec<(&Path, Description)>>>()?;
    let first = complete(&shards)?;
    let file = arguments.experiment.as_ref().unwrap_or(&first.experiment);
    let experiment = Experiment::read(file)?;
    if experiment.hash != first.experiment_sha256 {
        let (file, shard) = (file.display(), shards[0].0.display());
        return Err(Failure::Request(format!(
            "{file}: not the text that {shard} was sampled for; expected the experiment as it was"
        )));
    }
    let device = DeviceName::from_str(&first.device, false).map_err(Failure::request)?;
    interrupt::listen()?;
    let lock = hold(&arguments.out, false)?;
    let folders: Vec<PathBuf> = shards.iter().map(|(folder, _)| kept(folder)).collect();
    take_normaliser(&folders[0], &kept(&arguments.out))?;
    let selection = Selection::parse("", &experiment)?;
    let how = How { device, fresh: false, reuse: true, alone: false, known: false };
    let mut sweep = Sweep::prepare(experiment, how, arguments.out.clone())?;
    if sweep.loaded.device != first.device_description {
        let (here, there) = (&sweep.loaded.device, &first.device_description);
        return Err(Failure::Request(format!(
            "{}: sampled on {there}; expected to be merged on such a device, here is {here}",
            shards[0].0.display()
        )));
    }
    if sweep.loaded.canary.hash() != first.code {
        return Err(Failure::Request(format!(
            "{}: sampled where the same program gives other last digits; expected to be merged on the same kind of processor",
            shards[0].0.display()
        )));
    }
    sweep.lock = lock;
    sweep.kept.shards = folders;
    sweep.all(&selection)
}

/// What all shards say of themselves, where they are all there is of one sweep.
fn complete<'a>(shards: &'a [(&Path, Description)]) -> Result<&'a Description> {
    let Some((place, first)) = shards.first() else { return Err(Failure::request("no shards")) };
    let mut found: BTreeMap<usize, &Path> = BTreeMap::new();
    for (folder, shard) in shards {
        let same = Description {
            shard: first.shard,
            experiment: first.experiment.clone(),
            finished: first.finished,
            ..shard.clone()
        };
        if same != *first {
            let (folder, place) = (folder.display(), place.display());
            return Err(Failure::Request(format!(
                "{folder}: not of the same sweep as {place}: another experiment, number of shards, device, build or kind of processor"
            )));
        }
        if !shard.finished {
            return Err(Failure::Request(format!(
                "{}: not finished; run `fewstep sweep {} --shard {}/{}` to its end",
                folder.display(),
                shard.experiment.display(),
                shard.shard,
                shard.shards
            )));
        }
        if let Some(other) = found.insert(shard.shard, folder) {
            return Err(Failure::Request(format!("{}: the same shard as {}", folder.display(), other.display())));
        }
    }
    let missing: Vec<String> = (1..=first.shards)
        .filter(|index| !found.contains_key(index))
        .map(|index| format!("{index}/{}", first.shards))
        .collect();
    if !missing.is_empty() {
        return Err(Failure::Request(format!("shards {} are missing", missing.join(", "))));
    }
    if first.build != BUILD {
        return Err(Failure::Request(format!(
            "{}: sampled by build {}; expected to be merged by the same, this is {BUILD}",
            place.display(),
            first.build
        )));
    }
    Ok(first)
}

/// Takes the curve that a shard collected, as all did; the others of its files are read where they are.
fn take_normaliser(from: &Path, to: &Path) -> Result<()> {
    for entry in from.read_dir().map_err(Failure::file(from))? {
        let path = entry.map_err(Failure::file(from))?.path();
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("normaliser-") && !to.join(name).exists() {
            files::write(&to.join(name), &std::fs::read(&path).map_err(Failure::file(&path))?)?;
        }
    }
    Ok(())
}
