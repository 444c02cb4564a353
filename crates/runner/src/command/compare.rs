//! `fewstep compare`: whether one folder of results is a reproduction of another.

use crate::{
    cli,
    failure::{Failure, Result},
    results::{Folder, compare},
};

/// Compares cell by cell and prints the verdict; with `--check` a difference is a failure.
pub fn run(arguments: &cli::Compare) -> Result<()> {
    let (first, second) = (Folder::read(&arguments.first)?, Folder::read(&arguments.second)?);
    let found = compare(&first, &second);
    println!("{found}");
    if arguments.check && !found.is_reproduced() {
        return Err(Failure::run("not reproduced"));
    }
    Ok(())
}
