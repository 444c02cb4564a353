//! `fewstep fid`: the distance between two sets of images or statistics.

use std::path::Path;

use fewstep_fid::{Extractor, Identity, Statistics, frechet_distance};
use serde_json::json;

use crate::{
    assets,
    cell::{inception, statistics},
    cli, device,
    failure::Result,
};

/// Opens both, collects what is not statistics already, and prints the distance.
pub fn run(arguments: &cli::Fid) -> Result<()> {
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
    let extractor = inception(&device::open(arguments.device)?.device, arguments.device)?;
    let mut both_statistics = Vec::new();
    for (path, images) in both.into_iter().zip(images) {
        both_statistics.push(match images {
            Some(images) => super::stats::collect(&extractor, &images, &path.display().to_string())?,
            None => statistics(path, &extractor.identity())?,
        });
    }
    let fid = frechet_distance(&both_statistics[0].gaussian, &both_statistics[1].gaussian)?;
    if arguments.json {
        let describe = |path: &Path, s: &Statistics| json!({"path": path, "images": s.count, "dataset": s.dataset});
        let Identity { extractor, weights, preparation } = extractor.identity();
        println!(
            "{}",
            json!({
                "fid": fid,
                "images": describe(&arguments.images, &both_statistics[0]),
                "reference": describe(&arguments.reference, &both_statistics[1]),
                "extractor": extractor, "weights": weights, "preparation": preparation,
                "device": arguments.device.name(),
            })
        );
    } else {
        println!("FID {fid:.6}");
    }
    Ok(())
}
