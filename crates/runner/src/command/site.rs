//! `fewstep site`: the pages of all published results, and the list of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    cli,
    failure::{Failure, Result},
    files,
    report::{
        figures::{self, Figures},
        page, site,
    },
    results::Folder,
};

/// Writes what is not there as the files say, or names it.
pub fn run(arguments: &cli::Site) -> Result<()> {
    let cli::Site { results, out, check } = arguments;
    let pages = pages(results)?;
    let mut wrong = Vec::new();
    for (name, text) in &pages {
        let path = out.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        wrong.push(format!("{}: not what the files say", path.display()));
        if !check {
            files::write(&path, text.as_bytes())?;
            println!("{}: written anew", path.display());
        }
    }
    for path in strangers(out, &pages)? {
        wrong.push(format!("{}: of no published results", path.display()));
        if !check {
            files::remove(&path)?;
            println!("{}: of no published results, and removed", path.display());
        }
    }
    match wrong.first().filter(|_| *check) {
        Some(wrong) => Err(Failure::Run(format!("{wrong}; run `fewstep site`"))),
        None => {
            println!("{}: {} pages as the files say", out.display(), pages.len());
            Ok(())
        }
    }
}

/// Published results that the list begins with.
const FIRST: [&str; 10] = [
    "fid-solution",
    "quick",
    "solvers",
    "cross",
    "fitted",
    "fit-choices",
    "curves",
    "curve-swap",
    "convergence",
    "bench",
];

/// Texts by the names of their files.
fn pages(results: &Path) -> Result<BTreeMap<String, String>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in results.read_dir().map_err(Failure::file(results))? {
        folders.push(entry.map_err(Failure::file(results))?.path());
    }
    let mut all: Vec<(PathBuf, Option<Figures>)> = Vec::new();
    for path in folders {
        let without_cells = figures::of(&path)?;
        if without_cells.is_some() || Folder::is_at(&path) {
            all.push((path, without_cells));
        }
    }
    // What most come for stands first.
    let place = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default();
        FIRST.iter().position(|first| name == *first).unwrap_or(FIRST.len())
    };
    all.sort_by(|(a, _), (b, _)| (place(a), a).cmp(&(place(b), b)));
    if all.is_empty() {
        return Err(Failure::Request(format!("{}: no folder of results", results.display())));
    }
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = all.iter().map(|(path, _)| name_of(path)).collect();
    let (mut pages, mut entries) = (BTreeMap::new(), Vec::new());
    for (path, without_cells) in &mut all {
        let name = name_of(path);
        let (text, entry) = match without_cells {
            Some(figures) => {
                figures.link_to(&names);
                (figures::html(figures)?, site::Entry::of_figures(name.clone(), figures))
            }
            None => {
                let folder = Folder::read(path)?;
                (page::html(path, &folder)?, site::Entry::of(name.clone(), &folder))
            }
        };
        pages.insert(format!("{name}.html"), text);
        entries.push(entry);
    }
    pages.insert(site::INDEX.to_owned(), site::index(&entries));
    Ok(pages)
}

/// Pages that are of nothing that is published any more. Only what such a page begins with is taken for one.
fn strangers(out: &Path, pages: &BTreeMap<String, String>) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in out.read_dir().into_iter().flatten() {
        let path = entry.map_err(Failure::file(out))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "html")
            && !pages.contains_key(&name)
            && files::text(&path)?.starts_with(page::MARK)
        {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}
