//! `fewstep verify`: computes a published row again, and says whether the bytes agree.

use std::{
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
};

use super::{selection::Selection, sweep};
use crate::{
    cli,
    experiment::Experiment,
    failure::{Failure, Result},
    results::{BUILD, Folder, Metric, Record, compare},
};

/// Where experiments are, from the root of the repository.
const EXPERIMENTS: &str = "experiments";

/// Computes the row again in a folder of its own and compares; a difference is a failed run.
pub fn run(arguments: &cli::Verify) -> Result<()> {
    let published = Folder::read(&arguments.results)?;
    let experiment = experiment(arguments, &published)?;
    let rows: Vec<&Record> = published.records.iter().filter(|record| !record.is_solution()).collect();
    let row = match &arguments.row {
        Some(row) => {
            let selection = Selection::parse(row, &experiment)?;
            let all: Vec<&&Record> = rows.iter().filter(|record| selection.is_of(record)).collect();
            match all[..] {
                [one] => *one,
                _ => return Err(several(row, &all, &arguments.results)),
            }
        }
        None => any(&rows)
            .ok_or_else(|| Failure::Request(format!("{}: no row of a method", arguments.results.display())))?,
    };
    let work = tempfile::tempdir().map_err(Failure::file(&std::env::temp_dir()))?;
    let out = work.path().join("verified");
    let again = sweep::only(experiment, arguments.device, &out, &Selection::of(row))?;
    let is_row = |record: &&Record| record.cell() == row.cell();
    let of_row =
        |folder: &Folder| Folder { records: folder.records.iter().filter(is_row).cloned().collect(), ..folder.clone() };
    let (again, published) = (of_row(&again), of_row(&published));
    let found = compare(&again, &published);
    println!("{}", row.cell());
    for metric in Metric::ALL {
        let value = |folder: &Folder| folder.records.first().and_then(|record| record.metric(metric));
        if let (Some(again), Some(published)) = (value(&again), value(&published)) {
            println!("  {} {again}, published {published}", metric.name());
        }
    }
    let of_images = |folder: &Folder| {
        folder
            .per_image
            .iter()
            .filter(|((cell, _), _)| *cell == row.cell())
            .map(|(key, values)| (key.clone(), values.clone()))
            .collect::<Vec<_>>()
    };
    let (images, expected) = (of_images(&again), of_images(&published));
    let same_images = images == expected;
    let count: usize = expected.iter().map(|(_, values)| values.len()).sum();
    println!("  {count} figures of images {}", if same_images { "agree to the last bit" } else { "differ" });
    // What two runs of one experiment may differ in.
    let figures = |folder: &Folder| {
        let timeless = |record: &Record| Record {
            seconds_sample: 0.0,
            seconds_features: 0.0,
            device: String::new(),
            build: String::new(),
            ..record.clone()
        };
        folder.records.first().map(timeless)
    };
    let [own, theirs] = [&again, &published].map(figures);
    let key = |record: &Option<Record>| record.as_ref().map(|record| record.key.clone()).unwrap_or_default();
    if key(&own) != key(&theirs) {
        println!("  the key differs: the plan, the network, the noise or the code is another than it says");
    } else if own != theirs && found.is_reproduced() {
        println!("  its errors differ, or what else the row says");
    }
    println!("by build {BUILD}, published by {}", row.build);
    if own == theirs && same_images && found.is_reproduced() {
        println!("{found}");
        return Ok(());
    }
    if !found.is_reproduced() {
        println!("{found}");
    }
    Err(Failure::run("not reproduced"))
}

/// The experiment's file, as it was when the results were made.
fn experiment(arguments: &cli::Verify, published: &Folder) -> Result<Experiment> {
    let name = &published.provenance.experiment;
    let beside = || Path::new(EXPERIMENTS).join(format!("{name}.toml"));
    let path: PathBuf = arguments.experiment.clone().unwrap_or_else(beside);
    let experiment = Experiment::read(&path)?;
    if experiment.hash != published.provenance.experiment_sha256 {
        let (path, results) = (path.display(), arguments.results.display());
        return Err(Failure::Request(format!(
            "{path}: not the text that {results} was measured by (provenance.toml: experiment_sha256); expected that, by --experiment"
        )));
    }
    Ok(experiment)
}

/// One of them, another every time.
fn any<'a>(rows: &[&'a Record]) -> Option<&'a Record> {
    let number = RandomState::new().hash_one(std::process::id()) as usize;
    rows.get(number % rows.len().max(1)).copied()
}

fn several(row: &str, all: &[&&Record], results: &Path) -> Failure {
    let names: Vec<String> = all.iter().take(5).map(|record| record.cell()).collect();
    let more = if all.len() > 5 { ", …" } else { "" };
    Failure::Request(format!(
        "--row {row}: {} rows of {}; expected one: {}{more}",
        all.len(),
        results.display(),
        names.join(", ")
    ))
}
