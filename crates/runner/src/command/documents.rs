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

/// The published results nearest to a text: in its folder or one above.
fn results_of(path: &Path) -> PathBuf {
    let folder = files::parent(path);
    let beside = folder.join(PUBLISHED);
    if !beside.is_dir() && folder.ends_with(PUBLISHED) { folder } else { beside }
}
