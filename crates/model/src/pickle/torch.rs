//! PyTorch's tensors in a pickle: views of storages, each of which is a file of PyTorch's older kind inside it.

use std::{collections::HashMap, ops::Range};

use super::{Fault, Id, Node, Pickle};
use crate::weights::Float;

/// A tensor's numbers in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PickledTensor {
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
    storage: Storage,
}

#[derive(Debug, Clone, PartialEq)]
struct Storage {
    float: Float,
    bytes: Range<usize>,
}

/// 0x1950a86a20f9469cfc6c, with which PyTorch's older files begin.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Their version.
const PROTOCOL: i64 = 1001;
/// Dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;

/// Operations of each of the five small pickles at the beginning of a storage; together they need under a hundred.
const STORAGE_OPERATIONS: usize = 1 << 8;

/// Finds the tensors of a pickle; each storage is looked into once, however many objects refer to its bytes.
pub(crate) struct Tensors<'a> {
    bytes: &'a [u8],
    pickle: &'a Pickle<'a>,
    storages: HashMap<Range<usize>, Storage>,
}

type Result<T, E = String> = std::result::Result<T, E>;

impl<'a> Tensors<'a> {
    /// Of `pickle`, read from `bytes`.
    pub fn new(bytes: &'a [u8], pickle: &'a Pickle<'a>) -> Self {
        Tensors { bytes, pickle, storages: HashMap::new() }
    }

    /// The tensor, or parameter, at a node.
    ///
    /// # Errors
    /// Where it is none, or its numbers are not in the file.
    pub fn tensor(&mut self, id: Id) -> Result<PickledTensor> {
        let pickle = self.pickle;
        let parameter = ["_rebuild_parameter", "_rebuild_parameter_with_state"];
        let parameter = parameter.iter().find_map(|name| pickle.called(id, ["torch._utils", name])?.first());
        let id = parameter.copied().unwrap_or(id);
        let Some([storage, offset, shape, strides, ..]) = pickle.called(id, ["torch._utils", "_rebuild_tensor_v2"])
        else {
            return Err("is no tensor of PyTorch's".into());
        };
        let storage = self.storage(*storage)?;
        let sizes = |id: Id| -> Option<Vec<usize>> {
            let items = pickle.items(id).filter(|items| items.len() <= MAX_DIMENSIONS)?;
            items.iter().map(|&item| usize::try_from(pickle.int(item)?).ok()).collect()
        };
        let offset = pickle.int(*offset).and_then(|offset| usize::try_from(offset).ok());
        let (Some(offset), Some(shape), Some(strides)) = (offset, sizes(*shape), sizes(*strides)) else {
            return Err("has no shape".into());
        };
        let tensor = PickledTensor { shape, strides, offset, storage };
        tensor.check()?;
        Ok(tensor)
    }

    fn storage(&mut self, id: Id) -> Result<Storage> {
        let bytes = match self.pickle.called(id, ["torch.storage", "_load_from_bytes"]) {
            Some([bytes]) => *bytes,
            _ => return Err("has its numbers elsewhere; expected them in the pickle".into()),
        };
        let Node::Bytes(range) = self.pickle.node(bytes) else {
            return Err("has no numbers".into());
        };
        if let Some(known) = self.storages.get(range) {
            return Ok(known.clone());
        }
        let found = storage(&self.bytes[..range.end], range.start);
        let found = found.map_err(|fault| format!("has a damaged storage, {fault}"))?;
        self.storages.insert(range.clone(), found.clone());
        Ok(found)
    }
}

/// Reads a storage that `torch.save` wrote to the end of `bytes`: magic, version, system, where its numbers are, keys, numbers.
fn storage(bytes: &[u8], start: usize) -> Result<Storage, Fault> {
    let wrong = |at: usize, reason: &str| Fault::new(at, reason);
    let small = |at: usize| Pickle::read_within(bytes, at, STORAGE_OPERATIONS);
    let magic = small(start)?;
    if *magic.node(magic.root()) != Node::Long(&MAGIC) {
        return Err(wrong(start, "not what PyTorch saves"));
    }
    let version = small(magic.end())?;
    if version.int(version.root()) != Some(PROTOCOL) {
        return Err(wrong(magic.end(), "a version that PyTorch does not have"));
    }
    let system = small(version.end())?;
    let little = system.get(system.root(), "little_endian").map(|id| system.node(id));
    if little != Some(&Node::Bool(true)) {
        return Err(wrong(version.end(), "numbers that are not little-endian"));
    }
    let object = small(system.end())?;
    let found = match object.node(object.root()) {
        Node::Persistent(name) => object.items(*name),
        _ => None,
    };
    let Some([kind, of, _, _, count, ..]) = found else {
        return Err(wrong(system.end(), "no storage"));
    };
    let float = match (object.text(*kind), object.global(*of)) {
        (Some("storage"), Some(["torch", name])) => Float::of_storage(name),
        _ => None,
    };
    let Some(float) = float else {
        return Err(wrong(system.end(), "a storage that is not of F16, BF16, F32 or F64"));
    };
    let keys = small(object.end())?;
    let counted = bytes.get(keys.end()..keys.end() + 8).and_then(|count| count.as_chunks::<8>().0.first().copied());
    let counted = counted.map(i64::from_le_bytes);
    let data = keys.end() + 8;
    let length = counted.and_then(|count| usize::try_from(count).ok()?.checked_mul(float.bytes()));
    match length {
        Some(length) if counted == object.int(*count) && length <= bytes.len() - data => {
            Ok(Storage { float, bytes: data..data + length })
        }
        _ => Err(wrong(keys.end(), "another number of values than announced")),
    }
}

impl PickledTensor {
    /// How many numbers.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// That every number is in the storage, and each there once at most: a small file cannot stand for a large tensor.
    fn check(&self) -> Result<()> {
        let there = self.storage.bytes.len() / self.storage.float.bytes();
        let count = self.shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
        if self.strides.len() != self.shape.len() || count.is_none_or(|count| count > there) {
            return Err(format!("has shape {:?} and only {there} numbers", self.shape));
        }
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (&side, &stride)| {
            last.checked_add(side.saturating_sub(1).checked_mul(stride)?)
        });
        match last {
            Some(last) if last < there || count == Some(0) => Ok(()),
            _ => Err(format!("reaches beyond its {there} numbers")),
        }
    }

    /// The numbers, row-major; `bytes` is the file.
    pub fn values(&self, bytes: &[u8]) -> Vec<f32> {
        let (float, storage) = (self.storage.float, bytes.get(self.storage.bytes.clone()).unwrap_or_default());
        let count = self.count();
        if count == 0 {
            return Vec::new();
        }
        let mut expected = 1;
        let dense = self.shape.iter().zip(&self.strides).rev().all(|(&side, &stride)| {
            let fits = side <= 1 || stride == expected;
            expected *= side;
            fits
        });
        if dense {
            let range = self.offset * float.bytes()..(self.offset + count) * float.bytes();
            return float.decode(storage.get(range).unwrap_or_default());
        }
        // One at a time: a storage may be large, and the views of it small and many.
        let number =
            |at: usize| float.decode(storage.get(at * float.bytes()..(at + 1) * float.bytes()).unwrap_or_default());
        let at = |mut index: usize| {
            let dimensions = self.shape.iter().zip(&self.strides).rev();
            dimensions.fold(self.offset, |at, (&side, &stride)| {
                let step = index % side * stride;
                index /= side;
                at + step
            })
        };
        (0..count).flat_map(|index| number(at(index))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two objects of the same bytes: what is in them is read once.
    #[test]
    fn storages_are_read_once() {
        let mut saved = b"\x80\x02\x8a\x0a".to_vec();
        saved.extend(MAGIC);
        saved.extend(b".\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.");
        saved.extend(b"\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01NtQ.");
        saved.extend(b"\x80\x02]X\x01\0\0\x000a.\x01\0\0\0\0\0\0\0\0\0\x80\x3f");
        let mut bytes = b"\x80\x04](B".to_vec();
        bytes.extend((saved.len() as u32).to_le_bytes());
        bytes.extend(saved);
        bytes.extend(b"q\x000");
        for _ in 0..2 {
            bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nh\x00\x85RK\0))tR");
        }
        bytes.extend(b"e.");
        let pickle = Pickle::read(&bytes, 0).unwrap();
        let mut tensors = Tensors::new(&bytes, &pickle);
        for &id in pickle.items(pickle.root()).unwrap() {
            assert_eq!(tensors.tensor(id).unwrap().values(&bytes), [1.0]);
        }
        assert_eq!(tensors.storages.len(), 1);
    }

    /// By `tests/golden/make_edm.py`.
    #[test]
    fn views_are_what_pytorch_has() {
        // Asked when it runs: checkouts that share a target directory share this binary.
        let here = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
        let path = here.join("tests/golden/layouts/pickled-tensors.pkl");
        let bytes = std::fs::read(path).unwrap();
        let pickle = Pickle::read(&bytes, 0).unwrap();
        let mut tensors = Tensors::new(&bytes, &pickle);
        let mut tensor = |name| tensors.tensor(pickle.get(pickle.root(), name).unwrap());
        let whole: Vec<f32> = (0..12u8).map(f32::from).collect();
        let transposed = (0..12usize).map(|i| whole[i % 3 * 4 + i / 3]).collect();
        let cases: [(_, &[usize], Vec<f32>); 5] = [
            ("whole", &[3, 4], whole.clone()),
            ("transposed", &[4, 3], transposed),
            ("part", &[2, 2], vec![4.0, 5.0, 8.0, 9.0]),
            ("half", &[4], vec![0.0, 1.0, 2.0, 3.0]),
            ("one", &[], vec![2.5]),
        ];
        for (name, shape, values) in cases {
            let found = tensor(name).unwrap();
            assert_eq!((found.shape.as_slice(), found.values(&bytes)), (shape, values), "{name}");
        }
        assert_eq!(tensor("expanded").unwrap_err(), "has shape [1000] and only 1 numbers");
        assert!(tensor("whole numbers").unwrap_err().contains("not of F16, BF16, F32 or F64"));
    }
}
