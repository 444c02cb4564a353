//! `fewstep`: a reproducible benchmark of few-step diffusion samplers.
//!
//! Arguments are parsed ([`cli`]), an experiment file is checked ([`experiment`]), its cells are measured and
//! written one by one ([`sweep`]), and tables and charts are made of what was written ([`report`]).

mod assets;
mod chart;
mod cli;
mod commands;
mod curve;
mod device;
mod experiment;
mod failure;
mod files;
mod measure;
mod metric;
mod mosaic;
mod noise;
mod orders;
mod prepare;
mod progress;
mod provenance;
mod published;
mod record;
mod report;
mod sampling;
mod series;
mod source;
mod sweep;
mod training;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match commands::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
