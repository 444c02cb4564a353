//! `fewstep sweep --shard I/N`: a part of the images of every cell, in a folder of its own, for [`merge`](super::merge()).
//!
//! Every image depends on its number alone, so a shard needs nothing of another. What it writes is what cells, solutions and converged
//! samples of its images give, as parts; a task that is killed goes on with the parts that it has. Its folder is its own: no shard writes
//! where another does, and nothing relies on locks.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{How, KEPT, Sweep};
use crate::{
    cell::{Targets, Wanted, measure_part},
    cli,
    experiment::Experiment,
    failure::{Failure, Result},
    files, interrupt,
    progress::Progress,
    results::BUILD,
};

/// Part `index` of `count`, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// Most shards of a sweep.
const MOST: usize = 10_000;

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| text.parse::<usize>().ok();
        let numbers = text.split_once('/').and_then(|(index, count)| number(index).zip(number(count)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) && count <= MOST => {
                Ok(Shard { index: index - 1, count })
            }
            _ => Err(format!("expected I/N, the I-th of N shards, with I from 1 to N and N up to {MOST}")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-of-{}", self.index + 1, self.count)
    }
}

/// What a shard's folder says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The experiment's file, as it was given.
    pub experiment: PathBuf,
    /// Of its text.
    pub experiment_sha256: String,
    /// The number of this shard, from 1.
    pub shard: usize,
    /// How many there are.
    pub shards: usize,
    /// What to open to merge it.
    pub device: String,
    /// What that was.
    pub device_description: String,
    /// The program that sampled.
    pub build: String,
    /// Of its canaries: what it computes on that processor, to the last digit.
    #[serde(default)]
    pub code: String,
    /// Whether it has all of its images of every cell.
    pub finished: bool,
}

const DESCRIPTION: &str = "shard.toml";
/// The folder of shards within the one of the results.
const SHARDS: &str = "shards";

impl Description {
    /// Of the shard in `folder`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let wrong = |why: &dyn fmt::Display| {
            Failure::Request(format!("{}: {why}; expected what `fewstep sweep --shard I/N` wrote", path.display()))
        };
        let text = files::text(&path).map_err(|failure| wrong(&failure))?;
        let toml = files::unseal(&text).ok_or_else(|| wrong(&"not as it was written"))?;
        let found: Description = toml::from_str(toml).map_err(|error| wrong(&error.message()))?;
        if found.shard < 1 || found.shard > found.shards || found.shards > MOST {
            return Err(wrong(&format!("shard {} of {}, of at most {MOST}", found.shard, found.shards)));
        }
        Ok(found)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let toml = toml::to_string(self).map_err(Failure::run)?;
        files::write(&folder.join(DESCRIPTION), files::seal(&toml).as_bytes())
    }
}

/// What a shard keeps of cells, for those who merge it.
pub fn kept(folder: &Path) -> PathBuf {
    folder.join(KEPT)
}

/// Does the shard's part.
pub fn run(experiment: Experiment, arguments: &cli::Sweep, out: &Path, shard: Shard) -> Result<()> {
    if shard.count > experiment.samples {
        let (samples, path) = (experiment.samples, arguments.experiment.display());
        return Err(Failure::Request(format!(
            "{path}: {samples} samples; expected at least one for each of {} shards",
            shard.count
        )));
    }
    let folder = out.join(SHARDS).join(shard.to_string());
    interrupt::listen()?;
    // No lock: the folder is this shard's, and a file system may keep the lock of a node that is gone.
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    let mut description = Description {
        experiment: arguments.experiment.clone(),
        experiment_sha256: experiment.hash.clone(),
        shard: shard.index + 1,
        shards: shard.count,
        device: arguments.run.device.name().to_owned(),
        device_description: String::new(),
        build: BUILD.to_owned(),
        code: String::new(),
        finished: false,
    };
    let how = How {
        device: arguments.run.device,
        fresh: arguments.run.fresh,
        reuse: !arguments.no_reuse,
        alone: true,
        known: false,
    };
    let mut sweep = Sweep::prepare(experiment, how, folder.clone())?;
    description.device_description = sweep.loaded.device.clone();
    description.code = sweep.loaded.canary.hash();
    description.write(&folder)?;
    sweep.shard(shard)?;
    description.finished = true;
    description.write(&folder)?;
    println!("{}", folder.display());
    Ok(())
}

impl Sweep {
    fn shard(&mut self, shard: Shard) -> Result<()> {
        let samples = self.loaded.experiment.samples;
        let images = self.loaded.sampler.part(samples, shard.index, shard.count);
        let all: Vec<(usize, Vec<Wanted>)> = (0..self.cells.len()).map(|i| (i, self.lacking(i, true))).collect();
        // The own errors of solutions are found when all is merged; their samples are made here.
        let of_samples = |(i, lacking): &(usize, Vec<Wanted>)| (*i, self.split(*i, lacking.clone()).1);
        let pending: Vec<(usize, Vec<Wanted>)> =
            all.iter().filter(|(_, lacking)| !lacking.is_empty()).map(of_samples).collect();
        let whole = self.work(&pending);
        let progress = Progress::new(whole * images.len() as u64 / samples as u64, "evaluations");
        let needs = self.needs(&all);
        for (&seed, needs) in &needs {
            let targets = self.solved(seed, needs, &progress, |sweep, spec| {
                Targets::part(&sweep.loaded, needs, (spec, seed), &images, &sweep.kept, &progress)
            })?;
            for (i, lacking) in pending.iter().filter(|(i, _)| self.cells[*i].seed == seed) {
                interrupt::check()?;
                if !lacking.is_empty() && self.measurable(*i, lacking).is_empty() {
                    continue;
                }
                let (cell, from) = (&self.cells[*i], self.samples(*i, &targets));
                progress.say(cell.name());
                measure_part(&self.loaded, cell, from, lacking, &targets, (&images, &self.kept), &progress)?;
            }
        }
        progress.end();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("3/8".parse(), Ok(Shard { index: 2, count: 8 }));
        assert_eq!(Shard { index: 2, count: 8 }.to_string(), "3-of-8");
        for wrong in ["0/8", "9/8", "3", "3/", "a/8", "3/8/1", "1/10001", "-1/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
