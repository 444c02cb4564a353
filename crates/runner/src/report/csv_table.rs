//! CSV files with a header: their columns, and tables of them.

use std::path::{Path, PathBuf};

use super::table::number as number_of;
use crate::failure::{Failure, Result};

/// A file.
pub struct Csv {
    path: PathBuf,
    headers: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

impl Csv {
    /// Reads it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |error: csv::Error| Failure::Request(format!("{}: {error}", path.display()));
        let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
        let headers = reader.headers().map_err(wrong)?.clone();
        let rows = reader.records().collect::<std::result::Result<_, _>>().map_err(wrong)?;
        Ok(Csv { path: path.to_owned(), headers, rows })
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// Where there is none.
    pub fn column(&self, name: &str) -> Result<Vec<&str>> {
        let at = self.headers.iter().position(|header| header == name);
        let at = at.ok_or_else(|| Failure::Request(format!("{}: no column '{name}'", self.path.display())))?;
        Ok(self.rows.iter().map(|row| row.get(at).unwrap_or_default()).collect())
    }

    /// The numbers of a column; not a number where it is empty.
    ///
    /// # Errors
    /// Where there is no such column, or anything else in it.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let read = |(i, text): (usize, &str)| {
            if text.is_empty() {
                return Ok(f64::NAN);
            }
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| Failure::Request(format!("{}: {name} is '{text}'; expected a number", self.row(i))))
        };
        self.column(name)?.into_iter().enumerate().map(read).collect()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Where its `i`th row is, for messages: the header is the first.
    pub fn row(&self, i: usize) -> String {
        format!("{}: row {}", self.path.display(), i + 2)
    }

    /// All names of columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter()
    }
}

/// Letters beyond which a number has more digits than are of use to a reader.
const LONG: usize = 8;

/// A long number in four digits; the file has them all.
pub fn shortened(text: &str) -> String {
    let number = text.parse().ok().filter(|number: &f64| text.len() > LONG && number.is_finite() && text.contains('.'));
    number.map_or_else(|| text.to_owned(), number_of)
}

/// The named `columns` of a file, row by row, long numbers in four digits; what looks like a number is put on the right.
///
/// # Errors
/// Where the file cannot be read, or has no such column.
pub fn csv_table(path: &Path, columns: &[&str]) -> Result<String> {
    let file = Csv::read(path)?;
    let all = columns.iter().map(|name| file.column(name)).collect::<Result<Vec<_>>>()?;
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(columns.iter().map(|name| name.replace('_', " ")).collect());
    let rules = all.iter().map(|column| if is_numbers(column) { "---:" } else { "---" });
    table += &format!("|{}|\n", rules.collect::<Vec<_>>().join("|"));
    table.extend(
        (0..file.rows.len()).map(|i| line(all.iter().map(|column| shortened(column[i]).replace('|', "\\|")).collect())),
    );
    Ok(table)
}

fn is_numbers(column: &[&str]) -> bool {
    column.iter().all(|text| text.parse::<f64>().is_ok() || text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_name_and_numbers_on_the_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.csv");
        std::fs::write(&path, "work,ours,unit\n\"a|b, c\",0.123456789,s\nd,,s\n").unwrap();
        assert_eq!(
            csv_table(&path, &["work", "ours"]).unwrap(),
            "| work | ours |\n|---|---:|\n| a\\|b, c | 0.1235 |\n| d |  |\n"
        );
        assert!(csv_table(&path, &["peer"]).unwrap_err().to_string().ends_with("peers.csv: no column 'peer'"));
        assert!(csv_table(&folder.path().join("none.csv"), &["a"]).is_err());
        let file = Csv::read(&path).unwrap();
        let ours = file.numbers("ours").unwrap();
        assert!(ours[0] == 0.123456789 && ours[1].is_nan(), "{ours:?}");
        let message = file.numbers("unit").unwrap_err().to_string();
        assert!(message.ends_with("peers.csv: row 2: unit is 's'; expected a number"), "{message}");
    }
}
