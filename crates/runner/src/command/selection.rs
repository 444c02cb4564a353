//! `--only`: which cells are asked for.

use fewstep_sampler::{Grid, Threshold};

use crate::{
    experiment::{Experiment, MethodEntry},
    failure::{Failure, Result},
    results::Record,
};

/// `key=value` pairs; a key may come several times.
#[derive(Debug, Default)]
pub struct Selection(Vec<(String, String)>);

const KEYS: [&str; 7] = ["method", "order", "grid", "coefficients", "threshold", "nfe", "seed"];

impl Selection {
    /// Every pair must select something, and all of them a cell that the experiment measures something of.
    pub fn parse(text: &str, experiment: &Experiment) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Failure::Request(format!("--only: '{pair}' is not key=value")));
            };
            if !KEYS.contains(&key) {
                return Err(Failure::Request(format!("--only: no key '{key}'; expected {}", KEYS.join(", "))));
            }
            let value = named(key, value);
            if !experiment.cells().any(|(entry, nfe, seed)| value_of(key, entry, nfe, seed) == value) {
                return Err(Failure::Request(format!("--only: no cell of this experiment has {key} = {value}")));
            }
            pairs.push((key.to_owned(), value));
        }
        let selection = Selection(pairs);
        let measured = |(entry, nfe, seed): (&MethodEntry, usize, u64)| {
            selection.contains(entry, nfe, seed) && experiment.measures(entry, nfe)
        };
        if !experiment.cells().any(measured) {
            return Err(Failure::Request(format!("--only: nothing is measured of what '{text}' selects")));
        }
        Ok(selection)
    }

    /// Of one row alone.
    pub fn of(record: &Record) -> Self {
        Selection(KEYS.iter().map(|key| ((*key).to_owned(), recorded(key, record))).collect())
    }

    /// Whether a row is of a cell that is asked for.
    pub fn is_of(&self, record: &Record) -> bool {
        self.all_have(|key| recorded(key, record))
    }

    /// Whether a cell is asked for.
    pub fn contains(&self, entry: &MethodEntry, nfe: usize, seed: u64) -> bool {
        self.all_have(|key| value_of(key, entry, nfe, seed))
    }

    fn all_have(&self, value_of: impl Fn(&str) -> String) -> bool {
        self.0.iter().all(|(key, _)| {
            let own = value_of(key);
            self.0.iter().any(|(other, value)| other == key && *value == own)
        })
    }
}

/// A value as cells have it: grids and thresholds may be written in several ways.
pub fn named(key: &str, value: &str) -> String {
    let name = match key {
        "grid" => value.parse().ok().map(|grid: Grid| grid.name()),
        "threshold" => value.parse().ok().map(|threshold: Threshold| threshold.to_string()),
        _ => None,
    };
    name.unwrap_or_else(|| value.to_owned())
}

/// What a row says, as a cell does.
fn recorded(key: &str, record: &Record) -> String {
    match key {
        "method" => record.method.clone(),
        "order" => record.order.to_string(),
        "grid" => record.grid.clone(),
        "threshold" => record.threshold.clone(),
        "seed" => record.seed.to_string(),
        "coefficients" => record.coefficients.clone(),
        _ => record.nfe.to_string(),
    }
}

fn value_of(key: &str, entry: &MethodEntry, nfe: usize, seed: u64) -> String {
    match key {
        "method" => entry.name(),
        "order" => entry.order().to_string(),
        "grid" => entry.grid(),
        "threshold" => entry.threshold.to_string(),
        "seed" => seed.to_string(),
        "coefficients" => entry.coefficients().into(),
        _ => nfe.to_string(),
    }
}
