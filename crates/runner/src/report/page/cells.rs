//! Rows of `cells.csv` as columns, for the page to say where a figure comes from.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    failure::{Failure, Result},
    results::Record,
};

/// Columns by name.
pub type Columns = BTreeMap<String, Column>;

/// A column: distinct values once, and which of them each row has; or a value a row where most are distinct.
#[derive(Debug, Serialize, PartialEq)]
#[serde(untagged)]
pub enum Column {
    /// Values, and each row's place among them.
    Repeated { values: Vec<Value>, rows: Vec<usize> },
    /// A value a row.
    Plain(Vec<Value>),
}

/// Times are of one run on one machine and no figure of the results.
const LEFT_OUT: [&str; 2] = ["seconds_sample", "seconds_features"];

/// All columns of `records` that have a value anywhere.
pub fn columns(records: &[Record]) -> Result<Columns> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let Value::Object(row) = serde_json::to_value(record).map_err(Failure::run)? else { continue };
        for (name, value) in row {
            all.entry(name).or_default().push(value);
        }
    }
    let empty = |value: &Value| value.is_null() || value == "";
    all.retain(|name, values| !LEFT_OUT.contains(&name.as_str()) && !values.iter().all(empty));
    Ok(all.into_iter().map(|(name, values)| (name, column(values))).collect())
}

fn column(all: Vec<Value>) -> Column {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for value in &all {
        let place = *places.entry(value.to_string()).or_insert_with(|| {
            values.push(value.clone());
            values.len() - 1
        });
        rows.push(place);
    }
    if 2 * values.len() <= all.len() { Column::Repeated { values, rows } } else { Column::Plain(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_values_are_there_once_and_times_not_at_all() {
        let record = |nfe: u32, value: f64| Record {
            method: "ddim".into(),
            nfe,
            fid: Some(value),
            seconds_sample: 3.0,
            ..Record::default()
        };
        let columns = columns(&[record(5, 1.5), record(5, 2.5), record(6, 3.5), record(6, 4.5)]).unwrap();
        assert_eq!(columns["nfe"], Column::Repeated { values: vec![5.into(), 6.into()], rows: vec![0, 0, 1, 1] });
        assert_eq!(columns["fid"], Column::Plain([1.5, 2.5, 3.5, 4.5].map(Value::from).to_vec()));
        assert!(!columns.contains_key("seconds_sample") && !columns.contains_key("fd_pixel"));
    }
}
