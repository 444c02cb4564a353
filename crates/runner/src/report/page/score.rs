//! The normaliser of a results folder, for the page.

use std::path::Path;

use fewstep_sampler::{Normaliser, Schedule};
use serde::Serialize;

use crate::{
    failure::Result,
    files,
    results::{NORMALISER_ASSET, Provenance},
};

const FILE: &str = "normaliser.csv";

/// r(τ) = mean |ε|, and what it is of.
#[derive(Serialize)]
pub struct Curve {
    tau: Vec<f64>,
    r: Vec<f64>,
    /// Of the network's schedule; none where the name alone does not give it.
    sigma: Option<Vec<f64>>,
    /// Its file's comments.
    comments: Vec<String>,
    /// SHA-256 of its file.
    sha256: String,
}

/// What the folder keeps, if it was used.
pub fn curve(folder: &Path, provenance: &Provenance) -> Result<Option<Curve>> {
    let path = folder.join(FILE);
    if !path.exists() || (!provenance.assets.is_empty() && !provenance.assets.contains_key(NORMALISER_ASSET)) {
        return Ok(None);
    }
    let normaliser = Normaliser::read(&path)?;
    let text = files::text(&path)?;
    let comments = text.lines().map_while(|line| line.strip_prefix("# ")).map(str::to_owned).collect();
    let tau = normaliser.tau().to_vec();
    let sigma = schedule(provenance).map(|schedule| tau.iter().map(|&tau| schedule.sigma(tau)).collect());
    let (r, sha256) = (normaliser.values().to_vec(), files::sha256(text.as_bytes()));
    Ok(Some(Curve { tau, r, sigma, comments, sha256 }))
}

/// The one that all sizes of images share; `simple-diffusion` depends on theirs.
fn schedule(provenance: &Provenance) -> Option<Schedule> {
    let of = |size: usize| Schedule::named(provenance.assets.get("schedule")?, size);
    of(32).filter(|small| {
        of(64).is_some_and(|large| (0..=10).all(|k| small.sigma(0.1 * f64::from(k)) == large.sigma(0.1 * f64::from(k))))
    })
}
