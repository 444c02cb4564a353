//! Where results without cells come from: every key of the TOML file beside them.

use std::path::Path;

use toml::{Table, Value};

use crate::{
    failure::{Failure, Result},
    files,
    report::page::provenance::Section,
    results::PROVENANCE,
};

/// A file of keys.
///
/// # Errors
/// Where it cannot be read.
pub fn read(path: &Path) -> Result<Table> {
    let wrong = |error: toml::de::Error| Failure::Request(format!("{}: {}", path.display(), error.message()));
    files::text(path)?.parse().map_err(wrong)
}

/// A value as a reader wants it.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A section for the keys that stand alone, and one for each table; `more` behind their titles.
pub fn sections(table: &Table, more: &str) -> Vec<Section> {
    let entries = |table: &Table| -> Vec<(String, String)> {
        // Numbers of cells are of folders that have some.
        let said = table.iter().filter(|(_, value)| !value.is_table() && value.as_integer() != Some(0));
        said.map(|(name, value)| (name.replace('_', " "), text(value))).collect()
    };
    let alone = Section::new(format!("Run{more}"), entries(table));
    let tables = table.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
    alone
        .into_iter()
        .chain(tables.filter_map(|(name, table)| Section::new(format!("{name}{more}"), entries(table))))
        .collect()
}

/// What `folder` says of itself, with its experiment's name; that it says nothing, where it does not.
///
/// # Errors
/// Where what it says cannot be read.
pub fn of(folder: &Path) -> Result<(Option<String>, Vec<Section>)> {
    let path = folder.join(PROVENANCE);
    if path.is_file() {
        let table = read(&path)?;
        let name = table.get("experiment").and_then(Value::as_str).map(str::to_owned);
        return Ok((name, sections(&table, "")));
    }
    let missing = "not there: this folder does not say what measured it".to_owned();
    Ok((None, Section::new("Run", vec![(PROVENANCE.to_owned(), missing)]).into_iter().collect()))
}
