//! Plan files as a method: `[[method]] plan = "mine.json"`, or `"mine-{nfe}.json"` with one file for each number of evaluations.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use fewstep_sampler::{Error, Grid, Plan, PlanFile};
use serde::Deserialize;
use toml::Spanned;

use super::{
    ModelSpec,
    method::{Made, MethodEntry, RawMethod},
};
use crate::{failure::Result, files, results::SOLUTION, source::Source};

/// The grid of a plan that is on none by a name.
pub(super) const OWN: &str = "own";
/// What rows that are no method's are called.
const TAKEN: [&str; 2] = [SOLUTION, "floor"];
/// What stands for the number of evaluations in a file's name.
pub const NFE: &str = "{nfe}";
/// Longest label.
const MAX_LABEL: usize = 80;

/// Plans from files, on the experiment's schedule, by their numbers of evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The name in results, tables and charts.
    pub label: String,
    /// The file's name as the experiment has it.
    pub pattern: String,
    /// SHA-256 of the files, by their numbers of evaluations.
    pub hashes: BTreeMap<usize, String>,
    /// Numbers of evaluations that the experiment has and no file.
    pub missing: Vec<usize>,
    /// What they were fitted to minimise, where they say it.
    pub objectives: BTreeSet<String>,
    plans: BTreeMap<usize, Plan>,
}

/// What `fewstep fit` says of a plan in its file.
#[derive(Deserialize)]
struct Fitted {
    objective: String,
}

impl Planned {
    /// The plan with so many evaluations.
    pub fn plan(&self, nfe: usize) -> fewstep_sampler::Result<&Plan> {
        self.plans.get(&nfe).ok_or_else(|| {
            let known: Vec<String> = self.plans.keys().map(usize::to_string).collect();
            Error::Request(format!("no plan of '{}' has nfe {nfe}; there is {}", self.label, known.join(", ")))
        })
    }

    /// The label, with AFS behind it where that was used: of some files only, with their numbers of evaluations.
    pub fn marked(&self) -> String {
        let afs: Vec<String> =
            self.plans.iter().filter(|(_, plan)| plan.is_afs()).map(|(nfe, _)| nfe.to_string()).collect();
        let said = self.label.split_whitespace().last() == Some("AFS");
        match afs.len() {
            0 => self.label.clone(),
            n if n < self.plans.len() => format!("{} (AFS at {} NFE)", self.label, afs.join("/")),
            _ if said => self.label.clone(),
            _ => format!("{} AFS", self.label),
        }
    }

    /// What all plans have alike, where they do.
    pub fn common<T: PartialEq>(&self, of: impl Fn(&Plan) -> T) -> Option<T> {
        let mut values = self.plans.values().map(of);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }
}

impl Source<'_> {
    /// The plans that a table names.
    pub(super) fn planned_entry(
        &self,
        table: &Spanned<RawMethod>,
        model: &ModelSpec,
        nfe: &[usize],
    ) -> Result<MethodEntry> {
        let raw = table.get_ref();
        let Some((pattern, label)) = raw.planned() else { return Err(self.error(table.span(), "no plan")) };
        let (span, name) = (pattern.span(), pattern.get_ref().clone());
        if let Some(field) = raw.beside_plan() {
            return Err(self.error(table.span(), format!("{field} has no meaning beside plan, which says it itself")));
        }
        let path = |nfe: usize| self.beside(PathBuf::from(name.replace(NFE, &nfe.to_string())));
        let several = name.contains(NFE);
        let there: Vec<(usize, PathBuf)> = match several {
            true => nfe.iter().map(|&nfe| (nfe, path(nfe))).filter(|(_, path)| path.exists()).collect(),
            false => vec![(0, self.beside(PathBuf::from(&name)))],
        };
        if there.is_empty() {
            let numbers: Vec<String> = nfe.iter().map(usize::to_string).collect();
            return Err(self.error(span, format!("no file {name} for any of nfe = {}", numbers.join(", "))));
        }
        let (mut plans, mut hashes, mut names) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut objectives = BTreeSet::new();
        for (said, path) in there {
            let wrong = |error: &dyn std::fmt::Display| self.error(span.clone(), error);
            let file = PlanFile::read(&path).map_err(|error| wrong(&error))?;
            let refuse = |reason: String| Err(wrong(&format!("{}: {reason}", path.display())));
            let spends = file.nfe();
            if several && spends != said {
                return refuse(format!("{spends} evaluations; its name says {said}"));
            }
            if !several && !nfe.contains(&spends) {
                return refuse(format!("a plan of {spends} evaluations, which nfe has not: it would have no cell"));
            }
            let plan = file.plan(&model.schedule, &model.schedule_name);
            let mut plan = plan.map_err(|error| wrong(&format!("{}: {error}", path.display())))?;
            // A file may call its levels what it likes; in tables they are called what they are.
            let named = plan.grid.parse::<Grid>().ok().filter(|grid| plan.is_on(grid, &model.schedule));
            plan.grid = named.map_or(OWN.into(), |grid| grid.name());
            let fitted = file.provenance.as_deref().and_then(|text| serde_json::from_str::<Fitted>(text).ok());
            objectives.extend(fitted.map(|fitted| fitted.objective));
            plans.insert(spends, plan);
            hashes.insert(spends, files::sha256_of(&path)?);
            names.push(file.method);
        }
        let label = match label {
            Some(label) => self.label(label)?,
            None if names.iter().all(|other| *other == names[0]) => {
                let method = names[0].escape_debug();
                let refused = |_| {
                    self.error(
                        span.clone(),
                        format!("{name}: method is '{method}', which is no label; expected one beside plan"),
                    )
                };
                self.label(&Spanned::new(span.clone(), names[0].clone())).map_err(refused)?
            }
            None => return Err(self.error(table.span(), "the files have several methods; expected a label for them")),
        };
        let missing = nfe.iter().copied().filter(|nfe| several && !plans.contains_key(nfe)).collect();
        let says = label.split_whitespace().last() == Some("AFS");
        if says && !plans.values().any(Plan::is_afs) {
            return Err(self.error(span, format!("label '{label}' says AFS, which {name} has not")));
        }
        let planned = Planned { label, pattern: name, hashes, missing, objectives, plans };
        let threshold = self.own_threshold(raw)?.or_else(|| planned.common(|plan| plan.threshold));
        match threshold {
            Some(threshold) => Ok(MethodEntry { made: Made::Planned(planned), threshold, nfe: None }),
            None => Err(self.error(table.span(), "the files have several thresholds; expected one for them")),
        }
    }

    /// A name for tables, and for `--only`, which has commas between what it selects.
    fn label(&self, label: &Spanned<String>) -> Result<String> {
        let text = label.get_ref();
        let odd = |c: char| c.is_control() || [',', '|', '<', '>'].contains(&c);
        let length = text.chars().count();
        if !(1..=MAX_LABEL).contains(&length) || text.trim() != text || text.chars().any(odd) {
            let expected = format!("1 to {MAX_LABEL} characters without , | < > or spaces around");
            return Err(self.error(label.span(), format!("label is '{}'; expected {expected}", text.escape_debug())));
        }
        if TAKEN.contains(&text.to_lowercase().as_str()) {
            let message = format!("label is '{text}', which no method is called; expected another");
            return Err(self.error(label.span(), message));
        }
        Ok(text.clone())
    }
}
