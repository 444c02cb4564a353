//! Samples to look at: some images side by side, and the grid of methods against NFE.

use std::path::{Path, PathBuf};

use fewstep_fid::Images;
use plotters::prelude::*;

use crate::{
    chart,
    failure::{Failure, Result},
    files,
    record::Record,
};

/// Images of one cell in the grid: the first ones, so that all cells start from the same noise.
pub const TILE_IMAGES: usize = 4;
/// Columns of a cell's images.
const TILE_COLUMNS: usize = 2;
/// Pixels of a cell in the grid at least, so that small images can be seen and labels have room.
const TILE: u32 = 112;
/// Room for labels.
const LEFT: u32 = 190;
const TOP: u32 = 40;
const GAP: u32 = 8;

/// Writes images as a PNG with about as many columns as rows; the four of a grid cell two by two.
pub fn write(path: &Path, images: &Images) -> Result<()> {
    let columns = if images.len() <= TILE_IMAGES { TILE_COLUMNS } else { (images.len() as f64).sqrt().ceil() as usize };
    let rows = images.len().div_ceil(columns);
    let (height, width) = (images.height(), images.width());
    let mut pixels = vec![255; rows * height * columns * width * 3];
    for (i, image) in images.iter().enumerate() {
        for (y, line) in image.chunks(width * 3).enumerate() {
            let start = ((i / columns * height + y) * columns + i % columns) * width * 3;
            pixels[start..start + width * 3].copy_from_slice(line);
        }
    }
    chart::write_png(path, ((columns * width) as u32, (rows * height) as u32), pixels)
}

/// Writes the grid: rows methods, columns NFE. `tiles` holds each cell's record and picture.
pub fn grid(path: &Path, tiles: &[(Record, PathBuf)]) -> Result<()> {
    let mut rows: Vec<String> = Vec::new();
    let mut columns: Vec<u32> = Vec::new();
    for (record, _) in tiles {
        let row = row_label(record);
        if !rows.contains(&row) {
            rows.push(row);
        }
        if !columns.contains(&record.nfe) {
            columns.push(record.nfe);
        }
    }
    columns.sort_unstable();
    let pictures: Vec<image::RgbImage> = tiles.iter().map(|(_, file)| open(file)).collect::<Result<_>>()?;
    let (tile_w, tile_h) = pictures.iter().fold((1, 1), |(w, h), p| (w.max(p.width()), h.max(p.height())));
    let scale = TILE.div_ceil(tile_w);
    let (tile_w, tile_h) = (tile_w * scale, tile_h * scale);
    let size = (LEFT + columns.len() as u32 * (tile_w + GAP), TOP + rows.len() as u32 * (tile_h + GAP));

    let left = |column: usize| LEFT + column as u32 * (tile_w + GAP);
    let top = |row: usize| TOP + row as u32 * (tile_h + GAP);
    let mut pixels = vec![255; (size.0 * size.1 * 3) as usize];
    labels(&mut pixels, size, &rows, &columns, |column| left(column) + tile_w / 2, |row| top(row) + tile_h / 2)?;
    for ((record, _), picture) in tiles.iter().zip(&pictures) {
        let row = rows.iter().position(|row| *row == row_label(record)).unwrap_or_default();
        let column = columns.iter().position(|nfe| *nfe == record.nfe).unwrap_or_default();
        for (x, y) in (0..picture.width() * scale).flat_map(|x| (0..picture.height() * scale).map(move |y| (x, y))) {
            let at = (((top(row) + y) * size.0 + left(column) + x) * 3) as usize;
            pixels[at..at + 3].copy_from_slice(&picture.get_pixel(x / scale, y / scale).0);
        }
    }
    chart::write_png(path, size, pixels)
}

fn row_label(record: &Record) -> String {
    match record.coefficients.as_str() {
        "reference" => format!("{} (ref.)", record.label()),
        _ => record.label(),
    }
}

fn labels(
    pixels: &mut [u8],
    size: (u32, u32),
    rows: &[String],
    columns: &[u32],
    centre_x: impl Fn(usize) -> u32,
    centre_y: impl Fn(usize) -> u32,
) -> Result<()> {
    chart::fonts()?;
    let failed = |error: DrawingAreaErrorKind<_>| Failure::run(format!("sample grid: {error}"));
    let area = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let style = ("sans-serif", 18).into_font().color(&BLACK);
    for (i, nfe) in columns.iter().enumerate() {
        let text = format!("{nfe} NFE");
        area.draw(&Text::new(text, (centre_x(i) as i32 - 26, 12), style.clone())).map_err(failed)?;
    }
    for (i, row) in rows.iter().enumerate() {
        area.draw(&Text::new(row.clone(), (10, centre_y(i) as i32 - 9), style.clone())).map_err(failed)?;
    }
    area.present().map_err(failed)
}

fn open(path: &Path) -> Result<image::RgbImage> {
    let bytes = std::fs::read(path).map_err(Failure::file(path))?;
    let image = image::load_from_memory(&bytes);
    Ok(image.map_err(|error| Failure::Request(format!("{}: {error}", path.display())))?.to_rgb8())
}

/// Whether `path` can be written as a PNG; said before anything is computed.
pub fn check_png(path: &Path) -> Result<()> {
    if path.extension().is_none_or(|ending| ending != "png") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .png", path.display())));
    }
    let folder = files::parent(path);
    if folder.is_dir() { Ok(()) } else { Err(Failure::Request(format!("{}: no such folder", folder.display()))) }
}
