//! What is measured of two sets of images besides their Fréchet distance.

use std::path::PathBuf;

use fewstep_fid::{
    Bootstrap, Gaussian, Inception, InceptionScore, Kid, Limit, Manifold, Resamples, Statistics, StoredRows, Subsets,
    frechet_bootstrap, frechet_influence, frechet_limit, inception_score, kernel_distance, manifold,
};
use serde_json::json;

use crate::{
    cli,
    failure::{Failure, Result},
    progress::Progress,
};

/// Of the generator of subsets; torch-fidelity's has this one too, and another generator.
const SEED: u64 = 2020;

/// What was asked for.
#[derive(Default)]
pub struct Measures {
    /// Of the distance itself, over the first set's images.
    error: Option<f64>,
    bootstrap: Option<(Bootstrap, Resamples)>,
    limit: Option<Limit>,
    /// What makes these less than they seem.
    caution: Option<String>,
    kid: Option<(Kid, Subsets)>,
    prdc: Option<(Manifold, usize)>,
    is: Option<Scored>,
    /// Fréchet distance of spatial features.
    pub sfid: Option<f64>,
}

/// An Inception Score, and what it was made by.
struct Scored {
    score: InceptionScore,
    splits: u16,
    /// The last layer's hash: the network's own is of what features depend on.
    layer: String,
}

/// Rows that measures are made of.
pub struct Rows<'a> {
    inception: Option<&'a Inception>,
    /// Whether features of each set are kept.
    keeps: [bool; 2],
    scores: bool,
    /// Features of the first set (fake) and of the second (real).
    features: [Vec<f32>; 2],
    /// Of the first.
    logits: Vec<f32>,
}

impl<'a> Rows<'a> {
    /// None yet.
    ///
    /// # Errors
    /// Where the weights lack a layer that is asked for.
    pub fn new(arguments: &cli::Fid, inception: Option<&'a Inception>) -> Result<Self> {
        if arguments.is && !inception.is_some_and(Inception::has_logits) {
            return Err(Failure::request(
                "--is: the Inception weights lack their last layer (fc.weight); expected pytorch-fid's \
                 pt_inception-2015-12-05-6726825d.pth by this name in the cache's folder inception (docs/protocols.md)",
            ));
        }
        let both = arguments.kid || arguments.prdc;
        let keeps = [both || of_the_distance(arguments), both];
        Ok(Rows { inception, keeps, scores: arguments.is, features: Default::default(), logits: Vec::new() })
    }

    /// Those of some images of set `i`.
    pub fn keep(&mut self, i: usize, features: &[f32]) {
        if self.keeps[i] {
            self.features[i].extend_from_slice(features);
        }
        if self.scores && i == 0 {
            self.logits.extend(self.inception.and_then(|inception| inception.logits(features)).unwrap_or_default());
        }
    }

    /// What was asked for; `own` and `other` are the sets' moments.
    ///
    /// # Errors
    /// Of a measure.
    pub fn measure(&self, arguments: &cli::Fid, own: &Gaussian, other: &Gaussian) -> Result<Measures> {
        let ([fake, real], dim) = (&self.features, own.mean().len());
        let mut all = Measures::default();
        if arguments.error {
            let influence = frechet_influence(fake, own, other)?;
            let n = influence.len() as f64;
            // As a cell's: of the influences' mean, which is 0.
            all.error = Some((influence.iter().map(|value| value * value).sum::<f64>() / (n * (n - 1.0))).sqrt());
        }
        if let Some(count) = arguments.bootstrap {
            let resamples = Resamples { count: count as usize, seed: arguments.seed };
            let progress = Progress::new(count.into(), "resamples");
            progress.say("bootstrap");
            let found = frechet_bootstrap(fake, other, resamples, || progress.advance(1))?;
            progress.end();
            all.bootstrap = Some((found, resamples));
        }
        if arguments.limit {
            all.limit = Some(frechet_limit(fake, other)?);
        }
        let images = fake.len() / dim;
        if of_the_distance(arguments) && images < 10 * dim {
            let why = "fewer than ten each: most of the distance is bias, its limit is too high, and its errors can be a third off";
            all.caution = Some(format!("{images} images for {dim} features, {why}"));
        }
        if arguments.kid {
            let (count, size) = (arguments.kid_subsets.into(), arguments.kid_subset_size as usize);
            let subsets = Subsets { count, size, seed: SEED };
            all.kid = Some((kernel_distance(fake, real, dim, subsets)?, subsets));
        }
        if arguments.prdc {
            let nearest = usize::from(arguments.nearest);
            all.prdc = Some((manifold(real, fake, dim, nearest)?, nearest));
        }
        if arguments.is {
            let score = inception_score(&self.logits, Inception::CLASSES, arguments.is_splits.into())?;
            let layer = self.inception.and_then(Inception::last_hash).unwrap_or_default();
            all.is = Some(Scored { score, splits: arguments.is_splits, layer });
        }
        Ok(all)
    }
}

impl Measures {
    /// As members of a JSON object.
    pub fn add_to(&self, all: &mut serde_json::Value) {
        if let Some(error) = self.error {
            all["error"] = error.into();
        }
        if let Some((Bootstrap { mean, spread, interval }, Resamples { count, seed })) = self.bootstrap {
            all["bootstrap"] =
                json!({"std": spread, "interval95": interval, "mean": mean, "resamples": count, "seed": seed});
        }
        if let Some(Limit { value, fit }) = self.limit {
            all["limit"] = json!({"value": value, "fit": fit});
        }
        if let Some(caution) = &self.caution {
            all["mind"] = caution.as_str().into();
        }
        if let Some((Kid { mean, spread }, Subsets { count, size, seed })) = self.kid {
            all["kid"] = json!({"mean": mean, "std": spread, "subsets": count, "size": size, "seed": seed});
        }
        if let Some((Manifold { precision, recall, density, coverage }, nearest)) = self.prdc {
            all["prdc"] = json!({"precision": precision, "recall": recall, "density": density, "coverage": coverage, "nearest": nearest});
        }
        if let Some(Scored { score: InceptionScore { mean, spread }, splits, layer }) = &self.is {
            all["is"] = json!({"mean": mean, "std": spread, "splits": splits, "last_layer": layer});
        }
        if let Some(sfid) = self.sfid {
            all["sfid"] = sfid.into();
        }
    }

    /// A line each; `distance` is the one that they are beside, and the kernel distance has its name in these features.
    pub fn print(&self, distance: f64, kernel: &str) {
        if let Some(caution) = &self.caution {
            eprintln!("mind: {caution}");
        }
        if let Some(error) = self.error {
            println!("standard error over the images: {error:.7}");
        }
        if let Some((Bootstrap { mean, spread, interval: [low, high] }, Resamples { count, .. })) = self.bootstrap {
            println!(
                "bootstrap: 95 % interval {low:.7} to {high:.7}, standard error {spread:.7} ({count} resamples, mean {mean:.7})"
            );
        }
        if let Some(Limit { value, fit }) = self.limit {
            let bias = distance - value;
            println!(
                "in the limit of many images: {value:.7} (standard error of the line: {fit:.7}), bias of these images {bias:.7}"
            );
        }
        if let Some((Kid { mean, spread }, Subsets { count, size, .. })) = self.kid {
            println!("{kernel}:  {mean:.7} (spread of {count} subsets of {size}: {spread:.7})");
        }
        if let Some((Manifold { precision, recall, density, coverage }, _)) = self.prdc {
            println!("precision {precision:.4}, recall {recall:.4}, density {density:.4}, coverage {coverage:.4}");
        }
        if let Some(Scored { score: InceptionScore { mean, spread }, splits, .. }) = &self.is {
            println!("IS:   {mean:.7} (spread of {splits} splits: {spread:.7})");
        }
        if let Some(sfid) = self.sfid {
            println!("sFID: {sfid}");
        }
    }
}

/// Why statistics are not enough.
fn without_rows(who: &str) -> String {
    format!("statistics without features; {who} the images themselves, or statistics by `fewstep stats --rows`")
}

/// Images of the least quarter that have a covariance.
const LIMIT: usize = 8;

/// Whether anything is asked of the distance itself that the first set's features tell.
fn of_the_distance(arguments: &cli::Fid) -> bool {
    arguments.error || arguments.bootstrap.is_some() || arguments.limit
}

/// Features that measures need of the files that are statistics, where these keep them.
///
/// # Errors
/// Where a file is damaged.
pub fn stored(arguments: &cli::Fid, paths: [&PathBuf; 2], statistics: [bool; 2]) -> Result<[Option<StoredRows>; 2]> {
    let both = arguments.kid || arguments.prdc;
    let needed = [both || of_the_distance(arguments) || arguments.is, both];
    let of =
        |i: usize| -> Result<_> { if needed[i] && statistics[i] { Ok(Statistics::rows(paths[i])?) } else { Ok(None) } };
    Ok([of(0)?, of(1)?])
}

/// What needs images, and enough of them, is refused before any goes through the network.
pub fn check(arguments: &cli::Fid, paths: [&PathBuf; 2], counts: [Option<usize>; 2]) -> Result<()> {
    let (size, nearest) = (arguments.kid_subset_size as usize, usize::from(arguments.nearest));
    for (i, (path, count)) in paths.into_iter().zip(counts).enumerate() {
        let refuse = |reason: String| Err(Failure::Request(format!("{}: {reason}", path.display())));
        let scored = arguments.is && i == 0;
        if arguments.sfid && Statistics::is_file(path) && !Statistics::has_spatial(path) {
            return refuse("statistics without mu_s and sigma_s; --sfid needs these, or the images themselves".into());
        }
        let Some(count) = count else {
            if arguments.kid || arguments.prdc {
                return refuse(without_rows("--kid and --prdc need"));
            }
            if of_the_distance(arguments) && i == 0 {
                return refuse(without_rows("--error, --bootstrap and --limit need"));
            }
            if scored {
                return refuse(without_rows("--is needs"));
            }
            continue;
        };
        if i == 0 && arguments.limit && count < LIMIT {
            return refuse(format!(
                "{count} images; --limit needs at least {LIMIT}, and ten a feature to be worth anything"
            ));
        }
        if i == 0 && of_the_distance(arguments) && count < 2 {
            return refuse("one image; --error and --bootstrap need at least two".into());
        }
        if arguments.kid && count < size {
            return refuse(format!("{count} images; KID's subsets have {size} (--kid-subset-size)"));
        }
        if arguments.prdc && count <= nearest {
            return refuse(format!("{count} images; there is no neighbour number {nearest} (--nearest)"));
        }
        if scored && count < usize::from(arguments.is_splits) {
            return refuse(format!(
                "{count} images; the Inception Score has {} splits (--is-splits)",
                arguments.is_splits
            ));
        }
    }
    Ok(())
}
