//! What is inside of files: entries of archives, headers behind their lengths, chunks under their checksums.

use std::io::{Cursor, Read, Write};

use flate2::Crc;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::mutate::{MAX_INPUT, Mutator};

/// The file with something inside of it damaged, and lengths and checksums around it as they should be then; where it is no
/// container, damaged as it is.
pub fn inside(bytes: &[u8], mutator: &mut Mutator, damage: impl Fn(Vec<u8>, &mut Mutator) -> Vec<u8>) -> Vec<u8> {
    match bytes {
        [b'P', b'K', ..] => archive(bytes, mutator, &damage).unwrap_or_else(|| damage(bytes.to_vec(), mutator)),
        [0x89, b'P', b'N', b'G', ..] => chunks(damage(bytes.to_vec(), mutator)),
        _ => header(bytes, mutator, &damage).unwrap_or_else(|| damage(bytes.to_vec(), mutator)),
    }
}

type Damage<'a> = dyn Fn(Vec<u8>, &mut Mutator) -> Vec<u8> + 'a;

/// An archive with one entry damaged.
fn archive(bytes: &[u8], mutator: &mut Mutator, damage: &Damage) -> Option<Vec<u8>> {
    let mut from = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let damaged = mutator.below(from.len());
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let methods = [CompressionMethod::Stored, CompressionMethod::Stored, CompressionMethod::Deflated];
    for i in 0..from.len() {
        let entry = from.by_index(i).ok()?;
        let name = entry.name().to_owned();
        let mut content = Vec::new();
        entry.take(MAX_INPUT as u64).read_to_end(&mut content).ok()?;
        if i == damaged {
            let whole = mutator.below(4) == 0;
            let part = if whole { None } else { header(&content, mutator, damage) };
            content = part.unwrap_or_else(|| damage(content, mutator));
        }
        let options = SimpleFileOptions::default().compression_method(methods[mutator.below(3)]);
        to.start_file(name, options).ok()?;
        to.write_all(&content).ok()?;
    }
    Some(to.finish().ok()?.into_inner())
}

/// A file that begins with a header behind its length, with the header damaged: safetensors and NPY.
fn header(bytes: &[u8], mutator: &mut Mutator, damage: &Damage) -> Option<Vec<u8>> {
    let (start, width) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, ..] => (8, 2),
        [_, _, _, _, _, _, _, _, b'{', ..] => (0, 8),
        _ => return None,
    };
    let mut length = [0; 8];
    length[..width].copy_from_slice(bytes.get(start..start + width)?);
    let at = start + width;
    let end = at.checked_add(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
    let text = damage(bytes.get(at..end)?.to_vec(), mutator);
    let length = &(text.len() as u64).to_le_bytes()[..width];
    Some([&bytes[..start], length, &text, &bytes[end..]].concat())
}

/// A PNG with the checksums of its chunks.
fn chunks(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        if bytes.len() < end + 4 {
            break;
        }
        let mut crc = Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_the_damage_stays_whole() {
        let mut mutator = Mutator::new(0);
        let change = |_: Vec<u8>, _: &mut Mutator| b"other".to_vec();
        let safetensors = [&2u64.to_le_bytes()[..], b"{}data"].concat();
        assert_eq!(inside(&safetensors, &mut mutator, change), [&5u64.to_le_bytes()[..], b"otherdata"].concat());
        assert_eq!(inside(b"\x93NUMPY\x01\0\x02\0{}d", &mut mutator, change), b"\x93NUMPY\x01\0\x05\0otherd");
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("a", SimpleFileOptions::default()).unwrap();
        archive.write_all(b"content").unwrap();
        let damaged = inside(&archive.finish().unwrap().into_inner(), &mut mutator, change);
        let mut content = String::new();
        ZipArchive::new(Cursor::new(damaged)).unwrap().by_name("a").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "other");
        // A picture is read after a change of its palette's or pixels' bytes, as the checksums are of the new ones.
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::new(2, 2).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let wider = |mut bytes: Vec<u8>, _: &mut Mutator| {
            bytes[19] = 3;
            bytes
        };
        let mut reader = image::ImageReader::new(Cursor::new(inside(&png.into_inner(), &mut mutator, wider)));
        reader.set_format(image::ImageFormat::Png);
        assert_eq!(reader.into_dimensions().unwrap(), (3, 2));
    }
}
