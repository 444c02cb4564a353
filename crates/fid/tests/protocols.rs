//! The protocols against the packages that have them: torch-fidelity 0.4.0, clean-fid 0.1.35 and pytorch-fid 0.3.0, by `golden/make_protocols.py`.
//! Those with the network need `fewstep fetch` first and are ignored without being asked for.

use std::{fs::File, io::Write, path::PathBuf};

use burn::tensor::Device;
use fewstep_fid::{
    Extractor, Identity, ImageSet, Images, Inception, Moments, Protocol, Spatial, Split, Statistics, Subsets,
    frechet_distance, kernel_distance, manifold,
};
use safetensors::SafeTensors;

/// Where `fewstep fetch` puts things.
fn cache(asset: &str) -> PathBuf {
    let root = std::env::var_os("FEWSTEP_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME or FEWSTEP_CACHE is set")).join(".cache/fewstep");
    root.unwrap_or_else(home).join(asset)
}

fn compiled(protocol: Protocol) -> Inception {
    Inception::compiled(&cache("inception/default_1.pt")).unwrap().with_protocol(protocol)
}

/// In burn's own operations.
fn plain(protocol: Protocol) -> Inception {
    Inception::open(&cache("inception/default_1.pt"), &Device::flex(), true).unwrap().with_protocol(protocol)
}

const GOLDEN: &[u8] = include_bytes!("golden/protocols.safetensors");

fn golden(name: &str) -> Vec<f32> {
    let golden = SafeTensors::deserialize(GOLDEN).unwrap();
    golden.tensor(name).unwrap().data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// The first of 16 CIFAR-10 test images.
fn sixteen(count: usize) -> Images {
    let golden = SafeTensors::deserialize(include_bytes!("golden/inception-features-16.safetensors")).unwrap();
    Images::new(32, 32, golden.tensor("images").unwrap().data()[..count * 3072].to_vec()).unwrap()
}

fn figures() -> serde_json::Value {
    serde_json::from_str(include_str!("golden/protocols.json")).unwrap()
}

fn compare(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(found.iter().all(|value| value.is_finite()), "{what}");
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: largest difference {largest:e}");
    assert!(largest < 1e-4, "{what}: {largest:e}");
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn features_are_the_packages() {
    for (network, make) in [("compiled", compiled as fn(Protocol) -> Inception), ("plain", plain)] {
        for protocol in Protocol::ALL {
            let (inception, name) = (make(protocol), protocol.name());
            if protocol != Protocol::PytorchFid {
                compare(&format!("{network} {name}"), &inception.features(&sixteen(16)).unwrap(), &golden(name));
            }
            for (height, width) in [(20, 51), (400, 310)] {
                let pixels = (0..height * width * 3).map(|i| (i * 7919 % 251) as u8).collect();
                let found = inception.features(&Images::new(height, width, pixels).unwrap()).unwrap();
                compare(
                    &format!("{network} {name} {height}x{width}"),
                    &found,
                    &golden(&format!("{name} {height}x{width}")),
                );
            }
            if protocol != Protocol::Clean {
                let found = Spatial(&inception).features(&sixteen(2)).unwrap();
                compare(&format!("{network} {name} spatial"), &found, &golden(&format!("{name} spatial")));
            }
        }
    }
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn rows_depend_on_their_own_image_alone() {
    let inception = compiled(Protocol::Clean);
    let spatial = Spatial(&inception);
    // One more than Inception takes at once.
    for extractor in [&inception as &dyn Extractor, &spatial] {
        let whole = extractor.features(&sixteen(9)).unwrap();
        let one_by_one: Vec<f32> = sixteen(9)
            .pixels()
            .chunks(3072)
            .flat_map(|image| extractor.features(&Images::new(32, 32, image.to_vec()).unwrap()).unwrap())
            .collect();
        assert!(whole == one_by_one && whole.len() == 9 * extractor.dim(), "{:?}", extractor.identity());
    }
}

/// Whole values have the bits of bytes, and a quarter of a level moves features about a quarter as far as a level.
#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn values_need_not_be_whole() {
    let bytes = sixteen(2);
    let at = |by: f32| bytes.pixels().iter().map(|&level| f32::from(level) + by).collect::<Vec<f32>>();
    for make in [compiled as fn(Protocol) -> Inception, plain] {
        for protocol in Protocol::ALL {
            let inception = make(protocol);
            let features = |by: f32| inception.features_of_values(&at(by), [32, 32]).unwrap();
            let whole = features(0.0);
            assert!(whole == inception.features(&bytes).unwrap(), "{protocol:?}");
            let moved = |by: f32| {
                let squares = features(by).iter().zip(&whole).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                squares.sqrt()
            };
            let ratio = moved(0.25) / moved(1.0);
            assert!((ratio - 0.25).abs() < 0.05, "{protocol:?}: {ratio}");
            assert!(inception.features_of_values(&at(0.0)[1..], [32, 32]).is_err());
        }
    }
}

/// Rows cut to their first numbers, of which so few images have covariances of full rank: those have a figure by SciPy's square root.
fn distance(rows: &[Vec<f32>; 2], dim: usize, few: usize) -> f64 {
    let [a, b] = rows.each_ref().map(|rows| {
        let mut moments = Moments::new(few);
        rows.chunks(dim).for_each(|row| moments.push(&row[..few]).unwrap());
        moments.gaussian().unwrap()
    });
    frechet_distance(&a, &b).unwrap()
}

/// Every measure of two parts of CIFAR-10's test images, on features of the protocol's package.
fn measure(protocol: Protocol) {
    let figures = figures();
    let (part, few) = (figures["part"].as_u64().unwrap() as usize, figures["few"].as_u64().unwrap() as usize);
    let images = ImageSet::cifar10(&cache("cifar10"), Split::Test).unwrap();
    let inception = compiled(protocol);
    let figure = |name: &str| figures["measures"][protocol.name()][name].as_f64();
    let near = |name: &str, found: f64| {
        let expected = figure(name).unwrap();
        let relative = ((found - expected) / expected).abs();
        println!("{} {name}: {found}, expected {expected}, relative {relative:.1e}", protocol.name());
        // Measured: up to 6e-7 of a distance; a kernel distance of parts of one set is a difference of nearly equal sums, 7e-6.
        let bound = if name == "kid" { 3e-5 } else { 3e-6 };
        assert!(relative < bound, "{} {name}: {found}, expected {expected}", protocol.name());
    };
    let of = |extractor: &dyn Extractor| {
        [0..part, part..2 * part].map(|range| extractor.features(&images.read(range).unwrap()).unwrap())
    };
    let rows = of(&inception);
    near("fid", distance(&rows, inception.dim(), inception.dim()));
    near("fid_few", distance(&rows, inception.dim(), few));
    let [fake, real] = &rows;
    let subsets = Subsets { count: 1, size: part, seed: 0 };
    near("kid", kernel_distance(fake, real, inception.dim(), subsets).unwrap().mean);
    let found = manifold(real, fake, inception.dim(), 5).unwrap();
    // Parts of whole numbers: whether a neighbour is within a radius can hang on a rounding, of which one image is allowed.
    for (name, found) in [
        ("precision", found.precision),
        ("recall", found.recall),
        ("density", found.density),
        ("coverage", found.coverage),
    ] {
        let expected = figure(name).unwrap();
        println!("{} {name}: {found}, expected {expected}", protocol.name());
        assert!((found - expected).abs() < 1.5 / part as f64, "{} {name}: {found}, {expected}", protocol.name());
    }
    if figure("sfid").is_some() {
        let spatial = Spatial(&inception);
        let rows = of(&spatial);
        near("sfid", distance(&rows, spatial.dim(), spatial.dim()));
        near("sfid_few", distance(&rows, spatial.dim(), few));
    }
}

#[test]
#[ignore = "needs `fewstep fetch`; a minute"]
fn measures_by_pytorch_fid_are_its_packages() {
    measure(Protocol::PytorchFid);
}

#[test]
#[ignore = "needs `fewstep fetch`; a minute"]
fn measures_by_tensorflow_are_its_packages() {
    measure(Protocol::Tensorflow);
}

#[test]
#[ignore = "needs `fewstep fetch`; a minute"]
fn measures_by_clean_are_its_packages() {
    measure(Protocol::Clean);
}

/// Statistics of the identity that a protocol gives, without a network.
fn identity(extractor: &str, preparation: Protocol) -> Identity {
    let text = match preparation {
        Protocol::PytorchFid => "RGB / 255, bilinear to 299x299 (corners not aligned, no antialiasing), 2x - 1",
        Protocol::Tensorflow => "RGB, bilinear to 299x299 (TensorFlow 1, no antialiasing), (x - 128) / 128",
        Protocol::Clean => "RGB, bicubic to 299x299 (Pillow, antialiased), clipped to 0-255, (x - 128) / 128",
    };
    Identity { extractor: extractor.into(), weights: "w".into(), preparation: text.into() }
}

/// What is written there stays: files of statistics and keys hold these words.
#[test]
fn a_protocol_is_known_by_its_identity() {
    for protocol in Protocol::ALL {
        assert_eq!(Protocol::of(&identity("fid-inception-pool3", protocol)), Some(protocol));
        assert_eq!(Protocol::named(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::of(&fewstep_fid::Pixel8.identity()), None);
    assert_eq!(Protocol::named("legacy"), None);
}

/// An `.npy` of f64 in C order.
fn npy(shape: &str, values: &[f64]) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let length = (header.len() as u16).to_le_bytes();
    let numbers: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &numbers].concat()
}

/// The arrays of EDM's `cifar10-32x32.npz` (`mu`, `sigma`, f64), and those of guided-diffusion's reference batches (`mu_s`, `sigma_s` besides).
#[test]
fn published_statistics_are_read_as_what_they_are_taken_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar10-32x32.npz");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let arrays = [
        ("mu.npy", npy("(2,)", &[0.5, 1.0])),
        ("sigma.npy", npy("(2, 2)", &[2.0, 0.5, 0.5, 1.0])),
        ("mu_s.npy", npy("(1,)", &[3.0])),
        ("sigma_s.npy", npy("(1, 1)", &[4.0])),
    ];
    for (name, bytes) in arrays {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
    assert!(Statistics::is_file(&path) && Statistics::has_spatial(&path));
    for protocol in Protocol::ALL {
        let pool3 = identity("fid-inception-pool3", protocol);
        let read = Statistics::read(&path, &pool3).unwrap();
        assert_eq!((read.gaussian.mean(), read.gaussian.covariance()[(0, 1)]), (&[0.5, 1.0][..], 0.5));
        assert_eq!((read.count, read.identity), (0, pool3));
    }
    let spatial = Statistics::read(&path, &identity("fid-inception-mixed6-conv-7", Protocol::Tensorflow)).unwrap();
    assert_eq!((spatial.gaussian.mean(), spatial.gaussian.covariance()[(0, 0)]), (&[3.0][..], 4.0));
}

#[test]
fn statistics_of_another_protocol_are_refused_by_its_name() {
    let mut moments = Moments::new(1);
    moments.push(&[1.0, 2.0, 4.0]).unwrap();
    let gaussian = moments.gaussian().unwrap();
    let of = |protocol| identity("fid-inception-pool3", protocol);
    let statistics =
        Statistics { identity: of(Protocol::Clean), dataset: String::new(), count: 3, key: String::new(), gaussian };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clean.safetensors");
    std::fs::write(&path, statistics.to_safetensors(fewstep_fid::Precision::F64).unwrap()).unwrap();
    let read = Statistics::read(&path, &of(Protocol::Tensorflow)).unwrap();
    read.expect(&of(Protocol::Clean), &path).unwrap();
    let refused = read.expect(&of(Protocol::Tensorflow), &path).unwrap_err().to_string();
    let expected = "clean.safetensors: statistics do not match: they are of protocol 'clean', expected 'tensorflow'";
    assert!(refused.ends_with(expected), "{refused}");
}
