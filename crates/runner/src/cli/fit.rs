//! Arguments of `fewstep fit`.

use std::path::PathBuf;

use clap::Args;

use crate::device::DeviceName;

/// `fewstep fit`.
#[derive(Args)]
pub struct Fit {
    /// Experiment file; its `fit` table says how, where arguments do not.
    pub experiment: PathBuf,
    /// Numbers of evaluations, a plan for each.
    #[arg(long, value_delimiter = ',', default_value = "3,4,5,6,8,10")]
    pub nfe: Vec<usize>,
    /// Folder for plans and tables (default: out/EXPERIMENT-fit).
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Images that plans are fitted to.
    #[arg(long)]
    pub images: Option<usize>,
    /// Images by which stages are chosen.
    #[arg(long)]
    pub validation: Option<usize>,
    /// Predictions that a step may use.
    #[arg(long)]
    pub history: Option<usize>,
    /// Earlier states that a step may use.
    #[arg(long)]
    pub states: Option<usize>,
    /// consistent (a constant ε is exact), unit (factors of states of y = x/√ᾱ add up to 1) or free.
    #[arg(long)]
    pub constraint: Option<String>,
    /// What levels and the joint stage minimise: bands (relative to the solution's power by octave of frequency), white (the same by coefficient), spectrum (bands, and amplitudes), pooled (8×8 means, which is what fd_pixel looks at), inception (FID's features; needs `fewstep fetch inception`) or rms.
    #[arg(long)]
    pub objective: Option<String>,
    /// Some of coefficients,path,grid,levels,joint.
    #[arg(long, value_delimiter = ',')]
    pub stages: Option<Vec<String>>,
    /// The grid to begin with.
    #[arg(long)]
    pub grid: Option<String>,
    /// Most steps of the joint stage.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Also find the normaliser r(τ) under which DEIS-2 is nearest to the solutions.
    #[arg(long)]
    pub curve: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
    /// Begin again, whatever is already done.
    #[arg(long)]
    pub fresh: bool,
}
