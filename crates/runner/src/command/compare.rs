//! `fewstep compare`: whether one folder of results is a reproduction of another.

use crate::{
    cli,
    failure::Result,
    results::{Folder, compare},
};

/// Compares cell by cell and prints the verdict.
pub fn run(arguments: &cli::Compare) -> Result<()> {
    let (first, second) = (Folder::read(&arguments.first)?, Folder::read(&arguments.second)?);
    println!("{}", compare(&first, &second));
    Ok(())
}
