//! The sheet of samples, cut into its cells so that the page can put methods side by side and step through the evaluations.

use std::{io::Cursor, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::RgbImage;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    report::{FEW_LINES, MAX_LINES, SAMPLES, mosaic, pictured},
    results::Folder,
};

/// Pictures by method and number of evaluations, all from the same noise.
#[derive(Serialize)]
pub struct Sheet {
    /// Labels of methods; the solution's last.
    rows: Vec<String>,
    /// As the sheet has them: "5 NFE", and "solution".
    columns: Vec<String>,
    /// `[row][column]`, as addresses that hold their picture; none where there is none.
    pictures: Vec<Vec<Option<String>>>,
    /// Width and height of one in pixels.
    size: (u32, u32),
    /// The whole sheet, where what it shows cannot be told from its cells.
    whole: Option<String>,
}

/// What the folder's sheet shows.
pub fn sheet(folder: &Path, results: &Folder) -> Result<Option<Sheet>> {
    let path = folder.join(SAMPLES);
    if !path.exists() {
        return Ok(None);
    }
    let sheet = mosaic::open(&path)?;
    // Any cell that did not diverge may have had a picture when the sheet was made; which of them had is seen in the sheet.
    let size = sheet.dimensions();
    // Sheets of versions before had ten methods at most.
    let mut found = None;
    for few in [FEW_LINES, MAX_LINES] {
        let tiles: Vec<mosaic::Tile> = pictured(results, few, |_| Some(path.clone()));
        found = found.or(mosaic::cut(&tiles, &sheet)?);
    }
    let Some(cut) = found else {
        let whole = Some(address(&sheet)?);
        return Ok(Some(Sheet { rows: Vec::new(), columns: Vec::new(), pictures: Vec::new(), size, whole }));
    };
    let mut pictures = vec![vec![None; cut.columns.len()]; cut.rows.len()];
    let pieces: Vec<(usize, usize, RgbImage)> = cut.pieces;
    let scale = pieces.iter().map(|(_, _, picture)| enlarged(picture)).min().unwrap_or(1);
    let mut size = (0, 0);
    for (row, column, picture) in pieces {
        let small = RgbImage::from_fn(picture.width() / scale, picture.height() / scale, |x, y| {
            *picture.get_pixel(x * scale, y * scale)
        });
        size = small.dimensions();
        pictures[row][column] = Some(address(&small)?);
    }
    Ok(Some(Sheet { rows: cut.rows, columns: cut.columns, pictures, size, whole: None }))
}

/// How many pixels a side of `picture` there are for each of what it was enlarged from.
fn enlarged(picture: &RgbImage) -> u32 {
    let (width, height) = picture.dimensions();
    let same =
        |scale: u32| picture.enumerate_pixels().all(|(x, y, p)| p == picture.get_pixel(x - x % scale, y - y % scale));
    let fits = |scale: &u32| width % scale == 0 && height % scale == 0 && same(*scale);
    (1..=width.min(height).max(1)).rev().find(fits).unwrap_or(1)
}

/// A picture as a `data:` address.
fn address(picture: &RgbImage) -> Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).map_err(Failure::run)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes.get_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_picture_was_enlarged_is_seen_in_it() {
        let small = RgbImage::from_fn(4, 4, |x, y| image::Rgb([(37 * x) as u8, (91 * y) as u8, (x * y) as u8]));
        let large = RgbImage::from_fn(12, 12, |x, y| *small.get_pixel(x / 3, y / 3));
        assert_eq!((enlarged(&small), enlarged(&large)), (1, 3));
        assert!(address(&small).unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
