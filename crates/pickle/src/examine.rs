//! A PyTorch file, looked through ahead of its reader.
//!
//! burn's `pytorch-reader` executes nothing and checks every length against the file; but of small files it can be made to take
//! gigabytes: by a deflated pickle of a hundred megabytes of operations, by the holes of a sparse file in a tar archive, by long names of
//! many tensors. What it is given has been through here.

use std::{fs::File, io::Read, path::Path};

use crate::{Pickle, names};

/// Bytes of a pickle. That of two thousand tensors has half a megabyte.
const MAX_PICKLE: u64 = 16 << 20;
/// Bytes that a deflated pickle of this size may be unpacked to, for each of the file.
const RATIO: u64 = 100;
/// How far into a file the number of PyTorch's older ones begins, at most.
const MAGIC_WITHIN: usize = 64;
/// 0x1950a86a20f9469cfc6c, in binary and in decimal.
const MAGIC: [&[u8]; 2] = [&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"119547037146038801333356"];
/// Pickles at the beginning of such a file: that number, a version, the system, the object, and the storages' names.
const PICKLES: usize = 5;
/// Where a tar archive says that it is one.
const TAR: std::ops::Range<usize> = 257..262;

/// Looks through the pickles of a PyTorch file: one that takes more than [`OPERATIONS`](crate::OPERATIONS) operations, or that a reader
/// would make much more of than it is, is refused, as are tar archives. What is none of PyTorch's files is passed, for its reader
/// to say so.
///
/// # Errors
/// What is there, and what was expected; the file's name is not in it.
pub fn examine(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(text)?;
    let length = file.metadata().map_err(text)?.len();
    let mut start = Vec::new();
    (&file).take(TAR.end as u64).read_to_end(&mut start).map_err(text)?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return archive(&file, length);
    }
    if start.get(TAR) == Some(b"ustar") {
        return Err("a tar archive, as PyTorch wrote before 0.1.10; expected what later versions write".into());
    }
    let early = &start[..start.len().min(MAGIC_WITHIN)];
    let count = match MAGIC.iter().any(|magic| early.windows(magic.len()).any(|window| window == *magic)) {
        true => PICKLES,
        // A pickle of its own holds no tensors, but its reader would read it.
        false if matches!(start.first(), Some(0x80 | b'(' | b'}' | b']' | b'c')) => 1,
        false => return Ok(()),
    };
    let mut bytes = start;
    file.take(MAX_PICKLE - bytes.len() as u64).read_to_end(&mut bytes).map_err(text)?;
    let mut at = 0;
    for _ in 0..count {
        at = pickle(&bytes, at)?;
    }
    Ok(())
}

/// An archive's pickle, which its reader takes for the network.
fn archive(file: &File, length: u64) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(file).map_err(text)?;
    let roots = archive.file_names().filter_map(|name| name.strip_suffix("data.pkl"));
    let Some(root) = roots.filter(|root| root.is_empty() || root.ends_with('/')).min_by_key(|root| root.len()) else {
        return Ok(());
    };
    let name = format!("{root}data.pkl");
    let entry = archive.by_name(&name).map_err(text)?;
    let (size, most) = (entry.size(), MAX_PICKLE.min(RATIO.saturating_mul(length)));
    if size > most {
        return Err(format!("{name} has {size} bytes in a file of {length}; expected at most {most}"));
    }
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes).map_err(text)?;
    pickle(&bytes, 0).map(|_| ())
}

/// Where the pickle at byte `at` ends.
fn pickle(bytes: &[u8], at: usize) -> Result<usize, String> {
    let pickle = Pickle::read(bytes, at).map_err(text)?;
    names::check(&pickle)?;
    Ok(pickle.end())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn examined(bytes: &[u8]) -> Result<(), String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        examine(file.path())
    }

    fn zipped(pickle: &[u8]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file("n/data.pkl", deflated).unwrap();
        archive.write_all(pickle).unwrap();
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn what_a_reader_would_make_much_of_is_refused() {
        let nones = |count: usize| [b"\x80\x02(", &vec![b'N'; count][..], b"t."].concat();
        assert_eq!(examined(&zipped(&nones(1000))), Ok(()));
        // Twenty kilobytes that say twenty megabytes.
        let error = examined(&zipped(&nones(20 << 20))).unwrap_err();
        assert!(error.starts_with("n/data.pkl has 20971525 bytes in a file of "), "{error}");
        let error = examined(&nones(2 << 20)).unwrap_err();
        assert!(error.ends_with("more than 1048576 operations in this pickle"), "{error}");
        let mut tar = vec![0; 1024];
        tar[TAR].copy_from_slice(b"ustar");
        assert!(examined(&tar).unwrap_err().starts_with("a tar archive"));
    }

    #[test]
    fn all_pickles_of_a_stream_are_looked_through_and_what_is_none_is_not() {
        let begin = [b"\x80\x02\x8a\x0a", MAGIC[0], b".\x80\x02M\xe9\x03.\x80\x02}."].concat();
        assert_eq!(examined(&[&begin[..], b"\x80\x02}.\x80\x02]."].concat()), Ok(()));
        let error = examined(&[&begin[..], b"\x80\x02}.\x80\x02q."].concat()).unwrap_err();
        assert!(error.starts_with("at byte 31: an operation on what is not there"), "{error}");
        assert_eq!(examined(b"\x08\0\0\0\0\0\0\0{}"), Ok(()));
        assert_eq!(examined(b""), Ok(()));
        assert_eq!(examined(&zipped(b"")).unwrap_err(), "at byte 0: 1 bytes are announced, and the file has 0 more");
    }
}
