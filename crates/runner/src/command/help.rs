//! What `--help` lists besides arguments: methods, grids and schedules, from where they are defined.

use clap::Command;
use fewstep_sampler::{Method, Schedule};

/// The command line with the lists behind it.
pub fn with_lists(command: Command) -> Command {
    let lists = lists();
    command.mut_subcommand("plan", |plan| plan.after_help(lists.clone())).after_help(lists)
}

fn lists() -> String {
    let mut names: Vec<String> = Method::all().into_iter().filter(|m| !m.normalise).map(Method::name).collect();
    names.dedup();
    format!(
        "Methods: {}; -sn behind a name asks for score normalisation.\nSchedules: {}.",
        names.join(", "),
        Schedule::NAMES.join(", ")
    )
}
