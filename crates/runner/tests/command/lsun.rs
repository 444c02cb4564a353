//! LSUN-Church 64×64 end to end, on a small LMDB and the folder of the same images: statistics, training, sweep.

use std::fs;

use crate::common::{self, repository, succeed};
use crate::database;

/// The smallest network that has every kind of layer.
const MODEL: &str = "[model]\nmodel_channels = 32\nchannel_mult = [1, 1]\nnum_res_blocks = 1\nattention_ds = [2]\nnum_heads = 1\nscale_shift = false\ndropout = 0.1\n";

#[test]
fn an_lmdb_and_a_folder_of_its_images_are_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    // Wider and higher ones, as LSUN's; some values fit a page of the database, most do not.
    let size = |i: u32| if i.is_multiple_of(2) { (80 + i, 70) } else { (68, 90 + 3 * i) };
    let mut images: Vec<Vec<u8>> = (0..220).map(|i| database::webp(i % 9, size(i).0, size(i).1)).collect();
    images.push(database::webp(0, 66, 66));
    images.push(database::webp(1, 2, 2));
    database::write(&cwd.join("church_lmdb"), &images);
    fs::create_dir(cwd.join("church")).unwrap();
    for (i, image) in images.iter().enumerate() {
        fs::write(cwd.join(format!("church/{i:05}.webp")), image).unwrap();
    }
    let stats = |images: &str, out: &str| {
        succeed(cwd, &["stats", images, "--crop", "64", "--features", "pixel-8x8", "--out", out])
    };
    let (database, loose) = (stats("church_lmdb", "a.safetensors"), stats("church", "b.safetensors"));
    assert_eq!(database.replace("a.safe", "b.safe"), loose);
    assert!(loose.contains("222 images"), "{loose}");
    assert_eq!(stats("church_lmdb/data.mdb", "c.safetensors").replace("c.safe", "b.safe"), loose);

    // Trained from one, measured against the other.
    let training = format!(
        "data = \"church_lmdb\"\nsize = 64\ncrop = true\nprediction = \"epsilon\"\n\n{MODEL}\n[training]\nsteps = 2\nbatch = 2\nlearning_rate = 1e-3\nrate = \"constant\"\nema = 0.9\nflip = true\n\n[output]\nsamples = 1\nnfe = 2\n"
    );
    fs::write(cwd.join("train-church.toml"), training).unwrap();
    succeed(cwd, &["train", "train-church.toml"]);
    let experiment = "samples = 4\nnfe = [2]\nmetrics = [\"fd_pixel\"]\nmethod = [{ name = \"ddim\" }]\nreference = { fd_pixel = \"b.safetensors\" }\nmodel = { kind = \"unet\", size = 64, weights = \"out/train-church/model.safetensors\" }\n";
    fs::write(cwd.join("church.toml"), experiment).unwrap();
    let table = succeed(cwd, &["sweep", "church.toml"]);
    assert!(table.contains("| DDIM |"), "{table}");
}

#[test]
fn the_experiments_of_the_church_table_are_complete() {
    let experiments = repository().join("experiments");
    let folder = tempfile::tempdir().unwrap();
    // All that is wrong with them is that data and weights are not there.
    for (command, file, missing) in [
        ("sweep", "lsun-church64.toml", "church64"),
        ("train", "authors-church64.toml", "church_outdoor_train_lmdb"),
        ("train", "authors-cifar10.toml", "fewstep fetch cifar10"),
    ] {
        let output = common::run(folder.path(), &[command, experiments.join(file).to_str().unwrap(), "--out", "out"]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{file}: {message}");
        assert!(message.contains(missing), "{file}: {message}");
    }
}
