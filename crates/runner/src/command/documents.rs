//! `fewstep documents`: tables and figures in texts, from the cells that they are of.

use std::path::{Path, PathBuf};

use super::folders::PUBLISHED;
use crate::{
    cli,
    failure::{Failure, Result},
    files,
    report::documents::rewrite,
};

/// Writes every block anew, or says which text is not what the cells say.
pub fn run(arguments: &cli::Documents) -> Result<()> {
    for path in &arguments.files {
        let text = files::text(path)?;
        let new = rewrite(&text, path, &results_of(path))?;
        if new == text {
            println!("{}: as the cells say", path.display());
            continue;
        }
        if arguments.check {
            let line = 1 + text.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
            return Err(Failure::Run(format!(
                "{}:{line}: not what the cells say; run `fewstep documents`",
                path.display()
            )));
        }
        files::write(path, new.as_bytes())?;
        println!("{}: written anew", path.display());
    }
    Ok(())
}

/// The published results nearest to a text: around it, or in its folder or one above.
fn results_of(path: &Path) -> PathBuf {
    let folder = files::parent(path);
    let around = |folder: &Path| folder.ends_with(PUBLISHED).then(|| folder.to_owned());
    let beside = |folder: &Path| Some(folder.join(PUBLISHED)).filter(|beside| beside.is_dir());
    let above = folder.ancestors().find_map(|folder| beside(folder).or_else(|| around(folder)));
    above.unwrap_or_else(|| folder.join(PUBLISHED))
}
