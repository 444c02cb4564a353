//! Arrays of single precision that other programs read and write: `.npz` files as NumPy's, with one array, `arr_0`.

use std::{
    io::{Cursor, Write},
    path::Path,
};

use fewstep_fid::npy::{Npy, read_npz};
use npyz::WriterBuilder;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    failure::{Failure, Result},
    files,
};

/// The array's name, and that of its entry in the archive.
const NAME: &str = "arr_0";
const ENTRY: &str = "arr_0.npy";

/// Numbers `[n, channels, height, width]`, of this shape but for n, and n.
///
/// # Errors
/// Naming the file, what it holds, and what was expected.
pub fn read(path: &Path, [channels, height, width]: [usize; 3]) -> Result<(usize, Vec<f32>)> {
    let wrong = |reason: String| {
        let expected = format!("arr_0 of f32 [n, {channels}, {height}, {width}] in C order");
        Failure::Request(format!("{}: {reason}; expected {expected}", path.display()))
    };
    let accept = |npy: &Npy| {
        let Npy { kind, shape, .. } = npy;
        let fits = |n: u64| [n, channels as u64, height as u64, width as u64] == shape[..];
        match shape.first() {
            Some(&n) if n > 0 && fits(n) && kind == "<f4" && !npy.fortran => Ok(4),
            Some(&n) if n > 0 && fits(n) => Err(format!("arr_0 has type '{kind}' in {} order", npy.order())),
            _ => Err(format!("arr_0 has shape {shape:?}")),
        }
    };
    let (npy, bytes) = read_npz(path, NAME, accept).map_err(wrong)?;
    let n = npy.shape[0];
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok((n as usize, values)),
        Some(at) => Err(wrong(format!("number {at} is {}", values[at]))),
    }
}

/// Writes numbers of this shape; the same bytes every time.
pub fn write(path: &Path, shape: [usize; 4], values: &[f32]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Failure::run(format!("{}: {error}", path.display()));
    let mut npy = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape.map(|side| side as u64))
        .writer(&mut npy)
        .begin_nd()
        .map_err(|error| failed(&error))?;
    writer.extend(values).and_then(|()| writer.finish()).map_err(|error| failed(&error))?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    archive.start_file(ENTRY, options).map_err(|error| failed(&error))?;
    archive.write_all(&npy).map_err(|error| failed(&error))?;
    let bytes = archive.finish().map_err(|error| failed(&error))?.into_inner();
    files::write(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let values: Vec<f32> = (0..24).map(|i| (i as f32).sin()).collect();
        write(&path, [2, 3, 2, 2], &values).unwrap();
        assert_eq!(read(&path, [3, 2, 2]).unwrap(), (2, values));
        let message = |shape| read(&path, shape).unwrap_err().to_string();
        assert!(message([3, 4, 4]).contains("arr_0 has shape [2, 3, 2, 2]; expected arr_0 of f32 [n, 3, 4, 4]"));
        write(&path, [1, 1, 1, 1], &[f32::NAN]).unwrap();
        assert!(message([1, 1, 1]).contains("number 0 is NaN"));
        // NumPy's header without an order, of which the reader says why in several lines.
        let header = b"\x93NUMPY\x01\x00\x14\x00{'descr': '<f4'    }\n";
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file(ENTRY, SimpleFileOptions::default()).unwrap();
        archive.write_all(header).unwrap();
        std::fs::write(&path, archive.finish().unwrap().into_inner()).unwrap();
        assert!(message([1, 1, 1]).contains("arr_0: ") && !message([1, 1, 1]).contains('\n'), "{}", message([1, 1, 1]));
        std::fs::write(&path, b"PK").unwrap();
        assert!(message([1, 1, 1]).contains("no zip archive"));
    }
}
