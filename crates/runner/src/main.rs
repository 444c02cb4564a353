//! `fewstep`: a reproducible benchmark of few-step diffusion samplers.
//!
//! Arguments are parsed ([`cli`]) and a file of [`command`] runs them. An experiment file is checked ([`experiment`]), its
//! cells are sampled, measured and kept ([`cell`]), rows of them make a folder ([`results`]), and tables, charts and pictures are
//! made of what is in the folder alone ([`report`]). Each knows only those before it in this list: [`results`],
//! [`experiment`], [`cell`]; and [`results`], [`report`].
//!
//! What makes a run end well, whatever ends it, is for all of them: [`files`], [`lock`] and [`interrupt`].

mod assets;
mod cell;
mod cli;
mod command;
mod device;
mod experiment;
mod failure;
mod files;
#[cfg(test)]
mod fuzz;
mod interrupt;
mod lock;
mod npz;
mod progress;
mod report;
mod results;
mod source;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    quiet_pipes();
    let matches = command::with_lists(cli::Arguments::command()).get_matches();
    let arguments = cli::Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match command::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// A reader that has seen enough, as `head`, ends the program and is no failure.
fn quiet_pipes() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if message.starts_with("failed printing to std") {
            std::process::exit(0);
        }
        otherwise(panic);
    }));
}
