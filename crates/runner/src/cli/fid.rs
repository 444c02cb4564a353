//! `fewstep fid` and `fewstep stats`.

use std::path::PathBuf;

use clap::Args;
use fewstep_fid::Protocol;

use crate::device::DeviceName;

/// `fewstep fid`.
#[derive(Args)]
pub struct Fid {
    /// Folder of images, `.npz` of images or of statistics, LMDB of images, statistics file, or cifar10:train, cifar10:test.
    pub images: PathBuf,
    /// What to compare with; the same kinds. With --save-stats, the `.npz` to write.
    pub reference: PathBuf,
    /// How images are shown to the network: pytorch-fid, tensorflow (EDM's and ADM's papers) or clean (clean-fid). Statistics that do not name
    /// theirs, `.npz`, are taken to be of it.
    #[arg(long, default_value = "pytorch-fid", value_parser = protocol)]
    pub protocol: Protocol,
    /// Write the statistics of the first, `mu` and `sigma`, to the second, as pytorch-fid does.
    #[arg(long, conflicts_with_all = ["json", "kid", "prdc", "is", "sfid", "error", "bootstrap", "limit"])]
    pub save_stats: bool,
    /// Images that go through the network together: no figure depends on it.
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch_size: u16,
    /// Features: 2048, those of pool3. pytorch-fid's 64, 192 and 768 are not here.
    #[arg(long, default_value = "2048")]
    pub dims: u32,
    /// Weights of DINOv2 or CLIP, `.safetensors` with config.json beside it: everything in its features and not in Inception's
    /// (docs/features.md).
    #[arg(long, conflicts_with_all = ["dims", "protocol", "is", "sfid"])]
    pub features: Option<PathBuf>,
    /// Also the distance's standard error over the images of the first set, to first order (docs/measures.md).
    #[arg(long)]
    pub error: bool,
    /// Also that error, and an interval, by so many resamples of the first set's images: of 2048 features some two seconds each.
    #[arg(long, value_name = "RESAMPLES", value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub bootstrap: Option<u32>,
    /// Of the generator that draws them.
    #[arg(long, default_value = "0", requires = "bootstrap")]
    pub seed: u64,
    /// Also FID∞, the distance's limit of many images.
    #[arg(long)]
    pub limit: bool,
    /// Also KID, the kernel Inception distance, over seeded subsets of both sets of images.
    #[arg(long)]
    pub kid: bool,
    /// How many subsets.
    #[arg(long, default_value = "100", requires = "kid", value_parser = clap::value_parser!(u16).range(1..))]
    pub kid_subsets: u16,
    /// Images of each.
    #[arg(long, default_value = "1000", requires = "kid", value_parser = clap::value_parser!(u32).range(2..))]
    pub kid_subset_size: u32,
    /// Also precision and recall, density and coverage of the first set (fake) against the second (real).
    #[arg(long)]
    pub prdc: bool,
    /// Which neighbour's distance is their radius.
    #[arg(long, default_value = "5", requires = "prdc", value_parser = clap::value_parser!(u16).range(1..))]
    pub nearest: u16,
    /// Also the Inception Score of the first set; of weights with the last layer.
    #[arg(long = "is")]
    pub is: bool,
    /// In how many parts of the images, in their order.
    #[arg(long, default_value = "10", requires = "is", value_parser = clap::value_parser!(u16).range(1..))]
    pub is_splits: u16,
    /// Also sFID, of an intermediate layer's spatial features; of statistics, an `.npz` that has `mu_s` and `sigma_s`.
    #[arg(long)]
    pub sfid: bool,
    /// Taken for pytorch-fid's sake: images are read where they are needed, and all cores compute.
    #[arg(long)]
    pub num_workers: Option<u16>,
    /// Take the centre square of every image, resized by area to this side.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub crop: Option<u16>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// `fewstep stats`.
#[derive(Args)]
pub struct Stats {
    /// Folder of images, `.npz`, LMDB, or cifar10:train, cifar10:test.
    pub images: PathBuf,
    /// Statistics file to write (`.safetensors`).
    #[arg(long)]
    pub out: PathBuf,
    /// Take the centre square of every image, resized by area to this side: 64 for LSUN-Church 64×64.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub crop: Option<u16>,
    /// fid-inception-pool3, pixel-8x8, or the `.safetensors` of DINOv2 or CLIP (docs/features.md).
    #[arg(long, default_value = "fid-inception-pool3")]
    pub features: String,
    /// How images are shown to Inception: pytorch-fid (default), tensorflow or clean.
    #[arg(long, value_parser = protocol)]
    pub protocol: Option<Protocol>,
    /// Round the covariance to f32: half the size.
    #[arg(long)]
    pub compact: bool,
    /// Keep every image's features too, 8 KiB an image of Inception: `fid` then has --error, --bootstrap, --limit, --kid, --prdc and --is of them
    /// without the images.
    #[arg(long)]
    pub rows: bool,
    /// Write over a file of other statistics.
    #[arg(long)]
    pub replace: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
}

/// A protocol by its name.
fn protocol(name: &str) -> Result<Protocol, String> {
    Protocol::named(name)
        .ok_or_else(|| format!("no protocol '{name}'; expected {}", Protocol::ALL.map(Protocol::name).join(", ")))
}
