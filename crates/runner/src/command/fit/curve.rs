//! `fewstep fit --curve`: score normalisation with the curve that is best for it.

use std::fmt::Write;

use fewstep_fit::{Held, Normalised, Problem, Trials};
use fewstep_sampler::{Method, Normaliser, PlanFile};
use serde::{Deserialize, Serialize};

use super::{
    Run,
    journal::{hash, network_error},
    tried::{self, Tried},
};
use crate::{
    cell::fitted_key,
    failure::{Failure, Result},
    files,
    results::BUILD,
};

/// What plans with the fitted curve are called.
const NAME: &str = "sn-fitted";

/// Beside the numbers of a plan.
#[derive(Serialize, Deserialize)]
struct Provenance {
    key: String,
    /// Of the file without this.
    sha256: String,
    fitted_to: String,
    fewstep_build: String,
    method: String,
    /// By which a sweep knows what the plans were fitted to.
    #[serde(default)]
    objective: String,
    /// ln of the objective, mean over the numbers of evaluations: without a normaliser, with the paper's, with the fitted one.
    value: [f64; 3],
}

impl Run {
    /// Finds the curve for DEIS-2 and writes it with its plans; says what it gained.
    pub(super) fn curve(
        &self,
        own: &Normaliser,
        problem: &Problem,
        measured: Option<&Held>,
        nfes: &[usize],
    ) -> Result<String> {
        let method = Method::deis(2);
        let grid = &self.fit.spec.grid;
        let normalised = Normalised { method, grid, nfe: nfes };
        let (numbers, plans) = normalised.made_of(own, &self.loaded.sampler.schedule)?;
        let steps: Vec<_> = plans.iter().map(|plan| (&plan.tau, &plan.steps)).collect();
        let parts = ("curve", numbers, steps, nfes, self.fit.objective, own.to_csv(&[]));
        let key = fitted_key(&self.teacher.key, &self.held.key, &parts, &self.canary)?;
        let csv = self.folder.join("normaliser-fitted.csv");
        let path = |nfe: usize| self.folder.join(format!("{NAME}-{nfe}.json"));
        // Another run's curve has the same name.
        let of_this =
            std::fs::read_to_string(&csv).is_ok_and(|text| text.starts_with(&format!("# key {}\n", key.as_str())));
        let known = |nfe: &usize| -> Option<Provenance> {
            let file = PlanFile::read(&path(*nfe)).ok()?;
            let provenance: Provenance = serde_json::from_str(file.provenance.as_ref()?).ok()?;
            let own = provenance.sha256 == hash(&PlanFile { provenance: None, ..file });
            Some(provenance).filter(|provenance| provenance.key == key.as_str() && own && !self.fresh && of_this)
        };
        let kept: Option<Vec<Provenance>> = nfes.iter().map(known).collect();
        if let Some(kept) = kept.as_ref().and_then(|kept| kept.first()) {
            Tried::nothing()?.done(&csv)?;
            let fitted = Normaliser::read(&csv)?;
            return Ok(said(kept.value) + &self.held_out(&normalised, own, &fitted, problem, measured)?);
        }
        self.progress.say("curve for DEIS-2");
        let tried = Tried::nothing()?;
        let keep = |all: &[_]| tried.hear(&csv, &key, all).map_err(network_error);
        let mut trials = Trials::after(tried::read(&csv, &key, self.fresh), &keep);
        let found = normalised.fit(own, problem.teacher, problem.target, problem.network, &mut trials)?;
        let comments = [
            format!("key {}", key.as_str()),
            "the r under which DEIS-2 is nearest to the solutions; a factor has no meaning".into(),
        ];
        files::write(&csv, found.normaliser.to_csv(&comments).as_bytes())?;
        let mut provenance = Provenance {
            key: key.as_str().to_owned(),
            sha256: String::new(),
            fitted_to: self.loaded.sampler.predictor.identity(),
            fewstep_build: BUILD.into(),
            method: method.label(),
            objective: self.fit.objective.name().into(),
            value: found.value,
        };
        for (&nfe, plan) in nfes.iter().zip(&found.plans) {
            let file = PlanFile { method: "DEIS-2, fitted r".into(), ..self.file(plan) };
            provenance.sha256 = hash(&file);
            let text = serde_json::to_string(&provenance).map_err(Failure::run)?;
            let file = PlanFile { provenance: Some(text), ..file };
            files::write(&path(nfe), format!("{file}\n").as_bytes())?;
        }
        tried.done(&csv)?;
        Ok(said(found.value) + &self.held_out(&normalised, own, &found.normaliser, problem, measured)?)
    }

    /// What the curve does on images that it was not fitted to, as a table.
    fn held_out(
        &self,
        normalised: &Normalised,
        own: &Normaliser,
        fitted: &Normaliser,
        problem: &Problem,
        measured: Option<&Held>,
    ) -> Result<String> {
        let sets = [("validation", Some(problem.validation)), ("cells", measured)];
        let mut text = format!("\nOn images that it was not fitted to, {} grid:\n\n", normalised.grid.name());
        text += "| NFE | images | objective: r = 1 | mean \\|ε\\| | fitted | RMS: r = 1 | mean \\|ε\\| | fitted |\n";
        text += "|---:|---|---:|---:|---:|---:|---:|---:|\n";
        for &nfe in normalised.nfe {
            for (name, held) in sets.iter().filter_map(|(name, held)| Some((name, (*held)?))) {
                let of = |r: Option<&Normaliser>| -> Result<_> {
                    let plan = normalised.plan(nfe, r, &self.loaded.sampler.schedule)?;
                    Ok(self.measure(held, &plan, problem.network)?.error)
                };
                let all = [of(None)?, of(Some(own))?, of(Some(fitted))?];
                // Writing to a string cannot fail.
                _ = write!(text, "| {nfe} | {name} |");
                all.iter().for_each(|errors| _ = write!(text, " {:.4} |", errors.objective));
                all.iter().for_each(|errors| _ = write!(text, " {:.4} |", errors.rmse));
                text.push('\n');
            }
        }
        Ok(text)
    }
}

fn said([plain, published, fitted]: [f64; 3]) -> String {
    let change = |value: f64| 100.0 * ((value - plain).exp() - 1.0);
    format!(
        "\nDEIS-2 with r = mean |ε| changes the objective on the fitted images by {:+.1} %, with the curve that is best for it by {:+.1} % \
         (geometric mean over the numbers of evaluations).\n",
        change(published),
        change(fitted)
    )
}
