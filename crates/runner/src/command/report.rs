//! `fewstep report`: tables, charts and the page of a results folder again; of one without cells the page.

use crate::{
    cli,
    failure::{Failure, Result},
    lock, report,
    results::Folder,
};

/// Reads the cells and draws them.
pub fn run(arguments: &cli::Report) -> Result<()> {
    // A page without cells is of files that are whole, also while a training run holds the folder.
    if report::figures::write(&arguments.results)? {
        println!("{}", arguments.results.join(report::page::FILE).display());
        return Ok(());
    }
    // Of no folder that is none: nothing is made there.
    Folder::read(&arguments.results)?;
    let _lock = lock::writing(&arguments.results)?;
    // Of a sweep with --join, which does not wait for the other.
    let _tables = super::sweep::hold_tables(&arguments.results)?;
    let folder = Folder::read(&arguments.results)?;
    if let Some(name) = folder.changed(&arguments.results)? {
        let message = format!(
            "{}: not what was measured: provenance.toml has another hash of it; what measured it writes it again from what it kept",
            arguments.results.join(name).display()
        );
        return Err(Failure::Request(message));
    }
    report::write(&arguments.results, &folder)?;
    Ok(())
}
