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
        let first = statistics.to_safetensors(precision).unwrap();
        std::fs::write(&path, &first).unwrap();
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
        assert_eq!(statistics.to_safetensors(precision).unwrap(), first, "the same statistics give the same bytes");
    }
}

/// Gray, RGBA and palette-free RGB, in several formats and sizes: each at its own size, those alike together.
#[test]
fn a_folder_may_hold_several_formats_and_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, width: u32, height: u32, color: image::ColorType, level: u8| {
        let bytes = vec![level; (width * height) as usize * color.channel_count() as usize];
        image::save_buffer(folder.path().join(name), &bytes, width, height, color).unwrap();
    };
    save("a.png", 8, 8, image::ColorType::Rgb8, 1);
    save("b.bmp", 8, 8, image::ColorType::Rgb8, 2);
    save("c.png", 8, 16, image::ColorType::L8, 3);
    save("d.tiff", 8, 8, image::ColorType::Rgba8, 4);
    save("e.ppm", 16, 8, image::ColorType::Rgb8, 5);
    std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
    let set = ImageSet::open(folder.path()).unwrap();
    let runs = set.read_runs(0..5).unwrap();
    let shapes: Vec<_> = runs.iter().map(|run| (run.len(), run.height(), run.width(), run.pixels()[0])).collect();
    assert_eq!(shapes, [(2, 8, 8, 1), (1, 16, 8, 3), (1, 8, 8, 4), (1, 8, 16, 5)]);
    // What needs one size says which image has another.
    let error = set.read(0..5).unwrap_err().to_string();
    assert!(error.contains("c.png: image 2 is 8x16; expected 8x8 like the first image"), "{error}");
    let hash = set.hash().unwrap();
    save("c.png", 16, 8, image::ColorType::L8, 3);
    assert_ne!(set.hash().unwrap(), hash);
    let statistics = Statistics::collect(&Pixel8, &set, 2, |_| {}).unwrap();
    assert_eq!(statistics.count, 5);
    let mean = (1.0 + 2.0 + 3.0 + 4.0 + 5.0) / 5.0 / 255.0;
    assert!(statistics.gaussian.mean().iter().all(|value| (value - mean).abs() < 1e-9));
}

/// The numbers are those of Pillow 13.0.0: `Image.open(path).convert("RGB")`.
#[test]
fn sixteen_bits_become_eight_as_pillow_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let grey: Vec<u16> = vec![0, 200, 300, 65535, 256, 4660];
    let colours: [u16; 12] = [0x12ff, 0xff00, 0x80, 0x81, 0x8000, 0x7fff, 0xffff, 0, 1, 0xff, 0x100, 0x7f80];
    let with_alpha = |values: &[u16], each: usize| -> Vec<u16> {
        values.chunks(each).flat_map(|pixel| pixel.iter().copied().chain([0x8000])).collect()
    };
    let expected_grey = [0, 200, 255, 255, 255, 255].map(|value| [value; 3]);
    let expected_colours = [[18, 255, 0], [0, 128, 127], [255, 0, 0], [0, 1, 127]];
    let first: Vec<u16> = colours.iter().step_by(3).copied().collect();
    let expected_first = [18, 0, 255, 0].map(|value| [value; 3]);
    for (color, values, expected) in [
        (image::ColorType::L16, grey, &expected_grey[..]),
        (image::ColorType::Rgb16, colours.to_vec(), &expected_colours),
        (image::ColorType::Rgba16, with_alpha(&colours, 3), &expected_colours),
        (image::ColorType::La16, with_alpha(&first, 1), &expected_first),
    ] {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let path = folder.path().join("a.png");
        image::save_buffer(&path, &bytes, expected.len() as u32, 1, color).unwrap();
        let found = fewstep_fid::decode_image(&std::fs::read(&path).unwrap()).unwrap();
        let found: Vec<[u8; 3]> = found.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(found, expected, "{color:?}");
    }
}

/// pytorch-fid's `.npz`, as it writes it, and as others have it in single precision.
#[test]
fn statistics_are_read_in_double_and_single_precision() {
    let folder = tempfile::tempdir().unwrap();
    let images = ImageSet::from(Images::new(32, 32, pixels()[..400 * 3072].to_vec()).unwrap());
    let statistics = Statistics::collect(&Pixel8, &images, 33, |_| {}).unwrap();
    let path = folder.path().join("s.npz");
    std::fs::write(&path, statistics.to_npz().unwrap()).unwrap();
    assert!(Statistics::is_file(&path));
    let back = Statistics::read(&path, &Pixel8.identity()).unwrap();
    assert_eq!(back.gaussian.mean(), statistics.gaussian.mean());
    assert_eq!(back.gaussian.covariance(), statistics.gaussian.covariance());
    assert_eq!((back.count, back.dataset.as_str()), (0, ""));
    let array = |kind: &str, shape: &str, data: Vec<u8>| {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': True, 'shape': {shape}, }}");
        header.extend(std::iter::repeat_n(' ', 117 - header.len()));
        header.push('\n');
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &data].concat()
    };
    let write = |arrays: [(&str, Vec<u8>); 2]| {
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (name, bytes) in arrays {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        archive.finish().unwrap();
    };
    let single =
        |values: &mut dyn Iterator<Item = f64>| values.flat_map(|value| (value as f32).to_le_bytes()).collect();
    let covariance = statistics.gaussian.covariance();
    let mut rows = (0..192 * 192).map(|i| covariance[(i / 192, i % 192)]);
    let sigma: Vec<u8> = single(&mut rows);
    let mu: Vec<u8> = single(&mut statistics.gaussian.mean().iter().copied());
    write([("mu.npy", array("<f4", "(192,)", mu.clone())), ("sigma.npy", array("<f4", "(192, 192)", sigma.clone()))]);
    let back = Statistics::read(&path, &Pixel8.identity()).unwrap();
    let distance = frechet_distance(&back.gaussian, &statistics.gaussian).unwrap();
    assert!(distance < 2e-11, "{distance:e}");
    for (kind, shape, expected) in [
        ("<i4", "(192,)", "mu: has type '<i4'; expected f64 or f32"),
        ("<f8", "(192,)", "mu: claims shape [192] of '<f8' in 896 bytes"),
        ("<f4", "(96, 2)", "mu has shape [96, 2] and sigma [192, 192]"),
    ] {
        write([("mu.npy", array(kind, shape, mu.clone())), ("sigma.npy", array("<f4", "(192, 192)", sigma.clone()))]);
        let error = Statistics::read(&path, &Pixel8.identity()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
