//! `fewstep report`: tables, charts and the page of a results folder again.

use crate::{cli, failure::Result, report, results::Folder};

/// Reads the cells and draws them.
pub fn run(arguments: &cli::Report) -> Result<()> {
    report::write(&arguments.results, &Folder::read(&arguments.results)?)?;
    Ok(())
}
