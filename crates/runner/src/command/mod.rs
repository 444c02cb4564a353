//! The commands, a file each.

mod compare;
mod curve;
mod curves;
mod documents;
mod fetch;
mod fid;
mod fit;
mod folders;
mod help;
mod orders;
mod plan;
mod publish;
mod report;
mod sample;
mod score_curve;
mod selection;
mod site;
mod slurm;
mod stats;
mod sweep;
mod train;
mod verify;

pub use help::with_lists;
pub use sweep::Shard;
#[cfg(test)]
pub use train::check as check_training;

use crate::{cli::Command, failure::Result};

/// Runs a command.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Merge(arguments) => sweep::merge(&arguments),
        Command::Curve(arguments) => curve::run(&arguments),
        Command::Curves(arguments) => curves::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Fit(arguments) => fit::run(&arguments),
        Command::Fid(arguments) => fid::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Fetch { assets } => fetch::run(&assets),
        Command::Orders { plans: Some(pattern), .. } => orders::of_plans(&pattern),
        Command::Orders { out, .. } => orders::run(&out),
        Command::Report(arguments) => report::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Documents(arguments) => documents::run(&arguments),
        Command::Site(arguments) => site::run(&arguments),
        Command::Slurm(arguments) => slurm::run(&arguments),
    }
}
