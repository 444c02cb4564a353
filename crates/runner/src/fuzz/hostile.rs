//! Small files of which a reader was made to take gigabytes, or a process to end: found by reading the readers, and mended.

use zip::CompressionMethod;

use super::seeds::{dict, npy, persistent, text, zip};

/// A view of one number that repeats it 2²⁸ times: a gigabyte.
fn repeated() -> Vec<u8> {
    let begin = [b"ctorch._utils\n_rebuild_tensor_v2\n(", &persistent("0", 40)[..]].concat();
    [&begin[..], b"K\0J\0\0\0\x10\x85K\0\x85\x89ccollections\nOrderedDict\n)RtR"].concat()
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let data = vec![0; 160];
    zip(&[("n/data.pkl", pickle), ("n/data/0", &data), ("n/version", b"3\n")], CompressionMethod::Deflated)
}

/// A key of thirty thousand bytes before thirty thousand places of one tensor.
fn long_names() -> Vec<u8> {
    let list = [b"](", &repeated()[..], b"q\x00", &b"h\x00".repeat(30_000), b"e"].concat();
    let key = "k".repeat(30_000);
    [b"\x80\x02", &dict(&[(key.as_str(), list)])[..], b"."].concat()
}

/// A tar archive with a sparse file of 8 GiB, all of it a hole.
fn sparse_tar() -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"storages");
    put(100, b"0000644\0");
    put(124, b"00000000000\0");
    put(156, b"S");
    put(257, b"ustar  \0");
    // The first piece: where it begins, and its length; and the whole.
    put(386, b"100000000000");
    put(398, b"00000000000\0");
    put(483, b"100000000000");
    put(148, b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.resize(2048, 0);
    header
}

/// The header of a bitmap of 12 000 × 12 000 pixels, and none of them.
fn bitmap() -> Vec<u8> {
    let side = 12_000u32.to_le_bytes();
    let file = [&b"BM"[..], &[0; 8], &54u32.to_le_bytes()].concat();
    [&file[..], &40u32.to_le_bytes(), &side, &side, &[1, 0, 24, 0], &[0; 24]].concat()
}

/// Target, name and content.
pub fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let deflated = CompressionMethod::Deflated;
    let nested = npy("<f4", "False", &"(".repeat(80), &[]);
    // Version 2, and a header of as many parentheses as fit; and one that says it has four gigabytes.
    let deep = [b"\x93NUMPY\x02\0", &60_000u32.to_le_bytes()[..], &b"(".repeat(60_000)].concat();
    let long = [b"\x93NUMPY\x02\0", &[0xff; 4][..], b"{"].concat();
    let many = [&b"\x80\x02("[..], &vec![b'N'; 30 << 20], b"t."].concat();
    let pair = |value: Vec<u8>| dict(&[("score_abs", value.clone()), ("Ls", value)]);
    vec![
        ("images-npz", "deep-header", zip(&[("arr_0.npy", &deep)], deflated)),
        ("images-npz", "long-header", zip(&[("arr_0.npy", &long)], deflated)),
        ("statistics-npz", "nested-shape", zip(&[("mu.npy", &nested)], deflated)),
        ("pytorch", "sparse-tar", sparse_tar()),
        ("pytorch", "long-names", archive(&long_names())),
        ("pytorch", "many-operations", archive(&many)),
        ("normaliser-pt", "repeated", archive(&[b"\x80\x02", &pair(repeated())[..], b"."].concat())),
        ("image", "claims.bmp", bitmap()),
        ("edm", "name", [b"\x80\x04", &text(&"n".repeat(300))[..], b"\x8c\x01a\x93."].concat()),
    ]
}
