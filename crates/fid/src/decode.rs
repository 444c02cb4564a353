//! Encoded images, within memory that their bytes bound.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek},
    path::Path,
};

use image::DynamicImage;

use crate::{Error, Result, jpeg, tiff};

/// What any image may take decoded: 16 million pixels, of JPEG 7 to 22 million.
const FREE: u64 = 64 << 20;
/// What it may take for each byte of its file beyond that, and at most: formats differ in how much they can make of how little.
const RATIO: u64 = 1000;
const MAX_BYTES: u64 = 512 << 20;

/// An image, or why there is none.
type Decoded = std::result::Result<image::RgbImage, image::ImageError>;

/// The image in a file.
///
/// # Errors
/// Naming the file, where it is none.
pub(crate) fn decode(file: &Path) -> Result<image::RgbImage> {
    let opened = File::open(file).map_err(Error::io(file))?;
    let length = opened.metadata().map_err(Error::io(file))?.len();
    let image = decode_from(BufReader::new(opened), length);
    image.map_err(|error| Error::invalid(file, format!("not a readable image: {error}")))
}

/// Width and height as the header has them, whatever the file's name says of its format.
///
/// # Errors
/// As [`decode`].
pub(crate) fn dimensions(file: &Path) -> Result<(u32, u32)> {
    let opened = File::open(file).map_err(Error::io(file))?;
    let length = opened.metadata().map_err(Error::io(file))?.len();
    let sides = || {
        let mut from = BufReader::new(opened);
        tiff::check(&mut from, length)?;
        image::ImageReader::new(from).with_guessed_format()?.into_dimensions()
    };
    sides().map_err(|error| Error::invalid(file, format!("not a readable image: {error}")))
}

/// An encoded image, of any of the formats that are read from folders.
///
/// # Errors
/// Where it is damaged, of another format, or would take much more memory than its bytes let expect.
pub fn decode_image(bytes: &[u8]) -> Decoded {
    decode_from(Cursor::new(bytes), bytes.len() as u64)
}

/// An image of a file of `length` bytes, in memory that these bound: a header alone may claim any size.
fn decode_from(mut from: impl BufRead + Seek, length: u64) -> Decoded {
    tiff::check(&mut from, length)?;
    let reader = image::ImageReader::new(from).with_guessed_format()?;
    let most = FREE.max(RATIO.saturating_mul(length)).min(MAX_BYTES);
    if reader.format() == Some(image::ImageFormat::Jpeg) {
        let mut from = reader.into_inner();
        let mut bytes = Vec::new();
        // What has no length of its own, as a device, is read no further than memory allows.
        from.by_ref().take(MAX_BYTES).read_to_end(&mut bytes)?;
        if let Some(image) = jpeg::decode(&bytes, most)? {
            return Ok(image);
        }
        return within(image::ImageReader::new(Cursor::new(bytes.as_slice())).with_guessed_format()?, most);
    }
    within(reader, most)
}

fn within(mut reader: image::ImageReader<impl BufRead + Seek>, most: u64) -> Decoded {
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(most);
    reader.limits(limits);
    let scaled = reader.format() == Some(image::ImageFormat::Pnm);
    let image = reader.decode()?;
    Ok(if scaled { image.into_rgb8() } else { in_bytes(image) })
}

/// As Pillow's `convert("RGB")`, by which pytorch-fid opens files: of 16 bits it clips what is grey and keeps the high byte of
/// all else, where scaling would round; PPM alone it scales.
fn in_bytes(image: DynamicImage) -> image::RgbImage {
    let high = |value: u16| (value >> 8) as u8;
    match image {
        DynamicImage::ImageLuma16(grey) => image::RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
            let value = u8::try_from(grey.get_pixel(x, y).0[0]).unwrap_or(u8::MAX);
            image::Rgb([value; 3])
        }),
        DynamicImage::ImageLumaA16(grey) => image::RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
            image::Rgb([high(grey.get_pixel(x, y).0[0]); 3])
        }),
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
            let colours = image.into_rgb16();
            image::RgbImage::from_fn(colours.width(), colours.height(), |x, y| {
                image::Rgb(colours.get_pixel(x, y).0.map(high))
            })
        }
        other => other.into_rgb8(),
    }
}
