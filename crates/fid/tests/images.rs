//! The same images in every packaging give the same bytes and the same hash; statistics survive their file.

use std::io::Write;

use fewstep_fid::{Extractor, ImageSet, Images, Pixel8, Precision, Split, Statistics, frechet_distance};

const COUNT: usize = 10_000;

fn pixels() -> Vec<u8> {
    (0..COUNT * 3072).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn cifar10_is_the_same_in_binary_sheet_folder_and_npz() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pixels = pixels();
    for name in ["binary", "sheet", "folder"] {
        std::fs::create_dir(path(name)).unwrap();
    }

    // A label byte, then the three planes.
    let record = |image: &[u8]| -> Vec<u8> {
        std::iter::once(7).chain((0..3072).map(|i| image[i % 1024 * 3 + i / 1024])).collect()
    };
    let binary: Vec<u8> = pixels.chunks(3072).flat_map(record).collect();
    std::fs::write(path("binary/test_batch.bin"), binary).unwrap();
    image::save_buffer(path("sheet/test_batch.png"), &pixels, 1024, COUNT as u32, image::ColorType::Rgb8).unwrap();
    for (i, image) in pixels.chunks(3072).enumerate() {
        image::save_buffer(path(&format!("folder/{i:05}.png")), image, 32, 32, image::ColorType::Rgb8).unwrap();
    }
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({COUNT}, 32, 32, 3), }}");
    header.extend(std::iter::repeat_n(' ', 117 - header.len()));
    header.push('\n');
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path("a.npz")).unwrap());
    archive.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
    archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    archive.write_all(&pixels).unwrap();
    archive.finish().unwrap();

    let sets = [
        ImageSet::cifar10(&path("binary"), Split::Test).unwrap(),
        ImageSet::cifar10(&path("sheet"), Split::Test).unwrap(),
        ImageSet::open(&path("folder")).unwrap(),
        ImageSet::open(&path("a.npz")).unwrap(),
    ];
    let hash = sets[0].hash().unwrap();
    for set in &sets {
        assert_eq!((set.len(), set.height(), set.width()), (COUNT, 32, 32));
        assert!(set.read(0..COUNT).unwrap().pixels() == pixels);
        assert_eq!(set.hash().unwrap(), hash);
    }
}

#[test]
fn statistics_survive_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let images = ImageSet::from(Images::new(32, 32, pixels()[..400 * 3072].to_vec()).unwrap());
    let statistics = Statistics::collect(&Pixel8, &images, 33, |_| {}).unwrap();
    assert_eq!((statistics.count, &statistics.dataset), (400, &images.hash().unwrap()));
    for (precision, tolerance) in [(Precision::F64, 0.0), (Precision::F32, 1e-7)] {
        let path = folder.path().join("s.safetensors");
        statistics.write(&path, precision).unwrap();
        let first = std::fs::read(&path).unwrap();
        let back = Statistics::read(&path, &Pixel8.identity()).unwrap();
        back.expect(&Pixel8.identity(), &path).unwrap();
        assert_eq!((back.count, &back.dataset, &back.identity), (400, &statistics.dataset, &statistics.identity));
        assert_eq!(back.gaussian.mean(), statistics.gaussian.mean());
        for i in 0..192 {
            let (a, b) = (back.gaussian.covariance()[(i, 191 - i)], statistics.gaussian.covariance()[(i, 191 - i)]);
            assert!((a - b).abs() <= tolerance * b.abs());
        }
        // 400 images in 192 dimensions: zero to rounding; f32 covariances differ by about their rounding.
        let distance = frechet_distance(&back.gaussian, &statistics.gaussian).unwrap();
        assert!(distance < if precision == Precision::F64 { 1e-14 } else { 2e-11 }, "{distance:e}");
        statistics.write(&path, precision).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "the same statistics give the same bytes");
    }
}
