//! The command line.

mod fid;
mod fit;
mod plan;
mod slurm;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{command::Shard, device::DeviceName};
pub use fid::{Fid, Stats};
pub use fit::Fit;
pub use plan::Plan;
pub use slurm::{Slurm, WARNING};

/// A reproducible benchmark of few-step diffusion samplers.
#[derive(Parser)]
#[command(name = "fewstep", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where runs go.
pub const RUNS: &str = "out";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Sample and measure every cell of an experiment; write tables and charts.
    Sweep(Sweep),
    /// Make one run's results of the shards of a sweep, to the same bytes.
    Merge(Merge),
    /// Collect the normaliser r(τ) of an experiment's model, and draw it.
    Curve(Curve),
    /// The score's curves of several networks in one figure, with errors and how many images they take.
    Curves(Curves),
    /// Print a method's coefficients.
    Plan(Plan),
    /// Fréchet Inception distance between two sets of images or statistics.
    Fid(Fid),
    /// Collect the statistics of a set of images.
    Stats(Stats),
    /// Draw some samples of one cell.
    Sample(Sample),
    /// Train a network from a training file; a killed run goes on where it was.
    Train(Train),
    /// Fetch and check data and weights: cifar10, inception.
    Fetch {
        /// What to fetch; everything if nothing is named.
        assets: Vec<String>,
    },
    /// Compute the best plans for an experiment's network, by least squares on its own trajectories.
    Fit(Fit),
    /// Measure every method's order of convergence on Gaussian data, in double precision, and draw it; or that of plan files.
    Orders {
        /// Plan files instead, such as `mine-{nfe}.json`: those that there are from 1 to 1000 evaluations, as a table alone.
        #[arg(conflicts_with = "out")]
        plans: Option<String>,
        /// Results folder.
        #[arg(long, default_value = "out/convergence")]
        out: PathBuf,
    },
    /// Make tables, charts and the page again from a results folder.
    Report(Report),
    /// Compare two results folders cell by cell: is the one a reproduction of the other?
    Compare(Compare),
    /// Compute a row of a results folder again: do the bytes agree?
    Verify(Verify),
    /// Put a finished run into results/, where it is published.
    Publish(Publish),
    /// Write the tables and figures in texts anew from the cells that they are of.
    Documents(Documents),
    /// Write the pages of all published results and their list, for any static host.
    Site(Site),
    /// Write, and submit, a sweep as a Slurm job array of shards with a merge behind it; or say how long it would take.
    Slurm(Slurm),
}

/// `fewstep report`.
#[derive(Args)]
pub struct Report {
    /// Folder with a `cells.csv`; or with orders, curves, a fit, a training run or speeds, of which the page alone is made.
    pub results: PathBuf,
}

/// `fewstep compare`.
#[derive(Args)]
pub struct Compare {
    /// Folder with a `cells.csv`.
    pub first: PathBuf,
    /// What it may be a reproduction of.
    #[arg(required_unless_present = "methods", conflicts_with = "methods")]
    pub second: Option<PathBuf>,
    /// Two methods of the folder instead, image by image: `DEIS-SN-2; DEIS-2`, by their names in its tables.
    #[arg(long, conflicts_with = "check")]
    pub methods: Option<String>,
    /// What the images of --methods are compared by: ode_rmse or feature_rmse (default: all there are).
    #[arg(long, requires = "methods")]
    pub metric: Option<String>,
    /// Fail unless every cell of the second is there, to the last digit.
    #[arg(long)]
    pub check: bool,
}

/// `fewstep verify`.
#[derive(Args)]
pub struct Verify {
    /// Folder with a `cells.csv`, such as results/quick.
    pub results: PathBuf,
    /// Which row, for example `method=deis-sn,nfe=10` (default: any, another every time).
    #[arg(long)]
    pub row: Option<String>,
    /// The experiment's file, as it was (default: experiments/NAME.toml).
    #[arg(long)]
    pub experiment: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// `fewstep publish`.
#[derive(Args)]
pub struct Publish {
    /// Folder of a run, such as out/quick.
    pub run: PathBuf,
    /// Where to (default: results/NAME).
    #[arg(long)]
    pub to: Option<PathBuf>,
    /// Even where cells are missing, or by several builds, or by one that no commit has.
    #[arg(long)]
    pub force: bool,
}

/// `fewstep documents`.
#[derive(Args)]
pub struct Documents {
    /// Markdown files with `<!-- … -->` blocks.
    #[arg(default_values = ["README.md", "results/README.md", "benches/README.md"])]
    pub files: Vec<PathBuf>,
    /// Write nothing; fail where a text is not what the cells say.
    #[arg(long)]
    pub check: bool,
}

/// `fewstep site`.
#[derive(Args)]
pub struct Site {
    /// Where results are published.
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
    /// Where the pages go: `index.html`, and one a folder of results.
    #[arg(long, default_value = "docs")]
    pub out: PathBuf,
    /// Write nothing; fail where a page is not what the files say.
    #[arg(long)]
    pub check: bool,
}

/// `fewstep sweep`.
#[derive(Args)]
pub struct Sweep {
    /// Experiment file.
    #[arg(default_value = "experiments/quick.toml")]
    pub experiment: PathBuf,
    /// Where results go, and on what device.
    #[command(flatten)]
    pub run: Run,
    /// Only cells with these values, for example `method=deis-sn,nfe=10`.
    #[arg(long)]
    pub only: Option<String>,
    /// Evaluate everything where it is needed, known or not: the same figures, later.
    #[arg(long)]
    pub no_reuse: bool,
    /// Where another run writes there, take the cells that nobody has, and do not wait for its end.
    #[arg(long, conflicts_with = "fresh")]
    pub join: bool,
    /// Take from other results of this network, as published ones, the cells that are this experiment's too, where the same code on the same kind
    /// of processor measured them with the same things; more than once for several.
    #[arg(long, value_name = "RESULTS", conflicts_with_all = ["fresh", "shard"])]
    pub take: Vec<PathBuf>,
    /// Only the I-th of N parts of the images of every cell, `I/N`, into `shards/I-of-N` there, for `merge`.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["only", "join"])]
    pub shard: Option<Shard>,
}

/// `fewstep merge`.
#[derive(Args)]
pub struct Merge {
    /// Results folder to make.
    pub out: PathBuf,
    /// All shards, such as `OUT/shards/*`.
    #[arg(required = true)]
    pub shards: Vec<PathBuf>,
    /// The experiment's file, where it is not where the shards found it.
    #[arg(long)]
    pub experiment: Option<PathBuf>,
}

/// What long runs have in common.
#[derive(Args)]
pub struct Run {
    /// Results folder (default: out/EXPERIMENT).
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
    /// Begin again, whatever is already done.
    #[arg(long)]
    pub fresh: bool,
}

impl Run {
    /// The results folder of the experiment `name`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new(RUNS).join(name))
    }
}

/// `fewstep curve`.
#[derive(Args)]
pub struct Curve {
    /// Experiment file with a [normaliser.collect] table.
    pub experiment: PathBuf,
    /// CSV to write; the figure goes beside it (default: out/EXPERIMENT/normaliser.csv).
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// `fewstep curves`.
#[derive(Args)]
pub struct Curves {
    /// Experiment files: of each the model, and where it has one the [normaliser.collect] table's evaluations, grid and seed.
    #[arg(required = true)]
    pub experiments: Vec<PathBuf>,
    /// Curves that others published, `tau,mean_abs_eps` or the authors' `.pt`, on the linear schedule.
    #[arg(long, num_args = 1..)]
    pub published: Vec<PathBuf>,
    /// Images of each network.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub images: u32,
    /// Folder of the tables, the figure and the page.
    #[arg(long, default_value = "out/curves")]
    pub out: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// `fewstep sample`.
#[derive(Args)]
pub struct Sample {
    /// Experiment file.
    pub experiment: PathBuf,
    /// One of the experiment's methods, by its name: deis-sn, ddim-afs with an analytic first step; of a plan file, its label.
    #[arg(long)]
    pub method: String,
    /// Number of network evaluations.
    #[arg(long)]
    pub nfe: usize,
    /// Degree of the extrapolation, where the experiment has the method with several.
    #[arg(long)]
    pub order: Option<usize>,
    /// Its grid, where the experiment has the method on several; `own` of a plan file's own levels.
    #[arg(long)]
    pub grid: Option<String>,
    /// exact, reference, or given by a plan file, where the experiment has the method with several.
    #[arg(long)]
    pub coefficients: Option<String>,
    /// none, clip, dynamic or dynamic-P, where the experiment has the method with several.
    #[arg(long)]
    pub threshold: Option<String>,
    /// PNG of the images to write, or `.npz` of x_0 as it is: `arr_0`, f32 [n, 3, size, size].
    #[arg(long)]
    pub out: PathBuf,
    /// How many images (default: 64, or as many as --noise has).
    #[arg(long)]
    pub samples: Option<usize>,
    /// Start from this noise and not from the experiment's: `.npz` with `arr_0`, f32 [n, 3, size, size] of variance 1.
    #[arg(long)]
    pub noise: Option<PathBuf>,
    /// Write x_T, what the images were made of, to this `.npz`.
    #[arg(long)]
    pub save_noise: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// `fewstep train`.
#[derive(Args)]
pub struct Train {
    /// Training file.
    pub experiment: PathBuf,
    /// Where weights, loss curve and samples go, and on what device.
    #[command(flatten)]
    pub run: Run,
}
