//! Pages of results that have no cells: the score's curves, orders of convergence, speed beside other programs, a training run, a fit.
//! One file each, like the pages of cells: charts that answer to the pointer, tables that sort and filter, and where it all comes from.

mod kinds;
mod origin;
#[cfg(test)]
mod tests;

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{
    csv_table::{Csv, shortened},
    look::Colour,
    page::{self, provenance::Section},
};
use crate::{
    failure::{Failure, Result},
    files,
    results::Folder,
};

/// What such a page shows.
#[derive(Serialize)]
pub struct Figures {
    /// Above it.
    pub title: String,
    /// Its name; the folder's, where nothing gives it one.
    experiment: String,
    /// What was found, computed from the files; the first sentence is what a list of pages says.
    pub found: Vec<String>,
    /// How it was measured.
    pub about: String,
    charts: Vec<Plot>,
    pictures: Vec<Picture>,
    tables: Vec<Table>,
    /// Pages of the same site with what belongs to it: names and words.
    links: Vec<(&'static str, &'static str)>,
    provenance: Vec<Section>,
}

impl Figures {
    fn new(title: &str, about: &str, found: Vec<String>) -> Self {
        Figures {
            title: title.into(),
            experiment: String::new(),
            found,
            about: about.into(),
            charts: Vec::new(),
            pictures: Vec::new(),
            tables: Vec::new(),
            links: Vec::new(),
            provenance: Vec::new(),
        }
    }

    /// Leaves those links whose pages are among `pages`.
    pub fn link_to(&mut self, pages: &[String]) {
        self.links.retain(|(name, _)| pages.iter().any(|page| page == name));
    }
}

/// A chart.
#[derive(Serialize)]
struct Plot {
    name: String,
    x: &'static str,
    y: String,
    log_x: bool,
    log_y: bool,
    /// Whether points are too many to be marked.
    dense: bool,
    lines: Vec<Curve>,
}

/// A line of it.
#[derive(Default, Serialize)]
struct Curve {
    label: String,
    colour: Colour,
    dashed: bool,
    hollow: bool,
    x: Vec<f64>,
    y: Vec<f64>,
    /// Standard errors; none where they are not known.
    errors: Vec<f64>,
}

#[derive(Serialize)]
struct Picture {
    about: String,
    source: String,
}

#[derive(Serialize)]
struct Table {
    about: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// All columns of a file.
    fn of(about: impl Into<String>, file: &Csv) -> Result<Self> {
        let names: Vec<&str> = file.names().collect();
        Self::some(about, file, &names)
    }

    fn some(about: impl Into<String>, file: &Csv, names: &[&str]) -> Result<Self> {
        let columns = names.iter().map(|name| file.column(name)).collect::<Result<Vec<_>>>()?;
        let count = columns.first().map_or(0, Vec::len);
        let rows = (0..count).map(|i| columns.iter().map(|column| shortened(column[i])).collect()).collect();
        let columns = names.iter().map(|name| name.replace('_', " ")).collect();
        Ok(Table { about: about.into(), columns, rows })
    }
}

impl Picture {
    /// Of a file that there may be.
    fn of(path: &Path, about: impl Into<String>) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(path).map_err(Failure::file(path))?;
        let kind = if path.extension().is_some_and(|ending| ending == "svg") { "svg+xml" } else { "png" };
        let source = format!("data:image/{kind};base64,{}", STANDARD.encode(bytes));
        Ok(Some(Picture { about: about.into(), source }))
    }
}

/// Whether `folder` has anything that such a page is made of.
pub fn is_at(folder: &Path) -> bool {
    kinds::ALL.iter().any(|(file, _)| folder.join(file).is_file())
}

/// The file of another kind of such results than `own` is of, where there is one in `folder`.
pub fn others(folder: &Path, own: &str) -> Option<&'static str> {
    kinds::ALL.iter().map(|(file, _)| *file).find(|file| *file != own && folder.join(file).is_file())
}

/// What lies in `folder`, where it is anything that such a page is made of.
///
/// # Errors
/// Where a file of it cannot be read.
pub fn of(folder: &Path) -> Result<Option<Figures>> {
    if Folder::is_at(folder) {
        return Ok(None);
    }
    let known = kinds::ALL.iter().find(|(file, _)| folder.join(file).is_file());
    let Some((file, read)) = known else { return Ok(None) };
    let table = Csv::read(&folder.join(file))?;
    if table.is_empty() {
        return Err(Failure::Request(format!(
            "{}: no row below the names of its columns",
            folder.join(file).display()
        )));
    }
    let mut figures = read(folder, &table)?;
    let of_folder = folder.canonicalize().map_err(Failure::file(folder))?;
    let of_folder = of_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (experiment, sections) = origin::of(folder)?;
    // A page is of what was run, wherever its folder is.
    figures.experiment = experiment.unwrap_or(of_folder);
    if figures.provenance.is_empty() {
        figures.provenance = sections;
    }
    Ok(Some(figures))
}

/// The page.
///
/// # Errors
/// Where it cannot be put into words.
pub fn html(figures: &Figures) -> Result<String> {
    let json = serde_json::to_string(figures).map_err(Failure::run)?;
    Ok(page::filled(&figures.title, &json, &page::FIGURES))
}

/// Writes `report.html` into a folder of such results; whether it is one.
///
/// # Errors
/// Where a file of it cannot be read, or the page not be written.
pub fn write(folder: &Path) -> Result<bool> {
    let Some(mut figures) = of(folder)? else { return Ok(false) };
    // Alone, it has no pages beside it.
    figures.link_to(&[]);
    files::write(&folder.join(page::FILE), html(&figures)?.as_bytes())?;
    Ok(true)
}
