//! Arguments of `fewstep plan`.

use std::path::PathBuf;

use clap::Args;

/// `fewstep plan`.
#[derive(Args)]
pub struct Plan {
    /// A plan file (docs/plan-format.md), in the place of a method.
    #[arg(conflicts_with_all = ["method", "nfe", "order", "normaliser", "clip", "afs", "grid", "coefficients", "threshold"])]
    pub file: Option<PathBuf>,
    /// Such as ddim, deis, unipc-bh2; with -sn behind it for score normalisation. (An analytic first step is --afs here.)
    #[arg(long, required_unless_present_any = ["file", "diff"], requires = "nfe")]
    pub method: Option<String>,
    /// Number of network evaluations.
    #[arg(long)]
    pub nfe: Option<usize>,
    /// Analytic first step: the first prediction is x_T itself and costs no evaluation; one step more.
    #[arg(long)]
    pub afs: bool,
    /// Variable of what is printed: x, the state, or y = x/√ᾱ (default: x, or the file's own).
    #[arg(long, value_parser = ["x", "y"])]
    pub variable: Option<String>,
    /// Say what a plan does: whether a constant ε is carried exactly, orders, evaluations that nothing uses, growth of errors.
    #[arg(long)]
    pub lint: bool,
    /// Show two plan files side by side; in x where both are in x on one schedule, else and with --variable y in y.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = [
        "file", "method", "lint", "json", "nfe", "order", "normaliser", "clip", "afs", "grid", "coefficients", "threshold",
        "schedule", "size",
    ])]
    pub diff: Option<Vec<PathBuf>>,
    /// Order, where the method comes in several (default: the one its paper recommends; see below).
    #[arg(long)]
    pub order: Option<usize>,
    /// Such as trailing, quadratic, edm, log-snr-to-0.001, or a list of times with commas between.
    #[arg(long, default_value = "quadratic")]
    pub grid: String,
    /// Normaliser: CSV, or the authors' `.pt`.
    #[arg(long)]
    pub normaliser: Option<PathBuf>,
    /// Hold the normaliser constant below this entry (0-based).
    #[arg(long)]
    pub clip: Option<usize>,
    /// exact or reference.
    #[arg(long, default_value = "exact")]
    pub coefficients: String,
    /// linear, scaled-linear, cosine, simple-diffusion, continuous or edm (default: linear); a file in x has its own.
    #[arg(long)]
    pub schedule: Option<String>,
    /// Side of the images, on which simple-diffusion depends (default: 32).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub size: Option<u16>,
    /// none, clip, dynamic or dynamic-P.
    #[arg(long, default_value = "none")]
    pub threshold: String,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
