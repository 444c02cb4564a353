//! `fewstep stats`: the statistics of a set of images, once for all.

use std::{ops::Range, path::Path};

use fewstep_fid::{Extractor, ImageSet, Moments, Pixel8, Precision, Statistics};

use super::fid::Kept;
use crate::{
    assets,
    cell::{self, Part, Parts, Rows, Sink, Widths},
    cli, device,
    failure::{Failure, Result},
    files, interrupt,
    lock::Lock,
    progress::Progress,
};

/// Images that go through a feature extractor together.
const BATCH: u16 = 64;

/// Collects and writes; statistics that are there already under the same key are left as they are, and others are not written over unasked.
pub fn run(arguments: &cli::Stats) -> Result<()> {
    let out = &arguments.out;
    if out.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .safetensors", out.display())));
    }
    if out.is_dir() {
        return Err(Failure::Request(format!("{}: a folder; expected the name of a file", out.display())));
    }
    files::check_writable(out)?;
    Parts::check()?;
    interrupt::listen()?;
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let wait = |holder: &str| eprintln!("{}: {holder} writes it; waiting for its end", out.display());
    let _lock = Lock::wait(&out.with_file_name(format!(".{name}.lock")), wait)?;
    let images = assets::images(&arguments.images, arguments.crop.map(|crop| crop as usize))?;
    let extractor = extractor(arguments)?;
    let precision = if arguments.compact { Precision::F32 } else { Precision::F64 };
    let dataset = images.hash()?;
    let key = cell::statistics_key(extractor.as_ref(), &dataset, precision)?;
    let there = Statistics::read(out, &extractor.identity()).ok().filter(|there| there.key == key.as_str());
    // Those without rows are not what is asked for where these are.
    let there = there.filter(|_| !arguments.rows || matches!(Statistics::rows(out), Ok(Some(_))));
    // Beside the file, until it is there.
    let parts = out.with_file_name(format!(".{name}.parts"));
    if let Some(there) = there {
        // A kill may have come between the two.
        files::remove_folder(&parts)?;
        println!("{} (there already: {} images, data set {})", out.display(), there.count, there.dataset);
        return Ok(());
    }
    if out.exists() && !arguments.replace {
        return Err(refused(out, extractor.as_ref(), &dataset));
    }
    let name = arguments.images.display().to_string();
    let mut rows = Vec::new();
    let keep = |features: &[f32]| {
        if arguments.rows {
            rows.extend_from_slice(features);
        }
    };
    let mut on_the_way = Parts::new(key.clone(), &parts, &[], widths(extractor.as_ref()));
    let moments = collect(extractor.as_ref(), (&images, &name), BATCH, Some(&mut on_the_way), keep)?;
    let mut statistics = Statistics::of(extractor.as_ref(), dataset, &moments)?;
    statistics.key = key.as_str().to_owned();
    let rows = arguments.rows.then_some(rows.as_slice());
    files::write(out, &statistics.to_safetensors_with(precision, rows)?)?;
    files::remove_folder(&parts)?;
    println!("{} ({} images, data set {})", out.display(), statistics.count, statistics.dataset);
    Ok(())
}

/// Why `out` is not written over: what it is of that is not asked for.
fn refused(out: &Path, extractor: &dyn Extractor, dataset: &str) -> Failure {
    let identity = extractor.identity();
    let of = match Statistics::read(out, &identity) {
        Err(_) => "is there, and is no file of statistics".into(),
        Ok(there) => match there.expect(&identity, out) {
            Err(error) => return Failure::Request(format!("{error}; {OTHERWISE}")),
            Ok(()) if there.dataset != dataset => {
                format!("has the statistics of data set {}, not of {dataset}", there.dataset)
            }
            Ok(()) => "has these images' statistics, by another build, in another precision or without --rows".into(),
        },
    };
    Failure::Request(format!("{}: {of}; {OTHERWISE}", out.display()))
}

/// What to do then.
const OTHERWISE: &str = "give another name, or --replace";

fn extractor(arguments: &cli::Stats) -> Result<Box<dyn Extractor>> {
    match arguments.features.as_str() {
        "fid-inception-pool3" => {
            let (device, protocol) = (arguments.device, arguments.protocol.unwrap_or_default());
            Ok(Box::new(cell::inception(&device::open(device)?.device, device, protocol)?))
        }
        other if arguments.protocol.is_some() => {
            Err(Failure::Request(format!("--protocol is how images are shown to Inception; {other} has none")))
        }
        "pixel-8x8" if arguments.device.is_cpu() => Ok(Box::new(Pixel8)),
        "pixel-8x8" => Err(Failure::request("pixel-8x8 is computed on the cpu alone")),
        file if file.ends_with(".safetensors") => {
            Ok(Box::new(cell::vit(Path::new(file), &device::open(arguments.device)?.device, arguments.device)?))
        }
        other => {
            let expected = "expected fid-inception-pool3, pixel-8x8 or a .safetensors file of a vision transformer";
            Err(Failure::Request(format!("no features '{other}'; {expected}")))
        }
    }
}

/// Statistics of `images`; `rows` sees all features. On the way parts are kept, where that is possible.
pub fn of_images(
    extractor: &dyn Extractor,
    (images, name): (&ImageSet, &str),
    batch: u16,
    kept: Option<&mut Kept>,
    rows: impl FnMut(&[f32]),
) -> Result<Statistics> {
    // What is not kept need not wait for anything.
    interrupt::at_once()?;
    let dataset = images.hash()?;
    let key = cell::statistics_key(extractor, &dataset, Precision::F64)?;
    let parts = kept.and_then(|kept| kept.parts(&key, widths(extractor)));
    if parts.is_some() {
        interrupt::listen()?;
    }
    let moments = collect(extractor, (images, name), batch, parts, rows)?;
    interrupt::at_once()?;
    Ok(Statistics::of(extractor, dataset, &moments)?)
}

/// What a part has of an image.
fn widths(extractor: &dyn Extractor) -> Widths {
    Widths { spaces: vec![extractor.dim()], ..Widths::default() }
}

/// Moments of the features of `images`, called `name` in messages, `batch` at a time; `rows` sees all features, in the images' order. Of many images
/// `parts` are kept on the way.
fn collect(
    extractor: &dyn Extractor,
    (images, name): (&ImageSet, &str),
    batch: u16,
    parts: Option<&mut Parts>,
    mut rows: impl FnMut(&[f32]),
) -> Result<Moments> {
    let progress = Progress::new(images.len() as u64, "images");
    progress.say(name);
    let named = |error: fewstep_fid::Error| Failure::Request(format!("{name}: {error}"));
    let mut moments = Moments::new(extractor.dim());
    let make = |range: Range<usize>, sink: Sink| {
        let (batch, end) = (usize::from(batch).max(1), range.end);
        for start in range.step_by(batch) {
            interrupt::check()?;
            let images_of = start..(start + batch).min(end);
            let mut features = Vec::new();
            for run in images.read_runs(images_of.clone()).map_err(named)? {
                features.extend(extractor.features(&run).map_err(named)?);
            }
            progress.advance(images_of.len() as u64);
            let rows = Rows { features: vec![(features, 0.0)], ..Rows::default() };
            sink(Part { images: images_of, rows, ..Part::default() })?;
        }
        Ok(())
    };
    let take = |part: &Part| {
        for (features, _) in &part.rows.features {
            moments.push(features).map_err(named)?;
            rows(features);
        }
        Ok(())
    };
    let known = |count: usize| progress.skip(count as u64);
    match parts {
        Some(parts) => {
            parts.all(0..images.len(), known, make, take)?;
            // Whatever comes after may be ended, too.
            parts.keep()?;
        }
        None => {
            let mut take = take;
            make(0..images.len(), &mut |part| take(&part))?;
        }
    }
    progress.end();
    Ok(moments)
}
