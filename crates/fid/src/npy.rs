//! Arrays of `.npz` files, as NumPy writes them (numpy.lib.format).
//!
//! No claim of a file is believed before it is checked: neither a header's length nor a shape or an archive's size makes memory be
//! taken that the file does not fill, and a header is read without recursion.

use std::{fs::File, io::Read, path::Path};

/// NumPy's own limit (`max_header_size`).
const MAX_HEADER: usize = 10_000;
/// Dimensions of an array, as in NumPy.
const MAX_DIMENSIONS: usize = 64;
/// No array is larger.
const MAX_BYTES: u64 = 32 << 30;
/// Bytes that an array may have for each of its file, beyond [`FREE`]: images deflate to a third, constant ones to a thousandth.
const RATIO: u64 = 100;
/// Bytes that any array may have: a covariance of 2048 features, mostly of zeros.
const FREE: u64 = 64 << 20;

/// What an array says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Npy {
    /// Its type as NumPy writes it, such as `<f4`.
    pub kind: String,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    /// Its sides.
    pub shape: Vec<u64>,
}

impl Npy {
    /// C or Fortran.
    pub fn order(&self) -> &'static str {
        if self.fortran { "Fortran" } else { "C" }
    }

    /// How many numbers; none where no machine could count them.
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |count, &side| count.checked_mul(side))
    }
}

/// An array of an `.npz`, with its bytes, `width` for each number; `accept` sees what it says before those are read.
///
/// # Errors
/// What `accept` refuses; or what is there and was expected. The file's name is not in it.
pub fn read_npz(
    path: &Path,
    name: &str,
    accept: impl FnOnce(&Npy) -> Result<u64, String>,
) -> Result<(Npy, Vec<u8>), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let file = File::open(path).map_err(|error| text(&error))?;
    let length = file.metadata().map_err(|error| text(&error))?.len();
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format!("no zip archive ({error})"))?;
    let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|error| format!("{name}: {error}"))?;
    let size = entry.size();
    let npy = header(&mut entry).map_err(|reason| format!("{name}: {reason}"))?;
    let width = accept(&npy)?;
    let claims = || format!("{name}: claims shape {:?} of '{}' in {size} bytes", npy.shape, npy.kind);
    let bytes =
        npy.count().and_then(|count| count.checked_mul(width)).filter(|&bytes| bytes <= size).ok_or_else(claims)?;
    if bytes > MAX_BYTES.min(FREE + RATIO.saturating_mul(length)) {
        return Err(format!("{}, and the file has {length}", claims()));
    }
    let mut values = Vec::new();
    entry.by_ref().take(bytes).read_to_end(&mut values).map_err(|error| format!("{name}: {error}"))?;
    if values.len() as u64 != bytes {
        return Err(format!("{name}: has {} bytes; expected {bytes}", values.len()));
    }
    // At the end of the entry the archive compares its checksum.
    entry.read(&mut [0]).map_err(|error| format!("{name}: {error}"))?;
    Ok((npy, values))
}

/// The header: a magic, a version, a length, and a dictionary as Python writes it.
fn header(from: &mut impl Read) -> Result<Npy, String> {
    let cut = |error: std::io::Error| format!("no whole NPY header ({error})");
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(cut)?;
    let length = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, 0] => {
            let mut length = [0; 2];
            from.read_exact(&mut length).map_err(cut)?;
            u16::from_le_bytes(length).into()
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, 0] => {
            let mut length = [0; 4];
            from.read_exact(&mut length).map_err(cut)?;
            u32::from_le_bytes(length) as usize
        }
        _ => return Err("no NPY file of version 1 to 3".into()),
    };
    if length > MAX_HEADER {
        return Err(format!("an NPY header of {length} bytes; expected at most {MAX_HEADER}"));
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text).map_err(cut)?;
    let text = std::str::from_utf8(&text).map_err(|_| "an NPY header that is no text")?;
    Text(text.trim_end()).npy().ok_or_else(|| {
        let start: String = text.chars().take(80).collect();
        format!("NPY header '{}'; expected descr of one type, fortran_order and shape", start.trim_end().escape_debug())
    })
}

/// What is left of a header.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn npy(mut self) -> Option<Npy> {
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        self.is('{').then_some(())?;
        while !self.is('}') {
            let key = self.string()?;
            self.is(':').then_some(())?;
            match key {
                "descr" => kind = Some(self.string()?.to_owned()),
                "fortran_order" => fortran = Some(self.flag()?),
                "shape" => shape = Some(self.sides()?),
                _ => return None,
            }
            if !self.is(',') {
                self.is('}').then_some(())?;
                break;
            }
        }
        self.0.trim().is_empty().then_some(())?;
        Some(Npy { kind: kind?, fortran: fortran?, shape: shape? })
    }

    /// Whether this comes next, which is then behind.
    fn is(&mut self, next: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(next);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        (!string.contains('\\')).then_some(string)
    }

    fn flag(&mut self) -> Option<bool> {
        let text = self.0.trim_start();
        let (flag, rest) = match text.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("False")?),
        };
        self.0 = rest;
        Some(flag)
    }

    /// Whole numbers in parentheses; those of Python 2 have an L behind them.
    fn sides(&mut self) -> Option<Vec<u64>> {
        let mut sides = Vec::new();
        self.is('(').then_some(())?;
        while !self.is(')') {
            let text = self.0.trim_start();
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            sides.push(text[..digits].parse().ok().filter(|_| sides.len() < MAX_DIMENSIONS)?);
            self.0 = text[digits..].strip_prefix('L').unwrap_or(&text[digits..]);
            if !self.is(',') {
                self.is(')').then_some(())?;
                break;
            }
        }
        Some(sides)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<Npy, String> {
        let header_of =
            |text: &str| [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
        header(&mut &header_of(text)[..])
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let npy = |kind: &str, fortran, shape: &[u64]| Ok(Npy { kind: kind.into(), fortran, shape: shape.into() });
        let cases: [(&str, &str, bool, &[u64]); 5] = [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", "<f4", false, &[3, 4]),
            ("{'descr': '|u1', 'fortran_order': True, 'shape': (3,), }\n", "|u1", true, &[3]),
            ("{\"shape\":(3L,4L),\"descr\":\">f8\",\"fortran_order\":False}", ">f8", false, &[3, 4]),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "<f8", false, &[]),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615,)}", "<f8", false, &[u64::MAX]),
        ];
        for (text, kind, fortran, shape) in cases {
            assert_eq!(read(text), npy(kind, fortran, shape), "{text}");
        }
    }

    #[test]
    fn other_headers_are_refused_and_not_believed() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4'    }",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,), }",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } x",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4), }",
            "{'descr': 'é\\'', 'fortran_order': False, 'shape': (3,), }",
        ] {
            assert!(read(text).unwrap_err().starts_with("NPY header '"), "{text}");
        }
        // Each would be a level of recursion to a reader of Python's expressions.
        assert!(read(&"(".repeat(9_000)).unwrap_err().starts_with("NPY header '(((("));
        // Four gigabytes of header.
        let error = header(&mut &b"\x93NUMPY\x02\0\xff\xff\xff\xff{"[..]).unwrap_err();
        assert_eq!(error, "an NPY header of 4294967295 bytes; expected at most 10000");
        assert!(header(&mut &b"\x93NUMPY\x01\0\x20\0{"[..]).unwrap_err().starts_with("no whole NPY header"));
    }

    /// An archive that says of a small entry that it is large, and one that is as large as it says.
    #[test]
    fn sizes_of_archives_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let write = |shape: u64, zeros: usize| {
            let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            archive.start_file("a.npy", zip::write::SimpleFileOptions::default()).unwrap();
            let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape},), }}\n");
            let npy = [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
            archive.write_all(&npy).unwrap();
            archive.write_all(&vec![0; zeros]).unwrap();
            archive.finish().unwrap().into_inner()
        };
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_npz(&path, "a", |_| Ok(1)).map(|(_, bytes)| bytes.len())
        };
        assert_eq!(read(&write(1000, 1000)), Ok(1000));
        assert!(read(&write(1 << 35, 1000)).unwrap_err().starts_with("a: claims shape [34359738368] of '|u1' in 1"));
        // The size in both of the archive's headers, 32 bits wide.
        let mut claims = write(1 << 31, 1000);
        let size = claims.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap() + 24;
        claims[size..size + 4].copy_from_slice(&u32::MAX.to_le_bytes()[..]);
        assert!(read(&claims).is_err());
        // Deflated, eighty megabytes of zeros are eighty kilobytes.
        let error = read(&write(80 << 20, 80 << 20)).unwrap_err();
        assert!(
            error.starts_with("a: claims shape [83886080] of '|u1' in 83") && error.contains(", and the file has "),
            "{error}"
        );
    }
}
