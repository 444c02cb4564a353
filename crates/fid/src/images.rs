//! Sets of 8-bit RGB images: folders, `.npz` arrays, and CIFAR-10 in its two packagings.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result, crop,
    decode::{decode, decode_image, dimensions},
    lmdb::Lmdb,
    npy::{self, Npy},
};

/// The file endings that pytorch-fid takes for images.
const ENDINGS: [&str; 9] = ["bmp", "jpg", "jpeg", "pgm", "png", "ppm", "tif", "tiff", "webp"];

/// Some 8-bit RGB images of one size, `[len, height, width, 3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Images {
    /// Images from their bytes, `[len, height, width, 3]`.
    ///
    /// # Errors
    /// Where the size is zero or the bytes are not a whole number of images.
    pub fn new(height: usize, width: usize, pixels: Vec<u8>) -> Result<Self> {
        let bytes = height.checked_mul(width).and_then(|plane| plane.checked_mul(3)).unwrap_or(0);
        if bytes == 0 || !pixels.len().is_multiple_of(bytes) {
            return Err(Error::Values(format!("{} bytes are no RGB images of {width}x{height}", pixels.len())));
        }
        Ok(Images { height, width, pixels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / (self.height * self.width * 3)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All bytes, `[len, height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The images one by one, each `[height, width, 3]`.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.pixels.chunks(self.height * self.width * 3)
    }

    fn slice(&self, range: Range<usize>) -> Images {
        let bytes = self.height * self.width * 3;
        Images { pixels: self.pixels[range.start * bytes..range.end * bytes].to_vec(), ..*self }
    }
}

/// Which part of CIFAR-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The 50 000 training images.
    Train,
    /// The 10 000 test images.
    Test,
}

impl Split {
    /// File names without their ending.
    fn parts(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
            Split::Test => &["test_batch"],
        }
    }
}

/// A set of images, read as needed; of one size, but where they lie in files of their own.
#[derive(Debug)]
pub struct ImageSet {
    height: usize,
    width: usize,
    /// Whether images of any size are cropped and resized to this one.
    crop: bool,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Images),
    Files(Vec<PathBuf>),
    /// Encoded images.
    Database(Lmdb),
}

impl ImageSet {
    /// Opens a folder of images (as pytorch-fid does: the files directly in it, sorted by name), an `.npz` with
    /// `arr_0` (u8, `[n, height, width, 3]`), an LMDB database of encoded images as LSUN's are (in the order of their
    /// keys), or a folder with CIFAR-10's `data_batch_*`, which gives the training images.
    ///
    /// # Errors
    /// Where there is no image, or a file cannot be read, or sizes differ.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = path.metadata().map_err(Error::io(path))?;
        if Lmdb::is(path) {
            let database = Lmdb::open(path)?;
            if database.len() == 0 {
                return Err(Error::invalid(database.path(), "no images in this database"));
            }
            let first = decode_image(&database.value(0)?).map_err(|reason| value_error(&database, 0, reason))?;
            let (height, width) = (first.height() as usize, first.width() as usize);
            return Ok(ImageSet { height, width, crop: false, store: Store::Database(database) });
        }
        if metadata.is_file() {
            return Ok(read_npz(path)?.into());
        }
        if ["bin", "png"].iter().any(|ending| path.join("data_batch_1").with_extension(ending).exists()) {
            return Self::cifar10(path, Split::Train);
        }
        let mut files = Vec::new();
        for entry in path.read_dir().map_err(Error::io(path))? {
            let file = entry.map_err(Error::io(path))?.path();
            let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
                files.push(file);
            }
        }
        files.sort();
        let Some(first) = files.first() else {
            return Err(Error::invalid(path, format!("no images in this folder (looked for {})", ENDINGS.join(", "))));
        };
        let (width, height) = dimensions(first)?;
        Ok(ImageSet { height: height as usize, width: width as usize, crop: false, store: Store::Files(files) })
    }

    /// CIFAR-10 from a folder with the binary release's `.bin` files or with one-image-per-row `.png` sheets.
    ///
    /// # Errors
    /// Where a part is missing or not of the expected size.
    pub fn cifar10(folder: &Path, split: Split) -> Result<Self> {
        let mut pixels = Vec::new();
        for part in split.parts() {
            let file = folder.join(part);
            let (bin, png) = (file.with_extension("bin"), file.with_extension("png"));
            pixels.extend(if bin.exists() { read_cifar_binary(&bin)? } else { read_cifar_sheet(&png)? });
        }
        Ok(Images::new(32, 32, pixels)?.into())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Memory(images) => images.len(),
            Store::Files(files) => files.len(),
            Store::Database(database) => database.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The same images, each one's centre square resized to `size`×`size` by area.
    pub fn cropped(self, size: usize) -> Self {
        ImageSet { height: size, width: size, crop: true, store: self.store }
    }

    /// Images `range`.
    ///
    /// # Errors
    /// Where an image cannot be decoded, or has another size than the first and is not cropped.
    pub fn read(&self, range: Range<usize>) -> Result<Images> {
        if let Store::Memory(images) = &self.store
            && (!self.crop || (images.height, images.width) == (self.height, self.width))
        {
            return Ok(images.slice(range));
        }
        let mut pixels = Vec::with_capacity(range.len() * self.height * self.width * 3);
        for i in range {
            let (path, height, width, image) = self.image(i)?;
            if self.crop {
                pixels.extend(crop::centre(&image, height, width, self.height));
            } else if (height, width) == (self.height, self.width) {
                pixels.extend(image);
            } else {
                let expected = format!("{}x{} like the first image, or images to be cropped", self.width, self.height);
                return Err(Error::invalid(path, format!("image {i} is {width}x{height}; expected {expected}")));
            }
        }
        Images::new(self.height, self.width, pixels)
    }

    /// Images `range` of any sizes, in their order: those of one size that follow each other together.
    ///
    /// # Errors
    /// Where an image cannot be decoded.
    pub fn read_runs(&self, range: Range<usize>) -> Result<Vec<Images>> {
        if self.crop || matches!(self.store, Store::Memory(_)) {
            return Ok(vec![self.read(range)?]);
        }
        let mut runs: Vec<Images> = Vec::new();
        for i in range {
            let (_, height, width, pixels) = self.image(i)?;
            match runs.last_mut().filter(|run| (run.height, run.width) == (height, width)) {
                Some(run) => run.pixels.extend(pixels),
                None => runs.push(Images::new(height, width, pixels)?),
            }
        }
        Ok(runs)
    }

    /// Image `i` with its file, height and width.
    fn image(&self, i: usize) -> Result<(&Path, usize, usize, Vec<u8>)> {
        Ok(match &self.store {
            Store::Memory(images) => {
                let image = images.slice(i..i + 1);
                (Path::new("images"), image.height, image.width, image.pixels)
            }
            Store::Files(files) => raw(&files[i], decode(&files[i])?),
            Store::Database(database) => {
                let image = decode_image(&database.value(i)?).map_err(|reason| value_error(database, i, reason))?;
                raw(database.path(), image)
            }
        })
    }

    /// SHA-256 of the number, size and bytes of the images, in order: the same however they are stored. Of images of several sizes, of
    /// their number and of each one's size and bytes.
    ///
    /// # Errors
    /// As [`read_runs`](Self::read_runs).
    pub fn hash(&self) -> Result<String> {
        let begin = |height: usize, width: usize| {
            let mut hash = Sha256::new();
            [self.len(), height, width].iter().for_each(|number| hash.update((*number as u64).to_le_bytes()));
            hash
        };
        let (mut alike, mut each) = (Some(begin(self.height, self.width)), begin(0, 0));
        for start in (0..self.len()).step_by(1000) {
            for run in self.read_runs(start..(start + 1000).min(self.len()))? {
                alike = alike.filter(|_| (run.height, run.width) == (self.height, self.width));
                alike.iter_mut().for_each(|hash| hash.update(&run.pixels));
                for image in run.iter().filter(|_| matches!(self.store, Store::Files(_) | Store::Database(_))) {
                    [run.height, run.width].iter().for_each(|side| each.update((*side as u64).to_le_bytes()));
                    each.update(image);
                }
            }
        }
        Ok(format!("{:x}", alike.unwrap_or(each).finalize()))
    }
}

impl From<Images> for ImageSet {
    fn from(images: Images) -> Self {
        ImageSet { height: images.height, width: images.width, crop: false, store: Store::Memory(images) }
    }
}

fn raw(path: &Path, image: image::RgbImage) -> (&Path, usize, usize, Vec<u8>) {
    (path, image.height() as usize, image.width() as usize, image.into_raw())
}

fn value_error(database: &Lmdb, i: usize, reason: image::ImageError) -> Error {
    Error::invalid(database.path(), format!("value {i} is not a readable image: {reason}"))
}

/// 10 000 records of a label byte and three 32×32 planes.
fn read_cifar_binary(file: &Path) -> Result<Vec<u8>> {
    const RECORD: usize = 1 + 3 * 1024;
    let length = file.metadata().map_err(Error::io(file))?.len();
    if length != 10_000 * RECORD as u64 {
        let reason = format!("{length} bytes; expected 10000 records of {RECORD} bytes (CIFAR-10 binary version)");
        return Err(Error::invalid(file, reason));
    }
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    let interleave = |record: &[u8]| -> Vec<u8> { (0..3072).map(|i| record[1 + i % 3 * 1024 + i / 3]).collect() };
    Ok(bytes.chunks(RECORD).flat_map(interleave).collect())
}

/// One image per row: 1024 RGB pixels.
fn read_cifar_sheet(file: &Path) -> Result<Vec<u8>> {
    let (width, height) = dimensions(file)?;
    if (width, height) != (1024, 10_000) {
        return Err(Error::invalid(file, format!("is {width}x{height}; expected 10000 rows of 1024 pixels")));
    }
    Ok(decode(file)?.into_raw())
}

fn read_npz(path: &Path) -> Result<Images> {
    let invalid = |reason: String| {
        Error::invalid(path, format!("{reason}; expected an .npz with arr_0: u8 [n, height, width, 3]"))
    };
    let accept = |npy: &Npy| match npy.shape.as_slice() {
        [_, _, _, 3] if npy.kind != "|u1" || npy.fortran => {
            Err(format!("arr_0 has type '{}' in {} order", npy.kind, npy.order()))
        }
        [0, _, _, 3] => Err("arr_0 holds no images".into()),
        [_, _, _, 3] => Ok(1),
        shape => Err(format!("arr_0 has shape {shape:?}")),
    };
    let (npy, pixels) = npy::read_npz(path, "arr_0", accept).map_err(invalid)?;
    Images::new(npy.shape[1] as usize, npy.shape[2] as usize, pixels).map_err(|error| invalid(error.to_string()))
}

/// One array of an `.npz`, f64 or f32, as f64, with its shape.
pub(crate) fn read_npz_f64(path: &Path, name: &str) -> Result<(Vec<u64>, Vec<f64>)> {
    // NumPy's '<f8' and '<f4', and the same of the other byte order. Columns first or rows first is one for a vector and for what is symmetric.
    let accept = |npy: &Npy| match npy.kind.as_str() {
        "<f8" | ">f8" => Ok(8),
        "<f4" | ">f4" => Ok(4),
        other => Err(format!("{name}: has type '{other}'; expected f64 or f32")),
    };
    let (npy, bytes) = npy::read_npz(path, name, accept).map_err(|reason| Error::invalid(path, reason))?;
    let (doubles, singles) = (bytes.as_chunks().0.iter().copied(), bytes.as_chunks().0.iter().copied());
    let values = match npy.kind.as_str() {
        "<f8" => doubles.map(f64::from_le_bytes).collect(),
        ">f8" => doubles.map(f64::from_be_bytes).collect(),
        "<f4" => singles.map(|bytes| f32::from_le_bytes(bytes).into()).collect(),
        _ => singles.map(|bytes| f32::from_be_bytes(bytes).into()).collect(),
    };
    Ok((npy.shape, values))
}

/// Whether the file is an `.npz` with this array.
pub(crate) fn npz_has(path: &Path, name: &str) -> bool {
    // To open a pipe would wait for somebody to write.
    let opened = Some(path).filter(|path| path.is_file()).and_then(|path| File::open(path).ok());
    let archive = opened.and_then(|file| zip::ZipArchive::new(file).ok());
    archive.is_some_and(|archive| archive.index_for_name(&format!("{name}.npy")).is_some())
}
