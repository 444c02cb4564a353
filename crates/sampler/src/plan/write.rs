//! Plan files out.

use std::{fmt, path::Path};

use super::{
    Levels, PlanFile, Step,
    file::{FORMAT, VERSION},
    json::quoted,
};
use crate::{Error, Result, Schedule};

impl PlanFile {
    /// Writes the file.
    ///
    /// # Errors
    /// Naming the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |error: std::io::Error| Error::File { path: path.to_owned(), reason: error.to_string() };
        std::fs::write(path, format!("{self}\n")).map_err(failed)
    }

    /// The network's timesteps at the evaluations, where the schedule is said.
    pub fn timestep(&self) -> Option<Vec<f64>> {
        let Levels::X { schedule, tau } = &self.levels else { return None };
        let schedule = Schedule::named(schedule, 1)?;
        let of = |(step, &tau): (&Step, &f64)| schedule.timestep(step.at.unwrap_or(tau));
        Some(self.steps.iter().zip(tau).map(of).collect())
    }
}

/// As JSON, a field a line and a step a line. Numbers are as short as they can be and come back to the last bit.
impl fmt::Display for PlanFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = vec![("format", quoted(FORMAT)), ("version", VERSION.to_string())];
        fields.push(("method", quoted(&self.method)));
        fields.extend((self.order > 0).then(|| ("order", self.order.to_string())));
        fields.push(("nfe", self.nfe().to_string()));
        fields.extend((!self.grid.is_empty()).then(|| ("grid", quoted(&self.grid))));
        fields.extend((!self.threshold.is_none()).then(|| ("threshold", quoted(&self.threshold.to_string()))));
        fields.push(("variable", quoted(self.levels.variable())));
        if let Levels::X { schedule, .. } = &self.levels {
            fields.push(("schedule", quoted(schedule)));
        }
        fields.push((self.levels.name(), list(self.levels.values())));
        fields.extend(self.timestep().map(|timestep| ("timestep", list(&timestep))));
        fields.extend(self.start.map(|start| ("start", format!("{start:?}"))));
        let steps: Vec<String> = self.steps.iter().map(|step| format!("\n    {}", object(step))).collect();
        fields.push(("steps", format!("[{}\n  ]", steps.join(","))));
        fields.extend(self.provenance.iter().map(|text| ("provenance", text.clone())));
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("  {}: {value}", quoted(name))).collect();
        write!(f, "{{\n{}\n}}", fields.join(",\n"))
    }
}

fn list(values: &[f64]) -> String {
    format!("[{}]", values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", "))
}

/// A step, without what has its default.
fn object(step: &Step) -> String {
    let mut text = format!("{{\"a\": {:?}", step.a);
    if !step.b.is_empty() {
        text += &format!(", \"b\": {}", list(&step.b));
    }
    text += &format!(", \"c\": {}", list(&step.c));
    let optional = [
        ("noise", Some(step.noise).filter(|noise| *noise != 0.0)),
        ("at", step.at),
        ("input", Some(step.input).filter(|input| *input != 1.0)),
        ("afs", step.afs),
    ];
    for (name, value) in optional {
        text += &value.map_or(String::new(), |value| format!(", \"{name}\": {value:?}"));
    }
    text + "}"
}
