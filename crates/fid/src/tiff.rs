//! TIFF's directory, looked through ahead of its decoder, which takes memory for as many values as an entry says that it has: up to
//! 256 MiB for a file of a few hundred bytes.

use std::io::{self, Read, Seek, SeekFrom};

/// Entries of a directory; a picture's has some fifteen.
const MAX_ENTRIES: u64 = 1024;

/// Checks the first directory of a TIFF file of `length` bytes: no entry's values are more than the file; and goes back to the
/// beginning. What is no TIFF file is passed.
///
/// # Errors
/// Where an entry claims more, or the file cannot be read.
pub(crate) fn check(from: &mut (impl Read + Seek), length: u64) -> io::Result<()> {
    from.rewind()?;
    let found = entries(from, length);
    from.rewind()?;
    match found {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
        // Where it ends too early its decoder says so.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error),
    }
}

/// What an entry claims too much of, if one does.
fn entries(from: &mut (impl Read + Seek), length: u64) -> io::Result<Option<String>> {
    let mut magic = [0; 4];
    from.read_exact(&mut magic)?;
    let (big_endian, large) = match &magic {
        b"II\x2a\0" => (false, false),
        b"MM\0\x2a" => (true, false),
        b"II\x2b\0" => (false, true),
        b"MM\0\x2b" => (true, true),
        _ => return Ok(None),
    };
    let number = |from: &mut dyn Read, width: usize| -> io::Result<u64> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes[..width])?;
        Ok(match big_endian {
            true => bytes[..width].iter().fold(0, |number, &byte| number << 8 | u64::from(byte)),
            false => u64::from_le_bytes(bytes),
        })
    };
    // Widths of an offset and of the number of entries; in BigTIFF offsets' width stands before them.
    let (offset, entries) = if large { (8, 8) } else { (4, 2) };
    if large {
        number(from, 4)?;
    }
    let start = number(from, offset)?;
    from.seek(SeekFrom::Start(start))?;
    let count = number(from, entries)?;
    if count > MAX_ENTRIES {
        return Ok(Some(format!("a TIFF directory of {count} entries; expected at most {MAX_ENTRIES}")));
    }
    for _ in 0..count {
        let (tag, kind, values) = (number(from, 2)?, number(from, 2)?, number(from, offset)?);
        number(from, offset)?;
        let width = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        if values.saturating_mul(width) > length {
            return Ok(Some(format!("TIFF tag {tag} claims {values} values in a file of {length} bytes")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let mut from = Cursor::new(bytes);
        let checked = check(&mut from, bytes.len() as u64).map_err(|error| error.to_string());
        assert_eq!(from.position(), 0);
        checked
    }

    #[test]
    fn directories_are_read_in_both_orders_and_widths() {
        let small = |count: u8| [&b"II\x2a\0\x08\0\0\0\x01\0\x11\x01\x04\0"[..], &[count, 0, 0, 0], &[0; 8]].concat();
        assert_eq!(checked(&small(1)), Ok(()));
        assert_eq!(checked(&small(200)), Err("TIFF tag 273 claims 200 values in a file of 26 bytes".into()));
        let turned = [&b"MM\0\x2a\0\0\0\x08\0\x01\x01\x11\0\x04"[..], &[0xff; 4], &[0; 8]].concat();
        assert_eq!(checked(&turned), Err("TIFF tag 273 claims 4294967295 values in a file of 26 bytes".into()));
        let large = [&b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x11\x01\x10\0"[..], &[0xff; 8], &[0; 8]]
            .concat();
        assert!(checked(&large).unwrap_err().starts_with("TIFF tag 273 claims 18446744073709551615 values"));
        assert!(checked(b"II\x2a\0\x08\0\0\0\xff\xff").unwrap_err().contains("65535 entries"));
        assert_eq!(checked(b"II\x2a\0\x08\0"), Ok(()));
        assert_eq!(checked(b"\x89PNG"), Ok(()));
    }
}
