//! The one kind of key under which things are kept: the hash of their resolved inputs, and of what the code did on a canary.
//!
//! What a thing depends on is listed here and nowhere else. Numbers count, not what they are called or where they lie: a
//! renamed file, a comment, another batch size change no key; another weight, schedule, plan or seed does.

use fewstep_fid::{Extractor, Statistics};
use fewstep_sampler::{Plan, Step, Threshold};
use serde::Serialize;

use super::{canary::Canary, sampler::Sampler};
use crate::{
    failure::{Failure, Result},
    files,
    results::{Metric, Noise},
};

/// SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// What has no JSON form has no key: with one all such things would be the same.
    fn of(kind: &str, parts: &impl Serialize) -> Result<Key> {
        let text =
            serde_json::to_string(&(kind, parts)).map_err(|error| Failure::Run(format!("key of {kind}: {error}")))?;
        Ok(Key(files::sha256(text.as_bytes())))
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it to name a file.
    pub fn short(&self) -> &str {
        &self.0[..16]
    }

    /// Whether a name may be that of a key.
    pub fn is_short(name: &str) -> bool {
        name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// What a run of a plan depends on, its noise apart.
#[derive(Serialize)]
struct Run<'a> {
    network: String,
    size: usize,
    #[serde(skip_serializing_if = "is_one")]
    start: f64,
    tau: &'a [f64],
    steps: &'a [Step],
    threshold: Threshold,
    canary: &'a str,
    /// Of what only plan files and AFS have: nothing for what has none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    extended: Option<&'a str>,
    /// On a CPU an image's bits do not depend on its batch; on a GPU they may.
    batch: Option<usize>,
}

/// For serde.
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// Whether the plan says anything that [`Canary::sampling`] knows nothing of.
fn is_extended(plan: &Plan) -> bool {
    let usual = |step: &Step| step.at.is_none() && step.input == 1.0 && step.afs.is_none();
    plan.start != 1.0 || !plan.steps.iter().all(usual)
}

fn run<'a>(sampler: &Sampler, canary: &'a Canary, plan: &'a Plan) -> Run<'a> {
    Run {
        network: sampler.predictor.identity(),
        size: sampler.size,
        start: plan.start,
        tau: &plan.tau,
        steps: &plan.steps,
        threshold: plan.threshold,
        canary: &canary.sampling,
        extended: is_extended(plan).then_some(canary.extended.as_str()),
        batch: (!sampler.cpu).then_some(sampler.batch),
    }
}

/// Of a cell's samples.
pub fn samples(sampler: &Sampler, canary: &Canary, plan: &Plan, seed: u64, samples: usize) -> Result<Key> {
    Key::of("samples", &(run(sampler, canary, plan), seed, samples))
}

/// Of what parts of a cell's images give: by the key of its samples, and those of what is measured of them.
pub fn parts(samples: &Key, measured: &[(Metric, &str)]) -> Result<Key> {
    Key::of("parts", &(samples.as_str(), measured))
}

/// Of a normaliser that is collected with `plan`.
pub fn normaliser(sampler: &Sampler, canary: &Canary, plan: &Plan, seed: u64, samples: usize) -> Result<Key> {
    Key::of("normaliser", &(run(sampler, canary, plan), seed, samples, &canary.curve))
}

/// Of a many-step solution of `counts[0]` images, and of how far `counts[1]` of them are from one with twice the steps.
pub fn solution(sampler: &Sampler, canary: &Canary, plans: &[Plan; 2], seed: u64, counts: [usize; 2]) -> Result<Key> {
    let [plan, finer] = plans.each_ref().map(|plan| run(sampler, canary, plan));
    Key::of("solution", &(plan, finer, seed, counts))
}

/// Of a solution that the network has a formula for.
pub fn exact_solution(sampler: &Sampler, canary: &Canary, seed: u64, samples: usize) -> Result<Key> {
    Key::of("exact solution", &(sampler.predictor.identity(), sampler.size, &canary.sampling, seed, samples))
}

/// Of a Fréchet distance to `reference` in the space of `extractor`: its numbers, whatever file they came in.
pub fn frechet(metric: Metric, extractor: &dyn Extractor, reference: &Statistics, canary: &str) -> Result<Key> {
    let covariance = reference.gaussian.covariance();
    let columns = (0..covariance.ncols()).flat_map(|j| covariance.col(j).iter().copied());
    let numbers: Vec<u8> =
        reference.gaussian.mean().iter().copied().chain(columns).flat_map(f64::to_le_bytes).collect();
    Key::of("frechet", &(metric, extractor.identity(), files::sha256(&numbers), canary))
}

/// Of the features of converged samples: of `plan` from the seed's `noise`, or of the network's formula where there is no plan.
pub fn converged(
    sampler: &Sampler,
    canary: &Canary,
    plan: Option<&Plan>,
    (seed, noise): (u64, Noise),
    samples: usize,
    extractor: &dyn Extractor,
    features: &str,
) -> Result<Key> {
    let made = match plan {
        Some(plan) => Key::of("run", &run(sampler, canary, plan))?,
        None => Key::of("formula", &(sampler.predictor.identity(), sampler.size, &canary.sampling))?,
    };
    let other = noise == Noise::Other;
    Key::of("converged", &(made.as_str(), seed, other, samples, extractor.identity(), features))
}

/// Of the limit of many images of a distance with this key.
pub fn limit(distance: &Key, canary: &str) -> Result<Key> {
    Key::of("limit", &(distance.as_str(), canary))
}

/// Of a measure in a feature space from converged samples, or of those samples' own.
pub fn from_converged(metric: Metric, converged: &Key, own: bool, canary: &str) -> Result<Key> {
    Key::of("from converged", &(metric, converged.as_str(), own, canary))
}

/// Of a Fréchet distance to moments that the network knows.
pub fn frechet_to_data(canary: &str) -> Result<Key> {
    Key::of("frechet to data", &canary)
}

/// Of trajectories that plans are fitted to: of so many images of a draw, and every so many points of them.
pub fn trajectories(
    sampler: &Sampler,
    canary: &Canary,
    plan: &Plan,
    seed: u64,
    of: (&str, usize, usize, &str),
) -> Result<Key> {
    Key::of("trajectories", &(run(sampler, canary, plan), seed, of))
}

/// Of a plan that was fitted to `trajectories` and chosen by `validation`, as `spec` says, by code that does what its canary says.
pub fn fitted(trajectories: &Key, validation: &Key, spec: &impl Serialize, canary: &str) -> Result<Key> {
    Key::of("fitted", &(trajectories.as_str(), validation.as_str(), spec, canary))
}

/// Of a distance to a solution, or of the solution's own to one with twice the evaluations.
pub fn distance(solution: &Key, own: bool, canary: &str) -> Result<Key> {
    Key::of("distance", &(solution.as_str(), own, canary))
}

/// Of the statistics of a data set in a feature space, which code that does what the canary says collected.
pub fn statistics(extractor: &dyn Extractor, dataset: &str, compact: bool, canary: &str) -> Result<Key> {
    Key::of("statistics", &(extractor.identity(), dataset, compact, canary))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What cells were kept under before plans had a start, levels of evaluation and analytic predictions, letter by letter.
    #[test]
    fn a_run_without_anything_new_is_hashed_as_it_was() {
        let step = Step { a: 0.5, c: vec![-0.25], ..Step::default() };
        let run = Run {
            network: "n".into(),
            size: 8,
            start: 1.0,
            tau: &[1.0, 0.0],
            steps: &[step],
            threshold: Threshold::Clip,
            canary: "c",
            extended: None,
            batch: None,
        };
        let text = |run: &Run| serde_json::to_string(run).unwrap();
        let before = r#"{"network":"n","size":8,"tau":[1.0,0.0],"steps":[{"a":0.5,"c":[-0.25]}],"threshold":"clip","canary":"c","batch":null}"#;
        assert_eq!(text(&run), before);
        assert_ne!(text(&Run { start: 1.5, ..run }), before);
    }

    #[test]
    fn what_cannot_be_written_down_has_no_key() {
        let nameless = |number: f64| BTreeMap::from([([1u8, 2], number)]);
        let failed = Key::of("samples", &nameless(1.0)).unwrap_err().to_string();
        assert!(failed.starts_with("key of samples: "), "{failed}");
        assert_ne!(Key::of("samples", &1.0).unwrap(), Key::of("samples", &2.0).unwrap());
        assert_ne!(Key::of("samples", &1.0).unwrap(), Key::of("solution", &1.0).unwrap());
    }
}
