//! Samples to look at: some images side by side, and the grid of methods against NFE.

use std::path::{Path, PathBuf};

use fewstep_fid::{Images, decode_image};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::chart;
use crate::{
    failure::{Failure, Result},
    files,
};

/// Images of one cell in the grid: the first ones, so that all cells start from the same noise.
pub const TILE_IMAGES: usize = 4;
/// Columns of a cell's images.
const TILE_COLUMNS: usize = 2;
/// Pixels of a cell in the grid at least, so that small images can be seen and labels have room.
const TILE: u32 = 112;
/// Most pixels of a side, and of all.
const SIDE: usize = 65_535;
const ALL: usize = 1 << 28;
/// Room for labels; on the left as much as the longest needs, from one of these to the other.
const LEFT: (i32, i32) = (60, 460);
const TOP: usize = 40;
const GAP: usize = 8;
/// Sizes of letters.
const TEXT: std::ops::RangeInclusive<i32> = 9..=18;
const LIGHT: RGBColor = RGBColor(225, 225, 225);

/// A cell of the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Its row: a series' label.
    pub row: String,
    /// Its column: "5 NFE".
    pub column: String,
    /// A PNG of its images; none where there are none, because it diverged.
    pub picture: Option<PathBuf>,
}

/// Columns and rows of so many images.
fn arranged(count: usize) -> (usize, usize) {
    let columns = if count <= TILE_IMAGES { TILE_COLUMNS } else { (count as f64).sqrt().ceil() as usize };
    (columns, count.div_ceil(columns))
}

/// Whether [`write()`] can write so many images of this size.
///
/// # Errors
/// Where they are too many pixels.
pub fn fits(count: usize, side: usize) -> Result<()> {
    let (columns, rows) = arranged(count);
    size(columns.checked_mul(side), rows.checked_mul(side)).map(|_| ())
}

/// Writes images as a PNG with about as many columns as rows; the four of a grid cell two by two.
pub fn write(path: &Path, images: &Images) -> Result<()> {
    let (columns, rows) = arranged(images.len());
    let (height, width) = (images.height(), images.width());
    let size = size(columns.checked_mul(width), rows.checked_mul(height))?;
    let mut pixels = vec![255; size.0 * size.1 * 3];
    for (i, image) in images.iter().enumerate() {
        for (y, line) in image.chunks(width * 3).enumerate() {
            let start = ((i / columns * height + y) * columns + i % columns) * width * 3;
            pixels[start..start + width * 3].copy_from_slice(line);
        }
    }
    chart::write_png(path, (size.0 as u32, size.1 as u32), pixels)
}

/// Writes the grid, its rows and columns in the order in which `tiles` has them first. Where they are too many for a picture there is none, and it
/// is said: tables are written all the same.
pub fn grid(path: &Path, tiles: &[Tile]) -> Result<()> {
    chart::fonts()?;
    let pictures = tiles.iter().map(|tile| tile.picture.as_deref().map(open).transpose());
    let pictures: Vec<Option<image::RgbImage>> = pictures.collect::<Result<_>>()?;
    let grid = match Grid::of(tiles, &pictures) {
        Ok(grid) => grid,
        Err(why) => {
            eprintln!("no {}: {why}", path.display());
            return files::remove(path);
        }
    };
    let mut pixels = vec![255; grid.size.0 * grid.size.1 * 3];
    grid.labels(&mut pixels, tiles)?;
    for (tile, picture) in tiles.iter().zip(&pictures) {
        if let Some(picture) = picture {
            grid.paste(&mut pixels, grid.corner(tile), picture);
        }
    }
    chart::write_png(path, (grid.size.0 as u32, grid.size.1 as u32), pixels)
}

/// What a sheet shows.
pub struct Cut {
    /// Labels of its rows.
    pub rows: Vec<String>,
    /// And of its columns.
    pub columns: Vec<String>,
    /// Row, column and picture of the cells that have one.
    pub pieces: Vec<(usize, usize, image::RgbImage)>,
}

/// The pictures of a sheet that [`grid`] drew of `tiles`, of which some may have had none. Nothing where it is another's: the labels,
/// drawn again, are not the sheet's to the last pixel.
pub fn cut(tiles: &[Tile], sheet: &image::RgbImage) -> Result<Option<Cut>> {
    chart::fonts()?;
    let mut grid = Grid::of(tiles, &[])?;
    let (width, height) = (sheet.width() as usize, sheet.height() as usize);
    let share = |whole: usize, start: usize, count: usize| {
        let room = whole.checked_sub(start).filter(|room| count > 0 && room % count == 0)?;
        (room / count).checked_sub(GAP).filter(|side| *side > 0)
    };
    let sides = share(width, grid.left, grid.columns.len()).zip(share(height, TOP, grid.rows.len()));
    let Some(tile) = sides else { return Ok(None) };
    (grid.tile, grid.size) = (tile, (width, height));
    let mut pixels = vec![255; width * height * 3];
    grid.labels(&mut pixels, &tiles.iter().map(|tile| Tile { picture: None, ..tile.clone() }).collect::<Vec<_>>())?;
    let drawn = image::RgbImage::from_raw(width as u32, height as u32, pixels).unwrap_or_default();
    let label = |x: u32, y: u32| (x as usize) < grid.left - 1 || (y as usize) < TOP;
    if sheet.enumerate_pixels().any(|(x, y, pixel)| label(x, y) && pixel != drawn.get_pixel(x, y)) {
        return Ok(None);
    }
    let mut pieces = Vec::new();
    for place in tiles {
        let (x, y) = grid.corner(place);
        let view = |of: &image::RgbImage| {
            image::imageops::crop_imm(of, x as u32, y as u32, tile.0 as u32, tile.1 as u32).to_image()
        };
        let piece = view(sheet);
        let blank = piece.pixels().all(|pixel| pixel.0 == [255; 3]) || piece == view(&drawn);
        let at = |labels: &[String], label: &String| labels.iter().position(|known| known == label);
        if let (false, Some(row), Some(column)) = (blank, at(&grid.rows, &place.row), at(&grid.columns, &place.column))
        {
            pieces.push((row, column, piece));
        }
    }
    Ok(Some(Cut { rows: grid.rows, columns: grid.columns, pieces }))
}

/// Width and height of a picture that can be made.
fn size(width: Option<usize>, height: Option<usize>) -> Result<(usize, usize)> {
    let text = |side: Option<usize>| side.map_or("too many".to_owned(), |side| side.to_string());
    match (width, height) {
        (Some(w @ 1..=SIDE), Some(h @ 1..=SIDE)) if w * h <= ALL => Ok((w, h)),
        _ => Err(Failure::Request(format!(
            "sample grid of {} x {} pixels; expected 1 to {SIDE} a side, and at most {ALL} in all",
            text(width),
            text(height)
        ))),
    }
}

/// Where the grid's parts lie.
#[derive(Debug, PartialEq)]
struct Grid {
    rows: Vec<String>,
    columns: Vec<String>,
    left: usize,
    /// Width and height of a tile.
    tile: (usize, usize),
    /// Pixels of the grid for one of a picture, either way.
    scale: usize,
    /// Of the whole.
    size: (usize, usize),
}

impl Grid {
    fn of(tiles: &[Tile], pictures: &[Option<image::RgbImage>]) -> Result<Self> {
        let (rows, columns) = (distinct(tiles, |tile| &tile.row), distinct(tiles, |tile| &tile.column));
        let widest = rows.iter().map(|row| chart::width(row, *TEXT.end())).max().unwrap_or_default();
        let left = (widest + 22).clamp(LEFT.0, LEFT.1) as usize;
        let largest = pictures.iter().flatten().fold((0, 0), |(w, h), p| (p.width().max(w), p.height().max(h)));
        let (scale, tile) = match largest {
            (0, _) | (_, 0) => (1, (TILE as usize, TILE as usize)),
            (w, h) => {
                let scale = TILE.div_ceil(w) as usize;
                (scale, (w as usize * scale, h as usize * scale))
            }
        };
        let along = |start: usize, count: usize, tile: usize| (tile + GAP).checked_mul(count)?.checked_add(start);
        let size = size(along(left, columns.len(), tile.0), along(TOP, rows.len(), tile.1))?;
        Ok(Grid { rows, columns, left, tile, scale, size })
    }

    fn x(&self, column: usize) -> usize {
        self.left + column * (self.tile.0 + GAP)
    }

    fn y(&self, row: usize) -> usize {
        TOP + row * (self.tile.1 + GAP)
    }

    /// A tile's upper left corner.
    fn corner(&self, tile: &Tile) -> (usize, usize) {
        let at = |labels: &[String], label: &String| labels.iter().position(|known| known == label).unwrap_or_default();
        (self.x(at(&self.columns, &tile.column)), self.y(at(&self.rows, &tile.row)))
    }

    fn paste(&self, pixels: &mut [u8], (left, top): (usize, usize), picture: &image::RgbImage) {
        for (x, y, pixel) in picture.enumerate_pixels() {
            let (x, y) = (left + x as usize * self.scale, top + y as usize * self.scale);
            for y in y..y + self.scale {
                let start = (y * self.size.0 + x) * 3;
                pixels[start..start + self.scale * 3].chunks_mut(3).for_each(|to| to.copy_from_slice(&pixel.0));
            }
        }
    }

    /// What is written, and the boxes of tiles without a picture.
    fn labels(&self, pixels: &mut [u8], tiles: &[Tile]) -> Result<()> {
        let failed = |error: DrawingAreaErrorKind<_>| Failure::run(format!("sample grid: {error}"));
        let area = BitMapBackend::with_buffer(pixels, (self.size.0 as u32, self.size.1 as u32)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let (width, height) = (self.tile.0 as i32, self.tile.1 as i32);
        let text = |text: &str, (x, y): (usize, usize), room: i32, end: HPos| {
            let font = ("sans-serif", chart::fitting(text, room, TEXT)).into_font();
            let style = font.color(&BLACK).pos(Pos::new(end, VPos::Center));
            area.draw(&Text::new(text, (x as i32, y as i32), style)).map_err(failed)
        };
        for (i, column) in self.columns.iter().enumerate() {
            text(column, (self.x(i) + self.tile.0 / 2, TOP / 2), width, HPos::Center)?;
        }
        for (i, row) in self.rows.iter().enumerate() {
            text(row, (10, self.y(i) + self.tile.1 / 2), self.left as i32 - 20, HPos::Left)?;
        }
        for tile in tiles.iter().filter(|tile| tile.picture.is_none()) {
            let (x, y) = self.corner(tile);
            let from = (x as i32, y as i32);
            let to = (from.0 + width, from.1 + height);
            area.draw(&Rectangle::new([from, to], LIGHT.filled())).map_err(failed)?;
            text("diverged", (x + self.tile.0 / 2, y + self.tile.1 / 2), width - 8, HPos::Center)?;
        }
        area.present().map_err(failed)
    }
}

/// Labels in order of first appearance.
fn distinct(tiles: &[Tile], label: impl Fn(&Tile) -> &String) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for label in tiles.iter().map(label) {
        if !all.contains(label) {
            all.push(label.clone());
        }
    }
    all
}

/// Reads a picture.
pub fn open(path: &Path) -> Result<image::RgbImage> {
    let bytes = std::fs::read(path).map_err(Failure::file(path))?;
    decode_image(&bytes).map_err(|error| Failure::Request(format!("{}: {error}", path.display())))
}

/// Whether `path` can be written as a PNG; said before anything is computed.
pub fn check_png(path: &Path) -> Result<()> {
    if path.extension().is_none_or(|ending| ending != "png") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .png", path.display())));
    }
    let folder = files::parent(path);
    if folder.is_dir() { Ok(()) } else { Err(Failure::Request(format!("{}: no such folder", folder.display()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(row: &str, column: &str, picture: Option<&Path>) -> Tile {
        Tile { row: row.into(), column: column.into(), picture: picture.map(Path::to_owned) }
    }

    fn images(count: usize, side: usize) -> Images {
        Images::new(side, side, (0..count * side * side * 3).map(|i| (i % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn a_grid_has_a_row_for_every_label_and_a_grey_box_for_what_diverged() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, out) = (folder.path().join("a.png"), folder.path().join("grid.png"));
        write(&picture, &images(4, 32)).unwrap();
        let tiles = [
            tile("DEIS-2 quadratic", "5 NFE", Some(&picture)),
            tile("DEIS-2 quadratic", "10 NFE", None),
            tile("DEIS-2 trailing", "5 NFE", Some(&picture)),
            tile("DEIS-2 trailing", "10 NFE", Some(&picture)),
        ];
        grid(&out, &tiles).unwrap();
        let bytes = std::fs::read(&out).unwrap();
        let drawn = open(&out).unwrap();
        // Two of the picture's pixels make one tile of 128.
        let left = chart::width("DEIS-2 quadratic", *TEXT.end()) as u32 + 22;
        assert_eq!(drawn.dimensions(), (left + 2 * (128 + GAP as u32), (TOP + 2 * (128 + GAP)) as u32));
        let (x, y) = (left + 128 + GAP as u32, TOP as u32);
        let corners = [(x, y), (x + 127, y), (x, y + 127), (x + 127, y + 127)];
        assert!(corners.iter().all(|&(x, y)| drawn.get_pixel(x, y).0 == [225; 3]));
        assert_eq!([drawn.get_pixel(x - 1, y).0, drawn.get_pixel(x + 128, y).0], [[255; 3]; 2]);
        assert!((0..128).any(|dx| drawn.get_pixel(x + dx, y + 64).0[0] < 100), "no text");
        // The box between its label and the first tile is blank, as nothing runs over.
        assert!((0..drawn.height()).all(|y| drawn.get_pixel(left - 1, y).0 == [255; 3]));
        let first = open(&picture).unwrap();
        assert_eq!(drawn.get_pixel(left + 126, y + 2 * 40).0, first.get_pixel(63, 40).0);
        grid(&out, &tiles).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), bytes);
    }

    #[test]
    fn a_sheet_is_cut_into_what_it_was_made_of_and_another_sheet_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, out) = (folder.path().join("a.png"), folder.path().join("grid.png"));
        write(&picture, &images(4, 32)).unwrap();
        let some = Some(picture.as_path());
        let tiles = [tile("DEIS-2", "5 NFE", some), tile("DDIM", "5 NFE", None), tile("DDIM", "10 NFE", some)];
        grid(&out, &tiles).unwrap();
        // What had a picture is not known when the sheet is read.
        let asked: Vec<Tile> =
            tiles.iter().map(|tile| Tile { picture: some.map(Path::to_owned), ..tile.clone() }).collect();
        let sheet = open(&out).unwrap();
        let found = cut(&asked, &sheet).unwrap().unwrap();
        assert_eq!((found.rows.join(" "), found.columns.join(" ")), ("DEIS-2 DDIM".into(), "5 NFE 10 NFE".into()));
        let places: Vec<(usize, usize)> = found.pieces.iter().map(|piece| (piece.0, piece.1)).collect();
        assert_eq!(places, [(0, 0), (1, 1)]);
        let (small, large) = (open(&picture).unwrap(), &found.pieces[1].2);
        assert!(large.enumerate_pixels().all(|(x, y, pixel)| pixel == small.get_pixel(x / 2, y / 2)));
        // Methods in another order are another sheet, of the same size.
        let swapped = [asked[1].clone(), asked[0].clone(), asked[2].clone()];
        assert!(cut(&swapped, &sheet).unwrap().is_none());
        assert!(cut(&asked[..1], &sheet).unwrap().is_none());
    }

    #[test]
    fn labels_shrink_where_the_room_for_them_ends() {
        let long = "a method with a very long name ".repeat(2);
        let grid = Grid::of(&[tile(&long, "5 NFE", None)], &[None]).unwrap();
        assert_eq!((grid.left, grid.tile), (LEFT.1 as usize, (112, 112)));
        assert!(chart::width(&long, chart::fitting(&long, LEFT.1 - 20, TEXT)) <= LEFT.1 - 20);
        assert_eq!(Grid::of(&[tile("a", "5 NFE", None)], &[None]).unwrap().left, LEFT.0 as usize);
    }

    #[test]
    fn what_no_picture_can_hold_is_refused() {
        let refused = |width, height| size(width, height).unwrap_err().to_string();
        assert_eq!(
            refused(Some(70_000), Some(10)),
            "sample grid of 70000 x 10 pixels; expected 1 to 65535 a side, and at most 268435456 in all"
        );
        assert!(refused(Some(65_535), Some(65_535)).contains("65535 x 65535"));
        assert!(refused(None, Some(10)).contains("too many x 10"));
        assert!(size(Some(65_535), Some(4096)).is_ok());
        let many: Vec<Tile> = (0..600).map(|i| tile(&i.to_string(), "5 NFE", None)).collect();
        let error = Grid::of(&many, &vec![None; 600]).unwrap_err().to_string();
        assert!(error.contains("x 72040 pixels"), "{error}");
    }
}
