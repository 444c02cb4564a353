//! An LMDB database as LSUN's are, written by the C library.
#![allow(dead_code)] // each test file uses its own part

use std::{io::Cursor, path::Path};

use lmdb::{DatabaseFlags, Environment, Transaction, WriteFlags};

/// Writes `values` into a database in `folder`, under keys in their order.
pub fn write(folder: &Path, values: &[Vec<u8>]) {
    write_as(folder, values, DatabaseFlags::empty(), None);
}

/// As [`write`], into a database of other flags or of a name inside the main one.
pub fn write_as(folder: &Path, values: &[Vec<u8>], flags: DatabaseFlags, name: Option<&str>) {
    std::fs::create_dir_all(folder).unwrap();
    let environment = Environment::new().set_map_size(64 << 20).set_max_dbs(2).open(folder).unwrap();
    let database = environment.create_db(name, flags).unwrap();
    let mut transaction = environment.begin_rw_txn().unwrap();
    for (i, value) in values.iter().enumerate() {
        transaction.put(database, &format!("{i:040}"), value, WriteFlags::empty()).unwrap();
    }
    transaction.commit().unwrap();
}

/// A lossless WebP of a pattern.
pub fn webp(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [(x * seed + 3 * y) as u8, (x ^ y) as u8, (seed * 40 + y) as u8];
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(pixel(x, y)));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    bytes.into_inner()
}
