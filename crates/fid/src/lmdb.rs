//! Reading the values of an LMDB database, as LSUN's images come.
//!
//! The C library maps a database into memory and trusts what it finds there: a damaged file ends the process. This reader
//! takes one database without duplicates, of a 64-bit little-endian machine (format version 1), checks every offset, and
//! needs no `unsafe`. Layout: the library's `mdb.c`, "Page header", "Header for a single key/data pair", "Meta page".

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{Error, Result};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// Bytes of a page's header.
const HEADER: usize = 16;
/// Bytes of a node in front of its key.
const NODE: usize = 8;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// A node whose value lies in overflow pages.
const BIG: u16 = 0x01;
/// A node that is a database or a set of duplicates.
const NESTED: u16 = 0x06;
/// No tree is deeper (`CURSOR_STACK`).
const MAX_DEPTH: usize = 32;
/// A value larger than this is no image.
const MAX_VALUE: usize = 256 << 20;

/// Where each value lies in the file, in the order of the keys.
#[derive(Debug)]
pub(crate) struct Lmdb {
    path: PathBuf,
    file: Mutex<File>,
    length: u64,
    page: usize,
    /// Pages of the tree seen so far: no more than the file has, or one is named twice.
    seen: u64,
    values: Vec<(u64, usize)>,
}

impl Lmdb {
    /// Whether `path` is named as a database: a folder with `data.mdb`, or an `.mdb` file.
    pub(crate) fn is(path: &Path) -> bool {
        path.join("data.mdb").is_file() || path.extension().is_some_and(|ending| ending == "mdb")
    }

    /// Finds every value.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let inside = path.join("data.mdb");
        let path = if inside.is_file() { inside } else { path.to_owned() };
        let file = File::open(&path).map_err(Error::io(&path))?;
        let length = file.metadata().map_err(Error::io(&path))?.len();
        let mut lmdb = Lmdb { path, file: Mutex::new(file), length, page: 4096, seen: 0, values: Vec::new() };
        let (first, page) = lmdb.meta(0)?;
        if !page.is_power_of_two() || !(256..=65536).contains(&page) {
            return Err(lmdb.invalid(format!("page size {page}; expected a power of two from 256 to 65536")));
        }
        lmdb.page = page;
        let (second, _) = lmdb.meta(page as u64)?;
        // Two metas take turns; the later transaction's holds.
        let meta = if second.transaction > first.transaction { second } else { first };
        if meta.flags & 0x04 != 0 {
            return Err(lmdb.invalid("keys with several values; expected one value a key"));
        }
        if meta.root != u64::MAX {
            lmdb.walk(meta.root, 0)?;
        }
        if lmdb.values.len() as u64 != meta.entries {
            let found = lmdb.values.len();
            return Err(lmdb.invalid(format!("{found} values in the tree; its meta page says {}", meta.entries)));
        }
        Ok(lmdb)
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Value `i`.
    pub(crate) fn value(&self, i: usize) -> Result<Vec<u8>> {
        let (offset, length) = self.values[i];
        self.bytes(offset, length)
    }

    fn invalid(&self, reason: impl ToString) -> Error {
        Error::invalid(&self.path, format!("not a readable LMDB database: {}", reason.to_string()))
    }

    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.length) {
            let end = self.length;
            return Err(self.invalid(format!("{length} bytes at {offset} in a file of {end}; the file is cut short")));
        }
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset)).map_err(Error::io(&self.path))?;
        file.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        Ok(bytes)
    }

    fn meta(&self, offset: u64) -> Result<(Meta, usize)> {
        let bytes = self.bytes(offset, HEADER + 136)?;
        let meta = &bytes[HEADER..];
        if u32_at(meta, 0) != MAGIC || u32_at(meta, 4) != VERSION {
            return Err(self.invalid("no LMDB meta page of version 1 in 64-bit little-endian form"));
        }
        // Behind magic, version, address and map size: the free list's database, then the main one.
        let main = &meta[24 + 48..];
        let found = Meta {
            flags: u16_at(main, 4),
            entries: u64_at(main, 32),
            root: u64_at(main, 40),
            transaction: u64_at(meta, 24 + 96 + 8),
        };
        Ok((found, u32_at(meta, 24) as usize))
    }

    /// Offset of a page.
    fn at(&self, page: u64) -> Result<u64> {
        page.checked_mul(self.page as u64).ok_or_else(|| self.invalid(format!("page {page} lies outside the file")))
    }

    fn walk(&mut self, page: u64, depth: usize) -> Result<()> {
        self.seen += 1;
        if depth >= MAX_DEPTH || self.seen > self.length / self.page as u64 {
            return Err(self.invalid("a tree without end"));
        }
        let start = self.at(page)?;
        let bytes = self.bytes(start, self.page)?;
        let (flags, lower) = (u16_at(&bytes, 10), usize::from(u16_at(&bytes, 12)));
        if lower < HEADER || lower > self.page || flags & (BRANCH | LEAF) == 0 {
            return Err(self.invalid(format!("page {page} is no branch and no leaf")));
        }
        for i in 0..(lower - HEADER) / 2 {
            let node = usize::from(u16_at(&bytes, HEADER + 2 * i));
            if node + NODE > self.page {
                return Err(self.invalid(format!("page {page} has a node outside of it")));
            }
            let (low, high, key) = (u16_at(&bytes, node), u16_at(&bytes, node + 2), u16_at(&bytes, node + 6));
            let kind = u16_at(&bytes, node + 4);
            let low = u64::from(low) | u64::from(high) << 16;
            if flags & BRANCH != 0 {
                self.walk(low | u64::from(kind) << 32, depth + 1)?;
                continue;
            }
            if kind & NESTED != 0 {
                return Err(self.invalid("a database inside the database; expected images"));
            }
            let (length, data) = (low as usize, node + NODE + usize::from(key));
            if length > MAX_VALUE {
                return Err(self.invalid(format!("a value of {length} bytes; expected at most {MAX_VALUE}")));
            }
            let inside = if kind & BIG != 0 { 8 } else { length };
            if data + inside > self.page {
                return Err(self.invalid(format!("page {page} has a value outside of it")));
            }
            let offset = if kind & BIG != 0 {
                let first = u64_at(&bytes, data);
                let offset = self.at(first)?;
                if u16_at(&self.bytes(offset, HEADER)?, 10) & OVERFLOW == 0 {
                    return Err(self.invalid(format!("page {first} is no overflow page")));
                }
                offset + HEADER as u64
            } else {
                start + data as u64
            };
            if offset + length as u64 > self.length {
                return Err(self.invalid(format!("a value of {length} bytes at {offset}; the file is cut short")));
            }
            self.values.push((offset, length));
        }
        Ok(())
    }
}

struct Meta {
    flags: u16,
    entries: u64,
    root: u64,
    transaction: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
