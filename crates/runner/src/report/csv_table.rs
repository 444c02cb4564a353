//! Columns of a CSV file as a table of a text.

use std::path::Path;

use crate::failure::{Failure, Result};

/// The named `columns` of a file, row by row; what looks like a number is put on the right.
///
/// # Errors
/// Where the file cannot be read, or has no such column.
pub fn csv_table(path: &Path, columns: &[&str]) -> Result<String> {
    let wrong = |error: csv::Error| Failure::Request(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
    let headers = reader.headers().map_err(wrong)?.clone();
    let find = |name: &&str| {
        let at = headers.iter().position(|header| header == *name);
        at.ok_or_else(|| Failure::Request(format!("{}: no column '{name}'", path.display())))
    };
    let places = columns.iter().map(find).collect::<Result<Vec<usize>>>()?;
    let rows = reader.records().collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    let cell = |row: &csv::StringRecord, at: usize| row.get(at).unwrap_or_default().replace('|', "\\|");
    let is_number = |at: usize| rows.iter().all(|row| cell(row, at).parse::<f64>().is_ok() || cell(row, at).is_empty());
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(columns.iter().map(|name| name.replace('_', " ")).collect());
    let rules = places.iter().map(|&at| if is_number(at) { "---:" } else { "---" });
    table += &format!("|{}|\n", rules.collect::<Vec<_>>().join("|"));
    table.extend(rows.iter().map(|row| line(places.iter().map(|&at| cell(row, at)).collect())));
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_name_and_numbers_on_the_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.csv");
        std::fs::write(&path, "work,ours,unit\n\"a|b, c\",12.5,s\nd,,s\n").unwrap();
        assert_eq!(
            csv_table(&path, &["work", "ours"]).unwrap(),
            "| work | ours |\n|---|---:|\n| a\\|b, c | 12.5 |\n| d |  |\n"
        );
        assert!(csv_table(&path, &["peer"]).unwrap_err().to_string().ends_with("peers.csv: no column 'peer'"));
        assert!(csv_table(&folder.path().join("none.csv"), &["a"]).is_err());
    }
}
