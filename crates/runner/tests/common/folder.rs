//! What tests of folders share: which cells a sweep measured, what a folder holds, and checkpoints made from the small ones.
#![allow(dead_code)] // each test file uses its own part

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::common::{repository, run};

/// What a successful sweep said.
pub struct Swept {
    /// Names of the cells that it measured, in their order.
    pub measured: Vec<String>,
    /// Those of them whose samples are another's, with its name.
    pub shared: Vec<(String, String)>,
    /// Evaluations of an image: made, and known already; none where nothing was to be measured.
    pub evaluations: Option<(u64, u64)>,
    /// Standard output.
    pub stdout: String,
}

/// Sweeps with `arguments` and expects success.
pub fn sweep(cwd: &Path, arguments: &[&str]) -> Swept {
    let output = run(cwd, &[&["sweep"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    let parts = |line: &str| {
        let (_, rest) = line.strip_prefix("cell ")?.split_once(": ")?;
        let (name, found) = rest.split_once(": ")?;
        let other = found.split_once(", of the same samples as ").map(|(_, other)| other.split(": ").next().unwrap());
        Some((name.to_owned(), other.map(str::to_owned)))
    };
    let cells: Vec<_> = text.lines().filter_map(parts).collect();
    let evaluations = |line: &str| {
        let (made, known) = line.strip_prefix("evaluations of an image: ")?.split_once(" made, ")?;
        Some((made.parse().unwrap(), known.strip_suffix(" known already").unwrap().parse().unwrap()))
    };
    Swept {
        evaluations: text.lines().find_map(evaluations),
        shared: cells.iter().filter_map(|(name, other)| Some((name.clone(), other.clone()?))).collect(),
        measured: cells.into_iter().map(|(name, _)| name).collect(),
        stdout: String::from_utf8(output.stdout).unwrap(),
    }
}

/// `toml` as cells are kept: under its hash.
pub fn sealed(toml: &str) -> String {
    format!("sha256 = \"{:x}\"\n{toml}", Sha256::digest(toml))
}

/// What is under the hash of a kept cell.
pub fn unsealed(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let (_, toml) = text.split_once('\n').unwrap();
    assert_eq!(text, sealed(toml), "{}", path.display());
    toml.to_owned()
}

/// One row of `cells.csv` by column, without the seconds, which are all that two runs may differ in.
pub type Row = BTreeMap<String, String>;

pub fn rows(folder: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(folder.join("cells.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let all = headers.iter().zip(record.iter()).filter(|(name, _)| !name.starts_with("seconds"));
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// Everything that two folders of one experiment must agree in, row by row so that a failure names the figure.
pub fn assert_same(reused: &Path, fresh: &Path, what: &str) {
    let (left, right) = (rows(reused), rows(fresh));
    assert_eq!(left.len(), right.len(), "{what}: rows");
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right, "{what}: reused, then fresh");
    }
    for file in ["table.md", "normaliser.csv"] {
        let read = |folder: &Path| {
            let text = fs::read_to_string(folder.join(file));
            // No experiment is without a table; a normaliser is there where the cells were measured with one.
            let expected = file == "table.md" || has_normaliser(folder);
            assert_eq!(text.is_ok(), expected, "{what}: {file} in {}", folder.display());
            text.unwrap_or_default()
        };
        assert_eq!(read(reused), read(fresh), "{what}: {file}");
    }
}

/// Every file of two results folders, byte by byte, but for the seconds and what holds them.
pub fn assert_same_bytes(left: &Path, right: &Path) {
    assert_eq!(rows(left), rows(right));
    let timed = ["cells.csv", "cells.parquet", "provenance.toml", "report.html"];
    let files = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let here = tree(folder).into_iter().filter_map(|(path, bytes)| {
            let name = path.strip_prefix(folder).unwrap().to_str()?.to_owned();
            (!name.contains('/') && !timed.contains(&&*name)).then_some((name, bytes))
        });
        here.collect()
    };
    let (left, right) = (files(left), files(right));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (name, bytes) in &left {
        assert!(bytes == &right[name], "{name} differs");
    }
    assert!(left.contains_key("table.md") && left.contains_key("samples.png") && left.contains_key("images.parquet"));
}

/// That nothing is there but whole files: what is written beside them, and locks, are left by what was killed alone.
pub fn assert_nothing_left(folder: &Path) {
    for path in tree(folder).keys() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !name.starts_with('.') && !name.ends_with(".lock") && !name.ends_with(".part"),
            "{} is left",
            path.display()
        );
        assert!(!path.components().any(|part| part.as_os_str() == "parts"), "{} is left", path.display());
    }
}

/// That every file of a folder is whole, whatever wrote it and was killed.
pub fn assert_whole(folder: &Path) {
    for (path, bytes) in tree(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = || String::from_utf8(bytes.clone()).unwrap();
        let whole = match path.extension().and_then(|ending| ending.to_str()) {
            _ if name.starts_with('.') => true,
            Some("toml") if name == "provenance.toml" => text().parse::<toml::Table>().is_ok(),
            Some("toml") => text().split_once('\n').is_some_and(|(_, toml)| text() == sealed(toml)),
            Some("csv") => {
                let mut rows = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(&*bytes);
                rows.records().all(|row| row.is_ok()) && text().ends_with('\n')
            }
            Some("png") => image::load_from_memory(&bytes).is_ok(),
            Some("svg") => text().trim_end().ends_with("</svg>"),
            Some("html") => text().trim_end().ends_with("</html>"),
            Some("parquet") => bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"),
            Some("md") => text().ends_with('\n'),
            Some("f32") => !bytes.is_empty() && bytes.len() % 4 == 0,
            Some("lock") => true,
            other => panic!("{}: {other:?} is a file that no one expects", path.display()),
        };
        assert!(whole, "{} is not whole", path.display());
    }
}

fn has_normaliser(folder: &Path) -> bool {
    let provenance: toml::Table = fs::read_to_string(folder.join("provenance.toml")).unwrap().parse().unwrap();
    provenance["assets"].as_table().unwrap().contains_key("normaliser")
}

/// Names in `folder/cells` that begin and end so.
pub fn kept(folder: &Path, start: &str, end: &str) -> BTreeSet<String> {
    let names = folder.join("cells").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(start) && name.ends_with(end)).collect()
}

/// Solutions are solved and kept under their keys.
pub fn solutions(folder: &Path) -> BTreeSet<String> {
    kept(folder, "solution-", ".f32")
}

pub fn normalisers(folder: &Path) -> BTreeSet<String> {
    kept(folder, "normaliser-", ".csv")
}

/// Every file under `folder` with its content.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Files that are there after and not before, or with another content, or gone; as a list for messages.
pub fn changed(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeSet<PathBuf> {
    let all = before.keys().chain(after.keys());
    all.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in tree(from) {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub fn golden(name: &str) -> PathBuf {
    repository().join("crates/model/tests/golden").join(name)
}

/// Numbers of a tensor by name, single precision.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The tensors of a small network, whose file has half precision.
pub fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |view: &safetensors::tensor::TensorView| -> Vec<f32> {
        assert_eq!(view.dtype(), Dtype::F16);
        view.data().as_chunks().0.iter().map(|&bytes| half(u16::from_le_bytes(bytes))).collect()
    };
    file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), values(&view))).collect()
}

/// The number that a half has; the small networks' are finite.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// A safetensors file of single precision with its tensors in this order and `metadata` (JSON) in front.
pub fn write_tensors(path: &Path, tensors: &Tensors, metadata: &str) {
    let (mut header, mut data) = (format!("{{\"__metadata__\":{metadata}"), Vec::new());
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let to = data.len();
        header += &format!(",\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{from},{to}]}}");
    }
    header.push('}');
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
}
