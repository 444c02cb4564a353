//! `fewstep slurm`: a sweep as a Slurm job array, one task a shard, and a job behind it that merges.

mod estimate;
mod scripts;
mod shell;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cli,
    experiment::Experiment,
    failure::{Failure, Result},
    files,
};
use scripts::Jobs;

/// Where scripts and logs go, in the results folder.
const FOLDER: &str = "slurm";
const SUBMIT: &str = "submit.sh";

/// Checks everything, writes the scripts, and submits them where that is asked for.
pub fn run(arguments: &cli::Slurm) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    if arguments.shards as usize > experiment.samples {
        return Err(Failure::Request(format!(
            "--shards {}: {} has {} images a cell; expected at most one shard for each",
            arguments.shards,
            arguments.experiment.display(),
            experiment.samples
        )));
    }
    if !arguments.estimate.is_empty() {
        return estimate::print(&experiment, arguments);
    }
    if arguments.gpus.is_some() && arguments.device.is_cpu() {
        let device = arguments.device.name();
        return Err(Failure::Request(format!("--gpus: --device {device} uses none; expected --device cuda or wgpu")));
    }
    if arguments.container.is_none() {
        arguments.device.expect_built()?;
    }
    if arguments.submit && on_path("sbatch").is_none() {
        return Err(Failure::request(
            "--submit: no sbatch on PATH; expected Slurm's commands, or no --submit and `bash submit.sh` where they are",
        ));
    }
    let jobs = Jobs::new(arguments, &experiment.name)?;
    let folder = jobs.out.join(FOLDER);
    let submit = folder.join(SUBMIT);
    for (name, text) in [("shards.sbatch", jobs.shards()), ("merge.sbatch", jobs.merge()), (SUBMIT, jobs.submit())] {
        files::write(&folder.join(name), text.as_bytes())?;
    }
    if arguments.submit {
        return submitted(&submit);
    }
    println!("{}", submit.display());
    eprintln!("to submit them where Slurm is: bash {}", shell::word(&shell::argument(&submit, "--out")?));
    Ok(())
}

/// Runs the script that submits, which prints the ids of the jobs.
fn submitted(script: &Path) -> Result<()> {
    let status = Command::new("bash").arg("--").arg(script).status();
    let status = status.map_err(|error| Failure::Run(format!("bash: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::run("not submitted: sbatch refused, for the reason above")) }
}

/// The program `name`, as a shell finds it.
fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}
