//! Figures that others published, shown beside ours and never mixed with them: each row keeps its own model.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    failure::{Failure, Result},
    files,
    source::Source,
};

/// One published FID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Paper or repository, and where in it.
    pub source: String,
    /// What was sampled from.
    pub model: String,
    /// What FID was computed with; empty where the source does not say.
    pub tool: String,
    /// Images.
    pub samples: u64,
    /// The method, in the source's words.
    pub method: String,
    /// Where its steps begin and end, in the source's words; empty where it does not say.
    #[serde(default)]
    pub grid: String,
    /// Whether its first step is analytic, "yes" or "no"; empty where the source does not say.
    #[serde(default)]
    pub afs: String,
    /// Its threshold of predicted images, or "none"; empty where the source does not say.
    #[serde(default)]
    pub threshold: String,
    /// Evaluations.
    pub nfe: u32,
    /// Its FID.
    pub fid: f64,
}

impl Row {
    /// What tells it from others of its network: the method and whatever the source says of how it ran.
    pub fn label(&self) -> String {
        let Self { method, grid, threshold, .. } = self;
        let mut label = method.clone();
        if self.afs == "yes" {
            label.push_str(", AFS");
        }
        if !["", "none"].contains(&threshold.as_str()) {
            label.push_str(&format!(", threshold {threshold}"));
        }
        if !grid.is_empty() {
            label.push_str(&format!(", grid {grid}"));
        }
        label
    }
}

/// `experiments/published/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    source: String,
    dataset: String,
    model: String,
    #[serde(default)]
    tool: String,
    samples: u64,
    /// Of rows that have none of their own.
    grid: Option<String>,
    afs: Option<bool>,
    threshold: Option<String>,
    row: Vec<Spanned<RawRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    method: String,
    grid: Option<String>,
    afs: Option<bool>,
    threshold: Option<String>,
    /// By number of evaluations.
    fid: BTreeMap<String, f64>,
}

/// The file beside `cells.csv` that keeps what an experiment shows.
/// Its name in a folder of results.
pub(super) const FILE: &str = "published.csv";

/// Reads a file of published figures.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = files::text(path)?;
    let source = Source { path, text: &text };
    let raw: Raw = source.parse()?;
    let mut rows = Vec::new();
    for row in &raw.row {
        let RawRow { grid, afs, threshold, .. } = row.get_ref();
        let stated =
            |own: &Option<String>, of_all: &Option<String>| own.clone().or_else(|| of_all.clone()).unwrap_or_default();
        let [grid, threshold] = [stated(grid, &raw.grid), stated(threshold, &raw.threshold)];
        let afs = afs.or(raw.afs).map_or("", |afs| if afs { "yes" } else { "no" });
        for (nfe, &fid) in &row.get_ref().fid {
            let number = nfe.parse().ok().filter(|nfe| *nfe > 0);
            let (Some(nfe), true) = (number, fid.is_finite() && fid >= 0.0) else {
                let message = format!("fid {{ {nfe} = {fid} }}; expected a number of evaluations and its FID");
                return Err(source.error(row.span(), message));
            };
            rows.push(Row {
                source: raw.source.clone(),
                model: format!("{}, {}", raw.model, raw.dataset),
                tool: raw.tool.clone(),
                samples: raw.samples,
                method: row.get_ref().method.clone(),
                grid: grid.clone(),
                afs: afs.to_owned(),
                threshold: threshold.clone(),
                nfe,
                fid,
            });
        }
    }
    if rows.is_empty() {
        return Err(source.error(0..0, "no [[row]] with a fid; expected at least one"));
    }
    rows.sort_by_key(|row| row.nfe);
    Ok(rows)
}

/// Keeps `rows` in a results folder, for its report.
pub fn keep(folder: &Path, rows: &[Row]) -> Result<()> {
    let path = folder.join(FILE);
    if rows.is_empty() {
        return files::remove(&path);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row)).map_err(Failure::run)?;
    files::write(&path, &writer.into_inner().map_err(|error| Failure::run(error.to_string()))?)
}

/// What a results folder keeps.
pub fn kept(folder: &Path) -> Result<Vec<Row>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let wrong = |error: csv::Error| Failure::Request(format!("{}: {error}", path.display()));
    csv::Reader::from_path(&path).map_err(wrong)?.deserialize().map(|row| row.map_err(wrong)).collect()
}
