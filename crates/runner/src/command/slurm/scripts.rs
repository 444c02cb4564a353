//! The texts of the scripts: what is in `assets/slurm/`, filled in.

use std::path::{Path, PathBuf};

use super::shell::{argument, fill, text, word};
use crate::{
    assets,
    cli::{Slurm, WARNING},
    command::folders::run_folder,
    failure::{Failure, Result},
};

const SHARDS: &str = include_str!("../../../assets/slurm/shards.sbatch");
const MERGE: &str = include_str!("../../../assets/slurm/merge.sbatch");
const SUBMIT: &str = include_str!("../../../assets/slurm/submit.sh");

/// Longest name of a job.
const NAME: usize = 60;

/// What the scripts say, every path as a word of a shell.
pub struct Jobs<'a> {
    arguments: &'a Slurm,
    /// The results folder, as it was named.
    pub out: PathBuf,
    /// Of the jobs.
    name: String,
    /// Where all paths of commands start from: the folder that this command runs in.
    folder: String,
    experiment: String,
    out_word: String,
    /// `export` lines.
    environment: String,
    /// What runs `fewstep`.
    command: String,
}

impl<'a> Jobs<'a> {
    /// Nothing is written.
    ///
    /// # Errors
    /// Paths that no script can hold; a container's image that is not there.
    pub fn new(arguments: &'a Slurm, experiment: &str) -> Result<Self> {
        let here = std::env::current_dir().map_err(|error| Failure::Request(format!("this folder: {error}")))?;
        let out = arguments.out.clone().unwrap_or_else(|| run_folder(experiment));
        let cache = assets::chosen_cache().map(|cache| here.join(cache));
        let mut environment = Vec::new();
        if let Some(cache) = &cache {
            environment.push(format!("export FEWSTEP_CACHE={}", word(&text(cache, "FEWSTEP_CACHE")?)));
        }
        if let Some(cpus) = arguments.cpus {
            // Slurm does not keep a process from seeing more cores than it was given on every cluster.
            environment.push(format!("export RAYON_NUM_THREADS={cpus}"));
        }
        let program = match &arguments.container {
            None => {
                let program = std::env::current_exe();
                let program = program.map_err(|error| Failure::Request(format!("this program's own path: {error}")))?;
                word(&text(&program, "this program")?)
            }
            Some(image) => {
                let beside = arguments.experiment.parent().map(|folder| here.join(folder));
                // What is not there cannot be bound; the results folder is by the time that a job runs.
                let cache = cache.filter(|cache| cache.is_dir());
                let folders = [Some(here.clone()), beside, Some(here.join(&out)), cache];
                contained(image, &here, folders.into_iter().flatten(), arguments.gpus.is_some())?
            }
        };
        Ok(Jobs {
            arguments,
            name: job_name(experiment),
            folder: word(&text(&here, "this folder")?),
            experiment: word(&argument(&arguments.experiment, "experiment")?),
            out_word: word(&argument(&out, "--out")?),
            out,
            environment: environment.join("\n"),
            command: program,
        })
    }

    /// The job array.
    pub fn shards(&self) -> String {
        let Slurm { shards, max_running, .. } = self.arguments;
        let most = max_running.map(|most| format!("%{most}")).unwrap_or_default();
        let mut options = self.options("shards", "shard-%a.log");
        options.push(format!("array=1-{shards}{most}"));
        options.push(format!("signal=B:TERM@{WARNING}"));
        self.fill(SHARDS, options)
    }

    /// The job behind it.
    pub fn merge(&self) -> String {
        let mut options = self.options("merge", "merge.log");
        options.push("kill-on-invalid-dep=yes".into());
        self.fill(MERGE, options)
    }

    /// What submits both.
    pub fn submit(&self) -> String {
        SUBMIT.to_owned()
    }

    /// What both jobs have.
    fn options(&self, what: &str, log: &str) -> Vec<String> {
        let Slurm { partition, account, cpus, gpus, time, memory, .. } = self.arguments;
        let some = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={value}"));
        let mut options = vec![
            format!("job-name={}-{what}", self.name),
            format!("output={log}"),
            "open-mode=append".into(),
            "requeue".into(),
            "ntasks=1".into(),
        ];
        options.extend(some("partition", partition));
        options.extend(some("account", account));
        options.extend(cpus.map(|cpus| format!("cpus-per-task={cpus}")));
        // The merge opens the device too: what is measured at its end is measured there.
        options.extend(gpus.as_ref().map(|gpus| format!("gres=gpu:{gpus}")));
        options.extend(some("mem", memory));
        options.extend(some("time", time));
        options
    }

    fn fill(&self, template: &str, options: Vec<String>) -> String {
        let options: Vec<String> = options.into_iter().map(|option| format!("#SBATCH --{option}")).collect();
        fill(
            template,
            &[
                ("OPTIONS", &options.join("\n")),
                ("ENVIRONMENT", &self.environment),
                ("FOLDER", &self.folder),
                ("COMMAND", &self.command),
                ("EXPERIMENT", &self.experiment),
                ("OUT", &self.out_word),
                ("DEVICE", self.arguments.device.name()),
                ("SHARDS", &self.arguments.shards.to_string()),
                ("WARNING", &WARNING.to_string()),
            ],
        )
    }
}

/// What Slurm's own lists show.
fn job_name(experiment: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    format!("fewstep-{}", experiment.chars().map(plain).take(NAME).collect::<String>())
}

/// `apptainer exec` of the image's own `fewstep`, with `folders` where they are outside.
fn contained(image: &str, here: &Path, folders: impl Iterator<Item = PathBuf>, gpu: bool) -> Result<String> {
    let image = match image.split_once("://") {
        Some((scheme, _)) if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            text(Path::new(image), "--container")?
        }
        _ if Path::new(image).exists() => argument(Path::new(image), "--container")?,
        _ => {
            return Err(Failure::Request(format!(
                "--container {image}: no such file; expected an image, or an address such as docker://…"
            )));
        }
    };
    let mut words = vec!["apptainer".to_owned(), "exec".into()];
    words.extend(gpu.then(|| "--nv".to_owned()));
    let mut bound: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !bound.iter().any(|outer| folder.starts_with(outer)) {
            bound.push(folder);
        }
    }
    for folder in &bound {
        let path = text(folder, "a folder to bind into the container")?;
        // In --bind these begin another place, or another folder.
        if path.contains([':', ',']) {
            return Err(Failure::Request(format!(
                "{path}: cannot be bound into a container; expected no ':' and no ','"
            )));
        }
        words.extend(["--bind".into(), word(&path)]);
    }
    words.extend(["--pwd".into(), word(&text(here, "this folder")?), word(&image), "fewstep".into()]);
    Ok(words.join(" "))
}
