//! `fewstep`: a reproducible benchmark of few-step diffusion samplers.
//!
//! Arguments are parsed ([`cli`]) and a file of [`command`] runs them. An experiment file is checked ([`experiment`]), its
//! cells are sampled, measured and kept ([`cell`]), rows of them make a folder ([`results`]), and tables, charts and pictures are
//! made of what is in the folder alone ([`report`]). Each knows only those before it in this list: [`results`],
//! [`experiment`], [`cell`]; and [`results`], [`report`].
//!
//! What makes a run end well, whatever ends it, is for all of them: [`files`], [`lock`], [`interrupt`] and [`output`].

/// As the standard library's, which panic where nobody listens any more: nothing that cannot be said ends a run ([`output`]).
macro_rules! print {
    ($($text:tt)*) => {
        $crate::output::out(format_args!($($text)*))
    };
}
macro_rules! println {
    ($($text:tt)*) => {
        $crate::output::out(format_args!("{}\n", format_args!($($text)*)))
    };
}
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::output::error(format_args!("{}\n", format_args!($($text)*)))
    };
}

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
mod output;
mod progress;
mod report;
mod results;
mod source;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let matches = command::with_lists(cli::Arguments::command()).get_matches();
    let arguments = cli::Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match command::run(arguments.command).and_then(|()| output::end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
