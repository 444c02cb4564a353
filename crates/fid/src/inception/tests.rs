//! The last layer, in a file made of the archive that `fewstep fetch` leaves, which lacks it.

use std::{collections::HashMap, fs::File, io::Read, path::PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::*;

/// Where `fewstep fetch` puts things.
fn archive() -> PathBuf {
    let root = std::env::var_os("FEWSTEP_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME or FEWSTEP_CACHE is set")).join(".cache/fewstep");
    root.unwrap_or_else(home).join("inception/default_1.pt")
}

/// As `tests/golden/make_protocols.py` has it.
fn last_layer() -> Vec<u8> {
    let value = |k: usize| ((k * 7919 % 10007) as f64 / 10007.0 * 0.1 - 0.05) as f32;
    (0..CLASSES * DIM).flat_map(|k| value(k).to_le_bytes()).collect()
}

/// The archive's tensors under pytorch-fid's names, and a last layer of these outputs.
fn with_last(outputs: usize) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(File::open(archive()).unwrap()).unwrap();
    let mut entry = |index: usize| {
        let mut bytes = Vec::new();
        archive.by_name(&format!("out_jit_module/data/{index}")).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut tensors: HashMap<String, (Vec<usize>, Vec<u8>)> = HashMap::new();
    for (index, layer) in layers().iter().enumerate() {
        let Layer { name, input, output, kernel: [kh, kw], .. } = layer;
        let parts = ["conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
        for (offset, part) in parts.into_iter().enumerate() {
            let shape = if offset == 0 { vec![*output, *input, *kh, *kw] } else { vec![*output] };
            tensors.insert(format!("{name}.{part}"), (shape, entry(4 * index + offset)));
        }
    }
    tensors.insert("fc.weight".into(), (vec![outputs, DIM], last_layer()[..outputs * DIM * 4].to_vec()));
    let views =
        tensors.iter().map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Against torch-fidelity's `logits_unbiased` on the same weights. Features, and the hash of the weights, are those without the layer.
#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn logits_are_torch_fidelitys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inception.safetensors");
    std::fs::write(&path, with_last(CLASSES)).unwrap();
    let golden = SafeTensors::deserialize(include_bytes!("../../tests/golden/protocols.safetensors")).unwrap();
    let expected = golden.tensor("logits").unwrap().data().as_chunks().0;
    let sixteen = include_bytes!("../../tests/golden/inception-features-16.safetensors");
    let sixteen = SafeTensors::deserialize(sixteen).unwrap().tensor("images").unwrap().data();
    let images = Images::new(32, 32, sixteen[..2 * 3072].to_vec()).unwrap();
    let network = Inception::compiled(&path).unwrap().with_protocol(Protocol::Tensorflow);
    let bare = Inception::compiled(&archive()).unwrap().with_protocol(Protocol::Tensorflow);
    let features = network.features(&images).unwrap();
    assert!(features == bare.features(&images).unwrap() && network.identity() == bare.identity());
    assert!(network.has_logits() && !bare.has_logits() && bare.logits(&features).is_none());
    let found = network.logits(&features).unwrap();
    assert_eq!(found.len(), 2 * CLASSES);
    let difference = |(found, expected): (&f32, &[u8; 4])| (found - f32::from_le_bytes(*expected)).abs();
    let largest = found.iter().zip(expected).map(difference).fold(0.0, f32::max);
    println!("largest difference of a logit {largest:e}");
    assert!(largest < 1e-4, "{largest:e}");
    // One image by itself has the same bits.
    assert!(network.logits(&features[DIM..]).unwrap() == found[CLASSES..]);

    // ImageNet's 1000 classes alone are another network's.
    std::fs::write(&path, with_last(1000)).unwrap();
    let refused = Inception::compiled(&path).err().unwrap().to_string();
    assert!(refused.contains("fc.weight has shape [1000, 2048]; expected f32 of shape [1008, 2048]"), "{refused}");
}
