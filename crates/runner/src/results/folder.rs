//! The files of a results folder: written whole, read with their errors named.

use std::{collections::BTreeMap, io::Cursor, path::Path};

use polars::prelude::*;

use super::{
    metric::Metric,
    provenance::{self, Provenance},
    published,
    record::Record,
};
use crate::{
    failure::{Failure, Result},
    files,
};

/// What each image has to do with a metric, by [`Record::cell`] and metric: its squared distance to what it is measured from, where the
/// metric is a root mean square of these, and its influence on a Fréchet distance.
pub type PerImage = BTreeMap<(String, Metric), Vec<f64>>;

/// The columns of images.
const IMAGE_COLUMNS: [(Metric, &str); 11] = [
    (Metric::OdeRmse, "squared_error"),
    (Metric::FeatureRmse, "squared_feature_distance"),
    (Metric::Fid, "fid_influence"),
    (Metric::FidInfinity, "fid_infinity_influence"),
    (Metric::FidSolution, "fid_solution_influence"),
    (Metric::FidPaired, "fid_paired_influence"),
    (Metric::FdPixel, "fd_pixel_influence"),
    (Metric::FdPixelSolution, "fd_pixel_solution_influence"),
    (Metric::FdVit, "fd_vit_influence"),
    (Metric::FdVitSolution, "fd_vit_solution_influence"),
    (Metric::FdVitPaired, "fd_vit_paired_influence"),
];

/// What a results folder holds.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Every cell.
    pub records: Vec<Record>,
    /// What their means are means of.
    pub per_image: PerImage,
    /// Where they came from.
    pub provenance: Provenance,
    /// What others published.
    pub published: Vec<published::Row>,
}

const CELLS: &str = "cells.csv";
const PARQUET: &str = "cells.parquet";
const IMAGES: &str = "images.parquet";

impl Folder {
    /// Reads a folder that [`Folder::write`] wrote, or one of the first builds.
    ///
    /// # Errors
    /// Naming the file that is missing or damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CELLS);
        let wrong = |error: csv::Error| {
            Failure::Request(format!("{}: {error}; expected a cells.csv written by `fewstep sweep`", path.display()))
        };
        let mut reader = csv::Reader::from_path(&path).map_err(wrong)?;
        let records = reader.deserialize().map(|row: csv::Result<Record>| Ok(row.map_err(wrong)?.complete()));
        let records = records.collect::<Result<Vec<Record>>>()?;
        if records.is_empty() {
            return Err(Failure::Request(format!("{}: no cells", path.display())));
        }
        if let Some((record, flaw)) = records.iter().find_map(|record| Some((record, record.flaw()?))) {
            return Err(Failure::Request(format!("{}: {}: {flaw}", path.display(), record.cell())));
        }
        let per_image = read_images(&folder.join(IMAGES))?;
        let mut provenance = Provenance::read(folder)?;
        if provenance.title.is_empty() {
            // The first builds left the title to its table.
            let table = std::fs::read_to_string(folder.join("table.md")).unwrap_or_default();
            let title = table.lines().next().and_then(|line| line.strip_prefix("# "));
            provenance.title = title.unwrap_or(&records[0].experiment).to_owned();
        }
        Ok(Folder { records, per_image, provenance, published: published::kept(folder)? })
    }

    /// Title of a metric's tables and charts.
    pub fn title(&self, metric: Metric) -> String {
        let protocol = self.records.iter().map(|record| record.protocol.as_str()).find(|name| !name.is_empty());
        metric.title_by(protocol.unwrap_or_default())
    }

    /// Whether there is one.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(CELLS).is_file()
    }

    /// What [`Folder::write`] writes; the last only where others published figures.
    pub const FILES: [&str; 5] = [CELLS, PARQUET, IMAGES, provenance::FILE, published::FILE];

    /// The first table of `folder` that is not what was written with its provenance; none where that, of an earlier version, does not say.
    pub fn changed(&self, folder: &Path) -> Result<Option<&str>> {
        for (name, written) in &self.provenance.files {
            let path = folder.join(name);
            if !path.is_file() || files::sha256_of(&path)? != *written {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Writes `cells.csv`, `cells.parquet`, `images.parquet`, `published.csv` and `provenance.toml`.
    ///
    /// # Errors
    /// Where one cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let failed = |error: PolarsError| Failure::run(format!("table of cells: {error}"));
        let mut frame = frame(&self.records).map_err(failed)?;
        let mut csv = Vec::new();
        CsvWriter::new(&mut csv).finish(&mut frame).map_err(failed)?;
        let mut images = images(&self.records, &self.per_image).map_err(failed)?;
        let parquet = |frame: &mut DataFrame| parquet(frame).map_err(failed);
        let tables = [(CELLS, csv), (PARQUET, parquet(&mut frame)?), (IMAGES, parquet(&mut images)?)];
        let hashes = tables.iter().map(|(name, bytes)| ((*name).to_owned(), files::sha256(bytes))).collect();
        Provenance { files: hashes, ..self.provenance.clone() }.write(folder)?;
        for (name, bytes) in &tables {
            files::write(&folder.join(name), bytes)?;
        }
        published::keep(folder, &self.published)
    }
}

fn parquet(frame: &mut DataFrame) -> PolarsResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    ParquetWriter::new(&mut bytes).finish(frame)?;
    Ok(bytes.into_inner())
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
        label,
        solver,
        order,
        normalised,
        grid,
        coefficients,
        threshold,
        nfe,
        nfe_measured,
        seed,
        samples,
        protocol,
        fid,
        fid_error,
        fid_infinity,
        fid_infinity_error,
        fid_infinity_fit,
        fid_solution,
        fid_solution_error,
        fid_paired,
        fid_paired_error,
        feature_rmse,
        feature_rmse_error,
        fd_pixel,
        fd_pixel_error,
        fd_pixel_solution,
        fd_pixel_solution_error,
        fd_vit,
        fd_vit_error,
        fd_vit_solution,
        fd_vit_solution_error,
        fd_vit_paired,
        fd_vit_paired_error,
        fd_data,
        ode_rmse,
        ode_rmse_error,
        diverged,
        seconds_sample,
        seconds_features,
        device,
        build,
        key
    );
    DataFrame::new(records.len(), columns)
}

/// One row an image of every cell: `cell, image, squared_error`, and a column of each further metric that has images.
fn images(records: &[Record], per_image: &PerImage) -> PolarsResult<DataFrame> {
    let (mut cells, mut numbers, mut all) = (Vec::new(), Vec::new(), IMAGE_COLUMNS.map(|_| Vec::new()));
    for cell in records.iter().map(Record::cell) {
        let of = IMAGE_COLUMNS.map(|(metric, _)| per_image.get(&(cell.clone(), metric)).map_or(&[][..], Vec::as_slice));
        let count = of.iter().map(|of| of.len()).max().unwrap_or(0);
        cells.extend(std::iter::repeat_n(cell, count));
        numbers.extend(0..count as u32);
        for (column, of) in all.iter_mut().zip(of) {
            column.extend((0..count).map(|image| of.get(image).copied()));
        }
    }
    let rows = cells.len();
    let mut columns = vec![Column::new("cell".into(), cells), Column::new("image".into(), numbers)];
    for ((metric, name), values) in IMAGE_COLUMNS.into_iter().zip(all) {
        if metric.is_frechet() && values.iter().any(Option::is_some) {
            // An error of an error: single precision says all of it, and that is what they are kept with.
            let values: Vec<Option<f32>> = values.into_iter().map(|value| value.map(|value| value as f32)).collect();
            columns.push(Column::new(name.into(), values));
        } else if metric == Metric::OdeRmse || values.iter().any(Option::is_some) {
            columns.push(Column::new(name.into(), values));
        }
    }
    DataFrame::new(rows, columns)
}

fn read_images(path: &Path) -> Result<PerImage> {
    if !path.exists() {
        return Ok(PerImage::new());
    }
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Request(format!("{}: {error}; expected what `fewstep sweep` wrote", path.display()))
    };
    let bytes = std::fs::read(path).map_err(Failure::file(path))?;
    // The library takes some damaged files for granted and panics.
    let read = || ParquetReader::new(Cursor::new(bytes)).finish();
    let frame = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    let frame = frame.map_err(|_| wrong(&"no table of Parquet"))?.map_err(|error| wrong(&error))?;
    let cells = frame.column("cell").and_then(|column| column.str().cloned()).map_err(|error| wrong(&error))?;
    let mut all = PerImage::new();
    for (metric, name) in IMAGE_COLUMNS {
        if metric != Metric::OdeRmse && frame.column(name).is_err() {
            continue;
        }
        let column = frame.column(name).and_then(|column| column.cast(&DataType::Float64));
        let values = column.and_then(|column| column.f64().cloned()).map_err(|error| wrong(&error))?;
        for (cell, value) in cells.iter().zip(values.iter()) {
            if let (Some(cell), Some(value)) = (cell, value) {
                all.entry((cell.to_owned(), metric)).or_default().push(value);
            }
        }
    }
    Ok(all)
}
