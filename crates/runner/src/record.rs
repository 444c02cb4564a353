//! A measured cell, and the tables of them.

use std::{io::Cursor, path::Path};

use fewstep_sampler::{Method, Threshold};
use polars::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, Result},
    files,
    metric::Metric,
};

/// One row of `cells.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Experiment's name.
    pub experiment: String,
    /// Method's name.
    pub method: String,
    /// Degree of its extrapolation.
    pub order: u32,
    /// Its grid.
    pub grid: String,
    /// How its integrals were computed.
    pub coefficients: String,
    /// What was done to its data predictions; not there in tables from before anything was.
    #[serde(default = "no_threshold")]
    pub threshold: String,
    /// Evaluations asked for.
    pub nfe: u32,
    /// Evaluations per image that the model counted.
    pub nfe_measured: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// Number of images.
    pub samples: u64,
    /// Empty where not measured.
    pub fid: Option<f64>,
    /// Empty where not measured.
    pub fd_pixel: Option<f64>,
    /// Empty where not measured; not there in tables from before it was measured.
    #[serde(default)]
    pub fd_data: Option<f64>,
    /// Empty where not measured.
    pub ode_rmse: Option<f64>,
    /// Time in the sampler, all threads' work divided by their number.
    pub seconds_sample: f64,
    /// Time in feature extractors and distances, likewise.
    pub seconds_features: f64,
    /// Where it was computed.
    pub device: String,
}

fn no_threshold() -> String {
    Threshold::None.to_string()
}

impl Record {
    /// The value of a metric.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Fid => self.fid,
            Metric::FdPixel => self.fd_pixel,
            Metric::FdData => self.fd_data,
            Metric::OdeRmse => self.ode_rmse,
        }
    }

    /// Sets the value of a metric.
    pub fn set(&mut self, metric: Metric, value: f64) {
        let field = match metric {
            Metric::Fid => &mut self.fid,
            Metric::FdPixel => &mut self.fd_pixel,
            Metric::FdData => &mut self.fd_data,
            Metric::OdeRmse => &mut self.ode_rmse,
        };
        *field = Some(value);
    }

    /// The method as charts and tables call it.
    pub fn label(&self) -> String {
        let order = (self.order > 0 || self.method.starts_with("deis")).then_some(self.order as usize);
        Method::new(&self.method, order).map_or_else(|_| self.method.clone(), Method::label)
    }
}

/// Writes `cells.csv` and `cells.parquet` into `folder`.
pub fn write(folder: &Path, records: &[Record]) -> Result<()> {
    let failed = |error: PolarsError| Failure::run(format!("table of cells: {error}"));
    let mut frame = frame(records).map_err(failed)?;
    let mut csv = Vec::new();
    CsvWriter::new(&mut csv).finish(&mut frame).map_err(failed)?;
    files::write(&folder.join("cells.csv"), &csv)?;
    let mut parquet = Cursor::new(Vec::new());
    ParquetWriter::new(&mut parquet).finish(&mut frame).map_err(failed)?;
    files::write(&folder.join("cells.parquet"), parquet.get_ref())
}

fn frame(records: &[Record]) -> PolarsResult<DataFrame> {
    macro_rules! columns {
        ($($field:ident),*) => {
            vec![$(Column::new(stringify!($field).into(), records.iter().map(|record| record.$field.clone()).collect::<Vec<_>>())),*]
        };
    }
    let columns = columns!(
        experiment,
        method,
        order,
        grid,
        coefficients,
        threshold,
        nfe,
        nfe_measured,
        seed,
        samples,
        fid,
        fd_pixel,
        fd_data,
        ode_rmse,
        seconds_sample,
        seconds_features,
        device
    );
    DataFrame::new(records.len(), columns)
}

/// Reads a `cells.csv`.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let mut reader =
        csv::Reader::from_path(path).map_err(|error| Failure::Request(format!("{}: {error}", path.display())))?;
    reader
        .deserialize()
        .map(|row| {
            row.map_err(|error| {
                Failure::Request(format!(
                    "{}: {error}; expected a cells.csv written by `fewstep sweep`",
                    path.display()
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_file_to_the_last_bit() {
        for seconds in [0.1 + 0.2, 1.5563422900000001, 1.0 / 3.0, 2.5e-17, 1e300] {
            let record = Record {
                experiment: "x".into(),
                method: "deis".into(),
                order: 2,
                grid: "quadratic".into(),
                coefficients: "exact".into(),
                threshold: "none".into(),
                nfe: 5,
                nfe_measured: 5.0,
                seed: 7,
                samples: 9,
                fid: None,
                fd_pixel: Some(seconds * 1.1),
                fd_data: None,
                ode_rmse: Some(seconds),
                seconds_sample: seconds,
                seconds_features: seconds / 7.0,
                device: "cpu".into(),
            };
            let text = toml::to_string(&record).unwrap();
            assert_eq!(toml::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }
}
