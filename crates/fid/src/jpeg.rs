//! JPEG as libjpeg-turbo decodes it, and with it Pillow, from which pytorch-fid and clean-fid have their images.
//!
//! The format leaves a decoder its rounding, and how it makes colours of four pixels into one of each: with another decoder a quarter of the
//! numbers of an image with such colours differ, by up to nine levels, and Inception's features by percents. So this is libjpeg-turbo's own C code, as mozjpeg
//! carries it (its decoder is the same), with the settings that Pillow leaves as they are.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{
    ImageError, ImageFormat, RgbImage,
    error::{DecodingError, ImageFormatHint, LimitError, LimitErrorKind},
};
use mozjpeg::{ColorSpace, Decompress};

/// The image, in no more than `most` bytes with what decoding it takes; nothing where its colours are for print, which libjpeg makes no red, green and blue of.
///
/// # Errors
/// Where it is damaged or ends early, or would take more.
pub(crate) fn decode(bytes: &[u8], most: u64) -> Result<Option<RgbImage>, ImageError> {
    // libjpeg tells of errors by unwinding, past the hook that would print them.
    let decoded = catch_unwind(AssertUnwindSafe(|| decoded(bytes, most)));
    decoded.unwrap_or_else(|reason| {
        Err(failed(reason.downcast::<String>().map_or_else(|_| "no JPEG that libjpeg reads".into(), |text| *text)))
    })
}

fn decoded(bytes: &[u8], most: u64) -> Result<Option<RgbImage>, ImageError> {
    let from = Decompress::builder().from_reader(bytes)?;
    let (width, height) = from.size();
    // A progressive one keeps two bytes of every number until its last scan, and goes through all of them in each.
    let marked = |marker: u8| bytes.windows(2).filter(move |pair| *pair == [0xff, marker]).count();
    let each = if marked(PROGRESSIVE) > 0 { 3 + 6 } else { 3 };
    if (width as u64).saturating_mul(height as u64).saturating_mul(each) > most {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let scans = marked(SCAN);
    if scans > SCANS {
        return Err(failed(format!("it has {scans} scans; expected at most {SCANS}")));
    }
    if matches!(from.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK) {
        return Ok(None);
    }
    let mut lines = from.rgb()?;
    let pixels = lines.read_scanlines::<[u8; 3]>()?.into_flattened();
    let rest: &[u8] = lines.finish_into_inner()?;
    // Where a file ends early libjpeg takes its end for the image's, and the rest of it for gray.
    if !bytes[..bytes.len() - rest.len()].ends_with(END) {
        return Err(failed("it ends early".into()));
    }
    let image = RgbImage::from_raw(width as u32, height as u32, pixels);
    image.map(Some).ok_or_else(|| failed("it has fewer lines than its header says".into()))
}

/// The marker behind an image.
const END: &[u8] = &[0xff, 0xd9];
/// Those of a frame in several scans, and of a scan.
const PROGRESSIVE: u8 = 0xc2;
const SCAN: u8 = 0xda;
/// Encoders make ten or so.
const SCANS: usize = 500;

fn failed(reason: String) -> ImageError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Jpeg), reason))
}
