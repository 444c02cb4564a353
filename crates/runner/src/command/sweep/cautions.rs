//! What a reader of a sweep's figures is told that no figure shows.

use std::collections::{BTreeMap, BTreeSet};

use fewstep_fid::Protocol;
use fewstep_fit::Objective;
use fewstep_sampler::{Plan, Schedule, Threshold};
use serde_json::{Value, json};

use super::Sweep;
use crate::{
    cell::Cell,
    experiment::{Experiment, Made, MethodEntry, ModelKind},
    results::{FITTED_TO, Features, Metric, in_words},
};

/// The asset that says which of a checkpoint's weights were taken, and what it says where they are averaged.
pub(super) const WEIGHTS: &str = "model-weights";
const AVERAGED: &str = "ema";

/// Numbers of evaluations of each name.
type At = BTreeMap<String, BTreeSet<usize>>;

impl Sweep {
    /// Sentences without their points.
    pub(super) fn cautions(&self) -> Vec<String> {
        let mut all = self.equal_plans();
        all.extend(self.few_images());
        all.extend(self.weights());
        all.extend(self.clipped());
        all.extend(self.thresholds());
        all.extend(self.fitted_on_a_metric(Objective::Pooled, Features::Pixels));
        all.extend(self.fitted_on_a_metric(Objective::Inception, Features::Inception));
        all.extend(self.short_steps());
        all.extend(self.early_times());
        all.extend(self.unknown_statistics());
        all.extend(self.unused());
        all
    }

    fn methods(&self) -> impl Iterator<Item = (&Cell, &MethodEntry)> {
        self.cells.iter().filter_map(|cell| Some((cell, cell.entry.as_ref()?)))
    }

    /// Methods of one plan have the same samples under several names: of plans that differ in what single precision, which samples are
    /// computed in, does not hold, too.
    fn equal_plans(&self) -> Vec<String> {
        let mut groups: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
        for (cell, entry) in self.methods() {
            let Some(plan) = &cell.plan else { continue };
            let group = groups.entry(in_single(plan)).or_insert_with(|| (cell.nfe, BTreeSet::new()));
            group.1.insert(self.name(entry));
        }
        let mut at = At::new();
        for (nfe, labels) in groups.into_values().filter(|(_, labels)| labels.len() > 1) {
            at.entry(in_words(labels)).or_default().insert(nfe);
        }
        sentences("one plan, and so the same samples: ", at)
    }

    /// What the experiment says of features that no metric of it is measured in.
    fn unused(&self) -> Vec<String> {
        let Experiment { metrics, protocol, features, .. } = &self.loaded.experiment;
        let none_in = |of: Features| metrics.iter().all(|metric| metric.features() != Some(of));
        let protocol = (*protocol != Protocol::default() && none_in(Features::Inception)).then(|| {
            format!("protocol = \"{}\" is not used: no metric here shows images to Inception", protocol.name())
        });
        let features = (features.is_some() && none_in(Features::Vit))
            .then(|| "[features] is not used: no metric here is measured in them".to_owned());
        protocol.into_iter().chain(features).collect()
    }

    fn few_images(&self) -> Vec<String> {
        let samples = self.loaded.experiment.samples;
        let paired = |name: &str| self.loaded.experiment.metrics.iter().any(|m| m.name() == name && m.is_paired());
        let few = |(name, dimensions): (String, usize)| {
            // Near the solution what two sets of the same noise have in common cancels.
            let most = if paired(&name) { "far from the solution much" } else { "most" };
            let why = format!(
                "{name}: {samples} images for {dimensions} dimensions, fewer than ten each, so that {most} of it is bias"
            );
            (samples < 10 * dimensions).then_some(why)
        };
        self.loaded.dimensions().into_iter().filter_map(few).collect()
    }

    fn weights(&self) -> Option<String> {
        let selected = self.loaded.assets.get(WEIGHTS)?;
        let said =
            || format!("the network's weights are {selected}: the file does not say that they are averaged (EMA)");
        (selected != AVERAGED).then(said)
    }

    fn clipped(&self) -> Option<String> {
        let clip = self.loaded.experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
        let normalised = self.methods().any(|(_, entry)| entry.normalises());
        let said =
            || format!("the normaliser is held at its value at the {clip}th of its points below that (clip = {clip})");
        (clip > 0 && normalised).then(said)
    }

    fn thresholds(&self) -> Option<String> {
        let thresholded =
            |(_, entry): (&Cell, &MethodEntry)| (entry.threshold != Threshold::None).then(|| self.name(entry));
        let labels: BTreeSet<String> = self.methods().filter_map(thresholded).collect();
        (!labels.is_empty()).then(|| format!("predicted images are thresholded by {}", in_words(labels)))
    }

    /// No metric is a judge of plans that were fitted to, or chosen by, what it looks at.
    fn fitted_on_a_metric(&self, objective: Objective, features: Features) -> Option<String> {
        let looks = |metric: &&Metric| metric.features() == Some(features);
        let metrics: BTreeSet<String> =
            self.loaded.experiment.metrics.iter().filter(looks).map(|metric| metric.name().into()).collect();
        let fitted = |(_, entry): (&Cell, &MethodEntry)| match &entry.made {
            Made::Planned(planned) => planned.objectives.contains(objective.name()).then(|| self.name(entry)),
            Made::Method { .. } => None,
        };
        let labels: BTreeSet<String> = self.methods().filter_map(fitted).collect();
        let said = |metrics: BTreeSet<String>| {
            let look = if metrics.len() > 1 { "look" } else { "looks" };
            format!("{FITTED_TO}{} {look} at: {}", in_words(metrics), in_words(labels.clone()))
        };
        (!labels.is_empty() && !metrics.is_empty()).then(|| said(metrics))
    }

    /// A network was trained on T times: on shorter steps it says twice the same, or what it never learned.
    fn short_steps(&self) -> Vec<String> {
        let shortest = 1.0 / self.loaded.sampler.schedule.levels() as f64;
        let mut at = At::new();
        for (cell, entry) in self.methods() {
            // To rounding: a grid of T steps has steps of 1/T.
            let short = |pair: &[f64]| pair[1] > 0.0 && pair[0] - pair[1] < 0.999 * shortest;
            if cell.plan.as_ref().is_some_and(|plan| plan.tau.windows(2).any(short)) {
                at.entry(entry.grid()).or_default().insert(cell.nfe);
            }
        }
        sentences("steps shorter than one of the network's timesteps on ", at)
    }

    /// Below its first timestep a network is asked what it was not trained on; a formula, and a schedule of any time, has no such one.
    fn early_times(&self) -> Vec<String> {
        let first = 1.0 / self.loaded.sampler.schedule.levels() as f64;
        let mut at = At::new();
        let is_network = matches!(self.loaded.experiment.model.kind, ModelKind::UNet { .. })
            && matches!(self.loaded.sampler.schedule, Schedule::Discrete(_));
        for (cell, entry) in self.methods().filter(|_| is_network) {
            // To rounding, as above.
            let early = |plan: &Plan| plan.evaluated().into_iter().any(|k| plan.at(k) < 0.999 * first);
            if cell.plan.as_ref().is_some_and(early) {
                at.entry(entry.grid()).or_default().insert(cell.nfe);
            }
        }
        sentences("evaluations before the network's first timestep on ", at)
    }

    fn unknown_statistics(&self) -> Vec<String> {
        let metrics = &self.loaded.experiment.metrics;
        let unknown = |metric: &&Metric| {
            let space = metric.features().and_then(|features| self.loaded.space(features));
            let data = space.and_then(|space| space.data.as_ref()).filter(|_| metric.noise().is_none());
            data.is_some_and(|data| data.statistics.key.is_empty())
        };
        let said = |metric: &Metric| format!("{}: its reference statistics do not say what made them", metric.name());
        metrics.iter().filter(unknown).map(said).collect()
    }

    /// A label, with its grid where the experiment has several.
    fn name(&self, entry: &MethodEntry) -> String {
        let grids: BTreeSet<String> = self.loaded.experiment.methods.iter().map(MethodEntry::grid).collect();
        if grids.len() > 1 { format!("{} on {}", entry.label(), entry.grid()) } else { entry.label() }
    }
}

fn sentences(what: &str, at: At) -> Vec<String> {
    let sentence = |(names, nfes): (String, BTreeSet<usize>)| {
        let nfes: Vec<String> = nfes.iter().map(usize::to_string).collect();
        format!("{what}{names} at {} NFE", nfes.join(", "))
    };
    at.into_iter().map(sentence).collect()
}

/// What samples depend on in a plan, with numbers in single precision; without its names.
fn in_single(plan: &Plan) -> String {
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) => number.as_f64().map_or(Value::Null, |number| Value::from(number as f32)),
            Value::Array(all) => all.into_iter().map(rounded).collect(),
            Value::Object(all) => all.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
            other => other,
        }
    }
    let Plan { start, tau, timestep, steps, threshold, .. } = plan;
    rounded(
        json!({"start": start, "tau": tau, "timestep": timestep, "steps": steps, "threshold": threshold.to_string()}),
    )
    .to_string()
}
