//! `fewstep fid`: the distance between two sets of images or statistics, and other measures of theirs.

mod kept;
mod measures;

use std::path::{Path, PathBuf};

use fewstep_fid::{Extractor, Identity, ImageSet, Inception, Protocol, Spatial, Statistics, Vit, frechet_distance};
use serde_json::json;

use super::stats::of_images;
use crate::{
    assets,
    cell::{Parts, inception, statistics, vit},
    cli, device,
    failure::{Failure, Result},
    files,
};
pub use kept::Kept;
use measures::{Measures, Rows};

/// Opens both, collects what is not statistics already, and prints the distance.
pub fn run(arguments: &cli::Fid) -> Result<()> {
    if arguments.dims != DIMS {
        let message =
            format!("--dims {}: only the {DIMS} features of pool3 are here, which is what FID means", arguments.dims);
        return Err(Failure::Request(message));
    }
    if arguments.save_stats {
        return save(arguments);
    }
    let paths = [&arguments.images, &arguments.reference];
    let given = paths.map(|path| Statistics::is_file(path));
    if arguments.crop.is_some() && given == [true, true] {
        return Err(Failure::request("--crop: both are statistics, of which no image is left to crop"));
    }
    // Images are opened first: a wrong path is said before the network is loaded.
    let open = |(path, statistics): (&PathBuf, bool)| {
        if statistics { Ok(None) } else { assets::images(path, arguments.crop.map(usize::from)).map(Some) }
    };
    let sets = paths.into_iter().zip(given).map(open).collect::<Result<Vec<_>>>()?;
    // Of statistics, where they are kept there.
    let mut stored = measures::stored(arguments, paths, given)?;
    let counts = [0, 1].map(|i| sets[i].as_ref().map(ImageSet::len).or(stored[i].as_ref().map(|rows| rows.images)));
    measures::check(arguments, paths, counts)?;
    let mut kept = keeping(arguments)?;
    let network = Network::open(arguments)?;
    let extractor = network.extractor();
    let mut rows = Rows::new(arguments, network.inception())?;
    let spatial = network.inception().filter(|_| arguments.sfid).map(Spatial);
    // Statistics that are of anything else are said before any image goes through the network.
    for of in std::iter::once(extractor).chain(spatial.as_ref().map(|spatial| spatial as &dyn Extractor)) {
        let given = paths.into_iter().zip(&sets).filter(|(_, set)| set.is_none());
        given.map(|(path, _)| sized(path, of)).try_for_each(|read| read.map(drop))?;
    }
    let mut side = |of: &dyn Extractor, i: usize, rows: &mut dyn FnMut(&[f32])| match &sets[i] {
        Some(set) => of_set(of, (set, paths[i]), arguments, kept.as_mut(), rows),
        None => sized(paths[i], of),
    };
    let mut features = |i: usize| {
        if let Some(stored) = stored[i].take() {
            rows.keep(i, &stored.features);
        }
        side(extractor, i, &mut |features| rows.keep(i, features))
    };
    let both = [features(0)?, features(1)?];
    // Before anything is measured, which is not kept.
    let mut in_space = |spatial| Ok::<_, Failure>([side(spatial, 0, &mut |_| {})?, side(spatial, 1, &mut |_| {})?]);
    let spatial = spatial.as_ref().map(|spatial| in_space(spatial)).transpose()?;
    let distance = frechet_distance(&both[0].gaussian, &both[1].gaussian)?;
    let mut measures = rows.measure(arguments, &both[0].gaussian, &both[1].gaussian)?;
    if let Some([own, other]) = &spatial {
        measures.sfid = Some(frechet_distance(&own.gaussian, &other.gaussian)?);
    }
    print(arguments, distance, &both, &network, &measures);
    kept.into_iter().for_each(Kept::end);
    Ok(())
}

/// What makes it possible to go on after a kill, where there is a place for it.
fn keeping(arguments: &cli::Fid) -> Result<Option<Kept>> {
    Parts::check()?;
    Ok(Kept::open((!arguments.device.is_cpu()).then_some(arguments.batch_size)))
}

/// Statistics of as many numbers as the features have.
fn sized(path: &Path, extractor: &dyn Extractor) -> Result<Statistics> {
    let (statistics, expected) = (statistics(path, &extractor.identity())?, extractor.dim());
    let found = statistics.gaussian.mean().len();
    if found != expected {
        let message = format!("{}: statistics of {found} numbers; expected {expected}", path.display());
        return Err(Failure::Request(message));
    }
    Ok(statistics)
}

/// Whose features are measured in.
enum Network {
    Inception(Inception),
    Vit(Box<Vit>),
}

impl Network {
    fn open(arguments: &cli::Fid) -> Result<Self> {
        let on = device::open(arguments.device)?.device;
        match &arguments.features {
            Some(weights) => Ok(Network::Vit(Box::new(vit(weights, &on, arguments.device)?))),
            None => Ok(Network::Inception(inception(&on, arguments.device, arguments.protocol)?)),
        }
    }

    fn extractor(&self) -> &dyn Extractor {
        match self {
            Network::Inception(inception) => inception,
            Network::Vit(vit) => vit.as_ref(),
        }
    }

    fn inception(&self) -> Option<&Inception> {
        match self {
            Network::Inception(inception) => Some(inception),
            Network::Vit(_) => None,
        }
    }
}

fn of_set(
    extractor: &dyn Extractor,
    (set, path): (&ImageSet, &Path),
    arguments: &cli::Fid,
    kept: Option<&mut Kept>,
    rows: impl FnMut(&[f32]),
) -> Result<Statistics> {
    of_images(extractor, (set, &path.display().to_string()), arguments.batch_size, kept, rows)
}

fn print(arguments: &cli::Fid, distance: f64, both: &[Statistics; 2], network: &Network, measures: &Measures) {
    let paths = [&arguments.images, &arguments.reference];
    // Of Inception alone there are several.
    let protocol = network.inception().map(|_| arguments.protocol);
    for path in paths.into_iter().filter(|path| is_assumed(path) && Statistics::has_images(path)) {
        eprintln!("{}: has images too (arr_0); its mu and sigma are taken", path.display());
    }
    if arguments.json {
        let describe = |i: usize| {
            let Statistics { count, dataset, .. } = &both[i];
            // Whether its features are known to be those that are asked for.
            let features = if is_assumed(paths[i]) { "assumed" } else { "known" };
            json!({"path": paths[i], "images": count, "dataset": dataset, "features": features})
        };
        let Identity { extractor, weights, preparation } = network.extractor().identity();
        let mut all = json!({
            (if protocol.is_some() { "fid" } else { "fd" }): distance,
            "images": describe(0), "reference": describe(1),
            "extractor": extractor, "weights": weights, "preparation": preparation,
            "device": arguments.device.name(),
        });
        if let Some(protocol) = protocol {
            all["protocol"] = protocol.name().into();
        }
        measures.add_to(&mut all);
        println!("{all}");
        return;
    }
    let name = match network {
        // As pytorch-fid prints it.
        Network::Inception(_) => "FID".into(),
        Network::Vit(vit) => format!("{} ({})", vit.distance(), vit.identity().extractor),
    };
    println!("{name}:  {distance}");
    measures.print(distance, if protocol.is_some() { "KID" } else { "kernel distance" });
    if let Some(protocol) = protocol.filter(|&protocol| protocol != Protocol::default()) {
        println!("protocol: {}", protocol.name());
    }
    // Apart, so that what is printed stays what pytorch-fid prints.
    let taken = match network {
        Network::Inception(_) => format!("names no protocol; taken to be of {}", arguments.protocol.name()),
        Network::Vit(vit) => format!("names no features; taken to be of {}", vit.identity().extractor),
    };
    for path in paths.into_iter().filter(|path| is_assumed(path)) {
        eprintln!("{}: {taken}", path.display());
    }
}

/// Whether statistics say nothing of their features.
fn is_assumed(path: &Path) -> bool {
    Statistics::is_file(path) && path.extension().is_none_or(|ending| ending != "safetensors")
}

/// The features of pool3.
const DIMS: u32 = 2048;

/// Statistics of the first as an `.npz` that pytorch-fid reads.
fn save(arguments: &cli::Fid) -> Result<()> {
    let (from, to) = (&arguments.images, &arguments.reference);
    if to.extension().is_none_or(|ending| ending != "npz") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .npz", to.display())));
    }
    if arguments.protocol != Protocol::default() {
        let (to, protocol) = (to.display(), arguments.protocol.name());
        let message = format!(
            "{to}: an .npz says no protocol, and would be taken for pytorch-fid's; expected `fewstep stats --protocol {protocol}`"
        );
        return Err(Failure::Request(message));
    }
    if to.exists() {
        return Err(Failure::Request(format!("{}: is there already", to.display())));
    }
    files::check_writable(to)?;
    if Statistics::is_file(from) {
        return Err(Failure::Request(format!("{}: statistics already; expected images", from.display())));
    }
    let images = assets::images(from, arguments.crop.map(usize::from))?;
    let mut kept = keeping(arguments)?;
    let network = Network::open(arguments)?;
    let statistics = of_set(network.extractor(), (&images, from), arguments, kept.as_mut(), |_| {})?;
    files::write(to, &statistics.to_npz()?)?;
    println!("{} ({} images)", to.display(), statistics.count);
    kept.into_iter().for_each(Kept::end);
    Ok(())
}
