//! `fewstep stats`: the statistics of a set of images, once for all.

use fewstep_fid::{Extractor, ImageSet, Pixel8, Precision, Statistics};

use crate::{
    assets, cell, cli, device,
    failure::{Failure, Result},
    progress::Progress,
};

/// Images that go through a feature extractor together.
const BATCH: u16 = 64;

/// Collects and writes; statistics that are there already under the same key are left as they are.
pub fn run(arguments: &cli::Stats) -> Result<()> {
    let out = &arguments.out;
    if out.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .safetensors", out.display())));
    }
    assets::check_writable(out)?;
    let images = assets::images(&arguments.images, arguments.crop.map(|crop| crop as usize))?;
    let extractor = extractor(arguments)?;
    let precision = if arguments.compact { Precision::F32 } else { Precision::F64 };
    let key = cell::statistics_key(extractor.as_ref(), &images.hash()?, precision)?;
    let there = Statistics::read(out, &extractor.identity()).ok().filter(|there| there.key == key);
    if let Some(there) = there {
        println!("{} (there already: {} images, data set {})", out.display(), there.count, there.dataset);
        return Ok(());
    }
    let mut statistics = collect(extractor.as_ref(), &images, &arguments.images.display().to_string(), BATCH)?;
    statistics.key = key;
    statistics.write(out, precision)?;
    println!("{} ({} images, data set {})", out.display(), statistics.count, statistics.dataset);
    Ok(())
}

fn extractor(arguments: &cli::Stats) -> Result<Box<dyn Extractor>> {
    match arguments.features.as_str() {
        "fid-inception-pool3" => {
            Ok(Box::new(cell::inception(&device::open(arguments.device)?.device, arguments.device)?))
        }
        "pixel-8x8" if arguments.device.is_cpu() => Ok(Box::new(Pixel8)),
        "pixel-8x8" => Err(Failure::request("pixel-8x8 is computed on the cpu alone")),
        other => Err(Failure::Request(format!("no features '{other}'; expected fid-inception-pool3 or pixel-8x8"))),
    }
}

/// Statistics of `images`, called `name` in messages, `batch` at a time.
pub fn collect(extractor: &dyn Extractor, images: &ImageSet, name: &str, batch: u16) -> Result<Statistics> {
    collect_rows(extractor, images, name, batch, |_| {})
}

/// The same; `rows` sees all features.
pub fn collect_rows(
    extractor: &dyn Extractor,
    images: &ImageSet,
    name: &str,
    batch: u16,
    rows: impl FnMut(&[f32]),
) -> Result<Statistics> {
    let progress = Progress::new(images.len() as u64, "images");
    progress.say(name);
    let statistics =
        Statistics::collect_rows(extractor, images, usize::from(batch), |done| progress.reach(done as u64), rows)
            .map_err(|error| Failure::Request(format!("{name}: {error}")))?;
    progress.end();
    Ok(statistics)
}
