//! `fewstep fid`: the distance between two sets of images or statistics.

use std::path::{Path, PathBuf};

use fewstep_fid::{
    Extractor, Identity, ImageSet, Kid, Manifold, Statistics, Subsets, frechet_distance, kernel_distance, manifold,
};
use serde_json::json;

use super::stats::of_images;
use crate::{
    assets,
    cell::{inception, statistics, vit},
    cli, device,
    failure::{Failure, Result},
    files,
};

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
    let both = [&arguments.images, &arguments.reference];
    let given: Vec<bool> = both.iter().map(|path| Statistics::is_file(path)).collect();
    // Images are opened first: a wrong path is said before the network is loaded.
    let images = both
        .iter()
        .zip(&given)
        .map(|(path, &statistics)| {
            if statistics { Ok(None) } else { assets::images(path, arguments.crop.map(|crop| crop as usize)).map(Some) }
        })
        .collect::<Result<Vec<_>>>()?;
    let counts = [0, 1].map(|i| images[i].as_ref().map(ImageSet::len));
    check_measures(arguments, both, counts)?;
    let (extractor, name) = extractor(arguments)?;
    let extractor = extractor.as_ref();
    let (mut both_statistics, mut rows) = (Vec::new(), [Vec::new(), Vec::new()]);
    let keep = arguments.kid || arguments.prdc;
    for ((path, images), rows) in both.into_iter().zip(images).zip(&mut rows) {
        let name = path.display().to_string();
        let keep = |features: &[f32]| {
            if keep {
                rows.extend_from_slice(features);
            }
        };
        both_statistics.push(match images {
            Some(images) => of_images(extractor, &images, &name, arguments.batch_size, keep)?,
            None => statistics(path, &extractor.identity())?,
        });
    }
    let fid = frechet_distance(&both_statistics[0].gaussian, &both_statistics[1].gaussian)?;
    let [fake, real] = &rows;
    let subsets = Subsets { count: arguments.kid_subsets.into(), size: arguments.kid_subset_size as usize, seed: SEED };
    let kid = arguments.kid.then(|| kernel_distance(fake, real, extractor.dim(), subsets)).transpose()?;
    let nearest = usize::from(arguments.nearest);
    let prdc = arguments.prdc.then(|| manifold(real, fake, extractor.dim(), nearest)).transpose()?;
    if arguments.json {
        let describe = |path: &Path, s: &Statistics| json!({"path": path, "images": s.count, "dataset": s.dataset});
        let Identity { extractor, weights, preparation } = extractor.identity();
        let mut all = json!({
            (if arguments.features.is_some() { "fd" } else { "fid" }): fid,
            "images": describe(&arguments.images, &both_statistics[0]),
            "reference": describe(&arguments.reference, &both_statistics[1]),
            "extractor": extractor, "weights": weights, "preparation": preparation,
            "device": arguments.device.name(),
        });
        if let Some(Kid { mean, spread }) = kid {
            all["kid"] = json!({"mean": mean, "std": spread, "subsets": subsets.count, "size": subsets.size, "seed": subsets.seed});
        }
        if let Some(Manifold { precision, recall, density, coverage }) = prdc {
            all["prdc"] = json!({"precision": precision, "recall": recall, "density": density, "coverage": coverage, "nearest": nearest});
        }
        println!("{all}");
        return Ok(());
    }
    // As pytorch-fid prints it.
    println!("{name}:  {fid}");
    if let Some(Kid { mean, spread }) = kid {
        let name = if arguments.features.is_some() { "kernel distance" } else { "KID" };
        println!("{name}:  {mean:.7} (spread of {} subsets of {}: {spread:.7})", subsets.count, subsets.size);
    }
    if let Some(Manifold { precision, recall, density, coverage }) = prdc {
        println!("precision {precision:.4}, recall {recall:.4}, density {density:.4}, coverage {coverage:.4}");
    }
    Ok(())
}

/// Of the generator of subsets; torch-fidelity's has this one too, and another generator.
const SEED: u64 = 2020;

/// What needs images of both sides, and enough of them, is refused before any goes through the network.
fn check_measures(arguments: &cli::Fid, paths: [&PathBuf; 2], counts: [Option<usize>; 2]) -> Result<()> {
    let (size, nearest) = (arguments.kid_subset_size as usize, usize::from(arguments.nearest));
    for (path, count) in paths.into_iter().zip(counts) {
        let refuse = |reason: String| Err(Failure::Request(format!("{}: {reason}", path.display())));
        let Some(count) = count else {
            match arguments.kid || arguments.prdc {
                true => return refuse("statistics; --kid and --prdc need the images themselves".into()),
                false => continue,
            }
        };
        if arguments.kid && count < size {
            return refuse(format!("{count} images; KID's subsets have {size} (--kid-subset-size)"));
        }
        if arguments.prdc && count <= nearest {
            return refuse(format!("{count} images; there is no neighbour number {nearest} (--nearest)"));
        }
    }
    Ok(())
}

/// The features of pool3.
const DIMS: u32 = 2048;

/// The features that are asked for, and what a Fréchet distance of them is called.
fn extractor(arguments: &cli::Fid) -> Result<(Box<dyn Extractor>, String)> {
    let on = device::open(arguments.device)?.device;
    let Some(weights) = &arguments.features else {
        return Ok((Box::new(inception(&on, arguments.device)?), "FID".into()));
    };
    let vit = vit(weights, &on, arguments.device)?;
    let name = format!("{} ({})", vit.distance(), vit.identity().extractor);
    Ok((Box::new(vit), name))
}

/// Statistics of the first as an `.npz` that pytorch-fid reads.
fn save(arguments: &cli::Fid) -> Result<()> {
    let (from, to) = (&arguments.images, &arguments.reference);
    if to.extension().is_none_or(|ending| ending != "npz") {
        return Err(Failure::Request(format!("{}: expected a file name that ends in .npz", to.display())));
    }
    if to.exists() {
        return Err(Failure::Request(format!("{}: is there already", to.display())));
    }
    files::check_writable(to)?;
    if Statistics::is_file(from) {
        return Err(Failure::Request(format!("{}: statistics already; expected images", from.display())));
    }
    let images = assets::images(from, arguments.crop.map(usize::from))?;
    let (extractor, _) = extractor(arguments)?;
    let name = from.display().to_string();
    let statistics = of_images(extractor.as_ref(), &images, &name, arguments.batch_size, |_| {})?;
    files::write(to, &statistics.to_npz()?)?;
    println!("{} ({} images)", to.display(), statistics.count);
    Ok(())
}
