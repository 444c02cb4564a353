//! What a fit came to, as tables.

use std::fmt::Write;

use fewstep_fit::{Bands, Errors, Outcome};
use fewstep_sampler::Plan;

use crate::experiment::FitSpec;

/// A plan and its errors.
pub struct Row {
    /// Number of evaluations.
    pub nfe: usize,
    /// The stage, or OLSS.
    pub stage: String,
    /// In words.
    pub note: String,
    /// On the images that were fitted to.
    pub fit: Errors,
    /// On those for validation.
    pub validation: Errors,
    /// The largest condition of the normal equations of a step behind the first; 0 where none were solved.
    pub condition: f64,
    /// On a cell's own images.
    pub measured: Option<Measured>,
    /// Whether it is the plan of least validation error.
    pub chosen: bool,
    /// The plan.
    pub plan: Plan,
}

/// On images of cells, which nothing was fitted to or chosen by.
pub struct Measured {
    /// Both errors.
    pub error: Errors,
    /// E_b/P_b.
    pub by_band: Vec<f64>,
    /// Power over the solution's, by band.
    pub power: Vec<f64>,
}

impl Row {
    /// Of a stage.
    pub fn of(outcome: &Outcome, nfe: usize) -> Self {
        Row {
            nfe,
            stage: outcome.stage.name().into(),
            note: outcome.note.clone(),
            fit: outcome.fit,
            validation: outcome.validation,
            condition: outcome.condition,
            measured: None,
            chosen: false,
            plan: outcome.plan.clone(),
        }
    }
}

/// A line a plan, all digits.
pub fn csv(rows: &[Row], bands: &Bands) -> String {
    let mut text = "nfe,stage,chosen,fit_objective,validation_objective,measured_objective,fit_rmse,validation_rmse,\
                    measured_rmse,condition"
        .to_owned();
    for kind in ["error", "power"] {
        (0..bands.count()).for_each(|band| text += &format!(",{kind}_{}", bands.name(band).replace('–', "_to_")));
    }
    text += ",tau,note\n";
    for row in rows {
        let measured = row.measured.as_ref();
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:?}"));
        let mut fields = vec![row.nfe.to_string(), row.stage.clone(), row.chosen.to_string()];
        fields.extend([row.fit.objective, row.validation.objective].map(|value| number(Some(value))));
        fields.push(number(measured.map(|measured| measured.error.objective)));
        fields.extend([row.fit.rmse, row.validation.rmse].map(|value| number(Some(value))));
        fields.push(number(measured.map(|measured| measured.error.rmse)));
        fields.push(number(Some(row.condition).filter(|condition| *condition > 0.0)));
        for band in 0..2 * bands.count() {
            let at = |measured: &Measured| [&*measured.by_band, &*measured.power].concat()[band];
            fields.push(number(measured.map(at)));
        }
        fields.push(row.plan.tau.iter().map(|tau| format!("{tau:?}")).collect::<Vec<_>>().join(" "));
        fields.push(format!("\"{}\"", row.note));
        text += &(fields.join(",") + "\n");
    }
    text
}

/// For people.
pub fn markdown(rows: &[Row], fit: &FitSpec) -> String {
    let mut text = format!(
        "Fitted to {} images and chosen by {} others; measured on images of cells, which are neither. Objective: {}. \
         Predictions a step: {}; constraint: {}.\n\n",
        fit.images,
        fit.validation,
        fit.objective.name(),
        fit.spec.rule.history,
        fit.spec.rule.constraint.name()
    );
    text += "| NFE | stage | objective: fitted | validation | measured | RMS: fitted | validation | measured | condition | τ |\n";
    text += "|---:|---|---:|---:|---:|---:|---:|---:|---:|---|\n";
    for row in rows {
        let bold = |value: &str| if row.chosen { format!("**{value}**") } else { value.to_owned() };
        let measured =
            |of: fn(&Measured) -> f64| row.measured.as_ref().map_or(String::new(), |m| format!("{:.4}", of(m)));
        let tau: Vec<String> = row.plan.tau.iter().map(|tau| format!("{tau:.4}")).collect();
        let condition = if row.condition > 0.0 { format!("{:.0e}", row.condition) } else { String::new() };
        let _ = writeln!(
            text,
            "| {} | {} | {:.4} | {:.4} | {} | {:.4} | {:.4} | {} | {condition} | {} |",
            row.nfe,
            bold(&row.stage),
            row.fit.objective,
            row.validation.objective,
            measured(|measured| measured.error.objective),
            row.fit.rmse,
            row.validation.rmse,
            bold(&measured(|measured| measured.error.rmse)),
            tau.join(" ")
        );
    }
    text
}
