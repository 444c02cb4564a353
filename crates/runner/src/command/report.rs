//! `fewstep report`: tables, charts and the page of a results folder again.

use crate::{cli, failure::Result, lock, report, results::Folder};

/// Reads the cells and draws them.
pub fn run(arguments: &cli::Report) -> Result<()> {
    // Of no folder that is none: nothing is made there.
    if report::figures::of(&arguments.results)?.is_none() {
        Folder::read(&arguments.results)?;
    }
    let _lock = lock::writing(&arguments.results)?;
    // Of a sweep with --join, which does not wait for the other.
    let _tables = super::sweep::hold_tables(&arguments.results)?;
    if report::figures::write(&arguments.results)? {
        println!("{}", arguments.results.join(report::page::FILE).display());
        return Ok(());
    }
    report::write(&arguments.results, &Folder::read(&arguments.results)?)?;
    Ok(())
}
